//! `log.jsonl`: what the guest wrote, in the format of Docker's json-file driver, rotated.
//!
//! `{"log":"text\n","stream":"stdout","time":"2026-01-02T03:04:05.678Z"}`, one object for each line of output. A line
//! longer than [`LINE_LIMIT`] becomes several objects, of which only the last ends in `\n`; what is not UTF-8 is
//! replaced by U+FFFD. `log.jsonl.1` is the newest of the rotated files.

use jiff::Timestamp;
use knarr_core::fsx::{self, Context};
use knarr_core::spec::LogConfig;
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Docker's length of a partial message.
const LINE_LIMIT: usize = 16 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    Stdout,
    Stderr,
}

#[derive(Serialize)]
struct Entry<'a> {
    log: &'a str,
    stream: Stream,
    time: Timestamp,
}

/// The log of one container, written by its monitor alone.
#[derive(Debug)]
pub(crate) struct Log {
    path: PathBuf,
    /// `None` until there is something to write.
    file: Option<File>,
    size: u64,
    config: LogConfig,
    /// The beginnings of lines that have not ended, for each stream.
    partial: [Vec<u8>; 2],
    /// What goes out with the next write.
    buffer: Vec<u8>,
}

impl Log {
    /// Continues the log of an earlier run.
    pub fn open(path: &Path, config: &LogConfig) -> fsx::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            file: None,
            size: fsx::size_optional(path)?.unwrap_or(0),
            config: config.clone(),
            partial: [Vec::new(), Vec::new()],
            buffer: Vec::new(),
        })
    }

    /// Takes output as it comes; lines go to the file when they are complete.
    pub fn write(&mut self, stream: Stream, mut bytes: &[u8]) -> fsx::Result<()> {
        let mut partial = std::mem::take(&mut self.partial[stream as usize]);
        while !bytes.is_empty() {
            let room = LINE_LIMIT - partial.len();
            let end = bytes.iter().take(room).position(|b| *b == b'\n').map(|at| at + 1);
            let taken = end.unwrap_or(room.min(bytes.len()));
            let (line, rest) = bytes.split_at(taken);
            bytes = rest;
            if end.is_none() && partial.len() + taken < LINE_LIMIT {
                partial.extend_from_slice(line);
            } else if partial.is_empty() && end.is_some() {
                self.entry(stream, line)?;
            } else {
                partial.extend_from_slice(line);
                // a character whose other bytes are still to come begins the next part
                let whole = match end {
                    Some(_) => partial.len(),
                    None => partial.len() - begun_character(&partial),
                };
                self.entry(stream, &partial[..whole])?;
                partial.drain(..whole);
            }
        }
        self.partial[stream as usize] = partial;
        self.flush()
    }

    /// Writes the last line of a stream even if it has no end.
    pub fn end(&mut self, stream: Stream) -> fsx::Result<()> {
        let partial = std::mem::take(&mut self.partial[stream as usize]);
        if !partial.is_empty() {
            self.entry(stream, &partial)?;
        }
        self.flush()
    }

    fn entry(&mut self, stream: Stream, line: &[u8]) -> fsx::Result<()> {
        let before = self.buffer.len();
        let entry = Entry { log: &String::from_utf8_lossy(line), stream, time: Timestamp::now() };
        serde_json::to_writer(&mut self.buffer, &entry).at("write", &self.path)?;
        self.buffer.push(b'\n');
        let length = (self.buffer.len() - before) as u64;
        // an entry is never split over two files
        if self.size > 0 && self.size + length > self.config.max_size {
            let entry = self.buffer.split_off(before);
            self.flush()?;
            self.rotate()?;
            self.buffer = entry;
        }
        self.size += length;
        Ok(())
    }

    fn flush(&mut self) -> fsx::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        // whatever happens, the same entries are not tried again
        let entries = std::mem::take(&mut self.buffer);
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(append_to(&self.path)?),
        };
        file.write_all(&entries).at("write", &self.path)
    }

    /// Shifts `log.jsonl.N` up by one and begins a new file. Readers keep the old one open, or look for it under its
    /// next name.
    fn rotate(&mut self) -> fsx::Result<()> {
        let kept = self.config.max_files.max(1);
        if kept == 1 {
            fsx::remove_file(&self.path)?;
        } else {
            fsx::remove_file(&rotated(&self.path, kept - 1))?;
            for number in (0..kept - 1).rev() {
                let from = rotated(&self.path, number);
                match fsx::rename(&from, &rotated(&self.path, number + 1)) {
                    Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                    other => other?,
                }
            }
        }
        self.file = Some(append_to(&self.path)?);
        self.size = 0;
        Ok(())
    }
}

