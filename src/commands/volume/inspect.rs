//! Show details of volumes.

use crate::commands::inspect::show;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use knarr_core::nil;
use knarr_core::root::Root;
use knarr_runtime::volume;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print json, or what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Names of volumes
    #[arg(value_name = "VOLUME", required = true)]
    names: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Document {
    created_at: String,
    driver: &'static str,
    #[serde(serialize_with = "nil::map")]
    labels: BTreeMap<String, String>,
    mountpoint: String,
    name: String,
    #[serde(serialize_with = "nil::map")]
    options: BTreeMap<String, String>,
    scope: &'static str,
    #[serde(serialize_with = "nil::omitempty")]
    status: nil::Map,
    #[serde(serialize_with = "nil::omitempty")]
    usage_data: Option<()>,
    #[serde(serialize_with = "nil::omitempty")]
    cluster_volume: Option<()>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    show(args.format.as_deref(), &args.names, |name| find(&context.root, name))
}

pub fn find(root: &Root, name: &str) -> Result<Document, Failure> {
    let volume = volume::find(root, name)?;
    Ok(Document {
        mountpoint: volume.data(root)?.display().to_string(),
        created_at: volume.created.to_string(),
        driver: "local",
        labels: volume.labels,
        name: volume.name,
        options: volume.options,
        status: nil::Map,
        usage_data: None,
        cluster_volume: None,
        scope: "local",
    })
}
