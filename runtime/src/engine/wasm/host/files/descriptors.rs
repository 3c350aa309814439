//! The functions of WASI preview 1 for descriptors that have to do with directories, in front of wasmtime-wasi's.

use super::super::Host1;
use wasmtime::{Caller, Extern, Linker};
use wasmtime_wasi::p1::types::Errno;
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as wasi, WasiSnapshotPreview1};
use wiggle::GuestMemory;

/// What one call may copy; wasmtime's own default.
const FUEL: usize = 128 << 20;
/// Bytes to begin with for a listing.
const LISTING: usize = 64 << 10;
/// How often a listing begins again because an entry was removed before it had been looked at.
const ATTEMPTS: usize = 100;

const SUCCESS: i32 = Errno::Success as i32;

/// Puts these functions in front of the ones that the linker has.
pub(super) fn shadow(linker: &mut Linker<Host1>, module: &'static str) -> wasmtime::Result<()> {
    // a container always has a preopened directory, where a bare runtime has nothing open
    linker.func_wrap(
        module,
        "sock_shutdown",
        |mut caller: Caller<'_, Host1>, fd: i32, how: i32| {
            let host = caller.data_mut();
            if host.opened.is_directory(fd as u32) {
                return Ok(Errno::Badf as i32);
            }
            wasi::sock_shutdown(&mut host.wasi, &mut GuestMemory::Unshared(&mut []), fd, how)
        },
    )?;
    linker.func_wrap_async(
        module,
        "fd_renumber",
        |mut caller: Caller<'_, Host1>, (from, to): (i32, i32)| {
            Box::new(async move {
                let host = caller.data_mut();
                let memory = &mut GuestMemory::Unshared(&mut []);
                let errno = wasi::fd_renumber(&mut host.wasi, memory, from, to).await?;
                if errno == SUCCESS {
                    host.opened.renumber(from as u32, to as u32);
                    host.listings.renumber(from as u32, to as u32);
                }
                Ok(errno)
            })
        },
    )?;
    linker.func_wrap_async(
        module,
        "fd_close",
        |mut caller: Caller<'_, Host1>, (fd,): (i32,)| {
            Box::new(async move { close(caller.data_mut(), fd).await })
        },
    )?;
    linker.func_wrap_async(
        module,
        "fd_readdir",
        |caller: Caller<'_, Host1>,
         (fd, buffer, length, cookie, result): (i32, i32, i32, i64, i32)| {
            Box::new(read(caller, fd, (buffer, length), cookie as u64, result))
        },
    )?;
    Ok(())
}

/// Closes what wasmtime-wasi has open under a number.
pub(in crate::engine::wasm::host) async fn close(
    host: &mut Host1,
    fd: i32,
) -> wasmtime::Result<i32> {
    let memory = &mut GuestMemory::Unshared(&mut []);
    let errno = wasi::fd_close(&mut host.wasi, memory, fd).await?;
    if errno == SUCCESS {
        host.opened.remove(fd as u32);
        host.listings.remove(fd as u32);
    }
    Ok(errno)
}

async fn read(
    mut caller: Caller<'_, Host1>,
    fd: i32,
    (buffer, length): (i32, i32),
    cookie: u64,
    result: i32,
) -> wasmtime::Result<i32> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Err(wasmtime::Error::msg("missing required memory export"));
    };
    let (memory, host) = memory.data_and_store_mut(&mut caller);
    // from the beginning: opened, or rewound
    if cookie == 0 || host.listings.after(fd as u32, cookie).is_none() {
        host.listings.remove(fd as u32);
        match list(host, fd).await? {
            Ok(bytes) => host.listings.keep(fd as u32, bytes),
            Err(errno) => return Ok(errno),
        }
    }
    let rest = host.listings.after(fd as u32, cookie).unwrap_or_default();
    let given = &rest[..rest.len().min(length as u32 as usize)];
    super::p1::copy(memory, buffer, given)?;
    super::p1::copy(memory, result, &(given.len() as u32).to_le_bytes())?;
    Ok(SUCCESS)
}

/// All entries as `fd_readdir` writes them, or the number of an error.
async fn list(host: &mut Host1, fd: i32) -> wasmtime::Result<Result<Vec<u8>, i32>> {
    /// Where the scratch memory has the number of bytes, and where the entries.
    const USED: i32 = 0;
    const START: usize = 8;
    let room = host.listings.room();
    let mut size = LISTING;
    let mut attempts = 0;
    loop {
        let mut scratch = vec![0; START + size];
        host.wasi.set_hostcall_fuel(FUEL);
        let memory = &mut GuestMemory::Unshared(&mut scratch);
        let (start, length) = (START as i32, size as i32);
        match wasi::fd_readdir(&mut host.wasi, memory, fd, start, length, 0, USED).await? {
            SUCCESS => {}
            // one was removed between the listing and the look at it
            errno if errno == Errno::Noent as i32 && attempts < ATTEMPTS => {
                attempts += 1;
                continue;
            }
            errno => return Ok(Err(errno)),
        }
        let used = u32::from_le_bytes([scratch[0], scratch[1], scratch[2], scratch[3]]) as usize;
        if used < size {
            scratch.truncate(START + used);
            scratch.drain(..START);
            return Ok(Ok(scratch));
        }
        if size >= room {
            return Ok(Err(Errno::Nomem as i32));
        }
        size = size.saturating_mul(8).min(room);
    }
}
