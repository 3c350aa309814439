//! The last step into the guest's program, by way of a program of a few instructions.
//!
//! A process that calls `execve` is still knarr: its `/proc/self/exe` is knarr's own file on the host. An image whose
//! command is `/proc/self/exe`, or a script that names it as its interpreter, would run knarr inside the container with
//! the image's libraries, and could then open that file for writing (CVE-2019-5736). So the process first becomes this
//! launcher, which lives in sealed memory, and the launcher starts the program: what is to be found under
//! `/proc/self/exe` then is the launcher.
//!
//! Its arguments are the files to try, an empty one, and the program's own arguments. Descriptor [`REPORT`] closes
//! when the program starts; else it gets the error number, in four bytes.
//!
//! With [`INIT`] before them it is the init of `--init`: it starts the program in a child, a process group of its own,
//! and stays behind as process 1 that forwards signals and reaps orphans, until the program ends. So nothing of knarr is
//! in the container but these instructions: no memory, no descriptor.
//!
//! Nobody may read its file, and it is executed without the capabilities that would allow that all the same: the kernel
//! then lets nobody in the container look into the process (ptrace(2), "PTRACE_MODE"), from its first instruction on
//! until the program starts. Else whoever is root inside could get at [`REPORT`].

mod code;

use super::sys;
use code::{MACHINE, code};
use rustix::fs::{MemfdFlags, Mode, SealFlags};
use rustix::io::{Errno, Result};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use std::ffi::{CStr, c_char};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

/// Where errors are reported.
pub const REPORT: RawFd = 3;

/// The name of the init. With its end it fills the word in which the code looks for it, and no file to try is called so:
/// each has a slash.
const INIT: &CStr = c"kn-init";

/// The launcher in memory; `None` where it can't be had (another processor, `vm.memfd_noexec`), and the program is
/// started directly.
pub struct Launcher(Option<OwnedFd>);

impl Launcher {
    pub fn new() -> Self {
        Self(make().ok().flatten())
    }

    /// The descriptor that [`Self::exec`] needs.
    pub fn descriptor(&self) -> Option<RawFd> {
        self.0.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// Replaces this process's program. Returns only when that failed. All signals are blocked for an init.
    ///
    /// `candidates` and `arguments` are strings; `report` reports what the launcher meets.
    pub fn exec(
        &self,
        report: BorrowedFd<'_>,
        is_init: bool,
        candidates: &[&CStr],
        arguments: &[*const c_char],
        environment: &[*const c_char],
    ) -> Errno {
        let Some(launcher) = &self.0 else { return Errno::NOSYS };
        // the launcher marks it close-on-exec again
        if let Err(error) = sys::install_report(report) {
            return error;
        }
        let files = candidates.iter().map(|candidate| candidate.as_ptr());
        let empty = c"".as_ptr();
        let init = is_init.then_some(INIT.as_ptr());
        let all: Vec<*const c_char> =
            init.into_iter().chain(files).chain([empty]).chain(arguments.iter().copied()).collect();
        debug_assert_eq!(all.last(), Some(&ptr::null()));
        // a new program gets them anew
        let reading = CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
        let given_up = capabilities(None).and_then(|before| {
            let effective = before.effective - reading;
            set_capabilities(None, CapabilitySets { effective, ..before }).map(|()| before)
        });
        match given_up {
            Ok(before) => {
                let error = sys::execve_file(launcher.as_fd(), &all, environment);
                set_capabilities(None, before).err().unwrap_or(error)
            }
            Err(error) => error,
        }
    }
}

/// Puts an ELF file around the code.
fn make() -> Result<Option<OwnedFd>> {
    let Some(code) = code() else { return Ok(None) };
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = match rustix::fs::memfd_create("knarr-launcher", flags | MemfdFlags::EXEC) {
        // Linux before 6.3 makes all of them executable
        Err(Errno::INVAL) => rustix::fs::memfd_create("knarr-launcher", flags)?,
        other => other?,
    };
    // out of the way of the descriptors that the process is about to rearrange
    let file = rustix::io::fcntl_dupfd_cloexec(&file, 10)?;
    let image = elf(code);
    if rustix::io::write(&file, &image)? != image.len() {
        return Err(Errno::IO);
    }
    rustix::fs::fchmod(&file, Mode::from_raw_mode(0o111))?;
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    rustix::fs::fcntl_add_seals(&file, seals)?;
    Ok(Some(file))
}

/// A static executable with one segment (elf(5)).
fn elf(code: &[u8]) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    const EXECUTABLE: u16 = 2;
    const LOAD: u32 = 1;
    const READ_EXECUTE: u32 = 5;
    let length = HEADERS + code.len() as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend(EXECUTABLE.to_le_bytes());
    file.extend(MACHINE.to_le_bytes());
    file.extend(1u32.to_le_bytes()); // version
    file.extend((BASE + HEADERS).to_le_bytes()); // entry
    file.extend(64u64.to_le_bytes()); // program headers follow
    file.extend(0u64.to_le_bytes()); // no sections
    file.extend(0u32.to_le_bytes()); // flags
    for half in [64u16, 56, 1, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    file.extend(LOAD.to_le_bytes());
    file.extend(READ_EXECUTE.to_le_bytes());
    for word in [0, BASE, BASE, length, length, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.extend(code);
    file
}

#[cfg(test)]
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    fn run(arguments: &[&str]) -> std::process::Output {
        let file = make().unwrap().expect("the launcher");
        let path = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        Command::new(path).arg0(arguments[0]).args(&arguments[1..]).output().unwrap()
    }

    #[test]
    fn tries_its_files_in_order() {
        let output = run(&[
            "/nonexistent",
            "/bin/sh",
            "/bin/false",
            "",
            "name",
            "-c",
            "echo $0 $1",
            "zero",
            "one",
        ]);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "zero one\n");
        assert_eq!(run(&["/nonexistent", "", "x"]).status.code(), Some(126));
        assert_eq!(run(&["no", "separator"]).status.code(), Some(126));
    }

    #[test]
    fn nobody_can_read_it() {
        let file = make().unwrap().expect("the launcher");
        let mode = rustix::fs::fstat(&file).unwrap().st_mode;
        assert_eq!(mode & 0o777, 0o111);
    }

    #[test]
    fn nobody_can_write_it() {
        let file = make().unwrap().expect("the launcher");
        assert_eq!(rustix::io::pwrite(&file, b"x", 0), Err(Errno::PERM));
    }
}
