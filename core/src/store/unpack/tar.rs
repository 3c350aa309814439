//! Reading tar archives: POSIX pax and ustar, GNU (long names, sparse files), old V7.
//!
//! Own code rather than the `tar` crate: that one reads extended headers of any length into memory, knows no
//! pax sparse files (`tar --sparse --format=pax`), and hands out the holes of a sparse file as zeros.

use super::Error;
use super::pax::{self, Extended};
use std::io::BufRead;

const BLOCK: usize = 512;

/// Names, links and attributes of one entry; what Go's archive/tar (and so Docker) accepts as well.
const EXTENDED_LIMIT: u64 = 1 << 20;

/// Pieces of one sparse file: 16 MiB of memory.
const PIECES_LIMIT: usize = 1 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    Character,
    Block,
    Fifo,
}

/// One entry, as the archive has it: names are hostile.
#[derive(Debug)]
pub struct Entry {
    pub kind: Kind,
    pub name: Vec<u8>,
    pub link: Vec<u8>,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Seconds and nanoseconds since 1970.
    pub mtime: (i64, u32),
    pub device: (u32, u32),
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Length of the file, holes included.
    pub size: u64,
    /// Where the stored data goes: offset and length, ascending. A plain file is one piece.
    pub pieces: Vec<(u64, u64)>,
}

pub struct Reader<R> {
    input: R,
    /// Data of the current entry that was not read yet, and the padding after it.
    left: u64,
    padding: u64,
}

impl<R: BufRead> Reader<R> {
    pub fn new(input: R) -> Self {
        Self { input, left: 0, padding: 0 }
    }

