//! A further process in a running container.

use super::capabilities::Capabilities;
use super::devices;
use super::error::{Doing, Error};
use super::launcher::Launcher;
use super::program::{self, Program, Streams};
use super::rootdir::RootDir;
use super::seccomp::Filter;
use super::terminal::Terminal;
use super::{apparmor, isolation, spawn, start, sys, user};
use crate::engine::cgroup::{self, Host};
use crate::engine::{Guest, Stdio};
use crate::net;
use crate::sys::process;
use crate::sys::signal::SignalQueue;
use knarr_core::root::Root;
use knarr_core::spec::ContainerSpec;
use knarr_core::sys::{is_superuser, join_user_namespace};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What `knarr exec` runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecProcess {
    pub args: Vec<String>,
    /// On top of the container's own.
    pub env: Vec<String>,
    /// `None`: the container's.
    pub cwd: Option<String>,
    /// `None`: the container's.
    pub user: Option<String>,
    /// All capabilities that knarr has.
    pub privileged: bool,
}

/// Starts a process in all namespaces and cgroups of a running container, confined as the container is.
///
/// `init_pid` is the container's first process, which the caller knows to be alive. The new process is a child of the
/// caller, which has a single thread, and dies with it. Until it runs, signals that ask this process to end do so.
pub fn exec(
    root: &Root,
    spec: &ContainerSpec,
    init_pid: u32,
    wanted: &ExecProcess,
    stdio: Stdio,
    signals: &SignalQueue,
) -> Result<Guest, Error> {
    let pid = Pid::from_raw(init_pid as i32).ok_or_else(gone)?;
    let init = pidfd_open(pid, PidfdFlags::empty())
        .map_err(|error| Error::NotRunning { source: error.into() })?;
    let proc = PathBuf::from(format!("/proc/{init_pid}"));
    // before anything of ours can be seen in the container
    sys::set_dumpable(false).doing("protect", "this process")?;
    if !same_namespace(&proc, "user")? {
        let namespace =
            rustix::fs::open(proc.join("ns/user"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        namespace
            .map_err(Into::into)
            .and_then(join_user_namespace)
            .doing("join", "the container's user namespace")?;
    }
    let tree = RootDir::open(&proc.join("root"))
        .map_err(|error| Error::NotRunning { source: error.into() })?;
    let null = devices::null_of(&tree, is_superuser())?;
    let (streams, master) = match stdio {
        Stdio::Pipes { stdin, stdout, stderr } => (Streams::Pipes { stdin, stdout, stderr }, None),
        Stdio::Terminal { rows, columns } => {
            let terminal = Terminal::in_container(&tree, rows, columns)?;
            (Streams::Terminal(terminal.slave), Some(terminal.master))
        }
    };
    let outbound = net::is_outbound_limited(root, spec);
    let program = describe(spec, wanted, (&tree, master.is_some()), outbound)?;
    let (birthplace, doors) = cgroup::of_process(&Host::detect(is_superuser()), init_pid)?;
    let mut namespaces =
        libc::CLONE_NEWNS | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS | libc::CLONE_NEWCGROUP;
    if !same_namespace(&proc, "net")? {
        namespaces |= libc::CLONE_NEWNET;
    }
    let cgroup = birthplace.as_ref().map(AsFd::as_fd);
    let child = |report: OwnedFd| {
        // those in the container see this process already
        let needed = [init.as_raw_fd(), null.as_raw_fd(), report.as_raw_fd()];
        let needed = needed.into_iter().chain(doors.iter().map(AsRawFd::as_raw_fd));
        process::keep_only(needed.chain(program.descriptors(&streams)));
        let entered = isolation::set_oom_score(spec.isolation.oom_score_adj)
            .doing("set the OOM score of", "the process")
            .and_then(|()| enter(init.as_fd(), namespaces, &doors));
        match entered {
            Ok(()) => program.exec(&streams, null, report),
            Err(error) => (error, report),
        }
    };
    // its children; it stays outside itself
    let pid = sys::among_processes_of(init.as_fd(), || {
        spawn::spawn(0, cgroup, &program, Some(signals), child)
    })
    .doing("join", "the container's processes")??;
    Ok(Guest { pid, terminal: master, ..Guest::default() })
}

fn gone() -> Error {
    Error::NotRunning { source: rustix::io::Errno::SRCH.into() }
}

fn enter(init: BorrowedFd<'_>, namespaces: i32, doors: &[std::fs::File]) -> Result<(), Error> {
    start::join(doors)?;
    sys::setns(init, namespaces).doing("join", "the container's namespaces")
}

fn describe(
    spec: &ContainerSpec,
    process: &ExecProcess,
    (tree, terminal): (&RootDir, bool),
    outbound: bool,
) -> Result<Program, Error> {
    let of_container = Capabilities::of_container(&spec.security, outbound)?;
    let capabilities = match process.privileged {
        true => Capabilities::privileged(outbound),
        false => of_container,
    };
    let command = process.args.first().ok_or(Error::NoCommand)?.clone();
    let user = process.user.as_ref().unwrap_or(&spec.process.user);
    let user = user::resolve(tree, user, &spec.process.group_add)?;
    let superuser = is_superuser();
    if !superuser {
        user::check_mapped(&user)?;
    }
    let environment = start::environment(spec, &process.env, &user.home, terminal);
    let directory = process.cwd.as_ref().unwrap_or(&spec.process.cwd);
    Ok(Program {
        candidates: program::candidates(&command, &environment)?,
        arguments: program::c_strings(&process.args, "the command")?,
        environment: program::c_strings(&environment, "the environment")?,
        directory: if directory.is_empty() { "/".to_owned() } else { directory.clone() },
        user,
        capabilities,
        no_new_privileges: spec.security.no_new_privileges,
        // the filter is the container's, which even a privileged process does not escape: as with runc
        seccomp: Filter::of(&spec.security, of_container, outbound)?,
        profile: apparmor::of(&spec.security, superuser)?,
        limits: program::resource_limits(&spec.limits.ulimits)?,
        init: false,
        superuser,
        launcher: Launcher::new(),
        command,
    })
}

/// Whether a process of the container shares a namespace with this one.
fn same_namespace(proc: &Path, name: &str) -> Result<bool, Error> {
    let of = |path: &Path| {
        let path = path.join("ns").join(name);
        let stat =
            rustix::fs::stat(&path).map_err(|error| Error::NotRunning { source: error.into() })?;
        Ok::<_, Error>((stat.st_dev, stat.st_ino))
    };
    Ok(of(proc)? == of(Path::new("/proc/self"))?)
}
