//! Going through what a `COPY` takes: what its patterns match, less what is ignored or excluded.

use super::Error;
use super::files::{Files, Found, Place, join, lossy, split};
use super::glob;
use knarr_core::sys::{self, Identity, NodeKind, OwnedAttributes};
use std::io;
use std::path::Path;

/// Which paths are left out.
pub trait Ignored: Sync {
    fn is_ignored(&self, path: &[u8]) -> bool;

    /// Whether something below an ignored directory could be kept after all.
    fn may_keep_below(&self, directory: &[u8]) -> bool;
}

/// A tree to copy from, and what of it does not exist as far as a build is concerned.
pub struct Source<'a> {
    pub files: &'a Files,
    /// By the path from the root: `.dockerignore`.
    pub ignored: Option<&'a dyn Ignored>,
    /// For messages: `the context`, `the stage build`.
    pub label: &'a str,
    /// Owners and extended attributes of a context are its user's affair, not the image's.
    pub is_context: bool,
}

/// One thing that a pattern matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// As it was asked for, `..` and `.` resolved: what the copy is called.
    pub name: Vec<u8>,
    /// Where it is, symbolic links followed.
    pub path: Vec<u8>,
    pub is_directory: bool,
    /// What stands before the paths in it for `--exclude`; empty if these begin at the match.
    pub prefix: Vec<u8>,
}

impl Match {
    /// All of a source.
    pub fn root() -> Self {
        Self { name: Vec::new(), path: Vec::new(), is_directory: true, prefix: Vec::new() }
    }
}

/// One file, directory or link under a match.
#[derive(Debug)]
pub struct Item<'a> {
    /// From the match; empty for the match itself.
    pub path: &'a [u8],
    /// Where to read it, now.
    pub real: &'a Path,
    pub attributes: &'a OwnedAttributes,
    pub identity: Identity,
    /// From the root of the source.
    pub full: &'a [u8],
}

impl Source<'_> {
    pub fn failed(
        &self,
        operation: &'static str,
        path: &[u8],
    ) -> impl Fn(io::Error) -> Error + use<> {
        let (path, place) = (lossy(path), format!("in {}", self.label));
        move |source| Error::Content { operation, path: path.clone(), place: place.clone(), source }
    }

    /// What a path or pattern stands for, sorted. A plain path must exist; a pattern may match nothing, as with BuildKit:
    /// `COPY package.json yarn.lock* ./`. `deep`: `**` stands for any number of directories.
    pub fn matches(&self, pattern: &str, deep: bool) -> Result<Vec<Match>, Error> {
        let clean = super::files::clean(pattern.as_bytes());
        let not_found =
            || Error::NotFound { path: pattern.to_owned(), place: self.label.to_owned() };
        if !glob::is_pattern(pattern) {
            return match self.matched(clean, pattern)? {
                Some(found) => Ok(vec![found]),
                None => Err(not_found()),
            };
        }
        let text = String::from_utf8(clean).map_err(|_| not_found())?;
        let mut names = Vec::new();
        let root = self.files.root().map_err(self.failed("list", b""))?;
        self.expand((&text, deep), &root, b"", &mut names)?;
        let mut matches = Vec::new();
        for name in names {
            let shown = lossy(&name);
            matches.extend(self.matched(name, &shown)?);
        }
        Ok(matches)
    }

    /// `None` if it is ignored; an error if it, or what it links to, does not exist.
    fn matched(&self, name: Vec<u8>, shown: &str) -> Result<Option<Match>, Error> {
        let resolved = self.files.resolve(&name, true).map_err(self.failed("find", &name))?;
        let resolved = resolved.ok_or_else(|| Error::NotFound {
            path: shown.to_owned(),
            place: self.label.to_owned(),
        })?;
        // neither the link nor what it leads to may be ignored; of an ignored directory something may be left
        if let Some(ignored) = self.ignored {
            for path in [&name, &resolved.path] {
                let kept = resolved.is_directory && ignored.may_keep_below(path);
                if !path.is_empty() && ignored.is_ignored(path) && !kept {
                    return Ok(None);
                }
            }
        }
        let (path, is_directory) = (resolved.path, resolved.is_directory);
        Ok(Some(Match { name, path, is_directory, prefix: Vec::new() }))
    }

    fn expand(
        &self,
        (pattern, deep): (&str, bool),
        place: &Place,
        path: &[u8],
        names: &mut Vec<Vec<u8>>,
    ) -> Result<(), Error> {
        for name in place.names().map_err(self.failed("list", path))? {
            let here = join(path, &name);
            let invalid = |glob::Invalid| Error::Pattern { pattern: pattern.to_owned() };
            if glob::matches(pattern, &here, deep).map_err(invalid)? {
                // what is below a directory that matches comes with it
                names.push(here);
                continue;
            }
            if !glob::may_match_below(pattern, &here, deep) {
                continue;
            }
            if let Some(found) = place.entry(&name).map_err(self.failed("find", &here))? {
                if found.kind == NodeKind::Directory {
                    if self.is_left_out(&here, true) {
                        continue;
                    }
                    let inner = place.enter(&name, &found).map_err(self.failed("list", &here))?;
                    self.expand((pattern, deep), &inner, &here, names)?;
                } else if found.kind == NodeKind::Symlink {
                    self.expand_link((pattern, deep), &here, names)?;
                }
            }
        }
        Ok(())
    }

    /// A symbolic link to a directory in the middle of a pattern: its names go by the link's own path.
    fn expand_link(
        &self,
        (pattern, deep): (&str, bool),
        path: &[u8],
        names: &mut Vec<Vec<u8>>,
    ) -> Result<(), Error> {
        // with `**` a link to above would never end
        if deep && pattern.contains("**") {
            return Ok(());
        }
        let resolved = self.files.resolve(path, true).map_err(self.failed("find", path))?;
        match resolved.filter(|found| found.is_directory) {
            Some(found) => {
                let inner = self.files.place(&found.path).map_err(self.failed("list", path))?;
                self.expand((pattern, deep), &inner, path, names)
            }
            None => Ok(()),
        }
    }

    fn is_left_out(&self, path: &[u8], is_directory: bool) -> bool {
        self.ignored.is_some_and(|ignored| {
            ignored.is_ignored(path) && !(is_directory && ignored.may_keep_below(path))
        })
    }

    /// Calls `visit` for a match and everything below it, parents first, names sorted. `exclude` is asked about paths
    /// from the match's prefix on.
    pub fn walk(
        &self,
        start: &Match,
        exclude: Option<&dyn Ignored>,
        visit: &mut dyn FnMut(&Item) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let prefix = &start.prefix;
        let mut walker = Walker { source: self, exclude, prefix, visit, waiting: Vec::new() };
        if matches!(self.files, Files::Layers(layers) if layers.is_empty()) {
            // no context, or a stage from scratch: not even a root directory
            return Ok(());
        }
        if start.path.is_empty() {
            let place = self.files.root().map_err(self.failed("list", b""))?;
            let real = place.real();
            walker.item(b"", b"", &real, true)?;
            return walker.directory(&place, b"", b"");
        }
        let failed = self.failed("find", &start.path);
        let (parent, name) = split(&start.path);
        let place = self.files.place(parent).map_err(&failed)?;
        let Some(found) = place.entry(name).map_err(&failed)? else {
            return Err(Error::NotFound { path: lossy(&start.name), place: self.label.to_owned() });
        };
        walker.item(b"", &start.path, &found.real, found.kind == NodeKind::Directory)?;
        if found.kind == NodeKind::Directory {
            let inner = place.enter(name, &found).map_err(&failed)?;
            walker.directory(&inner, b"", &start.path)?;
        }
        Ok(())
    }
}

