//! Why a cgroup could not be made, or a limit not be enforced.

use knarr_core::fsx;
use knarr_core::hint::Hint;
use knarr_core::spec::limits::show_size;
use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{option} {value} cannot be enforced: {reason}")]
    Unenforceable { option: &'static str, value: String, controller: &'static str, reason: Reason },
    #[error("{option} {value} was refused by {}", file.display())]
    Limit { option: &'static str, value: String, file: PathBuf, source: fsx::Error },
    #[error("{option} {value} did not take effect: {} says {found}", file.display())]
    NotApplied { option: &'static str, value: String, found: String, file: PathBuf },
    #[error("--cpus {asked} is more than this machine's {available} processors")]
    TooManyCpus { asked: f64, available: usize },
    #[error("--cpus {asked} is less than the smallest share of 0.01")]
    TooFewCpus { asked: f64 },
    #[error("{option} {} is below the smallest limit of {}", show_size(*value), show_size(*minimum))]
    TooLittleMemory { option: &'static str, value: u64, minimum: u64 },
    #[error(
        "--memory-swap counts memory and swap together: {} is less than --memory {}",
        show_size(swap.unsigned_abs()),
        show_size(*memory)
    )]
    SwapBelowMemory { swap: i64, memory: u64 },
    #[error("--cpus conflicts with --cpu-period and --cpu-quota, which say the same")]
    CpusTwice,
    #[error("{option} {value} is not between {least} and {most}")]
    OutOfRange { option: &'static str, value: u64, least: u64, most: u64 },
    #[error(
        "{option} cannot be enforced: version 2 of cgroups, which this host has, knows no such setting"
    )]
    OnlyVersion1 { option: &'static str },
    #[error("{option}: {path} is not a block device of this host")]
    BlockDevice { option: &'static str, path: String, source: io::Error },
    #[error("--memory-swap needs --memory")]
    SwapWithoutMemory,
    #[error("cannot restrict the devices of {}", cgroup.display())]
    Devices { cgroup: PathBuf, source: io::Error },
    #[error("cannot put process {pid} into the container's control groups")]
    Join { pid: u32, source: io::Error },
    #[error("no cgroup hierarchy of this host can freeze a container")]
    CannotFreeze,
    #[error("the processes in {} did not {verb} in time", cgroup.display())]
    Stuck { cgroup: PathBuf, verb: &'static str },
    #[error(transparent)]
    File(#[from] fsx::Error),
}

/// Why a limit cannot be enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The kernel has no such controller, or it is not mounted.
    Missing(&'static str),
    /// An ordinary user was given no cgroup, or one without the controller.
    NotDelegated(&'static str),
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(controller) => {
                write!(f, "this host has no cgroup controller {controller:?}")
            }
            Self::NotDelegated(controller) => {
                write!(f, "the cgroup controller {controller:?} is not delegated to this user")
            }
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unenforceable { option, reason: Reason::Missing(controller), .. } => {
                Some(format!(
                    "leave {option} out, or boot a kernel with the controller {controller:?} enabled"
                ))
            }
            Self::Unenforceable { option, reason: Reason::NotDelegated(_), .. } => {
                let way = "start it through 'systemd-run --user --scope -p Delegate=yes knarr …', or as the superuser";
                Some(match *option {
                    "--memory" => format!("{way}; a Wasm variant's memory is limited without"),
                    _ => way.to_owned(),
                })
            }
            Self::Limit { option: "--cpuset-cpus", .. } => {
                Some("look at /sys/devices/system/cpu/online for the processors there are".into())
            }
            Self::CpusTwice => Some("leave one of the two out".into()),
            Self::OnlyVersion1 { option } => Some(format!("leave {option} out")),
            Self::Limit { option: "--cpuset-mems", .. } => {
                Some("look at /sys/devices/system/node/online for the nodes there are".into())
            }
            Self::Limit { option: "--blkio-weight" | "--blkio-weight-device", .. } => Some(
                "the disk's scheduler has to know weights: echo bfq > /sys/block/DISK/queue/scheduler".into(),
            ),
            Self::SwapWithoutMemory | Self::SwapBelowMemory { .. } => Some(
                "give --memory as well, and --memory-swap at least as much (-1: unlimited)".into(),
            ),
            _ => None,
        }
    }
}
