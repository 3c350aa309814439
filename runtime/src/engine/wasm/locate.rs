//! From the command's first word to the open module.

use super::error::Error;
use super::files::Tree;
use super::kinds::{self, Format};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// An entry point as the image or the user names it: `/app.wasm`, `app.wasm`, `/app.wasm#function`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entrypoint {
    pub name: String,
    /// Instead of the program's own entry point.
    pub function: Option<String>,
}

impl Entrypoint {
    pub fn parse(word: &str) -> Self {
        match word.rsplit_once('#') {
            Some((name, function)) if !name.is_empty() && !function.is_empty() => {
                Self { name: name.to_owned(), function: Some(function.to_owned()) }
            }
            _ => Self { name: word.to_owned(), function: None },
        }
    }
}

/// A module's file, open.
pub(super) struct Found {
    pub file: File,
    /// Absolute path in the container.
    pub path: String,
    pub format: Format,
    /// Go's library has ways of its own: it takes `PWD` for its working directory and passes absolute paths only, and waits
    /// only for listeners that it finds not to block.
    pub is_go: bool,
}

/// Opens the module: a name with a slash is relative to the working directory, one without is searched in PATH and
/// then in the working directory.
pub(super) fn locate(tree: &Tree, name: &str, env: &[String], cwd: &str) -> Result<Found, Error> {
    let candidates = candidates(name, env, cwd);
    for path in &candidates {
        let Some(file) = tree.open_file(path)? else { continue };
        match examine(file, path.clone()) {
            Err(Error::ModuleIsDirectory { .. }) if candidates.len() > 1 => {}
            result => return result,
        }
    }
    let modules = tree.modules();
    Err(Error::ModuleNotFound { name: name.to_owned(), searched: candidates, modules })
}

/// Refuses what cannot be run, by its first bytes.
pub(super) fn examine(file: File, path: String) -> Result<Found, Error> {
    let mut head = [0; kinds::HEAD];
    let length = match file.read_at(&mut head, 0) {
        Ok(length) => length,
        Err(e) if e.raw_os_error() == Some(libc::EISDIR) => {
            return Err(Error::ModuleIsDirectory { path });
        }
        Err(e) => return Err(Error::system(format!("read {path}"), e)),
    };
    match kinds::format(&head[..length], &path) {
        Format::Other(found) => Err(Error::NotWasm { path, found: found.to_owned() }),
        Format::Precompiled => Err(Error::Precompiled { path }),
        format => Ok(Found { file, path, format, is_go: kinds::is_go(&head[..length]) }),
    }
}

/// Where a command may be, absolute, in the order of the search.
pub(super) fn candidates(name: &str, env: &[String], cwd: &str) -> Vec<String> {
    let join = |directory: &str| format!("{}/{name}", directory.trim_end_matches('/'));
    if name.starts_with('/') {
        return vec![name.to_owned()];
    }
    if name.contains('/') {
        return vec![join(cwd)];
    }
    let path = env.iter().rev().find_map(|v| v.strip_prefix("PATH=")).unwrap_or("");
    let mut candidates: Vec<String> =
        path.split(':').filter(|d| d.starts_with('/')).map(join).collect();
    let here = join(cwd);
    if !candidates.contains(&here) {
        candidates.push(here);
    }
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entrypoints() {
        let parsed = |word: &str| {
            let e = Entrypoint::parse(word);
            (e.name, e.function)
        };
        assert_eq!(parsed("/app.wasm"), ("/app.wasm".into(), None));
        assert_eq!(parsed("/app.wasm#main"), ("/app.wasm".into(), Some("main".into())));
        assert_eq!(parsed("#main"), ("#main".into(), None));
        assert_eq!(parsed("a#"), ("a#".into(), None));
    }

    #[test]
    fn searched_in_path_and_then_in_the_working_directory() {
        let env = ["PATH=/x".to_owned(), "PATH=/usr/bin:rel::/bin/".to_owned()];
        assert_eq!(
            candidates("app.wasm", &env, "/w"),
            ["/usr/bin/app.wasm", "/bin/app.wasm", "/w/app.wasm"]
        );
        assert_eq!(candidates("./a.wasm", &env, "/w"), ["/w/./a.wasm"]);
        assert_eq!(candidates("/a.wasm", &env, "/w"), ["/a.wasm"]);
        assert_eq!(candidates("a", &[], "/"), ["/a"]);
    }
}
