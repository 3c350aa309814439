//! The options of `build`, in Docker's and buildx's notation.

mod attest;
mod cache;
mod context;
mod fields;
mod grants;
mod output;

pub use context::Input;

use super::value::{platform, size, ulimit};
use crate::error::Failure;
use clap::{Args, ValueEnum};
use knarr_core::image::{Platform, Reference};
use knarr_core::spec::limits::{Limits, Ulimit};
use knarr_packager::build::Options as BuildOptions;
use knarr_packager::build::options::{NoCache, Output, StepNetwork};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct Options {
    /// Add a host-to-IP mapping (HOST:IP) to /etc/hosts of each RUN
    #[arg(long, value_name = "HOST:IP")]
    pub add_host: Vec<String>,
    /// Entitlements; only network.host
    #[arg(long, value_name = "ENTITLEMENT", hide = true)]
    pub allow: Vec<String>,
    /// Add an annotation: [LEVEL:]NAME=VALUE; the levels are manifest, index, manifest-descriptor, index-descriptor
    #[arg(long, value_name = "ANNOTATION")]
    pub annotation: Vec<String>,
    /// Attest how the image was made: type=provenance[,mode=max] or type=sbom
    #[arg(long, value_name = "ATTESTATION")]
    pub attest: Vec<String>,
    /// Set a build-time variable; without a value it is taken from knarr's own environment
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub build_arg: Vec<String>,
    /// What FROM and --from mean by a name: a folder, a git URL, docker-image://IMAGE
    #[arg(long, value_name = "NAME=SOURCE")]
    pub build_context: Vec<String>,
    /// Where to look for results of earlier builds: an image, type=registry,ref=…, type=local,src=…
    #[arg(long, value_name = "SOURCE")]
    pub cache_from: Vec<String>,
    /// Where to write results for later builds: type=registry,ref=…, type=local,dest=…, type=inline
    #[arg(long, value_name = "TARGET")]
    pub cache_to: Vec<String>,
    /// Check the Dockerfile and build nothing
    #[arg(long)]
    pub check: bool,
    /// Print the plan and build nothing
    #[arg(long)]
    pub explain: bool,
    /// The Dockerfile (default: Dockerfile in the context); - reads it from standard input
    #[arg(short, long, value_name = "FILE")]
    pub file: Option<String>,
    /// Label the image with the revision and the source of the context's git repository
    #[arg(long)]
    pub git_labels: bool,
    /// Write the image's id to this file
    #[arg(long, value_name = "FILE")]
    pub iidfile: Option<PathBuf>,
    /// Set a label
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub label: Vec<String>,
    /// Put the image into the store (the default without --output)
    #[arg(long)]
    pub load: bool,
    /// Memory limit of each RUN
    #[arg(short = 'm', long, value_name = "BYTES", value_parser = size)]
    pub memory: Option<u64>,
    /// Write what was made to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub metadata_file: Option<PathBuf>,
    /// The network of each RUN: default, host, none or a network's name
    #[arg(long, value_name = "NETWORK", default_value = "default", hide_default_value = true)]
    pub network: String,
    /// Use no result of an earlier build
    #[arg(long)]
    pub no_cache: bool,
    /// Use no earlier result for these stages
    #[arg(long, value_name = "STAGE", value_delimiter = ',')]
    pub no_cache_filter: Vec<String>,
    /// Where the result goes: a folder, -, or type=image|local|tar|oci|docker|wasm-artifact[,dest=…]
    #[arg(short, long, value_name = "OUTPUT")]
    pub output: Vec<String>,
    /// The variants to build, for example wasi/wasm,linux/amd64
    #[arg(long, value_name = "OS/ARCH", value_delimiter = ',', value_parser = build_platform)]
    pub platform: Vec<Platform>,
    /// How progress is shown: auto, plain, tty, quiet or rawjson
    #[arg(long, value_name = "HOW", hide_possible_values = true)]
    progress: Option<Progress>,
    /// Attest how the image was made: true, mode=max
    #[arg(long, value_name = "PROVENANCE")]
    pub provenance: Option<String>,
    /// Ask the registry for newer base images
    #[arg(long)]
    pub pull: bool,
    /// Push the image under its tags
    #[arg(long)]
    pub push: bool,
    /// Print nothing but the image's id
    #[arg(short, long)]
    pub quiet: bool,
    /// Attest what is in the image
    #[arg(long, value_name = "BOOL")]
    pub sbom: Option<String>,
    /// A secret for RUN --mount=type=secret: id=NAME[,src=FILE|,env=VARIABLE]
    #[arg(long, value_name = "SECRET")]
    pub secret: Vec<String>,
    /// Size of /dev/shm
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub shm_size: Option<u64>,
    /// An agent for RUN --mount=type=ssh: default or NAME=SOCKET|KEY
    #[arg(long, value_name = "AGENT")]
    pub ssh: Vec<String>,
    /// The image's name, for example app:1.0
    #[arg(short, long, value_name = "NAME")]
    pub tag: Vec<String>,
    /// Build this stage
    #[arg(long, value_name = "STAGE")]
    pub target: Option<String>,
    /// Set a limit of setrlimit: NAME=SOFT[:HARD]
    #[arg(long, value_name = "LIMIT", value_parser = ulimit)]
    pub ulimit: Vec<Ulimit>,

    // what Docker's older builder had, and what holds in any case
    /// Accepted for Docker's sake: there are no intermediate containers
    #[arg(long, hide = true)]
    rm: bool,
    /// Accepted for Docker's sake: there are no intermediate containers
    #[arg(long, hide = true)]
    force_rm: bool,
    /// Accepted for Docker's sake: the context is not sent anywhere
    #[arg(long, hide = true)]
    compress: bool,

    /// A folder, - (a tar archive or a Dockerfile on standard input), or a git URL
    #[arg(value_name = "PATH | URL | -")]
    pub context: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    Auto,
    Plain,
    Tty,
    Quiet,
    Rawjson,
}

