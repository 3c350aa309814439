//! One variant's manifest and configuration.

use super::{Variant, compress, module};
use crate::build::execute::Build;
use crate::build::options::AnnotationLevel;
use crate::build::{Error, Options, attest, context};
use crate::index;
use crate::wasm::ModuleReport;
use knarr_core::image::config::{History, RootFs};
use knarr_core::image::{Descriptor, Digest, MediaType, Platform};
use oci_spec::image::ImageManifestBuilder;
use std::collections::HashMap;

/// A variant in the store.
pub struct VariantImage {
    pub platform: Platform,
    /// With its platform, as an index holds it.
    pub manifest: Descriptor,
    pub config: Digest,
    pub module: Option<ModuleReport>,
    pub provenance: serde_json::Value,
    pub sbom: Option<serde_json::Value>,
}

pub fn write(build: &Build, variant: &Variant) -> Result<VariantImage, Error> {
    let state = variant.finished.target();
    let target = variant.plan.target();
    let blobs = compress::blobs(build, &state.layers)?;
    let module = module::find(build, variant)?;
    let mut config = target.config.clone();
    if module.is_some() && target.from_scratch {
        // what it is does not depend on what it was asked for
        let platform = Platform::wasm();
        (config.os, config.architecture) = (platform.os, platform.architecture);
        config.variant = None;
        config.config.env.retain(|entry| !is_default_path(entry));
    }
    if build.options.git_labels {
        for (name, value) in context::git_labels(build.context) {
            config.config.labels.entry(name).or_insert(value);
        }
    }
    config.rootfs = RootFs {
        diff_ids: state.layers.iter().map(|layer| layer.diff_id.to_string()).collect(),
        ..RootFs::default()
    };
    config.history = dated(state.history.clone(), &fallback(build, variant));
    config.created = config.history.last().and_then(|entry| entry.created.clone());
    if config.created.is_none() {
        config.created = Some(fallback(build, variant));
    }
    let platform = config.platform();
    let mut document = serde_json::to_value(&config).map_err(malformed)?;
    crate::build::cache::transfer::add_inline(build, state, &mut document);
    let (config_digest, size) = index::put_json(build.store, &document)?;

    let config_descriptor = Descriptor::new(MediaType::ImageConfig, size, config_digest.clone());
    let mut manifest = ImageManifestBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageManifest)
        .config(config_descriptor)
        .layers(blobs)
        .build()
        .expect("every required field is set");
    let of_manifest = annotations(build.options, AnnotationLevel::Manifest, Some(&platform));
    manifest.set_annotations(of_manifest);
    let (digest, _) = index::put_json(build.store, &manifest)?;
    let mut descriptor = index::descriptor(build.store, &digest)?;
    let of_descriptor =
        annotations(build.options, AnnotationLevel::ManifestDescriptor, Some(&platform));
    descriptor.set_annotations(of_descriptor);
    let module = module.map(|module| module.report);
    let provenance = attest::provenance::predicate(build, variant)?;
    let sbom = match build.options.attestations.sbom {
        true => Some(attest::sbom::document(build, variant, module.as_ref())?),
        false => None,
    };
    Ok(VariantImage {
        platform,
        manifest: descriptor,
        config: config_digest,
        module,
        provenance,
        sbom,
    })
}

/// The annotations of a level, as far as they are for a platform.
pub fn annotations(
    options: &Options,
    level: AnnotationLevel,
    platform: Option<&Platform>,
) -> Option<HashMap<String, String>> {
    let is_meant = |own: &Option<Platform>| match (own, platform) {
        (Some(own), Some(platform)) => platform.satisfies(own),
        _ => true,
    };
    let wanted = options.annotations.iter().filter(|a| a.level == level && is_meant(&a.platform));
    let map: HashMap<String, String> = wanted.map(|a| (a.name.clone(), a.value.clone())).collect();
    (!map.is_empty()).then_some(map)
}

/// Lines without a layer get the time of the layer before them, so that a build that changes nothing gives the same
/// image, as BuildKit does.
fn dated(mut history: Vec<History>, fallback: &str) -> Vec<History> {
    let first = history.iter().find(|entry| !entry.empty_layer).and_then(|e| e.created.clone());
    let mut last = first.unwrap_or_else(|| fallback.to_owned());
    for entry in &mut history {
        match (entry.empty_layer, &entry.created) {
            (false, Some(created)) => last = created.clone(),
            (true, Some(_)) if entry.comment.is_none() => {}
            _ => entry.created = Some(last.clone()),
        }
    }
    history
}

/// For an image whose history tells no time.
fn fallback(build: &Build, variant: &Variant) -> String {
    let state = variant.finished.target();
    let base = state.base.as_ref().and_then(|base| base.config.created.clone());
    base.unwrap_or_else(|| build.created())
}

fn is_default_path(entry: &str) -> bool {
    entry.strip_prefix("PATH=") == Some(crate::build::plan::DEFAULT_PATH)
}

fn malformed(source: serde_json::Error) -> Error {
    Error::Malformed { what: "the configuration".into(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_a_layer_take_the_time_of_the_one_before() {
        let entry = |created: &str, empty_layer| History {
            created: Some(created.into()),
            comment: Some("buildkit.dockerfile.v0".into()),
            empty_layer,
            ..History::default()
        };
        let dated = dated(
            vec![entry("9", true), entry("1", false), entry("9", true), entry("2", false)],
            "0",
        );
        let times: Vec<_> = dated.iter().map(|e| e.created.clone().unwrap()).collect();
        assert_eq!(times, ["1", "1", "1", "2"]);
    }
}
