//! What the guest's process tells its parent: one JSON object in a line over a pipe before the guest runs, and a word at its
//! end where its exit code does not say enough.

use super::error::Error;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;

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

    /// The guest runs. Nothing more is said, unless it runs out of memory.
    pub fn keep(&mut self) {
        if let Some(pipe) = self.0.take() {
            let _ = LATER.set(pipe);
        }
    }
}

/// The child's end while the guest runs.
static LATER: OnceLock<File> = OnceLock::new();

const OUT_OF_MEMORY: &[u8] = b"out of memory";

/// The guest ends because it may not have more memory.
pub(super) fn out_of_memory() {
    if let Some(mut pipe) = LATER.get() {
        let _ = pipe.write_all(OUT_OF_MEMORY);
    }
}

/// What a guest's process says at its end; a quick one has said it by the time that its first line is read.
#[derive(Debug)]
pub struct LastWords(BufReader<File>);

impl LastWords {
    /// Whether the guest, which has ended, had no memory left.
    pub fn out_of_memory(mut self) -> bool {
        let mut words = Vec::new();
        let read = (&mut self.0).take(64).read_to_end(&mut words);
        read.is_ok() && words == OUT_OF_MEMORY
    }
}

/// The parent's end: waits for the message.
pub(super) fn receive(pipe: OwnedFd) -> Option<Result<(Ready, LastWords), Error>> {
    let mut line = Vec::new();
    let mut pipe = BufReader::with_capacity(1024, File::from(pipe));
    pipe.read_until(b'\n', &mut line).ok()?;
    match serde_json::from_slice(&line).ok()? {
        Message::Ready(ready) => Some(Ok((ready, LastWords(pipe)))),
        Message::Failed(error) => Some(Err(error)),
    }
}
