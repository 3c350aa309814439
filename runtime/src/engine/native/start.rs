//! Starting a container.

use super::capabilities::Capabilities;
use super::devices::{self, Devices};
use super::error::{Doing, Error};
use super::launcher::Launcher;
use super::program::{self, Program, Streams};
use super::rootdir::RootDir;
use super::rootfs::Plan;
use super::seccomp::Filter;
use super::terminal::Terminal;
use super::{apparmor, etc, isolation, mounts, protect, spawn, sys, user};
use crate::engine::cgroup::{self, Cgroup, Host, Scope, Version};
use crate::engine::names::hostname;
use crate::engine::{Guest, Launch, Stdio, UserNamespaces};
use crate::net;
use knarr_core::spec::{ContainerSpec, Ipc, Isolation, NetworkMode, Sharing};
use knarr_core::sys::is_superuser;
use rustix::fs::{AtFlags, CWD, StatxFlags};
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Checks that what a container asks for is well-formed and can be enforced on this host, without changing anything.
pub fn check(spec: &ContainerSpec) -> Result<(), Error> {
    if spec.process.args().is_empty() {
        return Err(Error::NoCommand);
    }
    let outbound = spec.outbound.is_some();
    if outbound && !matches!(spec.network, NetworkMode::Networks(_) | NetworkMode::None) {
        return Err(Error::OutboundOfOthers);
    }
    let capabilities = Capabilities::of_container(&spec.security, outbound)?;
    Filter::of(&spec.security, capabilities, outbound)?;
    if let Some(mount) = spec.mounts.iter().find(|mount| {
        let target = mounts::clean(&mount.target);
        !protect::may_be_mounted_over(&target, true)
    }) {
        return Err(Error::MountInProc { target: mount.target.clone() });
    }
    program::resource_limits(&spec.limits.ulimits)?;
    isolation::check(spec, is_superuser())?;
    Ok(cgroup::check(&Host::detect(is_superuser()), &spec.limits)?)
}

/// Starts the guest; when this returns, its program runs.
///
/// The caller has a single thread and a mount namespace of its own. The guest is its child, and dies with it.
pub fn start(launch: Launch<'_>) -> Result<Guest, Error> {
    let Launch { root, spec, rootfs, mounts, stdio, network, .. } = launch;
    let superuser = is_superuser();
    if !rustix::process::geteuid().is_root() {
        return Err(Error::NotInUserNamespace { namespaces: UserNamespaces::detect() });
    }
    let host = Host::detect(superuser);
    let outbound = net::is_outbound_limited(root, spec);
    let capabilities = Capabilities::of_container(&spec.security, outbound)?;
    let tree = RootDir::open(rootfs).doing("open", rootfs.display())?;
    let terminal = matches!(stdio, Stdio::Terminal { .. });
    let filters = Filter::of(&spec.security, capabilities, outbound)?;
    let program = program(spec, &tree, (capabilities, filters), terminal)?;
    drop(tree);
    let privileged = spec.security.privileged;
    let asked = &spec.isolation;
    isolation::check(spec, superuser)?;
    let joined = isolation::Joined::open(root, spec)?;
    let devices = devices::of_user(&asked.devices)?;
    let allowed = || devices.iter().map(|device| device.rule()).chain(asked.device_rules.clone());
    let scope = Scope {
        devices: (superuser && !privileged).then(|| allowed().collect()),
        every_hierarchy: superuser && (privileged || capabilities.has("SYS_ADMIN")),
    };
    let cgroup = Cgroup::create(&host, &spec.id, &spec.limits, scope)?;
    cgroup.write_down(&host, root, &spec.id)?;
    let (streams, master, devpts, console) = streams(stdio, !superuser)?;
    etc::write(root, spec, network)?;
    let read_only = spec.read_only_rootfs;
    let files = etc::FILES
        .iter()
        .map(|(name, target)| mounts::of_file(&etc::path(root, spec, name), target, read_only));
    // made and set up already
    let own_net = network.namespace.as_ref().map(AsFd::as_fd);
    let new_network = spec.network == NetworkMode::None;
    let own_network = new_network || matches!(spec.network, NetworkMode::Networks(_));
    let plan = Plan {
        rootfs: rootfs.to_owned(),
        is_mount: is_mount(rootfs),
        mounts: mounts::merge(
            mounts::defaults(spec, devpts, !superuser)?,
            files.collect::<Result<_, _>>()?,
            mounts::of_user(mounts)?,
        ),
        cgroup_views: mounts::cgroup_views(&cgroup, host.version == Version::V2),
        devices: Devices {
            nodes: if privileged { devices::of_host()? } else { devices::defaults() },
            asked: devices,
            bind: !superuser,
            console,
            shared_memory: asked.ipc != Ipc::None,
        },
        sysctls: asked.sysctls.clone(),
        protect: !privileged,
        own_network,
        working_directory: program.directory.clone(),
        read_only,
    };
    let hostname = hostname(spec);
    let birthplace = cgroup.unified()?;
    if let (Some(gate), Some(cgroup)) = (&network.gate, &birthplace) {
        gate.attach(cgroup.as_fd());
    }
    let doors = cgroup.v1_doors()?;
    let mut namespaces = libc::CLONE_NEWNS;
    for (own, namespace) in [
        (asked.pid == Sharing::Own, libc::CLONE_NEWPID),
        (!matches!(asked.ipc, Ipc::Host | Ipc::Container(_)), libc::CLONE_NEWIPC),
        (!asked.uts_host, libc::CLONE_NEWUTS),
        (new_network, libc::CLONE_NEWNET),
    ] {
        namespaces |= if own { namespace } else { 0 };
    }
    let cgroup_fd = birthplace.as_ref().map(AsFd::as_fd);
    let names = (hostname.as_str(), spec.domainname.as_deref());
    let ipc = joined.ipc.as_ref().map(AsFd::as_fd);
    let spawn = || {
        spawn::spawn(namespaces, cgroup_fd, &program, None, |report| {
            match enter(&plan, asked, &doors, names, (new_network, own_net), ipc) {
                Ok(null) => program.exec(&streams, null, report),
                Err(error) => (error, report),
            }
        })
    };
    let pid = match &joined.pid {
        Some(other) => sys::among_processes_of(other.as_fd(), spawn)
            .doing("join", "the other container's processes")??,
        None => spawn()?,
    };
    cgroup.keep();
    Ok(Guest { pid, terminal: master, ..Guest::default() })
}

