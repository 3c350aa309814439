//! Variables, quotes and escapes in words: the shell's ways, as far as BuildKit has them.

mod output;
mod pattern;
mod shell;
mod walk;

use super::ast::{Dockerfile, Heredoc, Instruction};
use super::error::{Error, Problem, Result};
use super::source::{Source, Span, Word};
use std::collections::BTreeMap;

pub(super) use shell::raw_words;

/// The variables that are set where an instruction stands, and the language of the file it stands in.
#[derive(Debug, Clone)]
pub struct Scope {
    source: Source,
    escape: char,
    values: BTreeMap<String, String>,
}

impl Scope {
    /// Nothing is set yet.
    pub fn new(dockerfile: &Dockerfile) -> Self {
        Self {
            source: dockerfile.source.clone(),
            escape: dockerfile.directives.escape,
            values: BTreeMap::new(),
        }
    }

    /// Nothing is set, for what holds no variables.
    pub(super) fn bare(source: &Source) -> Self {
        Self { source: source.clone(), escape: '\\', values: BTreeMap::new() }
    }

    /// The same variables for an instruction of another source: an `ONBUILD` that a base image carries.
    pub fn for_trigger(&self, source: &Source) -> Self {
        Self { source: source.clone(), escape: '\\', values: self.values.clone() }
    }

    pub fn set(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.values.insert(name.into(), value.into());
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The variables in alphabetical order.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// An error at a place of the file that the scope is of.
    pub fn error(&self, span: Span, problem: Problem) -> Error {
        Error::new(&self.source, span, problem)
    }
}

/// What a word means, and which variables it took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expansion {
    pub text: String,
    /// Variables that were set, each once.
    pub used: Vec<String>,
    /// Variables that were not set, each once, also those with a default.
    pub undefined: Vec<String>,
}

/// Replaces variables, and takes quotes and escapes away.
pub fn expand(word: &Word, scope: &Scope) -> Result<Expansion> {
    shell::expand(word, scope, shell::Mode::WORD).map(|(expansion, _)| expansion)
}

/// Like [`expand`], then splits where an unquoted blank is, also one that came from a variable.
pub fn split(word: &Word, scope: &Scope) -> Result<Vec<String>> {
    shell::expand(word, scope, shell::Mode::WORD).map(|(_, words)| words)
}

/// Whether a text has nothing in it that expansion would change.
pub(super) fn is_plain(text: &str) -> bool {
    let scope = Scope::bare(&Source::new("", ""));
    let word = Word::new(text.to_owned(), Span::default());
    expand(&word, &scope).is_ok_and(|expansion| expansion.text == text)
}

/// Replaces the variables in a document, if its terminator is not quoted. Quotes stay.
pub fn document(document: &Heredoc, scope: &Scope) -> Result<Expansion> {
    match document.expand {
        false => Ok(Expansion { text: document.content.value.clone(), ..Expansion::default() }),
        true => shell::expand(&document.content, scope, shell::Mode::DOCUMENT)
            .map(|(expansion, _)| expansion),
    }
}

impl Instruction {
    /// The instruction with its words expanded: every word is now plain text. `ARG` is left alone, because what is
    /// given on the command line comes before a default, and one default may use the argument before it. Mounts of a
    /// `RUN` are left to [`super::ast::MountFlag::resolve`].
    ///
    /// All pairs of an `ENV` see the variables as they were before it.
    pub fn expanded(&self, scope: &Scope) -> Result<Self> {
        let mut instruction = self.clone();
        walk::words(&mut instruction, &mut |place| {
            match place {
                walk::Place::Word(word) => word.value = expand(word, scope)?.text,
                walk::Place::Document(heredoc) => {
                    heredoc.content.value = document(heredoc, scope)?.text;
                    heredoc.expand = false;
                }
                walk::Place::Split(words) => {
                    let mut all = Vec::new();
                    for word in words.iter() {
                        all.extend(
                            split(word, scope)?.into_iter().map(|text| Word::new(text, word.span)),
                        );
                    }
                    *words = all;
                }
            }
            Ok(())
        })?;
        Ok(instruction)
    }

    /// The variables that its words name and the scope doesn't have, with the word that names each.
    pub fn undefined(&self, scope: &Scope) -> Result<Vec<(String, Span)>> {
        let mut missing = Vec::new();
        let mut note = |expansion: Expansion, span| {
            missing.extend(expansion.undefined.into_iter().map(|name| (name, span)));
        };
        walk::words(&mut self.clone(), &mut |place| {
            match place {
                walk::Place::Word(word) => note(expand(word, scope)?, word.span),
                walk::Place::Document(heredoc) => {
                    note(document(heredoc, scope)?, heredoc.operator.span)
                }
                walk::Place::Split(words) => {
                    for word in words.iter() {
                        note(expand(word, scope)?, word.span);
                    }
                }
            }
            Ok(())
        })?;
        Ok(missing)
    }
}

#[cfg(test)]
mod tests;
