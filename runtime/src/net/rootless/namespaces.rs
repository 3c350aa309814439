//! The three namespaces of a user's networks, and how they travel.

use super::clients;
use super::error::{Doing, Error};
use super::packet::{self, Packet};
use crate::net::netlink::{Socket, link};
use knarr_core::fsx;
use knarr_core::root::Root;
use knarr_core::sys;
use rustix::mount::{MountPropagationFlags, mount_bind, mount_change};
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
    /// Makes them, and a process in them, which ends with this one or with its standard input.
    pub fn make(root: &Root) -> Result<(Self, Child), Error> {
        let mut maker = Command::new("/proc/self/exe")
            .arg0("knarr")
            .args(["internal", "namespaces"])
            .arg(root.data())
            .arg(root.run())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .doing("start a process to make namespaces")?;
        let mut message = [0; super::keeper::READY.len()];
        let made = match &mut maker.stdout {
            Some(output) => output.read_exact(&mut message),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        };
        match made {
            Ok(()) => Ok((Self::of(maker.id())?, maker)),
            Err(_) => {
                let status = maker.wait().doing("wait for the process that makes namespaces")?;
                let message = format!("no user namespace can be made ({status})");
                Err(Error::Keeper { message })
            }
        }
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
    pub fn hold(root: &Root) -> Result<(), Error> {
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
        mount_change(&shared, MountPropagationFlags::SHARED)
            .doing("share the folder of the networks")?;
        io::stdout().write_all(super::keeper::READY.as_bytes()).doing("tell the keeper")?;
        io::stdout().flush().doing("tell the keeper")?;
        io::stdin().read_to_end(&mut Vec::new()).doing("wait for the keeper")?;
        Ok(())
    }

    /// See [`super::enter`].
    pub fn enter(&self) -> Result<(), Error> {
        // entering a mount namespace loses it
        let directory = rustix::process::getcwd(Vec::new());
        for (namespace, kind) in [
            (&self.user, LinkNameSpaceType::User),
            (&self.network, LinkNameSpaceType::Network),
            (&self.mount, LinkNameSpaceType::Mount),
        ] {
            move_into_link_name_space(namespace.as_fd(), Some(kind))
                .doing("enter the namespaces of the networks")?;
        }
        // SAFETY: NEWNS touches neither memory nor descriptors; the process has a single thread.
        unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.doing("make a mount namespace")?;
        if let Ok(directory) = directory {
            // a folder that is gone is no loss that anybody could notice
            let _ = rustix::process::chdir(directory);
        }
        Ok(())
    }

    /// Sends them over a connection.
    pub fn send(&self, socket: impl AsFd, uplink: Option<&str>) -> io::Result<()> {
        let all = [self.user.as_fd(), self.network.as_fd(), self.mount.as_fd()];
        packet::send(socket, format!("={}", uplink.unwrap_or_default()).as_bytes(), &all)
    }

    /// Takes them from a connection, with the name of the uplink. `None`: the other end has ended.
    pub fn receive(socket: impl AsFd) -> io::Result<Option<(Self, Option<String>)>> {
        let Some(Packet { text, descriptors }) = packet::receive(socket)? else { return Ok(None) };
        let Ok([user, network, mount]) = <[OwnedFd; 3]>::try_from(descriptors) else {
            return Ok(None);
        };
        let name = text.strip_prefix(b"=").unwrap_or_default();
        let name = String::from_utf8_lossy(name).into_owned();
        Ok(Some((Self { user, network, mount }, (!name.is_empty()).then_some(name))))
    }
}

fn switch_on_loopback() -> io::Result<()> {
    let mut socket = Socket::route()?;
    let loopback = link::find(&mut socket, "lo")?.ok_or(io::ErrorKind::NotFound)?;
    socket.execute(&[link::up(loopback.index)])
}
