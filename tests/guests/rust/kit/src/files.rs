//! Files: what is there, and changing it.

use crate::{Done, Words};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

pub fn run(command: &str, words: &Words) -> Option<Done> {
    let first = words.text(0);
    Some(match command {
        "cat" => cat(words),
        "write" => fs::write(first, words.text(1)),
        "append" => append(first, words.text(1)),
        "truncate" => truncate(first, words.number(1, 0)),
        "seek" => seek(first, words.number(1, 0), words.number(2, 1)),
        "mkdir" => fs::create_dir_all(first),
        "rmdir" => fs::remove_dir(first),
        "rm" => fs::remove_file(first),
        "mv" => fs::rename(first, words.text(1)),
        "ln" => fs::hard_link(first, words.text(1)),
        "symlink" => symlink(first, words.text(1)),
        "readlink" => fs::read_link(first).map(|target| println!("{}", target.display())),
        "stat" => fs::metadata(first).map(show),
        "lstat" => fs::symlink_metadata(first).map(show),
        "ls" => ls(if first.is_empty() { "." } else { first }),
        "at" => at(first, words.text(1)),
        "fill" => fill(first, words.number(1, 1000)),
        "empty" => empty(Path::new(first)),
        _ => return None,
    })
}

fn cat(words: &Words) -> Done {
    if words.all().is_empty() {
        io::copy(&mut io::stdin().lock(), &mut io::stdout().lock())?;
    }
    for path in words.all() {
        io::copy(&mut File::open(path)?, &mut io::stdout().lock())?;
    }
    Ok(())
}

fn append(path: &str, text: &str) -> Done {
    OpenOptions::new().create(true).append(true).open(path)?.write_all(text.as_bytes())
}

fn truncate(path: &str, length: u64) -> Done {
    OpenOptions::new().write(true).open(path)?.set_len(length)
}

fn seek(path: &str, offset: u64, length: u64) -> Done {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut text = String::new();
    file.take(length).read_to_string(&mut text)?;
    println!("{text}");
    Ok(())
}

fn show(metadata: fs::Metadata) {
    let kind = metadata.file_type();
    let kind = match () {
        () if kind.is_symlink() => "symlink",
        () if kind.is_dir() => "directory",
        () if kind.is_file() => "file",
        () => "other",
    };
    println!("{kind} {}", metadata.len());
}

fn ls(path: &str) -> Done {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let mark = if entry.file_type()?.is_dir() { "/" } else { "" };
        names.push(format!("{}{mark}", entry.file_name().to_string_lossy()));
    }
    names.sort();
    names.iter().for_each(|name| println!("{name}"));
    Ok(())
}

/// Makes files, and a directory with a few of them after each hundredth.
fn fill(path: &str, count: u64) -> Done {
    for i in 0..count {
        File::create(format!("{path}/file-{i:06}"))?;
        if i % 100 == 0 {
            let below = format!("{path}/directory-{i:06}");
            fs::create_dir(&below)?;
            (0..9).try_for_each(|i| File::create(format!("{below}/{i}")).map(drop))?;
        }
    }
    Ok(())
}

/// Removes what a directory holds while going through it, as `rm -r` does.
fn empty(path: &Path) -> Done {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            empty(&entry.path())?;
            fs::remove_dir(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The descriptor of the first preopened directory.
const ROOT: wasi::Fd = 3;

fn symlink(target: &str, link: &str) -> Done {
    // SAFETY: preview 1 calls with strings of this program.
    unsafe { wasi::path_symlink(target, ROOT, link.trim_start_matches('/')) }.map_err(failed)
}

/// Opens a file relative to a directory that is open itself, as `openat` users do, and prints it.
fn at(directory: &str, path: &str) -> Done {
    let read = wasi::RIGHTS_FD_READ | wasi::RIGHTS_FD_SEEK;
    let rights = read | wasi::RIGHTS_PATH_OPEN | wasi::RIGHTS_FD_READDIR;
    let follow = wasi::LOOKUPFLAGS_SYMLINK_FOLLOW;
    let directory = directory.trim_start_matches('/');
    let mut buffer = [0; 4096];
    // SAFETY: preview 1 calls with strings and a buffer of this program.
    let read = unsafe {
        let directory =
            wasi::path_open(ROOT, follow, directory, wasi::OFLAGS_DIRECTORY, rights, rights, 0)
                .map_err(failed)?;
        let file = wasi::path_open(directory, follow, path, 0, read, 0, 0).map_err(failed)?;
        let vector = wasi::Iovec { buf: buffer.as_mut_ptr(), buf_len: buffer.len() };
        wasi::fd_read(file, &[vector]).map_err(failed)?
    };
    io::stdout().write_all(&buffer[..read])
}

fn failed(errno: wasi::Errno) -> io::Error {
    io::Error::from_raw_os_error(errno.raw().into())
}
