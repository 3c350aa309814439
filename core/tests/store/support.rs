//! A store of its own for each test, and archives and images made by hand.

use knarr_core::image::{Descriptor, Digest, ImageConfig, ImageManifest, MediaType};
use knarr_core::root::Root;
use knarr_core::store::{Store, UnpackError, digest_of};
use std::io::Write;
use std::path::PathBuf;

pub struct Fixture {
    pub directory: tempfile::TempDir,
    pub store: Store,
}

pub fn fixture() -> Fixture {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&Root::at(directory.path().join("root"))).unwrap();
    Fixture { directory, store }
}

/// One layer: how its blob is called, and what is in it.
pub struct Layer {
    pub media_type: &'static str,
    pub blob: Vec<u8>,
    pub diff_id: Digest,
}

pub const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
pub const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";

pub fn plain(tar: Vec<u8>) -> Layer {
    Layer { media_type: TAR, diff_id: digest_of(&tar), blob: tar }
}

pub fn gzip(tar: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(tar).unwrap();
    encoder.finish().unwrap()
}

impl Fixture {
    pub fn image(&self, layers: &[Layer]) -> (ImageManifest, ImageConfig, Descriptor) {
        self.image_with(layers, "linux", &[])
    }

    /// Stores an image with these layers.
    pub fn image_with(
        &self,
        layers: &[Layer],
        os: &str,
        entrypoint: &[&str],
    ) -> (ImageManifest, ImageConfig, Descriptor) {
        let mut descriptors = Vec::new();
        for layer in layers {
            let digest = self.store.put(&layer.blob).unwrap();
            let size = layer.blob.len() as u64;
            descriptors.push(Descriptor::new(layer.media_type.into(), size, digest));
        }
        let diff_ids: Vec<String> = layers.iter().map(|l| l.diff_id.to_string()).collect();
        let config = serde_json::json!({
            "architecture": "amd64", "os": os,
            "config": {"Entrypoint": entrypoint},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        let config = self.json(MediaType::ImageConfig, &config);
        self.manifest(config, descriptors)
    }

    pub fn manifest(
        &self,
        config: Descriptor,
        layers: Vec<Descriptor>,
    ) -> (ImageManifest, ImageConfig, Descriptor) {
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MediaType::ImageManifest,
            "config": config, "layers": layers,
        });
        let descriptor = self.json(MediaType::ImageManifest, &manifest);
        let manifest = self.store.manifest(descriptor.digest()).unwrap();
        let config = self.store.config(&manifest).unwrap();
        (manifest, config, descriptor)
    }

    pub fn json(&self, media_type: MediaType, value: &serde_json::Value) -> Descriptor {
        let bytes = serde_json::to_vec(value).unwrap();
        let digest = self.store.put(&bytes).unwrap();
        Descriptor::new(media_type, bytes.len() as u64, digest)
    }

    /// Unpacks an image of these layers; the trees, bottom first.
    pub fn unpack(&self, layers: &[Layer]) -> Result<Vec<PathBuf>, knarr_core::store::Error> {
        let (manifest, config, _) = self.image(layers);
        let chains = self.store.unpack(&manifest, &config)?;
        Ok(chains.iter().map(|chain| self.store.layer_path(chain)).collect())
    }

    /// Unpacks one archive as the only layer.
    pub fn unpack_one(&self, tar: Vec<u8>) -> Result<PathBuf, knarr_core::store::Error> {
        Ok(self.unpack(&[plain(tar)])?.remove(0))
    }

    /// Unpacks an archive that must be refused, checks that nothing is left of it, and returns why.
    pub fn refused(&self, tar: Vec<u8>) -> UnpackError {
        let error = self.unpack_one(tar).unwrap_err();
        assert_eq!(self.layer_names(), Vec::<String>::new(), "{error}");
        match error {
            knarr_core::store::Error::Unpack { source, .. } => *source,
            other => panic!("{other}"),
        }
    }

