//! Where everything is: every path under Knarr's root is computed here and nowhere else.

use crate::hint::Hint;
use crate::id::ContainerId;
use crate::{fsx, sys};
use std::path::{Path, PathBuf};

/// A directory that cannot be Knarr's.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    #[error("{} is not for Knarr alone: it holds other files", path.display())]
    Shared { path: PathBuf },
    #[error(transparent)]
    File(#[from] fsx::Error),
}

impl Hint for RootError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Shared { .. } => {
                Some("choose a directory of its own with --root or KNARR_ROOT".into())
            }
            Self::File(e) => e.hint(),
        }
    }
}

/// The two directories that hold all state of one user (or of one test).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    data: PathBuf,
    run: PathBuf,
}

impl Root {
    /// Both directories under one folder: `--root`, `KNARR_ROOT`, tests.
    pub fn at(directory: impl Into<PathBuf>) -> Self {
        let data = directory.into();
        Self { run: data.join("run"), data }
    }

    /// Data that survives a reboot, and data that need not.
    pub fn new(data: impl Into<PathBuf>, run: impl Into<PathBuf>) -> Self {
        Self { data: data.into(), run: run.into() }
    }

    /// The root of this user: `/var/lib/knarr` and `/run/knarr` for the superuser, else XDG's data and
    /// runtime directories. `variable` looks up an environment variable.
    pub fn of_user(is_superuser: bool, variable: impl Fn(&str) -> Option<PathBuf>) -> Option<Self> {
        if let Some(directory) = variable("KNARR_ROOT") {
            return Some(Self::at(directory));
        }
        if is_superuser {
            return Some(Self::new("/var/lib/knarr", "/run/knarr"));
        }
        let data = variable("XDG_DATA_HOME")
            .or_else(|| Some(variable("HOME")?.join(".local/share")))?
            .join("knarr");
        let run = variable("XDG_RUNTIME_DIR").map_or_else(|| data.join("run"), |d| d.join("knarr"));
        Some(Self { data, run })
    }

    /// Closes both directories to everybody but their owner, where they are there and open: in them are other people's
    /// secrets and set-user-id programs, and locks that would be anybody's to hold.
    ///
    /// A directory that others use is refused rather than taken from them.
    pub fn keep_private(&self) -> Result<(), RootError> {
        for path in [&self.data, &self.run] {
            let Some(mode) = sys::open_to_others(path)? else { continue };
            let others_write = mode & 0o1022 != 0;
            let is_system = path.parent().is_none_or(|parent| parent == Path::new("/"));
            if (others_write || is_system) && !self.is_own(path)? {
                return Err(RootError::Shared { path: path.clone() });
            }
            sys::close_to_others(path)?;
        }
        Ok(())
    }

    /// Whether there is nothing in a directory, or something of ours.
    fn is_own(&self, path: &Path) -> fsx::Result<bool> {
        let own = [self.oci_layout(), self.containers(), self.volumes(), self.networks()];
        Ok(own.iter().any(|own| own.exists()) || fsx::list(path)?.is_empty())
    }

    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Short-lived state: sockets.
    pub fn run(&self) -> &Path {
        &self.run
    }

    // --- core::store: the data directory itself is an OCI image layout

    pub fn oci_layout(&self) -> PathBuf {
        self.data.join("oci-layout")
    }

    pub fn index(&self) -> PathBuf {
        self.data.join("index.json")
    }

    pub fn images_lock(&self) -> PathBuf {
        self.data.join("images.lock")
    }

    /// Shared by those who add content, exclusive for the collector.
    pub fn content_lock(&self) -> PathBuf {
        self.data.join("content.lock")
    }

    /// `blobs/sha256`
    pub fn blobs(&self) -> PathBuf {
        self.data.join("blobs").join("sha256")
    }

    /// Blobs that are still arriving; beside `blobs`, so that rename is atomic.
    pub fn incoming(&self) -> PathBuf {
        self.data.join("incoming")
    }

    /// Unpacked layers, one folder for each chain id.
    pub fn layers(&self) -> PathBuf {
        self.data.join("layers")
    }

    /// Those of an ordinary user with subordinate ids: their files belong to these.
    pub fn mapped_layers(&self) -> PathBuf {
        self.data.join("layers-mapped")
    }

    // --- packager::build

    pub fn build_cache(&self) -> PathBuf {
        self.data.join("build-cache")
    }

    /// What build steps resulted in: `<key>.json`, each a [`crate::store::cached::CachedStep`].
    pub fn build_steps(&self) -> PathBuf {
        self.build_cache().join("steps")
    }

    // --- core::events

    pub fn events(&self) -> PathBuf {
        self.data.join("events")
    }

    /// A link to the file that is written to.
    pub fn current_events(&self) -> PathBuf {
        self.events().join("current")
    }

    pub fn events_file(&self, number: u64) -> PathBuf {
        self.events().join(format!("{number}{}", crate::events::SUFFIX))
    }

    // --- runtime::state

    pub fn containers(&self) -> PathBuf {
        self.data.join("containers")
    }

    /// Shared by those who make a container, exclusive for the sweeper of half-made ones.
    pub fn containers_lock(&self) -> PathBuf {
        self.containers().join("lock")
    }

    /// The names in use: `containers/by-name/<name>` holds the id.
    pub fn container_names(&self) -> PathBuf {
        self.containers().join("by-name")
    }

