//! End-to-end tests: the program, seen from outside.

// a test that cannot go on ends
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stderr)]

mod harness;

mod build;
mod builtin;
mod commit;
mod compose;
mod config;
mod cp;
mod crash;
mod diff;
mod documents;
mod events;
mod examples;
mod exec;
mod exec_wasm;
mod health;
mod hello;
mod images;
mod info;
mod inherited;
mod interop;
mod isolation;
mod kills;
mod life;
mod limits;
mod logs;
mod mistakes;
mod mounts;
mod network;
mod options;
mod owners;
mod prune;
mod ps;
mod publish;
mod reset;
mod restart;
mod run;
mod serving;
mod sharing;
mod stats;
mod store;
mod terminal;
mod uplink;
mod user;
mod variant;
mod volume;
