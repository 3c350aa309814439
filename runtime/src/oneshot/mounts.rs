//! From a step's mounts to paths of the host, in the helper's own mount namespace.

use super::agent::Relay;
use super::request::{Source, StepMount};
use super::{Error, overlay};
use crate::engine::{Bind, MountSource, ResolvedMount};
use crate::sys::resolve::{open_in, open_root};
use knarr_core::fsx;
use knarr_core::store::snapshot::Snapshot;
use rustix::fs::{FileType, Mode, OFlags, fchmod, fchown, fstat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MoveMountFlags, OpenTreeFlags, mount, move_mount, open_tree};
use rustix::process::{Gid, Uid};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// What is to be mounted, and the sockets to be served when the guest runs.
pub(super) struct Resolved {
    pub mounts: Vec<ResolvedMount>,
    pub relays: Vec<Relay>,
}

/// Makes ready what is to be mounted. `scratch` is a folder of the step's own, for mount points.
pub(super) fn resolve(mounts: &[StepMount], scratch: &Path) -> Result<Resolved, Error> {
    let mut memory = None;
    let mut relays = Vec::new();
    let mut resolved = Vec::with_capacity(mounts.len());
    for (number, wanted) in mounts.iter().enumerate() {
        let place = scratch.join(format!("mount-{number}"));
        let source = match &wanted.source {
            Source::Path(path) => {
                if !path.exists() {
                    return Err(missing(wanted, &path.display().to_string()));
                }
                of_path(path.clone())
            }
            Source::Layers { tree, path } => of_path(within(tree, path, wanted, &place)?),
            Source::Tmpfs { size, mode } => MountSource::Tmpfs {
                size: *size,
                mode: *mode,
                // programs that are unpacked there are run there
                options: vec!["exec".into()],
            },
            Source::Secret { content, mode, uid, gid } => {
                let folder = match &memory {
                    Some(folder) => folder,
                    None => memory.insert(in_memory(&scratch.join("secrets"))?),
                };
                let file = folder.join(number.to_string());
                write_secret(&file, content, *mode, *uid, *gid)?;
                of_path(file)
            }
            Source::Agent { socket, mode, uid, gid } => {
                let name = format!("agent-{number}");
                relays.push(Relay::listen(scratch, &name, socket, (*mode, *uid, *gid))?);
                of_path(scratch.join(name))
            }
        };
        let target = wanted.target.clone();
        resolved.push(ResolvedMount { source, target, read_only: wanted.read_only });
    }
    Ok(Resolved { mounts: resolved, relays })
}

fn of_path(path: PathBuf) -> MountSource {
    MountSource::Path(Bind::of(path))
}

fn missing(wanted: &StepMount, path: &str) -> Error {
    Error::NoSource { path: path.to_owned(), target: wanted.target.clone() }
}

/// Names a system call that failed.
fn failed(operation: &'static str, subject: &Path) -> impl FnOnce(Errno) -> Error {
    let subject = subject.display().to_string();
    move |e| Error::Mount { operation, subject, source: e.into() }
}

/// Binds what lies at a path of other layers to `place`: the engines take paths, and this one leads through a tree that
/// somebody else made.
fn within(tree: &Snapshot, path: &str, wanted: &StepMount, place: &Path) -> Result<PathBuf, Error> {
    overlay(tree)?;
    let root = open_root(&tree.target).map_err(failed("open", &tree.target))?;
    // the root itself has an empty path, which the kernel takes for no path at all
    let inner = Path::new(if path.is_empty() { "." } else { path });
    let found = match open_in(&root, inner, OFlags::PATH, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Err(missing(wanted, path)),
        found => found.map_err(failed("open", inner))?,
    };
    let kind = fstat(&found).map_err(failed("look at", inner))?.st_mode;
    if FileType::from_raw_mode(kind) == FileType::Directory {
        fsx::create_dir(place)?;
    } else {
        fsx::write(place, b"")?;
    }
    bind(&found, place).map_err(failed("bind", inner))?;
    Ok(place.to_owned())
}

fn bind(what: &OwnedFd, place: &Path) -> rustix::io::Result<()> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(what, "", flags)?;
    move_mount(&tree, "", rustix::fs::CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// A folder whose files never reach a disk (but for swap), and which is gone with the mount namespace.
fn in_memory(folder: &Path) -> Result<PathBuf, Error> {
    fsx::create_dir(folder)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("tmpfs", folder, "tmpfs", flags, c"mode=700")
        .map_err(failed("mount memory at", folder))?;
    Ok(folder.to_owned())
}

fn write_secret(file: &Path, content: &[u8], mode: u32, uid: u32, gid: u32) -> Result<(), Error> {
    use fsx::Context;
    let mut options = std::fs::OpenOptions::new();
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut open = fsx::open_with(file, options.write(true).create_new(true))?;
    open.write_all(content).at("write", file)?;
    fchown(&open, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
        .map_err(failed("chown", file))?;
    fchmod(&open, Mode::from_raw_mode(mode)).map_err(failed("chmod", file))?;
    Ok(())
}
