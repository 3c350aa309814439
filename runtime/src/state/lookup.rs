//! Finding containers: by full id, by exact name, by the start of an id.

use super::{Container, Error, Result, damaged, names, read_state};
use knarr_core::fsx;
use knarr_core::id::ContainerId;
use knarr_core::record;
use knarr_core::root::Root;
use knarr_core::spec::ContainerSpec;

/// A container whose records cannot be read.
#[derive(Debug)]
pub struct Damaged {
    pub id: ContainerId,
    pub error: Error,
}

/// Docker's rules: a full id, else a name, else the start of an id.
pub fn find(root: &Root, text: &str) -> Result<ContainerId> {
    let text = text.strip_prefix('/').unwrap_or(text);
    if let Ok(id) = text.parse::<ContainerId>()
        && exists(root, &id)
    {
        return Ok(id);
    }
    if let Some(id) = names::owner(root, text)? {
        return Ok(id);
    }
    let is_prefix =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let mut found: Vec<ContainerId> = match is_prefix {
        true => ids(root)?.into_iter().filter(|id| id.as_str().starts_with(text)).collect(),
        false => Vec::new(),
    };
    found.retain(|id| exists(root, id));
    match found.len() {
        0 => Err(Error::NotFound { text: text.to_owned() }),
        1 => Ok(found.remove(0)),
        _ => Err(Error::Ambiguous {
            prefix: text.to_owned(),
            candidates: found.iter().map(|id| id.short().to_owned()).collect(),
        }),
    }
}

/// Reads what a container was asked to be.
pub fn load_spec(root: &Root, id: &ContainerId) -> Result<ContainerSpec> {
    let spec = record::read(&root.container(id).spec()).map_err(|e| damaged(id, e))?;
    spec.ok_or_else(|| Error::Gone { id: id.clone() })
}

/// Reads a container's records.
pub fn load(root: &Root, id: &ContainerId) -> Result<Container> {
    let paths = root.container(id);
    let gone = || Error::Gone { id: id.clone() };
    let spec = load_spec(root, id)?;
    let state = match read_state(&paths, id)? {
        Some(state) => state,
        None if exists(root, id) => {
            let source = fsx::read(&paths.state()).err().map(record::Error::File);
            return Err(
                source.map_or_else(gone, |source| Error::Damaged { id: id.clone(), source })
            );
        }
        None => return Err(gone()),
    };
    Ok(Container { spec, state })
}

/// All containers, in no particular order; those that vanish meanwhile are left out.
pub fn all(root: &Root) -> Result<Vec<Result<Container, Damaged>>> {
    let mut containers = Vec::new();
    for id in ids(root)? {
        match load(root, &id) {
            Ok(container) => containers.push(Ok(container)),
            Err(Error::Gone { .. }) => {}
            Err(error) => containers.push(Err(Damaged { id, error })),
        }
    }
    Ok(containers)
}

/// The folders that have a container's name, finished or not.
pub(super) fn ids(root: &Root) -> Result<Vec<ContainerId>> {
    Ok(fsx::list(&root.containers())?.into_iter().filter_map(|name| name.parse().ok()).collect())
}

/// Whether the container was made completely and is not being deleted.
pub(super) fn exists(root: &Root, id: &ContainerId) -> bool {
    root.container(id).spec().exists()
}
