//! Where a build's files are: a folder, a git repository, standard input.

use crate::error::Failure;
use knarr_packager::build::options::{Context, DockerfileSource};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// The context and the Dockerfile.
#[derive(Debug)]
pub struct Input {
    pub context: Context,
    pub dockerfile: DockerfileSource,
    /// What came on standard input.
    _archive: Option<NamedTempFile>,
}

/// A Dockerfile of more is none.
const DOCKERFILE_LIMIT: u64 = 16 << 20;

impl Input {
    pub fn of(context: &str, file: Option<&str>) -> Result<Self, Failure> {
        let mut archive = None;
        let (context, mut dockerfile) = match context {
            "-" if file == Some("-") => {
                return Err(Failure::usage(
                    "standard input cannot be both the context and the Dockerfile",
                )
                .hint("give a folder as the context, or a file with -f"));
            }
            "-" => match standard_input()? {
                Standard::Archive(file) => {
                    let context = Context::Tar(file.path().to_owned());
                    archive = Some(file);
                    (context, DockerfileSource::Default)
                }
                Standard::Dockerfile(_) if file.is_some() => {
                    return Err(Failure::usage(
                        "there is a Dockerfile on standard input, and another one with -f",
                    )
                    .hint("leave one of them out"));
                }
                Standard::Dockerfile(text) => (Context::Empty, DockerfileSource::Text(text)),
            },
            text if is_git(text) => (Context::Git(text.to_owned()), DockerfileSource::Default),
            text if text.starts_with("http://") || text.starts_with("https://") => {
                return Err(Failure::usage(format!("{text} is not a git repository"))
                    .hint(format!("download it and pass it on: curl -L {text} | knarr build -")));
            }
            folder => (Context::Folder(existing_folder(folder)?), DockerfileSource::Default),
        };
        match file {
            None => {}
            Some("-") => {
                let mut text = Vec::new();
                let input = std::io::stdin().lock();
                input.take(DOCKERFILE_LIMIT).read_to_end(&mut text).map_err(unread)?;
                dockerfile = DockerfileSource::Text(text);
            }
            // as Docker: relative to the working directory where there is one that matters
            Some(path) if matches!(context, Context::Folder(_)) => {
                let path = PathBuf::from(path);
                if !path.is_file() {
                    return Err(Failure::usage(format!("there is no file {}", path.display()))
                        .hint("-f is relative to the working directory, not to the context"));
                }
                dockerfile = DockerfileSource::File(path);
            }
            Some(path) => dockerfile = DockerfileSource::InContext(PathBuf::from(path)),
        }
        Ok(Self { context, dockerfile, _archive: archive })
    }
}

fn existing_folder(text: &str) -> Result<PathBuf, Failure> {
    let path = Path::new(text);
    if path.is_dir() {
        return Ok(path.to_owned());
    }
    let failure = match path.exists() {
        true => Failure::usage(format!("{text} is not a folder"))
            .hint("the context is the folder that COPY reads; name the Dockerfile with -f"),
        false => Failure::usage(format!("there is no folder {text}"))
            .hint("the last argument is the context: a folder, a git URL, or -"),
    };
    Err(failure)
}

/// What Docker takes for a git repository.
fn is_git(text: &str) -> bool {
    let address = text.split(['#', '?']).next().unwrap_or(text);
    let by_http = address.starts_with("http://") || address.starts_with("https://");
    text.starts_with("git://")
        || text.starts_with("git@")
        || text.starts_with("ssh://")
        || text.starts_with("github.com/")
        || by_http && address.ends_with(".git")
}

/// `--build-context NAME=SOURCE`
pub fn named(texts: &[String]) -> Result<BTreeMap<String, Context>, Failure> {
    let mut contexts = BTreeMap::new();
    for text in texts {
        let Some((name, source)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(Failure::usage(format!("--build-context {text:?} is not NAME=SOURCE")));
        };
        let context = if let Some(image) = source.strip_prefix("docker-image://") {
            Context::Image(image.to_owned())
        } else if is_git(source) {
            Context::Git(source.to_owned())
        } else if source.contains("://") {
            return Err(Failure::usage(format!("--build-context {name}: {source} cannot be used"))
                .hint("give a folder, a git URL, or docker-image://IMAGE"));
        } else {
            Context::Folder(existing_folder(source)?)
        };
        contexts.insert(name.to_owned(), context);
    }
    Ok(contexts)
}

enum Standard {
    Archive(NamedTempFile),
    Dockerfile(Vec<u8>),
}

/// An archive has a signature, a Dockerfile does not.
fn standard_input() -> Result<Standard, Failure> {
    if std::io::stdin().is_terminal() {
        return Err(Failure::usage("there is no context on standard input")
            .hint("redirect an archive or a Dockerfile to it, or name a folder"));
    }
    let mut input = std::io::stdin().lock();
    let mut head = Vec::new();
    input.by_ref().take(1024).read_to_end(&mut head).map_err(unread)?;
    if head.is_empty() {
        return Err(Failure::usage("standard input is empty")
            .hint("it is to be an archive of the context, or a Dockerfile"));
    }
    if !is_archive(&head) {
        input.take(DOCKERFILE_LIMIT).read_to_end(&mut head).map_err(unread)?;
        return Ok(Standard::Dockerfile(head));
    }
    let failed = |error: std::io::Error| Failure::new("cannot keep the context").cause(&error);
    let mut file = tempfile::Builder::new().prefix("knarr-context-").tempfile().map_err(failed)?;
    file.write_all(&head).map_err(failed)?;
    std::io::copy(&mut input, &mut file).map_err(failed)?;
    Ok(Standard::Archive(file))
}

fn unread(error: std::io::Error) -> Failure {
    Failure::new("cannot read standard input").cause(&error)
}

/// gzip, bzip2, xz, zstd, or a tar header (ustar at 257, or an old one whose checksum fits).
fn is_archive(head: &[u8]) -> bool {
    let compressed: [&[u8]; 4] =
        [&[0x1f, 0x8b], b"BZh", &[0xfd, b'7', b'z', b'X', b'Z'], &[0x28, 0xb5, 0x2f, 0xfd]];
    compressed.iter().any(|magic| head.starts_with(magic))
        || head.get(257..262) == Some(b"ustar")
        || old_tar(head)
}

fn old_tar(head: &[u8]) -> bool {
    let Some(header) = head.get(..512) else { return false };
    let field = String::from_utf8_lossy(&header[148..156]);
    let wanted = u64::from_str_radix(field.trim_matches(['\0', ' ']), 8);
    let spaced = |(at, byte): (usize, &u8)| match at {
        148..156 => u64::from(b' '),
        _ => u64::from(*byte),
    };
    wanted.is_ok_and(|wanted| header.iter().enumerate().map(spaced).sum::<u64>() == wanted)
}
