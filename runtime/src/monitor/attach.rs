//! The terminal's end of an attached container: raw mode, window size, detach keys, signals.

use super::control::{self, Kind, Request, Response};
use super::log::Stream;
use super::session::INTERRUPTS;
use super::sink::Sink;
use super::{Error, client::Connection};
use crate::state::Exit;
use crate::sys::signal::{Signal, SignalQueue};
use crate::sys::terminal::{self, RawMode};
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How to attach.
#[derive(Debug, Clone)]
pub struct Attach {
    /// Pass our standard input on.
    pub stdin: bool,
    pub detach_keys: DetachKeys,
    /// Pass signals on; never with a terminal, where the keys that cause them are characters.
    pub forward_signals: bool,
}

/// How attaching ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Exited(Exit),
    /// The detach keys were typed, and the guest runs on.
    Detached,
    /// This process was told to end, and the guest runs on.
    Signalled(Signal),
}

/// The keys that leave a terminal: `ctrl-p,ctrl-q` unless told otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachKeys(Vec<u8>);

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a sequence of keys")]
pub struct InvalidKeys(String);

impl knarr_core::hint::Hint for InvalidKeys {
    fn hint(&self) -> Option<String> {
        Some(
            "write keys separated by commas: a letter, or ctrl- and one of a-z @ [ \\ ] ^ _".into(),
        )
    }
}

impl Default for DetachKeys {
    fn default() -> Self {
        Self(vec![0x10, 0x11])
    }
}

impl std::str::FromStr for DetachKeys {
    type Err = InvalidKeys;

    fn from_str(text: &str) -> Result<Self, InvalidKeys> {
        let key = |key: &str| match (key.strip_prefix("ctrl-").map(str::as_bytes), key.as_bytes()) {
            (Some([c @ (b'a'..=b'z' | b'@' | b'[' | b'\\' | b']' | b'^' | b'_')]), _) => {
                Some(c.to_ascii_uppercase() & 0x1f)
            }
            (None, [c]) if c.is_ascii() => Some(*c),
            (None, b"DEL") => Some(0x7f),
            _ => None,
        };
        let keys: Option<Vec<u8>> = text.split(',').map(key).collect();
        keys.map(Self).ok_or_else(|| InvalidKeys(text.to_owned()))
    }
}

/// Finds the detach keys in what is typed, and holds back what may be their beginning.
#[derive(Debug)]
pub(crate) struct Watcher {
    keys: Vec<u8>,
    matched: usize,
}

impl Watcher {
    pub fn new(keys: &DetachKeys) -> Self {
        Self { keys: keys.0.clone(), matched: 0 }
    }

    /// Appends what is to be passed on; `true` when the keys are complete.
    pub fn filter(&mut self, typed: &[u8], out: &mut Vec<u8>) -> bool {
        for byte in typed {
            if self.keys.get(self.matched) == Some(byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    return true;
                }
                continue;
            }
            // it was not them after all
            out.extend_from_slice(&self.keys[..self.matched]);
            self.matched = usize::from(self.keys.first() == Some(byte));
            if self.matched == 0 {
                out.push(*byte);
            }
        }
        false
    }
}

/// Streams between a running container and this process's standard streams.
///
/// For a process with a single thread: signals are received on a descriptor meanwhile.
pub fn attach(root: &Root, id: &ContainerId, options: &Attach) -> Result<End, Error> {
    let mut connection = Connection::open(root, id)?;
    let request = Request::Attach { stdin: options.stdin, stdout: true, stderr: true };
    match connection.ask(&request)? {
        Response::Attached { terminal } => {
            stream(root, connection, Guests::First, terminal, options)
        }
        _ => Err(connection.nonsense()),
    }
}

/// Whose streams these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Guests {
    First,
    /// One that the other end of the connection alone has.
    Further,
}

