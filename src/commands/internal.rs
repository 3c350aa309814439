//! Entry points by which Knarr calls itself: nobody else's business, and no part of the command line.

use crate::error::Failure;
use crate::ui;
use knarr_core::hint::Hint;
use knarr_core::sys;
use knarr_runtime::net::rootless;
use knarr_runtime::{monitor, oneshot};
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// Runs `knarr internal …`; `None` if this is something else.
pub fn entry(arguments: &[OsString]) -> Option<ExitCode> {
    let [_, group, name, rest @ ..] = arguments else { return None };
    if group != "internal" {
        return None;
    }
    match name.to_str()? {
        "monitor" => {
            let mut complain = |error: &monitor::Error| {
                ui::failure(&Failure::of(error, error.hint()));
            };
            Some(monitor::entry(rest.iter().cloned(), &mut complain))
        }
        "remove" => Some(remove(rest)),
        "sync" => Some(sync(rest)),
        "step" => Some(oneshot::entry(rest.iter().cloned())),
        "networks" | "namespaces" | "detach" => {
            Some(rootless::entry(name.to_str()?, rest.iter().cloned()))
        }
        _ => None,
    }
}

/// Brings a container's folder in line with what has changed; see [`crate::wiring::compose::sync`].
fn sync(arguments: &[OsString]) -> ExitCode {
    match crate::wiring::compose::sync::receive(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            ui::failure(&failure);
            ExitCode::FAILURE
        }
    }
}

/// Removes a tree whose files belong to the user's subordinate ids.
fn remove(arguments: &[OsString]) -> ExitCode {
    let [path] = arguments else { return ExitCode::from(2) };
    let removed = sys::enter_user_namespace().and_then(|()| sys::remove_tree(Path::new(path)));
    if removed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
