//! Compose files: their language, and projects made of them.
//!
//! [`load`] reads files into a [`model::Project`], as Docker Compose does; [`render`] writes one out again, byte for byte
//! as `docker compose config`. Nothing here knows wasmtime, registries or the terminal.

pub mod load;
pub mod model;
pub mod node;
mod order;
pub mod render;
