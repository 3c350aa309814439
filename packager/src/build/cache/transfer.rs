//! `--cache-from` and `--cache-to`: results of steps that travel.
//!
//! A cache is an OCI manifest whose layers are the layers of steps, and whose configuration
//! (`application/vnd.knarr.build-cache.v1+json`) says which step resulted in which:
//!
//! ```json
//! {"version": "1", "steps": {"<key>": {"diffId": "sha256:…", "layer": 0, "created": "…", "description": "RUN make"}}}
//! ```
//!
//! `type=local` keeps it as an OCI layout in a folder, `type=registry` under a reference. `type=inline` adds to an image's
//! own configuration, as `run.knarr.build-cache.v1`, the keys of its layers, `null` for those of the base image.
//! A key is a digest of all that decides about a step, so a cache of another Dockerfile is only of no use.

use crate::build::Error;
use crate::build::execute::{Build, Layer, State};
use crate::build::images::Pulling;
use crate::build::options::{CacheMode, CacheSource, CacheTarget};
use crate::build::output::{Variant, compress};
use crate::build::progress::{Event, VertexId};
use crate::build::report::Report;
use crate::build::{Options, Services};
use crate::{index, registry};
use knarr_core::fsx::{self, Context};
use knarr_core::image::{
    Descriptor, Digest, ImageConfig, ImageIndex, ImageManifest, MediaType, Reference,
};
use knarr_core::store::Store;
use knarr_core::store::cached::CachedStep;
use oci_spec::image::ImageManifestBuilder;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Part of every key: raised when a step comes to mean something else.
pub const KEY_VERSION: &str = "2";

const CONFIG: &str = "application/vnd.knarr.build-cache.v1+json";
const INLINE: &str = "run.knarr.build-cache.v1";

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    version: String,
    steps: BTreeMap<String, Exported>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Exported {
    diff_id: String,
    /// Which layer of the manifest.
    layer: usize,
    created: String,
    description: String,
}

/// Where a blob can be had.
#[derive(Clone)]
enum Place {
    Folder(PathBuf),
    Registry(Reference),
}

struct Offer {
    step: Exported,
    blob: Descriptor,
    place: Place,
}

/// What other caches offer, by key.
#[derive(Default)]
pub struct Imports {
    offers: HashMap<String, Offer>,
}

impl Imports {
    /// Reads what the sources offer. A source that cannot be read is a warning: the build only takes longer.
    pub fn open(
        store: &Store,
        options: &Options,
        services: &Services,
        report: &Report,
    ) -> Result<Self, Error> {
        let mut imports = Self::default();
        for source in &options.cache_from {
            let name = match source {
                CacheSource::Local(folder) => folder.display().to_string(),
                CacheSource::Registry(reference) => reference.familiar(),
            };
            let vertex = report.internal(&format!("importing cache manifest from {name}"));
            let read = report.watch(vertex, || match source {
                CacheSource::Local(folder) => imports.read_folder(folder),
                CacheSource::Registry(reference) => {
                    imports.read_registry(store, reference, services)
                }
            });
            if let Err(error) = read {
                let message = format!("the cache {name} is not used: {error}");
                report.event(Event::Warning { message: &message, line: None, url: None });
            }
        }
        Ok(imports)
    }

    fn read_folder(&mut self, folder: &Path) -> Result<(), Error> {
        let index: ImageIndex = parse(&fsx::read(&folder.join("index.json"))?, "index.json")?;
        for descriptor in index.manifests() {
            let bytes = fsx::read(&blob_path(folder, descriptor.digest()))?;
            let manifest: ImageManifest = parse(&bytes, "the manifest of the cache")?;
            let config = fsx::read(&blob_path(folder, manifest.config().digest()))?;
            self.add(&manifest, &config, &Place::Folder(folder.to_owned()))?;
        }
        Ok(())
    }

    fn read_registry(
        &mut self,
        store: &Store,
        reference: &Reference,
        services: &Services,
    ) -> Result<(), Error> {
        let config = (services.registry)()?;
        let manifests = registry::fetch_documents(store, reference, &config).map_err(|e| {
            Error::RegistryCache { reference: reference.familiar(), source: e.into() }
        })?;
        for descriptor in manifests {
            let manifest = store.manifest(descriptor.digest())?;
            let path = store.blob_path(manifest.config().digest());
            self.add(&manifest, &fsx::read(&path)?, &Place::Registry(reference.clone()))?;
        }
        Ok(())
    }

