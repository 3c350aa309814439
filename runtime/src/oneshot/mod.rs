//! One process in a root file system of its own, from its start to the end of everything it started: the `RUN` step of a
//! build.
//!
//! The engines fork a process that must have a single thread, and a build has many. So each step goes through a process
//! of its own, `knarr internal step`: a monitor in miniature that gets a typed request on a socket, mounts everything in
//! its own mount namespace, starts the guest, and answers once, when nothing of the step is left.
//!
//! Nothing outlives the caller, however it ends: the helper sees its end of the socket close and kills the step; were the
//! helper killed as well, the kernel kills the guest with it (`PR_SET_PDEATHSIG`) and all others with the guest's pid
//! namespace; mounts go with the helper's namespace. What may be left then is an empty cgroup and a run folder, which
//! [`sweep`] removes.

mod agent;
mod caller;
mod cancel;
mod error;
mod helper;
mod mounts;
mod request;
mod sweep;

pub use caller::run;
pub use cancel::Cancel;
pub use error::Error;
pub use helper::entry;
pub use request::{Ended, Source, Step, StepMount, Stream};
pub use sweep::{sweep, sweep_all};

use knarr_core::root::Root;
use knarr_core::store;
use knarr_core::store::snapshot::{self, Snapshot};

fn apart(root: &Root) -> Root {
    root.of_steps()
}

/// Mounts layers. Never synced: after a power cut a step is run anew.
fn overlay(snapshot: &Snapshot) -> Result<(), Error> {
    snapshot::overlay(snapshot, true).map_err(|source| match source {
        store::Error::Mount { .. } => Error::NoOverlay { source },
        other => other.into(),
    })
}
