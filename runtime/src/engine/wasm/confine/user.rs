//! The image's USER: `[user|uid][:group|gid]`, names looked up in the container's own files (OCI image-spec,
//! config.md "User").

use super::super::error::Error;
use super::super::files::Tree;
use std::io::Read;

/// What the process becomes, if it may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::engine::wasm) struct Identity {
    pub uid: u32,
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The user's directory, `/` if the container does not know the user.
    pub home: String,
}

/// More than any real passwd file; an image cannot make us read forever.
const LIMIT: u64 = 8 << 20;

impl Identity {
    /// Of a container's user, which is 0 if none is named.
    pub fn of(tree: &Tree, user: &str) -> Result<Self, Error> {
        let read = |path: &str| -> Result<String, Error> {
            let Some(file) = tree.open_file(path)? else { return Ok(String::new()) };
            let mut bytes = Vec::new();
            file.take(LIMIT)
                .read_to_end(&mut bytes)
                .map_err(|e| Error::system(format!("read {path}"), e))?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        // the superuser's groups mean nothing to a process without capabilities
        let group = if user.is_empty() { String::new() } else { read("/etc/group")? };
        let mut identity = parse(user, &read("/etc/passwd")?, &group)
            .map_err(|reason| Error::NoSuchUser { user: user.to_owned(), reason })?;
        if user.is_empty() {
            identity = Self { home: identity.home, ..Self::default() };
        }
        Ok(identity)
    }
}

fn parse(text: &str, passwd: &str, group: &str) -> Result<Identity, String> {
    let (user, wanted_group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let user = if user.is_empty() { "0" } else { user };
    let number = user.parse::<u32>().ok();
    // name:password:uid:gid:comment:home:shell
    let entry = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| {
        fields.len() >= 4
            && (fields[0] == user || number.is_some() && fields[2].parse().ok() == number)
    });
    let home = entry.as_ref().and_then(|fields| fields.get(5)).filter(|home| home.starts_with('/'));
    let home = home.map_or("/", |home| *home).to_owned();
    let field = |i: usize| entry.as_ref().and_then(|fields| fields[i].parse::<u32>().ok());
    let uid = field(2).or(number).ok_or("no matching entries in the container's /etc/passwd")?;
    let name = entry.as_ref().map_or(user, |fields| fields[0]);
    // name:password:gid:member,member
    let mut groups = group.lines().map(|line| line.split(':').collect::<Vec<_>>());
    match wanted_group {
        Some(wanted) => {
            let number = wanted.parse::<u32>().ok();
            let entry = groups.find(|fields| fields.len() >= 3 && fields[0] == wanted);
            let gid = entry.and_then(|fields| fields[2].parse().ok()).or(number);
            let gid = gid.ok_or("no matching entries in the container's /etc/group")?;
            Ok(Identity { uid, gid, groups: Vec::new(), home })
        }
        None => {
            let is_member = |fields: &Vec<&str>| {
                fields.len() >= 4 && fields[3].split(',').any(|member| member == name)
            };
            let groups =
                groups.filter(is_member).filter_map(|fields| fields[2].parse().ok()).collect();
            Ok(Identity { uid, gid: field(3).unwrap_or(0), groups, home })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/:/bin/sh\nbroken\napp:x:1000:1001:App:/home/app:/bin/sh\n";
    const GROUP: &str = "root:x:0:\napp:x:1001:\nwheel:x:10:app,other\naudio:x:11:other\n";

    #[test]
    fn homes() {
        let home = |text: &str| parse(text, PASSWD, GROUP).unwrap().home;
        for (user, expected) in
            [("", "/"), ("app", "/home/app"), ("1000:5", "/home/app"), ("7", "/")]
        {
            assert_eq!(home(user), expected, "{user}");
        }
    }

    fn ids(text: &str) -> Result<(u32, u32, Vec<u32>), String> {
        parse(text, PASSWD, GROUP).map(|i| (i.uid, i.gid, i.groups))
    }

    #[test]
    fn as_docker_resolves_them() {
        assert_eq!(ids("app"), Ok((1000, 1001, vec![10])));
        assert_eq!(ids("1000"), Ok((1000, 1001, vec![10])));
        assert_eq!(ids("app:wheel"), Ok((1000, 10, vec![])));
        assert_eq!(ids("app:77"), Ok((1000, 77, vec![])));
        assert_eq!(ids("5:6"), Ok((5, 6, vec![])));
        assert_eq!(ids("5"), Ok((5, 0, vec![])));
        assert_eq!(ids(":10"), Ok((0, 10, vec![])));
        assert!(ids("nobody").is_err());
        assert!(ids("app:nogroup").is_err());
    }
}