    fn add(&mut self, manifest: &ImageManifest, config: &[u8], place: &Place) -> Result<(), Error> {
        let mut offer = |key: String, step: Exported| {
            if let Some(blob) = manifest.layers().get(step.layer) {
                let offer = Offer { step, blob: blob.clone(), place: place.clone() };
                self.offers.entry(key).or_insert(offer);
            }
        };
        if manifest.config().media_type().to_string() == CONFIG {
            let document: Document = parse(config, "the cache")?;
            for (key, step) in document.steps {
                offer(key, step);
            }
            return Ok(());
        }
        let value: serde_json::Value = parse(config, "the image's configuration")?;
        let image: ImageConfig = parse(config, "the image's configuration")?;
        let keys = value.get(INLINE).and_then(|inline| inline.get("layers")?.as_array());
        let created = image.created.clone().unwrap_or_default();
        for (layer, key) in keys.into_iter().flatten().enumerate() {
            let diff_id = image.rootfs.diff_ids.get(layer);
            if let (Some(key), Some(diff_id)) = (key.as_str(), diff_id) {
                let created = created.clone();
                let description = String::new();
                let diff_id = diff_id.clone();
                offer(key.to_owned(), Exported { diff_id, layer, created, description });
            }
        }
        Ok(())
    }

    /// The result of a step from another cache, its layer unpacked by now.
    pub fn find(
        &self,
        build: &Build,
        key: &Digest,
        state: &State,
        vertex: VertexId,
    ) -> Result<Option<CachedStep>, Error> {
        let Some(offer) = self.offers.get(key.as_ref()) else { return Ok(None) };
        match take(build, offer, state, vertex) {
            Ok(step) => Ok(Some(step)),
            Err(Error::Cancelled) => Err(Error::Cancelled),
            Err(error) => {
                let message = format!("a layer of another cache is not used: {error}");
                build.report.event(Event::Warning { message: &message, line: None, url: None });
                Ok(None)
            }
        }
    }
}

fn take(
    build: &Build,
    offer: &Offer,
    state: &State,
    vertex: VertexId,
) -> Result<CachedStep, Error> {
    let store = build.store;
    if !store.has(offer.blob.digest()) {
        match &offer.place {
            Place::Folder(folder) => {
                let path = blob_path(folder, offer.blob.digest());
                let mut writer = store.writer(offer.blob.digest(), Some(offer.blob.size()))?;
                if !writer.is_complete() {
                    let mut file = fsx::open(&path)?;
                    io::Seek::seek(&mut file, io::SeekFrom::Start(writer.offset()))
                        .at("read", &path)?;
                    io::copy(&mut file, &mut writer).at("copy", &path)?;
                }
                writer.commit()?;
            }
            Place::Registry(reference) => {
                let config = (build.services.registry)()?;
                let progress = Pulling { vertex, report: build.report };
                registry::fetch_blob(store, reference, &offer.blob, &config, &progress).map_err(
                    |e| Error::RegistryCache { reference: reference.familiar(), source: e.into() },
                )?;
            }
        }
    }
    // what is below is there, or can be unpacked from its own blobs
    build.trees(state)?;
    let blobs: Vec<Descriptor> = state
        .layers
        .iter()
        .map(|layer| layer.blob.clone().unwrap_or_else(|| offer.blob.clone()))
        .chain([offer.blob.clone()])
        .collect();
    let mut config = ImageConfig::default();
    let own = state.layers.iter().map(|layer| layer.diff_id.to_string());
    config.rootfs.diff_ids = own.chain([offer.step.diff_id.clone()]).collect();
    let manifest = ImageManifestBuilder::default()
        .schema_version(2u32)
        .config(offer.blob.clone())
        .layers(blobs)
        .build()
        .expect("every required field is set");
    let chains = store.unpack(&manifest, &config)?;
    let chain = chains.last().cloned().unwrap_or_else(|| offer.blob.digest().clone());
    let info = store.layer_info(&chain)?;
    let diff_id = info.as_ref().map_or_else(|| chain.clone(), |info| info.diff_id.clone());
    build.cache.put_blob(&diff_id, &offer.blob)?;
    Ok(CachedStep {
        chain,
        diff_id,
        size: info.map_or(0, |info| info.size),
        empty: false,
        created: offer.step.created.clone(),
        description: offer.step.description.clone(),
    })
}

/// `--cache-to type=inline`: adds the keys of the layers to an image's configuration.
pub fn add_inline(build: &Build, state: &State, document: &mut serde_json::Value) {
    if !build.options.cache_to.contains(&CacheTarget::Inline) {
        return;
    }
    let keys: Vec<Option<String>> =
        state.layers.iter().map(|layer| layer.key.as_ref().map(ToString::to_string)).collect();
    if let Some(map) = document.as_object_mut() {
        map.insert(INLINE.into(), serde_json::json!({"layers": keys}));
    }
}

