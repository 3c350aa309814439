//! The reading of one word.

use super::super::error::{Problem, Result};
use super::super::source::{Span, Word};
use super::output::Output;
use super::pattern::Pattern;
use super::{Expansion, Scope};

/// `${a:-${b:-…}}` may go this deep.
const DEPTH: usize = 64;

/// An expansion may add this much. Linux takes no argument or variable of more than 128 KiB.
const LARGEST: usize = 1024 * 1024;

/// How much of a shell's reading is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Mode {
    /// Quotes mean something; in documents they don't.
    quotes: bool,
    /// Quotes stay in the result.
    keep_quotes: bool,
    /// Escape characters stay in the result.
    keep_escapes: bool,
    /// What names a variable that isn't set stays as it is.
    keep_unset: bool,
}

impl Mode {
    pub const WORD: Self =
        Self { quotes: true, keep_quotes: false, keep_escapes: false, keep_unset: false };
    pub const DOCUMENT: Self = Self { quotes: false, ..Self::WORD };
}

/// Expands a word; the second value is the result split at unquoted blanks.
pub fn expand(word: &Word, scope: &Scope, mode: Mode) -> Result<(Expansion, Vec<String>)> {
    // a document is expanded by BuildKit with this escape character whatever the directive says
    let escape = if mode.quotes { scope.escape } else { '\\' };
    let lookup = |name: &str| scope.get(name);
    let mut reader = Reader::new(word, escape, mode, &lookup);
    match reader.until(None, mode.keep_escapes) {
        Ok(output) => {
            let (text, words) = output.finish();
            Ok((Expansion { text, used: reader.used, undefined: reader.undefined }, words))
        }
        Err(failure) => {
            // quotes that a flag's value has lost shift what comes after them
            let exact = scope.source.slice(word.span) == word.value;
            let span = match exact {
                true => {
                    Span::new(word.span.start + failure.at.start, word.span.start + failure.at.end)
                }
                false => word.span,
            };
            Err(scope.error(span, failure.problem))
        }
    }
}

/// Splits a line as a shell would, with quotes, escapes and variables left in. `None` if a shell would refuse it.
pub fn raw_words(line: &str, keep_quotes: bool, keep_escapes: bool) -> Option<Vec<String>> {
    let mode = Mode { quotes: true, keep_quotes, keep_escapes, keep_unset: true };
    let mut reader = Reader::new(line, '\\', mode, &|_| None);
    Some(reader.until(None, keep_escapes).ok()?.finish().1)
}

struct Failure {
    problem: Problem,
    /// In the word.
    at: Span,
}

