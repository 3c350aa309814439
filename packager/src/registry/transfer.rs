//! The pipeline of a pull, and the parallel uploads of a push.
//!
//! Network I/O runs on the calling thread, which drives the runtime; each transfer has a thread of its own
//! that hashes and writes; unpacking has its own threads again, so that it never holds up the network. All
//! of them have ended when these functions return.

use super::session::Session;
use super::{Error, blob};
use crate::progress::{LayerEvent, Progress};
use knarr_core::image::Descriptor;
use knarr_core::store::{LayerUnpacker, Store};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError, mpsc};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// As many transfers at a time as registries like of one client (Docker: 3, skopeo: 6).
const TRANSFERS: usize = 4;

/// A blob to fetch, and what it is to be unpacked to.
#[derive(Debug)]
pub(super) struct Job {
    pub descriptor: Descriptor,
    /// (which unpacker, which of its layers)
    pub unpack: Vec<(usize, usize)>,
}

/// Fetches what is missing and unpacks it, several layers at a time. The first error ends all.
pub(super) fn download(
    runtime: &Runtime,
    session: &Session<'_>,
    store: &Store,
    jobs: &[Job],
    unpackers: &[LayerUnpacker],
    progress: &dyn Progress,
) -> Result<(), Error> {
    let failure = Failure::new();
    let (arrived, arrivals) = mpsc::channel::<&Job>();
    let arrivals = Mutex::new(arrivals);
    let mut missing = Vec::new();
    for job in jobs {
        if store.holds(&job.descriptor).map_err(|e| session.store(e))? {
            progress.layer(job.descriptor.digest(), LayerEvent::Present);
            // the receiver outlives the threads below
            let _ = arrived.send(job);
        } else {
            progress.layer(job.descriptor.digest(), LayerEvent::Waiting);
            missing.push(job);
        }
    }
    let unpack = |job: &Job| -> Result<(), Error> {
        let digest = job.descriptor.digest();
        let todo: Vec<_> =
            job.unpack.iter().filter(|(which, at)| !unpackers[*which].is_present(*at)).collect();
        if !todo.is_empty() {
            progress.layer(digest, LayerEvent::Extracting);
        }
        for (which, at) in todo {
            unpackers[*which].layer(*at).map_err(|e| session.store(e))?;
        }
        progress.layer(digest, LayerEvent::Done);
        Ok(())
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(TRANSFERS).min(jobs.len()) {
            scope.spawn(|| {
                loop {
                    let next = arrivals.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(job) = next else { return };
                    // after a failure the queue is drained, not worked off
                    if !failure.is_set() {
                        failure.note(unpack(job));
                    }
                }
            });
        }
        in_parallel(runtime, &missing, &failure, |job: &&Job| {
            runtime.handle().block_on(failure.race(blob::fetch(
                session,
                store,
                &job.descriptor,
                progress,
            )))?;
            let _ = arrived.send(job);
            Ok(())
        });
        drop(arrived);
    });
    failure.into_result()
}

/// A blob to upload, and another repository of the registry that may have it.
#[derive(Debug)]
pub(super) struct Upload {
    pub descriptor: Descriptor,
    pub source: Option<String>,
}

/// Uploads what the registry lacks, several blobs at a time. The first error ends all.
pub(super) fn upload(
    runtime: &Runtime,
    session: &Session<'_>,
    store: &Store,
    uploads: &[Upload],
    progress: &dyn Progress,
) -> Result<(), Error> {
    let failure = Failure::new();
    in_parallel(runtime, uploads, &failure, |Upload { descriptor, source }| {
        progress.layer(descriptor.digest(), LayerEvent::Waiting);
        let push = blob::push(session, store, descriptor, source.as_deref(), progress);
        runtime.handle().block_on(failure.race(push))
    });
    failure.into_result()
}

/// Calls `work` for each item from a few threads, and drives the runtime's I/O from this one until they have
/// ended.
fn in_parallel<T: Sync>(
    runtime: &Runtime,
    items: &[T],
    failure: &Failure,
    work: impl Fn(&T) -> Result<(), Error> + Sync,
) {
    if items.is_empty() {
        return;
    }
    let queue = Mutex::new(items.iter().collect::<VecDeque<_>>());
    let (alive, mut all_ended) = tokio::sync::mpsc::channel::<()>(1);
    std::thread::scope(|scope| {
        for _ in 0..TRANSFERS.min(items.len()) {
            let alive = alive.clone();
            let (queue, work) = (&queue, &work);
            scope.spawn(move || {
                let _alive = alive;
                while !failure.is_set() {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(item) = next else { return };
                    failure.note(work(item));
                }
            });
        }
        drop(alive);
        // nothing is ever sent: this returns when the last thread has dropped its sender
        runtime.block_on(all_ended.recv());
    });
}

/// The first error of several threads, and the news of it to all that wait for the network.
struct Failure {
    first: Mutex<Option<Error>>,
    news: watch::Sender<bool>,
}

impl Failure {
    fn new() -> Self {
        Self { first: Mutex::new(None), news: watch::Sender::new(false) }
    }

    fn is_set(&self) -> bool {
        *self.news.borrow()
    }

    fn note(&self, result: Result<(), Error>) {
        if let Err(error) = result {
            self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            self.news.send_replace(true);
        }
    }

    /// Waits for `future`, or for another thread's failure.
    async fn race(&self, future: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
        let mut news = self.news.subscribe();
        tokio::select! {
            result = future => result,
            _ = news.wait_for(|failed| *failed) => Err(Error::Cancelled),
        }
    }

    fn into_result(self) -> Result<(), Error> {
        match self.first.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
