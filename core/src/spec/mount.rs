//! Mounts: `-v`, `--mount`, `--tmpfs` in one form.

use super::Origin;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One mount of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    pub kind: MountKind,
    /// Absolute path in the container; resolved inside its root, never followed out of it.
    pub target: String,
    pub read_only: bool,
    /// Whose the files are to be; `None` leaves them as they are.
    #[serde(default)]
    pub ownership: Option<Ownership>,
    #[serde(default, skip_serializing_if = "Origin::is_short")]
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    /// A file or directory of the host, absolute. With `create`, an absent directory is made (`-v`); without, it
    /// is an error (`--mount`).
    Bind {
        source: PathBuf,
        create: bool,
        propagation: Option<String>,
        #[serde(default)]
        submounts: Submounts,
    },
    /// A volume.
    Volume(VolumeMount),
    /// Memory. `size` in bytes, `mode` as octal permission bits.
    Tmpfs { size: Option<u64>, mode: Option<u32>, options: Vec<String> },
}

/// A volume of Knarr's own in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeMount {
    pub name: String,
    /// The name is a generated one: the volume goes with its container.
    pub anonymous: bool,
    /// An empty volume stays empty, whatever the image has there.
    pub no_copy: bool,
    /// A directory (or file) of the volume that is mounted instead of the whole; resolved inside the volume.
    #[serde(default)]
    pub subpath: Option<String>,
    /// For a volume that does not exist yet: `volume-opt` and `volume-label`.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// What becomes of the mounts below a bind mount's source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Submounts {
    /// They are seen as well; read-only where the mount is.
    #[default]
    Follow,
    /// They are seen, and stay writable below a read-only mount.
    Writable,
    /// They are not seen.
    Leave,
}

/// Whose the files of a mount are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ownership {
    /// `:U`: at each start, all of them are given to the user that the container runs as.
    Give,
    /// `idmap`: the source's owner and the container's user change places, in the container's eyes only.
    Swap,
    /// `idmap=uids=…;gids=…`
    Map(IdMap),
}

/// User and group ids on the disk, and as the container sees them; ids outside of all ranges belong to nobody.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdMap {
    pub uids: Vec<IdRange>,
    pub gids: Vec<IdRange>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    pub on_disk: u32,
    pub seen: u32,
    pub count: u32,
}

impl Mount {
    /// The volume that is mounted, if one is.
    pub fn volume(&self) -> Option<&VolumeMount> {
        match &self.kind {
            MountKind::Volume(volume) => Some(volume),
            _ => None,
        }
    }
}

impl IdMap {
    /// The map in which two users and two groups change places, and everybody else is who they are.
    pub fn swap(disk: (u32, u32), seen: (u32, u32)) -> Self {
        Self { uids: swapped(disk.0, seen.0), gids: swapped(disk.1, seen.1) }
    }
}

fn swapped(a: u32, b: u32) -> Vec<IdRange> {
    let (low, high) = (a.min(b), a.max(b));
    // 4294967295 is nobody's id
    let all = u32::MAX;
    let mut ranges = Vec::new();
    let mut push = |on_disk, seen, count| {
        if count > 0 {
            ranges.push(IdRange { on_disk, seen, count });
        }
    };
    if low == high {
        push(0, 0, all);
        return ranges;
    }
    push(0, 0, low);
    push(low, high, 1);
    push(low + 1, low + 1, high - low - 1);
    push(high, low, 1);
    push(high + 1, high + 1, all - high - 1);
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(ranges: &[IdRange]) -> Vec<(u32, u32, u32)> {
        ranges.iter().map(|r| (r.on_disk, r.seen, r.count)).collect()
    }

    #[test]
    fn two_change_places() {
        let map = IdMap::swap((1000, 0), (0, 7));
        let rest = u32::MAX - 1001;
        assert_eq!(shown(&map.uids), [(0, 1000, 1), (1, 1, 999), (1000, 0, 1), (1001, 1001, rest)]);
        assert_eq!(shown(&map.gids), [(0, 7, 1), (1, 1, 6), (7, 0, 1), (8, 8, u32::MAX - 8)]);
        assert_eq!(shown(&swapped(5, 5)), [(0, 0, u32::MAX)]);
    }
}
