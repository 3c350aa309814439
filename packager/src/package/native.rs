//! What runs natively: a static program, or a root file system as a folder or a tarball.

use super::{Error, file_name};
use knarr_core::fsx;
use knarr_core::image::Platform;
use knarr_core::store;
use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// One native variant, as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Native {
    pub path: PathBuf,
    /// `None`: what the program is for; for a root file system this machine's.
    pub platform: Option<Platform>,
}

/// What it turned out to be.
#[derive(Debug)]
pub(super) struct Examined {
    path: PathBuf,
    pub name: String,
    pub platform: Platform,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Program,
    Folder,
    Tarball,
}

impl Native {
    pub(super) fn examine(&self) -> Result<Examined, Error> {
        let path = self.path.clone();
        let name = file_name(&fsx_absolute(&path))?;
        let of_host = || self.platform.clone().unwrap_or_else(Platform::host);
        if path.is_dir() {
            return Ok(Examined { name, platform: of_host(), kind: Kind::Folder, path });
        }
        let mut head = Vec::new();
        let failed = |source| fsx::Error { operation: "read", path: path.clone(), source };
        fsx::open(&path)?.take(64 << 10).read_to_end(&mut head).map_err(failed)?;
        if !is_elf(&head) {
            if !is_tarball(&head) {
                return Err(Error::NotNative { path });
            }
            return Ok(Examined { name, platform: of_host(), kind: Kind::Tarball, path });
        }
        let platform =
            machine(&head).ok_or_else(|| Error::UnknownMachine { path: path.clone() })?;
        if let Some(asked) = self.platform.clone().filter(|asked| *asked != platform) {
            return Err(Error::WrongPlatform { path, found: platform, asked });
        }
        if let Some(interpreter) = interpreter(&head) {
            return Err(Error::Dynamic { path, interpreter });
        }
        Ok(Examined { name, platform, kind: Kind::Program, path })
    }
}

fn fsx_absolute(path: &Path) -> PathBuf {
    // `.` has a name of its own that way
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

impl Examined {
    /// The program; a root file system says nothing of one.
    pub fn entrypoint(&self) -> Option<Vec<String>> {
        (self.kind == Kind::Program).then(|| vec![format!("/{}", self.name)])
    }

    /// The variant's only layer.
    pub fn tarball(&self) -> Result<Box<dyn Read>, Error> {
        let failed = |operation| {
            let path = self.path.clone();
            move |source| fsx::Error { operation, path, source }
        };
        match self.kind {
            Kind::Tarball => Ok(Box::new(fsx::open(&self.path)?)),
            Kind::Folder => {
                let mut spool = tempfile::tempfile().map_err(failed("pack"))?;
                store::export(&self.path, &mut spool)?;
                spool.seek(SeekFrom::Start(0)).map_err(failed("pack"))?;
                Ok(Box::new(spool))
            }
            Kind::Program => {
                let program: File = fsx::open(&self.path)?;
                let length = program.metadata().map_err(failed("read"))?.len();
                let mut header = tar::Header::new_gnu();
                header.set_entry_type(tar::EntryType::Regular);
                header.set_mode(0o755);
                header.set_size(length);
                header.set_mtime(0);
                let mut tar = tar::Builder::new(Vec::new());
                tar.append_data(&mut header, &self.name, program).map_err(failed("pack"))?;
                Ok(Box::new(Cursor::new(tar.into_inner().map_err(failed("pack"))?)))
            }
        }
    }
}

pub(super) fn is_elf(head: &[u8]) -> bool {
    head.starts_with(b"\x7fELF")
}

/// A tar header with or without `ustar`, gzip or zstd; what is wrong further on, reading it tells.
fn is_tarball(head: &[u8]) -> bool {
    head.starts_with(&[0x1f, 0x8b])
        || head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
        || tar::Archive::new(head)
            .entries()
            .ok()
            .and_then(|mut entries| entries.next())
            .is_some_and(|entry| entry.is_ok())
}

/// `e_machine` (elf(5)), for Linux.
fn machine(head: &[u8]) -> Option<Platform> {
    let number = field(head, 18, 2)?;
    let (architecture, variant) = match (number, head.get(5)?) {
        (3, _) => ("386", None),
        (40, _) => ("arm", Some("v7")),
        (62, _) => ("amd64", None),
        (183, _) => ("arm64", None),
        (243, _) => ("riscv64", None),
        (22, _) => ("s390x", None),
        (21, 1) => ("ppc64le", None),
        (258, _) => ("loong64", None),
        _ => return None,
    };
    Some(Platform::new("linux", architecture, variant))
}

/// The program that a program names to load it: `PT_INTERP`.
fn interpreter(head: &[u8]) -> Option<String> {
    const PT_INTERP: u64 = 3;
    let wide = head.get(4) == Some(&2);
    let (table, size, count) = match wide {
        true => (field(head, 32, 8)?, field(head, 54, 2)?, field(head, 56, 2)?),
        false => (field(head, 28, 4)?, field(head, 42, 2)?, field(head, 44, 2)?),
    };
    (0..count).find_map(|number| {
        let at = usize::try_from(table.checked_add(number.checked_mul(size)?)?).ok()?;
        if field(head, at, 4)? != PT_INTERP {
            return None;
        }
        let (offset, length) = match wide {
            true => (field(head, at.checked_add(8)?, 8)?, field(head, at.checked_add(32)?, 8)?),
            false => (field(head, at.checked_add(4)?, 4)?, field(head, at.checked_add(16)?, 4)?),
        };
        let offset = usize::try_from(offset).ok()?;
        let name =
            offset.checked_add(usize::try_from(length).ok()?).and_then(|end| head.get(offset..end));
        let name = String::from_utf8_lossy(name.unwrap_or(b"a loader"));
        Some(name.trim_end_matches('\0').to_owned())
    })
}

/// A number in the byte order that the file names.
fn field(head: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = head.get(at..at.checked_add(length)?)?;
    let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
    Some(match head.get(5)? {
        1 => bytes.iter().rev().fold(0, add),
        _ => bytes.iter().fold(0, add),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_this_machine() {
        let own = fsx::read(Path::new("/proc/self/exe")).unwrap();
        let head = &own[..own.len().min(64 << 10)];
        assert_eq!(machine(head).unwrap(), Platform::host());
        // cargo links tests dynamically
        assert!(interpreter(head).unwrap().contains("ld"), "{:?}", interpreter(head));
        assert!(!is_tarball(head) && is_elf(head));
        assert_eq!(interpreter(&head[..100]), None, "cut");
    }
}
