//! Recognises gzip and zstd by their first bytes.

use knarr_core::image::media_type::Compression;
use std::io::{self, Read};

/// The first bytes of a stream, put back in front of it.
pub struct Sniffed<R> {
    head: io::Cursor<Vec<u8>>,
    rest: R,
}

impl<R: Read> Sniffed<R> {
    /// Reads ahead as far as a tar header reaches.
    pub fn new(mut input: R) -> io::Result<Self> {
        let mut head = Vec::new();
        input.by_ref().take(512).read_to_end(&mut head)?;
        Ok(Self { head: io::Cursor::new(head), rest: input })
    }

    pub fn compression(&self) -> Compression {
        match self.head.get_ref().as_slice() {
            [0x1f, 0x8b, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            // a skippable frame comes first in some zstd files
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            _ => Compression::None,
        }
    }
}

impl<R: Read> Read for Sniffed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.head.read(buffer)? {
            0 => self.rest.read(buffer),
            n => Ok(n),
        }
    }
}

/// The content of a stream that may be compressed.
pub fn decompress<'a>(input: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let input = Sniffed::new(input)?;
    Ok(match input.compression() {
        Compression::None => Box::new(input),
        // several members in one file are one stream
        Compression::Gzip => Box::new(flate2::read::MultiGzDecoder::new(input)),
        Compression::Zstd => Box::new(zstd::Decoder::new(input)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn all_three() {
        let text = b"knarr".repeat(1000);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let zstd = zstd::encode_all(&text[..], 3).unwrap();
        for (input, compression) in [
            (text.clone(), Compression::None),
            (gzip.finish().unwrap(), Compression::Gzip),
            (zstd, Compression::Zstd),
        ] {
            assert_eq!(Sniffed::new(&input[..]).unwrap().compression(), compression);
            let mut output = Vec::new();
            decompress(&input[..]).unwrap().read_to_end(&mut output).unwrap();
            assert!(output == text);
        }
        let mut empty = Vec::new();
        decompress(io::empty()).unwrap().read_to_end(&mut empty).unwrap();
        assert!(empty.is_empty());
    }
}
