//! The Dockerfile language as BuildKit has it: `docs/reference.md` of its Dockerfile frontend, 1.x.
//!
//! Pure: bytes in, values out. Nothing here opens a file, knows an image or prints.
//!
//! ```text
//! bytes ─ lines ─► logical lines ─ tree ─► nodes ─ typed ─► Dockerfile ─ expand(scope) ─► words
//!         (continuations, comments,  (keyword, flags,   (checked)       └─ lint ─► warnings
//!          heredocs, directives)      arguments by form)
//! ```
//!
//! Every value knows its [`Span`] of the source, so that every error can show the place.

pub mod ast;
mod directives;
mod error;
mod excerpt;
mod expand;
mod heredoc;
pub mod ignore;
mod lines;
pub mod lint;
mod parse;
pub mod predefined;
mod source;
mod tree;
mod typed;
mod words;

pub use ast::{Dockerfile, Instruction, Stage};
pub use error::{Error, Problem, Result};
pub use excerpt::Excerpt;
pub use expand::{Expansion, Scope, document, expand, split};
pub use parse::{Trigger, parse, parse_trigger};
pub use source::{Located, Source, Span, Word};
pub use typed::expose;
pub use typed::mount::{Mount, Owner, Sharing};

#[cfg(test)]
mod cases;