/// `local` is this machine's own.
fn build_platform(text: &str) -> Result<Platform, String> {
    match text {
        "local" => Ok(Platform::host()),
        text => platform(text),
    }
}

/// What the command line asks for, as the library wants it.
pub struct Asked {
    pub options: BuildOptions,
    /// Tags to be pushed after the build.
    pub push: bool,
    /// Standard input and helpers, which must live as long as the build.
    pub input: Input,
}

impl Options {
    /// Reads standard input where the command line says so; writes nothing.
    pub fn asked(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Asked, Failure> {
        let input = Input::of(&self.context, self.file.as_deref())?;
        if let Some(unknown) = self.allow.iter().find(|allowed| *allowed != "network.host") {
            return Err(Failure::usage(format!("the entitlement {unknown:?} cannot be given"))
                .hint("a RUN is confined in any case; only network.host is known"));
        }
        let mut tags = self.references(&self.tag)?;
        let (outputs, more) = output::parse(&self.output)?;
        for reference in self.references(&more.names)? {
            if !tags.contains(&reference) {
                tags.push(reference);
            }
        }
        let push = self.push || more.push;
        if push && tags.is_empty() {
            return Err(Failure::usage("there is no name to push the image under")
                .hint("give one with --tag REGISTRY/NAME"));
        }
        let mut outputs = outputs;
        let has_image = outputs.iter().any(|o| matches!(o, Output::Image | Output::WasmArtifact));
        if (push || self.load) && !has_image && !outputs.is_empty() {
            outputs.push(Output::Image);
        }
        let args = self.build_args(&environment);
        let source_date_epoch = epoch(&args, &environment)?;
        let options = BuildOptions {
            context: input.context.clone(),
            dockerfile: input.dockerfile.clone(),
            contexts: context::named(&self.build_context)?,
            tags,
            target: self.target.clone().filter(|target| !target.is_empty()),
            args,
            platforms: self.platform.clone(),
            runnable: crate::wiring::variant::runnable(),
            labels: fields::labels(&self.label),
            annotations: attest::annotations(&self.annotation)?,
            no_cache: NoCache { all: self.no_cache, stages: self.no_cache_filter.clone() },
            pull: self.pull,
            secrets: grants::secrets(&self.secret, &environment)?,
            ssh: BTreeMap::new(),
            network: network(&self.network)?,
            hosts: grants::hosts(&self.add_host)?,
            limits: Limits {
                memory: self.memory,
                ulimits: self.ulimit.clone(),
                shm_size: self.shm_size,
                ..Limits::default()
            },
            outputs,
            cache_from: cache::sources(&self.cache_from)?,
            cache_to: cache::targets(&self.cache_to)?,
            cache_limit: None,
            source_date_epoch,
            attestations: attest::attestations(
                &self.attest,
                self.provenance.as_deref(),
                self.sbom.as_deref(),
            )?,
            git_labels: self.git_labels,
        };
        Ok(Asked { options, push, input })
    }

    /// `--progress`, else `BUILDKIT_PROGRESS`.
    pub fn progress(
        &self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Progress, Failure> {
        let variable = "BUILDKIT_PROGRESS";
        match (self.progress, environment(variable).filter(|text| !text.is_empty())) {
            (Some(progress), _) => Ok(progress),
            (None, None) => Ok(Progress::Auto),
            (None, Some(text)) => Progress::from_str(&text, true).map_err(|_| {
                Failure::usage(format!("{variable} is {text:?}"))
                    .hint("it is one of auto, plain, tty, quiet, rawjson")
            }),
        }
    }

    /// `--ssh`: ids with the sockets or keys that they mean.
    pub fn agents(
        &self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<BTreeMap<String, Vec<PathBuf>>, Failure> {
        grants::agents(&self.ssh, environment)
    }

    fn references(&self, names: &[String]) -> Result<Vec<Reference>, Failure> {
        let parse = |name: &String| {
            let reference: Reference = name.parse()?;
            match reference.digest() {
                Some(_) => Err(Failure::usage(format!("{name:?} names an image by its digest"))
                    .hint("a digest is the result of a build: give a name and a tag")),
                None => Ok(reference),
            }
        };
        names.iter().map(parse).collect()
    }

    fn build_args(&self, environment: impl Fn(&str) -> Option<String>) -> BTreeMap<String, String> {
        let pair = |text: &String| match text.split_once('=') {
            Some((name, value)) => Some((name.to_owned(), value.to_owned())),
            None => Some((text.clone(), environment(text)?)),
        };
        self.build_arg.iter().filter_map(pair).collect()
    }
}

fn network(text: &str) -> Result<StepNetwork, Failure> {
    match text {
        "" | "default" => Ok(StepNetwork::Default),
        "host" => Ok(StepNetwork::Host),
        "none" => Ok(StepNetwork::None),
        other if other.starts_with("container:") => {
            Err(Failure::usage("a build cannot use a container's network")
                .hint("name the network that the container is on"))
        }
        name => Ok(StepNetwork::Named(name.to_owned())),
    }
}

/// `SOURCE_DATE_EPOCH`, as a build argument or in the environment (reproducible-builds.org).
fn epoch(
    args: &BTreeMap<String, String>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Option<i64>, Failure> {
    const NAME: &str = "SOURCE_DATE_EPOCH";
    let text = args.get(NAME).cloned().or_else(|| environment(NAME)).filter(|t| !t.is_empty());
    let Some(text) = text else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        Failure::usage(format!("{NAME} is {text:?}, which is no number"))
            .hint("give the seconds since 1970, for example $(git log -1 --pretty=%ct)")
    })
}

#[cfg(test)]
mod tests;
