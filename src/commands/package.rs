//! Make an image of a Wasm module, and of what does the same natively, without a Dockerfile.

use super::{Context, Outcome};
use crate::args::value::platform;
use crate::error::Failure;
use crate::ui;
use crate::wiring::compile;
use knarr_core::image::config::ExecutionConfig;
use knarr_core::image::{Platform, Reference};
use knarr_core::spec::port;
use knarr_packager::package::{Native, Package, package};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Default arguments: words, or a JSON list
    #[arg(long, value_name = "ARGUMENTS")]
    cmd: Option<String>,
    /// What the Wasm variant runs instead of the module: words, or a JSON list
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Set an environment variable; without a value it is taken from knarr's own environment
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Document a port or a range of ports
    #[arg(long, value_name = "PORT[/PROTOCOL]")]
    expose: Vec<String>,
    /// Set a label
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
    /// Add a Linux variant: a static program, or a root file system as a folder or a tarball
    #[arg(long, value_name = "[ARCHITECTURE=]PATH")]
    linux: Vec<String>,
    /// What the Linux variants run; a program is its own: words, or a JSON list
    #[arg(long, value_name = "COMMAND")]
    linux_entrypoint: Option<String>,
    /// Print only the image's id
    #[arg(short, long)]
    quiet: bool,
    /// Signal that stops a container
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// The image's name, for example app:1.0
    #[arg(short, long, value_name = "NAME", required = true)]
    tag: Vec<String>,
    /// User name or id, and group
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// A path that gets a volume of its own
    #[arg(long, value_name = "PATH")]
    volume: Vec<String>,
    /// The working directory
    #[arg(short, long, value_name = "PATH")]
    workdir: Option<String>,
    /// The Wasm module or component that the image runs
    #[arg(value_name = "MODULE")]
    module: PathBuf,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let references: Vec<Reference> =
        args.tag.iter().map(|name| name.parse()).collect::<Result<_, _>>()?;
    let asked = Package {
        module: args.module.clone(),
        native: args.linux.iter().map(|text| native(text)).collect::<Result<_, _>>()?,
        config: config(args)?,
        native_entrypoint: words(args.linux_entrypoint.as_deref())?,
    };
    if asked.native.is_empty() && asked.native_entrypoint.is_some() {
        return Err(Failure::usage("--linux-entrypoint has no Linux variant to be of")
            .hint("add one with --linux PATH"));
    }
    let store = context.store()?;
    context.among_owners();
    let packaged = package(&store, &asked, &references)?;
    compile::warn_of_missing(&args.module.display().to_string(), &packaged.module.imports);
    compile::image(&store, &packaged.image, args.quiet);
    if !args.quiet {
        let variants: Vec<_> = packaged.variants.iter().map(Platform::to_string).collect();
        for reference in &references {
            ui::note(format_args!("{}: {}", reference.familiar(), variants.join(", ")));
        }
    }
    ui::line(packaged.image.id())?;
    Ok(0)
}

/// `PATH`, `arm64=PATH`, `linux/arm64=PATH`
fn native(text: &str) -> Result<Native, Failure> {
    let (architecture, path) = match text.split_once('=') {
        Some((architecture, path)) if !architecture.contains(['.', '\\']) => {
            (Some(architecture), path)
        }
        _ => (None, text),
    };
    let parse = |text: &str| {
        let full =
            if text.starts_with("linux/") { text.to_owned() } else { format!("linux/{text}") };
        platform(&full).map_err(|hint| {
            Failure::usage(format!("--linux {text}=…: {text:?} is not an architecture")).hint(hint)
        })
    };
    Ok(Native { path: PathBuf::from(path), platform: architecture.map(parse).transpose()? })
}

fn config(args: &Args) -> Result<ExecutionConfig, Failure> {
    let variable = |text: &String| match text.contains('=') {
        true => Some(text.clone()),
        false => std::env::var(text).ok().map(|value| format!("{text}={value}")),
    };
    let label = |text: &String| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (text.clone(), String::new()),
    };
    let mut exposed_ports = Vec::new();
    for text in &args.expose {
        let ports = port::parse_exposed(text)?;
        exposed_ports
            .extend(ports.into_iter().map(|(port, protocol)| format!("{port}/{protocol}")));
    }
    for path in args.workdir.iter().chain(&args.volume) {
        if !path.starts_with('/') {
            return Err(Failure::usage(format!("{path:?} is not an absolute path"))
                .hint(format!("write /{path}")));
        }
    }
    Ok(ExecutionConfig {
        user: args.user.clone().unwrap_or_default(),
        exposed_ports,
        env: args.env.iter().filter_map(variable).collect(),
        entrypoint: words(args.entrypoint.as_deref())?,
        cmd: words(args.cmd.as_deref())?,
        volumes: args.volume.clone(),
        working_dir: args.workdir.clone().unwrap_or_default(),
        labels: args.label.iter().map(label).collect(),
        stop_signal: args.stop_signal.clone(),
        ..ExecutionConfig::default()
    })
}

/// `["a","b c"]`, or words with a shell's quotation marks.
fn words(text: Option<&str>) -> Result<Option<Vec<String>>, Failure> {
    let Some(text) = text else { return Ok(None) };
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map(Some).map_err(|error| {
            Failure::usage(format!("{text} is not a JSON list of strings"))
                .hint(format!("{error}; write [\"a\",\"b\"]"))
        });
    }
    shell_words::split(text).map(Some).map_err(|_| {
        Failure::usage(format!("{text:?} has an open quotation mark"))
            .hint("write a JSON list: [\"a\",\"b c\"]")
    })
}
