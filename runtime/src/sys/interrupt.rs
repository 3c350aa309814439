//! Ctrl-C as an event, for work that many threads do.

use super::signal::Signal;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;

/// SIGINT, SIGTERM and SIGHUP are handed to a function while this value lives; afterwards they act as before.
///
/// For a process with a single thread, which may start others then: they inherit its mask.
#[derive(Debug)]
pub struct Interrupts {
    before: libc::sigset_t,
    stop: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Interrupts {
    /// Calls `act` with the first signal, in a thread of its own. A second one ends the process as if nobody had
    /// listened: who presses Ctrl-C twice means it.
    pub fn listen(act: impl Fn(Signal) + Send + 'static) -> io::Result<Self> {
        Self::listen_to(1, act)
    }

    /// [`Self::listen`] to so many signals; one more ends the process.
    pub fn listen_to(count: u32, act: impl Fn(Signal) + Send + 'static) -> io::Result<Self> {
        let stop = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let set = set();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: `set` is initialised, and pthread_sigmask initialises `before`; both outlive the call.
        let error = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, before.as_mut_ptr()) };
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        // SAFETY: initialised above.
        let before = unsafe { before.assume_init() };
        let mut interrupts = Self { before, stop, thread: None };
        // SAFETY: `set` is initialised; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &set, libc::SFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: signalfd returned a new descriptor that nobody else owns.
        let signals = unsafe { OwnedFd::from_raw_fd(fd) };
        let stop = interrupts.stop.clone();
        let thread = std::thread::Builder::new().name("interrupts".into());
        interrupts.thread = Some(thread.spawn(move || wait(&signals, &stop, count, &act))?);
        Ok(interrupts)
    }
}

fn set() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises `set`; sigaddset gets valid numbers only.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for number in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            libc::sigaddset(set.as_mut_ptr(), number);
        }
        set.assume_init()
    }
}

fn wait(signals: &OwnedFd, stop: &OwnedFd, count: u32, act: &dyn Fn(Signal)) {
    let mut left = count;
    loop {
        let mut fds = [PollFd::new(signals, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        if !fds[1].revents().is_empty() {
            return;
        }
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        if rustix::io::read(signals, &mut info).is_err() {
            continue;
        }
        // ssi_signo is the first field
        let number = i32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
        match left.checked_sub(1) {
            Some(rest) => left = rest,
            None => die_of(number),
        }
        if let Ok(signal) = Signal::try_from(number) {
            act(signal);
        }
    }
}

/// Ends the process by a signal, whose action is the default.
fn die_of(number: i32) {
    let set = set();
    // SAFETY: `set` is initialised and outlives the call; the signals have their default actions, which end the process.
    unsafe {
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &set, std::ptr::null_mut());
        libc::raise(number);
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        let _ = rustix::io::write(&self.stop, &1u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // SAFETY: `before` was filled by pthread_sigmask.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.before, std::ptr::null_mut()) };
    }
}
