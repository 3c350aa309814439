//! Which containers use which volumes.

use crate::state;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use std::collections::HashMap;

/// A container that uses a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub id: ContainerId,
    pub name: String,
    /// It runs or is paused.
    pub is_alive: bool,
}

/// The users of all volumes at one moment.
#[derive(Debug, Default)]
pub struct Users {
    by_volume: HashMap<String, Vec<User>>,
    /// Containers whose records are damaged: each may use any volume.
    unknown: Vec<User>,
}

impl Users {
    /// Reads all records. A container that is being made counts from the moment it exists.
    pub fn read(root: &Root) -> state::Result<Self> {
        let mut users = Self::default();
        for entry in state::all(root)? {
            let container = match entry {
                Ok(container) => container,
                Err(damaged) => {
                    let name = damaged.id.short().to_owned();
                    users.unknown.push(User { id: damaged.id, name, is_alive: false });
                    continue;
                }
            };
            for volume in container.spec.mounts.iter().filter_map(|mount| mount.volume()) {
                let of_volume = users.by_volume.entry(volume.name.clone()).or_default();
                // one that mounts it twice is one user
                if of_volume.last().is_none_or(|last| last.id != container.spec.id) {
                    of_volume.push(User {
                        id: container.spec.id.clone(),
                        name: container.state.name.clone(),
                        is_alive: container.state.is_alive(),
                    });
                }
            }
        }
        Ok(users)
    }

    /// The users of one volume.
    pub fn of<'a>(&'a self, volume: &str) -> impl Iterator<Item = &'a User> {
        self.by_volume.get(volume).into_iter().flatten().chain(&self.unknown)
    }

    pub fn is_used(&self, volume: &str) -> bool {
        self.of(volume).next().is_some()
    }
}
