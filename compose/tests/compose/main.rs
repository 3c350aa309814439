//! The loader of compose files.

mod cases;
mod messages;
