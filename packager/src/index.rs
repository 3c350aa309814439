//! Indexes: one image made of several variants (OCI image-spec, image-index.md).

use knarr_core::image::{Descriptor, Digest, ImageIndex, MediaType, Platform};
use knarr_core::store::{self, Store};
use oci_spec::image::PlatformBuilder;
use serde::Serialize;
use serde_json::Value;

/// The descriptor of a manifest in the store, with its platform where that is known, as an index holds it.
pub fn descriptor(store: &Store, manifest: &Digest) -> store::Result<Descriptor> {
    let document = store.manifest(manifest)?;
    let platform = store.config(&document)?.platform();
    let media_type = document.media_type().clone().unwrap_or(MediaType::ImageManifest);
    let mut descriptor = Descriptor::new(media_type, store.blob_size(manifest)?, manifest.clone());
    descriptor.set_platform(Some(to_oci(&platform)).filter(|_| !platform.is_unknown()));
    Ok(descriptor)
}

/// Writes an index of the given variants, in their order, and returns its descriptor. Name it with
/// [`Store::tag`], under one [`Store::hold`] with whatever made the variants.
pub fn combine(store: &Store, manifests: &[Descriptor]) -> store::Result<Descriptor> {
    let mut index = ImageIndex::default();
    index.set_schema_version(2);
    index.set_media_type(Some(MediaType::ImageIndex));
    index.set_manifests(manifests.to_vec());
    let (digest, size) = put_json(store, &index)?;
    Ok(Descriptor::new(MediaType::ImageIndex, size, digest))
}

/// Stores a document as a blob.
pub(crate) fn put_json(store: &Store, document: &impl Serialize) -> store::Result<(Digest, u64)> {
    let bytes = to_json(document).map_err(|source| store::Error::Malformed {
        kind: "document to write",
        digest: store::digest_of(b""),
        source,
    })?;
    Ok((store.put(&bytes)?, bytes.len() as u64))
}

/// The same bytes every time: annotations come from hash maps, in any order.
pub(crate) fn to_json(document: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    fn sort_annotations(value: &mut Value) {
        match value {
            Value::Object(map) => {
                if let Some(Value::Object(annotations)) = map.get_mut("annotations") {
                    annotations.sort_keys();
                }
                map.values_mut().for_each(sort_annotations);
            }
            Value::Array(list) => list.iter_mut().for_each(sort_annotations),
            _ => {}
        }
    }
    let mut value = serde_json::to_value(document)?;
    sort_annotations(&mut value);
    serde_json::to_vec(&value)
}

fn to_oci(platform: &Platform) -> oci_spec::image::Platform {
    let mut builder = PlatformBuilder::default()
        .os(platform.os.as_str())
        .architecture(platform.architecture.as_str());
    if let Some(variant) = &platform.variant {
        builder = builder.variant(variant);
    }
    builder.build().unwrap_or_default()
}
