mod files;
mod namespace;

pub use files::{create_private_dir_all, is_same_file, random_name, remove_tree, rename_new};
pub use namespace::{enter_mount_namespace, enter_user_namespace, is_superuser};

use std::os::fd::{AsFd, AsRawFd};

/// A path that leads to an open file, also to one opened with `O_PATH`.
pub(crate) fn proc_path(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}
