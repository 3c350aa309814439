//! Subordinate ids of the user who runs this: what an ordinary user's containers have besides that user (subuid(5),
//! subgid(5), newuidmap(1)).
//!
//! The map is the host's word alone: files of the superuser, and a set-user-id program that checks them again. Nothing of an
//! image has a part in it.

use crate::hint::Hint;
use rustix::fs::{FileType, Mode, OFlags, StatVfsMountFlags};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Images know 0 to 65534 (nobody): what useradd(8) grants is enough for all of them.
const ENOUGH: u64 = 1 << 16;
/// More than any real file has.
const FILE_LIMIT: u64 = 8 << 20;
/// The kernel takes 340 (user_namespaces(7)).
const RANGES: usize = 300;

/// A range of the host's ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub first: u32,
    pub count: u32,
}

/// What a user may map, and by which programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subordinate {
    pub uids: Ids,
    pub gids: Ids,
}

/// Users, or groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// What is 0 inside.
    pub own: u32,
    /// What follow it inside, from 1 on.
    pub ranges: Vec<Range>,
    pub(super) program: PathBuf,
}

/// Why a user's containers have one id only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lacking {
    #[error("the program {program} is not installed")]
    Program { program: &'static str },
    #[error("{program} is not set-user-id root")]
    Unprivileged { program: PathBuf },
    #[error("this process may gain no privileges (no_new_privs), so {program} has none")]
    NoNewPrivileges { program: PathBuf },
    #[error("{file} cannot be read: {reason}")]
    File { file: &'static str, reason: String },
    #[error("{file} grants no ids to {user}")]
    Range { file: &'static str, user: String },
    #[error("{file} grants only {count} ids to {user}, and images have {ENOUGH}")]
    Few { file: &'static str, user: String, count: u64 },
    #[error("{program} failed: {message}")]
    Refused { program: PathBuf, message: String },
    #[error("no user namespace can be made: {reason}")]
    Namespace { reason: String },
}

impl Hint for Lacking {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Program { .. } => {
                "install newuidmap and newgidmap (package uidmap, or shadow-utils)".into()
            }
            Self::Unprivileged { program } => {
                format!("as the superuser: chown root {0} && chmod u+s {0}", program.display())
            }
            Self::NoNewPrivileges { .. } => {
                "start knarr where programs may gain privileges (without NoNewPrivileges=)".into()
            }
            Self::Range { user, .. } | Self::Few { user, .. } => format!(
                "as the superuser, with ids that nobody has: usermod --add-subuids 1000000-1065535 --add-subgids 1000000-1065535 {user}"
            ),
            Self::File { file, .. } => format!("as the superuser: chmod a+r {file}"),
            Self::Refused { .. } => "look whether /etc/subuid and /etc/subgid are valid".into(),
            Self::Namespace { .. } => "allow user namespaces to this user".into(),
        })
    }
}

/// The ids of the user who runs this process, which is in no user namespace of its own. Looked up once.
pub fn subordinate() -> Result<&'static Subordinate, &'static Lacking> {
    if let Some(lacking) = REFUSED.get() {
        return Err(lacking);
    }
    FOUND.get_or_init(look_up).as_ref()
}

/// Why files of this user's containers have one owner, and what to do about it; `None` where they have others as well.
pub fn lacking_ids() -> Option<String> {
    if super::owners() != super::Owners::One {
        return None;
    }
    let lacking = subordinate().err()?;
    Some(format!("{lacking}; {}", lacking.hint().unwrap_or_default()))
}

/// From here on the user has one id, as the host has refused the others.
pub(super) fn give_up(lacking: Lacking) {
    let _ = REFUSED.set(lacking);
}

static FOUND: OnceLock<Result<Subordinate, Lacking>> = OnceLock::new();
static REFUSED: OnceLock<Lacking> = OnceLock::new();

fn look_up() -> Result<Subordinate, Lacking> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let names = names_of(uid);
    let ids = |own, file: &'static str, program| {
        let text = read(file)?;
        Ok(Ids { own, ranges: enough(&text, &names, own, file)?, program: find(program)? })
    };
    Ok(Subordinate {
        uids: ids(uid, "/etc/subuid", "newuidmap")?,
        gids: ids(gid, "/etc/subgid", "newgidmap")?,
    })
}

/// What a user is called in the files; the number is a name as well.
fn names_of(uid: u32) -> Vec<String> {
    let passwd = read("/etc/passwd").unwrap_or_default();
    let own = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    // a user whom a directory service knows; newuidmap asks that one
    let told = || std::env::var("LOGNAME").or_else(|_| std::env::var("USER")).ok();
    own.or_else(told).into_iter().chain([uid.to_string()]).collect()
}

