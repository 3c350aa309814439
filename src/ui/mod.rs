//! What people see: the only place that prints. Data goes to stdout, everything else to stderr.

pub mod build;
pub mod compose;
pub mod listing;
pub mod progress;
mod safe;
pub mod template;
pub mod terminal;
pub mod units;

pub use safe::{safe, safe_line};

use crate::error::Failure;
use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

/// Writes one line of data.
pub fn line(text: impl Display) -> Result<(), Failure> {
    data(safe(&format!("{text}\n")).as_bytes())
}

/// Writes data as it is: what a guest printed, and what was made [`safe`] already.
pub fn data(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    written(out.write_all(bytes).and_then(|()| out.flush()))
}

/// A writer for data that is too much to hold.
pub fn data_writer() -> io::StdoutLock<'static> {
    io::stdout().lock()
}

/// The same on standard error, for what a container wrote there.
pub fn error_writer() -> io::StderrLock<'static> {
    io::stderr().lock()
}

/// Nobody reads on (`knarr ps | head -1`): no reason to complain.
pub fn written(result: io::Result<()>) -> Result<(), Failure> {
    result.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::silent(crate::error::FAILED),
        _ => Failure::new("cannot write to standard output").cause(&error),
    })
}

/// Writes one line about what goes on.
pub fn note(text: impl Display) {
    // if stderr is gone there is nobody left to tell
    let _ = writeln!(io::stderr().lock(), "{}", safe(&text.to_string()));
}

pub fn warning(text: impl Display) {
    note(format_args!("warning: {text}"));
}

/// Says why a command failed:
///
/// ```text
/// error: cannot start web
///   1: cannot mount the root file system
///   2: Permission denied (os error 13)
///
/// hint: run it as root
/// ```
pub fn failure(failure: &Failure) {
    let rendered = render(failure);
    if !rendered.is_empty() {
        let _ = io::stderr().lock().write_all(rendered.as_bytes());
    }
}

fn render(failure: &Failure) -> String {
    let Some((first, causes)) = failure.messages.split_first() else { return String::new() };
    let mut text = format!("error: {first}\n");
    for (number, cause) in causes.iter().enumerate() {
        text.push_str(&format!("  {}: {cause}\n", number + 1));
    }
    if let Some(hint) = &failure.hint {
        text.push_str(&format!("\nhint: {hint}\n"));
    }
    safe(&text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_numbered_causes_and_a_hint() {
        let failure = Failure::new("b").context("a").hint("try c");
        assert_eq!(render(&failure), "error: a\n  1: b\n\nhint: try c\n");
        assert_eq!(render(&Failure::silent(1)), "");
        assert_eq!(render(&Failure::new("\u{1b}c")), "error: \\u001bc\n");
    }
}
