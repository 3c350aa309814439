//! Who belongs to which networks, for listings: all records read once.

use super::error::Result;
use super::{endpoint, store};
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::network::NetworkSpec;
use std::collections::HashMap;

/// The memberships of all containers at one moment.
#[derive(Debug, Default)]
pub struct Members {
    networks: Vec<NetworkSpec>,
    /// Indices into `networks`.
    of: HashMap<ContainerId, Vec<usize>>,
}

impl Members {
    pub fn read(root: &Root) -> Result<Self> {
        let mut members = Self { networks: store::list(root)?, of: HashMap::new() };
        for (at, network) in members.networks.iter().enumerate() {
            for endpoint in endpoint::endpoints(root, &network.name)? {
                members.of.entry(endpoint.container).or_default().push(at);
            }
        }
        Ok(members)
    }

    /// A container's networks, by name.
    pub fn of(&self, id: &ContainerId) -> impl Iterator<Item = &NetworkSpec> {
        self.of.get(id).into_iter().flatten().map(|at| &self.networks[*at])
    }
}
