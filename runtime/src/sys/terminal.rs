//! Terminals: their size, and raw mode that is surely left again.

use rustix::io::Errno;
use rustix::termios::{
    OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};
use std::os::fd::{AsFd, BorrowedFd};

pub fn is_terminal(fd: impl AsFd) -> bool {
    isatty(fd)
}

/// Rows and columns; `None` if `fd` is no terminal or does not know.
pub fn size(fd: impl AsFd) -> Option<(u16, u16)> {
    let size = tcgetwinsize(fd).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

/// Sets the size, by the master or by the terminal itself; its foreground processes get SIGWINCH.
pub fn resize(fd: impl AsFd, rows: u16, columns: u16) -> Result<(), Errno> {
    tcsetwinsize(fd, Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })
}

/// A terminal in raw mode for as long as this value lives.
#[derive(Debug)]
pub struct RawMode<'a> {
    fd: BorrowedFd<'a>,
    before: Termios,
}

impl<'a> RawMode<'a> {
    pub fn enter(fd: BorrowedFd<'a>) -> Result<Self, Errno> {
        let before = tcgetattr(fd)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(fd, OptionalActions::Drain, &raw)?;
        Ok(Self { fd, before })
    }
}

impl Drop for RawMode<'_> {
    fn drop(&mut self) {
        // a terminal that is gone needs no restoring
        let _ = tcsetattr(self.fd, OptionalActions::Drain, &self.before);
    }
}
