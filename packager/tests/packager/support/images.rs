//! Images made on the spot.

use flate2::Compression;
use flate2::write::GzEncoder;
use knarr_core::image::{Descriptor, Digest, MediaType, Reference};
use knarr_core::store::{Image, Store, digest_of};
use knarr_packager::index;
use serde_json::json;
use std::io::Write;

/// A tar archive of files.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, path, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The bytes as they are, and in each way in which archives are compressed; of gzip, bzip2 and xz in two pieces.
pub fn compressed(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (first, second) = bytes.split_at(bytes.len() / 3);
    let with = |program: &str| [first, second].map(|piece| run_with(program, piece)).concat();
    let zstd = zstd::encode_all(bytes, 1).unwrap();
    vec![bytes.to_vec(), [gzip(first), gzip(second)].concat(), with("bzip2"), with("xz"), zstd]
}

fn run_with(program: &str, input: &[u8]) -> Vec<u8> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let output = std::process::Command::new(program).arg("-c").stdin(file).output();
    let output =
        output.unwrap_or_else(|e| panic!("{program}: {e}; apt-get install xz-utils bzip2"));
    assert!(output.status.success());
    output.stdout
}

/// Bytes that do not compress and are always the same.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// A manifest of gzip layers, and its blobs in the store.
pub fn manifest(store: &Store, platform: &str, layers: &[Vec<u8>]) -> Descriptor {
    let (os, architecture) = platform.split_once('/').unwrap();
    let diff_ids: Vec<String> = layers.iter().map(|l| digest_of(l).to_string()).collect();
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| {
            let blob = gzip(layer);
            let digest = store.put(&blob).unwrap().to_string();
            json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": digest, "size": blob.len()})
        })
        .collect();
    let config = json!({
        "os": os, "architecture": architecture, "config": {"Cmd": ["/hello"]},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = serde_json::to_vec(&config).unwrap();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": store.put(&config).unwrap().to_string(), "size": config.len(),
        },
        "layers": layers,
    });
    index::descriptor(store, &store.put(&serde_json::to_vec(&manifest).unwrap()).unwrap()).unwrap()
}

/// A Wasm and a native variant under one name. The native one has three layers of 300 kB.
pub fn app(store: &Store, name: &str) -> Image {
    let wasm = manifest(store, "wasi/wasm", &[tar(&[("app.wasm", b"\0asm\x01\0\0\0")])]);
    let layers: Vec<Vec<u8>> = (1..=3)
        .map(|n| tar(&[(&format!("layer{n}"), &noise(n, 300_000)), ("hello", b"#!/bin/sh\n")]))
        .collect();
    let native = manifest(store, "linux/amd64", &layers);
    name_it(store, name, index::combine(store, &[native, wasm]).unwrap())
}

/// One native variant of one layer.
pub fn single(store: &Store, name: &str) -> Image {
    let layer = tar(&[("hello", &noise(9, 300_000)[..])]);
    let descriptor = manifest(store, "linux/amd64", &[layer]);
    name_it(store, name, descriptor)
}

fn name_it(store: &Store, name: &str, descriptor: Descriptor) -> Image {
    let reference: Reference = name.parse().unwrap();
    store.tag(&reference, descriptor.clone()).unwrap();
    Image { reference: Some(reference), descriptor }
}

/// Every blob under a descriptor that the store has, the descriptor's own first.
pub fn content(store: &Store, descriptor: &Descriptor) -> Vec<Descriptor> {
    let mut all = vec![descriptor.clone()];
    if *descriptor.media_type() == MediaType::ImageIndex {
        for child in store.index(descriptor.digest()).unwrap().manifests() {
            if store.has(child.digest()) {
                all.extend(content(store, child));
            }
        }
    } else {
        let manifest = store.manifest(descriptor.digest()).unwrap();
        all.push(manifest.config().clone());
        all.extend(manifest.layers().iter().cloned());
    }
    all
}

/// The layers of the variant of a platform.
pub fn layers(store: &Store, image: &Image, platform: &str) -> Vec<Descriptor> {
    let variants = store.variants(image).unwrap();
    let variant = variants.iter().find(|v| v.platform.to_string() == platform).unwrap();
    store.manifest(&variant.manifest).unwrap().layers().clone()
}

pub fn bytes(store: &Store, digest: &Digest) -> Vec<u8> {
    std::fs::read(store.blob_path(digest)).unwrap()
}
