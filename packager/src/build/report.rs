//! Numbers the vertexes, and tells the listener.

use super::Error;
use super::progress::{BuildProgress, Event, Vertex, VertexId};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

pub struct Report<'a> {
    progress: &'a dyn BuildProgress,
    next: AtomicUsize,
}

impl<'a> Report<'a> {
    pub fn new(progress: &'a dyn BuildProgress) -> Self {
        Self { progress, next: AtomicUsize::new(1) }
    }

    pub fn event(&self, event: Event) {
        self.progress.event(event);
    }

    /// The next number. Nobody knows of the vertex until it is announced.
    pub fn number(&self) -> VertexId {
        VertexId(self.next.fetch_add(1, Ordering::Relaxed))
    }

    pub fn announce(&self, vertexes: &[Vertex]) {
        self.event(Event::Vertexes(vertexes));
    }

    /// A vertex that is no step.
    pub fn internal(&self, name: &str) -> VertexId {
        let id = self.number();
        self.announce(&[Vertex { id, name: name.to_owned(), inputs: Vec::new(), line: None }]);
        id
    }

    /// Does the work of a vertex, and tells its beginning and end.
    pub fn watch<T>(
        &self,
        vertex: VertexId,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.event(Event::Started(vertex));
        let begun = Instant::now();
        let result = work();
        match &result {
            Ok(_) => self.event(Event::Done { vertex, took: begun.elapsed() }),
            Err(error) => self.failed(vertex, error),
        }
        result
    }

    pub fn failed(&self, vertex: VertexId, error: &Error) {
        match error {
            Error::Cancelled => self.event(Event::Cancelled(vertex)),
            // which instruction it is, the vertex says
            Error::Instruction { source, .. } => self.failed(vertex, source),
            error => self.event(Event::Failed { vertex, error: &story(error) }),
        }
    }
}

/// An error and its causes on one line.
fn story(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
