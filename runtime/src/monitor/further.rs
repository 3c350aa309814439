//! A further guest in a running Wasm container: another module of the image, or the same one with other words, among the
//! container's files and mounts, on its networks, under its limits. For `exec` and for probes of health.
//!
//! Only the monitor is where such a guest is to be: in its mount namespace, among its ids. So it forks a child for it.

use super::{Error, life, mounts};
use crate::engine::native::ExecProcess;
use crate::engine::{Guest, Launch, Stdio, cgroup, native, wasm};
use crate::net::{self, Attached};
use crate::state::Placement;
use knarr_core::fsx;
use knarr_core::lock::Lock;
use knarr_core::root::Root;
use knarr_core::spec::{ContainerSpec, Process};
use knarr_core::store::Store;
use knarr_core::store::snapshot;
use knarr_core::sys;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Where the container is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub root: &'a Root,
    pub spec: &'a ContainerSpec,
    /// Its first guest.
    pub pid: u32,
    pub placement: Placement,
    /// It runs without its root file system.
    pub unmounted: bool,
}

impl Place<'_> {
    /// Starts it as a child of this process: a fork of the monitor that has a single thread and nothing else to do, as its
    /// namespaces change. `channel`: where it asks the monitor.
    pub fn start(
        &self,
        wanted: &ExecProcess,
        process: &Process,
        stdio: Stdio,
        channel: Option<OwnedFd>,
    ) -> Result<Guest, Error> {
        let own = &self.spec.process;
        let mut spec = ContainerSpec {
            process: Process {
                cmd: wanted.args.clone(),
                env: [own.env.as_slice(), &wanted.env].concat(),
                cwd: wanted.cwd.clone().unwrap_or_else(|| own.cwd.clone()),
                user: wanted.user.clone().unwrap_or_else(|| own.user.clone()),
                stop_signal: own.stop_signal.clone(),
                stop_timeout: own.stop_timeout,
                ..process.clone()
            },
            // what is published is the first guest's
            ports: Vec::new(),
            ..self.spec.clone()
        };
        let network = Attached {
            namespace: self.network()?,
            endpoints: net::places_of(self.root, self.spec)?,
            placement: self.placement,
            channel,
            ..Attached::default()
        };
        let rootfs = self.root.container(&spec.id).rootfs();
        let mounts = match self.enter_files()? {
            // everything is in place there already
            true => {
                spec.read_only_rootfs = false;
                Vec::new()
            }
            false => mounts::resolve(self.root, &spec)?,
        };
        let launch = Launch {
            root: self.root,
            spec: &spec,
            rootfs: &rootfs,
            rootfs_is_layer: false,
            mounts: &mounts,
            stdio,
            network: &network,
        };
        let guest = wasm::start(launch, None)?;
        cgroup::join_wasm(&spec.limits, self.pid, guest.pid).map_err(native::Error::from)?;
        Ok(guest)
    }

    /// The first guest's network namespace, if it is another than ours: entering our own may take rights that we lack.
    pub fn network(&self) -> Result<Option<OwnedFd>, Error> {
        let theirs = net::of_process(self.pid)?;
        let ours = net::of_process(std::process::id())?;
        Ok((!net::is_same_namespace(theirs.as_fd(), ours.as_fd())).then_some(theirs))
    }

    /// Goes where the container's files are; whether its mounts are there as well.
    fn enter_files(&self) -> Result<bool, Error> {
        if self.unmounted {
            let paths = self.root.container(&self.spec.id);
            fsx::create_dir_all(&paths.work())?;
            // as long as this process lives nobody else mounts them
            std::mem::forget(Lock::exclusive_directory(&paths.work())?);
            let store = Store::open(self.root)?;
            sys::enter_mount_namespace()?;
            snapshot::mount(&life::snapshot_of(&store, self.spec), false)?;
            return Ok(false);
        }
        let of = |pid: &str| fsx::open(Path::new(&format!("/proc/{pid}/ns/mnt")));
        let (theirs, ours) = (of(&self.pid.to_string())?, of("self")?);
        if net::is_same_namespace(theirs.as_fd(), ours.as_fd()) {
            return Ok(false);
        }
        move_into_link_name_space(theirs.as_fd(), Some(LinkNameSpaceType::Mount))
            .map_err(|e| Error::Enter { source: e.into() })?;
        Ok(true)
    }
}
