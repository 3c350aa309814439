//! Variables in text: `$NAME`, `${NAME}`, and `${NAME:-…}` with its kin.

use std::collections::BTreeMap;

/// A text with its variables replaced, or why not.
pub(crate) enum Failure {
    /// A `${` that begins no variable.
    Invalid,
    /// `${NAME:?reason}`, and there is none.
    Required { name: String, reason: String },
    /// More text than there may be.
    TooMuch,
}

/// Where variables come from, and who hears of those that are not set.
pub(crate) trait Variables {
    fn get(&self, name: &str) -> Option<String>;
    fn unset(&mut self, name: &str);
}

/// Nested defaults go down by recursion.
const DEPTH: usize = 50;
/// Bytes of one text after replacing.
const LENGTH: usize = 8 << 20;

/// Replaces the variables of a text.
pub(crate) fn substitute(text: &str, variables: &mut dyn Variables) -> Result<String, Failure> {
    expand(text, variables, 0)
}

fn expand(text: &str, variables: &mut dyn Variables, depth: usize) -> Result<String, Failure> {
    if depth > DEPTH {
        return Err(Failure::TooMuch);
    }
    let mut result = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((part, tail)) = next(rest) else {
            if rest.starts_with('{') {
                return Err(Failure::Invalid);
            }
            // a '$' before anything else stands for itself
            result.push('$');
            continue;
        };
        rest = tail;
        match part {
            Part::Dollar => result.push('$'),
            Part::Plain(name) => {
                let value = variables.get(name);
                if value.is_none() {
                    variables.unset(name);
                }
                result.push_str(&value.unwrap_or_default());
            }
            Part::Braced { name, rule, word } => {
                let value = replace(name, rule, word, variables, depth)?;
                result.push_str(&value);
            }
        }
        if result.len() > LENGTH {
            return Err(Failure::TooMuch);
        }
    }
    result.push_str(rest);
    Ok(result)
}

fn replace(
    name: &str,
    rule: Rule,
    word: &str,
    variables: &mut dyn Variables,
    depth: usize,
) -> Result<String, Failure> {
    let value = variables.get(name);
    let counts = value.as_ref().is_some_and(|value| !(rule.empty_is_unset && value.is_empty()));
    match (rule.kind, counts) {
        ('-', false) | ('+', true) => expand(word, variables, depth + 1),
        ('?', false) => {
            let reason = expand(word, variables, depth + 1)?;
            Err(Failure::Required { name: name.to_owned(), reason })
        }
        _ => Ok(value.unwrap_or_default()),
    }
}

/// What follows a `$`.
#[derive(Debug, PartialEq)]
enum Part<'a> {
    Dollar,
    Plain(&'a str),
    Braced { name: &'a str, rule: Rule, word: &'a str },
}

/// One of `-`, `?`, `+`; with a `:` before it, an empty value counts as none.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rule {
    kind: char,
    empty_is_unset: bool,
}

/// Reads what follows a `$`, and gives back what is after it.
fn next(text: &str) -> Option<(Part<'_>, &str)> {
    if let Some(rest) = text.strip_prefix('$') {
        return Some((Part::Dollar, rest));
    }
    let Some(inside) = text.strip_prefix('{') else {
        let (name, rest) = name(text)?;
        return Some((Part::Plain(name), rest));
    };
    let (name, after) = name(inside)?;
    if let Some(rest) = after.strip_prefix('}') {
        return Some((Part::Plain(name), rest));
    }
    let (empty_is_unset, after) = match after.strip_prefix(':') {
        Some(after) => (true, after),
        None => (false, after),
    };
    let kind = after.chars().next().filter(|c| matches!(c, '-' | '?' | '+'))?;
    let body = &after[1..];
    // a word ends on its line
    let line = &body[..body.find('\n').unwrap_or(body.len())];
    let end = closing(line).or_else(|| line.rfind('}'))?;
    let rule = Rule { kind, empty_is_unset };
    Some((Part::Braced { name, rule, word: &line[..end] }, &body[end + 1..]))
}

