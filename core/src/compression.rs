//! Streams that may be compressed, recognised by their first bytes: whatever layers, archives and contexts come in.

use crate::sys;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

/// What decoders may use for what was seen already: as much as `zstd --long=27` needs. `xz -9` wants half of it.
const WINDOW_LOG: u32 = 27;
const BUFFER: usize = 1 << 18;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

impl Compression {
    /// Names are wrong too often: of files as of media types.
    pub fn of(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            // a frame, or one to skip, which comes first in some files (eStargz and zstd:chunked write those)
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

/// A stream whose first bytes were looked at, and are still in front of it.
pub struct Sniffed<R> {
    compression: Compression,
    input: io::Chain<Cursor<Vec<u8>>, R>,
}

impl<R: Read> Sniffed<R> {
    pub fn new(mut input: R) -> io::Result<Self> {
        let mut head = Vec::new();
        input.by_ref().take(6).read_to_end(&mut head)?;
        let compression = Compression::of(&head);
        Ok(Self { compression, input: Cursor::new(head).chain(input) })
    }

    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// The content. Of a compressed stream at most `limit` bytes; more is an error (`FileTooLarge`): few bytes can become
    /// very many.
    pub fn decompress(self, limit: u64) -> io::Result<Content<R>> {
        let input = BufReader::with_capacity(BUFFER, self.input);
        let decoder = match self.compression {
            Compression::None => Decoder::Plain(input),
            // several members in one file are one stream, with all four
            Compression::Gzip => Decoder::Gzip(flate2::bufread::MultiGzDecoder::new(input)),
            Compression::Bzip2 => Decoder::Bzip2(bzip2::bufread::MultiBzDecoder::new(input)),
            Compression::Xz => Decoder::Xz(Xz::new(input)),
            Compression::Zstd => {
                let mut decoder = zstd::Decoder::with_buffer(input)?;
                decoder.window_log_max(WINDOW_LOG)?;
                Decoder::Zstd(decoder)
            }
        };
        let left = if self.compression == Compression::None { u64::MAX } else { limit };
        Ok(Content { decoder, left })
    }
}

impl<R: Read> Read for Sniffed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.input.read(buffer)
    }
}

/// The content of a stream that may be compressed: see [`Sniffed::decompress`].
pub fn decompress<R: Read>(input: R, limit: u64) -> io::Result<Content<R>> {
    Sniffed::new(input)?.decompress(limit)
}

/// How much may be unpacked where `path` is: a twentieth of what the file system has left stays free.
pub fn room(path: &Path) -> u64 {
    let available = sys::available_space(path).unwrap_or(u64::MAX);
    available - available / 20
}

type Input<R> = BufReader<io::Chain<Cursor<Vec<u8>>, R>>;

/// What is in a stream.
pub struct Content<R: Read> {
    decoder: Decoder<Input<R>>,
    left: u64,
}

#[expect(clippy::large_enum_variant, reason = "there is one for a whole stream")]
enum Decoder<R: BufRead> {
    Plain(R),
    Gzip(flate2::bufread::MultiGzDecoder<R>),
    Bzip2(bzip2::bufread::MultiBzDecoder<R>),
    Xz(Xz<R>),
    Zstd(zstd::Decoder<'static, R>),
}

impl<R: Read> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.decoder {
            Decoder::Plain(input) => input.read(buffer)?,
            Decoder::Gzip(input) => input.read(buffer)?,
            Decoder::Bzip2(input) => input.read(buffer)?,
            Decoder::Xz(input) => input.read(buffer)?,
            Decoder::Zstd(input) => input.read(buffer)?,
        };
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, "it unpacks to too much"))?;
        Ok(read)
    }
}

/// Streams of xz one behind the other, with zeros between them (The .xz File Format, 2.2).
struct Xz<R> {
    input: R,
    decoder: Box<xz4rust::XzDecoder<'static>>,
    between: bool,
}

impl<R: BufRead> Xz<R> {
    fn new(input: R) -> Self {
        let decoder = xz4rust::XzDecoder::in_heap_with_alloc_dict_size(1 << 16, 1 << WINDOW_LOG);
        Self { input, decoder, between: false }
    }
}

impl<R: BufRead> Read for Xz<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        use xz4rust::XzNextBlockResult::{EndOfStream, NeedMoreData};
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let available = self.input.fill_buf()?;
            if self.between {
                let padding = available.iter().take_while(|byte| **byte == 0).count();
                match (available.len(), padding) {
                    (0, _) => return Ok(0),
                    (_, 0) => {
                        self.decoder.reset();
                        self.between = false;
                    }
                    (_, padding) => {
                        self.input.consume(padding);
                        continue;
                    }
                }
            }
            if available.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let step = self.decoder.decode(available, buffer);
            let (consumed, produced) = match step {
                Ok(NeedMoreData(consumed, produced)) => (consumed, produced),
                Ok(EndOfStream(consumed, produced)) => {
                    self.between = true;
                    (consumed, produced)
                }
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            };
            self.input.consume(consumed);
            if produced > 0 {
                return Ok(produced);
            }
            if consumed == 0 && !self.between {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "the xz stream is damaged"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    /// Written by xz(1): `printf 'knarr\n' | xz`.
    const XZ: &str = "fd377a585a000004e6d6b4460200210116000000742fe5a30100056b6e6172720a000000768b9c54837567ed\
                      00011e06c12fa41d1fb6f37d010000000004595a";

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text).unwrap();
        gzip.finish().unwrap()
    }

    fn bzip2(text: &[u8]) -> Vec<u8> {
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(text).unwrap();
        bzip2.finish().unwrap()
    }

    /// Gives one byte at a time, as a slow pipe may.
    struct Slow<'a>(&'a [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let few = buffer.len().min(1);
            self.0.read(&mut buffer[..few])
        }
    }

    fn content(input: impl Read, limit: u64) -> io::Result<Vec<u8>> {
        let mut output = Vec::new();
        decompress(input, limit)?.read_to_end(&mut output)?;
        Ok(output)
    }

    #[test]
    fn all_of_them_also_piecewise_and_one_behind_the_other() {
        let text = b"knarr\n";
        let (xz, zstd) = (hex::decode(XZ).unwrap(), zstd::encode_all(&text[..], 3).unwrap());
        for (compressed, compression) in [
            (text.to_vec(), Compression::None),
            (gzip(text), Compression::Gzip),
            (bzip2(text), Compression::Bzip2),
            (xz, Compression::Xz),
            (zstd, Compression::Zstd),
        ] {
            let twice = [&compressed[..], &compressed[..]].concat();
            assert_eq!(Sniffed::new(&twice[..]).unwrap().compression(), compression);
            let expected = [&text[..], &text[..]].concat();
            assert_eq!(content(&twice[..], 100).unwrap(), expected, "{compression:?}");
            assert_eq!(content(Slow(&twice), 100).unwrap(), expected, "{compression:?}");
            if compression != Compression::None {
                assert!(content(&compressed[..compressed.len() - 9], 100).is_err());
                let error = content(&twice[..], 11).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{compression:?}");
            }
        }
        assert!(content(io::empty(), 0).unwrap().is_empty());
        let padded = [hex::decode(XZ).unwrap(), vec![0; 8], hex::decode(XZ).unwrap()].concat();
        assert_eq!(content(&padded[..], 100).unwrap(), b"knarr\nknarr\n");
    }
}
