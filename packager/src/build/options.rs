//! What a build is asked to do. Plain data: the command line fills it in, and nothing of it is looked up elsewhere.

use knarr_core::image::variant::Runnable;
use knarr_core::image::{Platform, Reference};
use knarr_core::spec::limits::Limits;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One build.
#[derive(Debug, Clone)]
pub struct Options {
    pub context: Context,
    pub dockerfile: DockerfileSource,
    /// `--build-context NAME=…`: what `FROM NAME` and `--from=NAME` mean before stages and images are looked at.
    pub contexts: BTreeMap<String, Context>,
    pub tags: Vec<Reference>,
    /// A stage's name or number; `None`: the last stage.
    pub target: Option<String>,
    /// `--build-arg`. One without a value was looked up in the environment by the caller, and left out if absent.
    pub args: BTreeMap<String, String>,
    /// The variants to make, in the order of the index. Empty: what the Dockerfile's first comment says, else this
    /// machine's own platform.
    pub platforms: Vec<Platform>,
    /// What this machine runs; its first native platform is `BUILDPLATFORM`.
    pub runnable: Runnable,
    pub labels: BTreeMap<String, String>,
    pub annotations: Vec<Annotation>,
    pub no_cache: NoCache,
    /// Asks the registry for a newer version of each base image.
    pub pull: bool,
    /// By id.
    pub secrets: BTreeMap<String, Secret>,
    /// `--ssh`: id to the socket of an agent.
    pub ssh: BTreeMap<String, PathBuf>,
    /// For each `RUN` that says nothing else.
    pub network: StepNetwork,
    /// `--add-host`: name and address.
    pub hosts: Vec<(String, String)>,
    /// Of each `RUN`.
    pub limits: Limits,
    /// Empty: the image goes into the store, under its tags.
    pub outputs: Vec<Output>,
    pub cache_from: Vec<CacheSource>,
    pub cache_to: Vec<CacheTarget>,
    /// Bytes that the cache may keep after this build; `None`: a tenth of the disk (see [`super::cache`]).
    pub cache_limit: Option<u64>,
    /// `SOURCE_DATE_EPOCH`, in seconds: the only time that appears in what is made, and the latest of any file.
    pub source_date_epoch: Option<i64>,
    pub attestations: Attestations,
    /// Labels `org.opencontainers.image.revision` and `.source` from the context's git repository.
    pub git_labels: bool,
}

impl Options {
    /// A build of a folder with everything else at its default.
    pub fn of_folder(folder: impl Into<PathBuf>, runnable: Runnable) -> Self {
        Self {
            context: Context::Folder(folder.into()),
            dockerfile: DockerfileSource::Default,
            contexts: BTreeMap::new(),
            tags: Vec::new(),
            target: None,
            args: BTreeMap::new(),
            platforms: Vec::new(),
            runnable,
            labels: BTreeMap::new(),
            annotations: Vec::new(),
            no_cache: NoCache::default(),
            pull: false,
            secrets: BTreeMap::new(),
            ssh: BTreeMap::new(),
            network: StepNetwork::Default,
            hosts: Vec::new(),
            limits: Limits::default(),
            outputs: Vec::new(),
            cache_from: Vec::new(),
            cache_to: Vec::new(),
            cache_limit: None,
            source_date_epoch: None,
            attestations: Attestations::default(),
            git_labels: false,
        }
    }
}

/// Where `COPY` and `ADD` find files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Context {
    Folder(PathBuf),
    /// A tar archive, compressed or not, that the caller has put into a file (standard input, a download).
    Tar(PathBuf),
    /// `https://host/repository.git[#ref[:folder]]`, `git@host:repository.git`, …
    Git(String),
    /// `docker-image://NAME`: the files of an image.
    Image(String),
    /// Nothing: a Dockerfile from standard input without a context.
    Empty,
}

/// Where the Dockerfile is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerfileSource {
    /// `Dockerfile` in the context.
    Default,
    /// `-f`, relative to the context. Not outside it, unless [`Self::File`].
    InContext(PathBuf),
    /// A file of the host: `-f` of a folder context.
    File(PathBuf),
    /// `-f -`
    Text(Vec<u8>),
}

/// `--no-cache`, `--no-cache-filter`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoCache {
    pub all: bool,
    /// Names of stages.
    pub stages: Vec<String>,
}

/// Where a secret's value is. It is read when a step needs it, and kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    File(PathBuf),
    /// The name of an environment variable of the caller.
    Variable(String),
}

/// The network of a `RUN`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StepNetwork {
    #[default]
    Default,
    Host,
    None,
    /// A network of Knarr's own, by name: `--network NAME`.
    Named(String),
}

/// `--annotation [LEVEL[PLATFORM]:]NAME=VALUE`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    pub level: AnnotationLevel,
    /// `None`: of every platform.
    pub platform: Option<Platform>,
    pub name: String,
    pub value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnnotationLevel {
    #[default]
    Manifest,
    Index,
    ManifestDescriptor,
    IndexDescriptor,
}

/// `--output`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Into the store; `push`: the caller pushes the tags afterwards.
    Image,
    /// The files of the last stage, into a folder. Several platforms: a folder each.
    Local(PathBuf),
    /// The files of the last stage as a tar archive.
    Tar(Destination),
    /// An OCI archive, or with `tar: false` an OCI layout in a folder.
    Oci { to: Destination, tar: bool },
    /// What `docker load` takes.
    Docker(Destination),
    /// A CNCF Wasm artifact in the store, under the tags, instead of an image.
    WasmArtifact,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    Path(PathBuf),
    Stdout,
}

/// `--cache-from`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheSource {
    /// A folder that `--cache-to type=local` wrote.
    Local(PathBuf),
    /// An image with an inline cache, or one that `--cache-to type=registry` wrote.
    Registry(Reference),
}

/// `--cache-to`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheTarget {
    Local {
        folder: PathBuf,
        mode: CacheMode,
    },
    Registry {
        reference: Reference,
        mode: CacheMode,
    },
    /// In the image's own configuration; `mode=min` by nature.
    Inline,
}

/// What of a cache is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CacheMode {
    /// The layers of the images made.
    #[default]
    Min,
    /// Those of all stages.
    Max,
}

/// `--attest`, `--provenance`, `--sbom`
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attestations {
    pub provenance: Option<Provenance>,
    pub sbom: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Provenance {
    /// Also the build arguments' values, the Dockerfile and every step.
    pub max: bool,
    /// SLSA 1.0 instead of 0.2.
    pub slsa_v1: bool,
}
