//! `--ulimit`, and no core dumps: a core would hold the guest's memory and lie outside its files.

use super::super::error::Error;
use knarr_core::spec::Limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Sets the limits; a hard limit never exceeds the one this process has, which only CAP_SYS_RESOURCE could raise.
pub(super) fn apply(limits: &Limits) -> Result<(), Error> {
    set(Resource::Core, Some(0), Some(0))?;
    for ulimit in &limits.ulimits {
        let Some(resource) = resource(&ulimit.name) else { continue };
        set(resource, ulimit.soft, ulimit.hard)?;
    }
    Ok(())
}

fn set(resource: Resource, soft: Option<u64>, hard: Option<u64>) -> Result<(), Error> {
    let least = |a: Option<u64>, b: Option<u64>| match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    let maximum = least(hard, getrlimit(resource).maximum);
    let current = least(soft, maximum);
    setrlimit(resource, Rlimit { current, maximum })
        .map_err(|e| Error::confine("setting limits", e))
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "as" => Resource::As,
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "locks" => Resource::Locks,
        "memlock" => Resource::Memlock,
        "msgqueue" => Resource::Msgqueue,
        "nice" => Resource::Nice,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "rss" => Resource::Rss,
        "rtprio" => Resource::Rtprio,
        "rttime" => Resource::Rttime,
        "sigpending" => Resource::Sigpending,
        "stack" => Resource::Stack,
        _ => return None,
    })
}
