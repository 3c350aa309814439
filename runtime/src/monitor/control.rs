//! What is said over `control.sock`: one request and one answer, each a line of JSON, and after the answer to an
//! attach request frames in both directions.
//!
//! A frame is a kind (one byte), a length (four bytes, big endian) and that many bytes.

use crate::monitor::exec::Execution;
use crate::monitor::report::Failure;
use crate::state::{Exit, HealthStatus, Probed};
use serde::{Deserialize, Serialize};

/// Longer than any request.
pub(super) const LINE_LIMIT: usize = 64 << 10;
/// Longer than any frame that either side sends.
pub(super) const FRAME_LIMIT: usize = 1 << 20;

const HEADER: usize = 5;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Answered at once, if a guest runs.
    Ping,
    /// Streams from now on; answered with [`Response::Attached`].
    Attach {
        stdin: bool,
        stdout: bool,
        stderr: bool,
    },
    Resize {
        rows: u16,
        columns: u16,
    },
    /// By number.
    Signal {
        signal: i32,
    },
    /// The stop signal, after `timeout` seconds SIGKILL (never if negative); answered when the guest has ended.
    Stop {
        signal: i32,
        timeout: i64,
    },
    /// Answered when the guest has ended.
    Wait,
    Pause,
    Resume,
    /// The container's networks have changed.
    Networks,
    /// Answered when the container's health is one of these.
    AwaitHealth {
        until: Vec<HealthStatus>,
    },
    /// A further guest of a Wasm container, with the client's streams or nobody's; answered when it runs. What is streamed
    /// afterwards is as after [`Request::Attach`].
    Execute {
        execution: Box<Execution>,
        attached: bool,
    },
    /// What the further guests of a Wasm container were started as.
    Further,
    /// Probes the container's health now; answered with what the probe says.
    Probe,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    Done,
    /// `None`: the container has no check.
    Health(Option<HealthStatus>),
    Probed(Probed),
    Attached {
        terminal: bool,
    },
    Exited(Exit),
    /// For each process its command.
    Further(Vec<(u32, Vec<String>)>),
    Failed(Failure),
}

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To the guest; an empty one is the end of input.
    Stdin = 0,
    Stdout = 1,
    Stderr = 2,
    /// To the monitor: a [`Request`] that needs no answer (resize, signal).
    Request = 3,
    /// To the client: an [`Exit`]; the last frame.
    Exit = 4,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Stdin, Self::Stdout, Self::Stderr, Self::Request, Self::Exit]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// Appends a frame.
pub(crate) fn put_frame(out: &mut Vec<u8>, kind: Kind, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.push(kind as u8);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a line.
pub(crate) fn put_line(out: &mut Vec<u8>, message: &impl Serialize) {
    // these types have no maps with keys that are not text, the only thing that JSON lacks
    if let Ok(bytes) = serde_json::to_vec(message) {
        out.extend_from_slice(&bytes);
        out.push(b'\n');
    }
}

/// Something that no peer of this version says.
#[derive(Debug, thiserror::Error)]
pub enum Nonsense {
    #[error("a message on the control socket is not valid")]
    Json(#[from] serde_json::Error),
    #[error("a frame on the control socket is of the unknown kind {0}")]
    Kind(u8),
    #[error("a message of {0} bytes on the control socket is too long")]
    Length(usize),
}

/// Takes the first line off, if all of it has come.
pub(crate) fn take_line<T: for<'a> Deserialize<'a>>(
    bytes: &mut Vec<u8>,
) -> Result<Option<T>, Nonsense> {
    let Some(end) = bytes.iter().position(|b| *b == b'\n') else {
        return match bytes.len() {
            length if length > LINE_LIMIT => Err(Nonsense::Length(length)),
            _ => Ok(None),
        };
    };
    let message = serde_json::from_slice(&bytes[..end]);
    bytes.drain(..=end);
    Ok(Some(message?))
}

/// Takes the first frame off, if all of it has come.
pub(crate) fn take_frame(bytes: &mut Vec<u8>) -> Result<Option<(Kind, Vec<u8>)>, Nonsense> {
    let Some((header, _)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
    let kind = Kind::from_byte(header[0]).ok_or(Nonsense::Kind(header[0]))?;
    let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
    if length > FRAME_LIMIT {
        return Err(Nonsense::Length(length));
    }
    if bytes.len() < HEADER + length {
        return Ok(None);
    }
    let content = bytes[HEADER..HEADER + length].to_vec();
    bytes.drain(..HEADER + length);
    Ok(Some((kind, content)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_in_pieces() {
        let mut wire = Vec::new();
        put_frame(&mut wire, Kind::Stdout, b"hello");
        put_frame(&mut wire, Kind::Stdin, b"");
        let mut got = Vec::new();
        let mut frames = Vec::new();
        for byte in wire {
            got.push(byte);
            frames.extend(take_frame(&mut got).unwrap());
        }
        assert_eq!(frames, [(Kind::Stdout, b"hello".to_vec()), (Kind::Stdin, Vec::new())]);
        assert!(got.is_empty());
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(matches!(take_frame(&mut vec![9, 0, 0, 0, 0]), Err(Nonsense::Kind(9))));
        assert!(matches!(take_frame(&mut vec![0, 255, 0, 0, 0]), Err(Nonsense::Length(_))));
        assert!(take_line::<Request>(&mut b"{}\n".to_vec()).is_err());
        let endless = vec![b' '; LINE_LIMIT + 1];
        assert!(matches!(take_line::<Request>(&mut endless.clone()), Err(Nonsense::Length(_))));
        let mut stop = Vec::new();
        put_line(&mut stop, &Request::Stop { signal: 15, timeout: -1 });
        assert_eq!(
            take_line::<Request>(&mut stop).unwrap(),
            Some(Request::Stop { signal: 15, timeout: -1 })
        );
    }
}
