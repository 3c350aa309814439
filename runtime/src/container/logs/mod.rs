//! `logs`: what a container wrote.

pub(super) mod files;
pub(super) mod follow;

use super::{Error, Result};
use crate::monitor::Stream;
use files::{LogFile, open_all};
use jiff::Timestamp;
use knarr_core::id::ContainerId;
use knarr_core::store::Store;
use serde::Deserialize;
use std::io;

/// What to show of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogOptions {
    /// Go on until the container ends.
    pub follow: bool,
    /// Only the last entries of all that there are.
    pub tail: Option<u64>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub stdout: bool,
    pub stderr: bool,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { follow: false, tail: None, since: None, until: None, stdout: true, stderr: true }
    }
}

/// A line of output, or a part of a long one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LogEntry {
    /// With its line feed, if it ends a line.
    #[serde(rename = "log")]
    pub text: String,
    pub stream: Stream,
    pub time: Timestamp,
}

/// Whether the reader wants more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    More,
    Enough,
}

/// Gives the entries to `show`, oldest first. A `show` that fails with a broken pipe ends it without an error.
pub fn logs(
    store: &Store,
    id: &ContainerId,
    options: &LogOptions,
    show: &mut dyn FnMut(&LogEntry) -> io::Result<()>,
) -> Result<()> {
    let result = Reader { options, show }.read(store, id);
    match result {
        Err(Error::ShowLog { source }) if source.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

struct Reader<'a> {
    options: &'a LogOptions,
    show: &'a mut dyn FnMut(&LogEntry) -> io::Result<()>,
}

impl Reader<'_> {
    fn read(&mut self, store: &Store, id: &ContainerId) -> Result<()> {
        let path = store.root().container(id).log();
        // before the first byte is read: what is written afterwards is an event
        let watch = match self.options.follow {
            true => follow::Watch::begin(store.root(), id)?,
            false => None,
        };
        let mut log = open_all(&path)?;
        if let Some(count) = self.options.tail {
            files::skip_to_tail(&mut log, count)?;
        }
        let last = log.len().saturating_sub(1);
        for (at, file) in log.iter_mut().enumerate() {
            if self.all_of(file)? == Flow::Enough {
                return Ok(());
            }
            // an unfinished entry is one that a follower will see the rest of
            if at < last || watch.is_none() {
                file.forget_rest();
            }
        }
        match watch {
            Some(watch) => self.follow(store.root(), id, watch, log.pop(), &path),
            None => Ok(()),
        }
    }

    /// Shows what there is of a file now.
    fn all_of(&mut self, file: &mut LogFile) -> Result<Flow> {
        while let Some(line) = file.next_line()? {
            // a line that a power cut tore is no reason to hide the others
            let Ok(entry) = serde_json::from_slice::<LogEntry>(&line) else { continue };
            if self.options.until.is_some_and(|until| entry.time > until) {
                return Ok(Flow::Enough);
            }
            let wanted = match entry.stream {
                Stream::Stdout => self.options.stdout,
                Stream::Stderr => self.options.stderr,
            };
            if wanted && self.options.since.is_none_or(|since| entry.time >= since) {
                (self.show)(&entry).map_err(|source| Error::ShowLog { source })?;
            }
        }
        Ok(Flow::More)
    }
}
