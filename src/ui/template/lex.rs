//! Text and actions into tokens (Go's text/template, "Actions" and "Text and spaces").

use super::Error;

#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// What is between actions, trimmed where `{{-` and `-}}` say so.
    Text(String),
    /// `{{`
    Open,
    /// `}}`
    Close,
    /// A keyword, a function, `true`, `false` or `nil`.
    Word(String),
    /// `.Name`
    Field(String),
    /// `.`
    Dot,
    /// `$` or `$name`
    Variable(String),
    Quoted(String),
    Int(i64),
    Float(f64),
    /// `:=`
    Declare,
    /// One of `=|(),`
    Symbol(char),
}

/// A token, and whether white space came before it: `.A .B` are two operands, `.A.B` is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Lexeme {
    pub token: Token,
    pub spaced: bool,
}

pub fn lex(template: &str) -> Result<Vec<Lexeme>, Error> {
    let mut tokens = Vec::new();
    let mut rest = template;
    let mut trim_next = false;
    loop {
        let (text, action) = match rest.split_once("{{") {
            Some((text, action)) => (text, Some(action)),
            None => (rest, None),
        };
        let text = if trim_next { text.trim_start() } else { text };
        let trims_before = action.is_some_and(|a| marker(a.strip_prefix('-')));
        let text = if trims_before { text.trim_end() } else { text };
        if !text.is_empty() {
            tokens.push(Lexeme { token: Token::Text(text.to_owned()), spaced: false });
        }
        let Some(action) = action else { return Ok(tokens) };
        let inside = if trims_before { &action[1..] } else { action };
        if let Some(comment) = inside.trim_start().strip_prefix("/*") {
            let after = comment.split_once("*/").ok_or_else(|| syntax("unclosed comment"))?.1;
            let (trims, after) = closing(after.trim_start())
                .or_else(|| closing(after))
                .ok_or_else(|| syntax("a comment must end its action"))?;
            (trim_next, rest) = (trims, after);
            continue;
        }
        tokens.push(Lexeme { token: Token::Open, spaced: false });
        (trim_next, rest) = lex_action(inside, &mut tokens)?;
    }
}

/// A trim marker needs white space between itself and the action: `{{-3}}` is a number.
fn marker(after_dash: Option<&str>) -> bool {
    after_dash.is_some_and(|a| a.starts_with(|c: char| c.is_ascii_whitespace()))
}

/// `}}` or ` -}}` at the start of `text`: whether it trims, and what follows.
fn closing(text: &str) -> Option<(bool, &str)> {
    if let Some(rest) = text.strip_prefix("}}") {
        return Some((false, rest));
    }
    text.trim_start().strip_prefix("-}}").map(|rest| (true, rest))
}

fn lex_action<'a>(mut rest: &'a str, tokens: &mut Vec<Lexeme>) -> Result<(bool, &'a str), Error> {
    loop {
        let trimmed = rest.trim_start();
        let spaced = trimmed.len() < rest.len();
        if trimmed.starts_with("}}") || (spaced && trimmed.starts_with("-}}")) {
            tokens.push(Lexeme { token: Token::Close, spaced });
            return closing(rest.trim_start()).ok_or_else(|| syntax("unclosed action"));
        }
        if trimmed.is_empty() {
            return Err(syntax("unclosed action"));
        }
        let (token, after) = lex_token(trimmed)?;
        tokens.push(Lexeme { token, spaced });
        rest = after;
    }
}

