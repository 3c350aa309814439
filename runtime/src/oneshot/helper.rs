//! The process that runs a step: `knarr internal step`.

use super::agent::Relay;
use super::mounts::{self, Resolved};
use super::request::{Ended, Report, Step};
use super::sweep::{Claimed, claim};
use super::{Error, apart, overlay};
use crate::engine::{Guest, Launch, Stdio, native, wasm};
use crate::net;
use crate::net::names::Resolver;
use crate::sys::process::{self, Process};
use crate::sys::signal::Signal;
use knarr_core::fsx;
use knarr_core::id::ContainerId;
use knarr_core::image::{Digest, Platform};
use knarr_core::root::Root;
use knarr_core::spec::{ContainerSpec, EngineKind, NetworkMode, Process as ProcessSpec, SpecImage};
use knarr_core::sys;
use knarr_core::undo::Undo;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::process::{WaitId, WaitIdOptions, waitid};
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The whole of `knarr internal step …`, after those two words.
pub fn entry(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (Some(data), Some(run)) = (arguments.next(), arguments.next()) else {
        return ExitCode::from(2);
    };
    let root = Root::new(PathBuf::from(data), PathBuf::from(run));
    let Ok((mut control, stdio)) = take_streams() else { return ExitCode::FAILURE };
    let report = match receive(&mut control).and_then(|step| live(&root, &step, &control, stdio)) {
        Ok(Some(ended)) => Report::Ended(ended),
        Ok(None) => Report::Cancelled,
        Err(error) => Report::Failed(error.to_failure()),
    };
    let bytes = serde_json::to_vec(&report).unwrap_or_default();
    // if the caller is gone, there is nobody left to tell
    let _ = control.write_all(&bytes);
    ExitCode::SUCCESS
}

/// Takes the socket that came as standard input, and the guest's streams, and leaves the session of the caller: what its
/// terminal sends is the caller's business.
fn take_streams() -> io::Result<(UnixStream, Stdio)> {
    process::close_inherited();
    let null = OwnedFd::from(fsx::open(Path::new("/dev/null")).map_err(|e| e.source)?);
    let control = fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let stdio = Stdio::Pipes {
        stdin: None,
        stdout: fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?,
        stderr: fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?,
    };
    rustix::stdio::dup2_stdin(null.as_fd())?;
    rustix::stdio::dup2_stdout(null.as_fd())?;
    rustix::stdio::dup2_stderr(null.as_fd())?;
    rustix::process::setsid()?;
    Ok((UnixStream::from(control), stdio))
}

fn receive(control: &mut UnixStream) -> Result<Step, Error> {
    let failed = |e| Error::system("receive the step", e);
    let mut length = [0; 4];
    control.read_exact(&mut length).map_err(failed)?;
    let mut request = vec![0; u32::from_ne_bytes(length) as usize];
    control.read_exact(&mut request).map_err(failed)?;
    serde_json::from_slice(&request).map_err(|source| Error::Nonsense { source })
}

/// Everything from the request to the end of what it started; `None` if the caller wanted no more of it.
fn live(
    networks: &Root,
    step: &Step,
    control: &UnixStream,
    stdio: Stdio,
) -> Result<Option<Ended>, Error> {
    let root = &apart(networks);
    let claimed = claim(root)?;
    let Claimed { id, folder, .. } = &claimed;
    let mut undo = Undo::new();
    undo.push(|| drop(sys::remove_tree(folder)));
    let spec = spec(step, id)?;
    let rootfs = &step.rootfs.target;
    undo.push(|| drop(net::detach(networks, id).and_then(|()| net::leave_all(networks, id))));
    if let NetworkMode::Networks(wishes) = &step.network {
        for wish in wishes {
            net::join(networks, id, id.short(), wish)?;
        }
    }
    let entered = net::rootless::enter(networks, &spec)?;
    let mut network = net::attach(networks, &spec, id.short(), &mut |_| Ok(()))?;
    let mut names = net::names::serve(networks, &spec, &mut network)
        .map_err(|e| Error::system("answer the step's questions for names", e))?;
    net::rootless::separate(entered.as_ref(), || true)?;
    // before what is mounted is unmounted, whatever was started has ended
    overlay(&step.rootfs)?;
    undo.push(|| unmount(rootfs));
    undo.push(|| unmount_below(folder));
    let Resolved { mounts, relays } = mounts::resolve(&step.mounts, folder)?;
    undo.push(|| drop(native::cleanup(root, id)));
    let launch = Launch {
        root,
        spec: &spec,
        rootfs,
        rootfs_is_layer: false,
        mounts: &mounts,
        stdio,
        network: &network,
    };
    let Guest { pid, last_words, .. } = match step.engine {
        EngineKind::Native => native::start(launch)?,
        EngineKind::Wasm => wasm::start(launch, None)?,
    };
    // the guest has it; while we have it too, its end would not show
    network.channel = None;
    let guest = Process::open(pid).map_err(|e| Error::system("watch the step", e))?;
    // no fork is to come: there may be threads from here on
    let asked = match relays.into_iter().try_for_each(Relay::start) {
        Ok(()) => {
            follow(&guest, control, &mut names).map_err(|e| Error::system("wait for the step", e))
        }
        Err(e) => Err(e),
    };
    // a native guest is the first of its pid namespace: when it is reaped, all others have ended
    if !matches!(asked, Ok(false)) {
        let _ = guest.signal(Signal::KILL);
    }
    let ended = reap(&guest);
    let starved = step.limits.memory.is_some()
        && match step.engine {
            EngineKind::Native => native::was_oom_killed(root, id).unwrap_or(false),
            EngineKind::Wasm => last_words.is_some_and(wasm::LastWords::out_of_memory),
        };
    let cancelled = asked?;
    let ended = ended.map_err(|e| Error::system("wait for the end of the step", e))?;
    Ok((!cancelled).then_some(match ended {
        Ended::Code(0) => ended,
        _ if starved => Ended::OutOfMemory,
        _ => ended,
    }))
}

