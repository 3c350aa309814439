//! End-to-end tests: the program, seen from outside.

mod harness;

mod builtin;
mod cp;
mod crash;
mod exec;
mod hello;
mod images;
mod info;
mod interop;
mod isolation;
mod life;
mod logs;
mod mistakes;
mod ps;
mod run;
mod user;
mod variant;
mod volume;
