//! The way out of a user's networks: a program that has the host's network on one side, and on the other an interface in
//! the user's.
//!
//! Neither lets the networks reach the host's own loopback: that is what their options here are about.

use super::error::{Doing, Error};
use crate::sys::process::Process;
use crate::sys::signal::Signal;
use knarr_core::fsx;
use knarr_core::root::Root;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::io::fcntl_getfd;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running uplink. Dropping it ends it.
#[derive(Debug)]
struct Uplink {
    name: &'static str,
    process: Child,
    started: Instant,
}

/// One that lasts longer works: when it ends, it is as if it were the first.
const STEADY: Duration = Duration::from_secs(1);

/// Before each further try, where one does not start or does not last. There are no more: it would go on like that.
const PAUSES: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(5)];

/// The uplinks of some namespaces, one after the other.
#[derive(Debug)]
pub struct Way<'a> {
    root: &'a Root,
    inside: u32,
    uplink: Option<Uplink>,
    pauses: std::slice::Iter<'static, Duration>,
    next: Option<Instant>,
    is_wanted: bool,
}

impl<'a> Way<'a> {
    /// For the namespaces of a process.
    pub fn new(root: &'a Root, inside: u32) -> Self {
        let (uplink, pauses, next) = (None, PAUSES.iter(), None);
        Self { root, inside, uplink, pauses, next, is_wanted: false }
    }

    /// Somebody wants it, from now on until the end. What leads out just now.
    pub fn open(&mut self) -> Option<&'static str> {
        if !self.is_wanted {
            self.is_wanted = true;
            self.start();
        }
        self.uplink.as_ref().map(|uplink| uplink.name)
    }

    /// What tells that [`Self::ended`] has something to do.
    pub fn watch(&self) -> Option<Process> {
        self.uplink.as_ref().and_then(|uplink| Process::open(uplink.process.id()).ok())
    }

    /// When [`Self::tick`] has.
    pub fn deadline(&self) -> Option<Instant> {
        self.next
    }

    pub fn ended(&mut self) {
        if self.uplink.take().is_some_and(|ended| ended.started.elapsed() > STEADY) {
            self.pauses = PAUSES.iter();
        }
        self.plan();
    }

    pub fn tick(&mut self) {
        if self.next.is_some_and(|at| at <= Instant::now()) {
            self.start();
        }
    }

    fn start(&mut self) {
        self.next = None;
        self.uplink = start(self.root, self.inside);
        if self.uplink.is_none() && lacking().is_none() {
            self.plan();
        }
    }

    fn plan(&mut self) {
        self.next = self.pauses.next().map(|pause| Instant::now() + *pause);
    }
}

/// The first that is there and starts, for the namespaces of a process. `None`: there is none, or none works (no `/dev/net/tun`).
fn start(root: &Root, inside: u32) -> Option<Uplink> {
    let pasta = || pasta(root, inside).ok().flatten();
    pasta().or_else(|| slirp4netns(inside).ok().flatten())
}

/// Of a process in the namespaces: the uplinks enter its user namespace first, and may look at nothing outside then.
fn path_of(inside: u32, namespace: &str) -> String {
    format!("/proc/{inside}/ns/{namespace}")
}

/// pasta(1): the namespace gets the host's own addresses.
fn pasta(root: &Root, inside: u32) -> Result<Option<Uplink>, Error> {
    // It writes its number when it is ready. A pipe with a name, as it cannot open ours.
    let pipe = root.networks_run().join("pasta");
    fsx::remove_file(&pipe)?;
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).doing("make a pipe")?;
    let reader = open(&pipe, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())
        .doing("open a pipe")?;
    // ours too until it has started, or its absence would look like its end
    let writer =
        open(&pipe, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).doing("open a pipe")?;
    let mut command = Command::new("pasta");
    command
        .args(["--foreground", "--quiet", "--config-net", "--no-map-gw"])
        // nothing is forwarded but what a monitor forwards
        .args(["-t", "none", "-u", "none", "-T", "none", "-U", "none"])
        .arg("--pid")
        .arg(&pipe)
        .args(["--userns", &path_of(inside, "user"), "--netns", &path_of(inside, "net")]);
    let started = launch("pasta", command);
    let result = match started {
        Ok(Some(mut uplink)) => {
            drop(writer);
            let ready = wait(&mut uplink, reader);
            ready.then_some(uplink)
        }
        Ok(None) => None,
        Err(e) => return Err(e),
    };
    fsx::remove_file(&pipe)?;
    Ok(result)
}

