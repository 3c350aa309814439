//! What a descriptor is: a connection, a listener, or wasmtime-wasi's.

use super::super::super::Host1;
use super::data::{SUCCESS, at, fault};
use super::{NONBLOCK, connection, memory};
use wasmtime::Caller;
use wasmtime_wasi::p1::types::Errno;
use wasmtime_wasi::p1::wasi_snapshot_preview1 as wasi;
use wiggle::GuestMemory;

/// `filetype::socket_stream`
const STREAM: u8 = 6;
/// All that there are (`rights`).
const RIGHTS: u64 = (1 << 30) - 1;

/// Whether a descriptor is a socket that blocks; `None` if it is none.
async fn blocks(host: &mut Host1, fd: i32) -> wasmtime::Result<Option<bool>> {
    if let Some(connection) = host.sockets.connections.get(&(fd as u32)) {
        return Ok(Some(connection.blocks));
    }
    let is_file = not_listeners(host).await?.contains(&(fd as u32));
    Ok(host.sockets.listener(fd as u32).filter(|_| !is_file).map(|listener| listener.blocks))
}

pub(super) async fn status(
    mut caller: Caller<'_, Host1>,
    fd: i32,
    result: i32,
) -> wasmtime::Result<i32> {
    let memory = memory(&mut caller)?;
    let (memory, host) = memory.data_and_store_mut(&mut caller);
    let Some(blocks) = blocks(host, fd).await? else {
        let memory = &mut GuestMemory::Unshared(memory);
        return wasi::fd_fdstat_get(&mut host.wasi, memory, fd, result).await;
    };
    // a directory's own rights: wasi-libc asks for a file with those that are inherited
    let errno = match host.opened.is_directory(fd as u32) {
        true => {
            let memory = &mut GuestMemory::Unshared(memory);
            wasi::fd_fdstat_get(&mut host.wasi, memory, fd, result).await?
        }
        false => Errno::Badf as i32,
    };
    let to = at(memory, result, 24).ok_or_else(fault)?;
    if errno != SUCCESS {
        to[8..16].copy_from_slice(&RIGHTS.to_le_bytes());
        to[16..24].copy_from_slice(&RIGHTS.to_le_bytes());
    }
    to[..8].fill(0);
    to[0] = STREAM;
    to[2] = if blocks { 0 } else { NONBLOCK as u8 };
    Ok(SUCCESS)
}

pub(super) async fn set_flags(
    mut caller: Caller<'_, Host1>,
    fd: i32,
    flags: i32,
) -> wasmtime::Result<i32> {
    let host = caller.data_mut();
    if blocks(host, fd).await?.is_none() {
        let memory = &mut GuestMemory::Unshared(&mut []);
        return wasi::fd_fdstat_set_flags(&mut host.wasi, memory, fd, flags);
    }
    let blocks = flags & NONBLOCK == 0;
    if let Some(connection) = host.sockets.connections.get_mut(&(fd as u32)) {
        connection.blocks = blocks;
    } else if let Some(listener) = host.sockets.listener(fd as u32) {
        listener.blocks = blocks;
    }
    Ok(SUCCESS)
}

pub(super) async fn file_status(
    mut caller: Caller<'_, Host1>,
    fd: i32,
    result: i32,
) -> wasmtime::Result<i32> {
    let memory = memory(&mut caller)?;
    if connection(&caller, fd).is_none() {
        let (memory, host) = memory.data_and_store_mut(&mut caller);
        let memory = &mut GuestMemory::Unshared(memory);
        return wasi::fd_filestat_get(&mut host.wasi, memory, fd, result).await;
    }
    let to = at(memory.data_mut(&mut caller), result, 64).ok_or_else(fault)?;
    to.fill(0);
    to[16] = STREAM;
    Ok(SUCCESS)
}

/// The listeners' numbers under which the guest has something else open that can be waited for.
pub(super) async fn not_listeners(host: &mut Host1) -> wasmtime::Result<Vec<u32>> {
    let mut files = Vec::new();
    for number in host.sockets.numbers() {
        if host.opened.is_directory(number) {
            continue;
        }
        let scratch = &mut GuestMemory::Unshared(&mut [0; 24]);
        if wasi::fd_fdstat_get(&mut host.wasi, scratch, number as i32, 0).await? == SUCCESS {
            files.push(number);
        }
    }
    Ok(files)
}
