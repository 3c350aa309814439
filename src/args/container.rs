//! The options that make a container: shared by `run` and `create`.

use super::health::HealthArgs;
use super::isolation::IsolationArgs;
use super::network::NetworkArgs;
use super::security::security;
use super::value::{Runtime, cpus, platform, runtime, size, swap, ulimit};
use crate::error::Failure;
use clap::{ArgAction, Args, ValueEnum};
use knarr_core::image::Platform;
use knarr_core::spec::limits::{Limits, Ulimit, parse_size};
use knarr_core::spec::port::{self, InvalidPort};
use knarr_core::spec::{
    Asked, EngineKind, InstanceRequests, Isolation, LogConfig, Mount, Port, WasmOptions,
};
use knarr_runtime::container::options::{self, RunOptions};
use std::collections::HashSet;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(disable_help_flag = true, next_display_order = None)]
pub struct Options {
    /// Add Linux capabilities
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_add: Vec<String>,
    /// Drop Linux capabilities
    #[arg(long, value_name = "CAPABILITY")]
    pub cap_drop: Vec<String>,
    /// Write the container's id to this file, which must not exist
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<PathBuf>,
    /// CPU shares (relative weight; 1024 is normal); an ordinary user's as --cpus
    #[arg(short = 'c', long, value_name = "SHARES")]
    pub cpu_shares: Option<u64>,
    /// Number of processors, for example 1.5; an ordinary user needs a delegated cgroup for it (systemd-run --user --scope -p
    /// Delegate=yes knarr run …)
    #[arg(long, value_name = "NUMBER", value_parser = cpus)]
    pub cpus: Option<u64>,
    /// Processors to run on (0-3, 0,1); an ordinary user's as --cpus
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<String>,
    /// Override the key sequence for detaching
    #[arg(long, value_name = "KEYS")]
    pub detach_keys: Option<String>,
    /// The domain of the container's host name
    #[arg(long, value_name = "NAME")]
    pub domainname: Option<String>,
    /// Replace the image's ENTRYPOINT; empty removes it
    #[arg(long, value_name = "COMMAND")]
    pub entrypoint: Option<String>,
    /// Set an environment variable; without a value it is taken from knarr's own environment
    #[arg(short = 'e', long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// Read environment variables from a file
    #[arg(long, value_name = "FILE")]
    pub env_file: Vec<PathBuf>,
    /// Print which variant of the image was chosen, and why
    #[arg(long)]
    pub explain: bool,
    /// Expose a port or a range of ports
    #[arg(long, value_name = "PORT[/PROTOCOL]")]
    pub expose: Vec<String>,
    /// Additional groups
    #[arg(long, value_name = "GROUP")]
    pub group_add: Vec<String>,
    #[command(flatten)]
    pub health: HealthArgs,
    /// Print this help
    #[arg(long, action = ArgAction::HelpLong)]
    help: Option<bool>,
    /// The container's host name
    #[arg(short = 'h', long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Run an init inside the container that forwards signals and reaps processes
    #[arg(long)]
    pub init: bool,
    #[command(flatten)]
    pub isolation: IsolationArgs,
    /// Keep standard input open
    #[arg(short = 'i', long)]
    pub interactive: bool,
    /// Set a label
    #[arg(short = 'l', long, value_name = "NAME[=VALUE]")]
    pub label: Vec<String>,
    /// Read labels from a file
    #[arg(long, value_name = "FILE")]
    pub label_file: Vec<PathBuf>,
    /// How the log is kept; only json-file
    #[arg(long, value_name = "DRIVER")]
    pub log_driver: Option<LogDriver>,
    /// Options of the log: max-size=20m, max-file=3
    #[arg(long, value_name = "NAME=VALUE")]
    pub log_opt: Vec<String>,
    /// Memory limit, for example 512m; of a Wasm container anybody's, of a native one an ordinary user's as --cpus
    #[arg(short = 'm', long, value_name = "BYTES", value_parser = size)]
    pub memory: Option<u64>,
    /// Soft memory limit, of a native container; an ordinary user's as --cpus
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub memory_reservation: Option<u64>,
    /// Memory plus swap, of a native container; -1 is unlimited swap; an ordinary user's as --cpus
    #[arg(long, value_name = "BYTES", value_parser = swap, allow_hyphen_values = true)]
    pub memory_swap: Option<i64>,
    /// Mount a directory, a volume or memory: type=bind|volume|tmpfs,source=…,target=…
    #[arg(long, value_name = "MOUNT")]
    pub mount: Vec<String>,
    /// The container's name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    #[command(flatten)]
    pub network: NetworkArgs,
    /// Limit the number of processes of a native container; -1 is unlimited; an ordinary user's as --cpus
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub pids_limit: Option<i64>,
    /// Choose the variant for this platform, for example wasi/wasm or linux/amd64
    #[arg(long, value_name = "OS/ARCH", value_parser = platform)]
    pub platform: Option<Platform>,
    /// Give extended privileges
    #[arg(long)]
    pub privileged: bool,
    /// Publish a port, or ranges of one length: [IP:][HOST:]CONTAINER[/PROTOCOL]; HOST may be a range of which a free one is taken
    #[arg(short = 'p', long, value_name = "PORTS")]
    pub publish: Vec<String>,
    /// Publish all exposed ports to free ports
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// Pull the image before: always, missing or never
    #[arg(long, value_name = "WHEN", default_value = "missing", hide_possible_values = true)]
    pub pull: Pull,
    /// Print nothing while pulling
    #[arg(short = 'q', long)]
    pub quiet: bool,
    /// Mount the root file system read-only
    #[arg(long)]
    pub read_only: bool,
    /// Start it again when it ends: no, on-failure[:RETRIES], always, unless-stopped
    #[arg(long, value_name = "POLICY", default_value = "no", hide_default_value = true)]
    pub restart: String,
    /// Remove the container and its anonymous volumes when it exits
    #[arg(long)]
    pub rm: bool,
    /// What runs it: native or wasm; Docker's names are taken, runc for native, io.containerd.wasmtime.v1 and the like for wasm
    #[arg(long, value_name = "RUNTIME", value_parser = runtime)]
    pub runtime: Option<Runtime>,
    /// Change a wall: seccomp=FILE, seccomp=unconfined, apparmor=PROFILE, apparmor=unconfined, label=disable or no-new-privileges
    #[arg(long, value_name = "OPTION")]
    pub security_opt: Vec<String>,
    /// Size of /dev/shm
    #[arg(long, value_name = "BYTES", value_parser = size)]
    pub shm_size: Option<u64>,
    /// Signal that stops the container
    #[arg(long, value_name = "SIGNAL")]
    pub stop_signal: Option<String>,
    /// Seconds between that signal and SIGKILL
    #[arg(long, value_name = "SECONDS")]
    pub stop_timeout: Option<u32>,
    /// Mount memory
    #[arg(long, value_name = "PATH[:OPTIONS]")]
    pub tmpfs: Vec<String>,
    /// Allocate a terminal
    #[arg(short = 't', long)]
    pub tty: bool,
    /// Set a limit of setrlimit: NAME=SOFT[:HARD]
    #[arg(long, value_name = "LIMIT", value_parser = ulimit)]
    pub ulimit: Vec<Ulimit>,
    /// User name or id, and group
    #[arg(short = 'u', long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Mount a directory or a volume: [SOURCE:]TARGET[:OPTIONS]
    #[arg(short = 'v', long, value_name = "VOLUME")]
    pub volume: Vec<String>,
    /// Only local
    #[arg(long, value_name = "DRIVER", value_parser = ["local"], hide_possible_values = true)]
    volume_driver: Option<String>,
    /// Mount what another container has mounted, read-only with :ro
    #[arg(long, value_name = "CONTAINER[:ro]")]
    pub volumes_from: Vec<String>,
    /// HTTP requests that an instance answers before a fresh one takes its place: a number, or 'unlimited' (Wasm servers;
    /// by default what the image's label knarr.wasm.instance-requests says, or 1000)
    #[arg(long, value_name = "NUMBER")]
    pub wasm_instance_requests: Option<InstanceRequests>,
    /// The same as --wasm-instance-requests 1
    #[arg(long, conflicts_with = "wasm_instance_requests")]
    pub wasm_isolate_requests: bool,
    /// Working directory
    ///
    /// WASI does not tell a Wasm guest's relative paths from its absolute ones. Knarr takes './x' and '../x', and what an
    /// argument or a variable spells as a relative path, from here; of the rest, what exists in the root is meant there, then
    /// what exists here, and new files go to the place that has more of their directories
    #[arg(short = 'w', long, value_name = "DIRECTORY")]
    pub workdir: Option<String>,

