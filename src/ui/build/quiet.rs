//! Nothing but what a step printed that failed, and warnings.

use super::View;
use super::lines::Log;
use knarr_packager::build::{BuildProgress, Event, VertexId};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

#[derive(Default)]
pub struct Quiet(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    known: HashMap<VertexId, (String, Log)>,
    failed: Option<VertexId>,
}

impl View for Quiet {
    fn as_progress(&self) -> &dyn BuildProgress {
        self
    }

    fn finish(&self, failed: bool) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(id) = inner.failed.filter(|_| failed) else { return };
        let frame = inner.known.get_mut(&id).and_then(|(name, log)| log.frame(name));
        if let Some(frame) = frame {
            crate::ui::note(frame);
        }
    }
}

impl BuildProgress for Quiet {
    fn event(&self, event: Event) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Vertexes(vertexes) => {
                for vertex in vertexes {
                    inner.known.insert(vertex.id, (vertex.name.clone(), Log::new()));
                }
            }
            Event::Started(id) => {
                if let Some((_, log)) = inner.known.get_mut(&id) {
                    *log = Log::new();
                }
            }
            Event::Output { vertex, stream, bytes } => {
                if let Some((_, log)) = inner.known.get_mut(&vertex) {
                    log.add(stream, bytes, &mut |_| {});
                }
            }
            // what succeeded is of no interest any more
            Event::Done { vertex, .. } => drop(inner.known.remove(&vertex)),
            Event::Failed { vertex, .. } => drop(inner.failed.get_or_insert(vertex)),
            Event::Warning { message, line, .. } => {
                let place = line.map(|line| format!(" (line {line})")).unwrap_or_default();
                crate::ui::warning(format_args!("{message}{place}"));
            }
            _ => {}
        }
    }
}