fn lex_token(text: &str) -> Result<(Token, &str), Error> {
    let first = text.chars().next().unwrap_or_default();
    let word = |from: usize| {
        let end = text[from..].find(|c: char| !is_word(c)).map_or(text.len(), |at| from + at);
        (&text[from..end], &text[end..])
    };
    match first {
        '"' => quoted(text),
        '`' => {
            let (raw, rest) =
                text[1..].split_once('`').ok_or_else(|| syntax("unterminated raw string"))?;
            Ok((Token::Quoted(raw.to_owned()), rest))
        }
        '\'' => {
            let (inner, rest) = unquote(&text[1..], '\'')?;
            let mut chars = inner.chars();
            match (chars.next(), chars.next()) {
                (Some(one), None) => Ok((Token::Int(i64::from(u32::from(one))), rest)),
                _ => Err(syntax("a character constant holds one character")),
            }
        }
        '$' => {
            let (name, rest) = word(1);
            Ok((Token::Variable(format!("${name}")), rest))
        }
        '.' if text[1..].starts_with(|c: char| c.is_ascii_digit()) => number(text),
        '.' => match word(1) {
            ("", rest) => Ok((Token::Dot, rest)),
            (name, rest) => Ok((Token::Field(name.to_owned()), rest)),
        },
        ':' if text.starts_with(":=") => Ok((Token::Declare, &text[2..])),
        '=' | '|' | '(' | ')' | ',' => Ok((Token::Symbol(first), &text[1..])),
        '+' | '-' | '0'..='9' => number(text),
        c if is_word(c) => {
            let (name, rest) = word(0);
            Ok((Token::Word(name.to_owned()), rest))
        }
        c => Err(syntax(format!("unexpected {c:?} in an action"))),
    }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

fn quoted(text: &str) -> Result<(Token, &str), Error> {
    let (inner, rest) = unquote(&text[1..], '"')?;
    Ok((Token::Quoted(inner), rest))
}

/// Go's interpreted string: everything up to the closing quote, escapes resolved.
fn unquote(text: &str, quote: char) -> Result<(String, &str), Error> {
    let mut out = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((out, &text[at + c.len_utf8()..])),
            '\n' => break,
            '\\' => {
                let (_, escape) = chars.next().ok_or_else(|| syntax("unterminated string"))?;
                let mut code = |digits: usize| -> Option<char> {
                    let hex: String = chars.by_ref().take(digits).map(|(_, c)| c).collect();
                    char::from_u32(u32::from_str_radix(&hex, 16).ok()?)
                };
                let resolved = match escape {
                    'n' => Some('\n'),
                    't' => Some('\t'),
                    'r' => Some('\r'),
                    'a' => Some('\x07'),
                    'b' => Some('\x08'),
                    'f' => Some('\x0c'),
                    'v' => Some('\x0b'),
                    '\\' | '"' | '\'' => Some(escape),
                    'x' => code(2),
                    'u' => code(4),
                    'U' => code(8),
                    _ => None,
                };
                out.push(resolved.ok_or_else(|| syntax(format!("unknown escape \\{escape}")))?);
            }
            c => out.push(c),
        }
    }
    Err(syntax("unterminated string"))
}

fn number(text: &str) -> Result<(Token, &str), Error> {
    let end = text[1..]
        .find(|c: char| !(is_word(c) || c == '.' || c == '+' || c == '-'))
        .map_or(text.len(), |at| at + 1);
    let (number, rest) = text.split_at(end);
    let plain = number.replace('_', "");
    let (negative, digits) = match plain.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, plain.trim_start_matches('+')),
    };
    let lower = digits.to_ascii_lowercase();
    let int = [("0x", 16), ("0o", 8), ("0b", 2)]
        .iter()
        .find_map(|(prefix, radix)| i64::from_str_radix(lower.strip_prefix(prefix)?, *radix).ok())
        .or_else(|| digits.parse().ok());
    if let Some(int) = int {
        return Ok((Token::Int(if negative { -int } else { int }), rest));
    }
    match plain.parse::<f64>() {
        Ok(float) if float.is_finite() => Ok((Token::Float(float), rest)),
        _ => Err(syntax(format!("bad number {number:?}"))),
    }
}

fn syntax(message: impl Into<String>) -> Error {
    Error::Syntax { message: message.into() }
}