    /// The image, then the command and its arguments; whatever follows the image belongs to the container
    #[arg(
        value_name = "IMAGE [COMMAND] [ARG]",
        required = true,
        num_args = 1..,
        trailing_var_arg = true
    )]
    words: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Pull {
    Always,
    Missing,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogDriver {
    JsonFile,
}

impl Options {
    pub fn image(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The platform that was asked for, by `--platform` or by `--runtime`.
    pub fn wanted_platform(&self) -> Result<Option<Platform>, Failure> {
        match (&self.platform, self.runtime.as_ref().map(|runtime| runtime.engine)) {
            (Some(platform), Some(EngineKind::Wasm)) if !platform.is_wasm() => {
                Err(conflict(format!("--runtime asks for Wasm and --platform for {platform}")))
            }
            (Some(platform), Some(EngineKind::Native)) if platform.is_wasm() => Err(conflict(
                format!("--runtime asks for a native variant and --platform for {platform}"),
            )),
            (Some(platform), _) => Ok(Some(platform.clone())),
            (None, Some(EngineKind::Wasm)) => Ok(Some(Platform::wasm())),
            (None, Some(EngineKind::Native)) => Ok(Some(Platform::host())),
            (None, None) => Ok(None),
        }
    }

    /// What the runtime makes a container of.
    pub fn run_options(&self) -> Result<RunOptions, Failure> {
        Ok(RunOptions {
            name: given(&self.name),
            command: self.words.get(1..).unwrap_or_default().to_vec(),
            entrypoint: self.entrypoint.as_ref().map(|text| match text.as_str() {
                "" => Vec::new(),
                text => vec![text.to_owned()],
            }),
            env: self.env.clone(),
            env_files: self.env_file.clone(),
            user: self.user.clone(),
            workdir: given(&self.workdir),
            group_add: self.group_add.clone(),
            tty: self.tty,
            interactive: self.interactive,
            hostname: given(&self.hostname),
            domainname: given(&self.domainname),
            labels: self.label.clone(),
            label_files: self.label_file.clone(),
            mounts: self.mounts()?,
            // known when the store is open
            inherited: Vec::new(),
            read_only: self.read_only,
            limits: self.limits()?,
            security: security(self)?,
            // known when the store is open
            isolation: Isolation::default(),
            // known when the image is
            network: None,
            links: Vec::new(),
            dns: self.network.dns(),
            outbound: self.network.outbound()?,
            ports: self.ports()?,
            publish_all: self.publish_all,
            expose: self.expose.clone(),
            extra_hosts: self.network.add_host.clone(),
            init: self.init,
            auto_remove: self.rm,
            restart: self.restart.parse()?,
            log: Some(self.log()?),
            stop_signal: given(&self.stop_signal),
            stop_timeout: self.stop_timeout,
            healthcheck: self.health.healthcheck()?,
            on_unhealthy: self.health.on_unhealthy(),
            wasm: WasmOptions { instance_requests: self.instance_requests() },
            asked: Asked {
                runtime: self.runtime.as_ref().map(|runtime| runtime.name.clone()),
                volumes_from: self.volumes_from.clone(),
                publish_all: self.publish_all,
                cidfile: self.cidfile.clone(),
            },
        })
    }

    fn instance_requests(&self) -> Option<InstanceRequests> {
        match self.wasm_isolate_requests {
            true => Some(InstanceRequests::ONE),
            false => self.wasm_instance_requests,
        }
    }

    fn mounts(&self) -> Result<Vec<Mount>, Failure> {
        let directory = std::env::current_dir()
            .map_err(|error| Failure::new("cannot tell the working directory").cause(&error))?;
        let mut mounts = Vec::new();
        for text in &self.mount {
            mounts.push(options::parse_mount(text, &directory)?);
        }
        // the same text again is the same mount, as in Docker
        let mut seen = HashSet::new();
        for text in self.volume.iter().filter(|text| seen.insert(text.as_str())) {
            mounts.push(options::parse_volume(text, &directory)?);
        }
        for text in &self.tmpfs {
            mounts.push(options::parse_tmpfs(text)?);
        }
        Ok(mounts)
    }

    fn ports(&self) -> Result<Vec<Port>, InvalidPort> {
        let parsed = self.publish.iter().map(|text| port::parse(text));
        Ok(parsed.collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn limits(&self) -> Result<Limits, Failure> {
        if let (Some(memory), Some(swap)) = (self.memory, self.memory_swap)
            && swap >= 0
            && swap.unsigned_abs() < memory
        {
            return Err(conflict("--memory-swap is less than --memory".into())
                .hint("--memory-swap is memory plus swap; leave it out for twice the memory"));
        }
        if self.memory_swap.is_some() && self.memory.is_none() {
            return Err(conflict("--memory-swap without --memory has no effect".into())
                .hint("add --memory"));
        }
        self.isolation.limits(Limits {
            memory: self.memory,
            memory_swap: self.memory_swap,
            memory_reservation: self.memory_reservation,
            nano_cpus: self.cpus.filter(|cpus| *cpus > 0),
            cpu_shares: self.cpu_shares,
            cpuset_cpus: self.cpuset_cpus.clone(),
            // 0 and -1 are Docker's "unlimited"
            pids: self.pids_limit.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0),
            ulimits: self.ulimit.clone(),
            shm_size: self.shm_size,
            ..Limits::default()
        })
    }

    fn log(&self) -> Result<LogConfig, Failure> {
        let mut log = LogConfig::default();
        for option in &self.log_opt {
            let invalid = || {
                Failure::usage(format!("{option:?} is not an option of the log"))
                    .hint("write max-size=BYTES or max-file=NUMBER, for example max-size=20m")
            };
            match option.split_once('=').ok_or_else(invalid)? {
                ("max-size", value) => log.max_size = parse_size(value).map_err(|_| invalid())?,
                ("max-file", value) => match value.parse() {
                    Ok(files @ 1..) => log.max_files = files,
                    _ => return Err(invalid()),
                },
                _ => return Err(invalid()),
            }
        }
        Ok(log)
    }
}

fn conflict(message: String) -> Failure {
    Failure::usage(message)
}

/// As Docker takes it: an empty text is none.
fn given(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}
