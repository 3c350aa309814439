//! What images in archives are called.

use knarr_core::image::{Descriptor, Reference};
use std::collections::HashMap;

/// containerd's and Docker's annotation: the full reference.
const IMAGE_NAME: &str = "io.containerd.image.name";
/// OCI image-spec, annotations.md: a tag with Docker and containerd, whatever the user typed with skopeo.
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// The annotations of an entry of `index.json` that names an image.
pub fn annotations(reference: &Reference) -> HashMap<String, String> {
    let name = Some((IMAGE_NAME.to_owned(), reference.to_string()));
    let tag = reference.tag().map(|tag| (REF_NAME.to_owned(), tag.to_owned()));
    name.into_iter().chain(tag).collect()
}

/// The name of an entry of `index.json`; `None` if it has only a tag.
pub fn of(entry: &Descriptor) -> Option<Reference> {
    let annotations = entry.annotations().as_ref()?;
    if let Some(name) = annotations.get(IMAGE_NAME) {
        return name.parse().ok();
    }
    let name = annotations.get(REF_NAME)?;
    // `latest` alone is a tag of an unknown repository, not the repository docker.io/library/latest
    if name.contains([':', '/', '@']) { name.parse().ok() } else { None }
}
