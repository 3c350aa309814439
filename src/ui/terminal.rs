//! Asking people.

use crate::error::Failure;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{BufRead, IsTerminal, Write};

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
    let _silence = Silence::start();
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

/// The terminal without echo, until dropped.
struct Silence(Option<Termios>);

impl Silence {
    fn start() -> Self {
        let Ok(before) = tcgetattr(std::io::stdin()) else { return Self(None) };
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        match tcsetattr(std::io::stdin(), OptionalActions::Flush, &silent) {
            Ok(()) => Self(Some(before)),
            Err(_) => Self(None),
        }
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // nothing is left to be done about a terminal that is gone
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, before);
        }
    }
}
