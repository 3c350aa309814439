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
    /// What stands below all lines.
    menu: Mutex<Option<String>>,
}

/// Back to the beginning of the line, and nothing on it.
const CLEAR: &str = "\r\u{1b}[K";

impl Prefixed {
    /// `names` of all containers; `colour`: for a terminal.
    pub fn new(names: Vec<String>, colour: bool, prefix: bool) -> Self {
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
        let (begun, menu) = Default::default();
        Self { names, width, colour, prefix, begun, menu }
    }

    /// Puts a line below all that comes, for a terminal; or takes it away.
    pub fn set_menu(&self, menu: Option<&str>) {
        let mut out = ui::data_writer();
        let mut shown = self.menu.lock().unwrap_or_else(PoisonError::into_inner);
        if menu.is_some() || shown.is_some() {
            *shown = menu.map(str::to_owned);
            // if stdout is gone there is nobody left to show it to
            let _ = write!(out, "{CLEAR}{}", menu.unwrap_or_default()).and_then(|()| out.flush());
        }
    }

    /// Says what goes on, above the menu.
    pub fn note(&self, text: impl std::fmt::Display) {
        let mut out = ui::data_writer();
        let menu = self.menu.lock().unwrap_or_else(PoisonError::into_inner);
        if menu.is_some() {
            let _ = write!(out, "{CLEAR}").and_then(|()| out.flush());
        }
        ui::note(text);
        if let Some(menu) = &*menu {
            let _ = write!(out, "{menu}").and_then(|()| out.flush());
        }
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
        let menu = self.menu.lock().unwrap_or_else(PoisonError::into_inner);
        if menu.is_some() {
            write!(out, "{CLEAR}")?;
        }
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
        if let Some(menu) = &*menu {
            write!(out, "{menu}")?;
        }
        out.flush()
    }
}
