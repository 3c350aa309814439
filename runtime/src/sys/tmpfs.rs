//! File systems in memory, with mount(8)'s words for their options.

use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};
use std::io;
use std::os::fd::OwnedFd;

const READ_ONLY: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_RDONLY;
const NOSUID: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID;
const NODEV: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NODEV;
const NOEXEC: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOEXEC;

/// What a tmpfs is made with (tmpfs(5)): `("size", Some("65536"))`.
pub type Options = Vec<(String, Option<String>)>;

/// The options of the file system and the attributes of its mount; inert unless they say otherwise, as Docker's.
pub fn options(
    size: Option<u64>,
    mode: Option<u32>,
    words: &[String],
) -> (Options, MountAttrFlags) {
    let mut attributes = NOSUID | NODEV | NOEXEC;
    let mut options = Options::new();
    for word in words {
        match word.as_str() {
            "ro" => attributes |= READ_ONLY,
            "rw" => attributes -= READ_ONLY,
            "exec" => attributes -= NOEXEC,
            "noexec" => attributes |= NOEXEC,
            "suid" => attributes -= NOSUID,
            "nosuid" => attributes |= NOSUID,
            "dev" => attributes -= NODEV,
            "nodev" => attributes |= NODEV,
            "noatime" => attributes |= MountAttrFlags::MOUNT_ATTR_NOATIME,
            "nodiratime" => attributes |= MountAttrFlags::MOUNT_ATTR_NODIRATIME,
            "strictatime" => attributes |= MountAttrFlags::MOUNT_ATTR_STRICTATIME,
            "" | "defaults" | "relatime" => {}
            other => {
                let (key, value) = match other.split_once('=') {
                    Some((key, value)) => (key, Some(value.to_owned())),
                    None => (other, None),
                };
                options.push((key.to_owned(), value));
            }
        }
    }
    if let Some(size) = size {
        options.push(("size".to_owned(), Some(size.to_string())));
    }
    if let Some(mode) = mode {
        options.push(("mode".to_owned(), Some(format!("{mode:o}"))));
    }
    (options, attributes)
}

/// Makes one, detached. An option that the kernel does not take is named in the error.
pub fn make(options: &Options, attributes: MountAttrFlags) -> io::Result<OwnedFd> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        let set = match value {
            Some(value) => fsconfig_set_string(&context, key.as_str(), value.as_str()),
            None => fsconfig_set_flag(&context, key.as_str()),
        };
        set.map_err(|errno| {
            let error = io::Error::from(errno);
            let value = value.as_ref().map_or_else(String::new, |value| format!("={value}"));
            io::Error::new(error.kind(), format!("the option {key}{value}: {error}"))
        })?;
    }
    fsconfig_create(&context)?;
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inert_unless_told() {
        let words = ["exec", "uid=5", "huge"].map(str::to_owned);
        let (made, attributes) = options(Some(100), Some(0o1777), &words);
        assert_eq!(attributes, NOSUID | NODEV);
        let shown: Vec<String> =
            made.iter().map(|(k, v)| format!("{k} {}", v.as_deref().unwrap_or("-"))).collect();
        assert_eq!(shown, ["uid 5", "huge -", "size 100", "mode 1777"]);
        assert_eq!(options(None, None, &[]).1, NOSUID | NODEV | NOEXEC);
    }
}
