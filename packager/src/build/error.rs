use super::step::{Exit, StepError};
use crate::{archive, dockerfile, registry};
use knarr_core::fsx;
use knarr_core::hint::Hint;
use knarr_core::image::Platform;
use knarr_core::image::platform::InvalidPlatform;
use knarr_core::image::reference::InvalidReference;
use knarr_core::sys;
use knarr_core::{record, store};
use std::io;
use std::path::PathBuf;

/// Why an image was not built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error(transparent)]
    File(#[from] fsx::Error),
    #[error(transparent)]
    Archive(#[from] archive::Error),
    #[error(transparent)]
    Cache(#[from] record::Error),
    /// The instruction that failed, and where it is; `source` says why.
    #[error("cannot build {instruction}\n{excerpt}")]
    Instruction { instruction: String, excerpt: Box<dockerfile::Excerpt>, source: Box<Error> },
    #[error("process {command:?} did not complete successfully: {}", ended(.exit))]
    Step { command: String, exit: Exit },
    #[error("cannot run the step")]
    Runner(#[source] StepError),
    #[error("cannot run the script {command}, which begins with {interpreter:?}")]
    Script { command: String, interpreter: String, source: StepError },
    #[error(transparent)]
    Dockerfile(#[from] dockerfile::Error),
    #[error(transparent)]
    Checks(#[from] dockerfile::lint::Refused),
    #[error("the context has no {}", path.display())]
    NoDockerfile { path: PathBuf },
    #[error("there is no stage {name:?} in the Dockerfile")]
    NoStage { name: String, stages: Vec<String> },
    #[error("FROM {word:?} gives {expanded:?}, which is no name of an image")]
    Base { word: String, expanded: String, source: InvalidReference },
    #[error("FROM {word:?} gives no name at all")]
    EmptyBase { word: String },
    #[error("FROM --platform={word} names no platform: it is empty")]
    EmptyPlatform { word: String },
    #[error("FROM --platform={word} gives {expanded:?}")]
    Platform { word: String, expanded: String, source: InvalidPlatform },
    #[error("the stage {name:?} needs itself")]
    Circle { name: String },
    #[error("cannot get the image {reference}")]
    Pull { reference: String, source: Box<registry::Error> },
    #[error("the image {reference} has no Wasm variant to build on")]
    NativeOnly { reference: String, is_base: bool, source: Box<registry::Error> },
    #[error("the trigger {trigger:?} of the base image cannot be used")]
    Trigger { trigger: String, source: Box<dockerfile::Error> },
    #[error("{path:?} is not in {place}")]
    NotFound { path: String, place: String },
    #[error("{pattern:?} is not a pattern")]
    Pattern { pattern: String },
    #[error(
        "several sources need a folder as destination, and {destination:?} does not end in a slash"
    )]
    NotAFolder { destination: String },
    #[error("cannot {operation} {path:?} {place}")]
    Content { operation: &'static str, path: String, place: String, source: io::Error },
    #[error("{path:?} is a device 0:0, which hides a file in a layer and cannot be in it")]
    Whiteout { path: String },
    #[error("{place} is changed while it is copied")]
    Changing { place: String },
    #[error("{value:?} is not a mode")]
    Mode { value: String },
    #[error("{value:?} is not an owner")]
    Owner { value: String },
    #[error("there is no {kind} {name:?} in {file} of the image")]
    NoSuchOwner { kind: &'static str, name: String, file: &'static str },
    #[error("{option} cannot be used: {reason}")]
    Refused { option: String, reason: &'static str },
    #[error("{instruction} has an invalid value {value:?}: {reason}")]
    Value { instruction: &'static str, value: String, reason: String },
    #[error(transparent)]
    Signal(#[from] knarr_core::signal::InvalidSignal),
    #[error("no secret {id:?} was given")]
    NoSecret { id: String },
    #[error("cannot read the secret {id:?}")]
    Secret { id: String, source: io::Error },
    #[error("no agent {id:?} was given")]
    NoAgent { id: String },
    #[error("cannot download {url}: {reason}")]
    Download { url: String, reason: String },
    #[error("{url} answered {status}")]
    Status { url: String, status: u16 },
    #[error("{what} should have the checksum {expected} and has {found}")]
    Checksum { what: String, expected: String, found: String },
    #[error("{url:?} is no address that can be downloaded")]
    Address { url: String },
    #[error("git {arguments} failed: {message}")]
    Git { arguments: String, message: String },
    #[error("cannot run git")]
    NoGit(#[source] io::Error),
    #[error("cannot unpack {what}")]
    Unpack { what: String, source: Box<store::UnpackError> },
    #[error("cannot read the archive {what}")]
    Decompress { what: String, source: io::Error },
    #[error("{what} is not valid")]
    Malformed { what: String, source: serde_json::Error },
    #[error("cannot write {what}")]
    Write { what: String, source: io::Error },
    #[error("the image of {platform} has no Wasm module as its entrypoint")]
    NotAModule { platform: Platform },
    #[error(transparent)]
    Module(#[from] crate::wasm::InvalidModule),
    #[error("the cache in {reference} cannot be used")]
    RegistryCache { reference: String, source: Box<registry::Error> },
    #[error(transparent)]
    Config(#[from] registry::config::Error),
    /// Another part failed first, or the user gave up.
    #[error("the build was stopped")]
    Cancelled,
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Store(e) => return e.hint(),
            Self::File(e) => return e.hint(),
            Self::Archive(e) => return e.hint(),
            Self::Cache(e) => return e.hint(),
            Self::Instruction { source, .. } => return source.hint(),
            Self::Dockerfile(e) => return e.hint(),
            Self::Checks(e) => return e.hint(),
            Self::Trigger { source, .. } => return source.hint(),
            Self::Step { exit: Exit::OutOfMemory, .. } => {
                "allow the step more with --memory".into()
            }
            Self::Step { .. } => {
                let lacking = sys::lacking_ids()?;
                format!("if it needs other users or groups than yours: {lacking}")
            }
            Self::Script { .. } => {
                "the first line of a script names its interpreter, which must be in the image"
                    .into()
            }
            Self::NoDockerfile { .. } => "name it with -f, or create it there".into(),
            Self::NoStage { stages, .. } if stages.is_empty() => {
                "no stage of this Dockerfile has a name; FROM … AS name gives one".into()
            }
            Self::NoStage { name, stages } => {
                let stages_text = stages.join(", ");
                match knarr_core::suggest::nearest(name, stages.iter().map(String::as_str)) {
                    Some(nearest) => {
                        format!("did you mean {nearest}? the stages are {stages_text}")
                    }
                    None => format!("the stages are {stages_text}"),
                }
            }
            Self::Base { source, .. } => return source.hint(),
            Self::EmptyBase { .. } => {
                "give the ARG a default before the first FROM, or a value with --build-arg".into()
            }
            Self::EmptyPlatform { .. } => {
                "give the ARG a default before the first FROM, or a value with --build-arg; \
                 TARGETPLATFORM and BUILDPLATFORM are always there"
                    .into()
            }
            Self::Platform { source, .. } => return source.hint(),
            Self::Pull { source, .. } => return source.hint(),
            Self::NativeOnly { reference, is_base: true, .. } => two_stages(reference),
            Self::NativeOnly { reference, is_base: false, .. } => format!(
                "take its files from a stage of this machine's platform: \
                 FROM --platform=$BUILDPLATFORM {reference} AS files"
            ),
            Self::NotFound { .. } => {
                "paths are relative to the context, and .dockerignore may exclude them".into()
            }
            Self::NotAFolder { destination } => format!("write it as {destination}/"),
            Self::Mode { .. } => "write it as 755 or as u=rwX,go=rX".into(),
            Self::NoSuchOwner { .. } => "create it in an earlier RUN, or give a number".into(),
            Self::Signal(e) => return e.hint(),
            Self::NoSecret { id } => format!("give it with --secret id={id},src=FILE"),
            Self::NoAgent { id } => format!("give it with --ssh {id}"),
            Self::NoGit(_) => "install git".into(),
            Self::Unpack { source, .. } => return source.hint(),
            Self::Module(e) => return e.hint(),
            Self::RegistryCache { source, .. } => return source.hint(),
            Self::Config(e) => return e.hint(),
            _ => return None,
        })
    }
}

/// One Dockerfile for a Wasm and a native variant.
fn two_stages(native: &str) -> String {
    format!(
        "give each variant a stage of its own, and build both with --platform wasi/wasm,linux/amd64:\n\
         \x20   FROM scratch AS wasi\n\
         \x20   COPY app.wasm /\n\
         \x20   ENTRYPOINT [\"/app.wasm\"]\n\n\
         \x20   FROM {native} AS linux\n\
         \x20   …\n\n\
         \x20   FROM ${{TARGETOS}}"
    )
}

fn ended(exit: &Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit code: {code}"),
        Exit::Signal(signal) => format!("killed by signal {signal}"),
        Exit::OutOfMemory => "killed, out of memory".into(),
    }
}
