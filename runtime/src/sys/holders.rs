//! Who holds a lock.

use knarr_core::fsx::{self, Context};
use std::fmt;
use std::path::Path;

/// A process that holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub pid: u32,
    /// Its command line; empty where it cannot be told.
    pub command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.command.as_str() {
            "" => write!(f, "process {}", self.pid),
            command => write!(f, "process {} ({command})", self.pid),
        }
    }
}

/// The processes that hold the `flock` of a file or a directory, as the kernel tells them (proc(5), `/proc/locks`): those that
/// took it. Whoever is in another pid namespace, and whoever only inherited it, is not told.
pub fn holders(path: &Path) -> fsx::Result<Vec<Holder>> {
    let file = rustix::fs::stat(path).at("inspect", path)?;
    let table = fsx::read_to_string(Path::new("/proc/locks"))?;
    let pids = table.lines().filter_map(|line| holder(line, file.st_ino));
    Ok(pids.map(|pid| Holder { pid, command: command(pid) }).collect())
}

/// `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`. Devices are not compared: some file systems show another one there.
fn holder(line: &str, inode: u64) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    // those who wait have an arrow here
    if words.next()? != "FLOCK" {
        return None;
    }
    let pid = words.nth(2)?.parse().ok()?;
    let found: u64 = words.next()?.rsplit(':').next()?.parse().ok()?;
    (found == inode && pid != 0).then_some(pid)
}

fn command(pid: u32) -> String {
    let line = fsx::read(Path::new(&format!("/proc/{pid}/cmdline"))).unwrap_or_default();
    let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use knarr_core::lock::Lock;

    #[test]
    fn whoever_took_it() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(holders(directory.path()).unwrap(), []);
        let _lock = Lock::exclusive_directory(directory.path()).unwrap();
        let pids: Vec<u32> =
            holders(directory.path()).unwrap().into_iter().map(|holder| holder.pid).collect();
        assert_eq!(pids, [std::process::id()]);
        assert_eq!(holder("2: -> FLOCK  ADVISORY  WRITE 12 08:01:5678 0 EOF", 5678), None);
        assert_eq!(holder("2: POSIX  ADVISORY  WRITE 12 08:01:5678 0 EOF", 5678), None);
        assert_eq!(holder("2: FLOCK  ADVISORY  READ 12 08:01:5678 0 EOF", 5678), Some(12));
    }
}