/// How many bytes at the end are the beginning of a character that is longer; of what is no UTF-8, none are.
fn begun_character(bytes: &[u8]) -> usize {
    let last = bytes.len().saturating_sub(3);
    let unfinished = |at: &usize| matches!(std::str::from_utf8(&bytes[*at..]), Err(e) if e.valid_up_to() == 0 && e.error_len().is_none());
    (last..bytes.len()).find(unfinished).map_or(0, |at| bytes.len() - at)
}

/// The name of a log file: the current one for 0, older ones for larger numbers.
pub(crate) fn rotated(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

fn append_to(path: &Path) -> fsx::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    fsx::open_with(path, OpenOptions::new().append(true).create(true).mode(0o600))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &Path) -> Vec<String> {
        let entry = |line: &str| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            value["log"].as_str().unwrap().to_owned()
        };
        fsx::read_to_string(path).unwrap().lines().map(entry).collect()
    }

    #[test]
    fn lines_and_partial_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.jsonl");
        let mut log = Log::open(&path, &LogConfig::default()).unwrap();
        log.write(Stream::Stdout, b"one\ntw").unwrap();
        assert_eq!(texts(&path), ["one\n"], "a line is held back until it is complete");
        log.write(Stream::Stderr, b"error \xff\n").unwrap();
        log.write(Stream::Stdout, b"o\n\nend").unwrap();
        log.end(Stream::Stdout).unwrap();
        assert_eq!(texts(&path), ["one\n", "error \u{fffd}\n", "two\n", "\n", "end"]);
        let first: serde_json::Value =
            serde_json::from_str(fsx::read_to_string(&path).unwrap().lines().next().unwrap())
                .unwrap();
        assert_eq!(first["stream"], "stdout");
        first["time"].as_str().unwrap().parse::<Timestamp>().unwrap();
    }

    #[test]
    fn long_lines_are_split() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.jsonl");
        let mut log = Log::open(&path, &LogConfig::default()).unwrap();
        let long = vec![b'x'; LINE_LIMIT * 2];
        log.write(Stream::Stdout, &long[..100]).unwrap();
        log.write(Stream::Stdout, &long[100..]).unwrap();
        log.write(Stream::Stdout, b"end\n").unwrap();
        let lengths: Vec<usize> = texts(&path).iter().map(String::len).collect();
        assert_eq!(lengths, [LINE_LIMIT, LINE_LIMIT, 4]);
    }

    #[test]
    fn a_character_at_the_split_stays_whole() {
        for (before, character) in [(1, "é"), (1, "€"), (2, "€"), (1, "🛶"), (2, "🛶"), (3, "🛶")]
        {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("log.jsonl");
            let mut log = Log::open(&path, &LogConfig::default()).unwrap();
            let line = "x".repeat(LINE_LIMIT - before) + &character.repeat(LINE_LIMIT) + "\n";
            // in pieces, as it comes
            for piece in line.as_bytes().chunks(1000) {
                log.write(Stream::Stdout, piece).unwrap();
            }
            assert_eq!(texts(&path).concat(), line, "{character} {before}");
        }
        // what is no UTF-8 is not held back
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.jsonl");
        let mut log = Log::open(&path, &LogConfig::default()).unwrap();
        log.write(Stream::Stdout, &[0x80; LINE_LIMIT * 2]).unwrap();
        log.end(Stream::Stdout).unwrap();
        let characters: usize = texts(&path).iter().map(|text| text.chars().count()).sum();
        assert_eq!(characters, LINE_LIMIT * 2);
    }

    #[test]
    fn rotation_keeps_the_newest() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log.jsonl");
        let config = LogConfig { max_size: 300, max_files: 3 };
        let mut log = Log::open(&path, &config).unwrap();
        for number in 0..20 {
            log.write(Stream::Stdout, format!("line {number}\n").as_bytes()).unwrap();
        }
        let files = fsx::list(directory.path()).unwrap();
        assert_eq!(files, ["log.jsonl", "log.jsonl.1", "log.jsonl.2"]);
        let mut all = Vec::new();
        for number in (0..3).rev() {
            let path = rotated(&path, number);
            assert!(fsx::read(&path).unwrap().len() <= 300);
            all.extend(texts(&path));
        }
        assert_eq!(all.last().unwrap(), "line 19\n");
        let first: u32 = all[0].trim().strip_prefix("line ").unwrap().parse().unwrap();
        assert_eq!(all.len() as u32, 20 - first, "no line between the kept ones is lost");
    }
}
