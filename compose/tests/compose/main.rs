//! The loader of compose files.

mod cases;
mod hostile;
mod messages;
mod mutated;