/// [`attach`] without its request: for a client that was attached before the guest began.
pub(super) fn stream(
    root: &Root,
    connection: Connection,
    whose: Guests,
    has_terminal: bool,
    options: &Attach,
) -> Result<End, Error> {
    let id = connection.id().clone();
    let (socket, received) = connection.into_parts();
    let talk = |e: Errno| Error::Talk { id: id.clone(), source: e.into() };
    let stdin = rustix::stdio::stdin();
    let typed = has_terminal && options.stdin && terminal::is_terminal(stdin);
    let signals = SignalQueue::open().map_err(|source| Error::Signals { source })?;
    let enter = || {
        RawMode::enter(stdin).map_err(|e| Error::Terminal {
            operation: "put the terminal into raw mode",
            source: e.into(),
        })
    };
    let mut client = Client {
        root,
        id: &id,
        socket: Sink::own(OwnedFd::from(socket)).map_err(talk)?,
        received,
        stdin: options.stdin.then_some(stdin),
        stdout: Some(Sink::shared(rustix::stdio::stdout())),
        stderr: Some(Sink::shared(rustix::stdio::stderr())),
        watcher: typed.then(|| Watcher::new(&options.detach_keys)),
        forward_signals: options.forward_signals && !has_terminal,
        whose,
        end: None,
        unwritten: None,
        interrupts: 0,
    };
    let mut raw = if typed { Some(enter()?) } else { None };
    if has_terminal {
        client.send_size();
    }
    loop {
        match client.socket.flush() {
            // a guest that ends at once does not hear the size of its terminal; what it said is still to be read
            Err(Errno::PIPE | Errno::CONNRESET) => client.socket.forget(),
            result => result.map_err(talk)?,
        }
        if let Some(end) = client.take_end() {
            return client.unwritten.map_or(Ok(end), Err);
        }
        if client.interrupts >= INTERRUPTS {
            return Err(Error::Left { id: id.clone() });
        }
        for source in client.wait(&signals).map_err(talk)? {
            match source {
                Source::Signals => {
                    while let Some(signal) =
                        signals.next().map_err(|source| Error::Signals { source })?
                    {
                        if signal == Signal::TSTP && !client.forward_signals {
                            // stop as the shell wants it, with its terminal in order
                            drop(raw.take());
                            let _ = rustix::process::kill_process(
                                rustix::process::getpid(),
                                rustix::process::Signal::STOP,
                            );
                            raw = if typed { Some(enter()?) } else { None };
                        }
                        client.signalled(signal, has_terminal);
                    }
                }
                Source::Socket => {
                    if !client.receive().map_err(|e| match e {
                        Broken::Talk(e) => talk(e),
                        Broken::Nonsense => Error::Nonsense { id: id.clone() },
                    })? {
                        // a monitor that ends without a farewell was killed, and its guest with it
                        return Err(Error::NotRunning { id: id.clone() });
                    }
                }
                Source::Stdin => client.read_stdin(),
                Source::Outputs => {}
            }
        }
        client.flush_outputs();
    }
}

struct Client<'a> {
    root: &'a Root,
    id: &'a ContainerId,
    socket: Sink<OwnedFd>,
    received: Vec<u8>,
    stdin: Option<BorrowedFd<'a>>,
    stdout: Option<Sink<BorrowedFd<'a>>>,
    stderr: Option<Sink<BorrowedFd<'a>>>,
    watcher: Option<Watcher>,
    forward_signals: bool,
    whose: Guests,
    end: Option<End>,
    /// The first output that could not be written, though somebody wants it.
    unwritten: Option<Error>,
    interrupts: u8,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Socket,
    Signals,
    Stdin,
    Outputs,
}

enum Broken {
    Talk(Errno),
    Nonsense,
}

