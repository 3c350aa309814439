//! The path functions of WASI preview 1, in front of wasmtime-wasi's.
//!
//! Each call goes to wasmtime-wasi as it is. Where that refuses, and where a relative path belongs to the working
//! directory, the call is made once more on a scratch memory that holds the other path and receives the results,
//! which are then copied to the guest.

use super::super::Host1;
use super::walk::is_itself;
use wasmtime::{Caller, Extern, Linker};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::types::Errno;
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as wasi, WasiSnapshotPreview1};
use wiggle::GuestMemory;

/// The descriptor of the first preopened directory, the root.
const ROOT: i32 = 3;
/// The largest result that a function writes (`filestat`), rounded up.
const RESULT: usize = 64;
/// Room for the target of a link.
const LINK: usize = 4096;
/// What one call may copy from the guest; wasmtime's own default.
const FUEL: usize = 128 << 20;

/// A directory, and a path in the guest's memory.
#[derive(Debug, Clone, Copy)]
struct Path {
    directory: i32,
    start: i32,
    length: i32,
}

impl Path {
    /// Whether the path looks like the rest of an absolute one: C's library passes what comes after the slash of the string
    /// that the program gave it. Others pass a copy, and linkers merge strings that end alike.
    fn seems_absolute(self, memory: &[u8]) -> bool {
        let before = |bytes: usize| {
            let at = (self.start as u32 as usize).checked_sub(bytes)?;
            memory.get(at).copied()
        };
        // not the last name of a longer path
        before(1) == Some(b'/') && matches!(before(2), None | Some(0))
    }
}

/// A function with the arguments that are neither paths nor results.
#[derive(Debug, Clone, Copy)]
enum Function {
    CreateDirectory,
    FilestatGet {
        flags: i32,
    },
    FilestatSetTimes {
        flags: i32,
        accessed: i64,
        modified: i64,
        which: i32,
    },
    Link {
        flags: i32,
    },
    Open {
        flags: i32,
        open: i32,
        rights: i64,
        inheriting: i64,
        descriptor: i32,
    },
    ReadLink {
        buffer: i32,
        length: i32,
    },
    RemoveDirectory,
    Rename,
    /// The text of the link lies in the guest's memory.
    Symlink {
        target: i32,
        length: i32,
    },
    UnlinkFile,
}

/// One call.
#[derive(Debug, Clone, Copy)]
struct Call {
    function: Function,
    path: Path,
    second: Path,
    /// Where the result goes.
    result: i32,
}

