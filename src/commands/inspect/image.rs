//! An image as `docker image inspect` shows it, with what Docker lacks: the variants.

use crate::error::Failure;
use crate::wiring::variant;
use knarr_core::image::{ImageConfig, Platform};
use knarr_core::nil;
use knarr_core::store::{Image, Store};
use serde::Serialize;
use serde_json::Value;

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Document {
    id: String,
    repo_tags: Vec<String>,
    repo_digests: Vec<String>,
    parent: &'static str,
    comment: String,
    docker_version: &'static str,
    #[serde(serialize_with = "nil::omitempty")]
    os_version: &'static str,
    graph_driver: GraphDriver,
    metadata: Metadata,
    created: Option<String>,
    author: String,
    config: Execution,
    architecture: String,
    #[serde(serialize_with = "nil::omitempty")]
    variant: String,
    os: String,
    /// Bytes of the shown variant's blobs.
    size: u64,
    #[serde(rename = "RootFS")]
    root_fs: RootFs,
    descriptor: Descriptor,
    variants: Vec<Variant>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct GraphDriver {
    data: nil::Map,
    name: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Metadata {
    last_tag_time: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct RootFs {
    r#type: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    layers: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Variant {
    platform: String,
    /// Of its manifest.
    digest: String,
    /// Whether its blobs are in the store.
    present: bool,
    /// Bytes of its blobs.
    size: u64,
    /// Bytes of its layers unpacked, where all are.
    unpacked: Option<u64>,
}

pub fn document(
    store: &Store,
    image: &Image,
    wanted: Option<&Platform>,
) -> Result<Document, Failure> {
    let shown = variant::shown(store, image, wanted)?;
    let config = store.config(&store.manifest(&shown.manifest)?)?;
    let mut variants = Vec::new();
    for variant in store.variants(image)? {
        let size = match variant.present {
            true => store.size_of(&variant.manifest)?,
            false => Default::default(),
        };
        variants.push(Variant {
            platform: variant.platform.to_string(),
            digest: variant.manifest.to_string(),
            present: variant.present,
            size: size.content,
            unpacked: size.unpacked,
        });
    }
    let (repo_tags, repo_digests) = names(store, image)?;
    let digest = shown.manifest.to_string();
    let size = variants.iter().find(|v| v.digest == digest).map_or(0, |v| v.size);
    let last_step = config.history.last();
    Ok(Document {
        id: image.id().to_string(),
        repo_tags,
        repo_digests,
        parent: "",
        docker_version: "",
        os_version: "",
        graph_driver: GraphDriver { data: nil::Map, name: "overlay" },
        // Go's zero time: nobody writes it down
        metadata: Metadata { last_tag_time: "0001-01-01T00:00:00Z" },
        comment: last_step.and_then(|s| s.comment.clone()).unwrap_or_default(),
        created: config.created.clone(),
        author: config.author.clone().unwrap_or_default(),
        architecture: shown.platform.architecture.clone(),
        variant: shown.platform.variant.clone().unwrap_or_default(),
        os: shown.platform.os.clone(),
        size,
        root_fs: RootFs {
            r#type: config.rootfs.kind.clone(),
            layers: config.rootfs.diff_ids.clone(),
        },
        config: execution(&config)?,
        descriptor: Descriptor {
            media_type: image.descriptor.media_type().to_string(),
            digest: image.id().to_string(),
            size: image.descriptor.size(),
        },
        variants,
    })
}

/// All names of the image, and each repository with its digest.
fn names(store: &Store, image: &Image) -> Result<(Vec<String>, Vec<String>), Failure> {
    let (mut tags, mut digests) = (Vec::new(), Vec::new());
    for other in store.images()? {
        let Some(reference) = other.reference.filter(|_| other.descriptor.digest() == image.id())
        else {
            continue;
        };
        if crate::commands::images::shown_tag(&reference).is_some() {
            tags.push(reference.familiar());
        }
        let digest = format!("{}@{}", reference.familiar_name(), image.id());
        if !digests.contains(&digest) {
            digests.push(digest);
        }
    }
    Ok((tags, digests))
}

/// The configuration with every field of Docker's, also those that the image leaves out: templates name them.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Execution {
    user: Value,
    #[serde(serialize_with = "nil::omitempty")]
    exposed_ports: Value,
    env: Value,
    entrypoint: Value,
    cmd: Value,
    volumes: Value,
    working_dir: Value,
    labels: Value,
    #[serde(serialize_with = "nil::omitempty")]
    stop_signal: Value,
    #[serde(serialize_with = "nil::omitempty")]
    healthcheck: Value,
    #[serde(serialize_with = "nil::omitempty")]
    args_escaped: bool,
    #[serde(serialize_with = "nil::omitempty")]
    shell: Value,
    on_build: Value,
}

fn execution(config: &ImageConfig) -> Result<Execution, Failure> {
    let given = serde_json::to_value(&config.config)
        .map_err(|error| Failure::new(format!("cannot show the configuration: {error}")))?;
    // an empty list is none, as Docker keeps it
    let kept = |value: &&Value| value.as_array().is_none_or(|list| !list.is_empty());
    let or = |field: &str, absent: Value| given.get(field).filter(kept).cloned().unwrap_or(absent);
    let [text, nothing] = [Value::String(String::new()), Value::Null];
    Ok(Execution {
        user: or("User", text.clone()),
        exposed_ports: or("ExposedPorts", nothing.clone()),
        env: or("Env", nothing.clone()),
        entrypoint: or("Entrypoint", nothing.clone()),
        cmd: or("Cmd", nothing.clone()),
        volumes: or("Volumes", nothing.clone()),
        working_dir: or("WorkingDir", text.clone()),
        labels: or("Labels", nothing.clone()),
        stop_signal: or("StopSignal", text),
        healthcheck: or("Healthcheck", nothing.clone()),
        args_escaped: false,
        shell: or("Shell", nothing.clone()),
        on_build: or("OnBuild", nothing),
    })
}
