//! The sockets of WASI preview 1: `sock_accept`, `sock_recv`, `sock_send` and `sock_shutdown`, which wasmtime-wasi has
//! only as stubs, and what the functions for descriptors do with a socket.
//!
//! Preview 1 can open no socket: a program finds its listeners open, here one for each port that the image exposes or the
//! user publishes. They are descriptors 3, 4, … in the order of the ports, and `LISTEN_FDS` says how many there are
//! (sd_listen_fds(3)); old wasmtime (`--tcplisten`), tokio and mio have it so. A container's directories are numbered from
//! 3 on as well, and programs look for them there. Both work, since hardly a call means either: a directory accepts no
//! connection, and what is asked of a listener is to accept, to wait, not to block, of which kind it is (nobody asks that of a
//! directory that was open before), and to be closed, which leaves the directory. The number of each listener has a directory,
//! so that no file gets it.

mod data;
mod poll;
mod status;
mod transfer;

use super::super::{Host1, files};
use super::Place;
use crate::engine::wasm::guest::View;
use data::{EBADF, EINVAL, SUCCESS, fault, number};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::net::{Shutdown, SocketFlags};
use status::{file_status, not_listeners, set_flags, status};
use std::collections::HashMap;
use std::net::{IpAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use transfer::{read, receive, send, write};
use wasmtime::{Caller, Extern, Linker, Memory};
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as wasi, WasiSnapshotPreview1};
use wiggle::GuestMemory;

/// The first listener's number.
const LISTENERS: u32 = 3;
/// The first connection's number: far from those that wasmtime-wasi gives, the lowest that are free.
const CONNECTIONS: u32 = 1 << 20;

/// `fdflags::nonblock`
const NONBLOCK: i32 = 4;

/// A socket in the event loop.
#[derive(Debug)]
struct Socket(AsyncFd<OwnedFd>);

impl Socket {
    fn new(fd: OwnedFd) -> std::io::Result<Arc<Self>> {
        rustix::io::ioctl_fionbio(&fd, true)?;
        // SAFETY: an owned descriptor is itself until it is dropped, and nobody takes it out.
        Ok(Arc::new(Self(unsafe { AsyncFd::register(fd)? })))
    }

    fn fd(&self) -> &OwnedFd {
        self.0.get_ref()
    }

    /// Whether it is ready now.
    fn state(&self, wanted: PollFlags) -> PollFlags {
        let mut fds = [PollFd::new(self.fd(), wanted)];
        match rustix::event::poll(&mut fds, Some(&rustix::time::Timespec::default())) {
            Ok(_) => fds[0].revents(),
            Err(_) => PollFlags::empty(),
        }
    }

    async fn ready(&self, wanted: PollFlags) {
        let interest = match wanted.contains(PollFlags::OUT) {
            true => Interest::WRITABLE,
            false => Interest::READABLE,
        };
        loop {
            let Ok(mut guard) = self.0.ready(interest).await else { return };
            if !self.state(wanted).is_empty() {
                return;
            }
            // what the event loop remembers is out of date
            guard.clear_ready();
        }
    }
}

/// One port of the container.
#[derive(Debug)]
struct Listener {
    port: u16,
    /// One for each of the container's addresses.
    sockets: Vec<(IpAddr, Arc<Socket>)>,
    blocks: bool,
    /// The guest has closed it.
    closed: bool,
}

impl Listener {
    fn sockets(&self) -> Vec<Arc<Socket>> {
        self.sockets.iter().map(|(_, socket)| socket.clone()).collect()
    }
}

#[derive(Debug)]
struct Connection {
    socket: Arc<Socket>,
    blocks: bool,
}

/// The sockets of a core module.
#[derive(Debug, Default)]
pub(in crate::engine::wasm) struct Sockets {
    place: Option<Arc<Place>>,
    listeners: Vec<Listener>,
    connections: HashMap<u32, Connection>,
    last: u32,
}

impl Sockets {
    /// Takes the guest's listeners, in their order, into the calling thread's event loop.
    pub fn new(view: &View) -> std::io::Result<Self> {
        let mut sockets = Self { place: Some(view.place.clone()), ..Self::default() };
        for (port, socket) in view.listening.iter() {
            sockets.listen(*port, socket.try_clone()?)?;
        }
        for listener in &mut sockets.listeners {
            listener.blocks = view.listeners_block;
        }
        Ok(sockets)
    }

    fn listen(&mut self, port: u16, socket: TcpListener) -> std::io::Result<()> {
        let socket = (socket.local_addr()?.ip(), Socket::new(socket.into())?);
        match self.listeners.iter_mut().find(|listener| listener.port == port) {
            Some(listener) if listener.closed => {}
            Some(listener) => listener.sockets.push(socket),
            None => {
                let (sockets, blocks, closed) = (vec![socket], true, false);
                self.listeners.push(Listener { port, sockets, blocks, closed });
            }
        }
        Ok(())
    }

