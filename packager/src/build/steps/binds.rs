//! The mounts of a `RUN`: what they show is found, copied or unlocked before it runs.

use super::copy::{Copying, add_to_key};
use super::copying::{Tree, open};
use super::target::{Target, directory};
use crate::build::Error;
use crate::build::cache::mounts::{self, CacheMount, Identity};
use crate::build::content::Key;
use crate::build::files::{Files, clean, to_path};
use crate::build::options::Secret;
use crate::build::plan::{Origin, RunMount};
use crate::build::stage::StageBuilder;
use crate::build::step::{StepMount, StepMountKind};
use crate::build::walk::{Match, Source};
use crate::dockerfile::Owner;
use knarr_core::image::Digest;
use knarr_core::store::LayerBuild;
use knarr_core::store::snapshot::Snapshot;
use knarr_core::sys;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The mounts of one step, and what has to live as long as it runs.
#[derive(Default)]
pub struct Mounted {
    pub mounts: Vec<StepMount>,
    pub env: Vec<String>,
    caches: Vec<CacheMount>,
    /// Copies of contexts; they go with the step.
    copies: Vec<LayerBuild>,
}

/// Adds what decides about the result: names and contents, never a secret's value or what a cache holds.
pub fn add_keys(stage: &StageBuilder, mounts: &[RunMount], key: &mut Key) -> Result<(), Error> {
    key.number(mounts.len() as u64);
    for mount in mounts {
        match mount {
            RunMount::Bind { origin, source, target, read_only } => {
                key.text("bind").text(target).number((*read_only).into());
                let tree = open(stage, origin)?;
                let files = tree.source();
                let matches = vec![single(&files, source)?];
                match &tree {
                    Tree::Layers { chain, .. } => {
                        // the layers say it all, and cost no reading
                        let chain = chain.as_ref().map(|c| c.to_string()).unwrap_or_default();
                        key.text(&chain).text(source);
                    }
                    Tree::Context(_) => {
                        add_to_key(key, &files, &matches, None, tree.hashes())?;
                    }
                }
            }
            RunMount::Cache { id, target, read_only, .. } => {
                key.text("cache").text(id).text(target).number((*read_only).into());
            }
            RunMount::Tmpfs { target, .. } => {
                key.text("tmpfs").text(target);
            }
            RunMount::Secret { id, target, env, .. } => {
                key.text("secret").text(id);
                key.text(target.as_deref().unwrap_or_default());
                key.text(env.as_deref().unwrap_or_default());
            }
            RunMount::Ssh { id, target, .. } => {
                key.text("ssh").text(id).text(target);
            }
        }
    }
    Ok(())
}

/// The one thing that a mount shows.
fn single(source: &Source, path: &str) -> Result<Match, Error> {
    let path = if path.is_empty() { "/" } else { path };
    // no pattern: a mount names one place
    let clean = clean(path.as_bytes());
    let failed = source.failed("find", &clean);
    let found = source.files.resolve(&clean, true).map_err(failed)?;
    let found = found
        .ok_or_else(|| Error::NotFound { path: path.to_owned(), place: source.label.to_owned() })?;
    Ok(Match {
        name: clean,
        path: found.path,
        is_directory: found.is_directory,
        prefix: Vec::new(),
    })
}

/// Makes everything ready.
pub fn mount(
    stage: &StageBuilder,
    layer: &LayerBuild,
    wanted: &[RunMount],
) -> Result<Mounted, Error> {
    let mut mounted = Mounted::default();
    for (number, mount) in wanted.iter().enumerate() {
        let (target, kind) = match mount {
            RunMount::Bind { origin, source, target, read_only } => {
                (target, bind(stage, layer, &mut mounted, number, (origin, source, *read_only))?)
            }
            RunMount::Cache { id, origin, source, target, read_only, sharing, owner } => {
                let seed = match origin {
                    Some(origin) => Some(Seed::find(stage, origin, source)?),
                    None => None,
                };
                let digest = seed.as_ref().map(|seed| &seed.digest);
                let identity = Identity { id, owner: *owner, seed: digest };
                let root = stage.build.cache.root();
                let cache = mounts::take(root, identity, *sharing, &mut |folder| {
                    make_cache(stage, folder, seed.as_ref(), *owner)
                })?;
                let kind =
                    StepMountKind::Bind { source: cache.folder.clone(), read_only: *read_only };
                mounted.caches.push(cache);
                (target, kind)
            }
            RunMount::Tmpfs { target, size } => (target, StepMountKind::Tmpfs { size: *size }),
            RunMount::Secret { id, target, env, required, owner } => {
                let Some(value) = secret(stage, id)? else {
                    if *required {
                        return Err(Error::NoSecret { id: id.clone() });
                    }
                    continue;
                };
                if let Some(name) = env {
                    let text = String::from_utf8_lossy(&value);
                    mounted.env.push(format!("{name}={text}"));
                }
                let Some(target) = target else { continue };
                let kind = StepMountKind::Secret {
                    content: Arc::from(value),
                    uid: owner.uid.unwrap_or(0),
                    gid: owner.gid.unwrap_or(0),
                    mode: owner.mode.unwrap_or(0o400),
                };
                (target, kind)
            }
            RunMount::Ssh { id, target, required, owner } => {
                let Some(socket) = stage.build.options.ssh.get(id) else {
                    if *required {
                        return Err(Error::NoAgent { id: id.clone() });
                    }
                    continue;
                };
                mounted.env.retain(|entry| !entry.starts_with("SSH_AUTH_SOCK="));
                mounted.env.push(format!("SSH_AUTH_SOCK={target}"));
                let kind = StepMountKind::Ssh {
                    socket: socket.clone(),
                    uid: owner.uid.unwrap_or(0),
                    gid: owner.gid.unwrap_or(0),
                    mode: owner.mode.unwrap_or(0o600),
                };
                (target, kind)
            }
        };
        mounted.mounts.push(StepMount { target: target.clone(), kind });
    }
    Ok(mounted)
}

