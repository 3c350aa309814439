//! A live picture: what is done scrolls away above, what goes on is shown below with its last lines.

use super::View;
use super::lines::{Log, harmless, layer, seconds};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use knarr_packager::build::{BuildProgress, Event, VertexId};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Lines of output under each step that runs.
const SHOWN: usize = 6;
/// Between two pictures.
const TICK: Duration = Duration::from_millis(100);

pub struct Live {
    shared: Arc<Shared>,
    /// Moves the clocks; ends when its sender is dropped.
    clock: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
}

struct Shared {
    bars: MultiProgress,
    started: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    header: ProgressBar,
    known: HashMap<VertexId, Known>,
    done: usize,
    failed: Option<VertexId>,
}

struct Known {
    name: String,
    log: Log,
    /// There while it runs.
    bar: Option<ProgressBar>,
    below: VecDeque<ProgressBar>,
    status: BTreeMap<String, ProgressBar>,
}

impl Live {
    pub fn new() -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(20));
        let header = bars.add(line("[+] Building"));
        let inner = Inner { header, known: HashMap::new(), done: 0, failed: None };
        let shared = Arc::new(Shared { bars, started: Instant::now(), inner: Mutex::new(inner) });
        let (sender, receiver) = channel::<()>();
        let ticking = shared.clone();
        let thread = std::thread::Builder::new().name("progress".into()).spawn(move || {
            while receiver.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
                ticking.tick();
            }
        });
        // without it the clocks stand still, no more
        let clock = thread.ok().map(|thread| (sender, thread));
        Self { shared, clock: Mutex::new(clock) }
    }
}

/// A line of the picture: its text to the left, a time to the right.
fn line(text: &str) -> ProgressBar {
    let bar = ProgressBar::no_length();
    // only a mistake in the literal here would be an error
    let style = ProgressStyle::with_template("{wide_msg} {prefix}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.set_message(text.to_owned());
    bar
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tick(&self) {
        let inner = self.lock();
        let (done, all) = (inner.done, inner.known.len());
        let elapsed = seconds(self.started.elapsed());
        inner.header.set_message(format!("[+] Building {elapsed} ({done}/{all})"));
        for known in inner.known.values() {
            if let Some(bar) = &known.bar {
                bar.set_prefix(seconds(known.log.elapsed()));
            }
        }
    }

    /// A line that stays, above the picture.
    fn say(&self, text: &str, time: &str) {
        let width = rustix::termios::tcgetwinsize(rustix::stdio::stderr())
            .map_or(80, |size| usize::from(size.ws_col.max(20)));
        let room = width.saturating_sub(time.chars().count() + 2);
        let mut text: String = text.to_owned();
        if text.chars().count() > room {
            text = text.chars().take(room.saturating_sub(1)).chain(['…']).collect();
        }
        // nobody is left to be told that the terminal is gone
        let _ = self.bars.println(format!("{text:room$} {time}").trim_end());
    }
}

impl Inner {
    fn started(&mut self, id: VertexId, bars: &MultiProgress) {
        let Some(known) = self.known.get_mut(&id) else { return };
        known.log = Log::new();
        known.bar = Some(bars.add(line(&format!(" => {}", harmless(&known.name)))));
    }

    fn status(&mut self, vertex: VertexId, id: &str, text: &str, bars: &MultiProgress) {
        let Some(known) = self.known.get_mut(&vertex) else { return };
        let Some(above) = &known.bar else { return };
        let bar =
            known.status.entry(id.to_owned()).or_insert_with(|| bars.insert_after(above, line("")));
        bar.set_message(format!(" => => {} {}", harmless(id), harmless(text)));
    }

    fn lines(&mut self, vertex: VertexId, lines: Vec<String>, bars: &MultiProgress) {
        let Some(known) = self.known.get_mut(&vertex) else { return };
        let Some(bar) = &known.bar else { return };
        for text in lines {
            if known.below.len() == SHOWN
                && let Some(first) = known.below.pop_front()
            {
                bars.remove(&first);
            }
            let below = known.below.back().unwrap_or(bar);
            let text = format!(" => => # {}", harmless(&text));
            known.below.push_back(bars.insert_after(below, line(&text)));
        }
    }

    /// Takes a vertex out of the picture; its name.
    fn end(&mut self, id: VertexId, bars: &MultiProgress) -> Option<String> {
        let known = self.known.get_mut(&id)?;
        self.done += 1;
        let gone = known.bar.take().into_iter().chain(known.below.drain(..));
        for bar in gone.chain(std::mem::take(&mut known.status).into_values()) {
            bars.remove(&bar);
        }
        Some(harmless(&known.name))
    }
}

impl BuildProgress for Live {
    fn event(&self, event: Event) {
        let bars = &self.shared.bars;
        let mut inner = self.shared.lock();
        let mut end = |id, how: &str, time: &str| {
            if let Some(name) = inner.end(id, bars) {
                self.shared.say(&format!(" => {how}{name}"), time);
            }
        };
        match event {
            Event::Cached(id) => end(id, "CACHED ", "0.0s"),
            Event::Done { vertex, took } => end(vertex, "", &seconds(took)),
            Event::Cancelled(id) => end(id, "CANCELED ", ""),
            Event::Failed { vertex, .. } => {
                end(vertex, "ERROR ", "");
                inner.failed.get_or_insert(vertex);
            }
            Event::Vertexes(vertexes) => {
                for vertex in vertexes {
                    let known = Known {
                        name: vertex.name.clone(),
                        log: Log::new(),
                        bar: None,
                        below: VecDeque::new(),
                        status: BTreeMap::new(),
                    };
                    inner.known.insert(vertex.id, known);
                }
            }
            Event::Started(id) => inner.started(id, bars),
            Event::Output { vertex, stream, bytes } => {
                let mut lines = Vec::new();
                if let Some(known) = inner.known.get_mut(&vertex) {
                    known.log.add(stream, bytes, &mut |line| lines.push(line.to_owned()));
                }
                // of many at once only the last ones would be seen
                lines.drain(..lines.len().saturating_sub(SHOWN));
                inner.lines(vertex, lines, bars);
            }
            Event::Status { vertex, id, text } => inner.status(vertex, id, text, bars),
            Event::Layer { vertex, digest, event } => {
                if let Some(text) = layer(&event) {
                    inner.status(vertex, digest.as_ref(), &text, bars);
                }
            }
            Event::Warning { message, line, .. } => {
                let place = line.map(|line| format!(" (line {line})")).unwrap_or_default();
                self.shared.say(&format!("WARN: {}{place}", harmless(message)), "");
            }
            _ => {}
        }
    }
}

impl View for Live {
    fn as_progress(&self) -> &dyn BuildProgress {
        self
    }

    fn finish(&self, failed: bool) {
        if let Some((sender, thread)) =
            self.clock.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            drop(sender);
            let _ = thread.join();
        }
        let mut inner = self.shared.lock();
        let (done, all) = (inner.done, inner.known.len());
        let how = if failed { "ERROR" } else { "FINISHED" };
        let elapsed = seconds(self.shared.started.elapsed());
        let summary = format!("[+] Building {elapsed} ({done}/{all}) {how}");
        let _ = self.shared.bars.clear();
        inner.header.finish_and_clear();
        crate::ui::note(summary);
        let Some(id) = inner.failed.filter(|_| failed) else { return };
        let frame = inner.known.get_mut(&id).and_then(|known| known.log.frame(&known.name));
        if let Some(frame) = frame {
            crate::ui::note(frame);
        }
    }
}
