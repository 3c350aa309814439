//! One pattern, without the `!`.

use std::iter::Peekable;
use std::str::Chars;

/// A pattern, read. The common simple kinds need no search.
#[derive(Debug, Clone)]
pub enum Pattern {
    /// Nothing special in it.
    Exact(String),
    /// `**` and then nothing special: any path that ends so. `**/name` is also just `name`.
    Suffix(String),
    Tokens(Tokens),
}

#[derive(Debug, Clone)]
pub struct Tokens {
    tokens: Vec<Token>,
    /// What every match begins with.
    prefix: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Exactly(char),
    /// `?`
    One,
    /// `*`
    Many,
    /// `[…]`. As with moby, and not as with Go's own `Match`, it may take a slash.
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// `**` with something after it: nothing, or any text that ends with a slash.
    Folders,
    /// `**` at the end.
    Rest,
}

impl Pattern {
    /// Reads a cleaned pattern; `None` for one that Go refuses: an open bracket, an empty class or range, a lone escape.
    pub fn parse(text: &str) -> Option<Self> {
        let mut tokens = Vec::new();
        let mut special = false;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            let token = match character {
                '*' if characters.next_if_eq(&'*').is_some() => {
                    characters.next_if_eq(&'/');
                    let last = characters.peek().is_none();
                    special |= !tokens.is_empty();
                    if last { Token::Rest } else { Token::Folders }
                }
                '*' => Token::Many,
                '?' => Token::One,
                '[' => class(&mut characters)?,
                '\\' => {
                    special = true;
                    Token::Exactly(characters.next()?)
                }
                other => Token::Exactly(other),
            };
            special |= matches!(token, Token::Many | Token::One | Token::Class { .. });
            tokens.push(token);
        }
        if !special {
            return Some(match text.strip_prefix("**") {
                Some(suffix) => Self::Suffix(suffix.to_owned()),
                None => Self::Exact(text.to_owned()),
            });
        }
        let literal = |token: &Token| match token {
            Token::Exactly(character) => Some(*character),
            _ => None,
        };
        let prefix = tokens.iter().map_while(literal).collect();
        Some(Self::Tokens(Tokens { tokens, prefix }))
    }

    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(own) => own == path,
            Self::Suffix(suffix) => {
                path.ends_with(suffix) || suffix.strip_prefix('/') == Some(path)
            }
            Self::Tokens(tokens) => path.starts_with(&tokens.prefix) && tokens.run(path).0,
        }
    }

    /// Whether it can match a path below a folder.
    pub fn may_match_below(&self, folder: &str) -> bool {
        let below =
            |path: &str| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        match self {
            _ if folder.is_empty() => true,
            Self::Exact(own) => below(own),
            Self::Suffix(_) => true,
            Self::Tokens(tokens) => {
                (below(&tokens.prefix) || format!("{folder}/").starts_with(&tokens.prefix))
                    && tokens.run(&format!("{folder}/")).1
            }
        }
    }

    pub fn is_everything(&self) -> bool {
        match self {
            Self::Exact(_) => false,
            Self::Suffix(suffix) => suffix.is_empty(),
            Self::Tokens(tokens) => {
                matches!(tokens.tokens[..], [Token::Many] | [Token::Folders, Token::Many])
            }
        }
    }
}

/// Reads a class behind its `[`.
fn class(characters: &mut Peekable<Chars<'_>>) -> Option<Token> {
    let negated = characters.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        if !ranges.is_empty() && characters.next_if_eq(&']').is_some() {
            return Some(Token::Class { negated, ranges });
        }
        let low = bound(characters)?;
        let high = match characters.next_if_eq(&'-') {
            Some(_) => bound(characters)?,
            None => low,
        };
        if low > high {
            return None;
        }
        ranges.push((low, high));
    }
}

/// One end of a range, or a single character.
fn bound(characters: &mut Peekable<Chars<'_>>) -> Option<char> {
    match characters.next()? {
        '-' | ']' => None,
        '\\' => characters.next(),
        other => Some(other),
    }
}

impl Token {
    /// Whether it takes a character. Not asked of what takes several.
    fn takes(&self, character: char) -> bool {
        match self {
            Self::Exactly(own) => *own == character,
            Self::One | Self::Many => character != '/',
            Self::Class { negated, ranges } => {
                let inside = ranges.iter().any(|(low, high)| (*low..=*high).contains(&character));
                inside != *negated
            }
            Self::Folders | Self::Rest => true,
        }
    }
}

impl Tokens {
    /// Reads a path from left to right, all ways to match at once: whether one of them matches it whole, and whether one
    /// could match something longer.
    fn run(&self, path: &str) -> (bool, bool) {
        let end = path.len();
        // where the tokens so far can end
        let mut here = vec![false; end + 1];
        let mut next = vec![false; end + 1];
        here[0] = true;
        let mut longer = false;
        for token in &self.tokens {
            next.fill(false);
            // whether a token that takes several characters is taking them
            let mut running = false;
            let mut any = false;
            for (at, character) in
                path.char_indices().map(|(at, c)| (at, Some(c))).chain([(end, None)])
            {
                running |= here[at];
                let width = character.map_or(0, char::len_utf8);
                match token {
                    Token::Many => {
                        next[at] |= running;
                        running &= character.is_some_and(|c| token.takes(c));
                    }
                    Token::Rest => next[at] |= running,
                    Token::Folders => {
                        next[at] |= here[at];
                        if running && character == Some('/') {
                            next[at + 1] = true;
                        }
                    }
                    _ => {
                        if here[at] && character.is_some_and(|c| token.takes(c)) {
                            next[at + width] = true;
                        }
                    }
                }
                any |= next[at];
            }
            // at the end of the path with this token still to come or still taking
            longer |= here[end]
                || (running && matches!(token, Token::Many | Token::Rest | Token::Folders));
            std::mem::swap(&mut here, &mut next);
            if !any {
                return (false, longer);
            }
        }
        (here[end], longer)
    }
}
