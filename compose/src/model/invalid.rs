//! Values that have the right kind and say nothing.

use crate::node::{Node, Place};

/// A value that cannot be read, with its place and the keys that lead to it.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {path}: {problem}")]
pub struct Invalid {
    pub place: Place,
    /// `services.web.mem_limit`
    pub path: String,
    pub problem: Problem,
}

/// What is wrong with a value.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum Problem {
    #[error("is {found}, must be {expected}")]
    Kind { expected: &'static str, found: &'static str },
    #[error("'{text}' is no boolean")]
    Boolean { text: String },
    #[error("'{text}' is no whole number")]
    Integer { text: String },
    #[error("{text} is out of range")]
    Range { text: String },
    #[error("'{text}' is no number")]
    Number { text: String },
    #[error("'{text}' is no duration, as in 1m30s")]
    Duration { text: String },
    #[error("'{text}' is no size, as in 512m")]
    Size { text: String },
    #[error("'{text}' is no octal file mode, as in 0440")]
    Mode { text: String },
    #[error("'{text}' is neither 'all' nor a number")]
    Count { text: String },
    #[error("the quotes or brackets of '{text}' are not closed or not allowed")]
    Words { text: String },
    #[error("the variable '{name}' has a space before its '='")]
    Variable { name: String },
    #[error("'{text}' must be HOST=ADDRESS")]
    Host { text: String },
}

impl Invalid {
    pub(crate) fn new(node: &Node, problem: Problem) -> Self {
        Self { place: node.place.clone(), path: String::new(), problem }
    }

    /// The error seen from one level further up.
    pub(crate) fn inside(mut self, key: &str) -> Self {
        self.path = match self.path.is_empty() {
            true => key.to_owned(),
            false => format!("{key}.{}", self.path),
        };
        self
    }
}
