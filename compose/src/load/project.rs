//! A tree to a project: types, profiles, variables of services, selection.

use std::collections::BTreeMap;

use super::dotenv::{self, Map, Scope};
use super::error::Error;
use super::find::Found;
use super::limits::Budget;
use super::warning::{Warning, Warnings};
use super::{Loaded, Options, consistency, file};
use crate::model::record::plain;
use crate::model::{Field, Project, Service};
use crate::node::{Kind, Node, Place};

/// Reads a tree into a project.
pub(super) fn build(
    root: Node,
    found: Found,
    mut warnings: Warnings,
    options: &Options,
) -> Result<Loaded, Error> {
    let mut project = Project {
        name: found.name,
        directory: found.directory,
        files: found.files.iter().map(|file| file.display().to_string()).collect(),
        environment: found.environment,
        services: section(&root, "services")?,
        networks: section(&root, "networks")?,
        volumes: section(&root, "volumes")?,
        secrets: section(&root, "secrets")?,
        configs: section(&root, "configs")?,
        models: section(&root, "models")?,
        ..Project::default()
    };
    for (name, service) in &mut project.services {
        service.name = name.clone();
    }
    for (key, entry) in root.as_map().iter().flat_map(|map| map.iter()) {
        if key.starts_with("x-") {
            project.extensions.insert(key.to_owned(), plain(&entry.node));
        }
    }
    places(&root, "", &mut project.places);
    project.set_profiles(found.profiles);
    if !options.skip.consistency {
        consistency::check(&mut project)?;
    }
    consistency::warn(&project, &mut warnings);
    let unknown = |missing: crate::model::NoSuchService| {
        let names = project_names(&root);
        let nearest = super::nearest(&missing.name, names).map(str::to_owned);
        Error::Inconsistent { place: None, problem: missing.to_string(), nearest }
    };
    project.enable(&[options.named.as_slice(), &options.services].concat());
    project.select(&options.services).map_err(unknown)?;
    if !options.all_resources {
        project.drop_unused();
    }
    // after the selection: the files of services that nobody wants may be absent
    resolve(&mut project, options, &mut warnings)?;
    Ok(Loaded { project, warnings: warnings.0 })
}

fn project_names(root: &Node) -> impl Iterator<Item = &str> {
    root.get("services").and_then(Node::as_map).into_iter().flat_map(|map| map.keys())
}

fn section<T: Field>(root: &Node, key: &str) -> Result<BTreeMap<String, T>, Error> {
    match root.get(key) {
        Some(node) if !node.is_null() => BTreeMap::read(node).map_err(|e| e.inside(key).into()),
        _ => Ok(BTreeMap::new()),
    }
}

/// Where each key and item stands.
fn places(node: &Node, path: &str, found: &mut BTreeMap<String, Place>) {
    /// Longer ways are nobody's to ask for.
    const LONGEST: usize = 500;
    if path.len() > LONGEST {
        return;
    }
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match &node.kind {
        Kind::Map(map) => {
            for (key, entry) in map.iter() {
                let path = below(key);
                places(&entry.node, &path, found);
                found.insert(path, entry.key.clone());
            }
        }
        Kind::List(list) => {
            for (index, item) in list.iter().enumerate() {
                let path = below(&index.to_string());
                places(item, &path, found);
                found.insert(path, item.place.clone());
            }
        }
        _ => {}
    }
}

/// Reads the files of variables and of labels.
fn resolve(project: &mut Project, options: &Options, warnings: &mut Warnings) -> Result<(), Error> {
    let mut services = std::mem::take(&mut project.services);
    let mut result = Ok(());
    let mut budget = Budget::default();
    for service in services.values_mut() {
        let mut reader = Reader { project, warnings, budget: &mut budget };
        result = match options.skip.environment {
            true => Ok(()),
            false => reader.variables(service),
        };
        result = result.and_then(|()| reader.labels(service));
        if result.is_err() {
            break;
        }
    }
    project.services = services;
    result
}

struct Reader<'a> {
    project: &'a Project,
    warnings: &'a mut Warnings,
    budget: &'a mut Budget,
}

impl Reader<'_> {
    /// The service's own variables go on top of those of its files.
    fn variables(&mut self, service: &mut Service) -> Result<(), Error> {
        for (name, value) in &mut service.environment.0 {
            if value.is_none() {
                *value = self.project.environment.get(name).cloned();
            }
        }
        let own = service.environment.0.clone();
        let mut set: Map = own.iter().filter_map(|(k, v)| Some((k.clone(), v.clone()?))).collect();
        for (index, entry) in service.env_file.iter().enumerate() {
            let place = self.place(&format!("services.{}.env_file.{index}", service.name));
            let text = match file::named(entry.path.as_ref(), &place, "the env_file") {
                Ok(text) => text,
                Err(Error::Missing { .. }) if !entry.required => continue,
                Err(error) => return Err(error),
            };
            let known = |name: &str| self.project.environment.get(name).cloned();
            let lookup = |name: &str| known(name).or_else(|| own.get(name).cloned().flatten());
            let warnings = &mut *self.warnings;
            let mut unset = |name: &str| warnings.add(Warning::Unset { name: name.to_owned() });
            let mut scope = Scope { lookup: &lookup, unset: &mut unset };
            match entry.format.as_str() {
                "" | ".env" => dotenv::read(&text, &entry.path, &mut set, &mut scope)?,
                "raw" => dotenv::read_raw(&text, &entry.path, &mut set, &mut scope)?,
                format => return Err(Error::EnvFileFormat { place, format: format.to_owned() }),
            }
        }
        self.take(&set, &format!("services.{}.env_file", service.name))?;
        service.env_file.clear();
        service.environment.0 = set.into_iter().map(|(name, value)| (name, Some(value))).collect();
        service.environment.0.extend(own);
        Ok(())
    }

    fn labels(&mut self, service: &mut Service) -> Result<(), Error> {
        let mut labels = Map::new();
        for (index, path) in service.label_file.iter().enumerate() {
            let place = self.place(&format!("services.{}.label_file.{index}", service.name));
            let text = file::named(path.as_ref(), &place, "the label_file")?;
            let warnings = &mut *self.warnings;
            let mut unset = |name: &str| warnings.add(Warning::Unset { name: name.to_owned() });
            // the files before count for more than the lines before
            let lookup = |name: &str| labels.get(name).cloned();
            let mut scope = Scope { lookup: &lookup, unset: &mut unset };
            let mut read = Map::new();
            dotenv::read(&text, path, &mut read, &mut scope)?;
            labels.append(&mut read);
        }
        self.take(&labels, &format!("services.{}.label_file", service.name))?;
        service.label_file.clear();
        labels.append(&mut service.labels.0);
        service.labels.0 = labels;
        Ok(())
    }

    /// Counts what was read: one file may be named by all services.
    fn take(&mut self, read: &Map, path: &str) -> Result<(), Error> {
        let bytes = read.iter().map(|(name, value)| name.len() + value.len()).sum();
        let place = self.place(path);
        self.budget.take(read.len(), bytes, &place)
    }

    fn place(&self, path: &str) -> Place {
        let unknown = || Place { file: path.into(), line: 1, column: 1 };
        self.project.place(path).cloned().unwrap_or_else(unknown)
    }
}