    /// What is in `layers/`, lock files apart.
    pub fn layer_names(&self) -> Vec<String> {
        let names = knarr_core::fsx::list(&self.store.root().layers()).unwrap();
        names.into_iter().filter(|name| !name.ends_with(".lock")).collect()
    }
}

/// Writes tar archives field by field, so that they can be wrong in any way.
#[derive(Default)]
pub struct Tar(Vec<u8>);

#[derive(Clone)]
pub struct Entry<'a> {
    pub kind: u8,
    pub name: &'a [u8],
    pub link: &'a [u8],
    pub data: &'a [u8],
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: u64,
    pub device: (u32, u32),
}

pub const ENTRY: Entry = Entry {
    kind: b'0',
    name: b"",
    link: b"",
    data: b"",
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime: 1_000_000_000,
    device: (0, 0),
};

impl Tar {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn entry(mut self, entry: &Entry) -> Self {
        self.push(&header(entry, entry.data.len() as u64), entry.data);
        self
    }

    pub fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(&Entry { name: name.as_bytes(), data, ..ENTRY })
    }

    pub fn directory(self, name: &str, mode: u32) -> Self {
        self.entry(&Entry { kind: b'5', name: name.as_bytes(), mode, ..ENTRY })
    }

    pub fn symlink(self, name: &str, target: &str) -> Self {
        let (name, link) = (name.as_bytes(), target.as_bytes());
        self.entry(&Entry { kind: b'2', name, link, mode: 0o777, ..ENTRY })
    }

    pub fn hard_link(self, name: &str, target: &str) -> Self {
        let (name, link) = (name.as_bytes(), target.as_bytes());
        self.entry(&Entry { kind: b'1', name, link, ..ENTRY })
    }

    /// An extended header for the next entry.
    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let body = key.len() + value.len() + 3;
            let mut length = body + 1;
            while length != body + length.to_string().len() {
                length = body + length.to_string().len();
            }
            data.extend_from_slice(format!("{length} {key}=").as_bytes());
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        self.entry(&Entry { kind: b'x', name: b"pax", data: &data, ..ENTRY })
    }

    pub fn raw(mut self, header: &[u8; 512], data: &[u8]) -> Self {
        self.push(header, data);
        self
    }

    fn push(&mut self, header: &[u8; 512], data: &[u8]) {
        self.0.extend_from_slice(header);
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
    }

    /// The archive without its end.
    pub fn cut(self) -> Vec<u8> {
        self.0
    }

    pub fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

pub fn header(entry: &Entry, size: u64) -> [u8; 512] {
    let mut header = [0; 512];
    let name = &entry.name[..entry.name.len().min(100)];
    header[..name.len()].copy_from_slice(name);
    header[157..157 + entry.link.len()].copy_from_slice(entry.link);
    octal(&mut header[100..108], entry.mode.into());
    octal(&mut header[108..116], entry.uid.into());
    octal(&mut header[116..124], entry.gid.into());
    octal(&mut header[124..136], size);
    octal(&mut header[136..148], entry.mtime);
    octal(&mut header[329..337], entry.device.0.into());
    octal(&mut header[337..345], entry.device.1.into());
    header[156] = entry.kind;
    header[257..265].copy_from_slice(b"ustar\x0000");
    checksum(&mut header);
    header
}

pub fn octal(field: &mut [u8], number: u64) {
    let width = field.len() - 1;
    if number >> (3 * width) != 0 {
        // base 256, as GNU tar and star do
        field.fill(0);
        field[0] = 0x80;
        return field[width + 1 - 7..].copy_from_slice(&number.to_be_bytes()[1..]);
    }
    let text = format!("{number:0width$o}");
    field[..width].copy_from_slice(text.as_bytes());
}

pub fn checksum(header: &mut [u8; 512]) {
    header[148..156].fill(b' ');
    let sum: u64 = header.iter().map(|b| u64::from(*b)).sum();
    octal(&mut header[148..155], sum);
}
