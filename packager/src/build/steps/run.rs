//! `RUN`: a process whose changes become a layer.

use super::binds;
use super::stubs::Stubs;
use crate::build::Error;
use crate::build::execute::State;
use crate::build::options::StepNetwork;
use crate::build::plan::{Run, Step};
use crate::build::progress::{Event, VertexId};
use crate::build::stage::{Made, StageBuilder, StepKey};
use crate::build::step::{RunStep, StepMount, StepMountKind};
use knarr_core::image::Digest;
use knarr_core::store::LayerBuild;

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
    if let Some((path, text)) = &run.script {
        key.text(path).text(text);
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
    if let Some((path, text)) = &run.script {
        let content = text.as_bytes().into();
        let kind = StepMountKind::Secret { content, uid: 0, gid: 0, mode: 0o755 };
        mounted.mounts.push(StepMount { target: path.clone(), kind });
    }
    let targets = mounted.mounts.iter().map(|mount| mount.target.as_str());
    let stubs = Stubs::note(&trees, targets)?;
    let mut env: Vec<String> = run.env.iter().map(|(n, v)| format!("{n}={v}")).collect();
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
    let exit = exit.map_err(Error::Runner)?;
    if !exit.is_success() {
        return Err(Error::Step { command: run.args.join(" "), exit });
    }
    let upper = layer.upper();
    if !upper.exists() {
        // a runner that had nothing to mount made nothing
        knarr_core::fsx::create_dir(&upper)?;
    }
    stubs.clean(&upper)
}
