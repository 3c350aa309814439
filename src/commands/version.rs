//! Show the version.

use super::Outcome;
use crate::ui::{self, listing};
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

/// Docker's shape; client and server are one program here.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    client: Component,
    server: Component,
}

#[derive(Serialize, Clone)]
#[serde(rename_all = "PascalCase")]
struct Component {
    version: &'static str,
    api_version: &'static str,
    os: &'static str,
    arch: String,
    wasmtime: &'static str,
}

/// The version of Docker's Engine API whose names and formats Knarr follows.
const API_VERSION: &str = "1.50";
const WASMTIME: &str = "48";

pub fn run(args: &Args) -> Outcome {
    let component = Component {
        version: env!("CARGO_PKG_VERSION"),
        api_version: API_VERSION,
        os: std::env::consts::OS,
        arch: crate::wiring::host_architecture(),
        wasmtime: WASMTIME,
    };
    match &args.format {
        Some(format) => {
            let version = Version { client: component.clone(), server: component };
            ui::data(listing::document(format, &version)?.as_bytes())?;
        }
        None => ui::line(format_args!(
            "Knarr:\n Version:      {}\n API names:    {}\n OS/Arch:      {}/{}\n wasmtime:     {}",
            component.version,
            component.api_version,
            component.os,
            component.arch,
            component.wasmtime
        ))?,
    }
    Ok(0)
}
