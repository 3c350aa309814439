//! What can never work is refused where it stands, not when a container of the image is to start.

use crate::build::Error;
use crate::build::files::clean;
use crate::dockerfile::Word;
use crate::dockerfile::ast::KeyValue;
use knarr_core::signal::Signal;

fn invalid<T>(instruction: &'static str, value: &str, reason: &str) -> Result<T, Error> {
    Err(Error::Value { instruction, value: value.to_owned(), reason: reason.to_owned() })
}

pub fn signal(text: &str) -> Result<(), Error> {
    text.parse::<Signal>()?;
    Ok(())
}

pub fn shell(words: &[String]) -> Result<(), Error> {
    match words.first().is_none_or(String::is_empty) {
        true => invalid("SHELL", &super::config::quoted(words), "the first word names a program"),
        false => Ok(()),
    }
}

/// Names are the image's affair, but no system has ids that are larger. Nobody at all is root.
pub fn user(text: &str) -> Result<(), Error> {
    let is_id = |part: &str| {
        let is_number = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        !is_number || part.parse::<u32>().is_ok_and(|id| id != u32::MAX)
    };
    match text.split(':').all(is_id) {
        true => Ok(()),
        false => invalid("USER", text, "ids go from 0 to 4294967294"),
    }
}

pub fn volumes(paths: &[Word]) -> Result<(), Error> {
    for path in paths {
        if clean(path.as_bytes()).is_empty() {
            return invalid("VOLUME", path, "it is to be a directory below the root");
        }
    }
    Ok(())
}

/// `ENV` and `LABEL`, whose names may come from variables.
pub fn names(instruction: &'static str, pairs: &[KeyValue]) -> Result<(), Error> {
    match pairs.iter().find(|pair| pair.key.is_empty()) {
        Some(pair) => invalid(instruction, &format!("={}", pair.value.value), "the name is empty"),
        None => Ok(()),
    }
}
