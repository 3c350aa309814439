//! The loader of compose files.

// a test that cannot go on ends
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod cases;
mod hostile;
mod messages;
mod mutated;
mod own;
