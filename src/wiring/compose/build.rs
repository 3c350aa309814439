//! Images of services, built as `knarr build` builds them.

use super::machine::Machine;
use super::words::Words;
use crate::commands::build as verb;
use crate::error::Failure;
use knarr_compose::model::{self, Service};
use std::collections::BTreeSet;
use std::path::Path;

/// The options of `compose build` and of `up`.
#[derive(Debug, Clone, Default)]
pub struct Build {
    pub quiet: bool,
    pub no_cache: bool,
    pub pull: bool,
    pub push: bool,
    pub args: Vec<String>,
    pub progress: Option<String>,
    pub memory: Option<String>,
    pub ssh: Vec<String>,
    pub check: bool,
}

/// Builds the images of these services; each after those that it is built from.
pub fn all(machine: &Machine<'_>, names: &[String], options: &Build) -> Result<(), Failure> {
    let mut done = BTreeSet::new();
    for name in names {
        one(machine, name, names, options, &mut done, &mut Vec::new())?;
    }
    Ok(())
}

fn one<'a>(
    machine: &'a Machine<'_>,
    name: &'a str,
    names: &[String],
    options: &Build,
    done: &mut BTreeSet<&'a str>,
    path: &mut Vec<&'a str>,
) -> Result<(), Failure> {
    if done.contains(name) {
        return Ok(());
    }
    if path.contains(&name) {
        return Err(Failure::usage(format!(
            "the images of {} are built from each other",
            path.join(", ")
        )));
    }
    let service = machine.service(name)?;
    let Some(build) = &service.build else { return Ok(()) };
    path.push(name);
    for other in
        build.additional_contexts.0.values().filter_map(|from| from.strip_prefix("service:"))
    {
        let other = machine.service(other)?;
        if names.contains(&other.name)
            || machine.context.store()?.find(&machine.image(other)).is_err()
        {
            one(machine, &other.name, names, options, done, path)?;
        }
    }
    path.pop();
    run(machine, service, build, options).map_err(|failure| match failure.messages.is_empty() {
        true => failure,
        false => failure.context(format!("cannot build the image of the service {name}")),
    })?;
    done.insert(name);
    Ok(())
}

fn run(
    machine: &Machine<'_>,
    service: &Service,
    build: &model::Build,
    options: &Build,
) -> Result<(), Failure> {
    let mut words = Words::default();
    words.option("tag", machine.image(service));
    words.options("tag", &build.tags);
    // a Dockerfile within the compose file is one like any other, for as long as it is needed
    let inline = inline(build)?;
    let context = if build.context.is_empty() { "." } else { &build.context };
    match (&inline, build.dockerfile.as_str()) {
        (Some(file), _) => words.option("file", file.path().display()),
        (None, "") => {}
        (None, path) if Path::new(context).is_dir() => {
            words.option("file", Path::new(context).join(path).display())
        }
        (None, path) => words.option("file", path),
    }
    for (name, value) in &build.args.0 {
        words.option(
            "build-arg",
            match value {
                Some(value) => format!("{name}={value}"),
                None => name.clone(),
            },
        );
    }
    words.options("build-arg", &options.args);
    words.options("label", build.labels.0.iter().map(|(name, value)| format!("{name}={value}")));
    words.options("cache-from", &build.cache_from);
    words.options("cache-to", &build.cache_to);
    words.flag("no-cache", build.no_cache || options.no_cache);
    words.options("no-cache-filter", &build.no_cache_filter);
    words.flag("pull", build.pull || options.pull);
    words.flag("push", options.push);
    words.flag("quiet", options.quiet);
    words.flag("check", options.check);
    words.options("progress", &options.progress);
    words.options("memory", &options.memory);
    words.option("network", &build.network);
    words.option("target", &build.target);
    words.bytes("shm-size", build.shm_size);
    words.option("provenance", &build.provenance);
    words.option("sbom", &build.sbom);
    words.options("allow", &build.entitlements);
    words.flag("privileged", build.privileged);
    words.option("isolation", &build.isolation);
    for (name, addresses) in &build.extra_hosts.0 {
        words.options("add-host", addresses.iter().map(|address| format!("{name}={address}")));
    }
    for (name, from) in &build.additional_contexts.0 {
        words.option(
            "build-context",
            match from.strip_prefix("service:") {
                Some(other) => {
                    format!("{name}=docker-image://{}", machine.image(machine.service(other)?))
                }
                None => format!("{name}={from}"),
            },
        );
    }
    for (id, path) in &build.ssh.0 {
        words
            .option("ssh", path.as_ref().map_or_else(|| id.clone(), |path| format!("{id}={path}")));
    }
    words.options("ssh", &options.ssh);
    for (name, limit) in &build.ulimits {
        if let Some(limit) = limit {
            words.option("ulimit", format!("{name}={}:{}", limit.soft, limit.hard));
        }
    }
    let platforms = match build.platforms.is_empty() {
        true => service.platform.clone(),
        false => build.platforms.join(","),
    };
    words.option("platform", platforms);
    let mut kept = Vec::new();
    for mount in &build.secrets {
        words.option("secret", secret(machine, mount, &mut kept)?);
    }
    let args: verb::Args = super::parse(words.rest(["--".to_owned(), context.to_owned()]))?;
    match verb::run(&args, machine.context)? {
        0 => Ok(()),
        code => Err(Failure::silent(code)),
    }
}

fn inline(build: &model::Build) -> Result<Option<tempfile::NamedTempFile>, Failure> {
    if build.dockerfile_inline.is_empty() {
        return Ok(None);
    }
    Ok(Some(temporary(build.dockerfile_inline.as_bytes())?))
}

fn temporary(bytes: &[u8]) -> Result<tempfile::NamedTempFile, Failure> {
    let written =
        tempfile::Builder::new().prefix("knarr-compose-").tempfile().and_then(|mut file| {
            std::io::Write::write_all(&mut file, bytes)?;
            Ok(file)
        });
    written.map_err(|error| Failure::new("cannot write a temporary file").cause(&error))
}

/// `--secret` for one of the project's secrets.
fn secret(
    machine: &Machine<'_>,
    mount: &model::FileMount,
    kept: &mut Vec<tempfile::NamedTempFile>,
) -> Result<String, Failure> {
    let Some(secret) = machine.project.secrets.get(&mount.source) else {
        return Err(Failure::usage(format!("the secret {} is not declared", mount.source)));
    };
    let id = if mount.target.is_empty() { &mount.source } else { &mount.target };
    let id = id.strip_prefix("/run/secrets/").unwrap_or(id);
    let object = &secret.0;
    if !object.environment.is_empty() && std::env::var_os(&object.environment).is_some() {
        return Ok(format!("id={id},env={}", object.environment));
    }
    if !object.file.is_empty() {
        return Ok(format!("id={id},src={}", object.file));
    }
    let file = temporary(object.content.as_bytes())?;
    let text = format!("id={id},src={}", file.path().display());
    kept.push(file);
    Ok(text)
}
