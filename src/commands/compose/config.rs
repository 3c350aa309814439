//! Check compose files, and print them in their canonical form.

use super::options::{Global, warn};
use crate::commands::Outcome;
use crate::error::Failure;
use crate::ui;
use knarr_compose::load::{self, Options, Skip};
use knarr_compose::model::Project;
use knarr_compose::render::{self, Format};
use knarr_core::fsx;
use serde_json::json;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print yaml or json; a table as well, of --variables
    #[arg(long, value_name = "FORMAT")]
    format: Option<Shape>,
    /// Write to a file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only check
    #[arg(short, long)]
    quiet: bool,
    /// Print the names of the services
    #[arg(long)]
    services: bool,
    /// Print the names of the volumes
    #[arg(long)]
    volumes: bool,
    /// Print the names of the networks
    #[arg(long)]
    networks: bool,
    /// Print the models
    #[arg(long)]
    models: bool,
    /// Print the names of the profiles
    #[arg(long)]
    profiles: bool,
    /// Print the names of the images
    #[arg(long)]
    images: bool,
    /// Print the hash of each of these services, or of all (*)
    #[arg(long, value_name = "SERVICES")]
    hash: Option<String>,
    /// Print the variables that the files use
    #[arg(long)]
    variables: bool,
    /// Print the variables that are there for the files
    #[arg(long)]
    environment: bool,
    /// Leave variables as they are
    #[arg(long)]
    no_interpolate: bool,
    /// Add no default networks, names and dependencies
    #[arg(long)]
    no_normalize: bool,
    /// Leave relative paths as they are
    #[arg(long)]
    no_path_resolution: bool,
    /// Do not check that what is referred to exists
    #[arg(long)]
    no_consistency: bool,
    /// Accepted for Docker's sake: it resolves them all the same
    #[arg(long)]
    no_env_resolution: bool,
    /// Services, by their names in the project
    #[arg(value_name = "SERVICE")]
    names: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Shape {
    Yaml,
    Json,
    #[value(alias = "pretty")]
    Table,
}

pub fn run(args: &Args, global: &Global) -> Outcome {
    let text = text(args, global)?;
    match &args.output {
        _ if args.quiet => {}
        Some(path) if global.dry_run => {
            ui::note(format_args!("would write {}", path.display()));
        }
        Some(path) => fsx::write(path, text)?,
        None => ui::data(ui::safe(&text).as_bytes())?,
    }
    Ok(0)
}

/// What is printed.
fn text(args: &Args, global: &Global) -> Result<String, Failure> {
    let skip = Skip {
        interpolation: args.no_interpolate,
        normalisation: args.no_normalize || global.has_compatibility_flag(),
        consistency: args.no_consistency,
        paths: args.no_path_resolution,
        environment: false,
    };
    let options = |names: &[String], skip| global.options(names, skip);
    // what is listed does not depend on files of variables, which may be absent
    let list = Skip { environment: true, ..skip };
    let load = |names: &[String]| -> Result<Project, Failure> {
        Ok(global.load(&options(names, list)?)?.project)
    };
    if args.services {
        return services(args, global, &options(&[], list)?);
    }
    if args.volumes {
        return Ok(lines(load(&[])?.volumes.keys()));
    }
    if args.networks {
        return Ok(lines(load(&[])?.networks.keys()));
    }
    if args.models {
        let models = load(&[])?.models.into_values().map(|model| model.model);
        return Ok(lines(models.filter(|model| !model.is_empty())));
    }
    if let Some(wanted) = &args.hash {
        return hashes(&load(&[])?, wanted);
    }
    if args.profiles {
        return Ok(lines(load(&args.names)?.profile_names()));
    }
    if args.images {
        let project = load(&args.names)?;
        let separator = if global.is_compatible() { '_' } else { '-' };
        let image = |service: &knarr_compose::model::Service| {
            service.image_or_default(&project.name, separator)
        };
        return Ok(lines(project.services.values().map(image)));
    }
    if args.variables {
        let skip = Skip { interpolation: true, ..list };
        return variables(args, &options(&args.names, skip)?);
    }
    if args.environment {
        let project = global.load(&options(&args.names, skip)?)?.project;
        let lines_of = project.environment.iter().map(|(name, value)| format!("{name}={value}"));
        return Ok(lines(lines_of));
    }
    let format = match args.format {
        None | Some(Shape::Yaml) => Format::Yaml,
        Some(Shape::Json) => Format::Json,
        Some(Shape::Table) => return Err(Failure::usage("--format must be yaml or json")),
    };
    let options = options(&args.names, skip)?;
    if args.no_interpolate {
        let tree = load::tree(&options)?;
        warn(&tree.warnings);
        return Ok(render::tree(&tree.root, format));
    }
    Ok(render::project(&global.load(&options)?.project, format))
}

