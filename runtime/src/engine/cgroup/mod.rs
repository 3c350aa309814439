//! Cgroups: limits, accounting, freezing, and the means to kill everything a container left.
//!
//! Every container has one below `knarr/` in the unified hierarchy, if the host has one, and in those hierarchies of
//! version 1 that its limits need. Joining a hierarchy of version 1 makes the kernel wait for a grace period of RCU
//! (14 ms on a quiet machine), being born into the unified one costs nothing: so on a hybrid host devices,
//! freezing and killing go through the unified hierarchy even though all controllers are elsewhere.

pub mod devices;
mod error;
mod existing;
mod host;
mod kill;
pub mod limits;
mod stats;
mod wasm;

pub use error::{Error, Reason};
use existing::existing;
pub use existing::{containers, freeze, kill, remove, remove_empty};
pub use host::{Host, V1, Version};
pub use stats::{Stats, stats, was_oom_killed};
pub use wasm::{apply_to_wasm, is_for_wasm, join_wasm, limits_of_wasm};

use knarr_core::fsx;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::Limits;
use knarr_core::spec::isolation::DeviceRule;
use limits::Setting;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The parent of all containers' cgroups.
const PARENT: &str = "knarr";

/// Where an ordinary user's monitors go: a cgroup with processes of its own can't hand on controllers.
const LEAF: &str = "knarr-monitor";

/// Writes a control file: never created, and in one piece.
pub(super) fn write(path: &Path, value: &str) -> Result<(), fsx::Error> {
    use fsx::Context;
    let mut file = fsx::open_with(path, std::fs::OpenOptions::new().write(true))?;
    file.write_all(value.as_bytes()).at("write", path)
}

/// Docker's smallest memory limit: below it not even the set-up fits.
const MEMORY_MINIMUM: u64 = 6 << 20;

/// Checks that every limit makes sense and can be enforced here, without changing anything.
pub fn check(host: &Host, limits: &Limits) -> Result<(), Error> {
    if let Some(nano) = limits.nano_cpus {
        let asked = nano as f64 / 1e9;
        let available = std::thread::available_parallelism().map_or(usize::MAX, usize::from);
        if asked > available as f64 {
            return Err(Error::TooManyCpus { asked, available });
        }
        if nano < 10_000_000 {
            return Err(Error::TooFewCpus { asked });
        }
    }
    let small = [("--memory", limits.memory), ("--memory-reservation", limits.memory_reservation)];
    for (option, value) in small {
        if let Some(value) = value.filter(|value| *value < MEMORY_MINIMUM) {
            return Err(Error::TooLittleMemory { option, value, minimum: MEMORY_MINIMUM });
        }
    }
    match (limits.memory_swap, limits.memory) {
        (Some(swap), Some(memory)) if swap > 0 && (swap as u64) < memory => {
            return Err(Error::SwapBelowMemory { swap, memory });
        }
        (Some(swap), None) if swap != 0 => return Err(Error::SwapWithoutMemory),
        _ => {}
    }
    if limits.nano_cpus.is_some() && (limits.cpu_period.is_some() || limits.cpu_quota.is_some()) {
        return Err(Error::CpusTwice);
    }
    let ranges = [
        ("--cpu-period", limits.cpu_period, 1000, 1_000_000),
        ("--cpu-quota", limits.cpu_quota, 1000, u64::MAX),
        ("--memory-swappiness", limits.memory_swappiness, 0, 100),
        ("--blkio-weight", limits.blkio_weight, 10, 1000),
    ];
    for (option, value, least, most) in ranges {
        if let Some(value) = value.filter(|value| !(least..=most).contains(value)) {
            return Err(Error::OutOfRange { option, value, least, most });
        }
    }
    let unified = host.unified_controllers()?;
    let v2 = limits::v2(limits);
    for setting in &limits::v1(limits) {
        let placed = place(host, &unified, setting)?;
        if placed.is_none() && !v2.iter().any(|other| other.option == setting.option) {
            let option = setting.option;
            // a period and a quota are one setting there
            if !matches!(option, "--cpu-period" | "--cpu-quota") {
                return Err(Error::OnlyVersion1 { option });
            }
        }
    }
    for setting in &limits::block(limits, false)? {
        place(host, &unified, setting)?;
    }
    Ok(())
}

/// The hierarchy in which a setting's controller is: `None` is the unified one.
fn place<'h>(
    host: &'h Host,
    unified: &[String],
    setting: &Setting,
) -> Result<Option<&'h V1>, Error> {
    // the one that has another name in version 2
    let name = if setting.controller == "blkio" { "io" } else { setting.controller };
    if unified.iter().any(|controller| controller == name) {
        return Ok(None);
    }
    host.v1_of(setting.controller).map(Some).ok_or_else(|| Error::Unenforceable {
        option: setting.option,
        value: setting.asked.clone(),
        controller: setting.controller,
        reason: if host.superuser {
            Reason::Missing(setting.controller)
        } else {
            Reason::NotDelegated(setting.controller)
        },
    })
}