fn name(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let first = text.chars().next().filter(|c| c.is_ascii_alphabetic() || *c == '_');
    first.map(|_| text.split_at(end))
}

/// The brace that closes the one before this text. Braces inside must match; what follows an opening one does not
/// count, so that `${A:-{}}` is `{}` when A is not set.
fn closing(text: &str) -> Option<usize> {
    let mut open = 1;
    let mut skip = false;
    for (at, byte) in text.bytes().enumerate() {
        if std::mem::take(&mut skip) {
            continue;
        }
        match byte {
            b'}' => {
                open -= 1;
                if open == 0 {
                    return Some(at);
                }
            }
            b'{' => {
                open += 1;
                skip = true;
            }
            _ => {}
        }
    }
    None
}

/// A variable that a file uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variable {
    pub name: String,
    /// It must be set.
    pub required: bool,
    /// What stands in for it if it is not set.
    pub default: String,
    /// What stands in for it if it is set.
    pub alternate: String,
}

/// Adds the variables of a text, and those in their defaults.
pub(crate) fn variables(text: &str, found: &mut BTreeMap<String, Variable>) {
    collect(text, found, 0);
}

fn collect(text: &str, found: &mut BTreeMap<String, Variable>, depth: usize) {
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let Some((part, tail)) = next(&rest[at + 1..]) else {
            rest = &rest[at + 1..];
            continue;
        };
        rest = tail;
        let mut variable = Variable::default();
        let word = match part {
            Part::Dollar => continue,
            Part::Plain(name) => {
                variable.name = name.to_owned();
                ""
            }
            Part::Braced { name, rule, word } => {
                variable.name = name.to_owned();
                match rule.kind {
                    '-' => variable.default = word.to_owned(),
                    '+' => variable.alternate = word.to_owned(),
                    _ => variable.required = true,
                }
                if rule.kind == '?' { "" } else { word }
            }
        };
        found.insert(variable.name.clone(), variable);
        if depth < DEPTH {
            collect(word, found, depth + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Variables, substitute};

    struct Fixed(Vec<String>);

    impl Variables for Fixed {
        fn get(&self, name: &str) -> Option<String> {
            match name {
                "A" => Some("a".into()),
                "EMPTY" => Some(String::new()),
                _ => None,
            }
        }

        fn unset(&mut self, name: &str) {
            self.0.push(name.to_owned());
        }
    }

    #[test]
    fn variables_are_replaced() {
        let rows = [
            ("$A ${A} $$A $UNSET.", "a a $A ."),
            ("${A:-x} ${EMPTY:-x} ${EMPTY-x} ${N:-x} ${N-x}", "a x  x x"),
            ("${A:+x} ${EMPTY:+x} ${EMPTY+x} ${N+x}", "x  x "),
            ("${N:-${A}b} ${N:-${M:-c}}", "ab c"),
            ("${N:-{}}", "{}"),
            ("${N:-{\"a\":1}}", "{\"a\":1}"),
            ("${N:-a}${N:-b}", "ab"),
            ("${N:-a:-b} ${A:?no}", "a:-b a"),
            ("$ $1 a$", "$ $1 a$"),
        ];
        for (text, expected) in rows {
            let result = substitute(text, &mut Fixed(Vec::new()));
            assert_eq!(result.ok().as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in ["${}", "${A", "${A!x}", "${N:-a\nb}", "${1}"] {
            let result = substitute(text, &mut Fixed(Vec::new()));
            assert!(matches!(result, Err(Failure::Invalid)), "{text}");
        }
        let result = substitute("${N:?set $A}", &mut Fixed(Vec::new()));
        let Err(Failure::Required { name, reason }) = result else { panic!("not required") };
        assert_eq!((name.as_str(), reason.as_str()), ("N", "set a"));
    }
}