fn lines(names: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    names.into_iter().map(|name| format!("{name}\n")).collect()
}

/// The names of the services, those first that others depend on.
fn services(args: &Args, global: &Global, options: &Options) -> Result<String, Failure> {
    if args.no_interpolate {
        let tree = load::tree(options)?;
        let services = tree.root.get("services").and_then(|node| node.as_map());
        return Ok(lines(services.into_iter().flat_map(|map| map.keys())));
    }
    let project = global.load(options)?.project;
    Ok(lines(project.in_order()))
}

fn hashes(project: &Project, wanted: &str) -> Result<String, Failure> {
    let names: BTreeSet<&str> = match wanted {
        "*" => project.services.keys().map(String::as_str).collect(),
        list => list.split(',').collect(),
    };
    let mut text = String::new();
    for name in names {
        let mut service = project.service(name)?.clone();
        let default = project.environment.get("DOCKER_DEFAULT_PLATFORM");
        let lacks_one = service.build.is_some() && service.platform.is_empty();
        if let Some(default) = default.filter(|_| lacks_one) {
            service.platform.clone_from(default);
        }
        text.push_str(&format!("{name} {}\n", render::service_hash(&service)));
    }
    Ok(text)
}

fn variables(args: &Args, options: &Options) -> Result<String, Failure> {
    let variables = load::tree(options)?.variables();
    let documents = || {
        let document = |v: &load::Variable| {
            json!({
                "Name": v.name,
                "DefaultValue": v.default,
                "PresenceValue": v.alternate,
                "Required": v.required,
            })
        };
        variables.iter().map(|(name, v)| (name.clone(), document(v))).collect::<serde_json::Value>()
    };
    match args.format {
        Some(Shape::Json) => Ok(format!("{}\n", indented(&documents())?)),
        Some(Shape::Yaml) => {
            let keys = |v: &load::Variable| {
                json!({
                    "name": v.name,
                    "defaultvalue": v.default,
                    "presencevalue": v.alternate,
                    "required": v.required,
                })
            };
            let all = variables.iter().map(|(name, v)| (name.clone(), keys(v)));
            // Docker has four spaces here
            Ok(render::value(&all.collect()).replace("\n  ", "\n    "))
        }
        None | Some(Shape::Table) => {
            let mut table = tabwriter::TabWriter::new(Vec::new()).minwidth(17).padding(3);
            let mut rows = vec!["NAME\tREQUIRED\tDEFAULT VALUE\tALTERNATE VALUE".to_owned()];
            rows.extend(
                variables
                    .values()
                    .map(|v| format!("{}\t{}\t{}\t{}", v.name, v.required, v.default, v.alternate)),
            );
            let written = rows.iter().try_for_each(|row| writeln!(table, "{row}"));
            ui::written(written.and_then(|()| table.flush()))?;
            Ok(String::from_utf8_lossy(&table.into_inner().unwrap_or_default()).into_owned())
        }
    }
}

/// JSON with four spaces a level, as Docker has it here.
fn indented(value: &serde_json::Value) -> Result<String, Failure> {
    let mut out = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    let mut writer = serde_json::Serializer::with_formatter(&mut out, format);
    serde::Serialize::serialize(value, &mut writer)
        .map_err(|error| Failure::new(format!("cannot write JSON: {error}")))?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}