/// What a container's cgroup is to do besides limits.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Restrict device files to the defaults and these.
    pub devices: Option<Vec<DeviceRule>>,
    /// Join every hierarchy of version 1. For containers that may mount them (`SYS_ADMIN`): the root of what they then
    /// see is their own cgroup, and where they have none it would be the host's.
    pub every_hierarchy: bool,
}

/// The cgroups of one container, made and limited, still empty.
///
/// Dropped before [`Cgroup::keep`] it removes them again.
#[derive(Debug)]
#[must_use = "dropping it removes the cgroups"]
pub struct Cgroup {
    unified: Option<PathBuf>,
    v1: Vec<V1>,
    kept: bool,
}

impl Cgroup {
    /// Makes the cgroups of a container and applies its limits. All or nothing.
    pub fn create(
        host: &Host,
        id: &ContainerId,
        limits: &Limits,
        scope: Scope,
    ) -> Result<Self, Error> {
        check(host, limits)?;
        let mut in_v1 = limits::v1(limits);
        in_v1.extend(limits::block(limits, false)?);
        let mut in_v2 = limits::v2(limits);
        in_v2.extend(limits::block(limits, true)?);
        let controllers = host.unified_controllers()?;
        let mut cgroup = Self { unified: None, v1: Vec::new(), kept: false };
        if let Some(base) = &host.unified {
            let path = base.join(PARENT).join(id.as_str());
            if let Err(error) = make(&path) {
                // an ordinary user's cgroup is a bonus; the superuser's is the means to kill
                if host.superuser || !in_v2.is_empty() {
                    return Err(error);
                }
            } else {
                cgroup.unified = Some(path);
            }
        }
        let mut restricted = scope.devices.is_none();
        if let (Some(path), Some(more)) = (&cgroup.unified, &scope.devices) {
            restricted = devices::apply_v2(path, more)?;
        }
        let mut needed: Vec<&str> = in_v1.iter().map(|s| s.controller).collect();
        if !restricted {
            needed.push("devices");
        }
        if cgroup.unified.is_none() {
            needed.extend(["freezer", "pids"]);
        }
        for v1 in &host.v1 {
            let own = needed.iter().any(|c| v1.has(c) && !controllers.iter().any(|u| u == c));
            if own || scope.every_hierarchy {
                let path = v1.path.join(PARENT).join(id.as_str());
                make(&path)?;
                cgroup.v1.push(V1 { name: v1.name.clone(), path: path.clone() });
                if v1.has("cpuset") {
                    inherit_cpuset(&path)?;
                }
                if let (false, Some(more)) = (restricted || !v1.has("devices"), &scope.devices) {
                    devices::apply_v1(&path, more)?;
                    restricted = true;
                }
            }
        }
        cgroup.enable(host, &controllers, &in_v2)?;
        for setting in in_v2 {
            if controllers.iter().any(|name| name == setting.controller)
                && let Some(path) = &cgroup.unified
            {
                setting.apply(path)?;
            }
        }
        for setting in in_v1 {
            if let Some(v1) = cgroup.v1.iter().find(|v1| {
                v1.has(setting.controller) && !controllers.iter().any(|c| c == setting.controller)
            }) {
                setting.apply(&v1.path)?;
            }
        }
        Ok(cgroup)
    }

    /// Switches controllers on for the container's cgroup: those of limits, and for accounting the others if possible.
    fn enable(
        &self,
        host: &Host,
        controllers: &[String],
        settings: &[Setting],
    ) -> Result<(), Error> {
        let (Some(base), Some(_)) = (&host.unified, &self.unified) else { return Ok(()) };
        for directory in [base.clone(), base.join(PARENT)] {
            let control = directory.join("cgroup.subtree_control");
            let enabled = fsx::read_to_string(&control)?;
            for name in controllers {
                let wanted = ["cpu", "cpuset", "io", "memory", "pids"].contains(&name.as_str());
                if !wanted || enabled.split_whitespace().any(|on| on == name) {
                    continue;
                }
                let mut result = write(&control, &format!("+{name}"));
                if !host.superuser && result.as_ref().is_err_and(|e| is_busy(&e.source)) {
                    // a cgroup with processes of its own can't hand on controllers: ours moves to a leaf
                    let leaf = base.join(LEAF);
                    let moved =
                        make_directory(&leaf).and_then(|()| write(&leaf.join("cgroup.procs"), "0"));
                    if moved.is_ok() {
                        result = write(&control, &format!("+{name}"));
                    }
                }
                if let Err(source) = result
                    && let Some(setting) = settings.iter().find(|s| s.controller == name)
                {
                    return Err(Error::Limit {
                        option: setting.option,
                        value: setting.asked.clone(),
                        file: control,
                        source,
                    });
                }
            }
        }
        Ok(())
    }

