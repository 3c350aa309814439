//! Attributes of mounts, and whose the files in them are.

use knarr_core::spec::{IdMap, IdRange};
use rustix::io::{Errno, Result};
use rustix::process::{Pid, WaitOptions, waitpid};
use std::fmt::Write;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// linux/mount.h
const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;

/// Sets and clears attributes (`MOUNT_ATTR_*`) and the propagation (`MS_*`, 0 keeps it) of the mount `at` is the root of.
pub fn mount_setattr(
    at: BorrowedFd<'_>,
    recursive: bool,
    set: u64,
    clear: u64,
    propagation: u64,
) -> Result<()> {
    let attributes = MountAttr { attr_set: set, attr_clr: clear, propagation, userns_fd: 0 };
    set_attributes(at, recursive, attributes)
}

/// Shows the files of a detached mount under other ids (Linux 5.12, and a file system that can: `EINVAL` otherwise).
pub fn map_ids(at: BorrowedFd<'_>, recursive: bool, map: &IdMap) -> Result<()> {
    let namespace = id_namespace(map)?;
    let userns_fd = namespace.as_raw_fd().unsigned_abs().into();
    let attributes = MountAttr { attr_set: MOUNT_ATTR_IDMAP, userns_fd, ..MountAttr::default() };
    set_attributes(at, recursive, attributes)
}

fn set_attributes(at: BorrowedFd<'_>, recursive: bool, mut attributes: MountAttr) -> Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: all pointers outlive the call, the size is that of the structure
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            at.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw mut attributes,
            size_of::<MountAttr>(),
        )
    };
    if result < 0 { Err(last_error()) } else { Ok(()) }
}

/// A user namespace whose only purpose is its map. The kernel has no other way to name one.
fn id_namespace(map: &IdMap) -> Result<OwnedFd> {
    let (ready, tell) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let (wait, release) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    // SAFETY: the child makes system calls only, which need neither heap nor locks, and ends in `_exit`.
    let pid = unsafe { libc::fork() };
    match Pid::from_raw(pid) {
        None if pid == 0 => {
            // SAFETY: as above; the descriptors are this process's copies.
            unsafe {
                libc::close(release.as_raw_fd());
                let made: u8 = u8::from(libc::unshare(libc::CLONE_NEWUSER) == 0);
                libc::write(tell.as_raw_fd(), (&raw const made).cast(), 1);
                let mut end = 0u8;
                libc::read(wait.as_raw_fd(), (&raw mut end).cast(), 1);
                libc::_exit(0)
            }
        }
        None => Err(last_error()),
        Some(child) => {
            drop((tell, wait));
            let result = fill_namespace(child, &ready, map);
            drop(release);
            while matches!(waitpid(Some(child), WaitOptions::empty()), Err(Errno::INTR)) {}
            result
        }
    }
}

fn fill_namespace(child: Pid, ready: &OwnedFd, map: &IdMap) -> Result<OwnedFd> {
    let mut made = [0];
    loop {
        match rustix::io::read(ready, &mut made) {
            Err(Errno::INTR) => {}
            Ok(1) if made[0] == 1 => break,
            Ok(_) => return Err(Errno::NOSPC),
            Err(e) => return Err(e),
        }
    }
    let process = format!("/proc/{}", child.as_raw_nonzero());
    write_map(&format!("{process}/uid_map"), &map.uids)?;
    write_map(&format!("{process}/gid_map"), &map.gids)?;
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    rustix::fs::open(format!("{process}/ns/user"), flags, rustix::fs::Mode::empty())
}

/// The first column of a map is the id on the disk, the second the one that is seen (mount_setattr(2), "ID-mapped
/// mounts"). A map is written by one call.
fn write_map(path: &str, ranges: &[IdRange]) -> Result<()> {
    let mut text = String::new();
    for IdRange { on_disk, seen, count } in ranges {
        // memory does not refuse to be written
        let _ = writeln!(text, "{on_disk} {seen} {count}");
    }
    let flags = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
    rustix::io::write(&file, text.as_bytes()).map(drop)
}

/// The mount that a path lies on.
#[derive(Debug, PartialEq, Eq)]
pub struct Containing {
    pub mount_point: PathBuf,
    /// Mounts made below it appear elsewhere too.
    pub is_shared: bool,
    /// Those made elsewhere appear here.
    pub is_slave: bool,
}

/// `None`: it is mounted outside of what this process sees.
pub fn containing(path: &Path) -> std::io::Result<Option<Containing>> {
    use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
    let id = statx(CWD, path, AtFlags::empty(), StatxFlags::MNT_ID)?.stx_mnt_id;
    let table = knarr_core::fsx::read_to_string(Path::new("/proc/self/mountinfo"))
        .map_err(std::io::Error::other)?;
    Ok(table.lines().find_map(|line| parse(line, id)))
}

/// The mount points below a directory that this process sees. The directory may be one itself.
pub fn below(directory: &Path) -> knarr_core::fsx::Result<Vec<PathBuf>> {
    let table = knarr_core::fsx::read_to_string(Path::new("/proc/self/mountinfo"))?;
    let points = table.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
    Ok(points.filter(|point| point.starts_with(directory) && point != directory).collect())
}

/// One line of mountinfo (proc(5)): `ID PARENT DEVICE ROOT POINT OPTIONS [shared:N] [master:N] … - …`
fn parse(line: &str, wanted: u64) -> Option<Containing> {
    let mut words = line.split(' ');
    if words.next()?.parse() != Ok(wanted) {
        return None;
    }
    let mount_point = unescape(words.nth(3)?);
    let fields: Vec<&str> = words.skip(1).take_while(|word| *word != "-").collect();
    let has = |name: &str| fields.iter().any(|field| field.starts_with(name));
    Some(Containing { mount_point, is_shared: has("shared:"), is_slave: has("master:") })
}

/// The kernel writes blanks and backslashes as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code.filter(|_| *first == b'\\') {
            Some(code) => {
                bytes.push(code);
                rest = &tail[3..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

/// Whether a path is the root of a mount.
pub fn is_mount(path: &Path) -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)
        .is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn last_error() -> Errno {
    let code = std::io::Error::last_os_error().raw_os_error();
    Errno::from_raw_os_error(code.unwrap_or(libc::EIO))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_mountinfo() {
        let line = r"36 35 98:0 /mnt1 /mnt\040two rw,noatime shared:1 master:2 - ext3 /dev/root rw";
        let found = parse(line, 36).unwrap();
        let mount_point = PathBuf::from("/mnt two");
        assert_eq!(found, Containing { mount_point, is_shared: true, is_slave: true });
        assert_eq!(parse(line, 35), None);
        let found = parse("1 0 0:1 / / rw - tmpfs shared:x rw", 1).unwrap();
        assert!(!found.is_shared && !found.is_slave);
        assert_eq!(unescape(r"/a\134040\9"), PathBuf::from(r"/a\040\9"));
    }
}
