//! `RUN` steps: what a build asks of the runtime.

use crate::error::Failure;
use crate::ui;
use knarr_core::root::Root;
use knarr_core::spec::network::DEFAULT_NETWORK;
use knarr_core::spec::{Attachment, Dns, EngineKind, NetworkMode, Security};
use knarr_packager::build::options::StepNetwork;
use knarr_packager::build::{
    Exit, RunStep, StepError, StepMount, StepMountKind, StepRunner, Stream,
};
use knarr_runtime::net;
use knarr_runtime::oneshot::{self, Cancel, Ended, Source, Step};
use std::sync::Once;

/// Runs each step in a process of its own.
pub struct Runner<'a> {
    root: &'a Root,
    /// What a step's network lacks is said once.
    warned: Once,
}

impl<'a> Runner<'a> {
    /// Clears away first what builds left that were killed; what cannot be cleared is in nobody's way.
    pub fn new(root: &'a Root) -> Self {
        if let Err(error) = oneshot::sweep(root) {
            let failure = Failure::from(error);
            ui::warning(format_args!(
                "cannot clear away what an earlier build left: {}",
                failure.messages.join(": ")
            ));
        }
        Self { root, warned: Once::new() }
    }
}

impl StepRunner for Runner<'_> {
    fn run(
        &self,
        step: &RunStep,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Exit, StepError> {
        let translated = translate(self.root, step)?;
        if let Some(shortcoming) = net::rootless::shortcoming(self.root, &translated.network) {
            self.warned.call_once(|| ui::warning(shortcoming));
        }
        let cancel = Cancel::new()?;
        let canceller = cancel.clone();
        let _listening = step.cancellation.on_cancel(move || canceller.cancel());
        let mut output = |stream, bytes: &[u8]| match stream {
            oneshot::Stream::Stdout => output(Stream::Stdout, bytes),
            oneshot::Stream::Stderr => output(Stream::Stderr, bytes),
        };
        Ok(match oneshot::run(self.root, &translated, Some(&cancel), &mut output)? {
            Ended::Code(code) => Exit::Code(code),
            Ended::Signal(signal) => Exit::Signal(signal),
            Ended::OutOfMemory => Exit::OutOfMemory,
        })
    }
}

fn translate(root: &Root, step: &RunStep) -> Result<Step, net::Error> {
    let engine = match step.platform.is_wasm() {
        true => EngineKind::Wasm,
        false => EngineKind::Native,
    };
    Ok(Step {
        engine,
        rootfs: step.rootfs.clone(),
        args: step.args.clone(),
        env: step.env.clone(),
        cwd: step.cwd.clone(),
        user: step.user.clone(),
        hostname: Some(step.hostname.clone()),
        mounts: step.mounts.iter().map(mount).collect(),
        network: network(root, engine, &step.network)?,
        dns: Dns::default(),
        extra_hosts: step.hosts.clone(),
        limits: step.limits.clone(),
        security: Security::default(),
    })
}

/// As `knarr run` has it.
fn network(
    root: &Root,
    engine: EngineKind,
    network: &StepNetwork,
) -> Result<NetworkMode, net::Error> {
    let joined = match network {
        StepNetwork::Host => None,
        StepNetwork::None => return Ok(NetworkMode::None),
        StepNetwork::Named(name) if name != DEFAULT_NETWORK => Some(net::find(root, name)?),
        StepNetwork::Named(_) | StepNetwork::Default => {
            Some(net::default_network(root, engine, None)?)
        }
    };
    Ok(joined.map_or(NetworkMode::Host, |network| {
        let wish = Attachment { network: network.name, ..Attachment::default() };
        NetworkMode::Networks(vec![wish])
    }))
}

fn mount(mount: &StepMount) -> oneshot::StepMount {
    let (source, read_only) = match &mount.kind {
        StepMountKind::Bind { source, read_only } => (Source::Path(source.clone()), *read_only),
        StepMountKind::Overlay { rootfs, sub, read_only } => {
            (Source::Layers { tree: rootfs.clone(), path: sub.clone() }, *read_only)
        }
        StepMountKind::Tmpfs { size } => (Source::Tmpfs { size: *size, mode: None }, false),
        StepMountKind::Secret { content, uid, gid, mode } => {
            let content = content.to_vec();
            (Source::Secret { content, mode: *mode, uid: *uid, gid: *gid }, true)
        }
        StepMountKind::Ssh { socket, uid, gid, mode } => {
            let socket = socket.clone();
            (Source::Agent { socket, mode: *mode, uid: *uid, gid: *gid }, false)
        }
    };
    oneshot::StepMount { source, target: mount.target.clone(), read_only }
}
