//! BuildKit's `SolveStatus`, one JSON object a line (`client/graph.go`), for programs that draw their own progress.

use super::View;
use jiff::Timestamp;
use knarr_core::image::Digest;
use knarr_core::store::digest_of;
use knarr_packager::build::{BuildProgress, Event, Stream, Vertex, VertexId};
use knarr_packager::progress::LayerEvent;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

pub struct RawJson<W>(Mutex<Inner<W>>);

struct Inner<W> {
    out: W,
    vertexes: HashMap<VertexId, Map<String, Value>>,
    /// When a status was told first.
    statuses: HashMap<(VertexId, String), Timestamp>,
}

impl<W: Write> RawJson<W> {
    pub fn new(out: W) -> Self {
        Self(Mutex::new(Inner { out, vertexes: HashMap::new(), statuses: HashMap::new() }))
    }
}

impl<W: Write + Send> View for RawJson<W> {
    fn as_progress(&self) -> &dyn BuildProgress {
        self
    }

    fn finish(&self, _failed: bool) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = inner.out.flush();
    }
}

impl<W: Write + Send> BuildProgress for RawJson<W> {
    fn event(&self, event: Event) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Timestamp::now();
        match event {
            Event::Vertexes(vertexes) => {
                let all: Vec<_> = vertexes.iter().map(|vertex| inner.know(vertex)).collect();
                inner.write(json!({ "vertexes": all }));
            }
            Event::Started(id) => inner.change(id, [("started", json!(now))]),
            Event::Cached(id) => inner.change(
                id,
                [("started", json!(now)), ("completed", json!(now)), ("cached", json!(true))],
            ),
            Event::Done { vertex, .. } => inner.change(vertex, [("completed", json!(now))]),
            Event::Failed { vertex, error } => {
                inner.change(vertex, [("completed", json!(now)), ("error", json!(error))]);
            }
            Event::Cancelled(id) => {
                let error = json!("context canceled");
                inner.change(id, [("completed", json!(now)), ("error", error)]);
            }
            Event::Output { vertex, stream, bytes } => {
                let stream = match stream {
                    Stream::Stdout => 1,
                    Stream::Stderr => 2,
                };
                let digest = inner.digest(vertex);
                inner.write(json!({ "logs": [{
                    "vertex": digest, "stream": stream, "data": base64(bytes), "timestamp": now,
                }] }));
            }
            Event::Status { vertex, id, text } => {
                inner.status(vertex, id, text, None, now);
            }
            Event::Layer { vertex, digest, event } => {
                let (name, amount) = match event {
                    LayerEvent::Downloading { done, total } => ("downloading", Some((done, total))),
                    LayerEvent::Pushing { done, total } => ("pushing", Some((done, total))),
                    LayerEvent::Extracting => ("extracting", None),
                    LayerEvent::Done => ("done", None),
                    _ => return,
                };
                inner.status(vertex, digest.as_ref(), name, amount, now);
            }
            Event::Warning { message, line, url } => {
                let start = line
                    .map(|line| json!([{ "start": { "line": line }, "end": { "line": line } }]));
                inner.write(json!({ "warnings": [{
                    "level": 1, "short": base64(message.as_bytes()), "url": url, "range": start,
                }] }));
            }
            _ => {}
        }
    }
}

impl<W: Write> Inner<W> {
    fn know(&mut self, vertex: &Vertex) -> Value {
        let inputs: Vec<_> = vertex.inputs.iter().map(|id| self.digest(*id)).collect();
        let digest = digest(vertex.id, &vertex.name);
        let mut map = Map::new();
        map.insert("digest".into(), json!(digest));
        if !inputs.is_empty() {
            map.insert("inputs".into(), json!(inputs));
        }
        map.insert("name".into(), json!(vertex.name));
        self.vertexes.insert(vertex.id, map.clone());
        Value::Object(map)
    }

    fn digest(&self, id: VertexId) -> Value {
        self.vertexes.get(&id).and_then(|map| map.get("digest")).cloned().unwrap_or(Value::Null)
    }

    fn change<const N: usize>(&mut self, id: VertexId, fields: [(&str, Value); N]) {
        let Some(map) = self.vertexes.get_mut(&id) else { return };
        for (name, value) in fields {
            // a cached one that was started keeps its time
            if name != "started" || !map.contains_key(name) {
                map.insert(name.to_owned(), value);
            }
        }
        let map = map.clone();
        self.write(json!({ "vertexes": [map] }));
    }

    fn status(
        &mut self,
        vertex: VertexId,
        id: &str,
        name: &str,
        amount: Option<(u64, u64)>,
        now: Timestamp,
    ) {
        let started = *self.statuses.entry((vertex, id.to_owned())).or_insert(now);
        let mut status = json!({
            "id": id, "vertex": self.digest(vertex), "name": name,
            "timestamp": now, "started": started,
        });
        let (current, total) = amount.unwrap_or_default();
        status["current"] = json!(current);
        if total > 0 {
            status["total"] = json!(total);
        }
        if name == "done" || amount.is_some_and(|(done, total)| done == total) {
            status["completed"] = json!(now);
        }
        self.write(json!({ "statuses": [status] }));
    }

    fn write(&mut self, value: Value) {
        // if stderr is gone there is nobody left to tell
        let _ = writeln!(self.out, "{value}");
    }
}

/// A vertex has no content of its own here: its number and name make it one of a kind.
fn digest(id: VertexId, name: &str) -> Digest {
    digest_of(format!("{} {name}", id.0).as_bytes())
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn one_object_a_line() {
        let view = RawJson::new(Vec::new());
        let (one, two) = (VertexId(1), VertexId(2));
        let vertex = |id, name: &str, inputs: &[VertexId]| Vertex {
            id,
            name: name.into(),
            inputs: inputs.to_vec(),
            line: None,
        };
        view.event(Event::Vertexes(&[vertex(one, "a", &[]), vertex(two, "b", &[one])]));
        view.event(Event::Started(one));
        view.event(Event::Output { vertex: one, stream: Stream::Stderr, bytes: b"hi\n" });
        view.event(Event::Done { vertex: one, took: Duration::ZERO });
        view.event(Event::Cached(two));
        let text = String::from_utf8(view.0.into_inner().unwrap().out).unwrap();
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let first = &lines[0]["vertexes"];
        assert_eq!(first[1]["inputs"][0], first[0]["digest"]);
        assert!(lines[1]["vertexes"][0]["started"].is_string());
        assert_eq!(lines[2]["logs"][0]["data"], "aGkK");
        assert_eq!(lines[2]["logs"][0]["stream"], 2);
        assert!(lines[3]["vertexes"][0]["completed"].is_string());
        assert_eq!(lines[4]["vertexes"][0]["cached"], true);
        assert_eq!(lines[4]["vertexes"][0]["name"], "b");
    }
}
