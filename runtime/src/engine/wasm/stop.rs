//! Signals to the guest's process: a request to stop becomes an epoch interrupt and a wake-up.
//!
//! The handler only stores, increments the epoch (which wasmtime documents as signal-safe) and writes to a pipe, so
//! that running guest code traps at its next loop or call, and a guest that waits in a host function wakes up.

use rustix::pipe::PipeFlags;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, Ordering};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use wasmtime::Engine;

/// The first stop signal that came; 0 if none has.
static SIGNAL: AtomicI32 = AtomicI32::new(0);
static WAKE: AtomicI32 = AtomicI32::new(-1);
/// Interrupted at once: commands. Servers drain first and are interrupted when that takes too long.
static ENGINE: OnceLock<Engine> = OnceLock::new();

/// The end of the pipe that becomes readable when a stop signal comes.
pub(super) struct Stop {
    read: OwnedFd,
    _write: OwnedFd,
}

/// The stop signal that was received.
pub(super) fn received() -> Option<i32> {
    match SIGNAL.load(Ordering::Relaxed) {
        0 => None,
        signal => Some(signal),
    }
}

extern "C" fn handler(signal: libc::c_int) {
    let _ = SIGNAL.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed);
    if let Some(engine) = ENGINE.get() {
        engine.increment_epoch();
    }
    let byte = [0u8];
    // SAFETY: `write` is async-signal-safe; the buffer lives; a bad descriptor is an error that nobody reads. `errno`
    // is restored for whatever was interrupted.
    unsafe {
        let errno = *libc::__errno_location();
        libc::write(WAKE.load(Ordering::Relaxed) as RawFd, byte.as_ptr().cast(), 1);
        *libc::__errno_location() = errno;
    }
}

extern "C" fn tick(_: libc::c_int) {
    if let Some(engine) = ENGINE.get() {
        engine.increment_epoch();
    }
}

/// Makes a forked process take signals as a fresh one would: its parent blocks those that it reads from a descriptor,
/// and may have handlers, which mean nothing here.
pub(super) fn reset_signals() {
    let handled = [
        libc::SIGHUP,
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGUSR1,
        libc::SIGUSR2,
        libc::SIGALRM,
        libc::SIGTERM,
        libc::SIGCHLD,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGWINCH,
    ];
    // SAFETY: the default action is no handler at all; sigemptyset initialises the set; a mask is only read. A write to
    // a closed pipe stays an error and no signal, as Rust programs have it.
    unsafe {
        for signal in handled {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

impl Stop {
    /// Installs the handler for SIGTERM, SIGINT and the image's own stop signal.
    pub fn install(stop_signal: i32) -> std::io::Result<Self> {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        WAKE.store(write.as_raw_fd(), Ordering::Relaxed);
        for signal in [libc::SIGTERM, libc::SIGINT, stop_signal] {
            // SAFETY: the handler is async-signal-safe; the structure is initialised. No SA_RESTART: a blocking write
            // to a full pipe must end when the guest is told to stop.
            let result = unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler as *const () as usize;
                libc::sigemptyset(&raw mut action.sa_mask);
                libc::sigaction(signal, &raw const action, std::ptr::null_mut())
            };
            if result != 0 {
                return Err(std::io::Error::last_os_error());
            }
        }
        Ok(Self { read, _write: write })
    }

    /// From now on a stop signal interrupts the guests of this engine at once.
    pub fn interrupt(engine: &Engine) {
        let engine = ENGINE.get_or_init(|| engine.clone());
        if received().is_some() {
            engine.increment_epoch();
        }
    }

    /// Lets the guests of this engine yield every ten milliseconds of processor time: an idle server is never woken.
    pub fn tick(engine: &Engine) -> std::io::Result<()> {
        ENGINE.get_or_init(|| engine.clone());
        let every = libc::timeval { tv_sec: 0, tv_usec: 10_000 };
        let timer = libc::itimerval { it_interval: every, it_value: every };
        // SAFETY: the handler is async-signal-safe; both structures are initialised.
        let result = unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = tick as *const () as usize;
            action.sa_flags = libc::SA_RESTART;
            libc::sigemptyset(&raw mut action.sa_mask);
            match libc::sigaction(libc::SIGPROF, &raw const action, std::ptr::null_mut()) {
                0 => libc::setitimer(libc::ITIMER_PROF, &raw const timer, std::ptr::null_mut()),
                error => error,
            }
        };
        if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
    }

    /// Waits for a stop signal.
    pub async fn wait(&self) -> i32 {
        // SAFETY: the descriptor is open as long as `self`, which outlives this future.
        let pipe =
            unsafe { AsyncFd::register_with_interest(self.read.as_raw_fd(), Interest::READABLE) };
        let Ok(pipe) = pipe else { return std::future::pending().await };
        loop {
            if let Some(signal) = received() {
                return signal;
            }
            let Ok(mut ready) = pipe.readable().await else { return std::future::pending().await };
            ready.clear_ready();
        }
    }
}

/// A signal by name (`SIGTERM`, `TERM`) or number; SIGTERM if it is neither.
pub(super) fn number(name: Option<&str>) -> i32 {
    let Some(name) = name else { return libc::SIGTERM };
    if let Ok(number) = name.parse() {
        return number;
    }
    let name = name.to_ascii_uppercase();
    match name.strip_prefix("SIG").unwrap_or(&name) {
        "HUP" => libc::SIGHUP,
        "INT" => libc::SIGINT,
        "QUIT" => libc::SIGQUIT,
        "USR1" => libc::SIGUSR1,
        "USR2" => libc::SIGUSR2,
        "ALRM" => libc::SIGALRM,
        "WINCH" => libc::SIGWINCH,
        "PWR" => libc::SIGPWR,
        "RTMIN+3" => libc::SIGRTMIN() + 3,
        _ => libc::SIGTERM,
    }
}
