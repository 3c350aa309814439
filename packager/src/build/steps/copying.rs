//! `COPY` and `ADD` as steps: what they take decides about the key, then it is copied.

use super::copy::{Copying, add_to_key};
use super::owner;
use super::target::Target;
use crate::build::cache::hashes::Hashes;
use crate::build::content::Key;
use crate::build::context::{Opened, excluding};
use crate::build::execute::{Build, State};
use crate::build::files::{Files, clean, components, lossy, split};
use crate::build::glob;
use crate::build::plan::{Copy, CopySource, Origin, Step};
use crate::build::progress::{Event, VertexId};
use crate::build::remote::{Download, Downloads, Repository};
use crate::build::stage::{Made, StageBuilder, StepKey};
use crate::build::walk::{Ignored, Match, Source};
use crate::build::{Error, plan};
use knarr_core::image::Digest;
use knarr_core::store::LayerBuild;
use std::path::PathBuf;

/// A source that is ready: found, downloaded, or at a known commit.
enum Ready {
    Found { pattern: String, matches: Vec<Match> },
    Document { name: String, text: String },
    Download(Download),
    Repository { repository: Repository, commit: String, keep_git_dir: bool },
}

/// Where the files of a step come from.
pub enum Tree<'a> {
    Context(&'a Opened),
    /// Layers, and what their files are known by: the chain id of the topmost.
    Layers {
        files: Files,
        label: String,
        chain: Option<Digest>,
    },
}

impl Tree<'_> {
    pub fn source(&self) -> Source<'_> {
        match self {
            Self::Context(context) => context.source(),
            Self::Layers { files, label, .. } => {
                Source { files, ignored: None, label, is_context: false }
            }
        }
    }

    pub fn hashes(&self) -> Option<&Hashes> {
        match self {
            Self::Context(context) => context.hashes.as_ref(),
            Self::Layers { .. } => None,
        }
    }
}

/// Opens what a step takes files from, waiting for a stage if it must.
pub fn open<'a>(stage: &StageBuilder<'a>, origin: &Origin) -> Result<Tree<'a>, Error> {
    let build: &'a Build<'a> = stage.build;
    let label = plan::print::origin(stage.variant, origin);
    Ok(match origin {
        Origin::Context => Tree::Context(build.context),
        Origin::Named(name) => match build.contexts.get(name) {
            Some(context) => Tree::Context(context),
            None => {
                return Err(Error::NotFound {
                    path: name.clone(),
                    place: "--build-context".into(),
                });
            }
        },
        Origin::Stage(at) => {
            let state = stage.slots.wait(*at)?;
            let chain = state.chain().cloned();
            Tree::Layers { files: Files::Layers(build.trees(&state)?), label, chain }
        }
        Origin::Image(at) => {
            let image = &stage.variant.images[*at];
            let chains = knarr_core::store::building::chains_of(&image.config)?;
            let chain = chains.last().cloned();
            Tree::Layers { files: Files::Layers(build.image_trees(image)?), label, chain }
        }
    })
}

pub fn run(
    stage: &StageBuilder,
    step: &Step,
    vertex: VertexId,
    copy: &Copy,
    state: &mut State,
) -> Result<(), Error> {
    let tree = open(stage, &copy.origin)?;
    let source = tree.source();
    let exclude = excluding(&copy.exclude)?;
    let ready = copy
        .sources
        .iter()
        .map(|one| prepare(stage, vertex, &source, copy.parents, exclude.as_deref(), one))
        .collect::<Result<Vec<_>, Error>>()?;
    check_destination(stage, step, copy, &ready);

    let key = key(stage, copy, &tree, exclude.as_deref(), &ready)?;
    let key = match copy.link {
        true => {
            let mut full = stage.key("linked");
            full.text(key.as_ref());
            StepKey { independent: Some(key), full: stage.on_top(full, state) }
        }
        false => {
            let mut full = stage.key("copied");
            full.text(key.as_ref());
            StepKey { independent: None, full: stage.on_top(full, state) }
        }
    };
    stage.cached(step, vertex, &key, state, &mut |layer, state| {
        let before = content_key(&tree, exclude.as_deref(), &ready)?;
        make(stage, layer, state, copy, &source, exclude.as_deref(), &ready)?;
        // what was changed while it was copied must not be found under the key of what it was before
        if content_key(&tree, exclude.as_deref(), &ready)? != before {
            return Err(Error::Changing { place: source.label.to_owned() });
        }
        Ok(Made::Changes)
    })
}

