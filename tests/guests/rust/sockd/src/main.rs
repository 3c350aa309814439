//! sockd [plain]: a TCP server on preview 1's `sock_accept`; answers each line with `HOSTNAME> line`, and a
//! request of HTTP with its name.
//!
//! It serves every listener that `LISTEN_FDS` tells of, and all connections at once, with one `poll_oneoff`: `tick` is
//! printed when nothing has happened for a while. `plain`: one connection after the other, by the standard library.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd};
use wasi::{Errno, Event, Subscription};

const LISTENER: u64 = 1 << 32;
const CLOCK: u64 = 1 << 33;

fn main() -> io::Result<()> {
    let name = std::env::var("HOSTNAME").unwrap_or_else(|_| "sockd".into());
    let count: u32 = std::env::var("LISTEN_FDS").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    match std::env::args().nth(1).as_deref() {
        Some("plain") => plain(&name, count),
        _ => poll(&name, count),
    }
}

fn plain(name: &str, count: u32) -> io::Result<()> {
    println!("{count} listeners");
    // SAFETY: the first listener, which nobody else owns
    let listener = unsafe { TcpListener::from_raw_fd(3) };
    loop {
        let (mut stream, _) = listener.accept()?;
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = stream.read(&mut buffer) {
            stream.write_all(&[name.as_bytes(), b"> ", &buffer[..n]].concat())?;
        }
    }
}

/// What one poll is to wait for.
fn readable(fd: u32, userdata: u64) -> Subscription {
    let u = wasi::SubscriptionUU {
        fd_read: wasi::SubscriptionFdReadwrite { file_descriptor: fd },
    };
    let u = wasi::SubscriptionU { tag: wasi::EVENTTYPE_FD_READ.raw(), u };
    Subscription { userdata, u }
}

fn after(milliseconds: u64) -> Subscription {
    let clock = wasi::SubscriptionClock {
        id: wasi::CLOCKID_MONOTONIC,
        timeout: milliseconds * 1_000_000,
        precision: 0,
        flags: 0,
    };
    let u = wasi::SubscriptionU {
        tag: wasi::EVENTTYPE_CLOCK.raw(),
        u: wasi::SubscriptionUU { clock },
    };
    Subscription { userdata: CLOCK, u }
}

fn poll(name: &str, count: u32) -> io::Result<()> {
    let failed = |e: Errno| io::Error::other(e.message());
    let mut connections: HashMap<u32, usize> = HashMap::new();
    for fd in 3..3 + count {
        // SAFETY: plain calls; see below for the pointers
        unsafe { wasi::fd_fdstat_set_flags(fd, wasi::FDFLAGS_NONBLOCK) }.map_err(failed)?;
        // of a listener's kind, and not blocking: what Go's library asks before it uses one
        let status = unsafe { wasi::fd_fdstat_get(fd) }.map_err(failed)?;
        assert_eq!(status.fs_filetype, wasi::FILETYPE_SOCKET_STREAM);
        assert_eq!(status.fs_flags, wasi::FDFLAGS_NONBLOCK);
        // nobody has connected yet
        assert_eq!(unsafe { wasi::sock_accept(fd, 0) }, Err(wasi::ERRNO_AGAIN));
    }
    // files are found all the same, and get no listener's number
    let file = std::fs::File::open(std::env::args().next().unwrap_or_default())?;
    assert!(file.as_raw_fd() as u32 >= 3 + count && std::fs::read_dir("/")?.count() > 0);
    println!("{count} listeners");
    loop {
        let mut wanted: Vec<Subscription> =
            (3..3 + count).map(|fd| readable(fd, LISTENER + u64::from(fd))).collect();
        wanted.extend(connections.keys().map(|fd| readable(*fd, (*fd).into())));
        wanted.push(after(200));
        let mut events: Vec<Event> = Vec::with_capacity(wanted.len());
        // SAFETY: the vector has room for as many events as there are subscriptions, and so many are initialised
        unsafe {
            let happened = wasi::poll_oneoff(wanted.as_ptr(), events.as_mut_ptr(), wanted.len());
            events.set_len(happened.map_err(failed)?);
        }
        for event in events {
            match event.userdata {
                CLOCK => println!("tick"),
                listener if listener >= LISTENER => {
                    let fd = (listener - LISTENER) as u32;
                    // SAFETY: no pointers
                    while let Ok(new) = unsafe { wasi::sock_accept(fd, wasi::FDFLAGS_NONBLOCK) } {
                        println!("accepted on {fd}");
                        connections.insert(new, 0);
                    }
                }
                fd => serve(name, fd as u32, &mut connections),
            }
        }
    }
}

/// Lines by turns through the functions for sockets and those for files.
fn serve(name: &str, fd: u32, connections: &mut HashMap<u32, usize>) {
    let Some(turn) = connections.get_mut(&fd) else { return };
    *turn += 1;
    let mut buffer = [0; 4096];
    let into = [wasi::Iovec { buf: buffer.as_mut_ptr(), buf_len: buffer.len() }];
    // SAFETY: the buffers live
    let read = unsafe {
        match *turn % 2 {
            0 => wasi::fd_read(fd, &into),
            _ => wasi::sock_recv(fd, &into, 0).map(|(count, _)| count),
        }
    };
    match read {
        Err(wasi::ERRNO_AGAIN) => {}
        Ok(count @ 1..) => {
            let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\n\r\n", name.len());
            let line = &buffer[..count];
            let parts = match line.starts_with(b"GET ") {
                true => [head.as_bytes(), name.as_bytes(), b""],
                false => [name.as_bytes(), b"> ", line],
            };
            let from = parts.map(|part| wasi::Ciovec { buf: part.as_ptr(), buf_len: part.len() });
            // SAFETY: the buffers live
            let written = unsafe {
                match *turn % 2 {
                    0 => wasi::fd_write(fd, &from),
                    _ => wasi::sock_send(fd, &from, 0),
                }
            };
            assert_eq!(written, Ok(parts.concat().len()));
            if line.starts_with(b"GET ") {
                end(fd, connections);
            }
        }
        _ => end(fd, connections),
    }
}

fn end(fd: u32, connections: &mut HashMap<u32, usize>) {
    // SAFETY: no pointers
    unsafe {
        let _ = wasi::sock_shutdown(fd, wasi::SDFLAGS_WR);
        let _ = wasi::fd_close(fd);
    }
    connections.remove(&fd);
}
