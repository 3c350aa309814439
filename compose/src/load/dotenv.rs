//! Files of variables: `.env`, `env_file`, `label_file`.

use std::collections::BTreeMap;

use super::error::{Error, short};
use super::template::{Failure, Variables, substitute};

pub(crate) type Map = BTreeMap<String, String>;

/// Bytes of all values of one file together: each may hold the ones before.
const LENGTH: usize = 32 << 20;

/// Looks variables up for a file that is being read: in one's own places, then in what the file has set so far.
pub(crate) struct Scope<'a> {
    pub lookup: &'a dyn Fn(&str) -> Option<String>,
    /// Hears of the variables that are not set.
    pub unset: &'a mut dyn FnMut(&str),
}

struct Known<'a, 'b> {
    scope: &'a mut Scope<'b>,
    set: &'a Map,
}

impl Variables for Known<'_, '_> {
    fn get(&self, name: &str) -> Option<String> {
        (self.scope.lookup)(name).or_else(|| self.set.get(name).cloned())
    }

    fn unset(&mut self, name: &str) {
        (self.scope.unset)(name);
    }
}

/// Reads a file of `NAME=value` with quotes, comments, escapes and variables, as Compose does, and adds to `out`.
pub(crate) fn read(text: &str, file: &str, out: &mut Map, scope: &mut Scope) -> Result<(), Error> {
    let mut left = LENGTH;
    let mut reader = Reader { file, whole: text, rest: text.trim_start_matches('\u{feff}') };
    while reader.seek_statement() {
        let Some(name) = reader.name()? else { continue };
        let (name, has_value) = name;
        if name.contains(' ') {
            return Err(reader.error(format!("a name cannot have a space in it: '{name}'")));
        }
        if !has_value {
            if let Some(value) = (scope.lookup)(&name) {
                out.insert(name, value);
            }
            continue;
        }
        let value = reader.value(out, scope)?;
        left = match left.checked_sub(value.len()) {
            Some(left) => left,
            None => {
                return Err(reader.error("the values are too long, with their variables".into()));
            }
        };
        out.insert(name, value);
    }
    Ok(())
}

/// Reads a file of `NAME=value` in which every character stands for itself (`format: raw`), and adds to `out`.
pub(crate) fn read_raw(
    text: &str,
    file: &str,
    out: &mut Map,
    scope: &mut Scope,
) -> Result<(), Error> {
    for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let error =
            |message: String| Error::EnvFile { file: file.to_owned(), line: index + 1, message };
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (line, (scope.lookup)(line)),
        };
        if name.is_empty() {
            return Err(error("there is no name before the '='".into()));
        }
        if name.contains(char::is_whitespace) {
            return Err(error(format!("a name cannot have a space in it: '{name}'")));
        }
        if let Some(value) = value {
            out.insert(name.to_owned(), value);
        }
    }
    Ok(())
}

struct Reader<'a> {
    file: &'a str,
    whole: &'a str,
    rest: &'a str,
}

/// A blank that does not end a line.
fn is_blank(c: char) -> bool {
    matches!(c, '\t' | '\x0b' | '\x0c' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

impl Reader<'_> {
    fn line(&self) -> usize {
        let read = self.whole.len() - self.rest.len();
        self.whole[..read].matches('\n').count() + 1
    }

    fn error(&self, message: String) -> Error {
        Error::EnvFile { file: self.file.to_owned(), line: self.line(), message }
    }

    /// Goes to what is neither blank nor a comment; false at the end.
    fn seek_statement(&mut self) -> bool {
        loop {
            self.rest = self.rest.trim_start();
            if !self.rest.starts_with('#') {
                return !self.rest.is_empty();
            }
            self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
        }
    }

    /// Reads a name, and whether a value follows.
    fn name(&mut self) -> Result<Option<(String, bool)>, Error> {
        if let Some(rest) = self.rest.strip_prefix("export")
            && rest.starts_with(char::is_whitespace)
        {
            self.rest = rest.trim_start_matches(is_blank);
        }
        for (at, c) in self.rest.char_indices() {
            match c {
                '=' | ':' | '\n' => {
                    let name = self.rest[..at].trim_end().to_owned();
                    self.rest = &self.rest[at..];
                    if c != '\n' {
                        self.rest = self.rest[1..].trim_start_matches(is_blank);
                    }
                    return Ok(Some((name, c != '\n')));
                }
                '_' | '.' | '-' | '[' | ']' => {}
                _ if is_blank(c) || c.is_alphanumeric() => {}
                _ => {
                    let line = self.rest.lines().next().unwrap_or_default();
                    return Err(self.error(format!("unexpected '{c}' in a name: {}", short(line))));
                }
            }
        }
        let name = std::mem::take(&mut self.rest).trim_end().to_owned();
        Ok((!name.is_empty()).then_some((name, false)))
    }

    fn value(&mut self, set: &Map, scope: &mut Scope) -> Result<String, Error> {
        let Some(quote) = self.rest.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
            let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
            let value = line.split_once(" #").map_or(line, |(value, _)| value).trim_end();
            let value = self.expand(value, set, scope)?;
            self.rest = rest;
            return Ok(value);
        };
        let mut value = String::new();
        let mut escaped = false;
        let mut end = None;
        for (at, c) in self.rest.char_indices().skip(1) {
            if c == quote && !escaped {
                end = Some(at + 1);
                break;
            }
            if c == '\\' && !escaped {
                escaped = true;
                continue;
            }
            if std::mem::take(&mut escaped) && c != quote {
                value.push('\\');
            }
            value.push(c);
        }
        let Some(end) = end else {
            let line = self.rest.lines().next().unwrap_or_default();
            return Err(self.error(format!("the quote is not closed: {}", short(line))));
        };
        if quote == '"' {
            value = self.expand(&unescape(&value), set, scope)?;
        }
        self.rest = &self.rest[end..];
        Ok(value)
    }

    fn expand(&self, value: &str, set: &Map, scope: &mut Scope) -> Result<String, Error> {
        substitute(value, &mut Known { scope, set }).map_err(|failure| match failure {
            Failure::Invalid => {
                self.error(format!("'{}' has a '${{' that begins no variable", short(value)))
            }
            Failure::TooMuch => self.error("the value is too long, with its variables".into()),
            Failure::Required { name, reason } => {
                Error::EnvFileRequired { file: self.file.to_owned(), name, reason }
            }
        })
    }
}

