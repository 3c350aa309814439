//! Asking the container's monitor what this confined process cannot find out itself.

use crate::net::names::channel::{self, ADDRESSES, LONGEST, Request};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// The monitor asks several servers for some seconds each, and says so when none answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// This process's end of the channel.
#[derive(Debug)]
pub(in crate::engine::wasm) struct Monitor {
    shared: Arc<Shared>,
    reader: Once,
}

#[derive(Debug)]
struct Shared {
    socket: OwnedFd,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    last: u16,
    askers: HashMap<(u8, u16), oneshot::Sender<Vec<u8>>>,
}

impl Monitor {
    pub fn new(socket: OwnedFd) -> Self {
        let waiting = Mutex::default();
        Self { shared: Arc::new(Shared { socket, waiting }), reader: Once::new() }
    }

    /// Sends a message whose rest is made for its mark; the rest of the answer.
    pub async fn ask(&self, kind: u8, compose: impl FnOnce(u16) -> Vec<u8>) -> io::Result<Vec<u8>> {
        let (sender, receiver) = oneshot::channel();
        let mark = self.shared.enter(kind, sender)?;
        // a thread of its own: the guest may have several event loops, and none need outlive the others
        let shared = &self.shared;
        self.reader.call_once(|| {
            let shared = shared.clone();
            let read = move || shared.read();
            // without it answers do not come, and the question fails in time
            let _ = std::thread::Builder::new().name("monitor".into()).spawn(read);
        });
        let message = channel::compose(kind, mark, &compose(mark));
        loop {
            match send(&self.shared.socket, &message, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => break,
                // the monitor is behind
                Err(Errno::AGAIN) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        let answer = timeout(PATIENCE, receiver).await;
        answer.map_err(|_| io::ErrorKind::TimedOut)?.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// The answer to a request for addresses; `None` where there is none.
    pub async fn address(&self, request: &Request) -> Option<SocketAddr> {
        let rest = serde_json::to_vec(request).ok()?;
        let answer = self.ask(ADDRESSES, |_| rest).await.ok()?;
        serde_json::from_slice(&answer).ok()?
    }

    /// Before the guest runs: nobody waits for the answer.
    pub fn tell(&self, request: &Request) -> io::Result<()> {
        let rest = serde_json::to_vec(request).map_err(io::Error::from)?;
        send(&self.shared.socket, &channel::compose(ADDRESSES, 0, &rest), SendFlags::NOSIGNAL)?;
        Ok(())
    }
}

impl Shared {
    fn enter(&self, kind: u8, sender: oneshot::Sender<Vec<u8>>) -> io::Result<u16> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // those that gave up leave their place to others
        waiting.askers.retain(|_, sender| !sender.is_closed());
        if waiting.askers.len() > usize::from(u16::MAX / 2) {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        loop {
            // never 0, the mark of what has no answer
            waiting.last = waiting.last.checked_add(1).unwrap_or(1);
            let place = (kind, waiting.last);
            if let std::collections::hash_map::Entry::Vacant(entry) = waiting.askers.entry(place) {
                entry.insert(sender);
                return Ok(place.1);
            }
        }
    }

    /// Hands answers out until the monitor is gone, and with it this process.
    fn read(&self) {
        let mut buffer = vec![0; LONGEST];
        loop {
            let length = match recv(&self.socket, &mut buffer, RecvFlags::empty()) {
                Ok((0, _)) => break,
                Ok((length, _)) => length,
                Err(Errno::INTR) => continue,
                Err(_) => break,
            };
            let Some((kind, mark, rest)) = channel::parts(&buffer[..length]) else { continue };
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(asker) = waiting.askers.remove(&(kind, mark)) {
                let _ = asker.send(rest.to_owned());
            }
        }
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).askers.clear();
    }
}