/// A directory that is itself left out, but may hold something that is not.
struct Waiting {
    path: Vec<u8>,
    full: Vec<u8>,
    real: std::path::PathBuf,
}

struct Walker<'a, 'b> {
    source: &'a Source<'a>,
    exclude: Option<&'a dyn Ignored>,
    prefix: &'a [u8],
    visit: &'b mut dyn FnMut(&Item) -> Result<(), Error>,
    waiting: Vec<Waiting>,
}

impl Walker<'_, '_> {
    fn directory(&mut self, place: &Place, path: &[u8], full: &[u8]) -> Result<(), Error> {
        for name in place.names().map_err(self.source.failed("list", full))? {
            let (path, full) = (join(path, &name), join(full, &name));
            let failed = self.source.failed("read", &full);
            let Some(found) = place.entry(&name).map_err(&failed)? else { continue };
            self.node(place, &name, &found, path, full)?;
        }
        Ok(())
    }

    fn node(
        &mut self,
        place: &Place,
        name: &[u8],
        found: &Found,
        path: Vec<u8>,
        full: Vec<u8>,
    ) -> Result<(), Error> {
        let is_directory = found.kind == NodeKind::Directory;
        let hides = |of: Option<&dyn Ignored>, path: &[u8]| {
            of.filter(|of| of.is_ignored(path)).map(|of| is_directory && of.may_keep_below(path))
        };
        let verdicts =
            [hides(self.source.ignored, &full), hides(self.exclude, &join(self.prefix, &path))];
        if verdicts.contains(&Some(false)) {
            return Ok(());
        }
        let waits = verdicts.contains(&Some(true));
        if waits {
            self.waiting.push(Waiting {
                path: path.clone(),
                full: full.clone(),
                real: found.real.clone(),
            });
        } else {
            for above in std::mem::take(&mut self.waiting) {
                self.item(&above.path, &above.full, &above.real, true)?;
            }
            self.item(&path, &full, &found.real, is_directory)?;
        }
        if is_directory {
            let inner = place.enter(name, found).map_err(self.source.failed("list", &full))?;
            self.directory(&inner, &path, &full)?;
        }
        if waits && self.waiting.last().is_some_and(|last| last.path == path) {
            self.waiting.pop();
        }
        Ok(())
    }

    fn item(
        &mut self,
        path: &[u8],
        full: &[u8],
        real: &Path,
        is_directory: bool,
    ) -> Result<(), Error> {
        let failed = self.source.failed("read", full);
        let (mut attributes, identity) = sys::look(real).map_err(&failed)?;
        if self.source.is_context {
            (attributes.uid, attributes.gid) = (0, 0);
        } else {
            attributes.xattrs = sys::xattrs_of(real).map_err(&failed)?;
        }
        if is_directory != (attributes.kind == NodeKind::Directory) {
            // somebody is changing it
            return Err(failed(io::ErrorKind::NotFound.into()));
        }
        if attributes.is_socket
            || (attributes.kind == NodeKind::Whiteout && !self.source.is_context)
        {
            return Ok(());
        }
        if attributes.kind == NodeKind::Whiteout {
            return Err(Error::Whiteout { path: lossy(full) });
        }
        (self.visit)(&Item { path, real, attributes: &attributes, identity, full })
    }
}
