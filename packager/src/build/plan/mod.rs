//! The plan of a build: what is done for each platform, in which order, and what on. Making it touches nothing; base
//! images are asked for through [`Images`]. Printed, it is what golden tests compare.

mod args;
mod config;
mod copy;
mod instruction;
mod planner;
pub mod print;
mod run;
mod valid;

pub use args::DEFAULT_PATH;
pub(crate) use config::health as healthcheck;
pub use planner::plan;

use super::Error;
use super::options::StepNetwork;
use super::steps::mode::ChangeMode;
use crate::dockerfile::{self, Sharing, Source, Span};
use knarr_core::image::config::History;
use knarr_core::image::{Digest, ImageConfig, Platform};

/// Where the planner learns about images that stages start from.
pub trait Images {
    fn get(&self, reference: &str, platform: &Platform) -> Result<BaseImage, Error>;
}

/// An image that a stage starts from, or that files are copied from.
#[derive(Debug, Clone, PartialEq)]
pub struct BaseImage {
    /// In full.
    pub reference: String,
    /// Of the index, or of the manifest if there is only that.
    pub digest: Digest,
    pub manifest: Digest,
    pub config: ImageConfig,
    pub platform: Platform,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub variants: Vec<VariantPlan>,
    pub warnings: Vec<String>,
}

/// What is done for one platform.
#[derive(Debug, Clone, PartialEq)]
pub struct VariantPlan {
    pub platform: Platform,
    /// Only those that are needed; a stage comes after those it starts from or copies from.
    pub stages: Vec<StagePlan>,
    /// Images that files are copied from.
    pub images: Vec<BaseImage>,
}

impl VariantPlan {
    /// The stage that becomes the image.
    pub fn target(&self) -> &StagePlan {
        // a plan has at least this one
        &self.stages[self.stages.len() - 1]
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct StagePlan {
    /// In the Dockerfile, from 0.
    pub number: usize,
    pub name: Option<String>,
    pub platform: Platform,
    pub base: Base,
    /// Those that may change files.
    pub steps: Vec<Step>,
    pub history: Vec<PlannedHistory>,
    /// As the stage leaves it, without layers and history.
    pub config: ImageConfig,
    pub no_cache: bool,
    /// Neither it nor a stage it starts from began with an image.
    pub from_scratch: bool,
    /// Line of its `FROM`, from 1.
    pub line: usize,
}

impl StagePlan {
    /// What progress calls it: `build`, `stage-2`.
    pub fn label(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("stage-{}", self.number))
    }
}

/// What a stage starts from.
#[derive(Debug, Clone, PartialEq)]
pub enum Base {
    Scratch,
    /// Index into [`VariantPlan::stages`].
    Stage(usize),
    Image(Box<BaseImage>),
}

/// One line of the image's history that the stage adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedHistory {
    pub created_by: String,
    /// The step that makes its layer; `None`: it has none.
    pub step: Option<usize>,
}

impl PlannedHistory {
    pub fn entry(&self, created: &str, empty_layer: bool) -> History {
        History {
            created: Some(created.to_owned()),
            created_by: Some(self.created_by.clone()),
            comment: Some("buildkit.dockerfile.v0".into()),
            empty_layer,
            author: None,
        }
    }
}

/// An instruction that may change files.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// As it stands in the Dockerfile, on one line, variables replaced.
    pub name: String,
    /// Where it stands; a trigger has a source of its own.
    pub source: Source,
    pub span: Span,
    pub operation: Operation,
}

impl Step {
    /// From 1.
    pub fn line(&self) -> usize {
        self.source.line(self.span.start)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Operation {
    Run(Box<Run>),
    Copy(Box<Copy>),
    /// Makes a directory, if it is not there.
    Workdir {
        path: String,
        /// Whom it belongs to then, as `USER` has it.
        user: String,
    },
}

/// Where files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Context,
    /// `--build-context`
    Named(String),
    /// Index into [`VariantPlan::stages`].
    Stage(usize),
    /// Index into [`VariantPlan::images`].
    Image(usize),
}

#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub args: Vec<String>,
    /// The command as it was written, for messages.
    pub shown: String,
    pub script: Option<Script>,
    /// Sorted; decides about the result.
    pub env: Vec<(String, String)>,
    /// Proxies: set, but no part of the key.
    pub proxies: Vec<(String, String)>,
    pub cwd: String,
    pub user: String,
    pub mounts: Vec<RunMount>,
    pub network: StepNetwork,
}

/// A document that begins with `#!`: an executable file in [`SCRIPTS`] while its step runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    pub name: String,
    pub text: String,
}

/// Where a step finds its script, as in BuildKit.
pub const SCRIPTS: &str = "/dev/pipes";

#[derive(Debug, Clone, PartialEq)]
pub enum RunMount {
    Bind {
        origin: Origin,
        source: String,
        target: String,
        read_only: bool,
    },
    Cache {
        id: String,
        origin: Option<Origin>,
        source: String,
        target: String,
        read_only: bool,
        sharing: Sharing,
        owner: dockerfile::Owner,
    },
    Tmpfs {
        target: String,
        size: Option<u64>,
    },
    Secret {
        id: String,
        target: Option<String>,
        env: Option<String>,
        required: bool,
        owner: dockerfile::Owner,
    },
    Ssh {
        id: String,
        target: String,
        required: bool,
        owner: dockerfile::Owner,
    },
}

impl RunMount {
    /// Where it is, absolute. `None`: a secret that is no file.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Bind { target, .. }
            | Self::Cache { target, .. }
            | Self::Tmpfs { target, .. }
            | Self::Ssh { target, .. } => Some(target),
            Self::Secret { target, .. } => target.as_deref(),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Copy {
    pub sources: Vec<CopySource>,
    pub origin: Origin,
    /// Absolute.
    pub destination: String,
    /// It is a directory whether it exists or not.
    pub into_directory: bool,
    pub chown: Option<String>,
    pub chmod: Option<ChangeMode>,
    pub exclude: Vec<String>,
    pub parents: bool,
    /// The layer does not depend on those below.
    pub link: bool,
    /// Archives of the context are unpacked.
    pub unpack: bool,
    /// Downloaded ones as well.
    pub unpack_downloads: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopySource {
    /// A path or pattern in the origin.
    Path(String),
    Document {
        name: String,
        text: String,
    },
    Url {
        url: String,
        checksum: Option<String>,
    },
    Git {
        url: String,
        keep_git_dir: bool,
        checksum: Option<String>,
    },
}
