//! The files of a log: the current one and the rotated ones.

use crate::monitor::log::rotated;
use knarr_core::fsx::{self, Context};
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const CHUNK: usize = 64 << 10;

/// A log file that is being read.
#[derive(Debug)]
pub(in crate::container) struct LogFile {
    path: PathBuf,
    file: File,
    pub inode: u64,
    buffer: Vec<u8>,
    /// The beginning of `buffer` that was given out already.
    taken: usize,
}

impl LogFile {
    /// `None` if there is no such file.
    pub fn open(path: &Path) -> fsx::Result<Option<Self>> {
        let file = match fsx::open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let inode = file.metadata().at("inspect", path)?.ino();
        let path = path.to_owned();
        Ok(Some(Self { path, file, inode, buffer: Vec::new(), taken: 0 }))
    }

    /// The next complete line, without its end; `None` at the end of what is written so far.
    pub fn next_line(&mut self) -> fsx::Result<Option<Vec<u8>>> {
        let mut searched = 0;
        loop {
            let rest = &self.buffer[self.taken..];
            if let Some(end) = rest[searched..].iter().position(|b| *b == b'\n') {
                let line = rest[..searched + end].to_vec();
                self.taken += searched + end + 1;
                return Ok(Some(line));
            }
            searched = rest.len();
            self.buffer.drain(..self.taken);
            self.taken = 0;
            let length = self.buffer.len();
            self.buffer.resize(length + CHUNK, 0);
            let count = self.file.read(&mut self.buffer[length..]).at("read", &self.path)?;
            self.buffer.truncate(length + count);
            if count == 0 {
                return Ok(None);
            }
        }
    }

    /// Moves to the end of what is written so far.
    pub fn skip_all(&mut self) -> fsx::Result<()> {
        self.file.seek(SeekFrom::End(0)).at("read", &self.path).map(drop)
    }

    /// Gives up an unfinished line.
    pub fn forget_rest(&mut self) {
        self.buffer.clear();
        self.taken = 0;
    }

    /// Moves to the last `count` lines; how many there are, if fewer.
    fn skip_to_last(&mut self, count: u64) -> fsx::Result<u64> {
        let mut end = self.file.seek(SeekFrom::End(0)).at("read", &self.path)?;
        let mut found = 0;
        let mut chunk = vec![0; CHUNK];
        while end > 0 {
            let length = CHUNK.min(usize::try_from(end).unwrap_or(CHUNK));
            let start = end - length as u64;
            self.file.seek(SeekFrom::Start(start)).at("read", &self.path)?;
            self.file.read_exact(&mut chunk[..length]).at("read", &self.path)?;
            for at in (0..length).rev().filter(|at| chunk[*at] == b'\n') {
                // the line feed that ends the line before the wanted ones
                if found == count {
                    let begin = start + at as u64 + 1;
                    self.file.seek(SeekFrom::Start(begin)).at("read", &self.path)?;
                    return Ok(count);
                }
                found += 1;
            }
            end = start;
        }
        self.file.seek(SeekFrom::Start(0)).at("read", &self.path)?;
        Ok(found)
    }
}

/// How often a reader that a rotation came between looks again.
const ATTEMPTS: u32 = 100;

/// All files, oldest first.
pub(super) fn open_all(path: &Path) -> fsx::Result<Vec<LogFile>> {
    let mut files = Vec::new();
    for _ in 0..ATTEMPTS {
        files = open_chain(path)?;
        // a rotation begins with the oldest file and ends with the current one: one that came between left a gap, or
        // another current file
        let current = LogFile::open(path)?.map(|file| file.inode);
        let is_whole = (0..).zip(&files).all(|(at, (number, _))| *number == at);
        if is_whole && current == files.first().map(|(_, file)| file.inode) {
            break;
        }
    }
    files.reverse();
    Ok(files.into_iter().map(|(_, file)| file).collect())
}

