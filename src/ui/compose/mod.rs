//! What people see of a project: what is being done to it, and what its containers print.

mod logs;
mod progress;

pub use logs::Prefixed;
pub use progress::{How, Shown};

/// Colours for names, one after the other.
const COLOURS: [&str; 6] = ["36", "33", "32", "35", "34", "31"];