fn prepare(
    stage: &StageBuilder,
    vertex: VertexId,
    source: &Source,
    parents: bool,
    exclude: Option<&dyn Ignored>,
    one: &CopySource,
) -> Result<Ready, Error> {
    Ok(match one {
        CopySource::Path(pattern) => {
            let mut matches = source.matches(pattern, parents)?;
            if parents {
                let skip = skipped(pattern);
                for found in &mut matches {
                    let names: Vec<&[u8]> = components(&found.name).skip(skip).collect();
                    found.prefix = names.join(&b'/');
                }
            }
            if let Some(exclude) = exclude {
                matches.retain(|found| !is_excluded(exclude, pattern, found));
            }
            Ready::Found { pattern: pattern.clone(), matches }
        }
        CopySource::Document { name, text } => {
            Ready::Document { name: name.clone(), text: text.clone() }
        }
        CopySource::Url { url, checksum } => {
            let downloads = Downloads::open(stage.build.cache.root())?;
            let progress = |done: u64, total: Option<u64>| {
                let text = match total {
                    Some(total) => format!("{done} of {total} bytes"),
                    None => format!("{done} bytes"),
                };
                stage.build.report.event(Event::Status { vertex, id: url, text: &text });
            };
            let cancellation = &stage.build.services.cancellation;
            let checksum = checksum.as_deref();
            Ready::Download(downloads.get(url, checksum, cancellation, &progress)?)
        }
        CopySource::Git { url, keep_git_dir, checksum } => {
            let repository = Repository::parse(url)?;
            let commit = repository.commit()?;
            if let Some(expected) = checksum
                && !(expected.len() >= 7 && commit.starts_with(&expected.to_ascii_lowercase()))
            {
                return Err(Error::Checksum {
                    what: url.clone(),
                    expected: expected.clone(),
                    found: commit,
                });
            }
            Ready::Repository { repository, commit, keep_git_dir: *keep_git_dir }
        }
    })
}

/// How many names of a source `--parents` leaves out: those before `/./`.
fn skipped(pattern: &str) -> usize {
    let pivot = pattern.split_once("/./").map(|(before, _)| clean(before.as_bytes()));
    pivot.map_or(0, |before| components(&before).count())
}

/// Whether `--exclude` is about a match itself. Its patterns are about what is in a directory that is named; of what a
/// pattern matched, and of a file, they are about the name, and about the path from where the pattern begins.
fn is_excluded(exclude: &dyn Ignored, pattern: &str, found: &Match) -> bool {
    let keeps = |path: &[u8]| {
        path.is_empty()
            || !exclude.is_ignored(path)
            || (found.is_directory && exclude.may_keep_below(path))
    };
    if !found.prefix.is_empty() {
        return !keeps(&found.prefix);
    }
    if found.is_directory && !glob::is_pattern(pattern) {
        return false;
    }
    let clean = clean(pattern.as_bytes());
    let plain = components(&clean).take_while(|name| !glob::is_pattern(&lossy(name))).count();
    let names: Vec<&[u8]> = components(&found.name).collect();
    let fixed = plain.min(names.len().saturating_sub(1));
    !keeps(split(&found.name).1) || !keeps(&names[fixed..].join(&b'/'))
}

/// Several files that a pattern matched, and one file to go to: BuildKit copies one over the other.
fn check_destination(stage: &StageBuilder, step: &Step, copy: &Copy, ready: &[Ready]) {
    let files = |one: &Ready| match one {
        Ready::Found { matches, .. } => matches.iter().filter(|m| !m.is_directory).count(),
        _ => 1,
    };
    let count: usize = ready.iter().map(files).sum();
    if count > 1 && !copy.into_directory && !copy.parents {
        let to = &copy.destination;
        let message = format!(
            "{count} files are copied to {to}, one over the other unless that is a folder: write {to}/"
        );
        let line = Some(step.line());
        stage.build.report.event(Event::Warning { message: &message, line, url: None });
    }
}

