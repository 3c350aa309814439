//! Which files, which variables, which name: what is known of a project before it is loaded.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::dotenv::{self, Scope};
use super::error::Error;
use super::interpolate::Interpolation;
use super::limits::Budget;
use super::loader::{Loader, Set, Source};
use super::paths::clean;
use super::trail::Trail;
use super::warning::{Warning, Warnings};
use super::{Options, file, normalise};
use crate::node::{Kind, Node};

/// The names that are looked for, the better ones first.
const FILES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
/// The files that go on top of those.
const OVERRIDES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// A project that has been found.
pub(crate) struct Found {
    /// Absolute, or `-`.
    pub files: Vec<PathBuf>,
    pub directory: PathBuf,
    pub environment: BTreeMap<String, String>,
    pub profiles: Vec<String>,
    pub name: String,
    warnings: Warnings,
    /// The name is the user's: no file changes it.
    is_named: bool,
}

/// Finds the files of a project, and the variables for them.
pub(crate) fn find(options: &Options) -> Result<Found, Error> {
    let mut found = Found {
        files: options.files.iter().map(|file| absolute(&options.current, file)).collect(),
        directory: PathBuf::new(),
        environment: options.environment.clone(),
        profiles: Vec::new(),
        name: String::new(),
        warnings: Warnings::default(),
        is_named: false,
    };
    let current = options.current.display().to_string();
    found.environment.entry("PWD".into()).or_insert(current);
    found.read_env(options)?;
    if found.files.is_empty()
        && let Some(list) = found.environment.get("COMPOSE_FILE")
    {
        let separator = found.environment.get("COMPOSE_PATH_SEPARATOR");
        let separator = separator.filter(|s| !s.is_empty()).map_or(":", String::as_str);
        let files = list.split(separator).map(|file| absolute(&options.current, file));
        found.files = files.collect();
    }
    if found.files.is_empty() {
        found.look_for(&found.directory_by(options))?;
        // the files may be in a folder above, which has variables of its own
        found.read_env(options)?;
    }
    found.directory = found.directory_by(options);
    found.profiles = options.profiles.clone();
    if found.profiles.is_empty() {
        let listed = found.environment.get("COMPOSE_PROFILES").map_or("", String::as_str);
        let names = listed.split(',').map(str::trim).filter(|name| !name.is_empty());
        found.profiles = names.map(str::to_owned).collect();
    }
    let name = options.name.as_ref().or_else(|| found.environment.get("COMPOSE_PROJECT_NAME"));
    if let Some(name) = name.filter(|name| !name.is_empty()) {
        if normal_name(name) != *name {
            return Err(Error::ProjectName { name: name.clone() });
        }
        found.is_named = true;
        found.name = name.clone();
    } else {
        let folder = found.directory.file_name().unwrap_or_default().to_string_lossy();
        found.name = normal_name(&folder);
    }
    Ok(found)
}

fn absolute(current: &Path, file: &str) -> PathBuf {
    if file == "-" {
        return file.into();
    }
    clean(&current.join(file).to_string_lossy()).into()
}

/// A name with only what names of projects may have.
fn normal_name(name: &str) -> String {
    let lower = name.to_lowercase();
    let kept = lower.chars().filter(|c| matches!(c, 'a'..='z' | '0'..='9' | '_' | '-'));
    kept.collect::<String>().trim_start_matches(['_', '-']).to_owned()
}

impl Found {
    /// The directory given, that of the first file, or the user's.
    fn directory_by(&self, options: &Options) -> PathBuf {
        if let Some(directory) = &options.directory {
            return absolute(&options.current, &directory.to_string_lossy());
        }
        let first = self.files.iter().find(|file| file.as_os_str() != "-");
        let folder = first.and_then(|file| file.parent());
        folder.unwrap_or(&options.current).to_owned()
    }

    /// Reads the files of variables. What is set already stays.
    fn read_env(&mut self, options: &Options) -> Result<(), Error> {
        let mut files: Vec<PathBuf> =
            options.env_files.iter().map(|file| absolute(&options.current, file)).collect();
        if files.is_empty() {
            let switch = options.environment.get("COMPOSE_DISABLE_ENV_FILE");
            let off = match switch.map(|text| text.to_ascii_lowercase()).as_deref() {
                None | Some("0" | "f" | "false") => false,
                Some("1" | "t" | "true") => true,
                Some(text) => {
                    let variable = "COMPOSE_DISABLE_ENV_FILE";
                    return Err(Error::Switch { variable, text: text.to_owned() });
                }
            };
            let path = self.directory_by(options).join(".env");
            if !off && path.exists() && !path.is_dir() {
                files.push(path);
            }
        }
        let mut read = BTreeMap::new();
        for path in files {
            let text = file::given(&path, "the file of variables")?;
            let shown = path.display().to_string();
            let lookup = |name: &str| self.environment.get(name).cloned();
            let warnings = &mut self.warnings;
            let mut unset = |name: &str| warnings.add(Warning::Unset { name: name.to_owned() });
            let mut scope = Scope { lookup: &lookup, unset: &mut unset };
            dotenv::read(&text, &shown, &mut read, &mut scope)?;
        }
        for (name, value) in read {
            self.environment.entry(name).or_insert(value);
        }
        Ok(())
    }

