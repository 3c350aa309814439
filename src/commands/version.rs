//! Show the version.

use super::Outcome;
use crate::ui::{self, listing};
use knarr_core::nil;
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
    #[serde(rename = "DefaultAPIVersion")]
    default_api_version: &'static str,
    #[serde(rename = "MinAPIVersion")]
    min_api_version: &'static str,
    git_commit: &'static str,
    go_version: &'static str,
    build_time: &'static str,
    context: &'static str,
    experimental: bool,
    kernel_version: String,
    platform: Platform,
    components: Vec<Part>,
    os: &'static str,
    arch: String,
    wasmtime: &'static str,
}

#[derive(Serialize, Clone)]
#[serde(rename_all = "PascalCase")]
struct Platform {
    name: &'static str,
}

/// What the program is made of.
#[derive(Serialize, Clone)]
#[serde(rename_all = "PascalCase")]
struct Part {
    name: &'static str,
    version: &'static str,
    details: nil::Map,
}

/// The version of Docker's Engine API whose names and formats Knarr follows.
const API_VERSION: &str = "1.50";
const WASMTIME: &str = "48";

pub fn run(args: &Args) -> Outcome {
    let component = Component {
        version: env!("CARGO_PKG_VERSION"),
        api_version: API_VERSION,
        default_api_version: API_VERSION,
        min_api_version: API_VERSION,
        git_commit: "",
        go_version: "",
        build_time: "",
        context: "default",
        experimental: false,
        kernel_version: rustix::system::uname().release().to_string_lossy().into_owned(),
        platform: Platform { name: "Knarr" },
        components: [("Engine", env!("CARGO_PKG_VERSION")), ("wasmtime", WASMTIME)]
            .map(|(name, version)| Part { name, version, details: nil::Map })
            .into(),
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
