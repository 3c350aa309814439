//! `name=value,name=value`: one line of comma-separated values (RFC 4180), as Docker takes it.

use crate::error::Failure;
use std::collections::BTreeMap;

/// The fields of one option.
#[derive(Debug)]
pub struct Fields<'a> {
    option: &'static str,
    text: &'a str,
    fields: Vec<(String, Option<String>)>,
}

impl<'a> Fields<'a> {
    /// `option` is for messages: `--output`.
    pub fn parse(option: &'static str, text: &'a str) -> Result<Self, Failure> {
        let fields = split(text)
            .ok_or_else(|| {
                Failure::usage(format!("{option} {text:?} has an open quotation mark"))
                    .hint("quote a whole field: \"dest=a,b\"")
            })?
            .into_iter()
            .filter(|field| !field.is_empty())
            .map(|field| match field.split_once('=') {
                Some((name, value)) => (name.trim().to_ascii_lowercase(), Some(value.to_owned())),
                None => (field, None),
            });
        Ok(Self { option, text, fields: fields.collect() })
    }

    /// Takes the value of a field that may have several names; the last one given counts.
    pub fn take(&mut self, names: &[&str]) -> Option<String> {
        let mut found = None;
        self.fields.retain(|(name, value)| match value {
            Some(value) if names.contains(&name.as_str()) => {
                found = Some(value.clone());
                false
            }
            _ => true,
        });
        found
    }

    /// A field without a value, or one whose value is true.
    pub fn take_switch(&mut self, name: &str) -> Result<Option<bool>, Failure> {
        let before = self.fields.len();
        self.fields.retain(|(known, value)| known != name || value.is_some());
        if self.fields.len() < before {
            return Ok(Some(true));
        }
        let Some(value) = self.take(&[name]) else { return Ok(None) };
        match crate::args::usage::switch_value(&value) {
            Some(on) => Ok(Some(on)),
            None => Err(self.wrong(format!("{name}={value}")).hint("write true or false")),
        }
    }

    /// The only field, if it has no name.
    pub fn bare(&self) -> Option<&str> {
        match self.fields.as_slice() {
            [(word, None)] => Some(word),
            _ => None,
        }
    }

    /// A value that is needed.
    pub fn need(&mut self, names: &[&str]) -> Result<String, Failure> {
        self.take(names).filter(|value| !value.is_empty()).ok_or_else(|| {
            let name = names.first().copied().unwrap_or_default();
            Failure::usage(format!("{} {:?} lacks {name}=…", self.option, self.text))
        })
    }

    /// What has not been taken is unknown.
    pub fn end(self, known: &str) -> Result<(), Failure> {
        match self.fields.first() {
            None => Ok(()),
            Some((name, _)) => {
                Err(self.wrong(name.clone()).hint(format!("the fields are {known}")))
            }
        }
    }

    pub fn wrong(&self, what: impl std::fmt::Display) -> Failure {
        Failure::usage(format!("{} {:?}: {what} has no meaning here", self.option, self.text))
    }
}

/// `None` if a quotation mark is never closed.
fn split(text: &str) -> Option<Vec<String>> {
    let mut fields = vec![String::new()];
    let (mut quoted, mut characters) = (false, text.chars().peekable());
    while let Some(character) = characters.next() {
        let field = fields.last_mut()?;
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            ',' if !quoted => fields.push(String::new()),
            other => field.push(other),
        }
    }
    (!quoted).then_some(fields)
}

/// `NAME=VALUE`, `NAME` has an empty value.
pub fn labels(texts: &[String]) -> BTreeMap<String, String> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (text.clone(), String::new()),
    };
    texts.iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotation_marks_as_in_csv() {
        assert_eq!(split(r#"a=1,"b=2,3",c="x""#).unwrap(), ["a=1", "b=2,3", "c=\"x\""]);
        assert_eq!(split(r#""a ""b""",c"#).unwrap(), ["a \"b\"", "c"]);
        assert!(split(r#""a"#).is_none());
        let fields = Fields::parse("--output", "out,dir");
        assert_eq!(fields.unwrap().bare(), None);
    }
}
