//! Which modules a tree holds, for who named one that is not there.

use super::super::kinds::{self, Format};
use super::Tree;
use rustix::fs::{Dir, FileType, Mode, OFlags, openat};
use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;

/// How many modules are named.
const NAMED: usize = 8;

/// How many entries are looked at: the tree may be anything.
const VISITED: usize = 4096;

impl Tree {
    /// The absolute paths of the first modules and components, those nearest to the root first.
    pub fn modules(&self) -> Vec<String> {
        let mut found = Vec::new();
        let Ok(root) = open(self.root(), c".", OFlags::DIRECTORY) else { return found };
        let mut directories = VecDeque::from([(String::new(), root)]);
        let mut visited = 0;
        while let Some((path, directory)) = directories.pop_front() {
            let Ok(entries) = Dir::read_from(&directory) else { continue };
            let mut entries: Vec<_> = entries.flatten().collect();
            entries.sort_unstable_by(|a, b| a.file_name().cmp(b.file_name()));
            for entry in &entries {
                let name = entry.file_name();
                if matches!(name.to_bytes(), b"." | b"..") {
                    continue;
                }
                visited += 1;
                if visited > VISITED || found.len() == NAMED {
                    return found;
                }
                let path = format!("{path}/{}", name.to_string_lossy());
                match entry.file_type() {
                    FileType::Directory => {
                        let opened = open(&directory, name, OFlags::DIRECTORY);
                        directories.extend(opened.ok().map(|fd| (path, fd)));
                    }
                    FileType::RegularFile if is_module(&directory, name, &path) => found.push(path),
                    _ => {}
                }
            }
        }
        found
    }
}

fn open(directory: impl AsFd, name: &std::ffi::CStr, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let flags = flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::empty())
}

fn is_module(directory: &OwnedFd, name: &std::ffi::CStr, path: &str) -> bool {
    let Ok(file) = open(directory, name, OFlags::empty()) else { return false };
    let mut head = [0; 8];
    let length = File::from(file).read_at(&mut head, 0).unwrap_or(0);
    matches!(kinds::format(&head[..length], path), Format::Module | Format::Component)
}