/// What is taken and what becomes of it, but not what it is put on.
fn key(
    stage: &StageBuilder,
    copy: &Copy,
    tree: &Tree,
    exclude: Option<&dyn Ignored>,
    ready: &[Ready],
) -> Result<Digest, Error> {
    let mut key = stage.key("copy");
    key.text(&copy.destination).number(copy.into_directory.into());
    key.text(copy.chown.as_deref().unwrap_or_default());
    key.text(&copy.chmod.as_ref().map(|mode| format!("{mode:?}")).unwrap_or_default());
    key.number(copy.parents.into()).number(copy.unpack.into());
    key.number(copy.unpack_downloads.into());
    key.texts(copy.exclude.iter().map(String::as_str));
    if copy.parents {
        key.texts(ready.iter().filter_map(|one| match one {
            Ready::Found { pattern, .. } => Some(pattern.as_str()),
            _ => None,
        }));
    }
    let content = match tree {
        Tree::Context(_) => content_key(tree, exclude, ready)?,
        // layers never change: what was computed once holds
        Tree::Layers { chain, .. } => {
            let mut known = Key::new("content of layers");
            known.text(chain.as_ref().map(Digest::as_ref).unwrap_or_default());
            known.texts(copy.exclude.iter().map(String::as_str));
            for one in ready {
                if let Ready::Found { matches, .. } = one {
                    for found in matches {
                        known.bytes(&found.name).bytes(&found.path);
                    }
                }
            }
            stage.build.cache.digest(&known.finish(), || content_key(tree, exclude, ready))?
        }
    };
    key.text(content.as_ref());
    Ok(key.finish())
}

fn content_key(
    tree: &Tree,
    exclude: Option<&dyn Ignored>,
    ready: &[Ready],
) -> Result<Digest, Error> {
    let mut key = Key::new("content");
    for one in ready {
        match one {
            Ready::Found { matches, .. } => {
                add_to_key(&mut key, &tree.source(), matches, exclude, tree.hashes())?;
            }
            Ready::Document { name, text } => {
                key.text(name).text(text);
            }
            Ready::Download(download) => {
                key.text(&download.name).text(&download.digest);
                key.number(download.modified.unwrap_or_default() as u64);
            }
            Ready::Repository { repository, commit, keep_git_dir } => {
                key.text(commit).text(repository.folder.as_deref().unwrap_or_default());
                key.number((*keep_git_dir).into());
                if *keep_git_dir {
                    key.text(&repository.url);
                }
            }
        }
    }
    Ok(key.finish())
}

fn make(
    stage: &StageBuilder,
    layer: &LayerBuild,
    state: &State,
    copy: &Copy,
    source: &Source,
    exclude: Option<&dyn Ignored>,
    ready: &[Ready],
) -> Result<(), Error> {
    let below: Vec<PathBuf> = stage.build.trees(state)?;
    let owner = match &copy.chown {
        None => None,
        Some(text) => Some(owner::resolve(text, &Files::Layers(below.clone()))?),
    };
    // a linked layer is the same whatever is below, so it looks at nothing there
    let trees = if copy.link { Vec::new() } else { below };
    let mut target = Target::new(layer, &trees)?;
    let mut copying = Copying {
        target: &mut target,
        layer,
        destination: clean(copy.destination.as_bytes()),
        into_directory: copy.into_directory,
        owner,
        mode: copy.chmod.as_ref(),
        exclude,
        clock: stage.build.clock,
        unpacked: 0,
    };
    for one in ready {
        stage.check()?;
        match one {
            Ready::Found { pattern, matches } => {
                let skip = skipped(pattern);
                for found in matches {
                    match copy.parents {
                        true => copying.take_with_parents(source, found, skip)?,
                        false => copying.take(source, found, copy.unpack && source.is_context)?,
                    }
                }
            }
            Ready::Document { name, text } => copying.document(name, text)?,
            Ready::Download(download) => {
                let downloads = Downloads::open(stage.build.cache.root())?;
                let path = downloads.path(download);
                let (name, time) = (&download.name, download.modified);
                copying.download(name, &path, time, copy.unpack_downloads)?;
            }
            Ready::Repository { repository, commit, keep_git_dir } => {
                take_repository(&mut copying, repository, commit, *keep_git_dir)?;
            }
        }
    }
    Ok(())
}

fn take_repository(
    copying: &mut Copying,
    repository: &Repository,
    commit: &str,
    keep_git_dir: bool,
) -> Result<(), Error> {
    copying.unpacked += 1;
    let folder = copying.layer.scratch(&format!("repository-{}", copying.unpacked))?;
    repository.check_out(commit, &folder, keep_git_dir)?;
    let label = format!("the repository {}", repository.url);
    let failed = |source| Error::Content {
        operation: "open",
        path: folder.display().to_string(),
        place: format!("of {label}"),
        source,
    };
    let files = Files::of_folder(&folder).map_err(failed)?;
    let source = Source { files: &files, ignored: None, label: &label, is_context: true };
    for found in source.matches(repository.folder.as_deref().unwrap_or("/"), false)? {
        copying.take(&source, &found, false)?;
    }
    Ok(())
}
