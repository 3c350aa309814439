mod files;
mod inspect;
mod namespace;
mod overlay;
mod subordinate;
mod tree;

pub use files::{
    age, boot_id, close_to_others, create_private_dir_all, is_same_file, open_private,
    open_to_others, random_name, remove_tree, rename_new, sync_file_system, tree_size,
};
pub use inspect::{
    Identity, OwnedAttributes, attributes_of, available_space, copy_content, disk_space, is_opaque,
    is_portable_xattr, is_unknown_file_system, look, names, node_kind, open_itself, os_path,
    read_link, symlink_loop, xattrs_of, xattrs_of_open,
};
pub use namespace::{
    Owners, enter_mount_namespace, enter_user_namespace, enter_user_namespace_alone, gives_owners,
    is_mapped, is_superuser, join_user_namespace, ordinary_user, owners,
};
pub use overlay::{Overlay, mount_overlay};
pub use subordinate::{Ids, Lacking, Range, Subordinate, lacking_ids, subordinate};
pub use tree::{Attributes, Folder, NodeKind, Special, Tree};

use std::os::fd::{AsFd, AsRawFd};

/// A path that leads to an open file, also to one opened with `O_PATH`.
pub(crate) fn proc_path(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}