/// Puts these functions in front of the ones that the linker has.
pub(in crate::engine::wasm) fn shadow(
    linker: &mut Linker<Host1>,
    module: &'static str,
) -> wasmtime::Result<()> {
    /// A path of which there is none.
    const NONE: Path = Path { directory: -1, start: 0, length: 0 };
    let at = |directory, start, length| Path { directory, start, length };

    macro_rules! path_functions {
        ($($name:literal ($($argument:ident: $type:ty),*) => $call:expr;)*) => {$(
            linker.func_wrap_async(
                module,
                $name,
                move |caller: Caller<'_, Host1>, ($($argument,)*): ($($type,)*)| {
                    let call: Call = $call;
                    Box::new(run(caller, call))
                },
            )?;
        )*};
    }

    path_functions! {
        "path_create_directory" (fd: i32, start: i32, length: i32) =>
            Call { function: Function::CreateDirectory, path: at(fd, start, length), second: NONE, result: 0 };
        "path_filestat_get" (fd: i32, flags: i32, start: i32, length: i32, result: i32) =>
            Call { function: Function::FilestatGet { flags }, path: at(fd, start, length), second: NONE, result };
        "path_filestat_set_times"
            (fd: i32, flags: i32, start: i32, length: i32, accessed: i64, modified: i64, which: i32) =>
            Call {
                function: Function::FilestatSetTimes { flags, accessed, modified, which },
                path: at(fd, start, length), second: NONE, result: 0,
            };
        "path_link" (fd: i32, flags: i32, start: i32, length: i32, new: i32, new_start: i32, new_length: i32) =>
            Call {
                function: Function::Link { flags },
                path: at(fd, start, length), second: at(new, new_start, new_length), result: 0,
            };
        "path_open"
            (fd: i32, flags: i32, start: i32, length: i32, open: i32, rights: i64, inheriting: i64,
             descriptor: i32, result: i32) =>
            Call {
                function: Function::Open { flags, open, rights, inheriting, descriptor },
                path: at(fd, start, length), second: NONE, result,
            };
        "path_readlink" (fd: i32, start: i32, length: i32, buffer: i32, size: i32, result: i32) =>
            Call {
                function: Function::ReadLink { buffer, length: size },
                path: at(fd, start, length), second: NONE, result,
            };
        "path_remove_directory" (fd: i32, start: i32, length: i32) =>
            Call { function: Function::RemoveDirectory, path: at(fd, start, length), second: NONE, result: 0 };
        "path_rename" (fd: i32, start: i32, length: i32, new: i32, new_start: i32, new_length: i32) =>
            Call {
                function: Function::Rename,
                path: at(fd, start, length), second: at(new, new_start, new_length), result: 0,
            };
        "path_symlink" (target: i32, target_length: i32, fd: i32, start: i32, length: i32) =>
            Call {
                function: Function::Symlink { target, length: target_length },
                path: at(fd, start, length), second: NONE, result: 0,
            };
        "path_unlink_file" (fd: i32, start: i32, length: i32) =>
            Call { function: Function::UnlinkFile, path: at(fd, start, length), second: NONE, result: 0 };
    }
    super::descriptors::shadow(linker, module)?;
    Ok(())
}

async fn run(mut caller: Caller<'_, Host1>, call: Call) -> wasmtime::Result<i32> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(wasmtime::Error::msg("missing required memory export"));
    };
    let (memory, host) = memory.data_and_store_mut(&mut caller);
    host.wasi.set_hostcall_fuel(FUEL);
    if let Function::Link { .. } = call.function
        && Other::of(call, memory).is_some_and(|other| is_itself(&other.path.1))
    {
        return Ok(Errno::Perm as i32);
    }
    let relative = call.relative(host, memory);
    let mut errno = match &relative {
        Some(other) => other.perform(host, memory).await?,
        None => perform(&mut host.wasi, &mut GuestMemory::Unshared(memory), call).await?,
    };
    if errno == Errno::Perm as i32
        && let Some(other) = relative.clone().or_else(|| Other::of(call, memory))
    {
        errno = other.by_another_way(host, memory).await?.unwrap_or(errno);
    }
    if errno == Errno::Success as i32
        && call.opens_directory()
        && let Some(other) = relative.or_else(|| Other::of(call, memory))
    {
        other.remember(host, memory);
    }
    Ok(errno)
}

/// wasmtime-wasi's function.
async fn perform(
    wasi: &mut WasiP1Ctx,
    memory: &mut GuestMemory<'_>,
    call: Call,
) -> wasmtime::Result<i32> {
    let Call { function, path, second, result } = call;
    let Path { directory, start, length } = path;
    match function {
        Function::CreateDirectory => {
            wasi::path_create_directory(wasi, memory, directory, start, length).await
        }
        Function::FilestatGet { flags } => {
            wasi::path_filestat_get(wasi, memory, directory, flags, start, length, result).await
        }
        Function::FilestatSetTimes { flags, accessed, modified, which } => {
            wasi::path_filestat_set_times(
                wasi, memory, directory, flags, start, length, accessed, modified, which,
            )
            .await
        }
        Function::Link { flags } => {
            let Path { directory: to, start: to_start, length: to_length } = second;
            wasi::path_link(wasi, memory, directory, flags, start, length, to, to_start, to_length)
                .await
        }
        Function::Open { flags, open, rights, inheriting, descriptor } => {
            wasi::path_open(
                wasi, memory, directory, flags, start, length, open, rights, inheriting,
                descriptor, result,
            )
            .await
        }
        Function::ReadLink { buffer, length: size } => {
            wasi::path_readlink(wasi, memory, directory, start, length, buffer, size, result).await
        }
        Function::RemoveDirectory => {
            wasi::path_remove_directory(wasi, memory, directory, start, length).await
        }
        Function::Rename => {
            let Path { directory: to, start: to_start, length: to_length } = second;
            wasi::path_rename(wasi, memory, directory, start, length, to, to_start, to_length).await
        }
        Function::Symlink { target, length: size } => {
            wasi::path_symlink(wasi, memory, target, size, directory, start, length).await
        }
        Function::UnlinkFile => {
            wasi::path_unlink_file(wasi, memory, directory, start, length).await
        }
    }
}

