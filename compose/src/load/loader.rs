//! Files on top of each other: reading, variables, `include`, `extends`, merging, long forms.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::canonical::Canonical;
use super::error::Error;
use super::interpolate::Interpolation;
use super::limits::Budget;
use super::paths::Paths;
use super::trail::Trail;
use super::warning::{Warning, Warnings};
use super::yaml::{self, Document};
use super::{defaults, file, merge, schema, unique};
use crate::model::Secret;
use crate::node::{Kind, Map, Node, Place};

/// What is shared by all files of one project.
pub(crate) struct Loader {
    /// Whether variables are replaced.
    pub interpolate: bool,
    pub home: Option<String>,
    /// For showing paths.
    pub current: PathBuf,
    pub budget: Budget,
    pub warnings: Warnings,
}

/// A set of files that are merged: those of the project, or those of one `include`.
pub(crate) struct Set<'a> {
    /// What relative paths are relative to in files, absolute.
    pub directory: PathBuf,
    /// The same as it is written into the result: relative to the including set's directory.
    pub base: String,
    pub environment: &'a BTreeMap<String, String>,
    pub resolve_paths: bool,
    /// The files that are being included, from the first one on, with the places that name them.
    pub chain: Vec<(Place, PathBuf)>,
}

/// A file that has been read.
pub(crate) struct Source {
    /// Absolute, or `-`.
    pub path: PathBuf,
    pub shown: Arc<str>,
    pub documents: Vec<Document>,
}

/// What is done with a file.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Purpose {
    Project,
    /// It holds a service that another one extends: what it includes and extends is no matter yet, nor is its form.
    Base,
}

impl Loader {
    /// A file as the user sees it: relative to where they are, if it is below.
    pub fn shown(&self, path: &Path) -> Arc<str> {
        let below = path.strip_prefix(&self.current).ok().filter(|p| !p.as_os_str().is_empty());
        below.unwrap_or(path).display().to_string().into()
    }

    /// Reads a file; `named` is the place that names it, if no user does.
    pub fn read(&mut self, path: PathBuf, named: Option<&Place>) -> Result<Source, Error> {
        self.budget.file()?;
        let text = match (named, path.to_str()) {
            (Some(place), _) => file::named(&path, place, "the file")?,
            (None, Some("-")) => file::stream(std::io::stdin().lock())?,
            (None, _) => file::given(&path, "the file")?,
        };
        self.parse(path, &text)
    }

    pub fn parse(&mut self, path: PathBuf, text: &str) -> Result<Source, Error> {
        let shown = self.shown(&path);
        let documents = yaml::read(text, &shown, &mut self.budget)?;
        Ok(Source { path, shown, documents })
    }

    /// The tree that a set of files makes, with defaults, and with paths resolved.
    pub fn model(&mut self, sources: Vec<Source>, set: &Set) -> Result<Node, Error> {
        let mut model = None;
        for source in sources {
            model = Some(self.add(source, model, set, Purpose::Project)?.0);
        }
        let Some(mut model) = model else { return Err(Error::Empty { file: set.base.clone() }) };
        defaults::fill(&mut model, &mut Trail::default());
        defaults::check(&model, &mut Trail::default())?;
        if set.resolve_paths {
            self.resolve(&mut model, &set.base)?;
        }
        environment(&mut model, set.environment);
        Ok(model)
    }

    pub(super) fn resolve(&self, model: &mut Node, base: &str) -> Result<(), Error> {
        let paths = Paths { base, home: self.home.as_deref() };
        paths.resolve(model, &mut Trail::default())
    }

    /// Puts a file on top of what is there. Gives the result, and what the file's last document takes away.
    pub(super) fn add(
        &mut self,
        source: Source,
        model: Option<Node>,
        set: &Set,
        purpose: Purpose,
    ) -> Result<(Node, Vec<Trail>), Error> {
        let place = Place { file: source.shown.clone(), line: 1, column: 1 };
        let mut model = model.unwrap_or_else(|| Node::new(place, Kind::Map(Map::new())));
        let mut taken = Vec::new();
        for document in source.documents {
            model =
                self.document(document.root, &document.taken, model, set, &source.path, purpose)?;
            taken = document.taken;
        }
        Ok((model, taken))
    }

