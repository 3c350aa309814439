//! Lines for a log, in BuildKit's form: `#5 [2/5] RUN …`, `#5 0.321 output`, `#5 DONE 0.4s`.

use super::View;
use super::lines::{Log, layer, seconds};
use crate::ui::{safe, safe_line};
use knarr_packager::build::{BuildProgress, Event, Vertex, VertexId};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two lines about the same transfer.
const PAUSE: Duration = Duration::from_secs(5);

pub struct Plain<W> {
    inner: Mutex<Inner<W>>,
}

struct Inner<W> {
    out: W,
    known: HashMap<VertexId, Known>,
    /// The vertex whose lines are being written; the others' wait for a heading of theirs.
    current: Option<VertexId>,
    failed: Option<VertexId>,
    anything: bool,
}

struct Known {
    name: String,
    log: Log,
    /// By id: the text, when it was written last, and whether it changed since.
    status: BTreeMap<String, (String, Option<Instant>, bool)>,
}

impl<W: Write> Plain<W> {
    pub fn new(out: W) -> Self {
        let inner =
            Inner { out, known: HashMap::new(), current: None, failed: None, anything: false };
        Self { inner: Mutex::new(inner) }
    }
}

impl<W: Write + Send> View for Plain<W> {
    fn as_progress(&self) -> &dyn BuildProgress {
        self
    }

    fn finish(&self, failed: bool) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(id) = inner.failed.filter(|_| failed) else { return };
        let frame = inner.known.get_mut(&id).and_then(|known| known.log.frame(&known.name));
        if let Some(frame) = frame {
            inner.write(format_args!("{frame}"));
        }
    }
}

impl<W: Write + Send> BuildProgress for Plain<W> {
    fn event(&self, event: Event) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Vertexes(vertexes) => vertexes.iter().for_each(|vertex| inner.know(vertex)),
            Event::Started(id) => {
                if let Some(known) = inner.known.get_mut(&id) {
                    known.log = Log::new();
                }
                inner.heading(id);
            }
            Event::Cached(id) => inner.end(id, "CACHED"),
            Event::Output { vertex, stream, bytes } => {
                let mut lines = Vec::new();
                if let Some(known) = inner.known.get_mut(&vertex) {
                    known.log.add(stream, bytes, &mut |line| lines.push(line.to_owned()));
                }
                inner.lines(vertex, &lines);
            }
            Event::Status { vertex, id, text } => inner.status(vertex, id, text),
            Event::Layer { vertex, digest, event } => {
                if let Some(text) = layer(&event) {
                    inner.status(vertex, digest.as_ref(), &text);
                }
            }
            Event::Done { vertex, took } => {
                inner.end(vertex, &format!("DONE {}", seconds(took)));
            }
            Event::Failed { vertex, error } => {
                inner.failed.get_or_insert(vertex);
                // the place in the source is shown with the error, at the end
                let first = safe_line(error.lines().next().unwrap_or_default());
                inner.end(vertex, &format!("ERROR: {first}"));
            }
            Event::Cancelled(id) => inner.end(id, "CANCELED"),
            Event::Warning { message, line, .. } => {
                let place = line.map(|line| format!(" (line {line})")).unwrap_or_default();
                inner.current = None;
                inner.write(format_args!("\nWARN: {}{place}", safe(message)));
            }
            _ => {}
        }
    }
}

impl<W: Write> Inner<W> {
    fn know(&mut self, vertex: &Vertex) {
        // what a Dockerfile says is no order to the terminal; what its commands print is theirs, as with BuildKit
        let name = safe_line(&vertex.name).into_owned();
        let known = Known { name, log: Log::new(), status: BTreeMap::new() };
        self.known.insert(vertex.id, known);
    }

    fn write(&mut self, text: std::fmt::Arguments) {
        self.anything = true;
        // if stderr is gone there is nobody left to tell
        let _ = writeln!(self.out, "{text}");
    }

    /// Says which vertex the next lines are about, unless the last ones were about it already.
    fn heading(&mut self, id: VertexId) {
        if self.current == Some(id) {
            return;
        }
        if let Some(before) = self.current.replace(id) {
            self.write(format_args!("#{} ...", before.0));
        }
        if self.anything {
            self.write(format_args!(""));
        }
        let name = self.known.get(&id).map(|known| known.name.clone()).unwrap_or_default();
        self.write(format_args!("#{} {name}", id.0));
    }

    fn lines(&mut self, id: VertexId, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        self.heading(id);
        for line in lines {
            self.write(format_args!("#{} {line}", id.0));
        }
    }

