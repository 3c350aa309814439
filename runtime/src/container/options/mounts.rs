//! `-v` and `--tmpfs`; [`super::mount`] has `--mount`.

use super::ids;
use knarr_core::hint::Hint;
use knarr_core::spec::limits::{self, InvalidLimit};
use knarr_core::spec::{Mount, MountKind, Origin, Ownership, Submounts, VolumeMount, mode};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum InvalidMount {
    #[error("{text:?} is not a volume")]
    Volume { text: String },
    #[error("{text:?}: {option:?} is not an option of a {kind}")]
    VolumeOption { text: String, kind: &'static str, option: String },
    #[error("{text:?}: {option:?} is not an option of memory")]
    TmpfsOption { text: String, option: String },
    #[error("{text:?}: {field:?} is not a field of a {kind} mount")]
    Field { text: String, kind: &'static str, field: String },
    #[error("{text:?}: the value of {field} is not valid")]
    Value { text: String, field: String },
    #[error("{text:?} lacks {field}")]
    Missing { text: String, field: &'static str },
    #[error("{text:?}: {target:?} is not an absolute path in the container")]
    Target { text: String, target: String },
    #[error("{text:?}: {kind:?} is not a kind of mount")]
    Kind { text: String, kind: String },
    #[error("{text:?}: the source is not a path of the host")]
    NoPath { text: String },
    #[error("{text:?}: {subpath:?} leads out of the volume")]
    Subpath { text: String, subpath: String },
    #[error("{text:?}: the ids {ids:?} are not valid")]
    Ids { text: String, ids: String },
    #[error("{text:?}")]
    Size { text: String, source: InvalidLimit },
    #[error("{text:?} does not name a container's volumes")]
    VolumesFrom { text: String },
}

impl Hint for InvalidMount {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Volume { .. } => {
                "write [SOURCE:]TARGET[:ro], where SOURCE is a path of the host or a volume's name"
                    .into()
            }
            Self::VolumeOption { kind: "volume", .. } => {
                "the options of a volume are ro, rw, nocopy, U, idmap, z and Z".into()
            }
            Self::VolumeOption { .. } => {
                "the options of a directory are ro, rw, U, idmap, bind, rbind, private, slave, shared (with or \
                 without r before), z and Z"
                    .into()
            }
            Self::TmpfsOption { .. } => {
                "for example: /run:size=64m,mode=1777,uid=1000,exec (tmpfs(5) and mount(8) have them all)".into()
            }
            Self::Field { kind, .. } => format!("its fields are {}", super::mount::fields_of(kind)),
            Self::Kind { .. } => "the kinds are bind, volume and tmpfs".into(),
            Self::Target { .. } => "the target begins with '/', and is not '/' alone".into(),
            Self::NoPath { .. } => {
                "write an absolute path, or one that begins with ./ or ../; a volume has type=volume".into()
            }
            Self::Subpath { .. } => "write a path relative to the volume, without '..'".into(),
            Self::Ids { .. } => {
                "write idmap alone, or idmap=uids=DISK-CONTAINER-COUNT;gids=DISK-CONTAINER-COUNT with further ranges \
                 after '#'"
                    .into()
            }
            Self::Size { source, .. } => return source.hint(),
            Self::VolumesFrom { .. } => "write CONTAINER, CONTAINER:ro or CONTAINER:rw".into(),
            _ => "write for example type=bind,source=/srv/data,target=/data,readonly".into(),
        })
    }
}

/// `-v [SOURCE:]TARGET[:OPTIONS]`. A source with a slash or a leading dot is a path of the host, relative to
/// `directory`; anything else is the name of a volume.
pub fn parse_volume(text: &str, directory: &Path) -> Result<Mount, InvalidMount> {
    let invalid = || InvalidMount::Volume { text: text.to_owned() };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match *parts.as_slice() {
        [target] => (None, target, ""),
        [source, target] if target.starts_with('/') => (Some(source), target, ""),
        // `/data:ro`: an anonymous volume with options
        [target, options] if target.starts_with('/') => (None, target, options),
        [source, target, options] => (Some(source), target, options),
        _ => return Err(invalid()),
    };
    if source == Some("") {
        return Err(invalid());
    }
    let target = check_target(text, target)?;
    let is_bind = source.is_some_and(is_path);
    let words = words(text, options, is_bind)?;
    let kind = match source {
        Some(source) if is_bind => MountKind::Bind {
            source: lexical(&directory.join(source)),
            create: true,
            propagation: words.propagation,
            submounts: words.submounts,
        },
        Some(name) => MountKind::Volume(VolumeMount {
            name: name.to_owned(),
            no_copy: words.no_copy,
            ..VolumeMount::default()
        }),
        None => anonymous(words.no_copy),
    };
    let Words { read_only, ownership, .. } = words;
    Ok(Mount { kind, target, read_only, ownership, origin: Origin::Short })
}

#[derive(Default)]
struct Words {
    read_only: bool,
    no_copy: bool,
    propagation: Option<String>,
    submounts: Submounts,
    ownership: Option<Ownership>,
}