/// Does everything that `--cache-to` asks for.
pub fn export(build: &Build, variants: &[Variant]) -> Result<(), Error> {
    for target in &build.options.cache_to {
        let (mode, name) = match target {
            CacheTarget::Inline => continue,
            CacheTarget::Local { folder, mode } => (*mode, folder.display().to_string()),
            CacheTarget::Registry { reference, mode } => (*mode, reference.familiar()),
        };
        let vertex = build.report.internal(&format!("exporting cache to {name}"));
        build.report.watch(vertex, || {
            let (descriptor, manifest) = manifest(build, variants, mode)?;
            match target {
                CacheTarget::Local { folder, .. } => {
                    write_folder(build.store, folder, descriptor, &manifest)
                }
                CacheTarget::Registry { reference, .. } => {
                    let config = (build.services.registry)()?;
                    let progress = Pulling { vertex, report: build.report };
                    let pushed = registry::push_descriptor(
                        build.store,
                        reference,
                        descriptor,
                        &config,
                        &progress,
                    );
                    pushed.map(drop).map_err(|e| Error::RegistryCache {
                        reference: reference.familiar(),
                        source: e.into(),
                    })
                }
                CacheTarget::Inline => Ok(()),
            }
        })?;
    }
    Ok(())
}

/// Writes the manifest of a cache into the store.
fn manifest(
    build: &Build,
    variants: &[Variant],
    mode: CacheMode,
) -> Result<(Descriptor, ImageManifest), Error> {
    let mut layers: Vec<Layer> = Vec::new();
    for variant in variants {
        let stages = match mode {
            CacheMode::Min => &variant.finished.stages[variant.finished.stages.len() - 1..],
            CacheMode::Max => &variant.finished.stages[..],
        };
        for layer in stages.iter().flat_map(|state| &state.layers) {
            if layer.key.is_some() && !layers.iter().any(|known| known.key == layer.key) {
                layers.push(layer.clone());
            }
        }
    }
    let blobs = compress::blobs(build, &layers)?;
    let mut document = Document { version: "1".into(), steps: BTreeMap::new() };
    for (at, layer) in layers.iter().enumerate() {
        let Some(key) = &layer.key else { continue };
        let Some(step) = build.cache.find(key)? else { continue };
        let exported = Exported {
            diff_id: layer.diff_id.to_string(),
            layer: at,
            created: step.created,
            description: step.description,
        };
        document.steps.insert(key.to_string(), exported);
    }
    let (digest, size) = index::put_json(build.store, &document)?;
    let manifest = ImageManifestBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageManifest)
        .config(Descriptor::new(MediaType::from(CONFIG), size, digest))
        .layers(blobs)
        .build()
        .expect("every required field is set");
    let (digest, size) = index::put_json(build.store, &manifest)?;
    Ok((Descriptor::new(MediaType::ImageManifest, size, digest), manifest))
}

/// Writes an OCI layout; blobs that are there already stay.
fn write_folder(
    store: &Store,
    folder: &Path,
    descriptor: Descriptor,
    manifest: &ImageManifest,
) -> Result<(), Error> {
    let all = manifest.layers().iter().chain([manifest.config(), &descriptor]);
    for blob in all {
        let path = blob_path(folder, blob.digest());
        if path.exists() {
            continue;
        }
        let parent = path.parent().unwrap_or(folder);
        fsx::create_dir_all(parent)?;
        let mut file = tempfile::Builder::new()
            .prefix(fsx::TEMPORARY)
            .tempfile_in(parent)
            .at("create a temporary file in", parent)?;
        io::copy(&mut store.open_blob(blob.digest())?.take(blob.size()), &mut file)
            .at("write", &path)?;
        file.persist(&path).map_err(|e| e.error).at("create", &path)?;
    }
    let mut index = ImageIndex::default();
    index.set_schema_version(2);
    index.set_media_type(Some(MediaType::ImageIndex));
    index.set_manifests(vec![descriptor]);
    let write = |name: &str, bytes: &[u8]| {
        fsx::replace(&folder.join(name), bytes, fsx::Durability::Process)
    };
    let malformed = |source| Error::Malformed { what: "index.json".into(), source };
    write("index.json", &index::to_json(&index).map_err(malformed)?)?;
    Ok(write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?)
}

fn blob_path(folder: &Path, digest: &Digest) -> PathBuf {
    folder.join("blobs").join(digest.algorithm().as_ref()).join(digest.digest())
}

fn parse<T: serde::de::DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, Error> {
    serde_json::from_slice(bytes)
        .map_err(|source| Error::Malformed { what: what.to_owned(), source })
}
