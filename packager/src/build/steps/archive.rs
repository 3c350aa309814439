//! Archives that `ADD` unpacks: tar, plain or compressed with gzip, bzip2, xz or zstd.

use crate::build::Error;
use knarr_core::fsx;
use knarr_core::store::{LayerBuild, unpack_archive};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::PathBuf;

const BLOCK: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

fn compression(head: &[u8]) -> Compression {
    match head {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => Compression::Bzip2,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// The content of a file that may be compressed.
pub fn decompressed(file: File) -> io::Result<Box<dyn Read>> {
    let mut file = BufReader::new(file);
    let compression = compression(io::BufRead::fill_buf(&mut file)?);
    Ok(match compression {
        Compression::None => Box::new(file),
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Compression::Bzip2 => Box::new(bzip2::read::MultiBzDecoder::new(file)),
        Compression::Xz => Box::new(xz4rust::XzReader::new(file)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(file)?),
    })
}

/// Whether a file is a tar archive, compressed or not: as BuildKit, by its first header.
pub fn is_archive(file: &mut File) -> io::Result<bool> {
    let mut head = Vec::new();
    file.try_clone()?.take(6).read_to_end(&mut head)?;
    file.rewind()?;
    let block = match compression(&head) {
        Compression::None => first_block(file.try_clone()?),
        _ => decompressed(file.try_clone()?).and_then(first_block),
    };
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

/// Unpacks an archive into a folder beside the layer that is being made, and returns it.
pub fn unpack(layer: &LayerBuild, name: &str, file: File, what: &str) -> Result<PathBuf, Error> {
    let folder = layer.scratch(name)?;
    let mut file = file;
    let mut head = Vec::new();
    let read = |source| Error::Decompress { what: what.to_owned(), source };
    file.try_clone().map_err(read)?.take(6).read_to_end(&mut head).map_err(read)?;
    file.rewind().map_err(read)?;
    let file = match compression(&head) {
        // the store reads these itself, and decompresses on a thread of its own
        Compression::None | Compression::Gzip | Compression::Zstd => file,
        Compression::Bzip2 | Compression::Xz => {
            let plain = layer.scratch("plain")?.join(name);
            let mut out = fsx::create(&plain)?;
            // the same limit as for unpacking: not more than the disk has
            io::copy(&mut decompressed(file).map_err(read)?, &mut out).map_err(read)?;
            drop(out);
            let file = fsx::open(&plain)?;
            // it lives on as long as it is open
            fsx::remove_file(&plain)?;
            file
        }
    };
    unpack_archive(file, &folder, None)
        .map_err(|source| Error::Unpack { what: what.to_owned(), source: source.into() })?;
    Ok(folder)
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
    fn every_compression_is_recognised() {
        let tar = tar();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&tar).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&tar).unwrap();
        for archive in [
            tar.clone(),
            gzip.finish().unwrap(),
            bzip2.finish().unwrap(),
            zstd::encode_all(&tar[..], 1).unwrap(),
        ] {
            assert!(is_archive(&mut file(&archive)).unwrap());
            let mut out = Vec::new();
            decompressed(file(&archive)).unwrap().read_to_end(&mut out).unwrap();
            assert_eq!(out, tar);
        }
    }

    /// Written by xz(1): `printf 'knarr\n' | xz`.
    #[test]
    fn xz() {
        let bytes = hex::decode(
            "fd377a585a000004e6d6b4460200210116000000742fe5a30100056b6e6172720a000000768b9c54837567ed\
             00011e06c12fa41d1fb6f37d010000000004595a",
        );
        let mut out = Vec::new();
        decompressed(file(&bytes.unwrap())).unwrap().read_to_end(&mut out).unwrap();
        assert_eq!(out, b"knarr\n");
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
