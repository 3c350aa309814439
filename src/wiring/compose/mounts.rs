//! What a service finds in its file system: volumes, and the files of configs and secrets.

use crate::error::Failure;
use knarr_compose::model::{FileMount, FileObject, Project, Service, VolumeMount};
use knarr_core::fsx;
use knarr_core::spec::{self, Mount, MountKind, Origin, Submounts};
use knarr_runtime::container::options;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The largest config or secret (as in Docker, 500 kB and 1 MB).
const LARGEST: u64 = 1 << 20;

/// The mounts of a service: `volumes`, `tmpfs`, and those files that are mounted from the host.
pub fn of(project: &Project, service: &Service) -> Result<Vec<Mount>, Failure> {
    let mut mounts = Vec::new();
    for mount in &service.volumes {
        mounts.push(volume(project, service, mount)?);
    }
    for text in &service.tmpfs {
        mounts.push(options::parse_tmpfs(text)?);
    }
    for file in files(project, service)? {
        if let Content::Mounted(source) = file.content {
            let kind = MountKind::Bind {
                source,
                create: false,
                propagation: None,
                submounts: Submounts::default(),
            };
            let (read_only, ownership, origin) = (true, None, Origin::Long);
            mounts.push(Mount { kind, target: file.target, read_only, ownership, origin });
        }
    }
    Ok(mounts)
}

fn volume(project: &Project, service: &Service, mount: &VolumeMount) -> Result<Mount, Failure> {
    let refused = |what: &str, hint: &str| {
        Failure::usage(format!("services.{}.volumes: {} {what}", service.name, mount.target))
            .hint(hint)
    };
    if !mount.target.starts_with('/') {
        return Err(refused(
            "is not an absolute path in the container",
            "write /…; a volume's name has two characters at least",
        ));
    }
    let kind = match mount.kind.as_str() {
        "bind" => {
            let bind = mount.bind.clone().unwrap_or_default();
            let source = PathBuf::from(&mount.source);
            if is_docker_socket(&source) {
                return Err(refused(
                    "is Docker's socket, which Knarr does not serve",
                    "a service that drives Docker needs Docker itself; leave the mount out, or start dockerd",
                ));
            }
            MountKind::Bind {
                source,
                create: bind.create_host_path.is_on(),
                propagation: Some(bind.propagation).filter(|text| !text.is_empty()),
                submounts: match bind.recursive.as_str() {
                    "disabled" => Submounts::Leave,
                    "writable" => Submounts::Writable,
                    _ => Submounts::Follow,
                },
            }
        }
        "volume" => {
            let own = mount.volume.clone().unwrap_or_default();
            let named = project.volumes.get(&mount.source);
            let name = match (named, mount.source.is_empty()) {
                (Some(volume), _) => volume.name.clone(),
                (None, true) => knarr_core::id::ContainerId::random().to_string(),
                (None, false) => mount.source.clone(),
            };
            MountKind::Volume(spec::VolumeMount {
                name,
                anonymous: mount.source.is_empty(),
                no_copy: own.nocopy,
                subpath: Some(own.subpath).filter(|path| !path.is_empty()),
                labels: own.labels.0,
                options: Default::default(),
            })
        }
        "tmpfs" => {
            let own = mount.tmpfs.clone().unwrap_or_default();
            MountKind::Tmpfs {
                size: u64::try_from(own.size.0).ok().filter(|size| *size > 0),
                mode: Some(own.mode).filter(|mode| *mode > 0),
                options: Vec::new(),
            }
        }
        kind => {
            let what = format!("is of the type {kind}, which Knarr does not mount");
            return Err(refused(&what, "the types are bind, volume and tmpfs"));
        }
    };
    let (target, read_only) = (mount.target.clone(), mount.read_only);
    Ok(Mount { kind, target, read_only, ownership: None, origin: Origin::Long })
}

/// Nobody serves Docker's interface there, unless Docker itself is on this machine.
fn is_docker_socket(source: &Path) -> bool {
    let names = ["/var/run/docker.sock", "/run/docker.sock"];
    names.iter().any(|name| source == Path::new(name)) && !source.exists()
}