/// Waits for the end of the guest (`false`), or for a wish of the caller that it end (`true`), which its own end is as
/// well. Answers the guest's questions for names meanwhile.
fn follow(guest: &Process, control: &UnixStream, names: &mut Option<Resolver>) -> io::Result<bool> {
    loop {
        let mut fds = vec![PollFd::new(guest, PollFlags::IN), PollFd::new(control, PollFlags::IN)];
        let mut sources = Vec::new();
        for (source, fd, flags) in names.iter().flat_map(Resolver::wanted) {
            sources.push(source);
            fds.push(PollFd::from_borrowed_fd(fd, flags));
        }
        let deadline = names.as_ref().and_then(Resolver::deadline);
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        // rounded up, so that the loop does not spin through the last moment
        let left = left.and_then(|left| (left + Duration::from_millis(1)).try_into().ok());
        match poll(&mut fds, left.as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(e) => return Err(e.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        match ready[..] {
            [true, ..] => return Ok(false),
            [false, true, ..] => return Ok(true),
            _ => {}
        }
        let Some(names) = names else { continue };
        for (source, _) in sources.into_iter().zip(&ready[2..]).filter(|(_, ready)| **ready) {
            names.ready(source);
        }
        if deadline.is_some_and(|at| at <= Instant::now()) {
            names.tick();
        }
    }
}

fn reap(guest: &Process) -> io::Result<Ended> {
    loop {
        match waitid(WaitId::PidFd(guest.as_fd()), WaitIdOptions::EXITED) {
            Ok(Some(status)) => {
                return Ok(match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => Ended::Code(code),
                    (_, Some(signal)) => Ended::Signal(signal),
                    _ => Ended::Code(255),
                });
            }
            Ok(None) | Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// At once where that is possible, so that nobody meets a busy file system who removes the folders afterwards.
fn unmount(target: &Path) {
    use rustix::mount::{UnmountFlags, unmount};
    if unmount(target, UnmountFlags::empty()).is_err() {
        let _ = unmount(target, UnmountFlags::DETACH);
    }
}

fn unmount_below(folder: &Path) {
    for name in fsx::list(folder).unwrap_or_default() {
        unmount(&folder.join(name));
    }
}

/// The engines speak of containers: what a step is, as one.
fn spec(step: &Step, id: &ContainerId) -> Result<ContainerSpec, Error> {
    let image = SpecImage {
        reference: String::new(),
        id: nothing()?,
        manifest: nothing()?,
        platform: Platform::host(),
        reason: String::new(),
        layers: Vec::new(),
    };
    let process = ProcessSpec {
        cmd: step.args.clone(),
        env: step.env.clone(),
        cwd: step.cwd.clone(),
        user: step.user.clone(),
        ..ProcessSpec::default()
    };
    Ok(ContainerSpec {
        id: id.clone(),
        engine: step.engine,
        hostname: step.hostname.clone(),
        limits: step.limits.clone(),
        security: step.security.clone(),
        network: step.network.clone(),
        dns: step.dns.clone(),
        extra_hosts: step.extra_hosts.clone(),
        auto_remove: true,
        ..ContainerSpec::of(image, process)
    })
}

/// The digest of nothing: a step is of no image.
fn nothing() -> Result<Digest, Error> {
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        .parse()
        .map_err(|_| Error::system("describe the step", io::ErrorKind::InvalidData))
}