    fn document(
        &mut self,
        mut root: Node,
        taken: &[Trail],
        mut model: Node,
        set: &Set,
        path: &Path,
        purpose: Purpose,
    ) -> Result<Node, Error> {
        if root.as_map().is_none() {
            return Err(Error::Kind {
                place: root.place.clone(),
                path: "the file".into(),
                expected: "a mapping".into(),
                found: root.kind_name(),
            });
        }
        if self.interpolate {
            let lookup = |name: &str| set.environment.get(name).cloned();
            let (warnings, budget) = (&mut self.warnings, &mut self.budget);
            let mut variables = Interpolation { lookup: &lookup, warnings, budget };
            variables.apply(&mut root, &mut Trail::default())?;
        }
        if purpose == Purpose::Project {
            self.include(&mut root, taken, set, path)?;
        }
        take(&mut model, taken);
        if purpose == Purpose::Project {
            self.extend_all(&mut root, taken, set, path)?;
        }
        let mut trail = Trail::default();
        let mut model = merge::merge(model, root, &mut trail)?;
        unique::enforce(&mut model, &mut trail)?;
        if purpose == Purpose::Project {
            schema::check(&model)?;
            if let Some(map) = model.as_map_mut() {
                if let Some(entry) = map.entry("version") {
                    self.warnings.add(Warning::Version { place: entry.key.clone() });
                }
                map.remove("version");
            }
        }
        let lenient = !self.interpolate;
        let (warnings, budget) = (&mut self.warnings, &mut self.budget);
        Canonical { lenient, warnings, budget }.apply(&mut model, &mut trail)?;
        omit_empty(&mut model);
        unique::enforce(&mut model, &mut trail)?;
        Ok(model)
    }
}

/// Takes away what `!reset` and `!override` name.
pub(super) fn take(model: &mut Node, taken: &[Trail]) {
    for trail in taken {
        let Some((last, parents)) = trail.parts().split_last() else { continue };
        let parent = parents.iter().try_fold(&mut *model, |node, key| node.get_mut(key));
        if let Some(map) = parent.and_then(Node::as_map_mut) {
            map.remove(last);
        }
    }
}

/// Empty servers of names are none.
fn omit_empty(model: &mut Node) {
    let Some(services) = model.get_mut("services").and_then(Node::as_map_mut) else { return };
    for (_, entry) in services.iter_mut() {
        if let Some(Kind::List(list)) = entry.node.get_mut("dns").map(|node| &mut node.kind) {
            list.retain(|item| !item.is_null() && item.as_str() != Some(""));
        }
    }
}

/// Variables that services name without a value, and those that hold configs and secrets, take their values from the
/// set's environment: that of an include is known only here.
fn environment(model: &mut Node, environment: &BTreeMap<String, String>) {
    let each = |model: &mut Node, kind: &str, run: &dyn Fn(&mut Node)| {
        if let Some(map) = model.get_mut(kind).and_then(Node::as_map_mut) {
            map.iter_mut().for_each(|(_, entry)| run(&mut entry.node));
        }
    };
    each(model, "services", &|service| {
        let Some(Kind::List(list)) = service.get_mut("environment").map(|node| &mut node.kind)
        else {
            return;
        };
        for line in list.iter_mut().filter_map(|item| match &mut item.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }) {
            if let Some(value) = environment.get(line.as_str()) {
                *line = format!("{line}={value}");
            }
        }
    });
    for (kind, key) in [("secrets", Secret::CONTENT), ("configs", "content")] {
        each(model, kind, &|object| {
            let Some(place) = object.get("environment").map(|node| node.place.clone()) else {
                return;
            };
            let value = object.str_at("environment").and_then(|name| environment.get(name));
            if let (Some(value), Some(map)) = (value, object.as_map_mut()) {
                map.set(key, Node::text(place, value.clone()));
            }
        });
    }
}
