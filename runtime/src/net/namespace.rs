//! Network namespaces.

use knarr_core::fsx::{self, Context};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

const OWN: &str = "/proc/thread-self/ns/net";

/// Makes a namespace. It lives as long as this descriptor, a process in it, or a mount of it.
pub fn make() -> io::Result<OwnedFd> {
    aside(|| {
        // SAFETY: NEWNET touches neither memory nor descriptors, and this thread is about to end.
        unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
        Ok(fsx::open(Path::new(OWN)).map_err(|e| e.source)?.into())
    })
}

/// Makes a namespace for Wasm guests, whose processes have no right to low ports: what they bind, the engine decides. As in
/// Docker's containers.
pub fn make_for_guests() -> io::Result<OwnedFd> {
    let namespace = make()?;
    // where settings are read-only, low ports are refused
    let _ = set(namespace.as_fd(), "ipv4/ip_unprivileged_port_start", "0");
    Ok(namespace)
}

/// Does something inside of a namespace; sockets opened there stay there.
pub fn within<T: Send>(
    namespace: BorrowedFd<'_>,
    act: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    aside(|| {
        move_into_link_name_space(namespace, Some(LinkNameSpaceType::Network))?;
        act()
    })
}

/// Changes a setting of a namespace, named by its path below `/proc/sys/net`.
pub fn set(namespace: BorrowedFd<'_>, setting: &str, value: &str) -> io::Result<()> {
    let path = Path::new("/proc/sys/net").join(setting);
    // whose setting it is, the thread says that opens it
    within(namespace, || fsx::write(&path, value).map_err(|e| e.source))
}

/// On a thread of its own, which is gone when this returns: the caller may need to be single-threaded again, and must not
/// find itself in another namespace if there is no way back.
fn aside<T: Send>(act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, act)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Waits until this process alone chooses subnets in its namespace, whatever roots the others have.
pub fn lock_subnets() -> fsx::Result<File> {
    let path = Path::new(OWN);
    let file = fsx::open(path)?;
    file.lock().at("lock", path)?;
    Ok(file)
}

/// The namespace of a process.
pub fn of_process(pid: u32) -> fsx::Result<OwnedFd> {
    Ok(fsx::open(Path::new(&format!("/proc/{pid}/ns/net")))?.into())
}

/// The namespace that is mounted at a path; `None` if none is.
pub fn mounted(path: &Path) -> fsx::Result<Option<OwnedFd>> {
    const NSFS_MAGIC: u64 = 0x6e73_6673;
    let file = match fsx::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let system = rustix::fs::fstatfs(&file).at("inspect", path)?;
    Ok((u64::try_from(system.f_type) == Ok(NSFS_MAGIC)).then(|| file.into()))
}

pub fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> bool {
    let inode = |fd| rustix::fs::fstat(fd).map(|s| (s.st_dev, s.st_ino)).ok();
    inode(one).is_some_and(|inode_of_one| Some(inode_of_one) == inode(other))
}

/// Keeps a namespace alive by mounting it on a file, which is made.
pub fn mount(namespace: &OwnedFd, path: &Path) -> fsx::Result<()> {
    let _: File = fsx::create(path)?;
    let source = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&namespace.as_fd()));
    rustix::mount::mount_bind(source.as_str(), path).at("mount a namespace on", path)
}

/// Lets a mounted namespace go, with its file.
pub fn unmount(path: &Path) -> fsx::Result<()> {
    use rustix::io::Errno;
    match rustix::mount::unmount(path, rustix::mount::UnmountFlags::DETACH) {
        Ok(()) | Err(Errno::INVAL | Errno::NOENT) => fsx::remove_file(path),
        Err(e) => Err(e).at("unmount", path),
    }
}
