//! Show what this machine and this user allow, and what is there.

mod others;

use super::{Context, Outcome};
use crate::ui::{self, listing, units};
use crate::wiring::variant;
use knarr_core::sys;
use knarr_runtime::container::list::{self, Filters, ListOptions};
use knarr_runtime::engine::{HostSupport, UserNamespaces, host_support};
use knarr_runtime::net::rootless;
use knarr_runtime::state::Status;
use others::Others;
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print json, or what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Docker's fields, then Knarr's own.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    containers: usize,
    containers_running: usize,
    containers_paused: usize,
    containers_stopped: usize,
    images: usize,
    driver: &'static str,
    cgroup_driver: &'static str,
    cgroup_version: String,
    kernel_version: String,
    #[serde(rename = "OSType")]
    os_type: &'static str,
    architecture: &'static str,
    #[serde(rename = "NCPU")]
    ncpu: usize,
    mem_total: u64,
    docker_root_dir: String,
    name: String,
    server_version: &'static str,
    default_runtime: &'static str,
    security_options: Vec<String>,
    warnings: Vec<String>,
    #[serde(flatten)]
    others: Others,
    /// The platforms of the variants that run here, in the order in which they are chosen.
    runs: Vec<String>,
    cgroup_controllers: Vec<String>,
    overlay: bool,
    seccomp: bool,
    landlock: Option<u32>,
    rootless: bool,
    user_namespaces: bool,
    /// How many users and groups an ordinary user's containers have besides that user.
    subordinate_ids: Option<SubordinateIds>,
    /// What a native container gets that asks for no network, and why; a Wasm container.
    network: String,
    wasm_network: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct SubordinateIds {
    users: u64,
    groups: u64,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let info = gather(context)?;
    match &args.format {
        Some(format) => ui::data(listing::document(format, &info)?.as_bytes())?,
        None => ui::data(text(&info).as_bytes())?,
    }
    for warning in info.warnings.iter().filter(|_| args.format.is_none()) {
        ui::warning(warning);
    }
    Ok(0)
}

fn gather(context: &Context) -> Result<Info, crate::error::Failure> {
    let store = context.store()?;
    let host = host_support();
    let all = ListOptions { all: true, ..Default::default() };
    let containers = list::list(&store, &Filters::default(), &all)?.containers;
    let count =
        |wanted: &[Status]| containers.iter().filter(|c| wanted.contains(&c.status)).count();
    let mut ids: Vec<_> = store.images()?.into_iter().map(|i| i.id().to_string()).collect();
    ids.sort();
    ids.dedup();
    let system = rustix::system::uname();
    let runnable = variant::runnable();
    let [network, wasm_network] = rootless::defaults();
    let wasm = runnable.wasm.then(knarr_core::image::Platform::wasm);
    Ok(Info {
        containers: containers.len(),
        containers_running: count(&[Status::Running]),
        containers_paused: count(&[Status::Paused]),
        containers_stopped: count(&[Status::Created, Status::Exited, Status::Removing]),
        images: ids.len(),
        driver: if host.overlay { "overlay" } else { "copy" },
        cgroup_driver: "cgroupfs",
        cgroup_version: host.cgroup_version.to_string(),
        kernel_version: host.kernel.clone(),
        os_type: std::env::consts::OS,
        architecture: std::env::consts::ARCH,
        ncpu: std::thread::available_parallelism().map_or(1, usize::from),
        mem_total: memory_total(),
        docker_root_dir: context.root.data().display().to_string(),
        name: system.nodename().to_string_lossy().into_owned(),
        server_version: env!("CARGO_PKG_VERSION"),
        default_runtime: "wasm, else native",
        security_options: security_options(&host),
        warnings: warnings(&host),
        others: Others::gather(&host)?,
        runs: wasm.iter().chain(&runnable.native).map(ToString::to_string).collect(),
        cgroup_controllers: host.cgroup_controllers,
        overlay: host.overlay,
        seccomp: host.seccomp,
        landlock: host.landlock,
        rootless: host.rootless,
        user_namespaces: host.user_namespaces == UserNamespaces::Available,
        subordinate_ids: host.rootless.then(subordinate_ids),
        network,
        wasm_network,
    })
}