    /// Looks for files here and in the folders above.
    fn look_for(&mut self, from: &Path) -> Result<(), Error> {
        for folder in from.ancestors() {
            let Some(file) = self.one_of(folder, &FILES) else { continue };
            self.files.push(file);
            let over = self.one_of(folder, &OVERRIDES);
            self.files.extend(over);
            return Ok(());
        }
        Err(Error::NoFile { directory: from.to_owned() })
    }

    fn one_of(&mut self, folder: &Path, names: &[&str]) -> Option<PathBuf> {
        let mut there = names.iter().map(|name| folder.join(name)).filter(|path| path.exists());
        let taken = there.next()?;
        let left: Vec<String> = there.map(|path| path.display().to_string()).collect();
        if !left.is_empty() {
            let taken = taken.display().to_string();
            self.warnings.add(Warning::SeveralFiles { taken, left });
        }
        Some(taken)
    }

    /// What reads the files.
    pub fn loader(&mut self, options: &Options) -> Loader {
        Loader {
            interpolate: !options.skip.interpolation,
            home: self.environment.get("HOME").cloned(),
            current: options.current.clone(),
            budget: Budget::default(),
            warnings: std::mem::take(&mut self.warnings),
        }
    }

    /// Reads the files into one tree, and settles the name.
    pub fn tree(&mut self, options: &Options) -> Result<(Node, Warnings), Error> {
        let mut loader = self.loader(options);
        let mut sources = Vec::new();
        for path in &self.files {
            sources.push(loader.read(path.clone(), None)?);
        }
        self.assemble(sources, loader, options)
    }

    /// As [`Found::tree`], of files that have been read.
    pub fn assemble(
        &mut self,
        sources: Vec<Source>,
        mut loader: Loader,
        options: &Options,
    ) -> Result<(Node, Warnings), Error> {
        self.name_from(&sources, &mut loader, options)?;
        let name = self.name.clone();
        self.environment.insert("COMPOSE_PROJECT_NAME".into(), name);
        let first = sources.first().map(|source| source.shown.to_string()).unwrap_or_default();
        // Compose leaves variables alone altogether where it does not replace them
        let none = BTreeMap::new();
        let set = Set {
            directory: self.directory.clone(),
            base: self.directory.display().to_string(),
            environment: if loader.interpolate { &self.environment } else { &none },
            resolve_paths: !options.skip.paths,
            chain: Vec::new(),
        };
        let mut root = loader.model(sources, &set)?;
        if root.as_map().is_none_or(crate::node::Map::is_empty) {
            return Err(Error::Empty { file: first });
        }
        if self.name.is_empty() {
            return Err(Error::NoName);
        }
        if !options.skip.normalisation {
            normalise::normalise(&mut root, &self.name, set.environment);
        }
        Ok((root, loader.warnings))
    }

    /// A name in a file holds unless the user has given one; that of the last file wins.
    fn name_from(
        &mut self,
        sources: &[Source],
        loader: &mut Loader,
        options: &Options,
    ) -> Result<(), Error> {
        if self.is_named {
            return Ok(());
        }
        let documents = sources.iter().flat_map(|source| &source.documents);
        let mut names = documents.filter_map(|document| document.root.get("name"));
        let last = names.rfind(|node| node.as_str().is_some_and(|name| !name.is_empty()));
        let Some(mut node) = last.cloned() else { return Ok(()) };
        if !options.skip.interpolation {
            let lookup = |name: &str| self.environment.get(name).cloned();
            let (warnings, budget) = (&mut loader.warnings, &mut loader.budget);
            let mut variables = Interpolation { lookup: &lookup, warnings, budget };
            variables.apply(&mut node, &mut Trail::of(&["name"]))?;
        }
        if let Kind::Text(name) = node.kind {
            self.name = match options.skip.normalisation {
                true => name,
                false => normal_name(&name),
            };
        }
        Ok(())
    }
}
