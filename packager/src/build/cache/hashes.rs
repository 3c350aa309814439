//! Digests of a context's files, remembered: a file that looks the same (size, times, inode) is not read again.
//!
//! A file that was changed just before it was read could change once more without looking different, as file systems
//! count time in steps. Such a digest is used but not remembered.

use crate::build::Error;
use knarr_core::fsx::{self, Durability};
use knarr_core::root::Root;
use knarr_core::store::{Hasher, digest_of};
use knarr_core::sys::Identity;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Nanoseconds; the kernel's coarse clock ticks every 1 to 10 ms, and some file systems count in 2 s.
const SETTLED: i64 = 2_000_000_000;

/// What one context's files had last time.
pub struct Hashes {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    known: BTreeMap<String, Known>,
    /// What this build asked for: the rest is forgotten.
    seen: BTreeMap<String, Known>,
    changed: bool,
    /// How many files were read.
    read: u64,
}

/// Size, modified, changed, inode, digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known(u64, i64, i64, u64, String);

impl Hashes {
    /// Those of a folder of the host.
    pub fn open(root: &Root, folder: &Path) -> Result<Self, Error> {
        let name = digest_of(folder.as_os_str().as_encoded_bytes());
        let path = root.build_cache().join("contexts").join(format!("{}.json", name.digest()));
        let known = fsx::read_optional(&path)?
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Ok(Self { path, state: Mutex::new(State { known, ..State::default() }) })
    }

    /// The digest of a file's content. `open` is called only if it has to be read.
    pub fn digest(
        &self,
        name: &[u8],
        identity: Identity,
        open: impl FnOnce() -> io::Result<File>,
    ) -> io::Result<String> {
        let Identity { size, mtime, ctime, inode } = identity;
        // a name that is no text is remembered under what it looks like; the inode tells two of them apart
        let name = String::from_utf8_lossy(name).into_owned();
        let same =
            |known: &&Known| (known.0, known.1, known.2, known.3) == (size, mtime, ctime, inode);
        {
            let mut state = self.lock();
            if let Some(known) = state.known.get(&name).filter(same).cloned() {
                let digest = known.4.clone();
                state.seen.insert(name, known);
                return Ok(digest);
            }
            if let Some(known) = state.seen.get(&name).filter(same) {
                return Ok(known.4.clone());
            }
        }
        let begun = jiff::Timestamp::now().as_nanosecond() as i64;
        let digest = digest_file(open()?)?;
        let mut state = self.lock();
        state.read += 1;
        if mtime.max(ctime) < begun - SETTLED {
            state.changed = true;
            state.seen.insert(name, Known(size, mtime, ctime, inode, digest.clone()));
        }
        Ok(digest)
    }

    /// How many files had to be read.
    pub fn files_read(&self) -> u64 {
        self.lock().read
    }

    /// Writes what was learnt. To lose it is only slow.
    pub fn save(&self) -> Result<(), Error> {
        let state = self.lock();
        if !state.changed {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            fsx::create_dir_all(folder)?;
        }
        // another build of the same folder may have looked at other files
        let mut all = state.known.clone();
        all.extend(state.seen.clone());
        let bytes = serde_json::to_vec(&all)
            .map_err(|source| Error::Malformed { what: "the list of files".into(), source })?;
        Ok(fsx::replace(&self.path, &bytes, Durability::Process)?)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// The digest of a file's content, in hexadecimal digits.
pub fn digest_file(mut file: File) -> io::Result<String> {
    let mut hasher = Hasher::sha256();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.finish().digest().to_owned()),
            n => hasher.update(&buffer[..n]),
        }
    }
}
