//! Tar archives entry by entry, for those that are no image layers.

pub use super::unpack::Error;
pub use super::unpack::tar::{Entry, Kind, Reader};

use std::io::{self, Read, Write};
use tar::{Builder, Header};

/// Writes one entry; what its header has no room for goes into an extended one (POSIX pax, extended attributes as
/// `SCHILY.xattr.*`).
pub fn append(
    out: &mut Builder<impl Write>,
    mut header: Header,
    path: &[u8],
    link: &[u8],
    xattrs: &[(Vec<u8>, Vec<u8>)],
    data: impl Read,
) -> io::Result<()> {
    let mut extended: Vec<(String, Vec<u8>)> = Vec::new();
    let fields = header.as_mut_bytes();
    for (key, text, at) in [("path", path, 0), ("linkpath", link, 157)] {
        let room = text.len().min(100);
        fields[at..at + room].copy_from_slice(&text[..room]);
        if text.len() > 100 {
            extended.push((key.into(), text.to_vec()));
        }
    }
    for (name, value) in xattrs {
        // attributes whose names are no text exist in theory only
        if let Ok(name) = std::str::from_utf8(name) {
            extended.push((format!("SCHILY.xattr.{name}"), value.clone()));
        }
    }
    if !extended.is_empty() {
        let records = extended.iter().map(|(key, value)| (key.as_str(), &value[..]));
        out.append_pax_extensions(records)?;
    }
    header.set_cksum();
    out.append(&header, data)
}
