//! The comments at the top that mean something.

use super::ast::{Checks, Directives, Rules};
use super::error::{Error, Problem, Result};
use super::source::{Source, Span, Word};
use knarr_core::image::Platform;

/// Whether directives may still come, and which have been.
#[derive(Debug, Default)]
pub struct Phase {
    over: bool,
    seen: Vec<&'static str>,
}

impl Phase {
    pub fn over() -> Self {
        Self { over: true, ..Self::default() }
    }

    pub fn end(&mut self) {
        self.over = true;
    }
}

/// Reads a comment line that may be a directive; true if it is one.
pub fn read(
    source: &Source,
    start: usize,
    line: &str,
    phase: &mut Phase,
    into: &mut Directives,
) -> Result<bool> {
    if phase.over {
        return Ok(false);
    }
    let Some((name, value)) = split(line) else {
        phase.end();
        return Ok(false);
    };
    let name = match name.to_ascii_lowercase().as_str() {
        "syntax" => "syntax",
        "escape" => "escape",
        "check" => "check",
        "platforms" => "platforms",
        _ => {
            phase.end();
            return Ok(false);
        }
    };
    if name == "escape" && phase.seen.contains(&"platforms") {
        // BuildKit's directives ended at the line before, which is a comment to it: the file would mean two things
        let span = Span::new(start, start + line.trim_end().len());
        return Err(Error::new(source, span, Problem::LateEscape));
    }
    if phase.seen.contains(&name) {
        let span = Span::new(start, start + line.trim_end().len());
        return Err(Error::new(source, span, Problem::DuplicateDirective { name }));
    }
    phase.seen.push(name);
    let at = start + (value.as_ptr() as usize - line.as_ptr() as usize);
    let word = Word::new(value.to_owned(), Span::new(at, at + value.len()));
    let error = |problem| Err(Error::new(source, word.span, problem));
    match name {
        "escape" => match value {
            "\\" => into.escape = '\\',
            "`" => into.escape = '`',
            _ => return error(Problem::EscapeCharacter { found: value.into() }),
        },
        "check" => match checks(value) {
            Ok(checks) => into.check = checks,
            Err(option) => return error(Problem::CheckOption { found: option.into() }),
        },
        "platforms" => into.platforms = platforms(source, &word)?,
        _ => into.syntax = Some(word),
    }
    Ok(true)
}

/// `# name = value` → name and value.
fn split(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.strip_prefix('#')?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let letters = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric());
    (letters && !value.is_empty()).then_some((name, value))
}

/// `skip=A,B;experimental=all;error=true`. Fails with the part that is no option.
pub fn checks(text: &str) -> std::result::Result<Checks, &str> {
    let mut checks = Checks::default();
    for option in text.split(';').map(str::trim) {
        let (key, value) = option.split_once('=').ok_or(option)?;
        let value = value.trim();
        match key.trim() {
            "skip" => checks.skip = rules(value),
            "experimental" => checks.experimental = rules(value),
            "error" => checks.error = boolean(value).ok_or(option)?,
            _ => return Err(option),
        }
    }
    Ok(checks)
}

fn rules(text: &str) -> Rules {
    match text {
        "all" => Rules::All,
        names => Rules::Named(names.split(',').map(|name| name.trim().to_owned()).collect()),
    }
}

/// What Go's `strconv.ParseBool` takes, as all of Docker's options do.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

fn platforms(source: &Source, list: &Word) -> Result<Vec<Word>> {
    let mut found = Vec::new();
    let mut at = list.span.start;
    for part in list.split(',') {
        let name = part.trim();
        let start = at + (part.len() - part.trim_start().len());
        let word = Word::new(name.to_owned(), Span::new(start, start + name.len()));
        if name.parse::<Platform>().is_err() {
            return Err(Error::new(source, word.span, Problem::Platform { found: name.into() }));
        }
        found.push(word);
        at += part.len() + 1;
    }
    Ok(found)
}
