//! What a process may do: capabilities and keys.

use super::check;
use rustix::io::{Errno, Result};
use std::ffi::{c_int, c_ulong};
use std::ptr;

/// A new session keyring, so that the guest cannot reach the caller's keys. Absent keyrings are no error.
pub fn new_session_keyring() -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: c_int = 1;
    // SAFETY: a null name asks for an anonymous keyring
    match check(unsafe {
        libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, ptr::null::<libc::c_char>())
    }) {
        Ok(_) | Err(Errno::NOSYS) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Sets all three capability sets of this thread (bit n is capability n).
pub fn set_capabilities(effective: u64, permitted: u64, inheritable: u64) -> Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: c_int,
    }
    #[repr(C)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    let half = |shift: u32| Data {
        effective: (effective >> shift) as u32,
        permitted: (permitted >> shift) as u32,
        inheritable: (inheritable >> shift) as u32,
    };
    let data = [half(0), half(32)];
    // SAFETY: both structures have the layout of version 3 and outlive the call
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) }).map(drop)
}

/// The effective set of this thread.
pub fn effective_capabilities() -> Result<u64> {
    Ok(rustix::thread::capabilities(None)?.effective.bits())
}

fn prctl(option: c_int, argument: c_ulong) -> Result<c_int> {
    // SAFETY: the options used below take integers only
    check(unsafe { libc::prctl(option, argument, 0 as c_ulong, 0 as c_ulong, 0 as c_ulong) }.into())
        .map(|value| value as c_int)
}

/// Whether this thread's bounding set has the capability; `None` where the kernel does not know it.
pub fn bounding_has(capability: u32) -> Option<bool> {
    prctl(libc::PR_CAPBSET_READ, capability.into()).ok().map(|value| value == 1)
}

pub fn bounding_drop(capability: u32) -> Result<()> {
    prctl(libc::PR_CAPBSET_DROP, capability.into()).map(drop)
}

/// Empties the ambient set.
pub fn ambient_clear() -> Result<()> {
    prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as c_ulong).map(drop)
}

/// Whether `setuid` away from 0 keeps the permitted set; cleared by `execve`.
pub fn keep_capabilities(keep: bool) -> Result<()> {
    prctl(libc::PR_SET_KEEPCAPS, keep.into()).map(drop)
}

pub fn set_dumpable(dumpable: bool) -> Result<()> {
    prctl(libc::PR_SET_DUMPABLE, dumpable.into()).map(drop)
}

pub fn no_new_privileges() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map(drop)
}

/// The signal this process gets when its parent dies.
pub fn parent_death_signal(signal: c_int) -> Result<()> {
    prctl(libc::PR_SET_PDEATHSIG, signal as c_ulong).map(drop)
}
