//! Receiving signals as events instead of interruptions.

use knarr_core::signal::RTMAX;
pub use knarr_core::signal::{InvalidSignal, Signal};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

/// Sends a signal to this process itself.
pub fn raise(signal: Signal) -> io::Result<()> {
    // SAFETY: no memory is passed.
    match unsafe { libc::kill(libc::getpid(), signal.number()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The signals that a monitor, or a client that stands for its guest, passes on. Not those that report a fault of this
/// very process, nor those about its own children and its terminal (SIGWINCH has a meaning of its own).
fn forwarded() -> impl Iterator<Item = i32> {
    let own = [
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGABRT,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGSEGV,
        libc::SIGSYS,
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGCHLD,
        libc::SIGPIPE,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGURG,
        // the C library's own
        32,
        33,
    ];
    (1..=RTMAX).filter(move |n| !own.contains(n))
}

/// Signals that arrive on a descriptor while this value lives; afterwards they act as before.
///
/// For a process with a single thread: only the calling thread's mask changes.
#[derive(Debug)]
pub struct SignalQueue {
    fd: OwnedFd,
    before: libc::sigset_t,
}

impl SignalQueue {
    /// Blocks the signals to be forwarded and SIGWINCH, and receives them from then on.
    pub fn open() -> io::Result<Self> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises `set`; sigaddset gets valid numbers only; pthread_sigmask
        // initialises `before`; both outlive the calls.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for number in forwarded() {
                libc::sigaddset(set.as_mut_ptr(), number);
            }
            let error = libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr());
            if error != 0 {
                return Err(io::Error::from_raw_os_error(error));
            }
        }
        // SAFETY: both were initialised above.
        let (set, before) = unsafe { (set.assume_init(), before.assume_init()) };
        // SAFETY: `set` is initialised; -1 asks for a new descriptor.
        let fd = unsafe { libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            let error = io::Error::last_os_error();
            restore(&before);
            return Err(error);
        }
        // SAFETY: signalfd returned a new descriptor that nobody else owns.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) }, before })
    }

    /// The next signal that has arrived, if any.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        let mut bytes = [0u8; size_of::<libc::signalfd_siginfo>()];
        match rustix::io::read(&self.fd, &mut bytes) {
            Ok(_) => {}
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(None),
            Err(e) => return Err(e.into()),
        }
        // ssi_signo is the first field
        let number = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        Ok(i32::try_from(number).ok().and_then(|number| number.try_into().ok()))
    }
}

impl AsFd for SignalQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for SignalQueue {
    fn drop(&mut self) {
        restore(&self.before);
    }
}

fn restore(mask: &libc::sigset_t) {
    // SAFETY: `mask` was filled by pthread_sigmask.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, std::ptr::null_mut()) };
}