fn subordinate_ids() -> SubordinateIds {
    let count = |ids: &sys::Ids| ids.ranges.iter().map(|range| u64::from(range.count)).sum();
    match sys::subordinate() {
        Ok(all) => SubordinateIds { users: count(&all.uids), groups: count(&all.gids) },
        Err(_) => SubordinateIds { users: 0, groups: 0 },
    }
}

fn memory_total() -> u64 {
    let info = rustix::system::sysinfo();
    #[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // 32 bits on some machines
    let total = info.totalram as u64;
    total * u64::from(info.mem_unit)
}

fn security_options(host: &HostSupport) -> Vec<String> {
    let mut options: Vec<String> =
        host.security_modules.iter().map(|name| format!("name={name}")).collect();
    if host.seccomp {
        options.push("name=seccomp,profile=builtin".into());
    }
    if let Some(generation) = host.landlock {
        options.push(format!("name=landlock,abi={generation}"));
    }
    options.push("name=cgroupns".into());
    if host.rootless {
        options.push("name=rootless".into());
    }
    options
}

/// What this host or this user lacks, and what would change it.
fn warnings(host: &HostSupport) -> Vec<String> {
    let mut warnings = Vec::new();
    if !host.overlay {
        warnings
            .push("this kernel has no overlayfs: each container gets a copy of its image".into());
    }
    if !host.seccomp {
        warnings.push("this kernel has no seccomp: native containers do not start".into());
    }
    if host.landlock.is_none() {
        warnings.push("this kernel has no Landlock: Wasm guests have one wall less".into());
    }
    if host.rootless {
        if let Some(remedy) = host.user_namespaces.remedy() {
            warnings
                .push(format!("native containers need more rights here ({remedy}); Wasm does not"));
        }
        if let Some(lacking) = sys::lacking_ids() {
            warnings.push(format!("native containers have one user and one group: {lacking}"));
        }
        if host.cgroup_controllers.is_empty() {
            warnings.push(
                "this user may not set limits (--memory, --cpus, --pids-limit), but for --memory of Wasm".into(),
            );
        }
    }
    warnings
}

fn text(info: &Info) -> String {
    let ids = match &info.subordinate_ids {
        None => "all".to_owned(),
        Some(SubordinateIds { users: 0, .. }) => "none".to_owned(),
        Some(ids) => format!("{} users, {} groups", ids.users, ids.groups),
    };
    let yes = |present: bool| if present { "yes" } else { "no" }.to_owned();
    let landlock = info.landlock.map_or("no".to_owned(), |abi| format!("yes (ABI {abi})"));
    let lines = [
        ("Knarr", info.server_version.to_owned()),
        ("Containers", info.containers.to_string()),
        (" Running", info.containers_running.to_string()),
        (" Paused", info.containers_paused.to_string()),
        (" Stopped", info.containers_stopped.to_string()),
        ("Images", info.images.to_string()),
        ("Root Dir", info.docker_root_dir.clone()),
        ("Runs", info.runs.join(", ")),
        ("Rootless", yes(info.rootless)),
        ("Overlay", yes(info.overlay)),
        ("Cgroup Version", info.cgroup_version.clone()),
        ("Cgroup Controllers", info.cgroup_controllers.join(" ")),
        ("Seccomp", yes(info.seccomp)),
        ("Landlock", landlock),
        ("User Namespaces", yes(info.user_namespaces)),
        ("Subordinate Ids", ids),
        ("Network", info.network.clone()),
        ("Wasm Network", info.wasm_network.clone()),
        ("Security Options", info.security_options.join(" ")),
        ("Kernel Version", info.kernel_version.clone()),
        ("OS/Arch", format!("{}/{}", info.os_type, info.architecture)),
        ("CPUs", info.ncpu.to_string()),
        ("Total Memory", units::memory(info.mem_total)),
        ("Name", info.name.clone()),
    ];
    lines.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}