/// The child: from its new namespaces into the container.
fn enter(
    plan: &Plan,
    asked: &Isolation,
    doors: &[File],
    (hostname, domainname): (&str, Option<&str>),
    (new_network, joined): (bool, Option<BorrowedFd<'_>>),
    ipc: Option<BorrowedFd<'_>>,
) -> Result<OwnedFd, Error> {
    isolation::set_oom_score(asked.oom_score_adj).doing("set the OOM score of", "the container")?;
    // the monitor's memory and program are none of the container's business
    sys::set_dumpable(false).doing("protect", "the container's process")?;
    join(doors)?;
    if !asked.cgroupns_host {
        // its root is the cgroup the process is in now; made by clone3, it would be the parent's
        sys::unshare(libc::CLONE_NEWCGROUP).doing("create", "a cgroup namespace")?;
    }
    if !asked.uts_host {
        rustix::system::sethostname(hostname.as_bytes()).doing("set the host name", hostname)?;
        if let Some(name) = domainname {
            rustix::system::setdomainname(name.as_bytes()).doing("set the domain name", name)?;
        }
    }
    let mut shared_memory = None;
    if let Some(other) = ipc {
        sys::setns(other, libc::CLONE_NEWIPC).doing("join", "the other container's IPC")?;
        shared_memory = Some(isolation::shared_memory(other)?);
    }
    if let Some(network) = joined {
        sys::setns(network, libc::CLONE_NEWNET).doing("join", "the container's network")?;
    }
    if new_network {
        sys::loopback_up().doing("switch on", "the loopback interface")?;
    }
    plan.enter(shared_memory)
}

/// Moves this process into its cgroups of version 1.
pub(super) fn join(doors: &[File]) -> Result<(), Error> {
    for mut door in doors {
        door.write_all(b"0").doing("join", "a cgroup")?;
    }
    Ok(())
}

/// The program that a specification describes, with the users of the image at `tree`.
pub(super) fn program(
    spec: &ContainerSpec,
    tree: &RootDir,
    (capabilities, seccomp): (Capabilities, Vec<Filter>),
    terminal: bool,
) -> Result<Program, Error> {
    let process = &spec.process;
    let args = process.args();
    let command = args.first().ok_or(Error::NoCommand)?.clone();
    let user = user::resolve(tree, &process.user, &process.group_add)?;
    let superuser = is_superuser();
    if !superuser {
        user::check_mapped(&user)?;
    }
    let environment = environment(spec, &[], &user.home, terminal);
    Ok(Program {
        candidates: program::candidates(&command, &environment)?,
        arguments: program::c_strings(&args, "the command")?,
        environment: program::c_strings(&environment, "the environment")?,
        directory: if process.cwd.is_empty() { "/".to_owned() } else { process.cwd.clone() },
        user,
        capabilities,
        no_new_privileges: spec.security.no_new_privileges,
        seccomp,
        profile: apparmor::of(&spec.security, superuser)?,
        limits: program::resource_limits(&spec.limits.ulimits)?,
        init: spec.init,
        superuser,
        launcher: Launcher::new(),
        command,
    })
}

/// Docker's defaults, then the container's variables, then `more`: for guests of both engines.
pub(crate) fn environment(
    spec: &ContainerSpec,
    more: &[String],
    home: &str,
    terminal: bool,
) -> Vec<String> {
    let mut defaults =
        vec![format!("PATH={}", program::PATH), format!("HOSTNAME={}", hostname(spec))];
    if terminal {
        defaults.push("TERM=xterm".to_owned());
    }
    let layers = defaults.iter().chain(&spec.process.env).chain(more);
    let mut merged = program::environment(layers.map(String::as_str));
    if program::variable(&merged, "HOME").is_none() {
        merged.push(format!("HOME={home}"));
    }
    merged
}

/// The guest's streams; with a terminal also its master, its file system, and the slave for `/dev/console`.
type Ends = (Streams, Option<OwnedFd>, Option<OwnedFd>, Option<OwnedFd>);

fn streams(stdio: Stdio, rootless: bool) -> Result<Ends, Error> {
    match stdio {
        Stdio::Pipes { stdin, stdout, stderr } => {
            Ok((Streams::Pipes { stdin, stdout, stderr }, None, None, None))
        }
        Stdio::Terminal { rows, columns } => {
            let (terminal, devpts) = Terminal::new(rows, columns, rootless)?;
            let console = rustix::io::fcntl_dupfd_cloexec(&terminal.slave, 3)
                .doing("copy", "the terminal")?;
            Ok((
                Streams::Terminal(terminal.slave),
                Some(terminal.master),
                Some(devpts),
                Some(console),
            ))
        }
    }
}

/// Whether a directory is the root of a mount.
fn is_mount(path: &Path) -> bool {
    rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS)
        .is_ok_and(|stat| stat.stx_attributes.contains(rustix::fs::StatxAttributes::MOUNT_ROOT))
}