impl Call {
    /// The same call with a relative path taken from the working directory, where there is one.
    fn relative(self, host: &Host1, memory: &[u8]) -> Option<Other> {
        host.tree.cwd.as_ref()?;
        let mut other = Other::of(self, memory)?;
        let mut changed = false;
        let paths = [(&mut other.path, self.path), (&mut other.second, self.second)];
        for ((directory, path), at) in paths {
            if host.opened.is_start(*directory as u32)
                && let Some(placed) = host.tree.in_cwd(path, at.seems_absolute(memory))
            {
                *path = placed;
                changed = true;
            }
        }
        changed.then_some(other)
    }

    fn opens_directory(self) -> bool {
        /// `OFLAGS_DIRECTORY`
        const DIRECTORY: i32 = 2;
        matches!(self.function, Function::Open { open, .. } if open & DIRECTORY != 0)
    }

    /// Whether the operation follows a link that the whole path names.
    fn follows_last(self) -> bool {
        /// `LOOKUPFLAGS_SYMLINK_FOLLOW`
        const FOLLOW: i32 = 1;
        match self.function {
            Function::FilestatGet { flags }
            | Function::FilestatSetTimes { flags, .. }
            | Function::Open { flags, .. } => flags & FOLLOW != 0,
            _ => false,
        }
    }
}

/// A call with paths of our own.
#[derive(Debug, Clone)]
struct Other {
    call: Call,
    /// Directory and path.
    path: (i32, String),
    second: (i32, String),
    /// The text of a symbolic link.
    target: String,
}

impl Other {
    /// The paths of a call, out of the guest's memory; `None` if they are not there.
    fn of(call: Call, memory: &[u8]) -> Option<Self> {
        let text = |start: i32, length: i32| {
            let start = start as u32 as usize;
            let bytes = memory.get(start..start.checked_add(length as u32 as usize)?)?;
            String::from_utf8(bytes.to_vec()).ok()
        };
        let path = |p: Path| Some((p.directory, text(p.start, p.length)?));
        let target = match call.function {
            Function::Symlink { target, length } => text(target, length)?,
            _ => String::new(),
        };
        Some(Self { call, path: path(call.path)?, second: path(call.second)?, target })
    }

