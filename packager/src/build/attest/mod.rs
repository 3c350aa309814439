//! Attestations beside the variants, as BuildKit lays them out: a manifest of platform `unknown/unknown` for each variant,
//! whose layers are in-toto statements about it.

pub mod packages;
pub mod provenance;
pub mod sbom;

use super::Error;
use super::execute::Build;
use super::output::image::VariantImage;
use crate::index::{put_json, to_json};
use knarr_core::image::{Descriptor, MediaType, Platform, Reference};
use oci_spec::image::{ImageManifestBuilder, PlatformBuilder};
use serde_json::{Value, json};
use std::collections::HashMap;

const STATEMENT: &str = "https://in-toto.io/Statement/v0.1";
const IN_TOTO: &str = "application/vnd.in-toto+json";
const SPDX: &str = "https://spdx.dev/Document";

/// Writes the attestations that were asked for; returns their descriptors, for the index.
pub fn write(build: &Build, images: &[VariantImage]) -> Result<Vec<Descriptor>, Error> {
    let wanted = &build.options.attestations;
    let mut descriptors = Vec::new();
    for image in images {
        let mut statements = Vec::new();
        if let Some(sbom) = &image.sbom {
            statements.push((SPDX, sbom));
        }
        if let Some(provenance) = &wanted.provenance {
            let kind = if provenance.slsa_v1 { provenance::SLSA_1 } else { provenance::SLSA_02 };
            statements.push((kind, &image.provenance));
        }
        if !statements.is_empty() {
            descriptors.push(manifest(build, image, &statements)?);
        }
    }
    Ok(descriptors)
}

fn manifest(
    build: &Build,
    image: &VariantImage,
    statements: &[(&str, &Value)],
) -> Result<Descriptor, Error> {
    let mut layers = Vec::new();
    for (kind, predicate) in statements {
        let statement = json!({
            "_type": STATEMENT,
            "predicateType": kind,
            "subject": subjects(&build.options.tags, image),
            "predicate": predicate,
        });
        let (digest, size) = put_json(build.store, &statement)?;
        let mut layer = Descriptor::new(MediaType::from(IN_TOTO), size, digest);
        let annotation = ("in-toto.io/predicate-type".to_owned(), (*kind).to_owned());
        layer.set_annotations(Some(HashMap::from([annotation])));
        layers.push(layer);
    }
    let diff_ids: Vec<String> = layers.iter().map(|layer| layer.digest().to_string()).collect();
    let config = json!({
        "architecture": "unknown",
        "os": "unknown",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let (digest, size) = put_json(build.store, &config)?;
    let manifest = ImageManifestBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageManifest)
        .config(Descriptor::new(MediaType::ImageConfig, size, digest))
        .layers(layers)
        .build()
        .expect("every required field is set");
    let bytes = to_json(&manifest)
        .map_err(|source| Error::Malformed { what: "an attestation".into(), source })?;
    let digest = build.store.put(&bytes)?;
    let mut descriptor = Descriptor::new(MediaType::ImageManifest, bytes.len() as u64, digest);
    descriptor.set_platform(
        PlatformBuilder::default().os("unknown").architecture("unknown").build().ok(),
    );
    descriptor.set_annotations(Some(HashMap::from([
        ("vnd.docker.reference.type".to_owned(), "attestation-manifest".to_owned()),
        ("vnd.docker.reference.digest".to_owned(), image.manifest.digest().to_string()),
    ])));
    Ok(descriptor)
}

/// What a statement is about: the manifest, under each of its names.
fn subjects(tags: &[Reference], image: &VariantImage) -> Value {
    let digest =
        json!({image.manifest.digest().algorithm().as_ref(): image.manifest.digest().digest()});
    match tags {
        [] => json!([{"name": "_", "digest": digest}]),
        tags => tags
            .iter()
            .map(|tag| json!({"name": package_url(tag, &image.platform), "digest": digest}))
            .collect(),
    }
}

/// `pkg:docker/python@3.11-slim?platform=linux%2Famd64` (package-url/purl-spec, type docker).
pub fn package_url(reference: &Reference, platform: &Platform) -> String {
    let name = reference.familiar_name();
    let version = reference.tag().unwrap_or("latest");
    let platform = platform.to_string().replace('/', "%2F");
    match reference.digest() {
        Some(digest) if reference.tag().is_none() => {
            format!("pkg:docker/{name}?digest={digest}&platform={platform}")
        }
        Some(digest) => format!("pkg:docker/{name}@{version}?digest={digest}&platform={platform}"),
        None => format!("pkg:docker/{name}@{version}?platform={platform}"),
    }
}
