//! Which of a guest's paths are relative.
//!
//! wasi-libc, and with it C, Rust and Python, keeps no working directory: it takes the slash off an absolute path and
//! passes both kinds below `/`, so that `etc/conf` and `/etc/conf` reach us as the same words. What can be known is used in
//! this order:
//!
//! 1. `./x`, and a path that leads above its start (`../x`), have no absolute form that reaches us so: relative.
//! 2. An argument or variable that spells this path, or one that it lies below, tells which kind it is.
//! 3. `.` is the working directory: programs list where they are more often than the root.
//! 4. What exists in the root is meant there, else what exists in the working directory.
//! 5. What is nowhere, and of which something is known (preview 1 lets us see what stands before the path), is meant as that.
//! 6. What is to be made goes where more of the directories that lead to it are; where neither has one, into the working directory.

/// Where relative paths start.
#[derive(Debug)]
pub(super) struct WorkingDirectory {
    /// From the root, without links.
    path: String,
    /// Paths that the guest was told of, without `.` and slashes at the ends.
    relative: Vec<String>,
    absolute: Vec<String>,
}

impl WorkingDirectory {
    pub fn new<'a>(path: String, words: impl Iterator<Item = &'a str>) -> Self {
        let (mut relative, mut absolute) = (Vec::new(), Vec::new());
        for word in words {
            // the value of --option=value, too
            for text in [Some(word), word.split_once('=').map(|(_, value)| value)] {
                let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
                let to = if text.starts_with('/') { &mut absolute } else { &mut relative };
                to.push(names(text));
            }
        }
        Self { path, relative, absolute }
    }

    /// The path from the root of a relative path; `None` for one that is meant from the root. `exists` tells of paths from
    /// the root; `seems_absolute` is a sign that a slash stood before this one.
    pub fn path(
        &self,
        path: &str,
        seems_absolute: bool,
        exists: impl Fn(&str) -> bool,
    ) -> Option<String> {
        if path.starts_with('/') {
            return None;
        }
        let here = self.join(path);
        let plain = names(path);
        if super::walk::leaves(path) || (path.starts_with("./") && !plain.is_empty()) {
            return Some(here);
        }
        match (told(&self.relative, &plain), told(&self.absolute, &plain)) {
            (relative, absolute) if relative > absolute => return Some(here),
            (None, None) => {}
            _ => return None,
        }
        if plain.is_empty() {
            return Some(here);
        }
        if exists(&plain) {
            return None;
        }
        if exists(&here) {
            return Some(here);
        }
        if seems_absolute {
            return None;
        }
        // how many of the directories on the way there are
        let parts: Vec<&str> = plain.split('/').collect();
        let depth = |start: &str| {
            let way = |count: &usize| exists(&format!("{start}{}", parts[..*count].join("/")));
            (1..parts.len()).rev().find(way).unwrap_or(0)
        };
        let (from_root, from_here) = (depth(""), depth(&format!("{}/", self.path)));
        (from_root == 0 || from_here > from_root).then_some(here)
    }

    /// `..` at the beginning leads from where the working directory really is, and not above the root.
    fn join(&self, path: &str) -> String {
        let mut joined: Vec<&str> = self.path.split('/').collect();
        let mut rest = path.split('/').filter(|part| !matches!(*part, "" | ".")).peekable();
        while rest.next_if_eq(&"..").is_some() {
            joined.pop();
        }
        joined.extend(rest);
        if joined.is_empty() { ".".to_owned() } else { joined.join("/") }
    }
}

fn names(path: &str) -> String {
    let names: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    names.join("/")
}

/// How much of a path the longest of these words spells, plus one.
fn told(words: &[String], path: &str) -> Option<usize> {
    let spells = |word: &&String| match path.strip_prefix(word.as_str()) {
        Some(rest) if word.is_empty() => rest.is_empty(),
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    };
    words.iter().filter(spells).map(String::len).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_path_means() {
        let tree = ["etc", "etc/conf", "app", "app/etc", "app/etc/conf", "app/etc/only", "app/own"];
        let exists = |path: &str| tree.contains(&path);
        let words =
            |words: &[&'static str]| WorkingDirectory::new("app".into(), words.iter().copied());
        for (told, path, meant) in [
            (&[][..], "../up", Some("up")),
            (&[], "../../../up", Some("up")),
            (&[], "..", Some(".")),
            (&[], "x/../../up", Some("app/x/../../up")),
            (&[], "./etc/conf", Some("app/etc/conf")),
            (&[], ".", Some("app")),
            (&["/"], ".", None),
            (&["/", "."], ".", None),
            (&["."], ".", Some("app")),
            (&[], "etc/conf", None),
            (&["etc/conf"], "etc/conf", Some("app/etc/conf")),
            (&["--config=./etc/conf"], "etc/conf", Some("app/etc/conf")),
            (&["/etc/conf"], "etc/conf", None),
            (&["etc"], "etc/conf", Some("app/etc/conf")),
            (&["etc/conf", "/etc"], "etc/other", None),
            (&["/etc", "etc/conf"], "etc/conf", Some("app/etc/conf")),
            (&["/own"], "own", None),
            (&[], "etc/only", Some("app/etc/only")),
            (&[], "own", Some("app/own")),
            (&[], "new", Some("app/new")),
            (&[], "own/new", Some("app/own/new")),
            (&[], "etc/new", None),
            (&[], "new/newer", Some("app/new/newer")),
        ] {
            assert_eq!(
                words(told).path(path, false, exists).as_deref(),
                meant,
                "{path} of {told:?}"
            );
        }
        assert_eq!(words(&[]).path("new", true, exists), None);
        assert_eq!(words(&[]).path("own", true, exists).as_deref(), Some("app/own"));
    }
}