impl Client<'_> {
    fn wait(&self, signals: &SignalQueue) -> Result<Vec<Source>, Errno> {
        let mut sources = vec![Source::Signals];
        let mut fds = vec![PollFd::new(signals, PollFlags::IN)];
        let outputs = [&self.stdout, &self.stderr];
        let waiting: Vec<_> = outputs.into_iter().flatten().filter(|s| !s.is_empty()).collect();
        for sink in &waiting {
            sources.push(Source::Outputs);
            fds.push(PollFd::new(*sink, PollFlags::OUT));
        }
        let mut flags = PollFlags::empty();
        if waiting.is_empty() && self.end.is_none() {
            flags |= PollFlags::IN;
        }
        if !self.socket.is_empty() {
            flags |= PollFlags::OUT;
        }
        if !flags.is_empty() {
            sources.push(Source::Socket);
            fds.push(PollFd::new(&self.socket, flags));
        }
        if let Some(stdin) = self.stdin.as_ref().filter(|_| self.socket.is_empty()) {
            sources.push(Source::Stdin);
            fds.push(PollFd::new(stdin, PollFlags::IN));
        }
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Vec::new()),
            Err(e) => return Err(e),
        }
        let ready = fds.iter().zip(sources).filter(|(fd, _)| !fd.revents().is_empty());
        Ok(ready.map(|(_, source)| source).collect())
    }

    /// The end, once everything is written that came before it.
    fn take_end(&mut self) -> Option<End> {
        let written = |s: &Option<Sink<BorrowedFd>>| s.as_ref().is_none_or(Sink::is_empty);
        match self.end {
            Some(End::Exited(_)) if !written(&self.stdout) || !written(&self.stderr) => None,
            _ => self.end.take(),
        }
    }

    /// `false` when the monitor has closed its end.
    fn receive(&mut self) -> Result<bool, Broken> {
        let mut chunk = [0; 32 << 10];
        match rustix::io::read(&self.socket, &mut chunk) {
            // all of it may have come with the answer to the request
            Ok(0) | Err(Errno::CONNRESET) => {
                self.take_frames()?;
                return Ok(self.end.is_some());
            }
            Ok(count) => self.received.extend_from_slice(&chunk[..count]),
            Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
            Err(e) => return Err(Broken::Talk(e)),
        }
        self.take_frames()?;
        Ok(true)
    }

    fn take_frames(&mut self) -> Result<(), Broken> {
        while let Some((kind, bytes)) =
            control::take_frame(&mut self.received).map_err(|_| Broken::Nonsense)?
        {
            let sink = match kind {
                Kind::Stdout => &mut self.stdout,
                Kind::Stderr => &mut self.stderr,
                Kind::Exit => {
                    let exit: Exit =
                        serde_json::from_slice(&bytes).map_err(|_| Broken::Nonsense)?;
                    self.end = Some(End::Exited(exit));
                    break;
                }
                Kind::Stdin | Kind::Request => return Err(Broken::Nonsense),
            };
            if let Some(sink) = sink {
                sink.buffer().extend_from_slice(&bytes);
            }
        }
        Ok(())
    }

    fn flush_outputs(&mut self) {
        let outputs = [(&mut self.stdout, Stream::Stdout), (&mut self.stderr, Stream::Stderr)];
        for (sink, stream) in outputs {
            let Some(Err(error)) = sink.as_mut().map(Sink::flush) else { continue };
            *sink = None;
            // where whoever read it is gone the rest goes nowhere, and the guest does not care
            if error != Errno::PIPE {
                self.unwritten.get_or_insert(Error::output(stream, error));
            }
        }
    }

    fn read_stdin(&mut self) {
        let Some(stdin) = self.stdin else { return };
        let mut chunk = [0; 16 << 10];
        let count = match rustix::io::read(stdin, &mut chunk) {
            Err(Errno::AGAIN | Errno::INTR) => return,
            // a terminal that was hung up ends like a file
            Ok(0) | Err(_) => {
                self.stdin = None;
                control::put_frame(self.socket.buffer(), Kind::Stdin, b"");
                return;
            }
            Ok(count) => count,
        };
        let mut typed = Vec::new();
        let detach = match &mut self.watcher {
            Some(watcher) => watcher.filter(&chunk[..count], &mut typed),
            None => {
                typed.extend_from_slice(&chunk[..count]);
                false
            }
        };
        if !typed.is_empty() {
            control::put_frame(self.socket.buffer(), Kind::Stdin, &typed);
        }
        if detach {
            self.end = Some(End::Detached);
        }
    }

    fn signalled(&mut self, signal: Signal, has_terminal: bool) {
        if signal == Signal::WINCH {
            if has_terminal {
                self.send_size();
            }
        } else if self.forward_signals {
            self.interrupts += u8::from(matches!(signal, Signal::INT | Signal::TERM));
            let request = Request::Signal { signal: signal.number() };
            match self.whose {
                Guests::Further => self.send(&request),
                // not behind input that the guest does not read; one that has ended got it
                Guests::First => {
                    let _ =
                        Connection::open(self.root, self.id).and_then(|mut c| c.order(&request));
                }
            }
        } else if signal.ends_a_program() {
            self.end = Some(End::Signalled(signal));
        }
    }

    fn send_size(&mut self) {
        if let Some((rows, columns)) = terminal::size(rustix::stdio::stdout().as_fd()) {
            self.send(&Request::Resize { rows, columns });
        }
    }

    fn send(&mut self, request: &Request) {
        if let Ok(bytes) = serde_json::to_vec(request) {
            control::put_frame(self.socket.buffer(), Kind::Request, &bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        assert_eq!("ctrl-p,ctrl-q".parse::<DetachKeys>().unwrap(), DetachKeys::default());
        assert_eq!("ctrl-@,a,ctrl-[".parse::<DetachKeys>().unwrap(), DetachKeys(vec![0, b'a', 27]));
        for text in ["", "ctrl-", "ctrl-1", "ab", "a,"] {
            assert!(text.parse::<DetachKeys>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_beginning_is_held_back() {
        let mut watcher = Watcher::new(&DetachKeys::default());
        let mut out = Vec::new();
        assert!(!watcher.filter(b"ab\x10", &mut out));
        assert_eq!(out, b"ab");
        assert!(!watcher.filter(b"c\x10\x10", &mut out));
        assert_eq!(out, b"ab\x10c\x10");
        assert!(watcher.filter(b"\x11", &mut out));
        assert_eq!(out, b"ab\x10c\x10");
    }
}
