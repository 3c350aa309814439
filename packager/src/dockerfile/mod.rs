//! The Dockerfile language as BuildKit has it: `docs/reference.md` of its Dockerfile frontend, 1.x.
//!
//! Pure: bytes in, values out. Nothing here opens a file, knows an image or prints.
//!
//! ```text
//! bytes ─ lines ─► logical lines ─ tree ─► nodes ─ instructions ─► Dockerfile ─ expand(scope) ─► words
//!         (continuations, comments,  (keyword, flags,   (typed, checked)        └─ lint ─► warnings
//!          heredocs, directives)      arguments by form)
//! ```
//!
//! Every value knows its [`Span`] of the source, so that every error can show the place.

pub mod ast;
mod source;

pub use ast::{Dockerfile, Instruction, Stage};
pub use source::{Located, Source, Span, Word};
