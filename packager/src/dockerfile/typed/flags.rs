//! The flags of an instruction.

use super::super::error::{Error, Problem, Result};
use super::super::source::{Source, Span, Word};
use super::super::tree::Node;
use knarr_core::suggest::nearest;

/// The flags that an instruction has, all of them ones that it may have.
pub struct Flags<'a> {
    source: &'a Source,
    given: Vec<Flag>,
}

struct Flag {
    name: String,
    value: Option<Word>,
    span: Span,
}

impl<'a> Flags<'a> {
    pub fn read(
        source: &'a Source,
        node: &Node,
        keyword: &'static str,
        known: &'static [&'static str],
    ) -> Result<Self> {
        let mut given = Vec::with_capacity(node.flags.len());
        for flag in &node.flags {
            let text = flag.trim_start_matches('-');
            let (name, value) = match text.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (text, None),
            };
            // the place within the flag is known unless quotes or escapes were taken away
            let exact = source.slice(flag.span) == flag.as_str();
            let name_end = match exact {
                true => flag.span.end - value.map_or(0, |value| value.len() + 1),
                false => flag.span.end,
            };
            if !known.contains(&name) {
                let problem = Problem::UnknownFlag {
                    keyword,
                    flag: name.to_owned(),
                    nearest: nearest_static(name, known),
                    known,
                };
                return Err(Error::new(source, Span::new(flag.span.start, name_end), problem));
            }
            let value = value.map(|value| {
                let start = if exact { name_end + 1 } else { flag.span.start };
                Word::new(value.to_owned(), Span::new(start, flag.span.end))
            });
            given.push(Flag { name: name.to_owned(), value, span: flag.span });
        }
        Ok(Self { source, given })
    }

    /// Refuses all flags.
    pub fn none(source: &'a Source, node: &Node, keyword: &'static str) -> Result<()> {
        Self::read(source, node, keyword, &[]).map(|_| ())
    }

    fn one(&self, name: &str) -> Result<Option<&Flag>> {
        let mut given = self.given.iter().filter(|flag| flag.name == name);
        let first = given.next();
        match given.next() {
            Some(second) => Err(Error::new(
                self.source,
                second.span,
                Problem::DuplicateFlag { flag: name.to_owned() },
            )),
            None => Ok(first),
        }
    }

    fn value(&self, flag: &Flag) -> Result<Word> {
        flag.value.clone().ok_or_else(|| {
            Error::new(self.source, flag.span, Problem::FlagValue { flag: flag.name.clone() })
        })
    }

    /// The value of a flag that may be given once. An empty one counts as not given.
    pub fn text(&self, name: &str) -> Result<Option<Word>> {
        let Some(flag) = self.one(name)? else { return Ok(None) };
        Ok(Some(self.value(flag)?).filter(|value| !value.is_empty()))
    }

    /// `--name`, `--name=true` or `--name=false`.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>> {
        let Some(flag) = self.one(name)? else { return Ok(None) };
        let Some(value) = &flag.value else { return Ok(Some(true)) };
        match value.to_ascii_lowercase().as_str() {
            "true" => Ok(Some(true)),
            "false" => Ok(Some(false)),
            "" => Err(Error::new(
                self.source,
                flag.span,
                Problem::FlagValue { flag: name.to_owned() },
            )),
            _ => {
                let problem =
                    Problem::FlagBoolean { flag: name.to_owned(), value: value.value.clone() };
                Err(Error::new(self.source, value.span, problem))
            }
        }
    }

    /// The values of a flag that may be given several times.
    pub fn list(&self, name: &str) -> Result<Vec<Word>> {
        self.given.iter().filter(|flag| flag.name == name).map(|flag| self.value(flag)).collect()
    }

    /// One of some words.
    pub fn choice(
        &self,
        name: &str,
        known: &'static [&'static str],
    ) -> Result<Option<&'static str>> {
        let Some(value) = self.text(name)? else { return Ok(None) };
        match known.iter().find(|known| **known == value.as_str()) {
            Some(known) => Ok(Some(known)),
            None => {
                let problem = Problem::Choice {
                    option: format!("--{name}"),
                    value: value.value.clone(),
                    nearest: nearest_static(&value, known),
                    known,
                };
                Err(Error::new(self.source, value.span, problem))
            }
        }
    }
}

/// The nearest of some fixed words.
pub fn nearest_static(word: &str, known: &'static [&'static str]) -> Option<&'static str> {
    nearest(word, known.iter().copied())
}
