//! Compiling a module ahead of time, in a process of its own: Cranelift reads hostile input, may need seconds and
//! hundreds of megabytes, and has been seen to panic. Whatever happens to it, nobody else goes down.

use super::cache::{Cache, Entry};
use super::cause::Cause;
use super::config::{self, Code, Purpose};
use super::confine;
use super::error::Error;
use super::kinds::Format;
use super::locate::{self, Found};
use super::message::Progress;
use super::origin::Origin;
use knarr_core::fsx;
use knarr_core::root::Root;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;
use wasmtime::Engine;

/// Compiles a module into the cache, so that its first run finds it there. `module` is a file of an unpacked layer.
///
/// Forks: call it from a process with a single thread.
pub fn precompile(
    root: &Root,
    module: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), Error> {
    let file = fsx::open(module).map_err(|e| Error::system("open the module", e))?;
    let metadata = file.metadata().map_err(|e| Error::system("examine the module", e))?;
    let found = locate::examine(file, module.display().to_string())?;
    let cache = Cache::new(root, &config::compatibility());
    let origin = Origin::of(root, module, metadata);
    let entry = cache.entry(&found.file, origin.as_ref())?;
    if let Some((path, _)) = entry.present().iter().find(|(path, _)| path.exists()) {
        return entry.remember(path);
    }
    let entry = entry.by_content(&found.file)?;
    compile(&cache, &entry, &found, progress)?;
    Ok(())
}

pub(super) fn engine(purpose: Purpose, code: Code) -> Result<Engine, Error> {
    config::engine(purpose, code).map_err(|e| Error::system("set up wasmtime", e))
}

/// Compiles into the cache entry, in a child process; where the file is and of what kind.
pub(super) fn compile(
    cache: &Cache,
    entry: &Entry,
    found: &Found,
    progress: &mut dyn FnMut(Progress),
) -> Result<(PathBuf, Code), Error> {
    cache.create()?;
    let bytes = found.file.metadata().map_or(0, |m| m.len());
    progress(Progress::Compiling { path: found.path.clone(), bytes });
    let started = Instant::now();
    let output = cache.temporary()?;
    let code = in_child(found, output.as_file())?;
    let path = entry.publish(output, code)?;
    cache.shrink(&path)?;
    let milliseconds = started.elapsed().as_millis() as u64;
    progress(Progress::Compiled { path: found.path.clone(), milliseconds });
    Ok((path, code))
}

fn in_child(found: &Found, output: &File) -> Result<Code, Error> {
    let failed = |e: rustix::io::Errno| Error::system("start the compiler", e);
    let (read, write) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(failed)?;
    let parent = rustix::process::getpid();
    // SAFETY: the caller has a single thread, as `precompile` and `start` demand; the child ends in `leave`.
    let child = match unsafe { libc::fork() } {
        -1 => return Err(Error::system("start the compiler", std::io::Error::last_os_error())),
        0 => {
            drop(read);
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                confine::compiler(parent)?;
                translate(found, output)
            }));
            if let Ok(result) = &result
                && let Ok(text) = serde_json::to_vec(result)
            {
                let _ = File::from(write).write_all(&text);
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
    match serde_json::from_slice::<Result<Code, Error>>(&report) {
        Ok(Ok(code)) if how.success() => Ok(code),
        Ok(Err(error)) => Err(error),
        _ => Err(Error::CompilerCrashed { path: found.path.clone(), how: how.to_string() }),
    }
}

fn translate(found: &Found, mut output: &File) -> Result<Code, Error> {
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
    let code = Code::of(&module, found.format);
    let compiled = match compile(code)? {
        // asynchronous functions, though none of WASI
        Err(_) if found.format.is_component() && code == Code::Plain => {
            compile(Code::Async)?.map(|compiled| (compiled, Code::Async))
        }
        result => result.map(|compiled| (compiled, code)),
    };
    let (compiled, code) = compiled.map_err(|e| Error::Invalid {
        path: found.path.clone(),
        source: invalid(&e, found.format),
    })?;
    output.write_all(&compiled).map_err(|e| Error::system("write the compiled module", e))?;
    Ok(code)
}

fn invalid(error: &wasmtime::Error, format: Format) -> Cause {
    let text = format!("{error:#}");
    match format {
        // the text format's errors draw the offending line
        Format::Text { .. } => Cause::new(text.trim_end().to_owned()),
        _ => Cause::new(text),
    }
}
