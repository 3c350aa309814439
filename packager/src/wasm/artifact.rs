//! CNCF Wasm artifacts: a manifest whose only layer is the binary itself (tag-runtime.cncf.io, "Wasm OCI Artifact
//! layout").

use super::{Kind, ModuleReport};
use crate::archive::Error;
use crate::index::put_json;
use knarr_core::image::{Descriptor, MediaType, media_type};
use knarr_core::store::Store;
use oci_spec::image::{ImageManifestBuilder, PlatformBuilder};
use serde::Serialize;
use std::collections::HashMap;

/// What an artifact says of its module.
#[derive(Debug, Clone)]
pub struct Artifact {
    pub file_name: String,
    /// RFC 3339.
    pub created: String,
    pub report: ModuleReport,
    pub annotations: HashMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Config<'a> {
    created: &'a str,
    architecture: &'static str,
    os: &'static str,
    layer_digests: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    component: Option<Component<'a>>,
}

#[derive(Serialize)]
struct Component<'a> {
    exports: &'a [String],
    imports: &'a [String],
}

/// Writes an artifact, and returns the descriptor of its manifest. Name it with [`Store::tag`].
pub fn write_artifact(
    store: &Store,
    module: &[u8],
    artifact: &Artifact,
) -> Result<Descriptor, Error> {
    let digest = store.put(module)?;
    let report = &artifact.report;
    let config = Config {
        created: &artifact.created,
        architecture: "wasm",
        os: report.wasi.os(),
        layer_digests: vec![digest.to_string()],
        component: (report.kind == Kind::Component)
            .then_some(Component { exports: &report.exports, imports: &report.imports }),
    };
    let (config_digest, config_size) = put_json(store, &config)?;
    let config =
        Descriptor::new(MediaType::from(media_type::WASM_CONFIG), config_size, config_digest);
    let mut layer =
        Descriptor::new(MediaType::from(media_type::WASM_LAYERS[0]), module.len() as u64, digest);
    let title = "org.opencontainers.image.title".to_owned();
    layer.set_annotations(Some(HashMap::from([(title, artifact.file_name.clone())])));
    let mut manifest = ImageManifestBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageManifest)
        .config(config)
        .layers(vec![layer])
        .build()
        .expect("every required field is set");
    if !artifact.annotations.is_empty() {
        manifest.set_annotations(Some(artifact.annotations.clone()));
    }
    let (digest, size) = put_json(store, &manifest)?;
    let mut descriptor = Descriptor::new(MediaType::ImageManifest, size, digest);
    let platform = PlatformBuilder::default().os(report.wasi.os()).architecture("wasm").build();
    descriptor.set_platform(platform.ok());
    Ok(descriptor)
}
