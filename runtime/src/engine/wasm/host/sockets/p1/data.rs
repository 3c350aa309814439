//! Preview 1's data in the guest's memory (`wasi_snapshot_preview1.witx`).

use rustix::io::Errno;
use wasmtime_wasi::p1::types;

pub(super) const SUCCESS: i32 = types::Errno::Success as i32;
pub(super) const EBADF: i32 = types::Errno::Badf as i32;
pub(super) const EINVAL: i32 = types::Errno::Inval as i32;

/// The buffers of one call; more than any library passes at once.
const BUFFERS: usize = 1024;

/// The number by which preview 1 knows an error.
pub(super) fn number(errno: Errno) -> i32 {
    use types::Errno as P1;
    let errno = match errno {
        Errno::AGAIN => P1::Again,
        Errno::BADF => P1::Badf,
        Errno::CONNABORTED => P1::Connaborted,
        Errno::CONNREFUSED => P1::Connrefused,
        Errno::CONNRESET => P1::Connreset,
        Errno::HOSTUNREACH => P1::Hostunreach,
        Errno::INTR => P1::Intr,
        Errno::INVAL => P1::Inval,
        Errno::MFILE | Errno::NFILE => P1::Mfile,
        Errno::NETUNREACH => P1::Netunreach,
        Errno::NOBUFS => P1::Nobufs,
        Errno::NOMEM => P1::Nomem,
        Errno::NOTCONN => P1::Notconn,
        Errno::PIPE => P1::Pipe,
        Errno::TIMEDOUT => P1::Timedout,
        _ => P1::Io,
    };
    errno as i32
}

/// A pointer that leads out of the guest's memory ends the guest, as wasmtime has it.
pub(super) fn fault() -> wasmtime::Error {
    wasmtime::Trap::MemoryOutOfBounds.into()
}

/// A piece of the guest's memory.
pub(super) fn at(memory: &mut [u8], start: i32, length: usize) -> Option<&mut [u8]> {
    let start = start as u32 as usize;
    memory.get_mut(start..start.checked_add(length)?)
}

/// The bytes at a place of a record.
pub(super) fn bytes<const N: usize>(record: &[u8], start: usize) -> Option<[u8; N]> {
    record.get(start..start.checked_add(N)?)?.try_into().ok()
}

/// Where data is to go or to come from (`iovec_array`).
#[derive(Debug)]
pub(super) struct Buffers {
    parts: Vec<(usize, usize)>,
    /// Bytes in all.
    pub length: usize,
}

impl Buffers {
    /// `None` if a part of them is not in the memory.
    pub fn read(memory: &[u8], start: i32, count: i32) -> Option<Self> {
        let (start, count) = (start as u32 as usize, count as u32 as usize);
        let mut parts = Vec::new();
        let mut length: usize = 0;
        for i in 0..count {
            let record = start.checked_add(i.checked_mul(8)?)?;
            let at = u32::from_le_bytes(bytes(memory, record)?) as usize;
            let size = u32::from_le_bytes(bytes(memory, record + 4)?) as usize;
            memory.get(at..at.checked_add(size)?)?;
            // fewer bytes than asked for are never wrong
            if size > 0 && parts.len() < BUFFERS {
                parts.push((at, size));
                length += size;
            }
        }
        Some(Self { parts, length })
    }

    /// The rest of the buffer that comes after so many bytes.
    pub fn part(&self, mut done: usize) -> Option<(usize, usize)> {
        for (start, size) in &self.parts {
            if done < *size {
                return Some((start + done, size - done));
            }
            done -= size;
        }
        None
    }

    pub fn slices<'a>(&'a self, memory: &'a [u8]) -> Option<impl Iterator<Item = &'a [u8]>> {
        let all = |(start, size): &(usize, usize)| memory.get(*start..start + size).is_some();
        self.parts
            .iter()
            .all(all)
            .then(|| self.parts.iter().map(move |(start, size)| &memory[*start..start + size]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_stay_in_the_memory() {
        let mut memory = vec![0; 64];
        for (at, value) in [(0, 32u32), (4, 4), (8, 40), (12, 0), (16, 60), (20, 4)] {
            memory[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        let buffers = Buffers::read(&memory, 0, 3).unwrap();
        assert_eq!(buffers.length, 8);
        assert_eq!(buffers.part(0), Some((32, 4)));
        assert_eq!(buffers.part(5), Some((61, 3)));
        assert_eq!(buffers.part(8), None);
        memory[20] = 5;
        assert!(Buffers::read(&memory, 0, 3).is_none());
        assert!(Buffers::read(&memory, -4, 1).is_none());
        assert!(Buffers::read(&memory, 0, -1).is_none());
    }
}