    /// The next entry, after whatever is left of the current one; `None` at the end of the archive.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Error> {
        let mut extended = Extended::default();
        let mut long_name: Option<Vec<u8>> = None;
        let mut long_link: Option<Vec<u8>> = None;
        loop {
            self.skip_rest()?;
            let Some(block) = self.header()? else { return Ok(None) };
            let header = Header(&block);
            let size = header.number(124, 12).and_then(|n| u64::try_from(n).ok());
            let size = size.ok_or(Error::Damaged("an entry has no valid size"))?;
            match header.kind() {
                b'x' | b'X' => {
                    self.begin(size);
                    extended = pax::parse(&self.small()?)?;
                }
                // defaults for all that follows: Docker ignores them, git writes a comment
                b'g' | b'V' => self.begin(size),
                b'L' => {
                    self.begin(size);
                    long_name = Some(until_nul(&self.small()?).to_vec());
                }
                b'K' => {
                    self.begin(size);
                    long_link = Some(until_nul(&self.small()?).to_vec());
                }
                kind => {
                    let name = extended.path.take().or(long_name).unwrap_or_else(|| header.name());
                    let link = extended.link.take().or(long_link);
                    let link = link.unwrap_or_else(|| header.text(157, 100).to_vec());
                    return self.entry(&header, kind, name, link, size, extended).map(Some);
                }
            }
        }
    }

    fn entry(
        &mut self,
        header: &Header,
        kind: u8,
        name: Vec<u8>,
        link: Vec<u8>,
        size: u64,
        extended: Extended,
    ) -> Result<Entry, Error> {
        let size = extended.size.unwrap_or(size);
        let kind = match kind {
            // V7 has no directories but names that end in a slash
            0 | b'0' | b'7' if name.ends_with(b"/") => Kind::Directory,
            0 | b'0' | b'7' | b'S' => Kind::File,
            b'1' => Kind::HardLink,
            b'2' => Kind::Symlink,
            b'3' => Kind::Character,
            b'4' => Kind::Block,
            b'5' | b'D' => Kind::Directory,
            b'6' => Kind::Fifo,
            _ => return Err(Error::UnknownKind { name: lossy(&name), kind: char::from(kind) }),
        };
        // POSIX: what is no file has no data, whatever the size field says; hard links may have some
        let has_data = matches!(kind, Kind::File | Kind::HardLink) || header.kind() == b'D';
        self.begin(if has_data { size } else { 0 });
        let number = |at, len| header.number(at, len).unwrap_or(0);
        let id = |stated: Option<u64>, at| {
            let id = stated.map_or_else(|| number(at, 8), |n| n as i64);
            u32::try_from(id).map_err(|_| Error::Damaged("an owner is not a 32-bit number"))
        };
        let mut entry = Entry {
            kind,
            mode: (number(100, 8) & 0o7777) as u32,
            uid: id(extended.uid, 108)?,
            gid: id(extended.gid, 116)?,
            mtime: extended.mtime.unwrap_or_else(|| (number(136, 12), 0)),
            device: (number(329, 8) as u32, number(337, 8) as u32),
            xattrs: extended.xattrs,
            size,
            pieces: vec![(0, size)],
            name,
            link,
        };
        if header.kind() == b'S' {
            let (length, pieces) = self.gnu_sparse(header)?;
            (entry.size, entry.pieces) = (length, pieces);
        } else if let Some(sparse) = extended.sparse {
            if let Some(name) = sparse.name {
                entry.name = name;
            }
            entry.size = sparse.real_size.unwrap_or(size);
            entry.pieces = if sparse.major == Some(1) { self.pax_sparse()? } else { sparse.pieces };
        } else {
            return Ok(entry);
        }
        check_pieces(&entry, self.left)?;
        Ok(entry)
    }

    /// Hands the stored data of the current entry to `sink`, piece by piece.
    pub fn data(
        &mut self,
        entry: &Entry,
        mut sink: impl FnMut(u64, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for &(offset, length) in &entry.pieces {
            let mut done = 0;
            while done < length {
                let available = self.input.fill_buf().map_err(Error::Read)?;
                if available.is_empty() {
                    return Err(Error::Damaged("it ends in the middle of a file"));
                }
                let take =
                    available.len().min(usize::try_from(length - done).unwrap_or(usize::MAX));
                sink(offset + done, &available[..take])?;
                self.input.consume(take);
                done += take as u64;
                self.left -= take as u64;
            }
        }
        Ok(())
    }

    /// Reads on to the end of the stream, so that all of it is hashed.
    pub fn drain(&mut self) -> Result<(), Error> {
        loop {
            let n = self.input.fill_buf().map_err(Error::Read)?.len();
            if n == 0 {
                return Ok(());
            }
            self.input.consume(n);
        }
    }

    fn begin(&mut self, size: u64) {
        self.left = size;
        self.padding = size.wrapping_neg() % BLOCK as u64;
    }

    fn skip_rest(&mut self) -> Result<(), Error> {
        let mut left = self.left.saturating_add(self.padding);
        (self.left, self.padding) = (0, 0);
        while left > 0 {
            let available = self.input.fill_buf().map_err(Error::Read)?.len();
            if available == 0 {
                return Err(Error::Damaged("it ends in the middle of a file"));
            }
            let take = available.min(usize::try_from(left).unwrap_or(usize::MAX));
            self.input.consume(take);
            left -= take as u64;
        }
        Ok(())
    }

    /// A header block whose checksum is right; `None` at the end: a block of zeros, or nothing at all.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, Error> {
        let mut block = [0; BLOCK];
        if self.input.fill_buf().map_err(Error::Read)?.is_empty() {
            return Ok(None);
        }
        self.exact(&mut block)?;
        if block == [0; BLOCK] {
            return Ok(None);
        }
        let header = Header(&block);
        let stated = header.number(148, 8);
        let sum = |byte: fn(u8) -> i64| -> i64 {
            let outside = block[..148].iter().chain(&block[156..]);
            outside.map(|b| byte(*b)).sum::<i64>() + 8 * i64::from(b' ')
        };
        // some old programs summed signed characters
        if stated != Some(sum(i64::from)) && stated != Some(sum(|b| i64::from(b as i8))) {
            return Err(Error::Damaged("a header has a wrong checksum"));
        }
        Ok(Some(block))
    }

    fn exact(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        self.input.read_exact(buffer).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                Error::Damaged("it ends in the middle of a header")
            }
            _ => Error::Read(e),
        })
    }

    /// The data of an extended header or a long name.
    fn small(&mut self) -> Result<Vec<u8>, Error> {
        if self.left > EXTENDED_LIMIT {
            return Err(Error::Damaged("the names and attributes of an entry are above 1 MiB"));
        }
        let mut data = vec![0; self.left as usize];
        self.exact(&mut data)?;
        self.left = 0;
        Ok(data)
    }

    /// Old GNU sparse file: four pieces in the header, more in blocks that follow it.
    fn gnu_sparse(&mut self, header: &Header) -> Result<(u64, Vec<(u64, u64)>), Error> {
        let damaged = || Error::Damaged("a sparse file has an invalid map");
        let length =
            header.number(483, 12).and_then(|n| u64::try_from(n).ok()).ok_or_else(damaged)?;
        let mut pieces = Vec::new();
        let mut collect = |block: &Header, first: usize, count: usize| -> Result<(), Error> {
            for at in (0..count).map(|n| first + 24 * n) {
                if block.0[at] == 0 || block.0[at + 12] == 0 {
                    break;
                }
                let offset = block.number(at, 12).and_then(|n| u64::try_from(n).ok());
                let size = block.number(at + 12, 12).and_then(|n| u64::try_from(n).ok());
                pieces.push((offset.ok_or_else(damaged)?, size.ok_or_else(damaged)?));
            }
            if pieces.len() > PIECES_LIMIT { Err(damaged()) } else { Ok(()) }
        };
        collect(header, 386, 4)?;
        let mut more = header.0[482] != 0;
        while more {
            let mut block = [0; BLOCK];
            self.exact(&mut block)?;
            collect(&Header(&block), 0, 21)?;
            more = block[504] != 0;
        }
        Ok((length, pieces))
    }

    /// pax sparse format 1.0: decimal numbers, one a line, in front of the data, padded to a block.
    fn pax_sparse(&mut self) -> Result<Vec<(u64, u64)>, Error> {
        let damaged = || Error::Damaged("a sparse file has an invalid map");
        let mut read = 0u64;
        let mut line = || -> Result<u64, Error> {
            let mut number = 0u64;
            let mut digits = 0;
            loop {
                let mut byte = [0];
                self.exact(&mut byte)?;
                read += 1;
                match byte[0] {
                    b'\n' if digits > 0 => return Ok(number),
                    digit @ b'0'..=b'9' => {
                        number = number
                            .checked_mul(10)
                            .and_then(|n| n.checked_add(u64::from(digit - b'0')))
                            .ok_or_else(damaged)?;
                        digits += 1;
                    }
                    _ => return Err(damaged()),
                }
            }
        };
        let count = line()?;
        if count > PIECES_LIMIT as u64 {
            return Err(damaged());
        }
        let mut pieces = Vec::new();
        for _ in 0..count {
            pieces.push((line()?, line()?));
        }
        let padding = read.wrapping_neg() % BLOCK as u64;
        let mut rest = vec![0; padding as usize];
        self.exact(&mut rest)?;
        self.left = self.left.checked_sub(read + padding).ok_or_else(damaged)?;
        Ok(pieces)
    }
}

