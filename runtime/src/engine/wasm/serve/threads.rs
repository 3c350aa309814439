//! Which thread serves a connection: the least loaded; a new one while processors are left.

use super::connection::{Connections, Place, Service, serve};
use super::linger::Linger;
use super::{Blueprint, Pre};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

type Handed = (std::net::TcpStream, Place);

/// A thread that serves connections.
struct Thread {
    /// Connections it has.
    load: Arc<AtomicUsize>,
    /// `None` for the thread that accepts.
    hand_over: Option<mpsc::UnboundedSender<Handed>>,
}

/// All threads that serve; the accepting one first.
pub(super) struct Threads {
    blueprint: Arc<Blueprint>,
    pre: Pre,
    connections: Connections,
    here: Arc<Service>,
    threads: Mutex<Vec<Thread>>,
    /// How many that is.
    count: Arc<AtomicUsize>,
    most: usize,
}

impl Threads {
    /// For the calling thread alone; up to `most` when connections come.
    pub fn new(blueprint: Arc<Blueprint>, pre: Pre, most: usize, connections: Connections) -> Self {
        let count = Arc::new(AtomicUsize::new(1));
        let linger = Linger::new(count.clone(), most);
        let here = Service::new(blueprint.clone(), pre.clone(), connections.clone(), linger);
        let here = Arc::new(here);
        let threads = Mutex::new(vec![Thread { load: Arc::default(), hand_over: None }]);
        Self { blueprint, pre, connections, here, threads, count, most: most.max(1) }
    }

    /// Serves a connection that the calling thread accepted.
    pub fn take(&self, stream: TcpStream) {
        let place = self.connections.enter();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let busy = threads.iter().all(|t| t.load.load(Ordering::Relaxed) > 0);
        if busy && threads.len() < self.most {
            threads.extend(self.start());
        }
        let least = threads.iter().min_by_key(|t| t.load.load(Ordering::Relaxed));
        let Some(thread) = least else { return };
        let load = Load::add(&thread.load);
        match &thread.hand_over {
            None => {
                let service = self.here.clone();
                tokio::spawn(async move {
                    serve(stream, service, place).await;
                    drop(load);
                });
            }
            Some(hand_over) => {
                if let Ok(stream) = stream.into_std() {
                    std::mem::forget(load); // the other thread counts down
                    let _ = hand_over.send((stream, place));
                }
            }
        }
    }

    /// Another thread, if the system gives one.
    fn start(&self) -> Option<Thread> {
        let load: Arc<AtomicUsize> = Arc::default();
        let (hand_over, mut handed) = mpsc::unbounded_channel::<Handed>();
        let (blueprint, pre) = (self.blueprint.clone(), self.pre.clone());
        let (connections, counter) = (self.connections.clone(), load.clone());
        let linger = Linger::new(self.count.clone(), self.most);
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async move {
                let service = Arc::new(Service::new(blueprint, pre, connections, linger));
                while let Some((stream, place)) = handed.recv().await {
                    let load = Load(counter.clone());
                    let Ok(stream) = TcpStream::from_std(stream) else { continue };
                    let service = service.clone();
                    tokio::spawn(async move {
                        serve(stream, service, place).await;
                        drop(load);
                    });
                }
                // no more will come; those that are there finish, and the process ends with them
                std::future::pending::<()>().await;
            });
        };
        std::thread::Builder::new().name("serve".into()).spawn(run).ok()?;
        self.count.fetch_add(1, Ordering::Relaxed);
        Some(Thread { load, hand_over: Some(hand_over) })
    }
}

/// One connection in a thread's count.
struct Load(Arc<AtomicUsize>);

impl Load {
    fn add(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter.clone())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
