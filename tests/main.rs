//! End-to-end tests: the program, seen from outside.

mod harness;

mod builtin;
mod crash;
mod exec;
mod isolation;
mod life;
mod logs;
mod ps;
mod run;
mod variant;
