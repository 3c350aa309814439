//! Compose files to a project, as Docker Compose loads them.
//!
//! Text becomes a tree with places ([`yaml`]), under limits that no file chooses ([`limits`]). In each file variables are
//! replaced, `include` and then `extends` are resolved; files are merged; the result is checked against the
//! specification, made long, given its defaults, and read into the [`model`](crate::model). Errors name file, line
//! and column.

mod canonical;
mod consistency;
mod defaults;
mod dotenv;
mod error;
mod extends;
mod file;
mod find;
mod include;
mod interpolate;
mod limits;
mod loader;
mod merge;
mod normalise;
mod paths;
mod project;
pub(crate) mod scalar;
mod schema;
mod short;
mod template;
mod trail;
mod unique;
mod warning;
mod yaml;

use std::collections::BTreeMap;
use std::path::PathBuf;

use knarr_core::suggest::nearest;

pub use error::Error;
pub use template::Variable;
pub use warning::Warning;

use crate::model::Project;
use crate::node::{Kind, Node};

/// What a project is loaded from.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Compose files, relative to `current`; `-` is standard input. Without any, `COMPOSE_FILE` names them, or they are
    /// looked for.
    pub files: Vec<String>,
    /// The project's directory, if it is not that of the first file.
    pub directory: Option<PathBuf>,
    /// The project's name, if neither a file nor a variable shall give it.
    pub name: Option<String>,
    /// The profiles to enable; without any, those of `COMPOSE_PROFILES`.
    pub profiles: Vec<String>,
    /// Files of variables instead of `.env`.
    pub env_files: Vec<String>,
    /// The variables of the process.
    pub environment: BTreeMap<String, String>,
    /// Where the user is; absolute.
    pub current: PathBuf,
    /// The services wanted, with those that they need; all if there are none.
    pub services: Vec<String>,
    /// Services that are enabled whatever their profiles.
    pub named: Vec<String>,
    /// Keep networks, volumes and the like that no service uses.
    pub all_resources: bool,
    pub skip: Skip,
}

/// What is left undone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Skip {
    /// Variables stay as they are written.
    pub interpolation: bool,
    /// No default networks, names and dependencies.
    pub normalisation: bool,
    /// References to what does not exist are let be.
    pub consistency: bool,
    /// Relative paths stay relative.
    pub paths: bool,
    /// `env_file` is not read.
    pub environment: bool,
}

/// A project, and what its author should know.
#[derive(Debug)]
pub struct Loaded {
    pub project: Project,
    pub warnings: Vec<Warning>,
}

/// The tree of a project, where it is wanted before it is read into types.
#[derive(Debug)]
pub struct Tree {
    pub root: Node,
    pub warnings: Vec<Warning>,
}

impl Tree {
    /// The variables that the files use, by name: load with [`Skip::interpolation`].
    pub fn variables(&self) -> BTreeMap<String, Variable> {
        fn collect(node: &Node, found: &mut BTreeMap<String, Variable>) {
            match &node.kind {
                Kind::Text(text) => template::variables(text, found),
                Kind::List(list) => list.iter().for_each(|node| collect(node, found)),
                Kind::Map(map) => map.iter().for_each(|(_, entry)| collect(&entry.node, found)),
                _ => {}
            }
        }
        let mut found = BTreeMap::new();
        collect(&self.root, &mut found);
        found
    }
}

/// Loads a project.
pub fn load(options: &Options) -> Result<Loaded, Error> {
    let mut place = find::find(options)?;
    let (root, warnings) = place.tree(options)?;
    project::build(root, place, warnings, options)
}

/// Loads the tree of a project, merged and in long forms.
pub fn tree(options: &Options) -> Result<Tree, Error> {
    let (root, warnings) = find::find(options)?.tree(options)?;
    Ok(Tree { root, warnings: warnings.0 })
}

#[cfg(fuzzing)]
pub(crate) fn text(text: &str, options: &Options) -> Result<Loaded, Error> {
    let mut found = find::find(options)?;
    let mut loader = found.loader(options);
    let source = loader.parse(found.files[0].clone(), text)?;
    let (root, warnings) = found.assemble(vec![source], loader, options)?;
    project::build(root, found, warnings, options)
}

#[cfg(fuzzing)]
pub(crate) fn document(text: &str) -> Option<Node> {
    let documents = yaml::read(text, &"text".into(), &mut limits::Budget::default()).ok()?;
    documents.into_iter().next().map(|document| document.root)
}

/// The name that a project has without being loaded, by `-p` or `COMPOSE_PROJECT_NAME`, if there is one.
pub fn given_name(options: &Options) -> Option<&str> {
    let variable = || options.environment.get("COMPOSE_PROJECT_NAME").map(String::as_str);
    options.name.as_deref().or_else(variable).filter(|name| !name.is_empty())
}
