//! A failed command: what is said about it, and the code it exits with. The only place where errors of
//! libraries become text.

use knarr_core::hint::{self, Hint};
use std::error::Error;

/// The exit code of a command that did not do what it was asked to. `run` and `exec` hand on the container's.
pub const FAILED: u8 = 1;

/// The exit code of `run` when the container had no say, and of every command that was given an option that it does not
/// have. The engines know of the others that Docker has: 126 for a command that cannot be executed, 127 for one that is
/// not found (docs/exit-codes.md).
pub const KNARR_FAILED: u8 = 125;

/// The exit code of `inspect`, `version` and `info` with a template that cannot be read.
pub const BAD_TEMPLATE: u8 = 64;

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    pub status: u8,
    /// What failed, then what caused it, outermost first. Empty where everything has been said already.
    pub messages: Vec<String>,
    pub hint: Option<String>,
}

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self { status: FAILED, messages: vec![message.into()], hint: None }
    }

    /// The command line asks for something that makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(message)
    }

    /// Says nothing more; for what has been reported, or has no reader.
    pub fn silent(status: u8) -> Self {
        Self { status, messages: Vec::new(), hint: None }
    }

    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// A further hint.
    pub fn also(self, hint: impl std::fmt::Display) -> Self {
        let hint = match &self.hint {
            Some(first) => format!("{first}\nhint: {hint}"),
            None => hint.to_string(),
        };
        self.hint(hint)
    }

    pub fn status(self, status: u8) -> Self {
        Self { status, ..self }
    }

    /// Adds an error of the operating system as the innermost cause.
    pub fn cause(mut self, error: &std::io::Error) -> Self {
        self.messages.push(error.to_string());
        self
    }

    /// Says what was attempted, and makes the rest its cause.
    pub fn context(mut self, message: impl Into<String>) -> Self {
        self.messages.insert(0, message.into());
        self
    }
}

impl<E: Error + Hint + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::of(&error, error.hint().or_else(|| hint::of_cause(&error)))
    }
}

impl Failure {
    /// An error with all its causes.
    pub fn of(error: &dyn Error, hint: Option<String>) -> Self {
        let mut messages = vec![error.to_string()];
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // some foreign errors repeat their source's text in their own
            if messages.last().is_none_or(|last| !last.ends_with(&text)) {
                messages.push(text);
            }
            source = cause.source();
        }
        Self { status: FAILED, messages, hint }
    }
}
