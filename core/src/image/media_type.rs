//! Which media types mean what. Comparison ignores case, as registries differ in it.

use crate::compression::Compression;

/// Docker's and OCI's manifest of one variant.
pub const MANIFESTS: &[&str] = &[
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

/// Docker's and OCI's list of variants.
pub const INDEXES: &[&str] = &[
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// The configuration of a CNCF Wasm artifact (`tag-runtime.cncf.io`, "Wasm OCI Artifact layout").
pub const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";

/// A layer that is one Wasm binary, not a tar archive.
pub const WASM_LAYERS: &[&str] = &[
    "application/wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.bytecodealliance.wasm.component.layer.v0+wasm",
    "application/vnd.module.wasm.content.layer.v1+wasm",
];

/// What a layer's blob holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    Tar(Compression),
    /// One Wasm binary (CNCF artifact and its predecessors).
    Wasm,
}

pub fn is_manifest(media_type: &str) -> bool {
    is_one_of(media_type, MANIFESTS)
}

pub fn is_index(media_type: &str) -> bool {
    is_one_of(media_type, INDEXES)
}

/// The kind of a layer; `None` for media types that are no layer.
pub fn layer_kind(media_type: &str) -> Option<LayerKind> {
    if is_one_of(media_type, WASM_LAYERS) {
        return Some(LayerKind::Wasm);
    }
    let compression = match media_type.to_ascii_lowercase().as_str() {
        "application/vnd.oci.image.layer.v1.tar"
        | "application/vnd.oci.image.layer.nondistributable.v1.tar"
        | "application/vnd.docker.image.rootfs.diff.tar" => Compression::None,
        "application/vnd.oci.image.layer.v1.tar+gzip"
        | "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
        | "application/vnd.docker.image.rootfs.diff.tar.gzip"
        | "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip" => Compression::Gzip,
        "application/vnd.oci.image.layer.v1.tar+zstd"
        | "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"
        | "application/vnd.docker.image.rootfs.diff.tar.zstd" => Compression::Zstd,
        _ => return None,
    };
    Some(LayerKind::Tar(compression))
}

fn is_one_of(media_type: &str, list: &[&str]) -> bool {
    list.iter().any(|m| m.eq_ignore_ascii_case(media_type))
}
