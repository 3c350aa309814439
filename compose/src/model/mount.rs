//! What a container finds in its file system: volumes, files, devices.

use super::pairs::Pairs;
use super::record::record;
use super::scalar::{Bytes, Mode, OptOut};

record! {
    /// One of a service's `volumes`.
    pub struct VolumeMount {
        /// `bind`, `volume`, `tmpfs`, `image`, `npipe` or `cluster`.
        pub kind: String => "type",
        /// An absolute path of the host, the key of a volume, an image; nothing for an anonymous volume.
        pub source: String => "source",
        pub target: String => "target",
        pub read_only: bool => "read_only",
        pub consistency: String => "consistency",
        pub bind: Option<BindOptions> => "bind",
        pub volume: Option<VolumeOptions> => "volume",
        pub tmpfs: Option<TmpfsOptions> => "tmpfs",
        pub image: Option<ImageOptions> => "image",
    }

    /// Options of a bind mount.
    pub struct BindOptions {
        /// `z` or `Z`.
        pub selinux: String => "selinux",
        pub propagation: String => "propagation",
        /// Make the host's directory if it is absent.
        pub create_host_path: OptOut => "create_host_path",
        /// `enabled`, `disabled`, `writable` or `readonly`.
        pub recursive: String => "recursive",
    }

    /// Options of a volume's mount.
    pub struct VolumeOptions {
        pub labels: Pairs => "labels",
        /// Do not copy what the image has there into a new volume.
        pub nocopy: bool => "nocopy",
        pub subpath: String => "subpath",
    }

    /// Options of a mount in memory.
    pub struct TmpfsOptions {
        pub size: Bytes => "size",
        pub mode: u32 => "mode",
    }

    /// Options of an image's mount.
    pub struct ImageOptions {
        pub subpath: String => "subpath",
    }

    /// One of the `configs` or `secrets` of a service, or of the secrets of a build.
    pub struct FileMount {
        /// The key of the config or secret.
        pub source: String => "source",
        /// Where it appears: a path. Configs without one are at `/SOURCE`; secrets have one, `/run/secrets/SOURCE`.
        pub target: String => "target",
        pub uid: String => "uid",
        pub gid: String => "gid",
        pub mode: Option<Mode> => "mode",
    }

    /// One of a service's `devices`.
    pub struct Device {
        pub source: String => "source",
        pub target: String => "target",
        /// Out of `rwm`.
        pub permissions: String => "permissions",
    }

    /// `credential_spec`.
    pub struct CredentialSpec {
        pub config: String => "config",
        pub file: String => "file",
        pub registry: String => "registry",
    }
}