/// The files with their numbers, newest first. While they are shifted one number is nobody's; one that is shifted
/// meanwhile is opened once.
fn open_chain(path: &Path) -> fsx::Result<Vec<(u32, LogFile)>> {
    let mut files: Vec<(u32, LogFile)> = Vec::new();
    let mut absent = 0;
    for number in 0.. {
        match LogFile::open(&rotated(path, number))? {
            Some(file) if files.iter().any(|(_, other)| other.inode == file.inode) => {}
            Some(file) => {
                files.push((number, file));
                absent = 0;
            }
            None if absent == 1 => break,
            None => absent += 1,
        }
    }
    Ok(files)
}

/// Drops the files, and skips the lines, before the last `count`.
pub(super) fn skip_to_tail(files: &mut Vec<LogFile>, mut count: u64) -> fsx::Result<()> {
    for at in (0..files.len()).rev() {
        count -= files[at].skip_to_last(count)?;
        if count == 0 {
            files.drain(..at);
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(files: &mut [LogFile]) -> Vec<String> {
        let mut lines = Vec::new();
        for file in files {
            while let Some(line) = file.next_line().unwrap() {
                lines.push(String::from_utf8(line).unwrap());
            }
        }
        lines
    }

    #[test]
    fn the_tail_spans_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let long = "x".repeat(CHUNK);
        fsx::write(&rotated(&path, 2), "1\n2\n").unwrap();
        fsx::write(&rotated(&path, 1), format!("3\n{long}\n")).unwrap();
        fsx::write(&path, "5\n6\n").unwrap();
        for (count, first) in [
            (0, None),
            (1, Some("6")),
            (3, Some(&*long)),
            (4, Some("3")),
            (5, Some("2")),
            (9, Some("1")),
        ] {
            let mut files = open_all(&path).unwrap();
            skip_to_tail(&mut files, count).unwrap();
            let lines = lines(&mut files);
            assert_eq!(lines.len() as u64, count.min(6));
            assert_eq!(lines.first().map(String::as_str), first);
        }
    }

    #[test]
    fn a_rotation_that_is_under_way_hides_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        // each number in turn is nobody's, as between two steps of a rotation
        for gap in 0..4 {
            for number in 0..4 {
                let name = rotated(&path, if number < gap { number } else { number + 1 });
                fsx::write(&name, format!("{number}\n")).unwrap();
            }
            let found = lines(&mut open_all(&path).unwrap());
            assert_eq!(found, ["3", "2", "1", "0"], "{gap}");
            for name in fsx::list(directory.path()).unwrap() {
                fsx::remove_file(&directory.path().join(name)).unwrap();
            }
        }
    }

    #[test]
    fn every_line_is_read_once_and_in_order_while_the_log_is_rotated() {
        use crate::monitor::log::Log;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let config = knarr_core::spec::LogConfig { max_size: 300, max_files: 100 };
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut log = Log::open(&path, &config).unwrap();
                for number in 0..250 {
                    let line = format!("{number}\n");
                    log.write(crate::monitor::Stream::Stdout, line.as_bytes()).unwrap();
                }
                done.store(true, std::sync::atomic::Ordering::Release);
            });
            let mut is_last = false;
            while !is_last {
                is_last = done.load(std::sync::atomic::Ordering::Acquire);
                let read = lines(&mut open_all(&path).unwrap());
                let expected = (0..read.len()).map(|n| format!("{{\"log\":\"{n}\\n\""));
                for (line, begin) in read.iter().zip(expected) {
                    assert!(line.starts_with(&begin), "{begin}: {read:?}");
                }
            }
        });
    }

    #[test]
    fn an_unfinished_line_waits() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        fsx::write(&path, "one\ntw").unwrap();
        let mut file = LogFile::open(&path).unwrap().unwrap();
        assert_eq!(file.next_line().unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(file.next_line().unwrap(), None);
        let mut writer = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        std::io::Write::write_all(&mut writer, b"o\n").unwrap();
        assert_eq!(file.next_line().unwrap().as_deref(), Some(&b"two"[..]));
    }
}