/// A config or a secret in a container.
#[derive(Debug)]
pub struct File {
    /// Absolute.
    pub target: String,
    pub content: Content,
}

#[derive(Debug)]
pub enum Content {
    /// The host's file as it is.
    Mounted(PathBuf),
    /// Written into the container before it starts.
    Written { bytes: Vec<u8>, uid: u64, gid: u64, mode: u32 },
}

/// The files of a service's `configs` and `secrets`.
pub fn files(project: &Project, service: &Service) -> Result<Vec<File>, Failure> {
    let mut files = Vec::new();
    for mount in &service.configs {
        let object = project.configs.get(&mount.source).map(|config| &config.0);
        files.push(file("configs", service, mount, object, "/")?);
    }
    for mount in &service.secrets {
        let object = project.secrets.get(&mount.source).map(|secret| &secret.0);
        files.push(file("secrets", service, mount, object, "/run/secrets/")?);
    }
    Ok(files)
}

fn file(
    kind: &str,
    service: &Service,
    mount: &FileMount,
    object: Option<&FileObject>,
    folder: &str,
) -> Result<File, Failure> {
    let place = format!("services.{}.{kind}: {}", service.name, mount.source);
    let Some(object) = object else {
        return Err(Failure::usage(format!("{place} is not declared")));
    };
    if object.external {
        return Err(Failure::usage(format!("{place} is external, and nobody keeps such here"))
            .hint("give it a file, an environment variable or a content"));
    }
    let target = match mount.target.as_str() {
        "" => format!("{folder}{}", mount.source),
        path if path.starts_with('/') => path.to_owned(),
        path => format!("{folder}{path}"),
    };
    let as_it_is = mount.uid.is_empty() && mount.gid.is_empty() && mount.mode.is_none();
    if !object.file.is_empty() && as_it_is {
        let path = PathBuf::from(&object.file);
        if !path.exists() {
            return Err(Failure::new(format!("{place}: there is no file {}", path.display())));
        }
        return Ok(File { target, content: Content::Mounted(path) });
    }
    let bytes = match object.file.is_empty() {
        true => object.content.clone().into_bytes(),
        false => read(Path::new(&object.file), &place)?,
    };
    let id = |text: &str| match text {
        "" => Ok(0),
        text => text.parse().map_err(|_| Failure::usage(format!("{place}: {text:?} is not an id"))),
    };
    let mode = mount.mode.map_or(0o444, |mode| u32::try_from(mode.0).unwrap_or(0o444)) & 0o7777;
    let (uid, gid) = (id(&mount.uid)?, id(&mount.gid)?);
    Ok(File { target, content: Content::Written { bytes, uid, gid, mode } })
}

/// Only regular files, up to a limit.
fn read(path: &Path, place: &str) -> Result<Vec<u8>, Failure> {
    let wrong = |what: &str| Failure::new(format!("{place}: {} {what}", path.display()));
    let metadata = path.metadata().map_err(|error| wrong("cannot be read").cause(&error))?;
    if !metadata.is_file() {
        return Err(wrong("is not a file"));
    }
    let mut bytes = Vec::new();
    let file = fsx::open(path)?;
    let read = file.take(LARGEST + 1).read_to_end(&mut bytes);
    read.map_err(|error| wrong("cannot be read").cause(&error))?;
    match bytes.len() as u64 > LARGEST {
        true => Err(wrong("is larger than 1 MiB")),
        false => Ok(bytes),
    }
}

/// The archive that is unpacked into a container's root for the files that are written, if there are any.
pub fn archive(files: &[File]) -> std::io::Result<Option<Vec<u8>>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut any = false;
    for file in files {
        let Content::Written { bytes, uid, gid, mode } = &file.content else { continue };
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(*mode);
        header.set_uid(*uid);
        header.set_gid(*gid);
        header.set_entry_type(tar::EntryType::Regular);
        archive.append_data(&mut header, file.target.trim_start_matches('/'), bytes.as_slice())?;
        any = true;
    }
    let bytes = archive.into_inner()?;
    Ok(any.then_some(bytes))
}
