//! Why files are no project.

use std::path::PathBuf;

use knarr_core::fsx;
use knarr_core::hint::Hint;

use crate::model::Invalid;
use crate::node::Place;

/// Why files are no project.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no compose file in {} or above", directory.display())]
    NoFile { directory: PathBuf },
    #[error(transparent)]
    File(#[from] fsx::Error),
    #[error("cannot find out where the current directory is")]
    CurrentDirectory(#[source] std::io::Error),
    #[error("{}{} is no regular file", from(.named), path.display())]
    NotRegular { named: Option<Place>, path: PathBuf },
    #[error("{}{} is larger than {limit} bytes", from(.named), path.display())]
    TooLarge { named: Option<Place>, path: PathBuf, limit: u64 },
    #[error("{}{what} {} does not exist", from(.named), path.display())]
    Missing { named: Option<Place>, what: &'static str, path: PathBuf },
    #[error("{}cannot read {}", from(.named), path.display())]
    Read { named: Option<Place>, path: PathBuf, source: std::io::Error },
    #[error("{file} is not UTF-8 (byte {at})")]
    NotText { file: String, at: usize },
    #[error("the files of the project include or extend each other more than {limit} times")]
    TooManyFiles { limit: usize },

    #[error("{place}: {message}")]
    Yaml { place: Place, message: String },
    #[error("{place}: more than {} levels inside each other", super::limits::DEPTH)]
    TooDeep { place: Place },
    #[error("{place}: the file is too large here, with its aliases and variables expanded")]
    TooMuch { place: Place },
    #[error("{place}: this alias is inside of what it stands for")]
    AliasCycle { place: Place },
    #[error("{place}: the key '{}' is there twice, at {first} as well", short(.key))]
    DuplicateKey { place: Place, key: String, first: Place },
    #[error("{place}: keys must be text, this is {found}")]
    KeyKind { place: Place, found: &'static str },
    #[error("{place}: '<<' takes a mapping or a list of mappings")]
    MergeKind { place: Place },
    #[error("{place}: '{}' is no {tag}", short(.text))]
    Tag { place: Place, text: String, tag: String },
    #[error("{file} says nothing: there must be services")]
    Empty { file: String },

    #[error("{place}: {path}: '{}' has a '${{' that begins no variable", short(.text))]
    Template { place: Place, path: String, text: String },
    #[error("{place}: {path}: the variable {name} is not set{}", because(.reason))]
    Required { place: Place, path: String, name: String, reason: String },
    #[error("{place}: {path}: '{}' is no {expected}", short(.text))]
    Cast { place: Place, path: String, text: String, expected: &'static str },
    #[error("{file}, line {line}: {message}")]
    EnvFile { file: String, line: usize, message: String },
    #[error("{file}: the variable {name} is not set{}", because(.reason))]
    EnvFileRequired { file: String, name: String, reason: String },
    #[error("{place}: unknown format of an env_file: '{format}'")]
    EnvFileFormat { place: Place, format: String },

    #[error("{place}: unknown key '{}' in {path}", short(.key))]
    UnknownKey {
        place: Place,
        path: String,
        key: String,
        nearest: Option<&'static str>,
        /// All there are, where the author may add none of their own.
        known: Option<Vec<&'static str>>,
    },
    #[error("{place}: '{}' is no name for {path}: letters, digits, '.', '_' and '-' only", short(.key))]
    KeyName { place: Place, path: String, key: String },
    #[error("{place}: {path} is {found}, must be {expected}")]
    Kind { place: Place, path: String, expected: String, found: &'static str },
    #[error("{place}: {path} must be one of: {allowed}")]
    Choice { place: Place, path: String, allowed: String, nearest: Option<&'static str> },
    #[error("{place}: {path} must be between {low} and {high}")]
    Range { place: Place, path: String, low: i128, high: String },
    #[error("{place}: {path} is missing")]
    MissingKey { place: Place, path: String },
    #[error("{place}: {path} has the same item twice, at {first} as well")]
    Repeated { place: Place, path: String, first: Place },
    #[error("{place}: {path} is '{}', which is no {expected}", short(.text))]
    Form { place: Place, path: String, text: String, expected: &'static str },

    #[error("{place}: {path} cannot take the place of what is at {base}, which is of another kind")]
    Override { place: Place, path: String, base: Place },
    #[error("{place}: {path} is there already, at {first}")]
    Conflict { place: Place, path: String, first: Place },
    #[error("{place}: {path}: {problem}")]
    Short { place: Place, path: String, problem: String },
    #[error(transparent)]
    Invalid(#[from] Invalid),

    #[error("{}", cycle(.what, .steps))]
    Cycle { what: &'static str, steps: Vec<(Place, String)> },
    #[error("{place}: there is no service '{service}' in {file} to extend")]
    NoBase { place: Place, service: String, file: String, nearest: Option<String> },
    #[error("{place}: {what} on the network ({reference}) cannot be read")]
    Remote { place: Place, what: &'static str, reference: String },

    #[error("{}{problem}", from(.place))]
    Inconsistent { place: Option<Place>, problem: String, nearest: Option<String> },

    #[error(
        "'{name}' is no name for a project: lower-case letters, digits, '-' and '_', beginning with a letter or digit"
    )]
    ProjectName { name: String },
    #[error("the project has no name")]
    NoName,
    #[error("{variable} must be true or false, not '{text}'")]
    Switch { variable: &'static str, text: String },
}

/// What a file says, as much as belongs into a message.
pub(super) fn short(text: &str) -> String {
    const MOST: usize = 100;
    match text.char_indices().nth(MOST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

fn from(place: &Option<Place>) -> String {
    place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default()
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

fn cycle(what: &str, steps: &[(Place, String)]) -> String {
    let lines: Vec<String> =
        steps.iter().map(|(place, target)| format!("{place}: {what} {target}")).collect();
    format!("a cycle:\n  {}", lines.join("\n  "))
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        let nearest = match self {
            Self::NoFile { .. } => {
                return Some(
                    "name one with -f, or go to the folder that has a compose.yaml".into(),
                );
            }
            Self::File(error) => return error.hint(),
            Self::Template { .. } => {
                return Some("write $${ for a '${' that stands for itself".into());
            }
            Self::Required { name, .. } | Self::EnvFileRequired { name, .. } => {
                return Some(format!("set {name} in the environment or in the file .env"));
            }
            Self::Remote { .. } => {
                return Some("fetch it into the project, and name the path".into());
            }
            Self::NoName => return Some("give one with -p".into()),
            Self::UnknownKey { key, nearest, known, .. } => {
                return match (nearest, known) {
                    (Some(nearest), _) => Some(format!("did you mean '{nearest}'?")),
                    (None, Some(known)) => Some(format!("its keys are {}", known.join(", "))),
                    (None, None) => (!key.starts_with("x-"))
                        .then(|| format!("a key of your own begins with 'x-': x-{key}")),
                };
            }
            Self::Choice { nearest, .. } => nearest.map(str::to_owned),
            Self::NoBase { nearest, .. } | Self::Inconsistent { nearest, .. } => nearest.clone(),
            _ => None,
        };
        nearest.map(|nearest| format!("did you mean '{nearest}'?"))
    }
}