fn secret(stage: &StageBuilder, id: &str) -> Result<Option<Vec<u8>>, Error> {
    let failed = |source| Error::Secret { id: id.to_owned(), source };
    match stage.build.options.secrets.get(id) {
        None => Ok(None),
        Some(Secret::File(path)) => {
            knarr_core::fsx::read(path).map(Some).map_err(|e| failed(e.source))
        }
        Some(Secret::Variable(name)) => match std::env::var_os(name) {
            Some(value) => Ok(Some(value.into_encoded_bytes())),
            None => Err(failed(io::ErrorKind::NotFound.into())),
        },
    }
}

fn bind(
    stage: &StageBuilder,
    layer: &LayerBuild,
    mounted: &mut Mounted,
    number: usize,
    (origin, source, read_only): (&Origin, &str, bool),
) -> Result<StepMountKind, Error> {
    let tree = open(stage, origin)?;
    let files = tree.source();
    let found = single(&files, source)?;
    if let Tree::Layers { files: Files::Layers(trees), .. } = &tree {
        let folder = |name: &str| layer.scratch(&format!("mount-{number}-{name}"));
        // made by the mount itself, with the attributes of the root below
        let upper = folder("parts")?.join("upper");
        let (work, target) = (folder("work")?, folder("rootfs")?);
        let rootfs = Snapshot { lower: trees.clone(), upper, work, target };
        let sub = String::from_utf8_lossy(&found.path).into_owned();
        return Ok(StepMountKind::Overlay { rootfs, sub, read_only });
    }
    // what .dockerignore leaves out must not be seen, nor the host's owners: a copy is mounted
    let copy = copied(stage, &tree, &found)?;
    let source = copy.upper().join("source");
    mounted.copies.push(copy);
    Ok(StepMountKind::Bind { source, read_only })
}

/// A copy of a part of a tree, as `source` in a layer that is never finished.
fn copied(stage: &StageBuilder, tree: &Tree, found: &Match) -> Result<LayerBuild, Error> {
    let copy = stage.build.store.build_layer()?;
    let mut target = Target::new(&copy, &[])?;
    let mut copying = Copying {
        target: &mut target,
        layer: &copy,
        destination: b"source".to_vec(),
        into_directory: false,
        owner: None,
        mode: None,
        exclude: None,
        clock: stage.build.clock,
        unpacked: 0,
    };
    copying.take_itself(&tree.source(), found)?;
    if found.is_directory {
        // what has no layers, or is no context at all, has not even a root directory
        let made = directory(0o755, (0, 0), stage.build.clock.made());
        target.make_directory(b"source", &made, false)?;
    }
    Ok(copy)
}

/// What a new cache is to hold at first.
struct Seed<'a> {
    tree: Tree<'a>,
    found: Match,
    digest: Digest,
}

impl<'a> Seed<'a> {
    fn find(stage: &StageBuilder<'a>, origin: &Origin, source: &str) -> Result<Self, Error> {
        let tree = open(stage, origin)?;
        let found = single(&tree.source(), source)?;
        let mut key = Key::new("seed");
        match &tree {
            Tree::Layers { chain, .. } => {
                let chain = chain.as_ref().map(Digest::as_ref).unwrap_or_default();
                key.text(chain).bytes(&found.path);
            }
            Tree::Context(_) => {
                let one = std::slice::from_ref(&found);
                add_to_key(&mut key, &tree.source(), one, None, tree.hashes())?;
            }
        }
        Ok(Self { tree, found, digest: key.finish() })
    }
}

/// Fills the folder of a new cache. It looks like the directory that it begins with, but for what the mount says itself.
fn make_cache(
    stage: &StageBuilder,
    folder: &Path,
    seed: Option<&Seed>,
    owner: Owner,
) -> Result<(), Error> {
    let failed = |operation| {
        move |source| Error::Content {
            operation,
            path: folder.display().to_string(),
            place: "of a cache mount".into(),
            source,
        }
    };
    let mut attributes = directory(0o755, (0, 0), stage.build.clock.made());
    if let Some(seed) = seed.filter(|seed| seed.found.is_directory) {
        let copy = copied(stage, &seed.tree, &seed.found)?;
        let from = copy.upper().join("source");
        attributes = sys::attributes_of(&from).map_err(failed("read"))?;
        for name in sys::names(&from).map_err(failed("list"))? {
            let name = to_path(&name);
            knarr_core::fsx::rename(&from.join(&name), &folder.join(&name))?;
        }
    }
    attributes.uid = owner.uid.unwrap_or(attributes.uid);
    attributes.gid = owner.gid.unwrap_or(attributes.gid);
    attributes.mode = owner.mode.unwrap_or(attributes.mode);
    let tree = sys::Tree::open(folder, sys::is_superuser()).map_err(failed("open"))?;
    tree.set_attributes(tree.root(), &attributes.borrow()).map_err(failed("create"))
}
