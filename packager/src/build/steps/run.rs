//! `RUN`: a process whose changes become a layer.

use super::binds;
use super::stubs::Stubs;
use super::target::{Content, Target, directory, file};
use crate::build::Error;
use crate::build::execute::State;
use crate::build::files::{join, split};
use crate::build::options::StepNetwork;
use crate::build::plan::{Run, SCRIPTS, Script, Step};
use crate::build::progress::{Event, VertexId};
use crate::build::stage::{Made, StageBuilder, StepKey};
use crate::build::step::{RunStep, StepMount, StepMountKind};
use knarr_core::image::Digest;
use knarr_core::store::LayerBuild;
use std::path::PathBuf;

/// What `uname -n` says in a step: the same on every machine.
const HOSTNAME: &str = "build";

pub fn run(
    stage: &StageBuilder,
    step: &Step,
    vertex: VertexId,
    run: &Run,
    state: &mut State,
) -> Result<(), Error> {
    let key = StepKey { independent: None, full: key(stage, run, state)? };
    stage.cached(step, vertex, &key, state, &mut |layer, state| {
        make(stage, vertex, run, layer, state)?;
        Ok(Made::Changes)
    })
}

fn key(stage: &StageBuilder, run: &Run, state: &State) -> Result<Digest, Error> {
    let mut key = stage.key("run");
    key.text(&stage.stage.platform.to_string());
    key.texts(run.args.iter().map(String::as_str));
    if let Some(script) = &run.script {
        key.text(&script.name).text(&script.text);
    }
    key.number(run.env.len() as u64);
    for (name, value) in &run.env {
        key.text(name).text(value);
    }
    key.text(&run.cwd).text(&run.user);
    // which network it was does not matter, but for the absence of one
    key.number((run.network == StepNetwork::None).into());
    let hosts = &stage.build.options.hosts;
    key.number(hosts.len() as u64);
    for (name, address) in hosts {
        key.text(name).text(address);
    }
    binds::add_keys(stage, &run.mounts, &mut key)?;
    Ok(stage.on_top(key, state))
}

fn make(
    stage: &StageBuilder,
    vertex: VertexId,
    run: &Run,
    layer: &LayerBuild,
    state: &State,
) -> Result<(), Error> {
    let build = stage.build;
    let trees = build.trees(state)?;
    let mut mounted = binds::mount(stage, layer, &run.mounts)?;
    if let Some(script) = &run.script {
        let kind = StepMountKind::Bind { source: written(layer, script)?, read_only: true };
        mounted.mounts.push(StepMount { target: SCRIPTS.into(), kind });
    }
    let targets = mounted.mounts.iter().map(|mount| mount.target.as_str());
    let stubs = Stubs::note(&trees, targets);
    let is_proxy = |name: &String| run.proxies.iter().any(|(proxy, _)| proxy == name);
    let env = run.env.iter().filter(|(name, _)| !is_proxy(name));
    let mut env: Vec<String> = env.map(|(n, v)| format!("{n}={v}")).collect();
    env.extend(run.proxies.iter().map(|(name, value)| format!("{name}={value}")));
    env.append(&mut mounted.env);
    let step = RunStep {
        rootfs: layer.snapshot(trees)?,
        platform: stage.stage.platform.clone(),
        args: run.args.clone(),
        env,
        cwd: run.cwd.clone(),
        user: run.user.clone(),
        mounts: mounted.mounts.clone(),
        network: run.network.clone(),
        hosts: build.options.hosts.clone(),
        hostname: HOSTNAME.into(),
        limits: build.options.limits.clone(),
        cancellation: build.services.cancellation.clone(),
    };
    let exit = build.services.runner.run(&step, &mut |stream, bytes| {
        build.report.event(Event::Output { vertex, stream, bytes });
    });
    stage.check()?;
    let exit = exit.map_err(|source| match &run.script {
        Some(script) => Error::Script {
            command: run.shown.clone(),
            interpreter: script.text.lines().next().unwrap_or_default().into(),
            source,
        },
        None => Error::Runner(source),
    })?;
    if !exit.is_success() {
        return Err(Error::Step { command: run.shown.clone(), exit });
    }
    let upper = layer.upper();
    if !upper.exists() {
        // a runner that had nothing to mount made nothing
        knarr_core::fsx::create_dir(&upper)?;
    }
    stubs.clean(&upper)
}

/// Puts a script into a folder of the step's own, where every user may execute it.
fn written(layer: &LayerBuild, script: &Script) -> Result<PathBuf, Error> {
    let folder = layer.scratch("script")?;
    let mut target = Target::of_folder(&folder)?;
    let time = (0, 0);
    let directory = directory(0o755, (0, 0), time);
    target.make_directory(b"", &directory, true)?;
    let (parent, name) = split(script.name.as_bytes());
    let (parent, _) = target.directory(parent, &directory)?;
    let content = Content::Bytes(script.text.as_bytes());
    target.make_node(&join(&parent, name), content, &file(0o755, (0, 0), time))?;
    Ok(folder)
}
