//! `COPY` and `ADD`: which file goes where, as BuildKit has it.
//!
//! The content of a directory is copied, not the directory; a file goes into the destination if that ends with a slash or
//! is a directory. The destination of a directory gets its time; it keeps its other attributes, or is made with mode 755
//! (or what `--chmod` says). Directories below it get the source's.

use super::archive::{self, Unpacking};
use super::mode::ChangeMode;
use super::target::{Content, Target, directory, file};
use crate::build::Error;
use crate::build::content;
use crate::build::files::{Files, components, join, lossy, push, split};
use crate::build::walk::{Ignored, Match, Source};
use knarr_core::store::LayerBuild;
use knarr_core::sys::{self, NodeKind, OwnedAttributes};
use std::path::Path;

/// The times that a build gives to files.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// `SOURCE_DATE_EPOCH`
    pub epoch: Option<i64>,
    /// Of things that have no time of their own.
    pub now: i64,
    /// The epoch is the time of all that is copied, and not only of what comes from a context.
    pub rewrites: bool,
}

impl Clock {
    /// The time of what is made by the build itself.
    pub fn made(&self) -> (i64, u32) {
        (self.epoch.unwrap_or(self.now), 0)
    }
}

/// One `COPY` or `ADD` under way.
pub struct Copying<'a> {
    pub target: &'a mut Target,
    pub layer: &'a LayerBuild,
    /// From the root, without a slash in front.
    pub destination: Vec<u8>,
    /// It is a directory, whether it exists or not.
    pub into_directory: bool,
    pub owner: Option<(u32, u32)>,
    pub mode: Option<&'a ChangeMode>,
    pub exclude: Option<&'a dyn Ignored>,
    pub clock: Clock,
    /// How many archives were unpacked: names of their folders.
    pub unpacked: usize,
}