/// slirp4netns(1): the namespace gets 10.0.2.100/24.
fn slirp4netns(inside: u32) -> Result<Option<Uplink>, Error> {
    let (reader, writer) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).doing("make a pipe")?;
    let number = writer.as_raw_fd();
    let mut command = Command::new("slirp4netns");
    command
        .args(["--configure", "--mtu=65520", "--disable-host-loopback", "--enable-ipv6"])
        .arg(format!("--ready-fd={number}"))
        .arg(format!("--userns-path={}", path_of(inside, "user")))
        .args(["--netns-type=path", &path_of(inside, "net"), "tap0"]);
    // SAFETY: between fork and exec it makes one system call, on a descriptor that is open in the child.
    unsafe {
        command.pre_exec(move || {
            let writer = rustix::fd::BorrowedFd::borrow_raw(number);
            let flags = fcntl_getfd(writer)? & !rustix::io::FdFlags::CLOEXEC;
            Ok(rustix::io::fcntl_setfd(writer, flags)?)
        });
    }
    let Some(mut uplink) = launch("slirp4netns", command)? else { return Ok(None) };
    drop(writer);
    let ready = wait(&mut uplink, reader);
    Ok(ready.then_some(uplink))
}

/// `None`: there is no such program.
fn launch(name: &'static str, mut command: Command) -> Result<Option<Uplink>, Error> {
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // SAFETY: one system call. The keeper has a single thread, whose end is its own.
    unsafe {
        command.pre_exec(|| {
            let death = rustix::process::Signal::TERM;
            Ok(rustix::process::set_parent_process_death_signal(Some(death))?)
        });
    }
    match command.spawn() {
        Ok(process) => Ok(Some(Uplink { name, process, started: Instant::now() })),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).doing("start the way out of the networks"),
    }
}

/// Waits until it says that it is ready, or ends.
fn wait(uplink: &mut Uplink, reader: OwnedFd) -> bool {
    use rustix::event::{PollFd, PollFlags, poll};
    let Ok(process) = Process::open(uplink.process.id()) else { return false };
    loop {
        let mut both = [PollFd::new(&reader, PollFlags::IN), PollFd::new(&process, PollFlags::IN)];
        match poll(&mut both, None) {
            Err(rustix::io::Errno::INTR) => continue,
            Err(_) => return false,
            Ok(_) => {}
        }
        if both[0].revents().contains(PollFlags::IN) {
            let mut message = [0; 16];
            return std::fs::File::from(reader).read(&mut message).is_ok_and(|n| n > 0);
        }
        if !both[1].revents().is_empty() {
            return false;
        }
    }
}

impl Drop for Uplink {
    fn drop(&mut self) {
        if let Ok(process) = Process::open(self.process.id()) {
            let _ = process.signal(Signal::TERM);
        }
        let _ = self.process.wait();
    }
}

/// What keeps an ordinary user from having one, and what to do about it; `None`: nothing that could be seen from here.
pub fn lacking() -> Option<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = |folder: &Path| ["pasta", "slirp4netns"].iter().any(|p| folder.join(p).exists());
    if !std::env::split_paths(&path).any(|folder| has(&folder)) {
        return Some("install pasta (package passt) or slirp4netns");
    }
    // rights are not enough: the kernel may lack the driver
    let interfaces = open("/dev/net/tun", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let remedy = "this user may not use /dev/net/tun; as the superuser: modprobe tun, chmod 666 /dev/net/tun";
    interfaces.err().map(|_| remedy)
}
