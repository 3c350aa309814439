//! A list that an archive makes as long as it likes: kept in a file rather than in memory.

use super::Error;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// A directory whose time of modification can be set only when nothing is made in it any more.
pub struct Late {
    pub mode: u32,
    pub mtime: (i64, u32),
    pub path: Vec<u8>,
}

pub struct Spill {
    folder: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Spill {
    /// Its file is made in `folder`, without a name, when there is something to keep.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), file: None }
    }

    pub fn push(&mut self, late: &Late) -> Result<(), Error> {
        self.try_push(late).map_err(failed)
    }

    fn try_push(&mut self, late: &Late) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self
                .file
                .insert(BufWriter::with_capacity(1 << 16, tempfile::tempfile_in(&self.folder)?)),
        };
        file.write_all(&late.mode.to_le_bytes())?;
        file.write_all(&late.mtime.0.to_le_bytes())?;
        file.write_all(&late.mtime.1.to_le_bytes())?;
        file.write_all(&(late.path.len() as u32).to_le_bytes())?;
        file.write_all(&late.path)
    }

    /// Calls `with` for each, in the order in which they came.
    pub fn for_each(self, mut with: impl FnMut(Late) -> Result<(), Error>) -> Result<(), Error> {
        let Some(file) = self.file else { return Ok(()) };
        let mut file = file.into_inner().map_err(|e| failed(e.into_error()))?;
        file.rewind().map_err(failed)?;
        let mut file = BufReader::with_capacity(1 << 16, file);
        while let Some(late) = read(&mut file).map_err(failed)? {
            with(late)?;
        }
        Ok(())
    }
}

fn read(file: &mut impl Read) -> io::Result<Option<Late>> {
    let mut mode = [0; 4];
    match file.read_exact(&mut mode) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let (mut seconds, mut nanoseconds, mut length) = ([0; 8], [0; 4], [0; 4]);
    file.read_exact(&mut seconds)?;
    file.read_exact(&mut nanoseconds)?;
    file.read_exact(&mut length)?;
    let mut path = vec![0; u32::from_le_bytes(length) as usize];
    file.read_exact(&mut path)?;
    let mtime = (i64::from_le_bytes(seconds), u32::from_le_bytes(nanoseconds));
    Ok(Some(Late { mode: u32::from_le_bytes(mode), mtime, path }))
}

fn failed(source: io::Error) -> Error {
    Error::Entry { operation: "keep the times of", name: "directories".into(), source }
}
