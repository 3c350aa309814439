//! The packager from outside: against a registry that misbehaves on demand, against Debian's docker-registry,
//! and against skopeo and umoci.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // every line of it is a test

mod archive;
mod build;
mod docker_registry;
mod dockerfile;
mod ensure;
mod hostile_archives;
mod hostile_registry;
mod import;
mod login;
mod package;
mod pull;
mod push;
mod schemas;
mod shapes;
mod support;
mod trust;
