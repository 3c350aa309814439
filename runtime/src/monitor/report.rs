//! An error on its way from a monitor to the command that waits for it: message, causes, hint and exit code stay
//! apart.

use knarr_core::hint::Hint;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt;

/// What a detached monitor says once: that the guest runs, or why it does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    Ready,
    Failed(Failure),
}

/// What a command has to be able to tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    AlreadyRunning,
    /// Removed by somebody else meanwhile.
    Gone,
    Other,
}

/// An error of another process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    kind: Kind,
    message: String,
    cause: Option<Box<Failure>>,
    hint: Option<String>,
    exit_code: u8,
}

impl Failure {
    /// Of an error with all its causes.
    pub fn new(error: &dyn Error, hint: Option<String>, exit_code: u8) -> Self {
        let cause = error.source().map(|cause| Box::new(Self::new(cause, None, exit_code)));
        // a cause's own is found from the top
        Self { kind: Kind::Other, message: error.to_string(), cause, hint, exit_code }
    }

    pub(super) fn of_kind(self, kind: Kind) -> Self {
        Self { kind, ..self }
    }

    pub fn is(&self, kind: Kind) -> bool {
        self.kind == kind
    }

    /// Docker's meanings: 127 not found, 126 not executable, 125 anything else.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.cause.as_deref()?)
    }
}

impl Hint for Failure {
    fn hint(&self) -> Option<String> {
        self.hint.clone()
    }
}

/// An error and its causes in one line, for `state.json` and logs.
pub(crate) fn in_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_and_hint_survive() {
        let source = std::io::Error::other("disk on fire");
        let error = knarr_core::fsx::Error { operation: "read", path: "/x".into(), source };
        let sent = Failure::new(&error, Some("put it out".into()), 126);
        let text = serde_json::to_string(&Report::Failed(sent.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), Report::Failed(sent.clone()));
        assert_eq!(in_one_line(&sent), "cannot read /x: disk on fire");
        assert_eq!((sent.hint().as_deref(), sent.exit_code()), (Some("put it out"), 126));
    }
}
