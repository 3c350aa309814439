//! The compiler's process: a fork that keeps nothing but what it reads and writes, and is bounded by the kernel.

use super::super::cause::Cause;
use super::super::config::{Code, Purpose};
use super::super::confine::{self, End};
use super::super::error::Error;
use super::super::kinds::Format;
use super::super::locate::Found;
use super::super::stop;
use super::allowance::{Allowance, Resource};
use super::{engine, proposals};
use crate::sys::process::keep_only;
use knarr_core::fsx;
use rustix::fs::MemfdFlags;
use rustix::process::{Pid, Resource as Limited, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// What the compiler says of a module.
type Report = Result<Code, Failure>;

#[derive(Debug, Serialize, Deserialize)]
enum Failure {
    OutOfMemory,
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// What the standard library says when memory is out, before it aborts.
const NO_MEMORY: &str = "memory allocation of ";
/// Bytes of what a compiler that crashed has said.
const WORDS: usize = 4096;

/// Compiles a module into a file, within the allowance.
pub(super) fn compile(found: &Found, output: &File, allowance: &Allowance) -> Result<Code, Error> {
    let failed = |e: rustix::io::Errno| Error::system("start the compiler", e);
    let (read, write) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed)?;
    let words: File =
        rustix::fs::memfd_create("compiler", MemfdFlags::CLOEXEC).map_err(failed)?.into();
    let parent = rustix::process::getpid();
    // SAFETY: the caller has a single thread, as `precompile` and `start` demand; the child ends in `leave`.
    let child = match unsafe { libc::fork() } {
        -1 => return Err(Error::system("start the compiler", std::io::Error::last_os_error())),
        0 => {
            let write = File::from(write);
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let kept = [found.file.as_raw_fd(), output.as_raw_fd(), write.as_raw_fd()];
                confine(kept, &words, allowance, parent)?;
                translate(found, output)
            }));
            if let Ok(result) = &result
                && let Ok(text) = serde_json::to_vec(result)
            {
                let _ = (&write).write_all(&text);
            }
            confine::leave(i32::from(!matches!(result, Ok(Ok(_)))))
        }
        child => child,
    };
    drop(write);
    let mut report = Vec::new();
    let read = File::from(read).read_to_end(&mut report);
    let how = confine::wait(child).map_err(|e| Error::system("wait for the compiler", e))?;
    read.map_err(|e| Error::system("read the compiler's report", e))?;
    let above = |limit| Error::CompilerLimit { path: found.path.clone(), limit };
    match (serde_json::from_slice::<Report>(&report), how) {
        (Ok(Ok(code)), how) if how.success() => Ok(code),
        (Ok(Err(Failure::Other(error))), _) => Err(error),
        (Ok(Err(Failure::OutOfMemory)), _) => Err(above(Resource::Memory(allowance.memory))),
        (_, End::Signal(libc::SIGXCPU)) => Err(above(Resource::Time(allowance.seconds))),
        _ => {
            let words = beginning(&words);
            if words.contains(NO_MEMORY) {
                return Err(above(Resource::Memory(allowance.memory)));
            }
            let (path, how) = (found.path.clone(), how.to_string());
            let source = (!words.trim().is_empty()).then(|| Cause::new(words.trim().to_owned()));
            Err(Error::CompilerCrashed { path, how, source })
        }
    }
}

fn beginning(words: &File) -> String {
    let mut bytes = vec![0; WORDS];
    let length = words.read_at(&mut bytes, 0).unwrap_or(0);
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

/// Leaves this process its three files and a place for its last words, and limits what it may take.
fn confine(kept: [i32; 3], words: &File, allowance: &Allowance, parent: Pid) -> Result<(), Error> {
    stop::reset_signals();
    let failed = |e: rustix::io::Errno| Error::confine("limiting the compiler", e);
    rustix::stdio::dup2_stderr(words).map_err(failed)?;
    // what else is open belongs to the parent's objects, which this process never touches: their owners live in stack frames
    // that it does not return to
    keep_only(kept);
    // what it has from its parent does not count
    let memory = allowance.memory.saturating_add(private_memory());
    for (resource, limit) in [(Limited::Data, memory), (Limited::Cpu, allowance.seconds)] {
        let Rlimit { current, maximum } = getrlimit(resource);
        let limit = current.map_or(limit, |current| current.min(limit));
        setrlimit(resource, Rlimit { current: Some(limit), maximum }).map_err(failed)?;
    }
    confine::compiler(parent)
}

/// Bytes of this process's memory that the kernel counts as data.
fn private_memory() -> u64 {
    let text = fsx::read_to_string(Path::new("/proc/self/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmData:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}

fn translate(found: &Found, mut output: &File) -> Report {
    let length = found.file.metadata().map_or(0, |m| m.len());
    let mut module = vec![0; length.try_into().unwrap_or(0)];
    found
        .file
        .read_exact_at(&mut module, 0)
        .map_err(|e| Error::system(format!("read {}", found.path), e))?;
    let compile = |code| -> Result<wasmtime::Result<Vec<u8>>, Error> {
        let engine = engine(Purpose::Compile, code)?;
        Ok(match found.format.is_component() {
            true => engine.precompile_component(&module),
            false => engine.precompile_module(&module),
        })
    };
    let mut code = Code::of(&module, found.format);
    let mut compiled = compile(code)?;
    // asynchronous functions, though none of WASI
    if compiled.is_err() && found.format.is_component() && code == Code::Plain {
        code = Code::Async;
        compiled = compile(code)?;
    }
    let compiled = match compiled {
        Ok(compiled) => compiled,
        Err(error) if is_lack_of_memory(&error) => return Err(Failure::OutOfMemory),
        Err(error) => {
            let (path, source) = (found.path.clone(), invalid(&error, found.format));
            let proposals = proposals::lacking(&module, code);
            return Err(Failure::Other(match proposals.is_empty() {
                true => Error::Invalid { path, source },
                false => Error::Proposals { path, proposals, source },
            }));
        }
    };
    output.write_all(&compiled).map_err(|e| Error::system("write the compiled module", e))?;
    Ok(code)
}

/// Memory that wasmtime asked for in vain, of the allocator or of the kernel.
fn is_lack_of_memory(error: &wasmtime::Error) -> bool {
    let refused = |e: &(dyn std::error::Error + 'static)| {
        e.downcast_ref::<std::io::Error>().is_some_and(|e| e.raw_os_error() == Some(libc::ENOMEM))
            || e.downcast_ref::<rustix::io::Errno>() == Some(&rustix::io::Errno::NOMEM)
    };
    error.is::<wasmtime::OutOfMemory>() || error.chain().any(refused)
}

fn invalid(error: &wasmtime::Error, format: Format) -> Cause {
    let text = format!("{error:#}");
    match format {
        // the text format's errors draw the offending line
        Format::Text { .. } => Cause::new(text.trim_end().to_owned()),
        _ => Cause::new(text),
    }
}
