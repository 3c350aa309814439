//! Knarr's command line.
//!
//! This process may become the monitor of a container, and the native engine clones it: it has one thread
//! until then, and starts no runtime.

mod args;
mod commands;
mod error;
mod ui;
mod wiring;

use error::Failure;
use knarr_core::root::Root;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if let Some(code) = commands::internal::entry(&arguments) {
        return code;
    }
    let status = run(arguments).unwrap_or_else(|failure| {
        ui::failure(&failure);
        failure.status
    });
    ExitCode::from(status)
}

fn run(arguments: Vec<OsString>) -> commands::Outcome {
    knarr_runtime::sys::process::note_inherited();
    let Some(cli) = args::usage::parse(arguments)? else { return Ok(0) };
    let Some(verb) = cli.verb else { return Ok(0) };
    let root = match cli.root {
        Some(directory) => Root::at(absolute(&directory)?),
        None => Root::of_user(wiring::is_superuser(), |name| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty())?;
            std::path::absolute(value).ok()
        })
        .ok_or_else(|| {
            Failure::new("there is no directory to keep images and containers in")
                .hint("set HOME, or choose a directory with --root")
        })?,
    };
    // what is to be taken away may turn out to be somebody else's
    if !matches!(verb, args::Verb::System(commands::system::Verb::Reset(_))) {
        root.keep_private()?;
    }
    commands::dispatch(verb, &commands::Context { root })
}

/// Monitors outlive this process and its working directory.
fn absolute(directory: &std::path::Path) -> Result<std::path::PathBuf, Failure> {
    std::path::absolute(directory)
        .map_err(|error| Failure::new("cannot tell the working directory").cause(&error))
}
