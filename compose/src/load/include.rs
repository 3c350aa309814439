//! `include`: what other projects' files declare.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::dotenv::{self, Scope};
use super::error::Error;
use super::loader::{Loader, Set, take};
use super::paths::{is_remote, join, relative};
use super::trail::Trail;
use super::warning::Warning;
use super::{file, merge, schema};
use crate::node::{Kind, Map, Node, Place};

/// Includes inside each other.
const DEPTH: usize = 50;
/// What is taken over from included files.
const KINDS: [&str; 6] = ["services", "volumes", "networks", "secrets", "configs", "models"];

impl Loader {
    /// Replaces the `include` of a document with what it stands for; the document's own declarations go on top.
    pub(super) fn include(
        &mut self,
        root: &mut Node,
        taken: &[Trail],
        set: &Set,
        path: &Path,
    ) -> Result<(), Error> {
        let Some(map) = root.as_map_mut() else { return Ok(()) };
        let Some(entry) = map.entry("include") else { return Ok(()) };
        let (key, list) = (entry.key.clone(), entry.node.clone());
        map.remove("include");
        if list.is_null() {
            return Ok(());
        }
        let place = list.place.clone();
        let mut alone = Map::new();
        alone.insert("include", key, list.clone());
        schema::check(&Node::new(place, Kind::Map(alone)))?;
        let mut imported = HashSet::new();
        for item in list.as_list().unwrap_or_default() {
            let model = self.included(item, set, path)?;
            import(root, model, taken, &mut imported)?;
        }
        Ok(())
    }

    /// What the files of one item declare.
    fn included(&mut self, item: &Node, set: &Set, path: &Path) -> Result<Node, Error> {
        let paths = texts(if item.as_map().is_some() { item.get("path") } else { Some(item) });
        let Some((place, _)) = paths.first().cloned() else {
            let place = item.place.clone();
            return Err(Error::MissingKey { place, path: "include.path".into() });
        };
        let here = set.directory.display().to_string();
        let absolute = |path: &str| match path.starts_with('/') {
            true => PathBuf::from(path),
            false => PathBuf::from(join(&here, path)),
        };
        let mut files = Vec::new();
        for (place, reference) in paths {
            if is_remote(&reference) {
                return Err(Error::Remote { place, what: "a file", reference });
            }
            files.push((place, absolute(&reference)));
        }
        let chain = chain(set, &place, path, &files[0].1)?;
        let (directory, base) = match item.str_at("project_directory").filter(|d| !d.is_empty()) {
            Some(given) if given.starts_with('/') => (PathBuf::from(given), given.to_owned()),
            given => {
                let own = || files[0].1.parent().unwrap_or(Path::new("/")).to_owned();
                let directory = given.map_or_else(own, absolute);
                let base = relative(&set.directory, &directory);
                (directory, base)
            }
        };
        let mut sources = Vec::new();
        for (place, path) in &files {
            sources.push(self.read(path.clone(), Some(place))?);
        }
        let environment = self.variables(item, set, &directory, &absolute)?;
        let environment = &environment;
        let inner = Set { directory, base, environment, resolve_paths: true, chain };
        self.model(sources, &inner)
    }

    /// The variables of an include: those of the including files, then those of its own files.
    fn variables(
        &mut self,
        item: &Node,
        set: &Set,
        directory: &Path,
        absolute: &dyn Fn(&str) -> PathBuf,
    ) -> Result<BTreeMap<String, String>, Error> {
        let given = texts(item.get("env_file"));
        let mut files: Vec<(Place, PathBuf)> = Vec::new();
        if given.is_empty() {
            let path = directory.join(".env");
            if path.exists() && !path.is_dir() {
                files.push((item.place.clone(), path));
            }
        }
        // an empty file is how people say "none"
        let given = given.into_iter().filter(|(_, path)| path != "/dev/null");
        files.extend(given.map(|(place, path)| (place, absolute(&path))));
        let mut found = BTreeMap::new();
        for (place, path) in files {
            self.budget.file()?;
            let text = file::named(&path, &place, "the env_file")?;
            let shown = self.shown(&path);
            let lookup = |name: &str| set.environment.get(name).cloned();
            let warnings = &mut self.warnings;
            let mut unset = |name: &str| warnings.add(Warning::Unset { name: name.to_owned() });
            let mut scope = Scope { lookup: &lookup, unset: &mut unset };
            dotenv::read(&text, &shown, &mut found, &mut scope)?;
        }
        found.extend(set.environment.clone());
        Ok(found)
    }
}

/// A text or a list of texts, with their places.
fn texts(node: Option<&Node>) -> Vec<(Place, String)> {
    let text = |node: &Node| node.as_str().map(|text| (node.place.clone(), text.to_owned()));
    match node {
        None => Vec::new(),
        Some(node) => match node.as_list() {
            Some(list) => list.iter().filter_map(text).collect(),
            None => text(node).into_iter().collect(),
        },
    }
}

/// The chain of files with one more, unless that is in it.
fn chain(set: &Set, place: &Place, from: &Path, to: &Path) -> Result<Vec<(Place, PathBuf)>, Error> {
    let mut chain = set.chain.clone();
    if chain.is_empty() {
        let place = Place { file: place.file.clone(), line: 1, column: 1 };
        chain.push((place, from.to_owned()));
    }
    chain.push((place.clone(), to.to_owned()));
    if let Some(start) = chain[..chain.len() - 1].iter().position(|(_, path)| path == to) {
        let steps = chain[start + 1..].iter();
        let steps =
            steps.map(|(place, path)| (place.clone(), path.display().to_string())).collect();
        return Err(Error::Cycle { what: "includes", steps });
    }
    if chain.len() > DEPTH {
        return Err(Error::TooDeep { place: place.clone() });
    }
    Ok(chain)
}

/// Adds what was included. What the document declares itself goes on top; two includes must not differ.
fn import(
    root: &mut Node,
    model: Node,
    taken: &[Trail],
    imported: &mut HashSet<(&'static str, String)>,
) -> Result<(), Error> {
    let (Some(target), Kind::Map(mut model)) = (root.as_map_mut(), model.kind) else {
        return Ok(());
    };
    for kind in KINDS {
        let Some(Node { place, kind: Kind::Map(resources) }) = model.remove(kind) else { continue };
        if target.get(kind).is_none_or(Node::is_null) {
            target.set(kind, Node::new(place, Kind::Map(Map::new())));
        }
        // of another kind: the schema says so
        let Some(own) = target.get_mut(kind).and_then(Node::as_map_mut) else { continue };
        for (name, entry) in resources {
            let Some(known) = own.entry(&name) else {
                own.insert(name.clone(), entry.key, entry.node);
                imported.insert((kind, name));
                continue;
            };
            if known.node.same(&entry.node) {
                continue;
            }
            if imported.contains(&(kind, name.clone())) {
                let (place, first) = (entry.key, known.key.clone());
                return Err(Error::Conflict { place, path: format!("{kind}.{name}"), first });
            }
            let (key, over) = (known.key.clone(), known.node.clone());
            let mut trail = Trail::of(&[kind, &name]);
            let below: Vec<Trail> = taken.iter().filter_map(|t| t.below(&trail)).collect();
            let mut base = entry.node;
            take(&mut base, &below);
            own.insert(name, key, merge::merge(base, over, &mut trail)?);
        }
    }
    Ok(())
}
