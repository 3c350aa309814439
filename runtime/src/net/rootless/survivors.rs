//! Who is left in a user's networks after their keeper was killed. The namespaces live as long as one of them, and another
//! keeper goes on with these.

use super::error::{Doing, Error};
use crate::sys::process::Process;
use knarr_core::fsx;
use knarr_core::root::Root;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, readlink, statx};
use std::ffi::OsString;
use std::path::Path;

/// A process in the networks, which may have ended meanwhile.
#[derive(Debug)]
pub struct Survivor {
    pub pid: u32,
    pub process: Process,
}

/// Says in which namespaces the networks are from now on: those of this process.
pub fn mark(root: &Root, inside: u32) -> Result<(), Error> {
    let place = place_of(inside).doing("look at the namespaces of the networks")?;
    Ok(fsx::write(&root.network_place(), place)?)
}

/// That there are none from now on.
pub fn unmark(root: &Root) -> Result<(), Error> {
    Ok(fsx::remove_file(&root.network_place())?)
}

/// Those that are left. A guest's process is none: its network namespace is another one, or it does not have our folders.
pub fn find(root: &Root) -> Result<Vec<Survivor>, Error> {
    let Some(place) = fsx::read_optional(&root.network_place())? else { return Ok(Vec::new()) };
    let pids = fsx::list(Path::new("/proc"))?.into_iter().filter_map(|name| name.parse().ok());
    Ok(pids.filter_map(|pid| survivor(root, pid, &place)).collect())
}

fn survivor(root: &Root, pid: u32, place: &[u8]) -> Option<Survivor> {
    let is_inside = || place_of(pid).is_ok_and(|own| own == place) && has_folder(root, pid);
    if !is_inside() {
        return None;
    }
    // the number may have come to mean another one until here, but not later
    let process = Process::open(pid).ok()?;
    let lives = || poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&Timespec::default()));
    (is_inside() && lives() == Ok(0)).then_some(Survivor { pid, process })
}

/// Of another user's process it cannot be had.
fn place_of(pid: u32) -> rustix::io::Result<Vec<u8>> {
    let mut place = Vec::new();
    for namespace in ["user", "net"] {
        place.extend(readlink(format!("/proc/{pid}/ns/{namespace}"), Vec::new())?.into_bytes());
    }
    Ok(place)
}

/// Numbers of namespaces come again: in these the folder of this root's networks is a mount of its own.
fn has_folder(root: &Root, pid: u32) -> bool {
    let mut there = OsString::from(format!("/proc/{pid}/root"));
    there.push(root.networks_run());
    let found = statx(CWD, there, AtFlags::empty(), StatxFlags::TYPE);
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}
