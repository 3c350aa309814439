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
    let invalid = || Error::Owner { value: text.to_owned() };
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let number = |text: &str| -> Result<Option<u32>, Error> {
        match text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
            true => text.parse().map(Some).map_err(|_| invalid()),
            false => Ok(None),
        }
    };
    let (uid, own_group) = match number(user)? {
        Some(uid) => (uid, uid),
        None if user.is_empty() => (0, 0),
        None => {
            let missing =
                || Error::NoSuchOwner { kind: "user", name: user.into(), file: "/etc/passwd" };
            let entry = entry(rootfs, "etc/passwd", user)?.ok_or_else(missing)?;
            let field = |at: usize| entry.get(at).and_then(|id| id.parse().ok());
            (field(2).ok_or_else(missing)?, field(3).ok_or_else(missing)?)
        }
    };
    let gid = match group {
        None => own_group,
        Some(group) => match number(group)? {
            Some(gid) => gid,
            None => {
                let missing =
                    || Error::NoSuchOwner { kind: "group", name: group.into(), file: "/etc/group" };
                let entry = entry(rootfs, "etc/group", group)?.ok_or_else(missing)?;
                entry.get(2).and_then(|id| id.parse().ok()).ok_or_else(missing)?
            }
        },
    };
    Ok((uid, gid))
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
    }
}
