//! Compose files: their language, and projects made of them.
//!
//! [`load`] reads files into a [`model::Project`], as Docker Compose does; [`render`] writes one out again, byte for byte
//! as `docker compose config`. [`plan`] tells what is to be done so that what is there ([`observe`]) becomes that;
//! [`execute`] does it. Nothing here knows containers, registries or the terminal.

pub mod execute;
#[cfg(fuzzing)]
pub mod fuzz;
mod graph;
pub mod load;
pub mod model;
pub mod node;
pub mod observe;
mod order;
pub mod plan;
pub mod render;
