//! Lines of several containers, each with its name before it.

use super::COLOURS;
use crate::ui;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// Writes to standard output what containers print, line by line; from many threads.
#[derive(Debug)]
pub struct Prefixed {
    names: Vec<String>,
    width: usize,
    colour: bool,
    prefix: bool,
    /// By container and stream: the beginning of a line whose end has not come yet.
    begun: Mutex<BTreeMap<(usize, bool), Vec<u8>>>,
}

impl Prefixed {
    /// `names` of all containers; `colour`: for a terminal.
    pub fn new(names: Vec<String>, colour: bool, prefix: bool) -> Self {
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        Self { names, width, colour, prefix, begun: Mutex::default() }
    }

    /// Adds what one container has printed; lines appear when they are whole, so that those of others do not cut them up.
    pub fn write(
        &self,
        container: usize,
        is_error: bool,
        before: &str,
        text: &[u8],
    ) -> io::Result<()> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let line = begun.entry((container, is_error)).or_default();
        if line.is_empty() {
            line.extend_from_slice(before.as_bytes());
        }
        line.extend_from_slice(text);
        match line.ends_with(b"\n") {
            true => {
                let line = std::mem::take(line);
                self.line(container, &line)
            }
            false => Ok(()),
        }
    }

    /// Shows the beginnings of lines that will have no end.
    pub fn finish(&self, container: usize) -> io::Result<()> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        for is_error in [false, true] {
            if let Some(mut line) =
                begun.remove(&(container, is_error)).filter(|line| !line.is_empty())
            {
                line.push(b'\n');
                self.line(container, &line)?;
            }
        }
        Ok(())
    }

    fn line(&self, container: usize, line: &[u8]) -> io::Result<()> {
        let mut out = ui::data_writer();
        if self.prefix {
            let name = self.names.get(container).map_or("", String::as_str);
            let width = self.width;
            match self.colour {
                true => {
                    let colour = COLOURS[container % COLOURS.len()];
                    write!(out, "\u{1b}[{colour}m{name:width$}  |\u{1b}[0m ")?;
                }
                false => write!(out, "{name:width$}  | ")?,
            }
        }
        out.write_all(line)?;
        out.flush()
    }
}
