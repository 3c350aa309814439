//! Ending an ordinary user's networks with everybody who is in them.

use super::error::{Doing, Error};
use super::{connect_to_keeper, survivors};
use crate::sys::process::{self, Process};
use knarr_core::fsx;
use knarr_core::root::Root;
use rustix::net::sockopt::socket_peercred;

/// What the networks have in the kernel goes with the last process there. For a process that is outside.
pub(crate) fn end(root: &Root) -> Result<(), Error> {
    const DOING: &str = "end the processes of the networks";
    if let Some(keeper) = connect_to_keeper(root)? {
        // it listens, so its number is no other one's
        let pid = socket_peercred(&keeper).doing(DOING)?.pid.as_raw_nonzero().get().unsigned_abs();
        let process = Process::open(pid).doing(DOING)?;
        // the way out, and who holds the namespaces: they end with it, but nobody could tell when
        let children = process::children(pid);
        process.kill().doing(DOING)?;
        for child in children {
            child.kill().doing(DOING)?;
        }
    }
    // a keeper that was killed before has left others
    loop {
        let survivors = survivors::find(root)?;
        if survivors.is_empty() {
            break;
        }
        for survivor in survivors {
            survivor.process.kill().doing(DOING)?;
        }
    }
    survivors::unmark(root)?;
    Ok(fsx::remove_file(&root.network_keeper())?)
}
