//! Show the version.

use super::Outcome;
use crate::ui::{self, listing};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print json, or what a Go template says
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
    details: BTreeMap<&'static str, String>,
}

/// The version of Docker's Engine API whose names and formats Knarr follows.
pub const API_VERSION: &str = "1.50";
const WASMTIME: &str = "48";

pub fn run(args: &Args) -> Outcome {
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let arch = crate::wiring::host_architecture();
    let details = [
        ("ApiVersion", API_VERSION.to_owned()),
        ("Arch", arch.clone()),
        ("BuildTime", String::new()),
        ("Experimental", "false".to_owned()),
        ("GitCommit", String::new()),
        ("GoVersion", String::new()),
        ("KernelVersion", kernel.clone()),
        ("MinAPIVersion", API_VERSION.to_owned()),
        ("Os", std::env::consts::OS.to_owned()),
    ];
    let part = |name, version, details: &[(&'static str, String)]| Part {
        name,
        version,
        details: details.iter().cloned().collect(),
    };
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
        kernel_version: kernel,
        platform: Platform { name: "Knarr" },
        components: vec![
            part("Engine", env!("CARGO_PKG_VERSION"), &details),
            part("wasmtime", WASMTIME, &[("GitCommit", String::new())]),
        ],
        os: std::env::consts::OS,
        arch,
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