type Step<T> = std::result::Result<T, Failure>;

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    limit: usize,
    escape: char,
    mode: Mode,
    lookup: &'a dyn Fn(&str) -> Option<&'a str>,
    used: Vec<String>,
    undefined: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(
        text: &'a str,
        escape: char,
        mode: Mode,
        lookup: &'a dyn Fn(&str) -> Option<&'a str>,
    ) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            limit: text.len().saturating_add(LARGEST),
            escape,
            mode,
            lookup,
            used: Vec::new(),
            undefined: Vec::new(),
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let character = self.peek()?;
        self.at += character.len_utf8();
        Some(character)
    }

    /// Takes a character if it is the next one.
    fn take(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    /// A failure of what began at an offset.
    fn fail<T>(&self, start: usize, problem: Problem) -> Step<T> {
        Err(Failure { problem, at: Span::new(start, self.at.max(start)) })
    }

    fn check_size(&self, start: usize, size: usize) -> Step<()> {
        match size > self.limit {
            true => self.fail(start, Problem::TooLarge { limit: self.limit }),
            false => Ok(()),
        }
    }

    /// Reads up to a character, which is taken, or up to the end. Without the character there, the failure's problem
    /// is for the caller to say.
    fn until(&mut self, stop: Option<char>, keep_escapes: bool) -> Step<Output> {
        let start = self.at;
        let mut output = Output::default();
        while let Some(character) = self.peek() {
            if stop == Some(character) {
                self.next();
                return Ok(output);
            }
            match character {
                '\'' if self.mode.quotes => output.push_str_raw(&self.single_quoted()?),
                '"' if self.mode.quotes => output.push_str_raw(&self.double_quoted(keep_escapes)?),
                '$' => output.push_str(&self.variable()?),
                '<' => output.push_str_raw(self.heredoc_operator()),
                _ if character == self.escape => {
                    self.next();
                    if keep_escapes {
                        output.push_raw(character);
                    }
                    match self.next() {
                        Some(escaped) => output.push_raw(escaped),
                        None => break,
                    }
                }
                _ => {
                    self.next();
                    output.push(character);
                }
            }
            self.check_size(start, output.text.len())?;
        }
        match stop {
            None => Ok(output),
            Some(_) => self.fail(start, Problem::UnclosedBrace),
        }
    }

    /// All is literal up to the next `'`.
    fn single_quoted(&mut self) -> Step<String> {
        let start = self.at;
        self.next();
        let from = self.at;
        let Some(length) = self.text[from..].find('\'') else {
            return self.fail(start, Problem::Unclosed { quote: '\'' });
        };
        self.at = from + length + 1;
        let range = if self.mode.keep_quotes { start..self.at } else { from..from + length };
        Ok(self.text[range].to_owned())
    }

    /// Variables are expanded; the escape character escapes `"`, `$` and itself, and stays before anything else.
    fn double_quoted(&mut self, keep_escapes: bool) -> Step<String> {
        let start = self.at;
        let mut result = String::new();
        self.next();
        if self.mode.keep_quotes {
            result.push('"');
        }
        loop {
            match self.peek() {
                None => {
                    self.at = start + 1;
                    return self.fail(start, Problem::Unclosed { quote: '"' });
                }
                Some('"') => {
                    self.next();
                    if self.mode.keep_quotes {
                        result.push('"');
                    }
                    return Ok(result);
                }
                Some('$') => {
                    result.push_str(&self.variable()?);
                    self.check_size(start, result.len())?;
                }
                Some(character) if character == self.escape => {
                    self.next();
                    if keep_escapes {
                        result.push(character);
                    }
                    match self.peek() {
                        None => {}
                        Some(escaped)
                            if escaped == '"' || escaped == '$' || escaped == self.escape =>
                        {
                            self.next();
                            result.push(escaped);
                        }
                        Some(_) => result.push(character),
                    }
                }
                Some(character) => {
                    self.next();
                    result.push(character);
                }
            }
        }
    }

    /// `<<` and the blanks after it belong to the word that follows.
    fn heredoc_operator(&mut self) -> &'a str {
        let start = self.at;
        self.next();
        if self.take('<') {
            while matches!(self.peek(), Some(' ' | '\t' | '\r')) {
                self.next();
            }
        }
        &self.text[start..self.at]
    }

    /// `$name` or `${…}`.
    fn variable(&mut self) -> Step<String> {
        let start = self.at;
        self.next();
        if !self.take('{') {
            let name = self.name();
            return Ok(match name {
                "" => "$".to_owned(),
                name => match self.value_of(name) {
                    None if self.mode.keep_unset => format!("${name}"),
                    value => value.unwrap_or_default().to_owned(),
                },
            });
        }
        if self.depth == DEPTH {
            return self.fail(start, Problem::Nesting);
        }
        self.depth += 1;
        let value = self.braces(start);
        self.depth -= 1;
        value
    }

    /// What follows `${`.
    fn braces(&mut self, start: usize) -> Step<String> {
        match self.peek() {
            None => return self.fail(start, Problem::UnclosedBrace),
            Some('{' | '}' | ':') => {
                self.next();
                return self.fail(start, Problem::BadSubstitution);
            }
            Some(_) => {}
        }
        let name = self.name();
        let modifier_at = self.at;
        let colon = self.take(':');
        let Some(modifier) = self.next() else { return self.fail(start, Problem::UnclosedBrace) };
        match modifier {
            '}' if !colon => Ok(match self.value_of(name) {
                None if self.mode.keep_unset => format!("${{{name}}}"),
                value => value.unwrap_or_default().to_owned(),
            }),
            '/' if !colon => self.replaced(start, name),
            '-' | '+' | '?' => self.tested(start, name, modifier, colon),
            '#' | '%' if !colon => self.trimmed(start, name, modifier),
            _ => {
                let modifier = self.text[modifier_at..self.at].to_owned();
                self.fail(start, Problem::Modifier { modifier })
            }
        }
    }

    /// `${name-word}`, `${name+word}`, `${name?message}`; with a colon an empty value counts as none.
    fn tested(&mut self, start: usize, name: &str, modifier: char, colon: bool) -> Step<String> {
        let word = self.nested(start, '}', false, Problem::UnclosedBrace)?;
        let found = self.value_of(name);
        if found.is_none() && self.mode.keep_unset {
            let colon = if colon { ":" } else { "" };
            return Ok(format!("${{{name}{colon}{modifier}{word}}}"));
        }
        let value = found.filter(|value| !colon || !value.is_empty());
        match (modifier, value) {
            ('-', None) | ('+', Some(_)) => Ok(word),
            ('+', None) => Ok(String::new()),
            (_, Some(value)) => Ok(value.to_owned()),
            (_, None) => {
                let reason = if found.is_some() { "empty" } else { "unset" };
                let message = if word.is_empty() { format!("may not be {reason}") } else { word };
                self.fail(start, Problem::Required { name: name.to_owned(), message })
            }
        }
    }

    /// `${name#pattern}` and `${name%pattern}`; doubled, the longest match goes instead of the shortest.
    fn trimmed(&mut self, start: usize, name: &str, modifier: char) -> Step<String> {
        let written = self.nested(start, '}', true, Problem::UnclosedBrace)?;
        let found = self.value_of(name);
        if found.is_none() && self.mode.keep_unset {
            return Ok(format!("${{{name}{modifier}{written}}}"));
        }
        let value = found.unwrap_or_default();
        let (written, longest) = match written.strip_prefix(modifier) {
            Some(rest) => (rest, true),
            None => (written.as_str(), false),
        };
        let pattern = self.pattern(start, written)?;
        Ok(match modifier {
            '#' => pattern.without_prefix(value, longest),
            _ => pattern.without_suffix(value, longest),
        })
    }

    /// `${name/pattern/text}`; with a doubled first slash all matches are replaced.
    fn replaced(&mut self, start: usize, name: &str) -> Step<String> {
        let all = self.take('/');
        let written = self.nested(start, '/', true, Problem::UnclosedPattern)?;
        let text = self.nested(start, '}', true, Problem::UnclosedBrace)?;
        let found = self.value_of(name);
        if found.is_none() && self.mode.keep_unset {
            return Ok(format!("${{{name}/{written}/{text}}}"));
        }
        let pattern = self.pattern(start, &written)?;
        match pattern.replace(found.unwrap_or_default(), &text, all, self.limit) {
            Some(result) => Ok(result),
            None => self.fail(start, Problem::TooLarge { limit: self.limit }),
        }
    }

    fn nested(
        &mut self,
        start: usize,
        stop: char,
        keep_escapes: bool,
        missing: Problem,
    ) -> Step<String> {
        match self.until(Some(stop), keep_escapes) {
            Ok(output) => Ok(output.text),
            Err(failure) if failure.problem == Problem::UnclosedBrace => self.fail(start, missing),
            Err(failure) => Err(failure),
        }
    }

    fn pattern(&self, start: usize, written: &str) -> Step<Pattern> {
        match Pattern::parse(written) {
            Ok(pattern) => Ok(pattern),
            Err(character) => self.fail(
                start,
                Problem::PatternEscape {
                    character: character.map(String::from).unwrap_or_default(),
                },
            ),
        }
    }

    /// Letters, digits and `_`; or digits alone, as a shell's positional parameters; or one of a shell's special
    /// parameters. None of the last two is ever set.
    fn name(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let length = match rest.chars().next() {
            Some('@' | '*' | '#' | '?' | '-' | '$' | '!') => 1,
            Some(first) if first.is_ascii_digit() => {
                rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())
            }
            _ => rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len()),
        };
        self.at += length;
        &rest[..length]
    }

    fn value_of(&mut self, name: &str) -> Option<&'a str> {
        let value = (self.lookup)(name);
        let list = if value.is_some() { &mut self.used } else { &mut self.undefined };
        if !list.iter().any(|known| known == name) {
            list.push(name.to_owned());
        }
        value
    }
}
