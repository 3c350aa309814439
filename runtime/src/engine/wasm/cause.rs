//! Why an operation failed, in a form that crosses a process boundary.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A chain of messages, outermost first, with the operating system's code where there was one.
///
/// The guest's process fails far from whoever reports it; this keeps what `std::error::Error::source` would have
/// told, so that causes are still shown one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    message: String,
    /// `errno`
    pub code: Option<i32>,
    source: Option<Box<Cause>>,
}

impl Cause {
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: None, source: None }
    }

    /// Copies an error and all its sources.
    pub fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        Self {
            message: error.to_string(),
            code: error.downcast_ref::<std::io::Error>().and_then(|e| e.raw_os_error()),
            source: error.source().map(|source| Box::new(Self::of(source))),
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<std::io::Error> for Cause {
    fn from(error: std::io::Error) -> Self {
        Self::of(&error)
    }
}

impl From<rustix::io::Errno> for Cause {
    fn from(errno: rustix::io::Errno) -> Self {
        std::io::Error::from(errno).into()
    }
}

impl From<knarr_core::fsx::Error> for Cause {
    fn from(error: knarr_core::fsx::Error) -> Self {
        Self::of(&error)
    }
}

impl From<wasmtime::Error> for Cause {
    fn from(error: wasmtime::Error) -> Self {
        let mut messages: Vec<String> = error.chain().map(ToString::to_string).collect();
        // wasmtime repeats the inner message in some outer ones; say each thing once
        messages.dedup();
        let mut cause: Option<Box<Self>> = None;
        for message in messages.into_iter().rev() {
            cause = Some(Box::new(Self { message, code: None, source: cause }));
        }
        cause.map_or_else(|| Self::new("unknown"), |cause| *cause)
    }
}