impl Copying<'_> {
    /// Copies what a pattern matched.
    pub fn take(&mut self, source: &Source, found: &Match, unpack: bool) -> Result<(), Error> {
        self.target.forget_links();
        if found.is_directory {
            let destination = self.destination.clone();
            return self.content(source, found, &destination, false);
        }
        if unpack && self.take_archive(source, found)? {
            return Ok(());
        }
        let path = self.file_path(split(&found.name).1)?;
        self.node(source, found, &path)
    }

    /// Makes the destination a copy of the match, a directory with its own attributes.
    pub fn take_itself(&mut self, source: &Source, found: &Match) -> Result<(), Error> {
        let destination = self.destination.clone();
        match found.is_directory {
            true => self.content(source, found, &destination, true),
            false => self.node(source, found, &destination),
        }
    }

    /// `--parents`: the directories of the match come along, those after the first `skip`.
    pub fn take_with_parents(
        &mut self,
        source: &Source,
        found: &Match,
        skip: usize,
    ) -> Result<(), Error> {
        self.target.forget_links();
        let names: Vec<&[u8]> = components(&found.name).collect();
        let missing = self.made_directory();
        let (mut path, _) = self.target.directory(&self.destination, &missing)?;
        let mut from: Vec<u8> = names[..skip.min(names.len())].join(&b'/');
        let kept = &names[skip.min(names.len())..];
        for name in &kept[..kept.len().saturating_sub(1)] {
            push(&mut from, name);
            push(&mut path, name);
            let attributes = self.attributes_of(source, &from)?;
            let is_there = self.target.kind(&path)? == Some(NodeKind::Directory);
            self.target.make_directory(&path, &self.changed(source, &attributes), !is_there)?;
        }
        if let Some(name) = kept.last() {
            push(&mut path, name);
        }
        match found.is_directory {
            true => self.content(source, found, &path, true),
            false => self.node(source, found, &path),
        }
    }

    /// Makes a file whose content is in the Dockerfile.
    pub fn document(&mut self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.file_path(name.as_bytes())?;
        let attributes = file(0o644, (0, 0), self.clock.made());
        let attributes = self.with_options(attributes);
        self.target.make_node(&path, Content::Bytes(text.as_bytes()), &attributes)
    }

    /// Makes a file that was downloaded.
    pub fn download(
        &mut self,
        name: &str,
        at: &Path,
        modified: Option<i64>,
        unpack: bool,
    ) -> Result<(), Error> {
        if unpack {
            let mut archive = sys::open_itself(at)
                .map_err(|source| Error::Decompress { what: name.to_owned(), source })?;
            let is_archive = archive::is_archive(&mut archive)
                .map_err(|source| Error::Decompress { what: name.to_owned(), source })?;
            if is_archive {
                return self.unpack(archive, name);
            }
        }
        let path = self.file_path(name.as_bytes())?;
        let mtime = modified.map_or(self.clock.made(), |seconds| (seconds, 0));
        let attributes = self.with_options(file(0o600, (0, 0), mtime));
        self.target.make_node(&path, Content::At(at), &attributes)
    }

    fn take_archive(&mut self, source: &Source, found: &Match) -> Result<bool, Error> {
        let failed = source.failed("read", &found.path);
        let Some((_place, entry)) = source.files.entry(&found.path).map_err(&failed)? else {
            return Ok(false);
        };
        if sys::look(&entry.real).map_err(&failed)?.0.special.is_some() {
            return Ok(false);
        }
        let mut file = sys::open_itself(&entry.real).map_err(&failed)?;
        if !archive::is_archive(&mut file).map_err(&failed)? {
            return Ok(false);
        }
        self.unpack(file, &lossy(&found.name))?;
        Ok(true)
    }

    fn unpack(&mut self, file: std::fs::File, what: &str) -> Result<(), Error> {
        self.unpacked += 1;
        let name = format!("unpacked-{}", self.unpacked);
        let (folder, implied) = archive::unpack(self.layer, &name, file, what)?;
        let opened = Files::of_folder(&folder);
        let files = opened.map_err(|source| Error::Decompress { what: what.to_owned(), source })?;
        let label = format!("the archive {what}");
        // its owners are what the archive says, unless --chown names one; --chmod is not about archives, as in BuildKit
        let source = Source { files: &files, ignored: None, label: &label, is_context: false };
        let missing = self.made_directory();
        let (base, _) = self.target.directory(&self.destination, &missing)?;
        let (owner, clock) = (self.owner, self.clock);
        let target = &mut *self.target;
        let mut unpacking = Unpacking { base, implied, elsewhere: Vec::new(), times: Vec::new() };
        target.replaces = true;
        let all = Match::root();
        let result = source.walk(&all, None, &mut |item| {
            let attributes = changed(&source, item.attributes, owner, None, clock);
            unpacking.item(target, item, &attributes)
        });
        target.replaces = false;
        result?;
        target.set_directory_times(unpacking.times)
    }

    /// Where a file of this name goes.
    fn file_path(&mut self, name: &[u8]) -> Result<Vec<u8>, Error> {
        let missing = self.made_directory();
        let destination = self.destination.clone();
        let (path, is_directory) = match self.into_directory {
            true => (self.target.directory(&destination, &missing)?.0, true),
            // a link to a file, or to nothing: what it leads to is made, and the link stays
            false => self.target.file(&destination, &missing)?,
        };
        Ok(if is_directory { join(&path, name) } else { path })
    }

    fn node(&mut self, source: &Source, found: &Match, path: &[u8]) -> Result<(), Error> {
        let Self { target, .. } = self;
        let (owner, mode, clock) = (self.owner, self.mode, self.clock);
        source.walk(found, None, &mut |item| {
            let attributes = changed(source, item.attributes, owner, mode, clock);
            target.make_node(path, Content::At(item.real), &attributes)
        })
    }

    /// Copies what is in a directory. With `as_itself` the directory at the destination is a copy of the source's.
    fn content(
        &mut self,
        source: &Source,
        found: &Match,
        destination: &[u8],
        as_itself: bool,
    ) -> Result<(), Error> {
        let missing = self.made_directory();
        let (parent, name) = split(destination);
        let failed = |e| Error::Content {
            operation: "find",
            path: format!("/{}", lossy(destination)),
            place: "in the image".into(),
            source: e,
        };
        let there = self.target.view().resolve(destination, true).map_err(failed)?;
        let base = match there {
            Some(there) if there.is_directory => there.path,
            Some(_) => return Err(failed(std::io::ErrorKind::NotADirectory.into())),
            None if as_itself => join(&self.target.directory(parent, &missing)?.0, name),
            None => {
                let (base, _) = self.target.directory(destination, &missing)?;
                if self.mode.is_some() {
                    self.target.make_directory(&base, &self.with_options(missing), true)?;
                }
                base
            }
        };
        let (owner, mode, clock, exclude) = (self.owner, self.mode, self.clock, self.exclude);
        let target = &mut *self.target;
        let mut times: Vec<(Vec<u8>, (i64, u32))> = Vec::new();
        source.walk(found, exclude, &mut |item| {
            let attributes = changed(source, item.attributes, owner, mode, clock);
            let path = join(&base, item.path);
            if item.attributes.kind != NodeKind::Directory {
                return target.make_node(&path, Content::At(item.real), &attributes);
            }
            target.make_directory(&path, &attributes, !item.path.is_empty())?;
            // the root has no time in an image
            if !path.is_empty() {
                times.push((path, attributes.mtime));
            }
            Ok(())
        })?;
        target.set_directory_times(times)
    }

    fn attributes_of(&self, source: &Source, path: &[u8]) -> Result<OwnedAttributes, Error> {
        let failed = source.failed("read", path);
        let found = source.files.resolve(path, true).map_err(&failed)?;
        let path = found.map(|found| found.path).unwrap_or_default();
        match source.files.entry(&path).map_err(&failed)? {
            Some((_place, found)) => Ok(sys::look(&found.real).map_err(&failed)?.0),
            None => Ok(self.made_directory()),
        }
    }

    fn changed(&self, source: &Source, attributes: &OwnedAttributes) -> OwnedAttributes {
        changed(source, attributes, self.owner, self.mode, self.clock)
    }

    /// A directory that is made on the way to the destination.
    fn made_directory(&self) -> OwnedAttributes {
        directory(0o755, self.owner.unwrap_or_default(), self.clock.made())
    }

    fn with_options(&self, mut attributes: OwnedAttributes) -> OwnedAttributes {
        if let Some((uid, gid)) = self.owner {
            (attributes.uid, attributes.gid) = (uid, gid);
        }
        if let Some(mode) = self.mode {
            attributes.mode = mode.apply(attributes.mode, attributes.kind == NodeKind::Directory);
        }
        attributes
    }
}

