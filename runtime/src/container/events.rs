//! `events`: what happens to containers, images, networks and volumes.

use super::logs::files::LogFile;
use super::logs::follow::{drain, left};
use super::{Error, Result};
use jiff::Timestamp;
use knarr_core::events::{self, Event};
use knarr_core::fsx::Context;
use knarr_core::root::Root;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

/// When to look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    /// `None`: from now on.
    pub since: Option<Timestamp>,
    /// `None`: for ever.
    pub until: Option<Timestamp>,
}

/// Gives the events of a span to `show`, what is there already in the order in which it happened. A `show` that fails with a
/// broken pipe ends it without an error.
pub fn events(
    root: &Root,
    span: Span,
    show: &mut dyn FnMut(&Event) -> io::Result<()>,
) -> Result<()> {
    events::begin(root)?;
    // before anything is read: what comes after that is announced
    let watch =
        inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).at("watch", &root.events())?;
    inotify::add_watch(&watch, root.events(), WatchFlags::MODIFY | WatchFlags::CREATE)
        .at("watch", &root.events())?;
    let mut reader = Reader { root, files: BTreeMap::new() };
    if span.since.is_none() {
        reader.skip()?;
    }
    loop {
        // whatever was told before the end is there once it is over
        let is_over = span.until.is_some_and(|until| until <= Timestamp::now());
        for event in reader.news()? {
            if span.since.is_some_and(|since| event.time < since)
                || span.until.is_some_and(|until| event.time > until)
            {
                continue;
            }
            match show(&event) {
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                shown => shown.map_err(|source| Error::ShowEvents { source })?,
            }
        }
        // a root that is reset has no future
        if is_over || !root.events().exists() {
            return Ok(());
        }
        wait(&watch, span.until).map_err(|source| Error::FollowEvents { source })?;
    }
}

/// All files that are there or were: a writer may still append to one that was followed by another, or removed.
struct Reader<'a> {
    root: &'a Root,
    files: BTreeMap<u64, LogFile>,
}

impl Reader<'_> {
    /// Opens the files that came.
    fn look(&mut self) -> Result<()> {
        for number in events::numbers(&self.root.events())? {
            if !self.files.contains_key(&number)
                && let Some(file) = LogFile::open(&self.root.events_file(number))?
            {
                self.files.insert(number, file);
            }
        }
        Ok(())
    }

    fn skip(&mut self) -> Result<()> {
        self.look()?;
        self.files.values_mut().try_for_each(|file| Ok(file.skip_all()?))
    }

    /// What was told since the last time.
    fn news(&mut self) -> Result<Vec<Event>> {
        self.look()?;
        let mut news = Vec::new();
        for file in self.files.values_mut() {
            while let Some(line) = file.next_line()? {
                // a line that a full disk has torn is nobody's event
                news.extend(serde_json::from_slice::<Event>(&line));
            }
        }
        let kept = events::numbers(&self.root.events())?;
        let oldest = kept.first().copied().unwrap_or_default();
        // whoever writes to a removed one opened it many files ago
        self.files.retain(|number, _| *number >= oldest);
        news.sort_by_key(|event| event.time);
        Ok(news)
    }
}

/// Waits until something is told, or it is over.
fn wait(watch: &OwnedFd, until: Option<Timestamp>) -> io::Result<()> {
    match poll(&mut [PollFd::new(watch, PollFlags::IN)], left(until).as_ref()) {
        Ok(_) | Err(Errno::INTR) => {}
        Err(e) => return Err(e.into()),
    }
    drain(watch);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use knarr_core::events::Kind;

    #[test]
    fn a_follower_sees_each_event_of_many_writers_once() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let (writers, each) = (4, 80);
        let last = "done";
        let mut seen = BTreeMap::new();
        std::thread::scope(|scope| {
            let begun = Timestamp::now();
            for writer in 0..writers {
                let root = &root;
                scope.spawn(move || {
                    for number in 0..each {
                        let id = format!("{writer}-{number}");
                        // so that files are followed by others
                        let event = Event::new(Kind::Volume, "create", id);
                        events::tell(root, &[event.with("driver", "x".repeat(20 << 10))]);
                    }
                    events::tell(root, &[Event::new(Kind::Volume, last, "")]);
                });
            }
            let mut ended = 0;
            let span = Span { since: Some(begun), until: None };
            events(&root, span, &mut |event| {
                if event.action != last {
                    *seen.entry(event.id.clone()).or_insert(0) += 1;
                    return Ok(());
                }
                ended += 1;
                match ended == writers {
                    true => Err(io::ErrorKind::BrokenPipe.into()),
                    false => Ok(()),
                }
            })
            .unwrap();
        });
        assert_eq!(seen.len(), writers * each);
        assert!(seen.values().all(|times| *times == 1));
    }
}
