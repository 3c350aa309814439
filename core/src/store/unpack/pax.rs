//! Extended headers (POSIX pax), with GNU's sparse files and Schilling's extended attributes.

use super::Error;

/// What an extended header says of the entry that follows it.
#[derive(Debug, Default)]
pub struct Extended {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub mtime: Option<(i64, u32)>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub sparse: Option<Sparse>,
}

/// GNU's pax sparse formats 0.0, 0.1 and 1.0.
#[derive(Debug, Default)]
pub struct Sparse {
    pub major: Option<u64>,
    pub name: Option<Vec<u8>>,
    pub real_size: Option<u64>,
    pub pieces: Vec<(u64, u64)>,
}

/// Parses `<length> <key>=<value>\n` records; the length counts the whole record.
pub fn parse(mut data: &[u8]) -> Result<Extended, Error> {
    let damaged = || Error::Damaged("an extended header is invalid");
    let mut extended = Extended::default();
    let mut offset = None;
    while !data.is_empty() && data[0] != 0 {
        let space = data.iter().take(20).position(|b| *b == b' ').ok_or_else(damaged)?;
        let length = number(&data[..space]).ok_or_else(damaged)?;
        let length = usize::try_from(length).ok().filter(|n| *n > space + 1 && *n <= data.len());
        let (record, rest) = data.split_at(length.ok_or_else(damaged)?);
        data = rest;
        let record = record[space + 1..].strip_suffix(b"\n").ok_or_else(damaged)?;
        let equals = record.iter().position(|b| *b == b'=').ok_or_else(damaged)?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        let required = || number(value).ok_or_else(damaged);
        match key {
            // names end at a NUL for every system call: refuse what would be read as another name
            b"path" | b"linkpath" | b"GNU.sparse.name" if value.contains(&0) => {
                return Err(damaged());
            }
            _ if value.is_empty() && !key.starts_with(b"SCHILY.xattr.") => {}
            b"path" => extended.path = Some(value.to_vec()),
            b"linkpath" => extended.link = Some(value.to_vec()),
            b"size" => extended.size = Some(required()?),
            b"uid" => extended.uid = Some(required()?),
            b"gid" => extended.gid = Some(required()?),
            b"mtime" => extended.mtime = Some(time(value).ok_or_else(damaged)?),
            _ => {
                if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    extended.xattrs.push((name.to_vec(), value.to_vec()));
                } else if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
                    let sparse = extended.sparse.get_or_insert_default();
                    match key {
                        b"major" => sparse.major = Some(required()?),
                        b"name" => sparse.name = Some(value.to_vec()),
                        b"size" | b"realsize" => sparse.real_size = Some(required()?),
                        b"offset" => offset = Some(required()?),
                        b"numbytes" => {
                            sparse.pieces.push((offset.take().ok_or_else(damaged)?, required()?));
                        }
                        b"map" => sparse.pieces = map(value).ok_or_else(damaged)?,
                        _ => {}
                    }
                }
            }
        }
    }
    Ok(extended)
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `offset,length,offset,length,…`
fn map(text: &[u8]) -> Option<Vec<(u64, u64)>> {
    let numbers: Vec<u64> = text.split(|b| *b == b',').map(number).collect::<Option<_>>()?;
    let (pairs, rest) = numbers.as_chunks::<2>();
    rest.is_empty().then(|| pairs.iter().map(|[offset, length]| (*offset, *length)).collect())
}

/// Seconds with a fraction of any length, possibly before 1970.
fn time(text: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let negative = seconds.starts_with('-');
    let seconds: i64 = seconds.parse().ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: u32 = digits.parse().ok()?;
    match negative && nanoseconds > 0 {
        true => Some((seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds)),
        false => Some((seconds, nanoseconds)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: &str, value: &[u8]) -> Vec<u8> {
        let body = key.len() + value.len() + 3;
        let mut length = body + 1;
        while length != body + length.to_string().len() {
            length = body + length.to_string().len();
        }
        [length.to_string().as_bytes(), b" ", key.as_bytes(), b"=", value, b"\n"].concat()
    }

    #[test]
    fn records() {
        let data = [
            record("path", "long/ä".as_bytes()),
            record("mtime", b"1.5"),
            record("SCHILY.xattr.user.a", b"x\n=\0y"),
            record("comment", b"ignored"),
        ]
        .concat();
        let extended = parse(&data).unwrap();
        assert_eq!(extended.path.as_deref(), Some("long/ä".as_bytes()));
        assert_eq!(extended.mtime, Some((1, 500_000_000)));
        assert_eq!(extended.xattrs, [(b"user.a".to_vec(), b"x\n=\0y".to_vec())]);
    }

    #[test]
    fn invalid_records_are_refused() {
        for data in
            [&b"99 path=a\n"[..], b"5 a=b", b"x path=a\n", b"3 \n", b"11 path=a\0b\n", b"0 a=b\n"]
        {
            assert!(parse(data).is_err(), "{data:?}");
        }
        assert!(parse(&record("size", b"-1")).is_err());
        assert!(parse(&record("path", b"a\0b")).is_err());
    }

    #[test]
    fn times_before_1970() {
        assert_eq!(time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time(b"-3"), Some((-3, 0)));
        assert_eq!(time(b"1.1234567891"), Some((1, 123_456_789)));
        assert_eq!(time(b"1.-5"), None);
    }
}
