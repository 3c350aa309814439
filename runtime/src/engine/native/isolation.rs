//! Namespaces that are shared with the host or with another container, and settings of the kernel.

use super::error::{Doing, Error};
use super::sys;
use crate::net;
use knarr_core::hint::Hint;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::isolation::{self, DeviceAccess};
use knarr_core::spec::{ContainerSpec, EngineKind, Ipc, NetworkMode, Sharing};
use rustix::fs::{CWD, Mode, OFlags, fstatfs};
use rustix::mount::{OpenTreeFlags, open_tree};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What cannot be shared or set.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("--sysctl {name} is refused: {reason}")]
    Sysctl { name: String, reason: &'static str },
    #[error("{option} cannot be had by an ordinary user: {reason}")]
    Ordinary { option: String, reason: &'static str },
    #[error("{option} conflicts with --uts host: the name would be the host's")]
    NameOfHost { option: &'static str },
    #[error("--oom-score-adj {score} is not between -1000 and 1000")]
    OomScore { score: i32 },
    #[error("{option} container:{}: the container does not run", other.short())]
    OtherNotRunning { option: &'static str, other: ContainerId },
    #[error("{option} container:{}: a Wasm container has no namespaces to share", other.short())]
    OtherIsWasm { option: &'static str, other: ContainerId },
    #[error("--ipc container:{}: that container does not share its IPC namespace", other.short())]
    NotShareable { other: ContainerId },
    #[error("--device {path}: no such device on this host")]
    NoDevice { path: String, source: std::io::Error },
    #[error("--device {path} is neither a device nor a directory of devices")]
    NotADevice { path: String },
}

impl Hint for Refusal {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Sysctl { .. } => {
                "those of a container's own are net.*, fs.mqueue.*, kernel.msg*, kernel.sem and kernel.shm*".into()
            }
            Self::Ordinary { .. } => "leave it out, or run knarr as the superuser".into(),
            Self::NameOfHost { option } => format!("leave {option} out"),
            Self::OomScore { .. } => return None,
            Self::OtherNotRunning { other, .. } => format!("start it: knarr start {}", other.short()),
            Self::OtherIsWasm { .. } => "leave the option out".into(),
            Self::NotShareable { .. } => "make that one with --ipc shareable".into(),
            Self::NoDevice { .. } | Self::NotADevice { .. } => {
                "write HOST[:CONTAINER[:rwm]], for example /dev/fuse".into()
            }
        })
    }
}

/// Checks what a container asks for, without changing anything.
pub fn check(spec: &ContainerSpec, superuser: bool) -> Result<(), Refusal> {
    let asked = &spec.isolation;
    for name in asked.sysctls.keys() {
        let reason = if isolation::sysctl_path(name).is_none() {
            "it would be the whole host's"
        } else if isolation::is_sysctl_of_network(name) && spec.network == NetworkMode::Host {
            "with --network host it would be the host's"
        } else if isolation::is_sysctl_of_ipc(name) && asked.ipc == Ipc::Host {
            "with --ipc host it would be the host's"
        } else {
            continue;
        };
        return Err(Refusal::Sysctl { name: name.clone(), reason });
    }
    if asked.uts_host {
        let given =
            [("--hostname", spec.hostname.is_some()), ("--domainname", spec.domainname.is_some())];
        // who shares a container's network was given that one's name
        let own = !matches!(spec.network, NetworkMode::Container(_));
        if let Some((option, _)) = given.into_iter().find(|(_, given)| own && *given) {
            return Err(Refusal::NameOfHost { option });
        }
    }
    if let Some(score) = asked.oom_score_adj.filter(|score| !(-1000..=1000).contains(score)) {
        return Err(Refusal::OomScore { score });
    }
    if superuser {
        return Ok(());
    }
    let of_host = "its processes are in a user namespace, to which the host's do not belong";
    let rules = "what a device allows is restricted by a cgroup of the superuser's";
    let narrowed = asked.devices.iter().find(|device| device.access != DeviceAccess::ALL);
    let refused = [
        (asked.pid == Sharing::Host, "--pid host".to_owned(), of_host),
        (asked.cgroupns_host, "--cgroupns host".to_owned(), of_host),
        (!asked.device_rules.is_empty(), "--device-cgroup-rule".to_owned(), rules),
        (
            narrowed.is_some(),
            format!("--device {}", narrowed.map_or("", |device| &device.host)),
            rules,
        ),
    ];
    match refused.into_iter().find(|(refused, ..)| *refused) {
        Some((_, option, reason)) => Err(Refusal::Ordinary { option, reason }),
        None => Ok(()),
    }
}

/// First processes of the containers whose namespaces are joined.
#[derive(Default)]
pub struct Joined {
    pub pid: Option<OwnedFd>,
    pub ipc: Option<OwnedFd>,
}

impl Joined {
    pub fn open(root: &Root, spec: &ContainerSpec) -> Result<Self, Error> {
        let mut joined = Self::default();
        if let Sharing::Container(other) = &spec.isolation.pid {
            joined.pid = Some(first_process(root, other, "--pid")?.1);
        }
        if let Ipc::Container(other) = &spec.isolation.ipc {
            let (ipc, process) = first_process(root, other, "--ipc")?;
            if ipc != Ipc::Shareable {
                return Err(Refusal::NotShareable { other: other.clone() }.into());
            }
            joined.ipc = Some(process);
        }
        Ok(joined)
    }
}

/// What another container of this root does with its IPC namespace, and its first process, which lives.
fn first_process(
    root: &Root,
    other: &ContainerId,
    option: &'static str,
) -> Result<(Ipc, OwnedFd), Error> {
    let gone = || Refusal::OtherNotRunning { option, other: other.clone() };
    let running = || net::running(root, other).ok().flatten().ok_or_else(gone);
    let (container, pid) = running()?;
    if container.spec.engine == EngineKind::Wasm {
        return Err(Refusal::OtherIsWasm { option, other: other.clone() }.into());
    }
    let number = Pid::from_raw(pid as i32).ok_or_else(gone)?;
    let process = pidfd_open(number, PidfdFlags::empty()).map_err(|_| gone())?;
    // the number has not come to be another process's meanwhile
    if running()?.1 != pid {
        return Err(gone().into());
    }
    Ok((container.spec.isolation.ipc, process))
}

/// The `/dev/shm` of another container, detached from a copy. For a process that is about to have another root anyway: its
/// root and working directory change.
pub fn shared_memory(of: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    const SUBJECT: &str = "the other container's shared memory";
    /// linux/magic.h
    const TMPFS: u64 = 0x0102_1994;
    let own =
        rustix::fs::open("/proc/self/ns/mnt", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .doing("open", "this process's mounts")?;
    sys::setns(of, libc::CLONE_NEWNS).doing("look at", SUBJECT)?;
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    let tree = open_tree(CWD, "/dev/shm", flags);
    sys::setns(own.as_fd(), libc::CLONE_NEWNS).doing("return to", "this process's mounts")?;
    let tree = tree.doing("join", SUBJECT)?;
    match fstatfs(&tree).is_ok_and(|found| found.f_type as u64 == TMPFS) {
        true => Ok(tree),
        false => Err(rustix::io::Errno::NODEV).doing("join", SUBJECT),
    }
}

/// Writes settings below `/proc/sys`, by the `/proc` there.
pub fn set_sysctls(
    proc: BorrowedFd<'_>,
    sysctls: &std::collections::BTreeMap<String, String>,
) -> Result<(), Error> {
    for (name, value) in sysctls {
        let path = isolation::sysctl_path(name).unwrap_or_default();
        let file = super::protect::open(proc, &format!("sys/{path}"), OFlags::WRONLY);
        file.and_then(|file| rustix::io::write(&file, value.as_bytes()))
            .doing("set", format_args!("the sysctl {name} to {value:?}"))?;
    }
    Ok(())
}

/// How readily the kernel ends this process when memory runs out.
///
/// Without a wish a container does not inherit protection that knarr may have been given. That is best effort: giving up a
/// penalty would take `SYS_RESOURCE`.
pub fn set_oom_score(score: Option<i32>) -> rustix::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let written =
        rustix::fs::open("/proc/self/oom_score_adj", flags, Mode::empty()).and_then(|file| {
            rustix::io::write(file, score.unwrap_or(0).to_string().as_bytes()).map(drop)
        });
    if score.is_some() { written } else { Ok(()) }
}