    /// Makes the call on a scratch memory and copies the result to the guest.
    async fn perform(&self, host: &mut Host1, memory: &mut [u8]) -> wasmtime::Result<i32> {
        let mut scratch = Vec::new();
        let mut put = |bytes: &[u8]| {
            let start = scratch.len();
            scratch.extend_from_slice(bytes);
            (start as i32, bytes.len() as i32)
        };
        let (result, _) = put(&[0; RESULT]); // first: aligned
        let (buffer, _) = put(&[0; LINK]);
        let mut path = |(directory, text): &(i32, String)| {
            let (start, length) = put(text.as_bytes());
            Path { directory: *directory, start, length }
        };
        let (path, second) = (path(&self.path), path(&self.second));
        let function = match self.call.function {
            Function::Symlink { .. } => {
                let (target, length) = put(self.target.as_bytes());
                Function::Symlink { target, length }
            }
            Function::ReadLink { length, .. } => {
                Function::ReadLink { buffer, length: length.clamp(0, LINK as i32) }
            }
            function => function,
        };
        let call = Call { function, path, second, result };
        host.wasi.set_hostcall_fuel(FUEL);
        let errno = perform(&mut host.wasi, &mut GuestMemory::Unshared(&mut scratch), call).await?;
        if errno != Errno::Success as i32 {
            return Ok(errno);
        }
        let result = &scratch[..RESULT];
        match self.call.function {
            Function::Open { .. } => copy(memory, self.call.result, &result[..4])?,
            Function::FilestatGet { .. } => copy(memory, self.call.result, result)?,
            Function::ReadLink { buffer: to, .. } => {
                let used = u32::from_le_bytes([result[0], result[1], result[2], result[3]]);
                let from = buffer as usize;
                copy(memory, to, &scratch[from..from + (used as usize).min(LINK)])?;
                copy(memory, self.call.result, &used.to_le_bytes())?;
            }
            _ => {}
        }
        Ok(errno)
    }

    /// Makes the call with paths without links; `None` if there are none.
    async fn by_another_way(
        &self,
        host: &mut Host1,
        memory: &mut [u8],
    ) -> wasmtime::Result<Option<i32>> {
        if let Function::ReadLink { buffer, length } = self.call.function {
            let Some(target) = self.link_target(host) else { return Ok(None) };
            let shown = &target.as_bytes()[..target.len().min(length.max(0) as usize)];
            copy(memory, buffer, shown)?;
            copy(memory, self.call.result, &(shown.len() as u32).to_le_bytes())?;
            return Ok(Some(Errno::Success as i32));
        }
        let mut other = self.clone();
        let first = other.path.resolve(host, self.call.follows_last());
        let second = other.second.resolve(host, false);
        if !first && !second {
            return Ok(None);
        }
        other.perform(host, memory).await.map(Some)
    }

    fn link_target(&self, host: &Host1) -> Option<String> {
        let (directory, path) = &self.path;
        host.tree.link_target(host.opened.path(*directory as u32)?, path)
    }

    /// Remembers the directory that was opened.
    fn remember(&self, host: &mut Host1, memory: &[u8]) {
        let start = self.call.result as u32 as usize;
        if let Some(&[a, b, c, d]) = memory.get(start..start + 4) {
            let (parent, path) = &self.path;
            host.opened.insert_below(*parent as u32, path, u32::from_le_bytes([a, b, c, d]));
        }
    }
}

trait Resolve {
    /// Replaces the place by the same one without links; false if there is no other.
    fn resolve(&mut self, host: &Host1, follow_last: bool) -> bool;
}

impl Resolve for (i32, String) {
    fn resolve(&mut self, host: &Host1, follow_last: bool) -> bool {
        let Some(parent) = host.opened.path(self.0 as u32) else { return false };
        let Some(place) = host.tree.resolve(parent, &self.1, follow_last) else { return false };
        let number = ROOT + place.directory as i32;
        // the guest may have closed it and opened another directory under its number
        let is_there =
            host.opened.path(number as u32) == Some(&host.tree.directories[place.directory].guest);
        if !is_there || (number == self.0 && place.path == self.1) {
            return false;
        }
        *self = (number, place.path);
        true
    }
}

/// Copies a result to where the guest wants it.
pub(super) fn copy(memory: &mut [u8], start: i32, bytes: &[u8]) -> wasmtime::Result<()> {
    let start = start as u32 as usize;
    match memory.get_mut(start..start.saturating_add(bytes.len())) {
        Some(to) => {
            to.copy_from_slice(bytes);
            Ok(())
        }
        None => Err(wasmtime::Trap::MemoryOutOfBounds.into()),
    }
}
