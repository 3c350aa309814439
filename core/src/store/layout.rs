//! The files that make the data directory an OCI image layout (OCI image-spec, image-layout.md).

use super::{Error, Result, Store, document};
use crate::fsx::{self, Durability};
use crate::image::{Descriptor, ImageIndex, MediaType};
use crate::lock::Lock;
use crate::root::Root;
use crate::sys;

const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// Lays the store out unless it is: `oci-layout` comes last, so where it is the rest is.
pub fn ensure(root: &Root) -> Result<()> {
    match lay_out(root) {
        // whoever reads finds nothing; whoever writes is told
        Err(Error::File(e)) if e.is_read_only() => Ok(()),
        other => other,
    }
}

fn lay_out(root: &Root) -> Result<()> {
    if root.oci_layout().exists() {
        return Ok(());
    }
    // set-user-id programs and other users' secrets are in the layers: nobody else may reach them
    sys::create_private_dir_all(root.data())?;
    sys::create_private_dir_all(&root.layers())?;
    for directory in [root.blobs(), root.incoming()] {
        fsx::create_dir_all(&directory)?;
    }
    let _lock = Lock::exclusive(&root.images_lock())?;
    if !root.index().exists() {
        write_index(root, Vec::new())?;
    }
    Ok(fsx::replace(&root.oci_layout(), LAYOUT.as_bytes(), Durability::Disk)?)
}

fn write_index(root: &Root, manifests: Vec<Descriptor>) -> Result<()> {
    let mut index = ImageIndex::default();
    index.set_schema_version(2);
    index.set_media_type(Some(MediaType::ImageIndex));
    index.set_manifests(manifests);
    let malformed = |source| Error::MalformedIndex { path: root.index(), source };
    let bytes = serde_json::to_vec(&index).map_err(malformed)?;
    Ok(fsx::replace(&root.index(), &bytes, Durability::Disk)?)
}

impl Store {
    /// The entries of `index.json`. Readers need no lock: the file is only ever replaced.
    pub(super) fn entries(&self) -> Result<Vec<Descriptor>> {
        let path = self.root.index();
        let Some(bytes) = fsx::read_optional(&path)? else { return Ok(Vec::new()) };
        let index: ImageIndex =
            document::parse(&bytes).map_err(|source| Error::MalformedIndex { path, source })?;
        Ok(index.manifests().clone())
    }

    /// Changes the entries of `index.json`; `change` returns whether it changed something, and its result.
    pub(super) fn change_entries<T>(
        &self,
        change: impl FnOnce(&mut Vec<Descriptor>) -> Result<T>,
    ) -> Result<T> {
        let _lock = self.images_lock()?;
        let before = self.entries()?;
        let mut entries = before.clone();
        let result = change(&mut entries)?;
        if entries != before {
            write_index(&self.root, entries)?;
        }
        Ok(result)
    }
}
