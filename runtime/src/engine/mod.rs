//! What executes a variant: `wasm` (wasmtime) or `native` (Linux namespaces).

pub mod bind;
pub mod cgroup;
mod host;
pub(crate) mod names;
pub mod native;
mod processes;
pub mod wasm;

pub use bind::{Bind, BindError};
pub use host::{HostSupport, UserNamespaces, host_support};
pub use processes::{further, processes};

use crate::net::Attached;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::ContainerSpec;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::path::Path;

/// Everything an engine needs to start a guest. Made by the monitor, in the monitor's own mount namespace,
/// while the process still has a single thread.
pub struct Launch<'a> {
    pub root: &'a Root,
    pub spec: &'a ContainerSpec,
    /// The root file system, mounted (or copied); the engine may write only the mount points that are missing.
    pub rootfs: &'a Path,
    /// It is the image's one layer itself: never to be written. Only for a Wasm guest that opens no files.
    pub rootfs_is_layer: bool,
    /// In order; a later one may lie inside an earlier one.
    pub mounts: &'a [ResolvedMount],
    pub stdio: Stdio,
    /// The namespace to join, and the addresses in it that are the guest's own.
    pub network: &'a Attached,
}

impl Launch<'_> {
    /// What is open for the guest's process, beside its streams and the network.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        self.mounts.iter().filter_map(|mount| match &mount.source {
            MountSource::Path(bind) => bind.taken.as_ref().map(|taken| taken.as_raw_fd()),
            MountSource::Tmpfs { .. } => None,
        })
    }
}

/// A mount whose source is a path of the host.
#[derive(Debug, Clone)]
pub struct ResolvedMount {
    pub source: MountSource,
    /// Absolute path in the container, as the user wrote it: hostile, to be resolved inside the root.
    pub target: String,
    pub read_only: bool,
}

#[derive(Debug, Clone)]
pub enum MountSource {
    /// A file or directory of the host (a bind mount or a volume's folder).
    Path(Bind),
    /// Memory; `size` in bytes.
    Tmpfs { size: Option<u64>, mode: Option<u32>, options: Vec<String> },
}

/// The guest's standard streams: the guest's ends; the monitor keeps the others.
pub enum Stdio {
    Pipes {
        /// `None`: the guest's null device. A descriptor of the host's would let the guest change the file that it is of.
        stdin: Option<OwnedFd>,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
    /// A terminal (`-t`): the engine makes it and hands the master back in [`Guest::terminal`].
    Terminal { rows: u16, columns: u16 },
}

/// A started guest.
#[derive(Debug, Default)]
pub struct Guest {
    /// A child of the calling process, in this process's pid namespace.
    pub pid: u32,
    /// The terminal's master with [`Stdio::Terminal`].
    pub terminal: Option<OwnedFd>,
    /// Ports of the container that the engine itself made reachable, and where (Wasm servers; a published port without
    /// a host port has got a free one).
    pub ports: Vec<(u16, SocketAddr)>,
    /// Walls that this host could not put up around the guest, a sentence each, for the log (Wasm).
    pub lacking: Vec<String>,
    /// Ports for which the guest wants a listener at each address that its container gets while it runs (Wasm).
    pub everywhere: Vec<u16>,
    /// What the engine says when the guest has ended (Wasm).
    pub last_words: Option<wasm::LastWords>,
}

/// A container that is gone: what `cleanup` needs to know of it.
pub struct Remains<'a> {
    pub root: &'a Root,
    pub id: &'a ContainerId,
}
