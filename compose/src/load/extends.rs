//! `extends`: a service on top of another one, of the same file or of another.

use std::path::Path;
use std::sync::Arc;

use super::error::Error;
use super::limits::DEPTH;
use super::loader::{Loader, Purpose, Set, take};
use super::merge;
use super::paths::{is_remote, join, relative};
use super::trail::Trail;
use crate::node::{Map, Node, Place};

/// The services of one file, while they are being extended.
struct File<'a> {
    services: &'a mut Map,
    path: Arc<Path>,
    shown: Arc<str>,
    /// What the file takes away from the services that its own extend.
    taken: &'a [Trail],
}

/// One step of a chain of services: the file and service, and the place of `extends`.
struct Step {
    path: Arc<Path>,
    service: String,
    place: Place,
    target: String,
}

impl Loader {
    /// Extends the services of a document.
    pub(super) fn extend_all(
        &mut self,
        root: &mut Node,
        taken: &[Trail],
        set: &Set,
        path: &Path,
    ) -> Result<(), Error> {
        let shown = self.shown(path);
        let Some(services) = root.get_mut("services").and_then(Node::as_map_mut) else {
            // the schema says what is wrong
            return Ok(());
        };
        let names: Vec<String> = services.keys().map(str::to_owned).collect();
        let mut file = File { services, path: path.into(), shown, taken };
        for name in names {
            self.extend(&name, &mut file, set, &mut Vec::new())?;
        }
        Ok(())
    }

    /// Extends one service, which then extends nothing any more.
    fn extend(
        &mut self,
        name: &str,
        file: &mut File,
        set: &Set,
        chain: &mut Vec<Step>,
    ) -> Result<(), Error> {
        let Some(entry) = file.services.entry(name) else { return Ok(()) };
        let key = entry.key.clone();
        let Some(extends) = entry.node.get("extends") else { return Ok(()) };
        let place = extends.place.clone();
        let Some(base) = extends.as_str().or_else(|| extends.str_at("service")) else {
            let path = format!("services.{name}.extends.service");
            return Err(Error::MissingKey { place, path });
        };
        let base = base.to_owned();
        let other = extends.get("file").map(|node| (node.place.clone(), node.scalar()));
        let target = match &other {
            Some((_, Some(path))) => format!("{base} of {path}"),
            _ => base.clone(),
        };
        check_cycle(chain, file, name, &place, target)?;
        let source = match other {
            Some((place, Some(reference))) => {
                let (mut services, taken, path) = self.base_file(&reference, &place, set)?;
                let shown = self.shown(&path);
                let mut file = File { services: &mut services, path, shown, taken: &taken };
                self.base(&base, &mut file, &place, set, chain)?
            }
            _ => self.base(&base, file, &place, set, chain)?,
        };
        chain.pop();
        let Some(mut service) = file.services.get(name).cloned() else { return Ok(()) };
        if let Some(map) = service.as_map_mut() {
            map.remove("extends");
        }
        let service = match source {
            None => service,
            Some(mut source) => {
                self.budget.copy(&source, &place)?;
                let own = Trail::of(&["services", name]);
                let taken: Vec<Trail> = file.taken.iter().filter_map(|t| t.below(&own)).collect();
                take(&mut source, &taken);
                let mut trail = Trail::of(&["services", name]);
                merge::merge(source, service, &mut trail)?
            }
        };
        file.services.insert(name, key, service);
        Ok(())
    }

    /// The service that is extended, after it has extended others.
    fn base(
        &mut self,
        name: &str,
        file: &mut File,
        place: &Place,
        set: &Set,
        chain: &mut Vec<Step>,
    ) -> Result<Option<Node>, Error> {
        if !file.services.contains(name) {
            let nearest = super::nearest(name, file.services.keys()).map(str::to_owned);
            return Err(Error::NoBase {
                place: place.clone(),
                service: name.to_owned(),
                file: file.shown.to_string(),
                nearest,
            });
        }
        self.extend(name, file, set, chain)?;
        Ok(file.services.get(name).filter(|service| service.as_map().is_some()).cloned())
    }

    /// The services of another file, with paths relative to the set's directory.
    fn base_file(
        &mut self,
        reference: &str,
        place: &Place,
        set: &Set,
    ) -> Result<(Map, Vec<Trail>, Arc<Path>), Error> {
        if is_remote(reference) {
            let (place, reference) = (place.clone(), reference.to_owned());
            return Err(Error::Remote { place, what: "a file", reference });
        }
        let directory = set.directory.display().to_string();
        let path = match reference.starts_with('/') {
            true => reference.to_owned(),
            false => join(&directory, reference),
        };
        let source = self.read(path.into(), Some(place))?;
        let path: Arc<Path> = source.path.as_path().into();
        let (mut model, taken) = self.add(source, None, set, Purpose::Base)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        self.resolve(&mut model, &relative(&set.directory, folder))?;
        let services = model.as_map_mut().and_then(|map| map.remove("services"));
        match services.map(|node| node.kind) {
            Some(crate::node::Kind::Map(services)) => Ok((services, taken, path)),
            _ => Ok((Map::new(), taken, path)),
        }
    }
}

/// Adds a step, unless it leads back.
fn check_cycle(
    chain: &mut Vec<Step>,
    file: &File,
    name: &str,
    place: &Place,
    target: String,
) -> Result<(), Error> {
    let same = |step: &Step| step.path == file.path && step.service == name;
    if let Some(start) = chain.iter().position(same) {
        let steps = &chain[start..];
        let steps = steps.iter().map(|step| (step.place.clone(), step.target.clone())).collect();
        return Err(Error::Cycle { what: "extends", steps });
    }
    if chain.len() >= DEPTH {
        return Err(Error::TooDeep { place: place.clone() });
    }
    chain.push(Step {
        path: file.path.clone(),
        service: name.to_owned(),
        place: place.clone(),
        target,
    });
    Ok(())
}