    /// Listens at addresses that the container has got, and no longer at those that it has lost.
    fn follow(&mut self) {
        let Some(place) = self.place.clone().filter(|_| !self.listeners.is_empty()) else { return };
        for listener in &mut self.listeners {
            listener.sockets.retain(|(address, _)| !place.has_lost(*address));
        }
        for (port, socket) in place.current.listeners() {
            // only an event loop that can have no more descriptors refuses one
            let _ = self.listen(port, socket);
        }
    }

    /// Returns when one of a listener's sockets has a connection, or when there may be others.
    async fn any(&self, sockets: &[Arc<Socket>]) {
        let mut waits: Vec<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = vec![self.changed()];
        for socket in sockets {
            waits.push(Box::pin(socket.ready(PollFlags::IN)));
        }
        std::future::poll_fn(|context| {
            let ready = waits.iter_mut().any(|wait| wait.as_mut().poll(context).is_ready());
            if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }

    /// Returns when the listeners may be others.
    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        match self.place.as_ref().filter(|_| !self.listeners.is_empty()) {
            Some(place) => Box::pin(place.current.changed()),
            None => Box::pin(std::future::pending()),
        }
    }

    fn listener(&mut self, number: u32) -> Option<&mut Listener> {
        let at = number.checked_sub(LISTENERS)?;
        self.listeners.get_mut(at as usize).filter(|listener| !listener.closed)
    }

    /// Whether there was a listener under this number.
    fn close_listener(&mut self, number: u32) -> bool {
        let Some(listener) = self.listener(number) else { return false };
        (listener.closed, listener.sockets) = (true, Vec::new());
        true
    }

    /// The numbers of the listeners.
    fn numbers(&self) -> impl Iterator<Item = u32> + use<> {
        (LISTENERS..).take(self.listeners.len())
    }

    fn insert(&mut self, fd: OwnedFd, blocks: bool) -> std::io::Result<u32> {
        let number = loop {
            self.last = self.last.wrapping_add(1) % CONNECTIONS;
            let number = CONNECTIONS + self.last;
            if !self.connections.contains_key(&number) {
                break number;
            }
        };
        self.connections.insert(number, Connection { socket: Socket::new(fd)?, blocks });
        Ok(number)
    }
}

/// What `LISTEN_FDS` is to say.
pub(in crate::engine::wasm) fn count(listening: &[(u16, TcpListener)]) -> usize {
    let mut ports: Vec<u16> = listening.iter().map(|(port, _)| *port).collect();
    ports.dedup();
    ports.len()
}

/// Puts these functions in front of the ones that the linker has.
pub(in crate::engine::wasm) fn wrap(
    linker: &mut Linker<Host1>,
    module: &'static str,
) -> wasmtime::Result<()> {
    macro_rules! functions {
        ($($name:literal $function:ident ($($argument:ident: $type:ty),*);)*) => {$(
            linker.func_wrap_async(
                module,
                $name,
                move |caller: Caller<'_, Host1>, ($($argument,)*): ($($type,)*)| {
                    Box::new($function(caller, $($argument),*))
                },
            )?;
        )*};
    }
    functions! {
        "sock_accept" accept(fd: i32, flags: i32, result: i32);
        "sock_recv" receive(fd: i32, buffers: i32, count: i32, flags: i32, result: i32, flags_result: i32);
        "sock_send" send(fd: i32, buffers: i32, count: i32, flags: i32, result: i32);
        "sock_shutdown" shutdown(fd: i32, how: i32);
        "fd_read" read(fd: i32, buffers: i32, count: i32, result: i32);
        "fd_write" write(fd: i32, buffers: i32, count: i32, result: i32);
        "fd_close" close(fd: i32);
        "fd_fdstat_get" status(fd: i32, result: i32);
        "fd_fdstat_set_flags" set_flags(fd: i32, flags: i32);
        "fd_filestat_get" file_status(fd: i32, result: i32);
        "poll_oneoff" poll_oneoff(subscriptions: i32, events: i32, count: i32, result: i32);
    }
    Ok(())
}

fn memory(caller: &mut Caller<'_, Host1>) -> wasmtime::Result<Memory> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => Err(wasmtime::Error::msg("missing required memory export")),
    }
}

fn connection(caller: &Caller<'_, Host1>, fd: i32) -> Option<(Arc<Socket>, bool)> {
    let connection = caller.data().sockets.connections.get(&(fd as u32))?;
    Some((connection.socket.clone(), connection.blocks))
}