/// The escapes of a value in double quotes: those of Go, octal ones with a `0` in front, and `\$`.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some(c) = rest.chars().next() else {
            out.push('\\');
            break;
        };
        let plain = match c {
            'a' => "\x07",
            'b' => "\x08",
            'f' => "\x0c",
            'n' => "\n",
            'r' => "\r",
            't' => "\t",
            'v' => "\x0b",
            '"' => "\"",
            '\\' => "\\",
            // a variable does not begin here
            '$' => "$$",
            '0' => {
                let digits = rest[1..].bytes().take(3).take_while(u8::is_ascii_digit).count();
                let octal = &rest[1..1 + digits];
                match u8::from_str_radix(octal, 8) {
                    Ok(byte) if digits == 3 => out.push(char::from(byte)),
                    _ => {
                        out.push('\\');
                        out.push_str(octal);
                    }
                }
                rest = &rest[1 + digits..];
                continue;
            }
            _ => {
                out.push('\\');
                continue;
            }
        };
        out.push_str(plain);
        rest = &rest[1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::{Map, Scope, read, read_raw};

    fn parse(text: &str, raw: bool) -> Result<Map, String> {
        let mut out = Map::new();
        let lookup = |name: &str| (name == "HOME").then(|| "/root".to_owned());
        let mut scope = Scope { lookup: &lookup, unset: &mut |_| {} };
        let result = match raw {
            true => read_raw(text, "f", &mut out, &mut scope),
            false => read(text, "f", &mut out, &mut scope),
        };
        result.map(|()| out).map_err(|error| error.to_string())
    }

    #[test]
    fn values_are_read_as_compose_does() {
        let rows = [
            ("A=1", "1"),
            ("export A=1", "1"),
            ("A: 1", "1"),
            ("A = 1 # c", "1"),
            ("A=1#c", "1#c"),
            ("A='$HOME \\n'", "$HOME \\n"),
            ("A=\"$HOME\\n\\$HOME\"", "/root\n$HOME"),
            ("A=$HOME/${B:-b}", "/root/b"),
            ("A=\"x\ny\" # c\nC=2", "x\ny"),
            ("A=\"a\\\"b\"", "a\"b"),
            ("A=\"\\0123\"", "S"),
            ("B=2\nA=$B", "2"),
            ("# c\n\nA=", ""),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text, false).unwrap()["A"], expected, "{text}");
        }
        assert_eq!(parse("HOME\nX\n", false).unwrap().len(), 1);
        for text in ["A B=1", "A=\"x", "A!=1", "A=${"] {
            assert!(parse(text, false).is_err(), "{text}");
        }
    }

    #[test]
    fn raw_values_stand_for_themselves() {
        let map = parse("A='$X' # c\n#B=1\nHOME\nY\n", true).unwrap();
        assert_eq!(map["A"], "'$X' # c");
        assert_eq!(map["HOME"], "/root");
        assert_eq!(map.len(), 2);
        assert!(parse("A B=1", true).is_err());
    }
}
