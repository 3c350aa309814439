//! The Dockerfile language from outside.

mod errors;
mod instructions;
mod language;
mod real;

use knarr_packager::dockerfile::{Dockerfile, Instruction, parse};

fn parsed(text: &str) -> Dockerfile {
    parse(text.as_bytes(), "Dockerfile").unwrap_or_else(|error| panic!("{error}"))
}

/// The only instruction after a `FROM`.
fn instruction(text: &str) -> Instruction {
    let mut file = parsed(&format!("FROM scratch\n{text}"));
    assert_eq!(file.stages[0].instructions.len(), 1, "{text}");
    file.stages.remove(0).instructions.remove(0).value
}