    pub fn container(&self, id: &ContainerId) -> ContainerPaths {
        ContainerPaths {
            data: self.containers().join(id.as_str()),
            // socket paths are limited to 107 bytes: half an id is unique enough, and short
            run: self.containers_run().join(&id.as_str()[..32]),
        }
    }

    /// The run folders of all containers.
    pub fn containers_run(&self) -> PathBuf {
        self.run.join("c")
    }

    /// The root as the steps of builds use it: their run folders lie apart from the containers'.
    pub fn of_steps(&self) -> Self {
        Self::new(&self.data, self.run.join("steps"))
    }

    // --- runtime::volume

    pub fn volumes(&self) -> PathBuf {
        self.data.join("volumes")
    }

    // --- runtime::net

    /// Its lock is held by those who make or remove a network.
    pub fn networks(&self) -> PathBuf {
        self.data.join("networks")
    }

    pub fn network(&self, name: &str) -> NetworkPaths {
        NetworkPaths { data: self.networks().join(name), run: self.networks_run().join(name) }
    }

    /// What networks have that does not survive a reboot.
    pub fn networks_run(&self) -> PathBuf {
        self.run.join("n")
    }

    /// The socket of the process that keeps an ordinary user's networks.
    pub fn network_keeper(&self) -> PathBuf {
        self.networks_run().join(".keeper")
    }

    /// In which namespaces an ordinary user's networks are, as long as they have a keeper, or lost it.
    pub fn network_place(&self) -> PathBuf {
        self.networks_run().join(".place")
    }

    // --- runtime::engine

    /// Modules compiled ahead of time. Loading one trusts it: mode 0700.
    pub fn wasm_cache(&self) -> PathBuf {
        self.data.join("wasm-cache")
    }
}

/// Where one network's state is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkPaths {
    data: PathBuf,
    run: PathBuf,
}

impl NetworkPaths {
    /// Its lock is held while addresses are given out.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// What does not survive a reboot: the shared namespace of the Wasm containers.
    pub fn run(&self) -> &Path {
        &self.run
    }

    pub fn record(&self) -> PathBuf {
        self.data.join("network.json")
    }

    /// One file for each address that is taken, with the id of the container that has it.
    pub fn leases(&self) -> PathBuf {
        self.data.join("leases")
    }

    /// One record for each container that belongs to the network.
    pub fn endpoints(&self) -> PathBuf {
        self.data.join("endpoints")
    }

    pub fn endpoint(&self, id: &ContainerId) -> PathBuf {
        self.endpoints().join(format!("{id}.json"))
    }

    /// Where the search for a free address begins: after the last one that was given out.
    pub fn cursor(&self) -> PathBuf {
        self.data.join("next-address")
    }

    /// The network namespace that the network's Wasm containers share, as a mounted file.
    pub fn shared_namespace(&self) -> PathBuf {
        self.run.join("namespace")
    }
}

/// Where one container's state is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPaths {
    data: PathBuf,
    run: PathBuf,
}

impl ContainerPaths {
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The container's folder for what need not survive a reboot. It exists while a monitor does, or has died: made
    /// before anything else at a start, removed after everything else.
    pub fn run(&self) -> &Path {
        &self.run
    }

    pub fn spec(&self) -> PathBuf {
        self.data.join("spec.json")
    }

    pub fn state(&self) -> PathBuf {
        self.data.join("state.json")
    }

    pub fn log(&self) -> PathBuf {
        self.data.join("log.jsonl")
    }

    pub fn control_socket(&self) -> PathBuf {
        self.run.join("control.sock")
    }

    /// What its probes found out, in this life.
    pub fn health(&self) -> PathBuf {
        self.run.join("health.json")
    }

    /// The container's own files: `hosts`, `hostname`, `resolv.conf`; made at each start.
    pub fn etc(&self) -> PathBuf {
        self.run.join("etc")
    }

    /// The mark that another container has joined the network of this one.
    pub fn network_shared(&self) -> PathBuf {
        self.run.join("network-shared")
    }

    /// The networks that the container has left while it ran, a line each, and whose addresses are kept for it until it
    /// ends.
    pub fn kept_leases(&self) -> PathBuf {
        self.run.join("kept-leases")
    }

    /// The writable layer: what the container changed.
    pub fn upper(&self) -> PathBuf {
        self.data.join("upper")
    }

    /// overlayfs's work directory; on the file system of [`Self::upper`].
    pub fn work(&self) -> PathBuf {
        self.data.join("work")
    }

    /// Where the monitor mounts the root file system, in its own mount namespace.
    pub fn rootfs(&self) -> PathBuf {
        self.data.join("rootfs")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_of_users() {
        let none = |_: &str| None;
        assert_eq!(Root::of_user(true, none), Some(Root::new("/var/lib/knarr", "/run/knarr")));
        let home = |name: &str| (name == "HOME").then(|| PathBuf::from("/home/u"));
        let root = Root::of_user(false, home).unwrap();
        assert_eq!(root.data(), Path::new("/home/u/.local/share/knarr"));
        assert_eq!(root.run(), Path::new("/home/u/.local/share/knarr/run"));
        let set = |name: &str| (name == "KNARR_ROOT").then(|| PathBuf::from("/x"));
        assert_eq!(Root::of_user(true, set), Some(Root::at("/x")));
        assert_eq!(Root::of_user(false, none), None);
    }
}