    fn status(&mut self, vertex: VertexId, id: &str, text: &str) {
        let Some(known) = self.known.get_mut(&vertex) else { return };
        let status = known.status.entry(id.to_owned()).or_default();
        if status.0 == text {
            return;
        }
        status.0 = text.to_owned();
        status.2 = true;
        let since = *status.1.get_or_insert_with(Instant::now);
        if since.elapsed() >= PAUSE {
            (status.1, status.2) = (Some(Instant::now()), false);
            self.lines(vertex, &[joined(id, text)]);
        }
    }

    fn end(&mut self, id: VertexId, how: &str) {
        self.heading(id);
        let mut rest = Vec::new();
        if let Some(known) = self.known.get_mut(&id) {
            known.log.flush(&mut |line| rest.push(line.to_owned()));
            let status = std::mem::take(&mut known.status);
            let changed = status.iter().filter(|(_, (.., changed))| *changed);
            rest.extend(changed.map(|(id, (text, ..))| joined(id, text)));
        }
        self.lines(id, &rest);
        self.write(format_args!("#{} {how}", id.0));
        self.current = None;
    }
}

/// `transferring context: 2.31kB`, `sha256:… 3MB / 9MB`
fn joined(id: &str, text: &str) -> String {
    let joined = match id {
        "" => text.to_owned(),
        id if id.starts_with("sha256:") || text.is_empty() => format!("{id} {text}"),
        id => format!("{id}: {text}"),
    };
    safe_line(joined.trim_end()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use knarr_packager::build::Stream;

    fn vertex(id: usize, name: &str) -> Vertex {
        Vertex { id: VertexId(id), name: name.into(), inputs: Vec::new(), line: None }
    }

    #[test]
    fn a_dockerfile_does_not_write_to_the_terminal() {
        let plain = Plain::new(Vec::new());
        let one = VertexId(1);
        plain.event(Event::Vertexes(&[vertex(1, "[1/1] RUN \u{1b}[2J\rx")]));
        plain.event(Event::Started(one));
        let bytes = "\u{1b}[31mred\n".as_bytes();
        plain.event(Event::Output { vertex: one, stream: Stream::Stdout, bytes });
        plain.event(Event::Failed { vertex: one, error: "no \u{9b}31m" });
        plain.finish(true);
        let text = String::from_utf8(plain.inner.into_inner().unwrap().out).unwrap();
        assert!(
            text.contains("RUN \\u001b[2J\\u000dx") && text.contains("no \\u009b31m"),
            "{text}"
        );
        assert!(text.contains("\u{1b}[31mred"), "what a command prints is its own: {text}");
        assert_eq!(text.matches('\u{1b}').count(), 2, "in the log and in the frame: {text}");
    }

    #[test]
    fn as_buildkit_writes_them() {
        let plain = Plain::new(Vec::new());
        let (one, two, three) = (VertexId(1), VertexId(2), VertexId(3));
        plain.event(Event::Vertexes(&[
            vertex(1, "[internal] load build context"),
            vertex(2, "[2/3] RUN make"),
            vertex(3, "[3/3] RUN false"),
        ]));
        plain.event(Event::Started(one));
        plain.event(Event::Status { vertex: one, id: "transferring context", text: "1kB" });
        plain.event(Event::Status { vertex: one, id: "transferring context", text: "2kB" });
        let took = Duration::from_millis(140);
        plain.event(Event::Done { vertex: one, took });
        plain.event(Event::Cached(two));
        plain.event(Event::Started(three));
        let output = |id, bytes| Event::Output { vertex: id, stream: Stream::Stdout, bytes };
        plain.event(output(three, b"hel"));
        plain.event(output(three, b"lo\n"));
        plain.event(Event::Started(two));
        plain.event(output(three, b"bye"));
        plain.event(Event::Failed { vertex: three, error: "exit code: 1" });
        plain.event(Event::Cancelled(two));
        plain.finish(true);
        let inner = plain.inner.into_inner().unwrap();
        let text = String::from_utf8(inner.out).unwrap();
        let expected = "\
#1 [internal] load build context
#1 transferring context: 2kB
#1 DONE 0.1s

#2 [2/3] RUN make
#2 CACHED

#3 [3/3] RUN false
#3 0.000 hello
#3 ...

#2 [2/3] RUN make
#2 ...

#3 [3/3] RUN false
#3 0.000 bye
#3 ERROR: exit code: 1

#2 [2/3] RUN make
#2 CANCELED
------
 > [3/3] RUN false:
0.000 hello
0.000 bye
------
";
        // the times differ
        let times = |text: &str| {
            let words = text.split(' ').map(|word| match word.parse::<f64>() {
                Ok(_) if word.contains('.') => "0.000",
                _ => word,
            });
            words.collect::<Vec<_>>().join(" ")
        };
        let lines = text.lines().map(times).collect::<Vec<_>>().join("\n") + "\n";
        assert_eq!(lines, expected);
    }
}
