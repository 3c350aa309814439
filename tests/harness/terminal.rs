//! A terminal with somebody at it: a pseudo-terminal whose other end runs a command.

use super::Knarr;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use std::fs::OpenOptions;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

pub struct Terminal {
    screen: OwnedFd,
    child: Child,
    seen: String,
}

const PATIENCE: Duration = Duration::from_secs(30);

impl Knarr {
    /// Starts a command at a terminal of 24 rows and 80 columns.
    pub fn at_terminal(&self, arguments: &[&str]) -> Terminal {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap().into_string().unwrap();
        let line = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let stdio = || Stdio::from(line.try_clone().unwrap());
        let mut command = self.command(arguments);
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
        // SAFETY: only system calls are made between fork and exec.
        unsafe {
            command.pre_exec(|| {
                rustix::process::setsid()?;
                rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
                Ok(())
            });
        }
        let terminal = Terminal { screen, child: command.spawn().unwrap(), seen: String::new() };
        terminal.resize(24, 80);
        terminal
    }
}

impl Terminal {
    pub fn type_in(&self, keys: &str) {
        let written = rustix::io::write(&self.screen, keys.as_bytes()).unwrap();
        assert_eq!(written, keys.len());
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.screen, size).unwrap();
    }

    /// Reads until a text has come; what came before it is forgotten.
    #[track_caller]
    pub fn shows(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            assert!(Instant::now() < end && self.read(), "not shown: {text:?} in {:?}", self.seen);
        }
    }

    /// `false` when nobody will write any more.
    fn read(&mut self) -> bool {
        let mut fds = [PollFd::from_borrowed_fd(self.screen.as_fd(), PollFlags::IN)];
        let patience = Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
        let mut buffer = [0; 4096];
        if poll(&mut fds, Some(&patience)).unwrap() == 0 {
            return false;
        }
        // a line whose last user has gone gives EIO
        match rustix::io::read(&self.screen, &mut buffer) {
            Ok(count) if count > 0 => {
                self.seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
                true
            }
            _ => false,
        }
    }

    /// Reads to the end; the exit code.
    #[track_caller]
    pub fn code(mut self) -> i32 {
        while self.read() {}
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
