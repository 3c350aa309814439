//! What a build tells about itself while it goes on.

use super::step::Stream;
use crate::progress::LayerEvent;
use knarr_core::image::Digest;
use std::time::Duration;

/// Receives events, from several threads at once.
pub trait BuildProgress: Sync {
    fn event(&self, event: Event);
}

/// The number of a vertex, as it is shown: `#5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VertexId(pub usize);

/// One line of work: a step, a base image, the context, an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vertex {
    pub id: VertexId,
    /// As BuildKit names them: `[build 2/4] RUN make`, `[internal] load build context`, `exporting to image`. With
    /// several platforms `[linux/amd64 build 2/4] …`.
    pub name: String,
    /// What it builds on.
    pub inputs: Vec<VertexId>,
    /// Line of the Dockerfile, from 1.
    pub line: Option<usize>,
}

#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// More work was found; the vertexes come before anything else about them.
    Vertexes(&'a [Vertex]),
    Started(VertexId),
    /// Its result was there. Not started then.
    Cached(VertexId),
    /// What a `RUN` printed: any bytes, lines broken anywhere.
    Output {
        vertex: VertexId,
        stream: Stream,
        bytes: &'a [u8],
    },
    /// One line about a part of the work; a later one of the same `id` replaces it: `transferring context`, `2.31kB`.
    Status {
        vertex: VertexId,
        id: &'a str,
        text: &'a str,
    },
    /// A base image's layer, or one that is pushed.
    Layer {
        vertex: VertexId,
        digest: &'a Digest,
        event: LayerEvent,
    },
    Done {
        vertex: VertexId,
        took: Duration,
    },
    Failed {
        vertex: VertexId,
        error: &'a str,
    },
    /// Another vertex failed first.
    Cancelled(VertexId),
    /// Something that a careful author would change.
    Warning {
        message: &'a str,
        line: Option<usize>,
        url: Option<&'a str>,
    },
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl BuildProgress for Quiet {
    fn event(&self, _: Event) {}
}
