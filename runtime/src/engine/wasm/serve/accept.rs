//! Accepting connections at all addresses that the container has.

use super::super::host::sockets::{Place, Where};
use super::threads::Threads;
use knarr_core::spec::Protocol;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// The listeners of a server, each with a task.
pub(super) struct Accepting {
    threads: Arc<Threads>,
    place: Arc<Place>,
    stop: watch::Sender<()>,
    tasks: JoinSet<()>,
    listeners: Vec<(SocketAddr, AbortHandle)>,
}

impl Accepting {
    pub fn new(threads: Arc<Threads>, place: Arc<Place>) -> Self {
        let stop = watch::Sender::new(());
        Self { threads, place, stop, tasks: JoinSet::new(), listeners: Vec::new() }
    }

    /// Takes listeners, with the container's ports, into the calling thread's event loop.
    pub fn extend(
        &mut self,
        listeners: impl IntoIterator<Item = (u16, std::net::TcpListener)>,
    ) -> io::Result<()> {
        for (_, listener) in listeners {
            listener.set_nonblocking(true)?;
            let listener = TcpListener::from_std(listener)?;
            let at = listener.local_addr()?;
            let work = accept(listener, self.threads.clone(), self.stop.subscribe());
            self.listeners.push((at, self.tasks.spawn(work)));
        }
        Ok(())
    }

    /// Listens at addresses that the container gets, and no longer at those that it loses.
    pub async fn follow(&mut self) -> Infallible {
        loop {
            self.place.current.changed().await;
            let place = &self.place;
            self.listeners.retain(|(at, task)| {
                let is_lost = place.has_lost(at.ip());
                if is_lost {
                    task.abort();
                }
                !is_lost
            });
            let new = self.place.current.listeners();
            if let Where::Shared(shared) = &self.place.at {
                for at in new.iter().filter_map(|(_, listener)| listener.local_addr().ok()) {
                    shared.listens_everywhere(Protocol::Tcp, at);
                }
            }
            // only an event loop that can have no more descriptors refuses one
            let _ = self.extend(new);
        }
    }

    /// Ends with the connections that had been made by this time.
    pub async fn finish(mut self) {
        drop(self.stop);
        while self.tasks.join_next().await.is_some() {}
    }
}

/// Accepts connections until the other end of `stopped` is gone, and then those that had been made by that time.
async fn accept(listener: TcpListener, threads: Arc<Threads>, mut stopped: watch::Receiver<()>) {
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stopped.changed() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => threads.take(stream),
            // out of descriptors or memory, or a connection that was gone before it was taken: it may get better
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(Ok((stream, _))) = listener.poll_accept(&mut cx) {
        threads.take(stream);
    }
}