/// The pieces ascend, lie within the file, and are as long as what is stored.
fn check_pieces(entry: &Entry, stored: u64) -> Result<(), Error> {
    let mut end = 0u64;
    let mut total = 0u64;
    for &(offset, length) in &entry.pieces {
        let next = offset.checked_add(length).filter(|n| *n <= entry.size && offset >= end);
        end = next.ok_or(Error::Damaged("a sparse file has an invalid map"))?;
        total += length;
    }
    match total == stored {
        true => Ok(()),
        false => Err(Error::Damaged("a sparse file has another length than its map")),
    }
}

struct Header<'a>(&'a [u8; BLOCK]);

impl Header<'_> {
    fn kind(&self) -> u8 {
        self.0[156]
    }

    fn text(&self, at: usize, len: usize) -> &[u8] {
        until_nul(&self.0[at..at + len])
    }

    fn name(&self) -> Vec<u8> {
        let name = self.text(0, 100);
        let is_posix = &self.0[257..263] == b"ustar\0";
        // Schilling's tar keeps times behind a shorter prefix
        let prefix = if &self.0[508..] == b"tar\0" { 131 } else { 155 };
        match self.text(345, prefix) {
            prefix if is_posix && !prefix.is_empty() => [prefix, b"/", name].concat(),
            _ => name.to_vec(),
        }
    }

    /// Octal digits, or GNU's base 256 where the first bit is set.
    fn number(&self, at: usize, len: usize) -> Option<i64> {
        let field = &self.0[at..at + len];
        if field[0] & 0x80 != 0 {
            let negative = field[0] & 0x40 != 0;
            let first =
                if negative { i64::from(field[0] as i8) } else { i64::from(field[0] & 0x3f) };
            return field[1..]
                .iter()
                .try_fold(first, |n, byte| n.checked_mul(256).map(|n| n | i64::from(*byte)));
        }
        let digits = until_nul(field).trim_ascii();
        if digits.is_empty() {
            return Some(0);
        }
        i64::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
    }
}

fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or_default()
}

pub fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
