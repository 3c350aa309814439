//! What the guest's process tells its parent before the guest runs: one JSON object in a line over a pipe.

use super::error::Error;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// Something worth a status line while a guest starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Progress {
    /// The module is being compiled, once for this machine.
    Compiling {
        path: String,
        bytes: u64,
    },
    Compiled {
        path: String,
        milliseconds: u64,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Message {
    Ready(Ready),
    Failed(Error),
}

/// The guest is about to run; servers already listen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ready {
    /// Container port and the address it is reached at.
    pub ports: Vec<(u16, SocketAddr)>,
    /// What this host could not enforce.
    pub lacking: Vec<String>,
    /// Ports for which the guest wants a listener at each address that its container gets.
    pub everywhere: Vec<u16>,
}

/// The child's end.
pub(super) struct Sender(Option<File>);

impl Sender {
    pub fn new(pipe: OwnedFd) -> Self {
        Self(Some(pipe.into()))
    }

    /// A parent that is gone is not an error: the child is about to be killed with it.
    pub fn send(&mut self, message: &Message) {
        if let (Some(pipe), Ok(mut line)) = (&mut self.0, serde_json::to_vec(message)) {
            line.push(b'\n');
            let _ = pipe.write_all(&line);
        }
    }

    /// Nothing more will be said.
    pub fn close(&mut self) {
        self.0 = None;
    }
}

/// The parent's end: waits for the message.
pub(super) fn receive(pipe: OwnedFd) -> Option<Result<Ready, Error>> {
    let mut line = Vec::new();
    BufReader::with_capacity(1024, File::from(pipe)).read_until(b'\n', &mut line).ok()?;
    match serde_json::from_slice(&line).ok()? {
        Message::Ready(ready) => Some(Ok(ready)),
        Message::Failed(error) => Some(Err(error)),
    }
}