fn read(file: &'static str) -> Result<String, Lacking> {
    let failed = |e: &dyn std::fmt::Display| Lacking::File { file, reason: e.to_string() };
    let opened = match rustix::fs::open(file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => return Ok(String::new()),
        other => other.map_err(|e| failed(&e))?,
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::from(opened);
    file.take(FILE_LIMIT).read_to_end(&mut bytes).map_err(|e| failed(&e))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn enough(
    text: &str,
    names: &[String],
    own: u32,
    file: &'static str,
) -> Result<Vec<Range>, Lacking> {
    let user = || names.first().cloned().unwrap_or_default();
    let ranges = parse(text, names, own);
    match ranges.iter().map(|range| u64::from(range.count)).sum() {
        0 => Err(Lacking::Range { file, user: user() }),
        count if count < ENOUGH => Err(Lacking::Few { file, user: user(), count }),
        _ => Ok(ranges),
    }
}

/// The ranges of a user in `owner:first:count` lines: those that the kernel takes together with the user's own id.
fn parse(text: &str, names: &[String], own: u32) -> Vec<Range> {
    let mut ranges: Vec<Range> = Vec::new();
    let mut inside = 1u64;
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split(':').collect();
        let [owner, first, count] = fields[..] else { continue };
        let (Ok(first), Ok(count)) = (first.parse::<u32>(), count.parse::<u32>()) else { continue };
        let end = u64::from(first) + u64::from(count);
        let overlaps = |from: u32, many: u32| {
            u64::from(from) < end && u64::from(first) < u64::from(from) + u64::from(many)
        };
        let is_ours = names.iter().any(|name| name == owner);
        // -1 is nobody's id
        let fits = count > 0 && first > 0 && end < u64::from(u32::MAX);
        let is_free = !overlaps(own, 1) && !ranges.iter().any(|r| overlaps(r.first, r.count));
        let has_room = inside + u64::from(count) < u64::from(u32::MAX);
        if is_ours && fits && is_free && has_room && ranges.len() < RANGES {
            inside += u64::from(count);
            ranges.push(Range { first, count });
        }
    }
    ranges
}

/// Where a program is that may map what its caller may not.
fn find(program: &'static str) -> Result<PathBuf, Lacking> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/sbin:/usr/bin:/sbin:/bin".into());
    let found = std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|path| {
            rustix::fs::stat(path)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
        })
        .ok_or(Lacking::Program { program })?;
    if !is_privileged(&found) {
        return Err(Lacking::Unprivileged { program: found });
    }
    if rustix::thread::no_new_privs().unwrap_or(false) {
        return Err(Lacking::NoNewPrivileges { program: found });
    }
    Ok(found)
}

/// Set-user-id root, or with capabilities of its own, and on a file system where that counts.
fn is_privileged(program: &Path) -> bool {
    let Ok(stat) = rustix::fs::stat(program) else { return false };
    let counts =
        rustix::fs::statvfs(program).is_ok_and(|on| !on.f_flag.contains(StatVfsMountFlags::NOSUID));
    let mut capabilities = [0; 64];
    let mut is_capable = || {
        rustix::fs::getxattr(program, "security.capability", &mut capabilities)
            .is_ok_and(|size| size > 0)
    };
    counts && (stat.st_uid == 0 && stat.st_mode & 0o4000 != 0 || is_capable())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(text: &str) -> Vec<(u32, u32)> {
        let names = ["ann".to_owned(), "1000".to_owned()];
        parse(text, &names, 1000).iter().map(|r| (r.first, r.count)).collect()
    }

    #[test]
    fn the_lines_of_a_user() {
        for (text, expected) in [
            ("", &[][..]),
            ("ann:100000:65536", &[(100000, 65536)]),
            ("# ann:1:2\nbob:5:6\nannika:7:8\nann:100000:65536\n", &[(100000, 65536)]),
            ("1000:200000:10\nann:100000:65536", &[(200000, 10), (100000, 65536)]),
            ("  ann:100000:10  \n\n", &[(100000, 10)]),
            // not ours to use, or nonsense
            ("ann:0:10\nann:990:20\nann:5:0\nann:x:1\nann:1\nann:1:2:3\nann:-1:4", &[]),
            ("ann:4294967290:10\nann:99999999999:1", &[]),
            // the kernel takes no id twice
            ("ann:100000:100\nann:100050:100\nann:100100:5", &[(100000, 100), (100100, 5)]),
            ("ann:2000:4294960000\nann:1500:100", &[(2000, 4294960000), (1500, 100)]),
        ] {
            assert_eq!(ranges(text), expected, "{text:?}");
        }
        let many: String = (0..1000).map(|n| format!("ann:{}:1\n", 100000 + n)).collect();
        assert_eq!(ranges(&many).len(), RANGES);
    }

    #[test]
    fn what_is_missing_is_said() {
        let names = ["ann".to_owned()];
        let said = |text: &str| enough(text, &names, 1000, "/etc/subuid").unwrap_err().to_string();
        assert_eq!(said("bob:1:65536"), "/etc/subuid grants no ids to ann");
        let few = "/etc/subuid grants only 1000 ids to ann, and images have 65536";
        assert_eq!(said("ann:100000:500\nann:200000:500"), few);
        assert_eq!(enough("ann:1:500\nann:2000:65036", &names, 1000, "").unwrap().len(), 2);
    }
}
