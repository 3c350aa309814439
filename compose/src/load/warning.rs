//! What a file gets away with, and its author should know.

use std::fmt;

use crate::node::Place;

/// Something in a file that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A variable that is not set stands for nothing.
    Unset { name: String },
    /// `version` means nothing.
    Version { place: Place },
    /// `yes`, `on` and the like are no booleans of YAML 1.2.
    Boolean { place: Place, text: String },
    /// `external.name` is old.
    ExternalName { place: Place },
    /// A healthcheck's `start_interval` without `start_period` does nothing.
    StartInterval { place: Place },
    /// Two services want one port of the host.
    Port { place: Place, first: Place, port: String },
    /// There are several files with default names, and one is taken.
    SeveralFiles { taken: String, left: Vec<String> },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unset { name } => {
                write!(f, "the variable {name} is not set, and stands for nothing")
            }
            Self::Version { place } => {
                write!(f, "{place}: 'version' means nothing any more, and can be removed")
            }
            Self::Boolean { place, text } => {
                write!(f, "{place}: '{text}' is no boolean of YAML 1.2: write true or false")
            }
            Self::ExternalName { place } => {
                write!(f, "{place}: 'external.name' is old: write 'external: true' and 'name'")
            }
            Self::StartInterval { place } => {
                write!(f, "{place}: 'start_interval' does nothing without 'start_period'")
            }
            Self::Port { place, first, port } => {
                write!(f, "{place}: the host's port {port} is taken at {first} already")
            }
            Self::SeveralFiles { taken, left } => {
                write!(f, "{taken} is used, and not {}", left.join(", "))
            }
        }
    }
}

/// Warnings without repetition.
#[derive(Debug, Default)]
pub(crate) struct Warnings(pub Vec<Warning>);

/// More than these help nobody.
const MOST: usize = 200;

impl Warnings {
    pub fn add(&mut self, warning: Warning) {
        if self.0.len() < MOST && !self.0.contains(&warning) {
            self.0.push(warning);
        }
    }
}
