//! The three namespaces of a user's networks, and how they travel.

use super::clients;
use super::error::{Doing, Error};
use super::keeper::READY;
use super::packet::{self, Packet};
use crate::net::netlink::{Socket, link};
use knarr_core::fsx;
use knarr_core::root::Root;
use knarr_core::sys;
use rustix::fs::CWD;
use rustix::mount::{
    MountPropagationFlags, MoveMountFlags, OpenTreeFlags, mount_bind, mount_change, move_mount,
    open_tree,
};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

#[derive(Debug)]
pub struct Namespaces {
    pub user: OwnedFd,
    pub network: OwnedFd,
    mount: OwnedFd,
}

impl Namespaces {
    /// Makes them, or takes those of a process that is in them, and starts a process there, which ends with this one or with
    /// its standard input.
    pub fn make(root: &Root, survivor: Option<u32>) -> Result<(Self, Child), Error> {
        let mut maker = Command::new("/proc/self/exe")
            .arg0("knarr")
            .args(["internal", "namespaces"])
            .arg(root.data())
            .arg(root.run())
            .args(survivor.map(|pid| pid.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .doing("start a process to make namespaces")?;
        let mut said = Vec::new();
        if let Some(output) = &mut maker.stdout {
            // without it what was said is too short
            let _ = output.take(READY.len() as u64).read_to_end(&mut said);
            if said == READY.as_bytes() {
                return Ok((Self::of(maker.id())?, maker));
            }
            let _ = output.read_to_end(&mut said);
        }
        maker.wait().doing("wait for the process that makes namespaces")?;
        Err(Error::Keeper { message: String::from_utf8_lossy(&said).into_owned() })
    }

    fn of(pid: u32) -> Result<Self, Error> {
        let open = |name: &str| fsx::open(Path::new(&format!("/proc/{pid}/ns/{name}")));
        Ok(Self {
            user: open("user")?.into(),
            network: open("net")?.into(),
            mount: open("mnt")?.into(),
        })
    }

    /// The whole of `knarr internal namespaces`: makes them around itself, says so, and waits to be let go.
    pub fn hold(root: &Root, survivor: Option<u32>) -> Result<(), Error> {
        match survivor {
            None => unshare(root)?,
            Some(pid) => Self::of(pid)?.rejoin(root)?,
        }
        io::stdout().write_all(READY.as_bytes()).doing("tell the keeper")?;
        io::stdout().flush().doing("tell the keeper")?;
        io::stdin().read_to_end(&mut Vec::new()).doing("wait for the keeper")?;
        Ok(())
    }

    /// Enters a survivor's namespaces, but for its mounts, which would stay longer than itself. The folder of the networks is
    /// the same as there.
    fn rejoin(&self, root: &Root) -> Result<(), Error> {
        const DOING: &str = "enter the networks of a keeper that was killed";
        self.join_user()?;
        move_into(&self.network, LinkNameSpaceType::Network).doing(DOING)?;
        sys::enter_mount_namespace()?;
        let base = fsx::open(Path::new("/proc/self/ns/mnt"))?;
        move_into(&self.mount, LinkNameSpaceType::Mount).doing(DOING)?;
        let shared = root.networks_run();
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE;
        let tree = open_tree(CWD, &shared, flags).doing(DOING)?;
        move_into(&base, LinkNameSpaceType::Mount).doing(DOING)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(&tree, "", CWD, &shared, flags).doing("mount the folder of the networks")
    }

    /// See [`super::enter`].
    pub fn enter(&self) -> Result<(), Error> {
        // entering a mount namespace loses it
        let directory = rustix::process::getcwd(Vec::new());
        self.join_user()?;
        for (namespace, kind) in
            [(&self.network, LinkNameSpaceType::Network), (&self.mount, LinkNameSpaceType::Mount)]
        {
            move_into(namespace, kind).doing("enter the namespaces of the networks")?;
        }
        // SAFETY: NEWNS touches neither memory nor descriptors; the process has a single thread.
        unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.doing("make a mount namespace")?;
        if let Ok(directory) = directory {
            // a folder that is gone is no loss that anybody could notice
            let _ = rustix::process::chdir(directory);
        }
        Ok(())
    }

    /// Enters the user namespace alone, unless this process is there.
    pub fn join_user(&self) -> Result<(), Error> {
        const DOING: &str = "enter the user namespace of the networks";
        let own = fsx::open(Path::new("/proc/self/ns/user"))?;
        let identity = |fd: &dyn AsFd| rustix::fs::fstat(fd.as_fd()).map(|s| (s.st_dev, s.st_ino));
        if identity(&own).doing(DOING)? == identity(&self.user).doing(DOING)? {
            return Ok(());
        }
        sys::join_user_namespace(&self.user).doing(DOING)
    }

    /// Sends them over a connection.
    pub fn send(&self, socket: impl AsFd) -> io::Result<()> {
        packet::send(socket, b"=", &[self.user.as_fd(), self.network.as_fd(), self.mount.as_fd()])
    }

    /// Takes them from a connection. `None`: the other end has ended.
    pub fn receive(socket: impl AsFd) -> io::Result<Option<Self>> {
        let Some(Packet { descriptors, .. }) = packet::receive(socket)? else { return Ok(None) };
        let Ok([user, network, mount]) = <[OwnedFd; 3]>::try_from(descriptors) else {
            return Ok(None);
        };
        Ok(Some(Self { user, network, mount }))
    }
}

fn unshare(root: &Root) -> Result<(), Error> {
    sys::enter_user_namespace()?;
    // SAFETY: NEWNET touches neither memory nor descriptors.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.doing("make a network namespace")?;
    switch_on_loopback().doing("switch on the loopback interface")?;
    // without it containers see the gateway as the client: a kernel may lack a part of what it takes
    let _ = clients::lead_back();
    // Whoever enters copies this mount namespace. All mounts of the copies are their own but those in this folder,
    // which are the same in all: the namespaces that are kept there.
    let shared = root.networks_run();
    mount_bind(&shared, &shared).doing("mount the folder of the networks")?;
    mount_change(&shared, MountPropagationFlags::SHARED).doing("share the folder of the networks")
}

fn move_into(namespace: impl AsFd, kind: LinkNameSpaceType) -> rustix::io::Result<()> {
    move_into_link_name_space(namespace.as_fd(), Some(kind))
}

fn switch_on_loopback() -> io::Result<()> {
    let mut socket = Socket::route()?;
    let loopback = link::find(&mut socket, "lo")?.ok_or(io::ErrorKind::NotFound)?;
    socket.execute(&[link::up(loopback.index)])
}
