//! `--chown`, and `USER`: names are looked up in the image's own passwd and group files.

use crate::build::Error;
use crate::build::files::Files;
use knarr_core::sys;
use std::io::Read;

/// More than this of a passwd file is not read.
const FILE_LIMIT: u64 = 4 << 20;

/// The ids of `user[:group]`. A user without a group has the group of the same number as the user if it is a number, else
/// the one that passwd says, as in BuildKit.
pub fn resolve(text: &str, rootfs: &Files) -> Result<(u32, u32), Error> {
    let (user, group) = split(text);
    let missing = |kind, name: &str, file| Error::NoSuchOwner { kind, name: name.into(), file };
    let found = user_ids(text, user, rootfs)?;
    let (uid, own_group) = found.ok_or_else(|| missing("user", user, "/etc/passwd"))?;
    let gid = match group {
        None => own_group,
        Some(group) => {
            group_id(text, group, rootfs)?.ok_or_else(|| missing("group", group, "/etc/group"))?
        }
    };
    Ok((uid, gid))
}

/// [`resolve`] for what belongs to the user of an image by the way: one that nobody knows is root there, and an unknown
/// group the user's own.
pub fn resolve_or_root(text: &str, rootfs: &Files) -> Result<(u32, u32), Error> {
    let (user, group) = split(text);
    let known = |result| match result {
        Err(Error::Owner { .. }) => Ok(None),
        other => other,
    };
    let (uid, own_group) = known(user_ids(text, user, rootfs))?.unwrap_or_default();
    let gid = match group {
        None => None,
        Some(group) => known(group_id(text, group, rootfs).map(|gid| gid.map(|gid| (gid, gid))))?,
    };
    Ok((uid, gid.map_or(own_group, |(gid, _)| gid)))
}

fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    }
}

fn user_ids(text: &str, user: &str, rootfs: &Files) -> Result<Option<(u32, u32)>, Error> {
    if let Some(uid) = number(text, user)? {
        return Ok(Some((uid, uid)));
    }
    if user.is_empty() {
        return Ok(Some((0, 0)));
    }
    let Some(entry) = entry(rootfs, "etc/passwd", user)? else { return Ok(None) };
    let field = |at: usize| entry.get(at).and_then(|id| id.parse().ok());
    Ok(field(2).zip(field(3)))
}

fn group_id(text: &str, group: &str, rootfs: &Files) -> Result<Option<u32>, Error> {
    if let Some(gid) = number(text, group)? {
        return Ok(Some(gid));
    }
    let entry = entry(rootfs, "etc/group", group)?;
    Ok(entry.and_then(|entry| entry.get(2).and_then(|id| id.parse().ok())))
}

/// A number, if it is one; an error if no id is so large. `text` is the whole, for the message.
fn number(text: &str, part: &str) -> Result<Option<u32>, Error> {
    match !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) {
        true => part.parse().map(Some).map_err(|_| Error::Owner { value: text.to_owned() }),
        false => Ok(None),
    }
}

/// The fields of the line that begins with a name.
fn entry(rootfs: &Files, path: &'static str, name: &str) -> Result<Option<Vec<String>>, Error> {
    let failed = |source| Error::Content {
        operation: "read",
        path: format!("/{path}"),
        place: "of the image".into(),
        source,
    };
    let Some(found) = rootfs.resolve(path.as_bytes(), true).map_err(failed)? else {
        return Ok(None);
    };
    let Some((_place, found)) = rootfs.entry(&found.path).map_err(failed)? else { return Ok(None) };
    let mut text = Vec::new();
    let file = sys::open_itself(&found.real).map_err(failed)?;
    file.take(FILE_LIMIT).read_to_end(&mut text).map_err(failed)?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let mut lines = text.lines().map(|line| line.split(':').map(str::to_owned).collect::<Vec<_>>());
    Ok(lines.find(|fields| fields.first().is_some_and(|first| first == name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let directory = tempfile::tempdir().unwrap();
        let etc = directory.path().join("etc");
        knarr_core::fsx::create_dir(&etc).unwrap();
        knarr_core::fsx::write(&etc.join("passwd"), "root:x:0:0::/:\nweb:x:33:44::/:\n").unwrap();
        knarr_core::fsx::write(&etc.join("group"), "root:x:0:\nwww:x:55:\n").unwrap();
        let files = Files::Layers(vec![directory.path().to_owned()]);
        for (text, expected) in [
            ("7", (7, 7)),
            ("7:8", (7, 8)),
            ("web", (33, 44)),
            ("web:www", (33, 55)),
            ("web:9", (33, 9)),
            ("5:www", (5, 55)),
            ("web:", (33, 44)),
            (":www", (0, 55)),
        ] {
            assert_eq!(resolve(text, &files).unwrap(), expected, "{text}");
        }
        assert!(matches!(resolve("nobody", &files), Err(Error::NoSuchOwner { kind: "user", .. })));
        assert!(matches!(resolve("web:x", &files), Err(Error::NoSuchOwner { kind: "group", .. })));
        assert!(resolve("99999999999", &files).is_err());
        for (text, expected) in [
            ("web:www", (33, 55)),
            ("web:nobody", (33, 44)),
            ("nobody", (0, 0)),
            ("nobody:www", (0, 55)),
            ("7:nobody", (7, 7)),
            ("99999999999:8", (0, 8)),
        ] {
            assert_eq!(resolve_or_root(text, &files).unwrap(), expected, "{text}");
        }
    }
}