async fn accept(
    mut caller: Caller<'_, Host1>,
    fd: i32,
    flags: i32,
    result: i32,
) -> wasmtime::Result<i32> {
    let memory = memory(&mut caller)?;
    let accepted = loop {
        caller.data_mut().sockets.follow();
        let Some(listener) = caller.data_mut().sockets.listener(fd as u32) else {
            return Ok(if connection(&caller, fd).is_some() { EINVAL } else { EBADF });
        };
        let (sockets, blocks) = (listener.sockets(), listener.blocks);
        let mut last = Errno::AGAIN;
        let accepted = sockets.iter().find_map(|socket| {
            let accepted = rustix::net::accept_with(socket.fd(), SocketFlags::CLOEXEC);
            accepted.map_err(|e| last = e).ok()
        });
        match (accepted, last) {
            (Some(accepted), _) => break accepted,
            // the client has gone again
            (None, Errno::INTR | Errno::CONNABORTED) => {}
            (None, Errno::AGAIN) if blocks => caller.data().sockets.any(&sockets).await,
            (None, e) => return Ok(number(e)),
        }
    };
    // an answer should not wait for more to come (as other programs' servers have it)
    let _ = rustix::net::sockopt::set_tcp_nodelay(&accepted, true);
    match caller.data_mut().sockets.insert(accepted, flags & NONBLOCK == 0) {
        Ok(new) => {
            let to = data::at(memory.data_mut(&mut caller), result, 4).ok_or_else(fault)?;
            to.copy_from_slice(&new.to_le_bytes());
            Ok(SUCCESS)
        }
        Err(_) => Ok(number(Errno::NFILE)),
    }
}

async fn shutdown(mut caller: Caller<'_, Host1>, fd: i32, how: i32) -> wasmtime::Result<i32> {
    let Some((socket, _)) = connection(&caller, fd) else {
        let host = caller.data_mut();
        // as where a module has no sockets
        if host.opened.is_directory(fd as u32) {
            return Ok(EBADF);
        }
        return wasi::sock_shutdown(&mut host.wasi, &mut GuestMemory::Unshared(&mut []), fd, how);
    };
    let how = match how {
        1 => Shutdown::Read,
        2 => Shutdown::Write,
        3 => Shutdown::Both,
        _ => return Ok(EINVAL),
    };
    Ok(rustix::net::shutdown(socket.fd(), how).map_or_else(number, |()| SUCCESS))
}

async fn close(mut caller: Caller<'_, Host1>, fd: i32) -> wasmtime::Result<i32> {
    let host = caller.data_mut();
    if host.sockets.connections.remove(&(fd as u32)).is_some()
        || host.sockets.close_listener(fd as u32)
    {
        return Ok(SUCCESS);
    }
    files::close(host, fd).await
}

/// Gives each listener's number a directory, the root, where it has none.
pub(in crate::engine::wasm) async fn reserve(host: &mut Host1) -> wasmtime::Result<()> {
    /// `lookupflags::symlink_follow`, `oflags::directory`, `rights::fd_read`
    const FOLLOW: i32 = 1;
    const DIRECTORY: i32 = 2;
    const READ: i64 = 2;
    for number in host.sockets.numbers() {
        if host.opened.is_directory(number) {
            continue;
        }
        host.wasi.set_hostcall_fuel(1024);
        // the result, then the path
        let mut scratch = *b"\0\0\0\0.";
        let memory = &mut GuestMemory::Unshared(&mut scratch);
        let (root, wasi) = (LISTENERS as i32, &mut host.wasi);
        let errno =
            wasi::path_open(wasi, memory, root, FOLLOW, 4, 1, DIRECTORY, READ, READ, 0, 0).await?;
        if errno == SUCCESS && scratch[..4] == number.to_le_bytes() {
            host.opened.insert_root(number);
        }
    }
    Ok(())
}

async fn poll_oneoff(
    mut caller: Caller<'_, Host1>,
    subscriptions: i32,
    events: i32,
    count: i32,
    result: i32,
) -> wasmtime::Result<i32> {
    let memory = memory(&mut caller)?;
    let (memory, host) = memory.data_and_store_mut(&mut caller);
    host.sockets.follow();
    let files = not_listeners(host).await?;
    match poll::Poll::read(memory, subscriptions, count, &host.sockets, &files) {
        Some(mut poll) => {
            let happened = loop {
                match poll.wait(host).await? {
                    Ok(happened) if happened.is_empty() => {
                        host.sockets.follow();
                        poll.renew(&host.sockets);
                    }
                    Ok(happened) => break happened,
                    Err(errno) => return Ok(errno),
                }
            };
            let length = happened.len() as u32;
            data::at(memory, events, happened.len() * poll::EVENT)
                .ok_or_else(fault)?
                .copy_from_slice(&happened.concat());
            data::at(memory, result, 4).ok_or_else(fault)?.copy_from_slice(&length.to_le_bytes());
            Ok(SUCCESS)
        }
        None => {
            let memory = &mut GuestMemory::Unshared(memory);
            wasi::poll_oneoff(&mut host.wasi, memory, subscriptions, events, count, result).await
        }
    }
}
