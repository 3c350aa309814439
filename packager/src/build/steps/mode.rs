//! `--chmod`: octal, or symbolic as chmod(1) has it.

use crate::build::Error;
use knarr_core::spec::mode::parse_mode;

/// What becomes of a mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeMode {
    Set(u32),
    Symbolic(Vec<Clause>),
}

/// `go+rX`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// Which of the twelve bits it is about: `u` 0o4700, `g` 0o2070, `o` 0o1007.
    who: u32,
    /// `+`, `-` or `=`
    operator: char,
    permissions: Vec<char>,
}

impl ChangeMode {
    pub fn parse(text: &str) -> Result<Self, Error> {
        let invalid = || Error::Mode { value: text.to_owned() };
        if text.starts_with(|c: char| c.is_ascii_digit()) {
            return parse_mode(text).map(Self::Set).ok_or_else(invalid);
        }
        let mut clauses = Vec::new();
        for clause in text.split(',') {
            let at = clause.find(['+', '-', '=']).ok_or_else(invalid)?;
            let mut who = 0;
            for c in clause[..at].chars() {
                who |= match c {
                    'u' => 0o4700,
                    'g' => 0o2070,
                    'o' => 0o1007,
                    'a' => 0o7777,
                    _ => return Err(invalid()),
                };
            }
            // no umask is in the way here
            let who = if who == 0 { 0o7777 } else { who };
            let mut rest = &clause[at..];
            while let Some(operator) = rest.chars().next() {
                let body = &rest[1..];
                let end = body.find(['+', '-', '=']).unwrap_or(body.len());
                let permissions: Vec<char> = body[..end].chars().collect();
                let copies = permissions.iter().filter(|c| "ugo".contains(**c)).count();
                let known = permissions.iter().all(|c| "rwxXstugo".contains(*c));
                if !known || (copies > 0 && permissions.len() > 1) {
                    return Err(invalid());
                }
                clauses.push(Clause { who, operator, permissions });
                rest = &body[end..];
            }
        }
        Ok(Self::Symbolic(clauses))
    }

    pub fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        match self {
            Self::Set(mode) => *mode,
            Self::Symbolic(clauses) => {
                clauses.iter().fold(mode, |mode, clause| clause.apply(mode, is_directory))
            }
        }
    }
}

impl Clause {
    fn apply(&self, mode: u32, is_directory: bool) -> u32 {
        let mut bits = 0;
        for permission in &self.permissions {
            bits |= match permission {
                'r' => 0o444,
                'w' => 0o222,
                'x' => 0o111,
                'X' if is_directory || mode & 0o111 != 0 => 0o111,
                's' => 0o6000,
                't' => 0o1000,
                'u' => spread(mode >> 6),
                'g' => spread(mode >> 3),
                'o' => spread(mode),
                _ => 0,
            };
        }
        let bits = bits & self.who;
        match self.operator {
            '+' => mode | bits,
            '-' => mode & !bits,
            _ => {
                // as chmod(1): set-id bits of directories stay unless named
                let keep = if is_directory { 0o6000 & !bits } else { 0 };
                (mode & !(self.who & !keep)) | bits
            }
        }
    }
}

fn spread(bits: u32) -> u32 {
    (bits & 7) * 0o111
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(text: &str, mode: u32, is_directory: bool) -> u32 {
        ChangeMode::parse(text).unwrap().apply(mode, is_directory)
    }

    /// Compared with chmod(1) of coreutils.
    #[test]
    fn as_chmod_does() {
        for (text, before, is_directory, after) in [
            ("755", 0o600, false, 0o755),
            ("0644", 0o4755, false, 0o644),
            ("0o755", 0o600, false, 0o755),
            ("u=rwX,go=rX", 0o600, false, 0o644),
            ("u=rwX,go=rX", 0o600, true, 0o755),
            ("a+x", 0o644, false, 0o755),
            ("+x", 0o644, false, 0o755),
            ("go-rwx", 0o777, false, 0o700),
            ("u+s,g+s", 0o755, false, 0o6755),
            ("+t", 0o777, true, 0o1777),
            ("g=u", 0o740, false, 0o770),
            ("o=", 0o777, false, 0o770),
            ("u=rw+x", 0o000, false, 0o700),
            ("g-w,o=g", 0o775, false, 0o755),
        ] {
            assert_eq!(changed(text, before, is_directory), after, "{text} {before:o}");
        }
        for text in ["", "9", "77777", "u", "u=z", "k+x", "g=ur", "u=rwx,"] {
            assert!(ChangeMode::parse(text).is_err(), "{text}");
        }
    }
}
