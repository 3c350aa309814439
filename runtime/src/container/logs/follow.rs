//! Waiting for more of a log: events of its folder, and the monitor's word that the guest has ended.

use super::files::{LogFile, open_all};
use super::{Error, Flow, Reader, Result};
use crate::monitor;
use crate::monitor::client::{Connection, Request};
use jiff::Timestamp;
use knarr_core::fsx::Context;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use rustix::time::Timespec;
use std::os::fd::OwnedFd;
use std::path::Path;

pub(super) struct Watch {
    events: OwnedFd,
    /// Readable when the guest has ended and everything of it is in the log.
    monitor: Connection,
}

impl Watch {
    /// `None` if the container does not run: then there is nothing to wait for.
    pub fn begin(root: &Root, id: &ContainerId) -> Result<Option<Self>> {
        let monitor = match Connection::open(root, id) {
            Err(monitor::Error::NotRunning { .. }) => return Ok(None),
            other => other?,
        };
        monitor.send(&Request::Wait)?;
        let folder = root.container(id);
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)
            .at("watch", folder.data())?;
        let flags = WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVE;
        inotify::add_watch(&events, folder.data(), flags).at("watch", folder.data())?;
        Ok(Some(Self { events, monitor }))
    }

    /// The next watch, where this one began between two lives and the next one has begun.
    fn of_next_life(&self, root: &Root, id: &ContainerId) -> Result<Option<Self>> {
        let (socket, flags) = (self.monitor.socket(), RecvFlags::DONTWAIT | RecvFlags::PEEK);
        let hung_up = matches!(recv(socket, &mut [0; 1], flags), Ok((0, _)));
        match hung_up && monitor::goes_on(root, id)? {
            true => Self::begin(root, id),
            false => Ok(None),
        }
    }

    /// Waits for an event; `false` when the guest has ended.
    fn wait(&self, until: Option<Timestamp>) -> Result<bool> {
        let left = left(until);
        let mut fds = [
            PollFd::new(&self.events, PollFlags::IN),
            PollFd::new(self.monitor.socket(), PollFlags::IN),
        ];
        match poll(&mut fds, left.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) | Err(Errno::INTR) => {}
            Err(source) => return Err(Error::FollowLog { source: source.into() }),
        }
        if !fds[1].revents().is_empty() {
            return Ok(false);
        }
        drain(&self.events);
        Ok(true)
    }
}

/// How long to wait; `None`: for ever.
pub(in crate::container) fn left(until: Option<Timestamp>) -> Option<Timespec> {
    until.map(|until| {
        let left = Timestamp::now().duration_until(until);
        Timespec { tv_sec: left.as_secs().max(0), tv_nsec: left.subsec_nanos().max(0).into() }
    })
}

/// What happened does not matter, only that something did.
pub(in crate::container) fn drain(events: &OwnedFd) {
    let mut buffer = [0; 4096];
    while rustix::io::read(events, &mut buffer).is_ok_and(|count| count > 0) {}
}

impl Reader<'_> {
    pub(super) fn follow(
        &mut self,
        root: &Root,
        id: &ContainerId,
        mut watch: Watch,
        mut current: Option<LogFile>,
        path: &Path,
    ) -> Result<()> {
        loop {
            let goes_on = watch.wait(self.options.until)?;
            if self.catch_up(&mut current, path)? == Flow::Enough {
                return Ok(());
            }
            if !goes_on {
                match watch.of_next_life(root, id)? {
                    Some(next) => watch = next,
                    None => return Ok(()),
                }
            }
        }
    }

    /// Shows what was added, in the file that was current and in those that came after it.
    fn catch_up(&mut self, current: &mut Option<LogFile>, path: &Path) -> Result<Flow> {
        if let Some(file) = current
            && self.all_of(file)? == Flow::Enough
        {
            return Ok(Flow::Enough);
        }
        let mut files = open_all(path)?;
        if let Some(file) = current {
            // if ours is not among them any more, all of them are newer
            let ours = files.iter().position(|other| other.inode == file.inode);
            files.drain(..ours.map_or(0, |at| at + 1));
            if !files.is_empty() {
                // it was rotated: what was written between our reading and that is still there
                if self.all_of(file)? == Flow::Enough {
                    return Ok(Flow::Enough);
                }
            }
        }
        for mut file in files {
            if self.all_of(&mut file)? == Flow::Enough {
                return Ok(Flow::Enough);
            }
            *current = Some(file);
        }
        Ok(Flow::More)
    }
}
