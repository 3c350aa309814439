//! A terminal for the guest (`-t`).

use super::error::{Doing, Error};
use super::mounts;
use super::rootdir::RootDir;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MountAttrFlags;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::os::fd::OwnedFd;

/// Both ends of a terminal.
pub struct Terminal {
    pub master: OwnedFd,
    pub slave: OwnedFd,
}

/// linux/magic.h
const DEVPTS: u64 = 0x1cd1;

impl Terminal {
    /// A terminal in a new file system of terminals, which is returned detached: it becomes the container's `/dev/pts`.
    pub fn new(rows: u16, columns: u16, rootless: bool) -> Result<(Self, OwnedFd), Error> {
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        let devpts = mounts::devpts(rootless).make(attributes)?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let master = rustix::fs::openat(&devpts, "ptmx", flags, Mode::empty())
            .doing("open", "a terminal")?;
        Ok((Self::from_master(master, rows, columns)?, devpts))
    }

    /// A further terminal of a running container.
    pub fn in_container(root: &RootDir, rows: u16, columns: u16) -> Result<Self, Error> {
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let master =
            root.get("/dev/pts/ptmx", flags).doing("open", "/dev/pts/ptmx of the container")?;
        // what the guest may have put in its place is not to be talked to
        let magic =
            rustix::fs::fstatfs(&master).doing("look at", "/dev/pts/ptmx of the container")?;
        if magic.f_type as u64 != DEVPTS {
            return Err(Errno::NOTTY).doing("use", "/dev/pts/ptmx of the container");
        }
        Self::from_master(master, rows, columns)
    }

    fn from_master(master: OwnedFd, rows: u16, columns: u16) -> Result<Self, Error> {
        unlockpt(&master).doing("unlock", "the terminal")?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = ioctl_tiocgptpeer(&master, flags).doing("open", "the terminal's other end")?;
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).doing("set the size of", "the terminal")?;
        Ok(Self { master, slave })
    }
}
