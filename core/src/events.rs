//! What happens to containers, images, networks and volumes: told by whoever does it, for those who follow.
//!
//! ```text
//! <data>/events/<number>.jsonl  an event a line, each appended with one write; a file keeps its name as long as it is there
//!               current         a link to the one that is written to
//! ```
//!
//! A writer opens and appends, and waits for nobody: nothing is synced, and no lock is taken but to begin a further file.
//! One that opened a file just before it was full appends to it all the same; so a reader keeps an eye on all of them.

use crate::fsx::{self, Context};
use crate::lock::Lock;
use crate::root::Root;
use crate::sys;
use jiff::Timestamp;
use rustix::fs::{rename, symlink};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A file that has grown so far is followed by another one.
const FULL: u64 = 1 << 20;

/// So many files are kept.
const KEPT: u64 = 8;

/// Of an event's attributes so many bytes are told: labels are an image's choice.
const ATTRIBUTES: usize = 32 << 10;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Builder,
    Container,
    Image,
    Network,
    Volume,
}

impl Kind {
    pub const ALL: [Self; 5] =
        [Self::Builder, Self::Container, Self::Image, Self::Network, Self::Volume];

    pub fn name(self) -> &'static str {
        match self {
            Self::Builder => "builder",
            Self::Container => "container",
            Self::Image => "image",
            Self::Network => "network",
            Self::Volume => "volume",
        }
    }
}

/// One event, with Docker's words for what happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub kind: Kind,
    /// `start`, `health_status: healthy`, …
    pub action: String,
    /// Of the container, image or network; the name of a volume.
    pub id: String,
    pub attributes: BTreeMap<String, String>,
    pub time: Timestamp,
}

impl Event {
    pub fn new(kind: Kind, action: impl Into<String>, id: impl Into<String>) -> Self {
        let (action, id) = (action.into(), id.into());
        Self { kind, action, id, attributes: BTreeMap::new(), time: Timestamp::now() }
    }

    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }

    /// Labels do not hide attributes of the same name.
    pub fn labels<'a>(
        mut self,
        labels: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Self {
        let mut room = ATTRIBUTES;
        for (name, value) in labels {
            let Some(left) = room.checked_sub(name.len() + value.len()) else { break };
            room = left;
            self.attributes.entry(name.clone()).or_insert_with(|| value.clone());
        }
        self
    }
}

/// Tells what has happened, in this order. What cannot be told does not undo what was done.
pub fn tell(root: &Root, events: &[Event]) {
    let mut lines = Vec::new();
    for event in events {
        // a record of texts can be written
        let _ = serde_json::to_writer(&mut lines, event);
        lines.push(b'\n');
    }
    if !lines.is_empty() {
        let _ = append(root, &lines);
    }
}

fn append(root: &Root, lines: &[u8]) -> fsx::Result<()> {
    let current = root.current_events();
    let mut options = OpenOptions::new();
    options.append(true);
    let mut file = match fsx::open_with(&current, &options) {
        Err(e) if e.kind() == ErrorKind::NotFound && root.data().exists() => {
            begin(root)?;
            fsx::open_with(&current, &options)?
        }
        other => other?,
    };
    file.write_all(lines).at("write", &current)?;
    // the end of what was appended, as nobody else has this descriptor
    if file.stream_position().at("read", &current)? >= FULL {
        follow_up(root)?;
    }
    Ok(())
}

/// Makes the first file, unless there is one.
pub fn begin(root: &Root) -> fsx::Result<()> {
    sys::create_private_dir_all(&root.events())?;
    let _lock = Lock::exclusive_directory(&root.events())?;
    match root.current_events().exists() {
        true => Ok(()),
        false => make_next(root),
    }
}

/// Makes the next file, unless somebody has done so.
fn follow_up(root: &Root) -> fsx::Result<()> {
    let Some(_lock) = Lock::try_exclusive_directory(&root.events())? else { return Ok(()) };
    let current = root.current_events();
    match fsx::size_optional(&current)?.is_some_and(|size| size < FULL) {
        true => Ok(()),
        false => make_next(root),
    }
}

/// The caller holds the lock.
fn make_next(root: &Root) -> fsx::Result<()> {
    let (folder, current) = (root.events(), root.current_events());
    let numbers = numbers(&folder)?;
    let number = numbers.last().map_or(1, |last| last + 1);
    let mut options = OpenOptions::new();
    let path = root.events_file(number);
    fsx::open_with(&path, options.write(true).create(true).truncate(false).mode(0o600))?;
    let link = folder.join("next");
    fsx::remove_file(&link)?;
    symlink(format!("{number}{SUFFIX}"), &link).at("create", &link)?;
    rename(&link, &current).at("replace", &current)?;
    for old in numbers.into_iter().filter(|old| old + KEPT <= number) {
        fsx::remove_file(&root.events_file(old))?;
    }
    Ok(())
}

/// How the names of the files end.
pub const SUFFIX: &str = ".jsonl";

/// The numbers of the files, oldest first.
pub fn numbers(folder: &Path) -> fsx::Result<Vec<u64>> {
    let names = fsx::list(folder)?;
    let number = |name: &String| name.strip_suffix(SUFFIX)?.parse().ok();
    let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::readlink;

    #[test]
    fn files_follow_each_other_and_keep_their_names() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let event = Event::new(Kind::Volume, "create", "v").with("driver", "x".repeat(30 << 10));
        for _ in 0..40 * (KEPT + 2) {
            tell(&root, std::slice::from_ref(&event));
        }
        let numbers = numbers(&root.events()).unwrap();
        assert_eq!(numbers.len() as u64, KEPT);
        let current = readlink(root.current_events(), Vec::new()).unwrap();
        let newest = format!("{}{SUFFIX}", numbers.last().unwrap());
        assert_eq!(current.to_str().unwrap(), newest);
        for number in &numbers[..numbers.len() - 1] {
            let size = fsx::size_optional(&root.events_file(*number)).unwrap().unwrap();
            assert!((FULL..FULL + (64 << 10)).contains(&size), "{size}");
        }
    }

    #[test]
    fn what_labels_say_is_bounded() {
        let labels: Vec<(String, String)> =
            (0..100).map(|n| (format!("l{n:03}"), "x".repeat(1 << 10))).collect();
        let event = Event::new(Kind::Container, "create", "c")
            .with("l000", "own")
            .labels(labels.iter().map(|(name, value)| (name, value)));
        assert_eq!(event.attributes["l000"], "own");
        assert!(event.attributes.len() < 35);
    }

    #[test]
    fn nothing_is_made_where_nothing_is() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path().join("gone"));
        tell(&root, &[Event::new(Kind::Container, "destroy", "c")]);
        assert!(!root.data().exists());
    }
}
