//! Who the guest's process is: `USER` and `--user`, looked up in the image's own databases.

use super::error::Error;
use super::rootdir::RootDir;
use std::path::Path;

/// The process's credentials and home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    /// All supplementary groups, the primary one included.
    pub groups: Vec<u32>,
    pub home: String,
}

/// A database of a real system has some kilobytes; one of a directory service's dump, some megabytes.
const DATABASE_LIMIT: u64 = 16 << 20;

/// One line of `/etc/passwd` (passwd(5)).
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn entries(passwd: &str) -> impl Iterator<Item = Entry<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Entry { name, uid, gid, home: fields.nth(1).unwrap_or("") })
    })
}

/// Name, number and members of each line of `/etc/group` (group(5)).
fn groups(group: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    group.lines().filter_map(|line| {
        let mut fields = line.trim().split(':');
        let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
        Some((name, fields.nth(1)?.parse().ok()?, fields.next().unwrap_or("")))
    })
}

/// Resolves `[user|uid][:group|gid]` and `--group-add` as Docker does.
///
/// A number that no line has is taken as it is, with group 0 and home `/`; a name must be there. With an explicit group
/// the user's other groups do not count.
pub fn resolve(root: &RootDir, user: &str, additional: &[String]) -> Result<User, Error> {
    let (name, group) = match user.split_once(':') {
        Some((name, group)) => (name, Some(group).filter(|group| !group.is_empty())),
        None => (user, None),
    };
    let name = if name.is_empty() { "0" } else { name };
    let passwd = database(root, "/etc/passwd")?;
    let mut resolved = match entries(&passwd)
        .find(|e| e.name == name || number(name) == Some(e.uid))
    {
        Some(entry) => (
            User { uid: entry.uid, gid: entry.gid, groups: Vec::new(), home: home(entry.home) },
            Some(entry.name.to_owned()),
        ),
        None => {
            let uid = number(name).ok_or_else(|| Error::NoSuchUser { name: name.to_owned() })?;
            (User { uid, gid: 0, groups: Vec::new(), home: "/".into() }, None)
        }
    };
    let needs_groups = group.is_some_and(|group| number(group).is_none())
        || group.is_none() && resolved.1.is_some()
        || additional.iter().any(|group| number(group).is_none());
    let database = if needs_groups { database(root, "/etc/group")? } else { String::new() };
    let find = |wanted: &str| {
        groups(&database)
            .find(|(name, ..)| *name == wanted)
            .map(|(_, gid, _)| gid)
            .or_else(|| number(wanted))
            .ok_or_else(|| Error::NoSuchGroup { name: wanted.to_owned() })
    };
    match (group, &resolved.1) {
        (Some(group), _) => resolved.0.gid = find(group)?,
        (None, Some(name)) => resolved.0.groups.extend(
            groups(&database)
                .filter(|(.., members)| members.split(',').any(|member| member.trim() == name))
                .map(|(_, gid, _)| gid),
        ),
        (None, None) => {}
    }
    for group in additional {
        resolved.0.groups.push(find(group)?);
    }
    let User { gid, groups, .. } = &mut resolved.0;
    groups.retain(|group| group != gid);
    // the primary group as well: else a later setgid would give it up (CVE-2022-36109)
    groups.insert(0, *gid);
    let mut seen = std::collections::BTreeSet::new();
    groups.retain(|group| seen.insert(*group));
    Ok(resolved.0)
}

/// Checks that an ordinary user's namespace has the user and its group (user_namespaces(7)).
pub fn check_mapped(user: &User) -> Result<(), Error> {
    for (file, id) in [("uid_map", user.uid), ("gid_map", user.gid)] {
        let map = knarr_core::fsx::read_to_string(&Path::new("/proc/self").join(file))?;
        if !is_mapped(&map, id) {
            let user = format!("user {}:{}", user.uid, user.gid);
            return Err(Error::UserNotMapped { user });
        }
    }
    Ok(())
}

fn is_mapped(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        match (numbers.next(), numbers.nth(1)) {
            (Some(Ok(first)), Some(Ok(length))) => (first..first + length).contains(&id.into()),
            _ => false,
        }
    })
}

fn database(root: &RootDir, path: &'static str) -> Result<String, Error> {
    let text = root
        .read_small(path, DATABASE_LIMIT)
        .map_err(|source| Error::UserDatabase { path, source })?;
    Ok(text.unwrap_or_default())
}

/// A number that fits the kernel's uid_t; -1 means "unchanged" to it and is none.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != u32::MAX)
}

fn home(home: &str) -> String {
    if home.starts_with('/') { home.to_owned() } else { "/".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use knarr_core::fsx;

    fn user(text: &str, additional: &[&str]) -> Result<User, Error> {
        let directory = tempfile::tempdir().unwrap();
        let etc = directory.path().join("etc");
        fsx::create_dir(&etc).unwrap();
        fsx::write(
            &etc.join("passwd"),
            "root:x:0:0:root:/root:/bin/sh\n# comment\nbroken\nann:x:1000:100::/home/ann:/bin/sh\n7:x:77:7::/seven:\n",
        )
        .unwrap();
        fsx::write(
            &etc.join("group"),
            "root:x:0:\nusers:x:100:\nwheel:x:10:bob,ann\nfish:x:9:ann\n",
        )
        .unwrap();
        let additional: Vec<String> = additional.iter().map(|s| (*s).to_owned()).collect();
        resolve(&RootDir::open(directory.path()).unwrap(), text, &additional)
    }

    fn ids(text: &str, additional: &[&str]) -> (u32, u32, Vec<u32>, String) {
        let user = user(text, additional).unwrap();
        (user.uid, user.gid, user.groups, user.home)
    }

    #[test]
    fn as_docker_resolves_them() {
        assert_eq!(ids("", &[]), (0, 0, vec![0], "/root".into()));
        assert_eq!(ids("ann", &[]), (1000, 100, vec![100, 10, 9], "/home/ann".into()));
        assert_eq!(
            ids("1000", &["wheel", "44"]),
            (1000, 100, vec![100, 10, 9, 44], "/home/ann".into())
        );
        assert_eq!(ids("ann:fish", &[]), (1000, 9, vec![9], "/home/ann".into()));
        assert_eq!(ids("4242", &[]), (4242, 0, vec![0], "/".into()));
        assert_eq!(ids("4242:4243", &[]), (4242, 4243, vec![4243], "/".into()));
        assert_eq!(ids("7", &[]), (77, 7, vec![7], "/seven".into()));
        assert_eq!(ids(":users", &[]), (0, 100, vec![100], "/root".into()));
    }

    #[test]
    fn maps_of_user_namespaces() {
        let map = "         0       1000          1\n         1     100000      65536\n";
        assert!(is_mapped(map, 0) && is_mapped(map, 65536));
        assert!(!is_mapped(map, 65537) && !is_mapped("0 1000 1", 1) && !is_mapped("", 0));
    }

    #[test]
    fn names_must_exist() {
        assert!(matches!(user("eve", &[]), Err(Error::NoSuchUser { .. })));
        assert!(matches!(user("ann:nobody", &[]), Err(Error::NoSuchGroup { .. })));
        assert!(matches!(user("0", &["nobody"]), Err(Error::NoSuchGroup { .. })));
        assert!(matches!(user("4294967295", &[]), Err(Error::NoSuchUser { .. })));
    }
}