fn words(text: &str, options: &str, is_bind: bool) -> Result<Words, InvalidMount> {
    let mut words = Words::default();
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option {
            "ro" | "readonly" => words.read_only = true,
            "rw" => words.read_only = false,
            "nocopy" if !is_bind => words.no_copy = true,
            "U" => words.ownership = Some(Ownership::Give),
            "rbind" if is_bind => words.submounts = Submounts::Follow,
            "bind" if is_bind => words.submounts = Submounts::Leave,
            _ if is_bind && is_propagation(option) => words.propagation = Some(option.to_owned()),
            // SELinux labels and hints for file sharing of virtual machines: there is nothing to do
            "z" | "Z" | "cached" | "delegated" | "consistent" => {}
            _ => match ids::parse_option(option) {
                Some(Ok(ownership)) => words.ownership = Some(ownership),
                Some(Err(ids)) => return Err(InvalidMount::Ids { text: text.to_owned(), ids }),
                None => {
                    let kind = if is_bind { "directory" } else { "volume" };
                    let (text, option) = (text.to_owned(), option.to_owned());
                    return Err(InvalidMount::VolumeOption { text, kind, option });
                }
            },
        }
    }
    Ok(words)
}

pub(super) fn is_propagation(word: &str) -> bool {
    ["private", "slave", "shared"].contains(&word.strip_prefix('r').unwrap_or(word))
}

/// `--tmpfs TARGET[:OPTIONS]`
pub fn parse_tmpfs(text: &str) -> Result<Mount, InvalidMount> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let target = check_target(text, target)?;
    let (mut size, mut mode, mut rest, mut read_only) = (None, None, Vec::new(), false);
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option.split_once('=') {
            // a part of the memory, which the kernel knows how to take
            Some(("size", value)) if value.ends_with('%') => rest.push(option.to_owned()),
            Some(("size", value)) => size = Some(parse_size(text, value)?),
            Some(("mode", value)) => mode = Some(parse_mode(text, "mode", value)?),
            None if option == "ro" => read_only = true,
            None if option == "rw" => read_only = false,
            Some((key, _)) if TMPFS_VALUES.contains(&key) => rest.push(option.to_owned()),
            None if TMPFS_FLAGS.contains(&option) => rest.push(option.to_owned()),
            _ => {
                let (text, option) = (text.to_owned(), option.to_owned());
                return Err(InvalidMount::TmpfsOption { text, option });
            }
        }
    }
    let kind = MountKind::Tmpfs { size, mode, options: rest };
    Ok(Mount { kind, target, read_only, ownership: None, origin: Origin::Short })
}

const TMPFS_VALUES: &[&str] = &["uid", "gid", "nr_inodes", "nr_blocks", "huge", "mpol"];
const TMPFS_FLAGS: &[&str] = &[
    "exec",
    "noexec",
    "suid",
    "nosuid",
    "dev",
    "nodev",
    "noatime",
    "relatime",
    "nodiratime",
    "strictatime",
    "defaults",
    "noswap",
];

/// `--volumes-from CONTAINER[:ro|:rw]`: the container, and whether its mounts become read-only.
pub fn parse_volumes_from(text: &str) -> Result<(&str, bool), InvalidMount> {
    let invalid = || InvalidMount::VolumesFrom { text: text.to_owned() };
    let (container, mode) = text.split_once(':').unwrap_or((text, "rw"));
    if container.is_empty() {
        return Err(invalid());
    }
    match mode {
        "ro" => Ok((container, true)),
        "rw" | "z" | "Z" => Ok((container, false)),
        _ => Err(invalid()),
    }
}

/// A volume without a name: one is made up, as long as an id.
pub(super) fn anonymous(no_copy: bool) -> MountKind {
    let name = knarr_core::id::ContainerId::random().to_string();
    MountKind::Volume(VolumeMount { name, anonymous: true, no_copy, ..VolumeMount::default() })
}

pub(super) fn parse_size(text: &str, value: &str) -> Result<u64, InvalidMount> {
    limits::parse_size(value).map_err(|source| InvalidMount::Size { text: text.to_owned(), source })
}

pub(super) fn parse_mode(text: &str, field: &str, value: &str) -> Result<u32, InvalidMount> {
    mode::parse_mode(value)
        .ok_or_else(|| InvalidMount::Value { text: text.to_owned(), field: field.to_owned() })
}

pub(super) fn check_target(text: &str, target: &str) -> Result<String, InvalidMount> {
    let cleaned = clean(target);
    if target.starts_with('/') && cleaned != "/" {
        return Ok(cleaned);
    }
    Err(InvalidMount::Target { text: text.to_owned(), target: target.to_owned() })
}

/// An absolute path without `.`, `..` and doubled slashes: what Docker compares and shows. (Where it leads is decided
/// when it is mounted.)
pub(super) fn clean(target: &str) -> String {
    let cleaned = lexical(Path::new(target));
    cleaned.to_string_lossy().into_owned()
}

pub(super) fn lexical(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut cleaned = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                cleaned.pop();
            }
            _ => {}
        }
    }
    cleaned
}

fn is_path(source: &str) -> bool {
    source.contains('/') || source.starts_with('.')
}
