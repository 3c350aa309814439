//! How images come and go: a bar for each layer on a terminal, plain lines otherwise; always on stderr.

use super::units;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use knarr_core::image::Digest;
use knarr_packager::progress::{LayerEvent, Progress};
use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};

/// The progress that suits this process's stderr.
pub fn choose(quiet: bool) -> Box<dyn Progress> {
    if quiet {
        Box::new(Quiet)
    } else if std::io::stderr().is_terminal() {
        Box::new(Bars::new())
    } else {
        Box::new(Lines::default())
    }
}

/// Tells nothing but warnings.
struct Quiet;

impl Progress for Quiet {
    fn layer(&self, _: &Digest, _: LayerEvent) {}
    fn status(&self, _: &str) {}

    fn warning(&self, text: &str) {
        super::warning(text);
    }
}

/// One bar for each layer.
struct Bars {
    all: MultiProgress,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    fn new() -> Self {
        // drawn by whoever reports: no thread of its own
        let target = ProgressDrawTarget::stderr_with_hz(10);
        Self { all: MultiProgress::with_draw_target(target), bars: Mutex::default() }
    }
}

fn style(template: &str) -> ProgressStyle {
    // only a mistake in the literals here would be an error
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

const TRANSFER: &str = "{prefix}: {msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec}";
const STATE: &str = "{prefix}: {msg}";

impl Progress for Bars {
    fn layer(&self, digest: &Digest, event: LayerEvent) {
        let id = short(digest);
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bars.entry(id.clone()).or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new(0));
            bar.set_style(style(STATE));
            bar.set_prefix(id);
            bar
        });
        match event {
            LayerEvent::Downloading { done, total } | LayerEvent::Pushing { done, total } => {
                if bar.length() != Some(total) || bar.is_finished() {
                    let pushing = matches!(event, LayerEvent::Pushing { .. });
                    bar.set_length(total);
                    bar.set_style(style(TRANSFER));
                    bar.set_message(if pushing { "Pushing" } else { "Downloading" });
                }
                bar.set_position(done);
            }
            event => {
                bar.set_style(style(STATE));
                let text = describe(&event);
                let ends = matches!(
                    event,
                    LayerEvent::Present | LayerEvent::Done | LayerEvent::Mounted { .. }
                );
                if ends { bar.finish_with_message(text) } else { bar.set_message(text) }
            }
        }
    }

    fn status(&self, text: &str) {
        // above the bars
        let _ = self.all.println(super::safe(text));
    }
}

/// One line for each step of a layer that Docker prints where nobody looks on.
#[derive(Default)]
struct Lines {
    last: Mutex<HashMap<String, String>>,
}

impl Progress for Lines {
    fn layer(&self, digest: &Digest, event: LayerEvent) {
        let text = match event {
            LayerEvent::Waiting | LayerEvent::Verifying | LayerEvent::Extracting => return,
            // the first of many
            LayerEvent::Downloading { total, .. } => format!("Downloading {}", units::size(total)),
            LayerEvent::Pushing { total, .. } => format!("Pushing {}", units::size(total)),
            event => describe(&event),
        };
        let id = short(digest);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.get(&id) != Some(&text) {
            super::note(format_args!("{id}: {text}"));
            last.insert(id, text);
        }
    }

    fn status(&self, text: &str) {
        super::note(text);
    }
}

fn describe(event: &LayerEvent) -> String {
    match event {
        LayerEvent::Waiting => "Waiting".into(),
        LayerEvent::Present => "Already exists".into(),
        LayerEvent::Retrying { attempt, of } => format!("Retrying ({attempt} of {of})"),
        LayerEvent::Verifying => "Verifying Checksum".into(),
        LayerEvent::Extracting => "Extracting".into(),
        LayerEvent::Mounted { from } => format!("Mounted from {}", super::safe(from)),
        LayerEvent::Done => "Complete".into(),
        _ => String::new(),
    }
}

fn short(digest: &Digest) -> String {
    digest.digest().chars().take(12).collect()
}
