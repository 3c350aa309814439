//! Archives that `ADD` unpacks: tar, plain or compressed with gzip, bzip2, xz or zstd.

use super::target::{Content, Target, directory};
use crate::build::Error;
use crate::build::files::join;
use crate::build::walk::Item;
use knarr_core::compression::decompress;
use knarr_core::store::{LayerBuild, unpack_archive};
use knarr_core::sys::{NodeKind, OwnedAttributes};
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::PathBuf;

const BLOCK: usize = 512;

/// Whether a file is a tar archive, compressed or not: as BuildKit, by its first header.
pub fn is_archive(file: &mut File) -> io::Result<bool> {
    let copy = file.try_clone()?;
    let block = decompress(copy, u64::MAX).and_then(first_block);
    file.rewind()?;
    // what looks compressed and is not is no archive, but a file
    Ok(block.is_ok_and(|block| is_header(&block)))
}

fn first_block(input: impl Read) -> io::Result<Vec<u8>> {
    let mut block = Vec::with_capacity(BLOCK);
    input.take(BLOCK as u64).read_to_end(&mut block)?;
    Ok(block)
}

fn is_header(block: &[u8]) -> bool {
    if block.len() < BLOCK || block.iter().all(|b| *b == 0) {
        return false;
    }
    let stated = String::from_utf8_lossy(&block[148..156]);
    let stated = stated.trim_matches(|c: char| c == '\0' || c == ' ');
    let sum: u64 = block
        .iter()
        .enumerate()
        .map(|(at, b)| if (148..156).contains(&at) { u64::from(b' ') } else { u64::from(*b) })
        .sum();
    u64::from_str_radix(stated, 8) == Ok(sum)
}

/// Unpacks an archive into a folder beside the layer that is being made. Returns it, and which directories in it the
/// archive does not name, but has something in.
pub fn unpack(
    layer: &LayerBuild,
    name: &str,
    file: File,
    what: &str,
) -> Result<(PathBuf, HashSet<Vec<u8>>), Error> {
    let folder = layer.scratch(name)?;
    let unpacked = unpack_archive(file, &folder, None)
        .map_err(|source| Error::Unpack { what: what.to_owned(), source: source.into() })?;
    Ok((folder, unpacked.implied.into_iter().collect()))
}

/// What was unpacked, on its way to the place where it belongs.
pub struct Unpacking {
    pub base: Vec<u8>,
    pub implied: HashSet<Vec<u8>>,
    /// Links to directories that stand where the archive only implies one: what is in it goes to where they lead.
    pub elsewhere: Vec<(Vec<u8>, Vec<u8>)>,
    pub times: Vec<(Vec<u8>, (i64, u32))>,
}

impl Unpacking {
    /// Takes a file or directory of the archive, parents first.
    pub fn item(
        &mut self,
        target: &mut Target,
        item: &Item,
        attributes: &OwnedAttributes,
    ) -> Result<(), Error> {
        let path = self.place(item.path);
        if attributes.kind != NodeKind::Directory {
            return target.make_node(&path, Content::At(item.real), attributes);
        }
        if item.path.is_empty() {
            return Ok(());
        }
        if self.implied.contains(item.path) {
            let (found, _) =
                target.directory(&path, &directory(0o755, (0, 0), attributes.mtime))?;
            if found != path {
                self.elsewhere.push((item.path.to_vec(), found));
            }
            return Ok(());
        }
        target.make_directory(&path, attributes, true)?;
        self.times.push((path, attributes.mtime));
        Ok(())
    }

    fn place(&self, path: &[u8]) -> Vec<u8> {
        for (of, to) in self.elsewhere.iter().rev() {
            if let Some(rest) = path.strip_prefix(&of[..]).and_then(|rest| rest.strip_prefix(b"/"))
            {
                return join(to, rest);
            }
        }
        join(&self.base, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn tar() -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(5);
        header.set_mode(0o640);
        tar.append_data(&mut header, "a/b", &b"hello"[..]).unwrap();
        tar.into_inner().unwrap()
    }

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn archives_are_recognised_compressed_or_not() {
        let tar = tar();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&tar).unwrap();
        for archive in
            [tar.clone(), bzip2.finish().unwrap(), zstd::encode_all(&tar[..], 1).unwrap()]
        {
            let mut file = file(&archive);
            assert!(is_archive(&mut file).unwrap());
            assert_eq!(file.stream_position().unwrap(), 0);
        }
    }

    #[test]
    fn other_files_are_none() {
        let gzipped_text = {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(b"no tar at all").unwrap();
            gzip.finish().unwrap()
        };
        for bytes in [&b""[..], b"text", &[0; 1024], &gzipped_text, b"\x1f\x8bnonsense"] {
            assert!(!is_archive(&mut file(bytes)).unwrap(), "{bytes:?}");
        }
    }
}
