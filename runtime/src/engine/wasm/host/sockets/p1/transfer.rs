//! Bytes through a connection, by the functions for sockets and by those for files.

use super::super::super::Host1;
use super::data::{Buffers, EBADF, EINVAL, SUCCESS, at, fault, number};
use super::{connection, memory};
use rustix::event::PollFlags;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use std::io::{IoSlice, IoSliceMut};
use wasmtime::Caller;
use wasmtime_wasi::p1::wasi_snapshot_preview1 as wasi;
use wiggle::GuestMemory;

/// `riflags::recv_peek`
const PEEK: i32 = 1;
/// `riflags::recv_waitall`
const WAIT_ALL: i32 = 2;

pub(super) async fn receive(
    caller: Caller<'_, Host1>,
    fd: i32,
    buffers: i32,
    count: i32,
    flags: i32,
    result: i32,
    flags_result: i32,
) -> wasmtime::Result<i32> {
    if flags & !(PEEK | WAIT_ALL) != 0 {
        return Ok(EINVAL);
    }
    take_in(caller, fd, (buffers, count), flags, result, Some(flags_result)).await
}

pub(super) async fn read(
    mut caller: Caller<'_, Host1>,
    fd: i32,
    buffers: i32,
    count: i32,
    result: i32,
) -> wasmtime::Result<i32> {
    if connection(&caller, fd).is_some() {
        return take_in(caller, fd, (buffers, count), 0, result, None).await;
    }
    let memory = memory(&mut caller)?;
    let (memory, host) = memory.data_and_store_mut(&mut caller);
    wasi::fd_read(&mut host.wasi, &mut GuestMemory::Unshared(memory), fd, buffers, count, result)
        .await
}

async fn take_in(
    mut caller: Caller<'_, Host1>,
    fd: i32,
    (buffers, count): (i32, i32),
    flags: i32,
    result: i32,
    flags_result: Option<i32>,
) -> wasmtime::Result<i32> {
    let memory = memory(&mut caller)?;
    let Some((socket, blocks)) = connection(&caller, fd) else { return Ok(EBADF) };
    let buffers = Buffers::read(memory.data(&caller), buffers, count).ok_or_else(fault)?;
    let mut kind = RecvFlags::empty();
    kind.set(RecvFlags::PEEK, flags & PEEK != 0);
    let whole = flags & WAIT_ALL != 0 && flags & PEEK == 0;
    let mut done = 0;
    while done < buffers.length {
        let bytes = memory.data_mut(&mut caller);
        let to =
            buffers.part(done).and_then(|(start, length)| bytes.get_mut(start..start + length));
        let to = to.ok_or_else(fault)?;
        let received = match kind.is_empty() {
            true => rustix::io::readv(socket.fd(), &mut [IoSliceMut::new(to)]),
            false => rustix::net::recv(socket.fd(), to, kind).map(|(count, _)| count),
        };
        match received {
            Ok(0) => break,
            Ok(count) => {
                done += count;
                if !whole {
                    break;
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if blocks => socket.ready(PollFlags::IN).await,
            Err(_) if done > 0 => break,
            Err(e) => return Ok(number(e)),
        }
    }
    let bytes = memory.data_mut(&mut caller);
    let to = at(bytes, result, 4).ok_or_else(fault)?;
    to.copy_from_slice(&(done as u32).to_le_bytes());
    if let Some(result) = flags_result {
        at(bytes, result, 2).ok_or_else(fault)?.fill(0);
    }
    Ok(SUCCESS)
}

pub(super) async fn send(
    caller: Caller<'_, Host1>,
    fd: i32,
    buffers: i32,
    count: i32,
    _flags: i32,
    result: i32,
) -> wasmtime::Result<i32> {
    give_out(caller, fd, (buffers, count), result).await
}

pub(super) async fn write(
    mut caller: Caller<'_, Host1>,
    fd: i32,
    buffers: i32,
    count: i32,
    result: i32,
) -> wasmtime::Result<i32> {
    if connection(&caller, fd).is_some() {
        return give_out(caller, fd, (buffers, count), result).await;
    }
    let memory = memory(&mut caller)?;
    let (memory, host) = memory.data_and_store_mut(&mut caller);
    wasi::fd_write(&mut host.wasi, &mut GuestMemory::Unshared(memory), fd, buffers, count, result)
        .await
}

async fn give_out(
    mut caller: Caller<'_, Host1>,
    fd: i32,
    (buffers, count): (i32, i32),
    result: i32,
) -> wasmtime::Result<i32> {
    let memory = memory(&mut caller)?;
    let Some((socket, blocks)) = connection(&caller, fd) else { return Ok(EBADF) };
    let buffers = Buffers::read(memory.data(&caller), buffers, count).ok_or_else(fault)?;
    let sent = loop {
        let slices: Vec<IoSlice<'_>> =
            buffers.slices(memory.data(&caller)).ok_or_else(fault)?.map(IoSlice::new).collect();
        let message = rustix::net::sendmsg(
            socket.fd(),
            &slices,
            &mut rustix::net::SendAncillaryBuffer::default(),
            SendFlags::NOSIGNAL,
        );
        match message {
            Ok(sent) => break sent,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if blocks => socket.ready(PollFlags::OUT).await,
            Err(e) => return Ok(number(e)),
        }
    };
    let to = at(memory.data_mut(&mut caller), result, 4).ok_or_else(fault)?;
    to.copy_from_slice(&(sent as u32).to_le_bytes());
    Ok(SUCCESS)
}
