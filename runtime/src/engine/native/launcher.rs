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

use super::sys;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::io::{Errno, Result};
use std::ffi::{CStr, c_char};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

/// Where errors are reported.
pub const REPORT: RawFd = 3;

/// The launcher in memory; `None` where it can't be had (another processor, `vm.memfd_noexec`), and the program is
/// started directly.
pub struct Launcher(Option<OwnedFd>);

impl Launcher {
    pub fn new() -> Self {
        Self(make().ok().flatten())
    }

    /// Replaces this process's program. Returns only when that failed.
    ///
    /// `candidates` and `arguments` are strings; `report` reports what the launcher meets.
    pub fn exec(
        &self,
        report: BorrowedFd<'_>,
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
        let all: Vec<*const c_char> =
            files.chain([empty]).chain(arguments.iter().copied()).collect();
        debug_assert_eq!(all.last(), Some(&ptr::null()));
        sys::execve_file(launcher.as_fd(), &all, environment)
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

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const MACHINE: u16 = 0;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn code() -> Option<&'static [u8]> {
    None
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn code() -> Option<&'static [u8]> {
    unsafe extern "C" {
        static knarr_launcher_start: u8;
        static knarr_launcher_end: u8;
    }
    let (start, end) = (&raw const knarr_launcher_start, &raw const knarr_launcher_end);
    // SAFETY: both are symbols of one section below, the second after the first; what is between them is constant
    Some(unsafe { std::slice::from_raw_parts(start, end.offset_from(start) as usize) })
}

// On entry the stack holds: argument count, arguments, null, environment, null.
// Registers kept: the next file to try, the program's arguments, its environment, the error to report.
#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .rodata.knarr_launcher, \"a\"",
    ".globl knarr_launcher_start",
    ".globl knarr_launcher_end",
    "knarr_launcher_start:",
    "    lea rbx, [rsp + 8]",
    "    mov r12, rbx",
    "2:  mov rax, [r12]", // look for the empty argument
    "    test rax, rax",
    "    je 6f", // started by nobody of ours
    "    add r12, 8",
    "    cmp byte ptr [rax], 0",
    "    jne 2b",
    "    mov r13, r12",
    "3:  mov rax, [r13]", // look for the end of the arguments
    "    add r13, 8",
    "    test rax, rax",
    "    jne 3b",
    "    mov edi, 3", // fcntl(REPORT, F_SETFD, FD_CLOEXEC)
    "    mov esi, 2",
    "    mov edx, 1",
    "    mov eax, 72",
    "    syscall",
    "    mov r14d, 2", // ENOENT
    "4:  mov rdi, [rbx]",
    "    cmp byte ptr [rdi], 0",
    "    je 5f",
    "    add rbx, 8",
    "    mov rsi, r12", // execve(file, arguments, environment)
    "    mov rdx, r13",
    "    mov eax, 59",
    "    syscall",
    "    neg eax",
    "    cmp eax, 2", // ENOENT, ENOTDIR: the next one
    "    je 4b",
    "    cmp eax, 20",
    "    je 4b",
    "    mov r14d, eax",
    "    cmp eax, 13", // EACCES: the next one, but not forgotten
    "    je 4b",
    "5:  push r14", // write(REPORT, &error, 4)
    "    mov edi, 3",
    "    mov rsi, rsp",
    "    mov edx, 4",
    "    mov eax, 1",
    "    syscall",
    "6:  mov edi, 126", // exit_group(126)
    "    mov eax, 231",
    "    syscall",
    "knarr_launcher_end:",
    ".popsection",
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".pushsection .rodata.knarr_launcher, \"a\"",
    ".balign 4",
    ".globl knarr_launcher_start",
    ".globl knarr_launcher_end",
    "knarr_launcher_start:",
    "    add x19, sp, #8",
    "    mov x20, x19",
    "2:  ldr x0, [x20]", // look for the empty argument
    "    cbz x0, 6f",    // started by nobody of ours
    "    add x20, x20, #8",
    "    ldrb w1, [x0]",
    "    cbnz w1, 2b",
    "    mov x21, x20",
    "3:  ldr x0, [x21], #8", // look for the end of the arguments
    "    cbnz x0, 3b",
    "    mov x0, #3", // fcntl(REPORT, F_SETFD, FD_CLOEXEC)
    "    mov x1, #2",
    "    mov x2, #1",
    "    mov x8, #25",
    "    svc #0",
    "    mov w22, #2", // ENOENT
    "4:  ldr x0, [x19], #8",
    "    ldrb w1, [x0]",
    "    cbz w1, 5f",
    "    mov x1, x20", // execve(file, arguments, environment)
    "    mov x2, x21",
    "    mov x8, #221",
    "    svc #0",
    "    neg w0, w0",
    "    cmp w0, #2", // ENOENT, ENOTDIR: the next one
    "    b.eq 4b",
    "    cmp w0, #20",
    "    b.eq 4b",
    "    mov w22, w0",
    "    cmp w0, #13", // EACCES: the next one, but not forgotten
    "    b.eq 4b",
    "5:  str w22, [sp, #-16]!", // write(REPORT, &error, 4)
    "    mov x0, #3",
    "    mov x1, sp",
    "    mov x2, #4",
    "    mov x8, #64",
    "    svc #0",
    "6:  mov x0, #126", // exit_group(126)
    "    mov x8, #94",
    "    svc #0",
    "knarr_launcher_end:",
    ".popsection",
);

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
    fn nobody_can_write_it() {
        let file = make().unwrap().expect("the launcher");
        assert_eq!(rustix::io::pwrite(&file, b"x", 0), Err(Errno::PERM));
    }
}
