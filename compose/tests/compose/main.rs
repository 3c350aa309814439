//! The loader of compose files.
