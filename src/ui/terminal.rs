//! Asking people.

use crate::error::Failure;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{BufRead, IsTerminal, Read, Write};

pub fn is_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks for one line.
pub fn ask(question: &str) -> Result<String, Failure> {
    write!(std::io::stderr().lock(), "{question}").map_err(unanswered)?;
    read_line()
}

/// Asks for one line that is not shown while it is typed.
pub fn ask_secretly(question: &str) -> Result<String, Failure> {
    // before the question: the answer may come at once
    let _silence = Mode::without(LocalModes::ECHO, OptionalActions::Flush);
    write!(std::io::stderr().lock(), "{question}").map_err(unanswered)?;
    let line = read_line();
    super::note("");
    line
}

/// Asks a question whose answer is yes or no; no where nobody answers.
pub fn confirm(question: &str) -> Result<bool, Failure> {
    let answer = ask(&format!("{question} [y/N] "))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn read_line() -> Result<String, Failure> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(unanswered)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn unanswered(error: std::io::Error) -> Failure {
    Failure::new("cannot ask on the terminal").cause(&error)
}

/// The terminal in another mode, until dropped.
#[derive(Debug)]
struct Mode(Option<Termios>);

impl Mode {
    fn without(modes: LocalModes, when: OptionalActions) -> Self {
        let Ok(before) = tcgetattr(std::io::stdin()) else { return Self(None) };
        let mut changed = before.clone();
        changed.local_modes.remove(modes);
        match tcsetattr(std::io::stdin(), when, &changed) {
            Ok(()) => Self(Some(before)),
            Err(_) => Self(None),
        }
    }
}

impl Drop for Mode {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // nothing is left to be done about a terminal that is gone
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}

/// Each key as it is pressed, unseen, while this value lives; those that send signals still send them.
#[derive(Debug)]
pub struct Keys {
    _mode: Mode,
}

impl Keys {
    /// Calls `act` with each byte, in a thread that is left behind when the program ends. `None` where nobody sits: standard
    /// input and output must be a terminal that this process is in the foreground of.
    pub fn listen(act: impl Fn(u8) + Send + 'static) -> Option<Self> {
        let (input, output) = (std::io::stdin(), std::io::stdout());
        let is_ours = rustix::termios::tcgetpgrp(&input)
            .is_ok_and(|group| group == rustix::process::getpgrp());
        if !(input.is_terminal() && output.is_terminal() && is_ours) {
            return None;
        }
        let mode = Mode::without(LocalModes::ECHO | LocalModes::ICANON, OptionalActions::Now);
        let read = std::thread::Builder::new().name("keys".into()).spawn(move || {
            let mut key = [0];
            while std::io::stdin().lock().read_exact(&mut key).is_ok() {
                act(key[0]);
            }
        });
        read.is_ok().then_some(Self { _mode: mode })
    }
}
