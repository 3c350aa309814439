//! A shell's patterns, as `${name#pattern}` takes them: `*`, `?`, and no brackets.

/// A pattern, read.
#[derive(Debug)]
pub struct Pattern(Vec<Token>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// `*`: any text within a line.
    Any,
    /// `?`: any character but a line end.
    One,
    Exactly(char),
}

impl Token {
    fn takes(self, character: char) -> bool {
        match self {
            Self::Any | Self::One => character != '\n',
            Self::Exactly(own) => own == character,
        }
    }
}

impl Pattern {
    /// Fails with the character that may not be escaped, `None` at the end. `}` and `/` lose their escape, which they
    /// needed only to stand inside of `${}`.
    pub fn parse(text: &str) -> Result<Self, Option<char>> {
        let mut tokens = Vec::new();
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let token = match character {
                '*' => Token::Any,
                '?' => Token::One,
                '\\' => match characters.next() {
                    Some(escaped @ ('*' | '?' | '\\' | '}' | '/')) => Token::Exactly(escaped),
                    other => return Err(other),
                },
                other => Token::Exactly(other),
            };
            if token != Token::Any || tokens.last() != Some(&Token::Any) {
                tokens.push(token);
            }
        }
        Ok(Self(tokens))
    }

    pub fn without_prefix(&self, value: &str, longest: bool) -> String {
        let value: Vec<_> = value.chars().collect();
        let end = ends(&self.0, &value, longest).unwrap_or(0);
        value[end..].iter().collect()
    }

    pub fn without_suffix(&self, value: &str, longest: bool) -> String {
        let tokens: Vec<_> = self.0.iter().rev().copied().collect();
        let value: Vec<_> = value.chars().rev().collect();
        let end = ends(&tokens, &value, longest).unwrap_or(0);
        value[end..].iter().rev().collect()
    }

    /// Replaces the first match, or all, each the leftmost and then the longest. `None` if the result would be larger
    /// than `limit` bytes. An empty pattern matches between all characters.
    pub fn replace(&self, value: &str, text: &str, all: bool, limit: usize) -> Option<String> {
        let value: Vec<_> = value.chars().collect();
        let mut result = String::new();
        let mut at = 0;
        // an empty match right behind a match is none
        let mut behind_match = false;
        while at <= value.len() {
            if let Some(length) = ends(&self.0, &value[at..], true) {
                if length > 0 || !behind_match {
                    result.push_str(text);
                }
                behind_match = length > 0;
                at += length;
                if !all {
                    break;
                }
                if length > 0 {
                    continue;
                }
            } else if self.0.first() == Some(&Token::Any) {
                // the star would have found it from here as well as from any later character of the line
                let line =
                    value[at..].iter().position(|c| *c == '\n').map_or(value.len(), |end| at + end);
                result.extend(&value[at..line]);
                at = line;
            }
            result.extend(value.get(at));
            at += 1;
            behind_match = false;
            if result.len() > limit {
                return None;
            }
        }
        result.extend(value.get(at..).unwrap_or_default());
        (result.len() <= limit).then_some(result)
    }
}

/// Where a match that begins at the start ends: the nearest such place, or the farthest.
fn ends(tokens: &[Token], value: &[char], longest: bool) -> Option<usize> {
    // all places where a match of the tokens so far can end, ascending
    let mut places = vec![0];
    for token in tokens {
        let mut next = Vec::new();
        for place in places {
            match token {
                Token::Any => {
                    if next.last().is_none_or(|last| *last < place) {
                        next.push(place);
                    }
                    let mut end = next.last().copied().unwrap_or(place);
                    while value.get(end).is_some_and(|c| token.takes(*c)) {
                        end += 1;
                        next.push(end);
                    }
                }
                _ if value.get(place).is_some_and(|c| token.takes(*c)) => next.push(place + 1),
                _ => {}
            }
        }
        places = next;
        if places.is_empty() {
            return None;
        }
    }
    if longest { places.last().copied() } else { places.first().copied() }
}
