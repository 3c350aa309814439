//! A folder of a container follows one of the host's.

use super::{CopyOptions, Result, Tree, failed, unpack_at};
use crate::container::view::View;
use crate::sys::resolve;
use knarr_core::id::ContainerId;
use knarr_core::store::Store;
use knarr_core::sys;
use std::ffi::OsStr;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Removes from a folder of a container what is `gone`, paths below it, and unpacks an archive there. The folder is made
/// if it is missing; what is gone already is removed.
pub fn sync(
    store: &Store,
    id: &ContainerId,
    folder: &str,
    gone: &[String],
    archive: &mut dyn Read,
) -> Result<()> {
    let view = View::of(store, id)?;
    let tree = Tree::writable(&view, folder)?;
    resolve::create_dir_in(&tree.root, &tree.path).map_err(failed("make", folder))?;
    for path in gone {
        let path = Path::new(folder).join(path).to_string_lossy().into_owned();
        // a parent that is gone as well has nothing in it
        let Ok((parent, name)) = Tree::writable(&view, &path)?.parent(&path) else { continue };
        sys::remove_tree(&resolve::path_of(&parent).join(OsStr::from_bytes(name.to_bytes())))?;
    }
    unpack_at(&tree, archive, folder, CopyOptions::default())
}
