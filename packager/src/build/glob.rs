//! Patterns of `COPY` and `ADD`: Go's `path/filepath.Match`. With `--parents` `**` stands for any number of directories;
//! else it is what `*` is.

/// Whether a pattern has anything but plain characters.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// Whether the pattern matches the whole of a path (neither begins with a slash). `deep`: it knows `**`.
pub fn matches(pattern: &str, path: &[u8], deep: bool) -> Result<bool, Invalid> {
    let pattern: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    let path: Vec<&[u8]> = path.split(|b| *b == b'/').filter(|part| !part.is_empty()).collect();
    all(&pattern, &path, deep)
}

/// Whether something below a directory could match: what need not be walked is not.
pub fn may_match_below(pattern: &str, directory: &[u8], deep: bool) -> bool {
    let mut pattern = pattern.split('/').filter(|part| !part.is_empty());
    for part in directory.split(|b| *b == b'/').filter(|part| !part.is_empty()) {
        match pattern.next() {
            None => return false,
            Some("**") if deep => return true,
            Some(one) if !component(one, part).unwrap_or(true) => return false,
            Some(_) => {}
        }
    }
    pattern.next().is_some()
}

/// The pattern is malformed: an open `[`, a range without end, a trailing backslash.
#[derive(Debug, PartialEq, Eq)]
pub struct Invalid;

fn all(pattern: &[&str], path: &[&[u8]], deep: bool) -> Result<bool, Invalid> {
    let Some((first, rest)) = pattern.split_first() else { return Ok(path.is_empty()) };
    if deep && *first == "**" {
        for skip in 0..=path.len() {
            if all(rest, &path[skip..], deep)? {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    match path.split_first() {
        Some((name, below)) => Ok(component(first, name)? && all(rest, below, deep)?),
        None => {
            // a malformed pattern is reported whatever there is to match
            component(first, b"")?;
            Ok(false)
        }
    }
}

/// One name against one part of a pattern. The usual two pointers: on a mismatch the last `*` takes one more.
fn component(pattern: &str, name: &[u8]) -> Result<bool, Invalid> {
    let name = String::from_utf8_lossy(name);
    let name: Vec<char> = name.chars().collect();
    let tokens = tokens(pattern)?;
    let (mut at, mut token) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while at < name.len() {
        match tokens.get(token) {
            Some(Token::Star) => {
                star = Some((token, at));
                token += 1;
            }
            Some(one) if one.takes(name[at]) => {
                at += 1;
                token += 1;
            }
            _ => match &mut star {
                Some((of, from)) => {
                    *from += 1;
                    (at, token) = (*from, *of + 1);
                }
                None => return Ok(false),
            },
        }
    }
    Ok(tokens[token..].iter().all(|token| *token == Token::Star))
}

#[derive(Debug, PartialEq)]
enum Token {
    Star,
    Any,
    Char(char),
    Class { negated: bool, ranges: Vec<(char, char)> },
}

impl Token {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => true,
            Self::Char(own) => *own == c,
            Self::Class { negated, ranges } => {
                ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated
            }
        }
    }
}

fn tokens(pattern: &str) -> Result<Vec<Token>, Invalid> {
    let mut chars = pattern.chars().peekable();
    let mut tokens = Vec::new();
    while let Some(c) = chars.next() {
        tokens.push(match c {
            '*' => Token::Star,
            '?' => Token::Any,
            '\\' => Token::Char(chars.next().ok_or(Invalid)?),
            '[' => {
                let negated = chars.next_if_eq(&'^').is_some();
                let mut ranges = Vec::new();
                while ranges.is_empty() || chars.peek() != Some(&']') {
                    let low = class_char(&mut chars)?;
                    let high = match chars.next_if_eq(&'-') {
                        Some(_) => class_char(&mut chars)?,
                        None => low,
                    };
                    ranges.push((low, high));
                }
                chars.next();
                Token::Class { negated, ranges }
            }
            c => Token::Char(c),
        });
    }
    Ok(tokens)
}

fn class_char(chars: &mut std::iter::Peekable<std::str::Chars>) -> Result<char, Invalid> {
    match chars.next().ok_or(Invalid)? {
        '-' | ']' => Err(Invalid),
        '\\' => chars.next().ok_or(Invalid),
        c => Ok(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Go's `match_test.go`.
    #[test]
    fn as_go_has_it() {
        for (pattern, path, expected) in [
            ("abc", "abc", true),
            ("*", "abc", true),
            ("*c", "abc", true),
            ("a*", "a", true),
            ("a*", "ab/c", false),
            ("a*/b", "abc/b", true),
            ("a*/b", "a/c/b", false),
            ("a*b*c*d*e*/f", "axbxcxdxe/f", true),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
            ("a*b?c*x", "abxbbxdbxebxczzx", true),
            ("a*b?c*x", "abxbbxdbxebxczzy", false),
            ("ab[c]", "abc", true),
            ("ab[b-d]", "abc", true),
            ("ab[^b-d]", "abc", false),
            ("ab[^e-g]", "abc", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "ab", false),
            ("a?b", "a☺b", true),
            ("a[^a]b", "a☺b", true),
            ("[a-ζ]*", "α", true),
            ("a?b", "a/b", false),
            ("a*b", "a/b", false),
            ("[\\]a]", "]", true),
            ("[x\\-]", "-", true),
            ("*x", "xxx", true),
            ("**/*.txt", "a/b/c.txt", true),
            ("**/*.txt", "c.txt", true),
            ("a/**", "a/b/c", true),
            ("a/**/z", "a/z", true),
        ] {
            assert_eq!(matches(pattern, path.as_bytes(), true), Ok(expected), "{pattern} {path}");
        }
        for pattern in ["[]a]", "[-]", "[x-]", "[a-b-c]", "[", "[^", "[^bc", "a[", "\\"] {
            assert_eq!(matches(pattern, b"ax", true), Err(Invalid), "{pattern}");
        }
    }

    #[test]
    fn walks_only_where_it_must() {
        assert!(may_match_below("a*/b", b"abc", true));
        assert!(!may_match_below("a*/b", b"b", true));
        assert!(!may_match_below("*.txt", b"a", true));
        assert!(may_match_below("x/**/c", b"x/y/z", true));
        assert!(!may_match_below("x/**/c", b"x/y/z", false));
    }

    #[test]
    fn two_stars_are_one_unless_deep() {
        for (path, expected) in [("src/a", true), ("src", false), ("src/a/x", false)] {
            assert_eq!(matches("src/**", path.as_bytes(), false), Ok(expected), "{path}");
        }
    }
}