    /// The directory to be born into (`CLONE_INTO_CGROUP`).
    pub fn unified(&self) -> Result<Option<OwnedFd>, Error> {
        use fsx::Context;
        let Some(path) = &self.unified else { return Ok(None) };
        let flags = rustix::fs::OFlags::RDONLY
            | rustix::fs::OFlags::DIRECTORY
            | rustix::fs::OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).at("open", path)?;
        Ok(Some(fd))
    }

    /// The files to which a process writes `0` to move itself into the hierarchies of version 1.
    pub fn v1_doors(&self) -> Result<Vec<std::fs::File>, Error> {
        self.v1.iter().map(|v1| Ok(door(&v1.path)?)).collect()
    }

    /// The hierarchies of version 1 in which the container has a cgroup, by name.
    pub fn v1_names(&self) -> impl Iterator<Item = &str> {
        self.v1.iter().map(|v1| v1.name.as_str())
    }

    /// Whether the container has a cgroup in the unified hierarchy.
    pub fn has_unified(&self) -> bool {
        self.unified.is_some()
    }

    /// The container lives: its cgroups stay until [`remove`].
    pub fn keep(mut self) {
        self.kept = true;
    }

    /// Writes down where an ordinary user's cgroup is, for those who come to clear it away.
    pub fn write_down(&self, host: &Host, root: &Root, id: &ContainerId) -> Result<(), Error> {
        if let (false, Some(base), Some(_)) = (host.superuser, &host.unified, &self.unified) {
            fsx::create_dir_all(root.container(id).run())?;
            fsx::write(&record(root, id), base.as_os_str().as_encoded_bytes())?;
        }
        Ok(())
    }

    /// Moves a running process in. Slower than being born there.
    pub fn add(&self, pid: u32) -> Result<(), Error> {
        let paths = self.unified.iter().chain(self.v1.iter().map(|v1| &v1.path));
        for path in paths {
            write(&path.join("cgroup.procs"), &pid.to_string())?;
        }
        Ok(())
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if !self.kept {
            for path in self.v1.iter().map(|v1| &v1.path).chain(&self.unified) {
                // the cause of this drop is already being reported
                let _ = kill::clear(path);
            }
        }
    }
}

/// The file of a cgroup that takes processes.
fn door(path: &Path) -> Result<std::fs::File, fsx::Error> {
    fsx::open_with(&path.join("cgroup.procs"), std::fs::OpenOptions::new().write(true))
}

/// Where the base of an ordinary user's cgroups is written down: it depends on how knarr was started.
pub(super) fn record(root: &Root, id: &ContainerId) -> PathBuf {
    root.container(id).run().join("cgroup")
}

/// The unified directory and the doors (see [`Cgroup::v1_doors`]) of the cgroups that a container's process is in.
pub fn of_process(host: &Host, pid: u32) -> Result<(Option<OwnedFd>, Vec<std::fs::File>), Error> {
    let text = fsx::read_to_string(Path::new(&format!("/proc/{pid}/cgroup")))?;
    let mut cgroup = Cgroup { unified: None, v1: Vec::new(), kept: true };
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(name), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        // where the container has no cgroup of its own, its processes are where they were born
        let path = path.trim_start_matches('/');
        if !Path::new(path).iter().any(|part| part == PARENT) {
            continue;
        }
        let name = name.trim_start_matches("name=");
        if name.is_empty() {
            cgroup.unified = host.unified_mount.as_ref().map(|top| top.join(path));
        } else if let Some(v1) =
            host.v1.iter().find(|v1| v1.has(name.split(',').next().unwrap_or(name)))
        {
            cgroup.v1.push(V1 { name: v1.name.clone(), path: v1.path.join(path) });
        }
    }
    Ok((cgroup.unified()?, cgroup.v1_doors()?))
}

/// Makes a container's cgroup below [`PARENT`].
fn make(path: &Path) -> Result<(), Error> {
    if let Some(parent) = path.parent() {
        match fsx::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_directory(parent)?;
                if parent.join("cpuset.cpus").exists()
                    && !parent.join("cgroup.controllers").exists()
                {
                    inherit_cpuset(parent)?;
                }
                fsx::create_dir(path)?;
            }
            // left by a monitor that was killed: only an empty one can be made anew
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                kill::clear(path)?;
                fsx::create_dir(path)?;
            }
            other => other?,
        }
    }
    Ok(())
}

fn make_directory(path: &Path) -> Result<(), fsx::Error> {
    match fsx::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// A cpuset of version 1 starts without processors and memory, and takes no process like that.
fn inherit_cpuset(path: &Path) -> Result<(), Error> {
    let Some(parent) = path.parent() else { return Ok(()) };
    for file in ["cpuset.cpus", "cpuset.mems"] {
        if fsx::read_to_string(&path.join(file))?.trim().is_empty() {
            let value = fsx::read_to_string(&parent.join(file))?;
            write(&path.join(file), value.trim())?;
        }
    }
    Ok(())
}

fn is_busy(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EBUSY)
}