/// The attributes that a copy gets.
fn changed(
    source: &Source,
    attributes: &OwnedAttributes,
    owner: Option<(u32, u32)>,
    mode: Option<&ChangeMode>,
    clock: Clock,
) -> OwnedAttributes {
    let mut attributes = attributes.clone();
    if source.is_context {
        (attributes.uid, attributes.gid) = (0, 0);
        // names of one file outside are names of one file by accident
        attributes.shared = None;
    }
    // when a file was checked out is no property of the source
    if let Some(epoch) = clock.epoch
        && (source.is_context || clock.rewrites)
    {
        attributes.mtime = (epoch, 0);
    }
    if let Some((uid, gid)) = owner {
        (attributes.uid, attributes.gid) = (uid, gid);
    }
    if let Some(mode) = mode
        && attributes.kind != NodeKind::Symlink
    {
        let is_directory = attributes.kind == NodeKind::Directory;
        attributes.mode = mode.apply(attributes.mode, is_directory);
    }
    attributes
}

/// The key of what a copy takes: everything that decides about the layer, but for the layers below.
pub fn add_to_key(
    key: &mut content::Key,
    source: &Source,
    found: &[Match],
    exclude: Option<&dyn Ignored>,
    hashes: Option<&crate::build::cache::hashes::Hashes>,
) -> Result<(), Error> {
    for one in found {
        key.bytes(&one.name).number(one.is_directory.into());
        let exclude = exclude.filter(|_| one.is_directory);
        content::add(key, source, one, exclude, hashes)?;
    }
    Ok(())
}
