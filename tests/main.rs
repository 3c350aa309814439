//! End-to-end tests: the program, seen from outside.

mod builtin;
