//! What the views share: lines out of bytes, the memory of what a step printed, and how a failure is shown.

use crate::ui::units;
use knarr_packager::build::Stream;
use knarr_packager::progress::LayerEvent;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Lines that are kept of each step, to be shown if it fails.
const KEPT: usize = 200;
/// Bytes of a line that are shown; programs that never end a line are cut.
const LONGEST: usize = 8 << 10;

/// One stream's bytes on their way to lines.
#[derive(Debug, Default)]
struct Partial(Vec<u8>);

/// What one step has printed.
#[derive(Debug)]
pub struct Log {
    started: Instant,
    streams: [Partial; 2],
    kept: VecDeque<String>,
    forgotten: usize,
}

impl Log {
    pub fn new() -> Self {
        let (streams, kept) = (Default::default(), VecDeque::new());
        Self { started: Instant::now(), streams, kept, forgotten: 0 }
    }

    /// Takes bytes; calls `show` for each line that they end.
    pub fn add(&mut self, stream: Stream, bytes: &[u8], show: &mut dyn FnMut(&str)) {
        let partial = &mut self.streams[match stream {
            Stream::Stdout => 0,
            Stream::Stderr => 1,
        }];
        let mut lines = Vec::new();
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            partial.0.extend_from_slice(part);
            if part.ends_with(b"\n") || partial.0.len() > LONGEST {
                lines.push(text(&std::mem::take(&mut partial.0)));
            }
        }
        for line in lines {
            self.keep(line, show);
        }
    }

    /// The rest, which no line end came after.
    pub fn flush(&mut self, show: &mut dyn FnMut(&str)) {
        for at in 0..self.streams.len() {
            let rest = std::mem::take(&mut self.streams[at].0);
            if !rest.is_empty() {
                self.keep(text(&rest), show);
            }
        }
    }

    fn keep(&mut self, line: String, show: &mut dyn FnMut(&str)) {
        let line = format!("{:.3} {line}", self.started.elapsed().as_secs_f64());
        show(&line);
        if self.kept.len() == KEPT {
            self.kept.pop_front();
            self.forgotten += 1;
        }
        self.kept.push_back(line);
    }

    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// BuildKit's frame around what a step printed that failed; `None` if it printed nothing.
    pub fn frame(&mut self, name: &str) -> Option<String> {
        self.flush(&mut |_| {});
        if self.kept.is_empty() {
            return None;
        }
        let mut frame = format!("------\n > {}:\n", crate::ui::safe_line(name));
        if self.forgotten > 0 {
            frame.push_str(&format!("[{} lines before]\n", self.forgotten));
        }
        for line in &self.kept {
            frame.push_str(line);
            frame.push('\n');
        }
        Some(frame + "------")
    }
}

/// What a terminal would show of a line in the end: what a carriage return overwrites is gone.
fn text(line: &[u8]) -> String {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let shown = line.rsplit(|byte| *byte == b'\r').next().unwrap_or(line);
    String::from_utf8_lossy(shown).into_owned()
}

/// Without what would move the cursor of a terminal or change its colours.
pub fn harmless(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            // a sequence of ECMA-48: parameters, then one letter
            '\u{1b}' if characters.next_if_eq(&'[').is_some() => {
                for next in characters.by_ref() {
                    if ('@'..='~').contains(&next) {
                        break;
                    }
                }
            }
            '\t' => clean.push_str("    "),
            other if other.is_control() => {}
            other => clean.push(other),
        }
    }
    clean
}

/// `0.4s`
pub fn seconds(time: Duration) -> String {
    format!("{:.1}s", time.as_secs_f64())
}

/// A layer's state in words; `None` for what passes too fast to be told.
pub fn layer(event: &LayerEvent) -> Option<String> {
    let of = |done: u64, total: u64| format!("{} / {}", units::size(done), units::size(total));
    Some(match event {
        LayerEvent::Downloading { done, total } => of(*done, *total),
        LayerEvent::Pushing { done, total } => format!("pushing {}", of(*done, *total)),
        LayerEvent::Retrying { attempt, of } => format!("retrying ({attempt} of {of})"),
        LayerEvent::Extracting => "extracting".into(),
        LayerEvent::Present => "exists".into(),
        LayerEvent::Mounted { from } => format!("mounted from {from}"),
        LayerEvent::Done => "done".into(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(log: &mut Log, stream: Stream, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        log.add(stream, bytes, &mut |line| {
            lines.push(line.split_once(' ').unwrap().1.to_owned());
        });
        lines
    }

    #[test]
    fn lines_that_come_in_pieces() {
        let mut log = Log::new();
        assert!(shown(&mut log, Stream::Stdout, b"ab").is_empty());
        assert_eq!(shown(&mut log, Stream::Stderr, b"e\n"), ["e"]);
        assert_eq!(shown(&mut log, Stream::Stdout, b"c\r\n10%\r20%\nrest"), ["abc", "20%"]);
        let mut rest = Vec::new();
        log.flush(&mut |line| rest.push(line.to_owned()));
        assert!(rest[0].ends_with(" rest"));
        assert_eq!(Log::new().frame("RUN x"), None);
        let frame = log.frame("RUN x").unwrap();
        assert!(frame.starts_with("------\n > RUN x:\n") && frame.ends_with("rest\n------"));
        for _ in 0..KEPT {
            shown(&mut log, Stream::Stdout, b"x\n");
        }
        assert!(log.frame("x").unwrap().contains("[4 lines before]"));
    }

    #[test]
    fn no_line_moves_the_cursor() {
        assert_eq!(harmless("\u{1b}[31mred\u{1b}[0m \u{7}\ta\u{1b}[2Jb"), "red     ab");
        assert_eq!(harmless("\u{1b}c"), "c");
    }
}
