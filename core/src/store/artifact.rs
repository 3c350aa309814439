//! Wasm in the shapes in which people ship it: normal images, CNCF Wasm artifacts
//! (tag-runtime.cncf.io, "Wasm OCI Artifact layout") and runwasi's images with bare modules as layers.
//!
//! Every other part of Knarr sees an ordinary [`ImageConfig`]: an artifact gets an entrypoint, a platform,
//! and diff ids. Such a layer unpacks to one file. Its name is not part of the blob, so its diff id here is a
//! hash over name and digest: two artifacts that ship one module under two names must not share a folder.

use super::{Result, Store, digest_of};
use crate::image::media_type::{self, LayerKind};
use crate::image::{Descriptor, Digest, ImageConfig, ImageManifest, Platform};
use serde::Deserialize;

const TITLE: &str = "org.opencontainers.image.title";
const IMAGE_CONFIGS: &[&str] =
    &["application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"];
const CONFIG_LIMIT: u64 = 8 << 20;

/// What the configuration of a CNCF Wasm artifact says that matters here.
#[derive(Deserialize, Default)]
#[serde(default)]
struct WasmConfig {
    created: Option<String>,
    author: Option<String>,
    architecture: Option<String>,
    os: Option<String>,
}

/// Whether a manifest is an image that can be run, not a signature, a chart or an attestation.
pub fn is_image(manifest: &ImageManifest) -> bool {
    is_image_config(manifest) || has_wasm_layer(manifest) || is_wasm_config(manifest)
}

/// The file in the root directory that a layer with a bare Wasm binary unpacks to.
pub fn module_name(layer: &Descriptor) -> String {
    let title = layer.annotations().as_ref().and_then(|a| a.get(TITLE));
    let name = title.and_then(|t| t.rsplit(['/', '\\']).next()).unwrap_or_default();
    let usable = !name.is_empty()
        && name.len() <= 200
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b));
    match usable {
        true if name.ends_with(".wasm") || name.ends_with(".wat") => name.to_owned(),
        true => format!("{name}.wasm"),
        false => "module.wasm".to_owned(),
    }
}

/// What stands for the diff id of a layer with a bare Wasm binary.
pub fn module_diff_id(layer: &Descriptor) -> Digest {
    digest_of(format!("wasm {} {}", module_name(layer), layer.digest()).as_bytes())
}

pub fn is_module(layer: &Descriptor) -> bool {
    media_type::layer_kind(layer.media_type().as_ref()) == Some(LayerKind::Wasm)
}

/// Reads the configuration of a variant and fills in what artifacts lack.
pub fn config(store: &Store, manifest: &ImageManifest) -> Result<ImageConfig> {
    let digest = manifest.config().digest();
    let bytes = store.read_document(digest, CONFIG_LIMIT)?;
    let mut config = if is_image_config(manifest) || !is_image(manifest) {
        store.parse::<ImageConfig>("image configuration", digest, &bytes)?
    } else {
        // predecessors of the CNCF artifact have configurations of any kind, or an empty one
        let wasm: WasmConfig = match is_wasm_config(manifest) {
            true => store.parse("Wasm artifact configuration", digest, &bytes)?,
            false => super::document::parse(&bytes).unwrap_or_default(),
        };
        ImageConfig {
            created: wasm.created,
            author: wasm.author,
            architecture: wasm.architecture.unwrap_or_else(|| "wasm".into()),
            os: wasm.os.unwrap_or_else(|| "wasi".into()),
            ..ImageConfig::default()
        }
    };
    complete(manifest, &mut config);
    Ok(config)
}

fn complete(manifest: &ImageManifest, config: &mut ImageConfig) {
    let Some(module) = manifest.layers().iter().find(|layer| is_module(layer)) else { return };
    if !config.platform().is_wasm() {
        (config.os, config.architecture) = ("wasi".into(), "wasm".into());
    }
    let execution = &mut config.config;
    if execution.entrypoint.as_ref().is_none_or(Vec::is_empty)
        && execution.cmd.as_ref().is_none_or(Vec::is_empty)
    {
        execution.entrypoint = Some(vec![format!("/{}", module_name(module))]);
    }
    let stated = std::mem::take(&mut config.rootfs.diff_ids);
    config.rootfs.diff_ids = manifest
        .layers()
        .iter()
        .enumerate()
        .map(|(at, layer)| match is_module(layer) {
            true => module_diff_id(layer).to_string(),
            // without a statement only a layer that is not compressed can be right
            false => stated.get(at).cloned().unwrap_or_else(|| layer.digest().to_string()),
        })
        .collect();
}

/// The platform of a variant: what its index says, and where that says nothing its configuration. An image whose program is a Wasm
/// binary is Wasm, whatever it says: `FROM scratch` images are labelled with the builder's platform.
pub fn platform(stated: Option<Platform>, config: &ImageConfig) -> Platform {
    let platform = match stated {
        Some(stated) => stated.or(&config.platform()),
        None => config.platform(),
    };
    if platform.is_wasm() {
        return platform;
    }
    let execution = &config.config;
    let program = [&execution.entrypoint, &execution.cmd]
        .into_iter()
        .find_map(|words| words.as_ref().and_then(|w| w.first()));
    let is_wasm = program.is_some_and(|program| {
        let file = program.split('#').next().unwrap_or_default().to_ascii_lowercase();
        file.ends_with(".wasm") || file.ends_with(".wat")
    });
    if is_wasm { Platform::wasm() } else { platform }
}

fn is_image_config(manifest: &ImageManifest) -> bool {
    let media_type = manifest.config().media_type().as_ref();
    IMAGE_CONFIGS.iter().any(|m| m.eq_ignore_ascii_case(media_type))
}

fn is_wasm_config(manifest: &ImageManifest) -> bool {
    media_type::WASM_CONFIG.eq_ignore_ascii_case(manifest.config().media_type().as_ref())
}

fn has_wasm_layer(manifest: &ImageManifest) -> bool {
    manifest.layers().iter().any(is_module)
}
