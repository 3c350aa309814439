//! Volumes: folders that outlive containers.
//!
//! ```text
//! <data>/volumes/<name>/volume.json   written last at create and removed first at remove
//!                       _data         what containers see
//!                       filling       a copy from an image is under way: what is there is incomplete
//!                       lock          held while one of these changes
//! ```

mod archive;
mod copy_up;
mod error;
mod options;
mod spec;
mod users;

pub use archive::{export, import};
pub use copy_up::copy_up;
pub use error::Error;
pub use options::{Backing, InvalidOption};
pub use spec::{NewVolume, Volume};
pub use users::{User, Users};

use crate::sys::mount::is_mount;
use crate::sys::tmpfs;
use jiff::Timestamp;
use knarr_core::events::{self, Event, Kind};
use knarr_core::fsx::{self, Context, Durability};
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::record;
use knarr_core::root::Root;
use knarr_core::sys;
use rustix::fs::{CWD, Mode};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, UnmountFlags, move_mount, unmount};
use std::io;
use std::path::{Path, PathBuf};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The folders of one volume.
#[derive(Debug, Clone)]
struct Paths {
    folder: PathBuf,
}

impl Paths {
    fn of(root: &Root, name: &str) -> Result<Self> {
        validate(name)?;
        Ok(Self { folder: root.volumes().join(name) })
    }

    fn record(&self) -> PathBuf {
        self.folder.join("volume.json")
    }

    fn data(&self) -> PathBuf {
        self.folder.join("_data")
    }

    fn filling(&self) -> PathBuf {
        self.folder.join("filling")
    }

    fn lock(&self) -> fsx::Result<Lock> {
        Lock::exclusive(&self.folder.join("lock"))
    }
}

/// Docker's rule: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub fn validate(name: &str) -> Result<()> {
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    if first && rest && (2..=255).contains(&name.len()) {
        Ok(())
    } else {
        Err(Error::InvalidName { name: name.to_owned() })
    }
}

/// The directory that containers see, also of a volume that does not exist (any more).
pub fn data(root: &Root, name: &str) -> Result<PathBuf> {
    match find(root, name) {
        Err(Error::NotFound { .. }) => Ok(Paths::of(root, name)?.data()),
        volume => volume?.data(root),
    }
}

/// Makes a volume; one that exists is left as it is, and is an error only if other options are wanted.
pub fn create(root: &Root, new: NewVolume) -> Result<Volume> {
    let name = new.name.as_str();
    let paths = Paths::of(root, name)?;
    let backing = Backing::parse(&new.options)?;
    let existing = |volume: Volume| match new.options.is_empty() || new.options == volume.options {
        true => Ok(volume),
        false => Err(Error::OtherOptions { name: name.to_owned() }),
    };
    if let Some(volume) = record::read(&paths.record())? {
        return existing(volume);
    }
    check(name, &backing)?;
    loop {
        sys::create_private_dir_all(&paths.folder)?;
        let _lock = match paths.lock() {
            // somebody removed it between these two lines
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            lock => lock?,
        };
        if let Some(volume) = record::read(&paths.record())? {
            return existing(volume);
        }
        match fsx::create_dir_all(&paths.data()) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        }
        // whatever this process's umask is: the users of an image come in
        let data = paths.data();
        rustix::fs::chmod(&data, Mode::from_raw_mode(0o755)).at("set the mode of", &data)?;
        let volume = Volume {
            name: new.name,
            created: Timestamp::now(),
            anonymous: new.anonymous,
            labels: new.labels,
            options: new.options,
        };
        record::write(&paths.record(), &volume, Durability::Process)?;
        if new.lasting || !volume.anonymous {
            fsx::sync_up_to(&paths.record(), root.data())?;
        }
        events::tell(root, &[event(&volume.name, "create")]);
        return Ok(volume);
    }
}

/// Refuses a volume that could not be used here.
fn check(name: &str, backing: &Backing) -> Result<()> {
    match backing {
        Backing::Directory(device) if !device.is_dir() => {
            Err(Error::NoDevice { name: name.to_owned(), device: device.clone() })
        }
        Backing::Memory { .. } if !sys::is_superuser() => {
            Err(Error::MemoryOfUser { name: name.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Makes a volume's files reachable. For the host's mount namespace: what is memory is mounted there once, so that all
/// containers see the same, and stays until the volume is removed or the machine restarts.
pub fn mount(root: &Root, volume: &Volume) -> Result<()> {
    let backing = volume.backing()?;
    check(&volume.name, &backing)?;
    let Backing::Memory { size, mode, words } = backing else { return Ok(()) };
    let paths = Paths::of(root, &volume.name)?;
    let _lock = paths.lock()?;
    let data = paths.data();
    if is_mount(&data) {
        return Ok(());
    }
    let failed = |source: io::Error| Error::Memory { name: volume.name.clone(), source };
    let (options, attributes) = tmpfs::options(size, mode.or(Some(0o755)), &words);
    let memory = tmpfs::make(&options, attributes).map_err(failed)?;
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(&memory, "", CWD, &data, flags).map_err(|e| failed(e.into()))
}

pub fn find(root: &Root, name: &str) -> Result<Volume> {
    let not_found = || Error::NotFound { name: name.to_owned() };
    let Ok(paths) = Paths::of(root, name) else { return Err(not_found()) };
    record::read(&paths.record())?.ok_or_else(not_found)
}

/// All volumes, by name.
pub fn list(root: &Root) -> Result<Vec<Volume>> {
    let mut volumes = Vec::new();
    for name in fsx::list(&root.volumes())? {
        let Ok(paths) = Paths::of(root, &name) else { continue };
        match record::read::<Volume>(&paths.record())? {
            Some(volume) => volumes.push(volume),
            None => sweep(&paths)?,
        }
    }
    Ok(volumes)
}

/// Deletes what a killed process left of a volume that it made or removed.
fn sweep(paths: &Paths) -> Result<()> {
    match Lock::try_exclusive(&paths.folder.join("lock")) {
        Ok(Some(_lock)) if !paths.record().exists() => delete(paths),
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Removes a volume that no container uses; `except` is one that is going as well.
pub fn remove(root: &Root, name: &str, except: Option<&ContainerId>) -> Result<()> {
    find(root, name)?;
    let paths = Paths::of(root, name)?;
    // asked under the lock: a container that comes to use it now makes it anew
    let _lock = paths.lock()?;
    check_unused(root, name, except)?;
    fsx::remove_file(&paths.record())?;
    events::tell(root, &[event(name, "destroy")]);
    delete(&paths)
}

/// Whether [`remove`] would delete it, as it is now.
pub fn removable(root: &Root, name: &str) -> Result<()> {
    find(root, name)?;
    check_unused(root, name, None)
}

fn check_unused(root: &Root, name: &str, except: Option<&ContainerId>) -> Result<()> {
    let users: Vec<String> = match Users::read(root) {
        Ok(users) => {
            let others = users.of(name).filter(|user| Some(&user.id) != except);
            others.map(|user| user.name.clone()).collect()
        }
        Err(_) => vec!["a container whose record cannot be read".to_owned()],
    };
    if !users.is_empty() {
        return Err(Error::InUse { name: name.to_owned(), users });
    }
    Ok(())
}

/// What has happened to a volume.
pub(crate) fn event(name: &str, action: &str) -> Event {
    Event::new(Kind::Volume, action, name).with("driver", "local")
}

/// Deletes a volume's own folder. A directory of the host that it stood for is not in there.
fn delete(paths: &Paths) -> Result<()> {
    let data = paths.data();
    match unmount(&data, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) | Err(Errno::INVAL | Errno::NOENT | Errno::PERM) => {}
        other => other.at("unmount", &data)?,
    }
    Ok(sys::remove_tree(&paths.folder)?)
}

/// Deletes what is in the folder of a volume's name, whether its record can be read or not and whoever uses it.
pub(crate) fn wipe(root: &Root, name: &str) -> Result<()> {
    delete(&Paths { folder: root.volumes().join(name) })
}

/// Where memory is mounted for a volume.
pub(crate) fn mount_point(root: &Root, name: &str) -> PathBuf {
    Paths { folder: root.volumes().join(name) }.data()
}

/// Empties a volume whose filling was cut short, under its lock, which is handed back.
fn heal(paths: &Paths, volume: &Volume, lock: Lock) -> Result<Lock> {
    if !paths.filling().exists() {
        return Ok(lock);
    }
    // In a directory of the host there may be somebody else's files by now. Otherwise the directory itself stays:
    // a container may have it mounted.
    if !matches!(volume.backing()?, Backing::Directory(_)) {
        empty(&paths.data())?;
    }
    fsx::remove_file(&paths.filling())?;
    Ok(lock)
}

fn empty(directory: &Path) -> Result<()> {
    let tree = sys::Tree::open(directory, sys::is_superuser()).at("open", directory)?;
    for name in tree.root().names().at("list", directory)? {
        tree.root().remove(&name).at("empty", directory)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> NewVolume {
        NewVolume { name: name.into(), ..NewVolume::default() }
    }

    #[test]
    fn create_find_remove() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        let volume = create(&root, named("data")).unwrap();
        let again = NewVolume { anonymous: true, ..named("data") };
        assert_eq!(create(&root, again).unwrap(), volume);
        assert_eq!(list(&root).unwrap(), [volume]);
        remove(&root, "data", None).unwrap();
        assert!(matches!(find(&root, "data"), Err(Error::NotFound { .. })));
        assert!(list(&root).unwrap().is_empty());
        assert!(create(&root, named("../x")).is_err());
    }

    #[test]
    fn a_directory_of_the_host_stays() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path().join("root"));
        let host = directory.path().join("host");
        let options = |path: &Path| {
            let device = path.display().to_string();
            [("type", "none"), ("o", "bind"), ("device", &device)]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into()
        };
        let new = NewVolume { options: options(&host), ..named("host") };
        assert!(matches!(create(&root, new.clone()), Err(Error::NoDevice { .. })));
        fsx::create_dir(&host).unwrap();
        fsx::write(&host.join("file"), "x").unwrap();
        create(&root, new.clone()).unwrap();
        assert_eq!(data(&root, "host").unwrap(), host);
        let other = NewVolume { options: options(directory.path()), ..named("host") };
        assert!(matches!(create(&root, other), Err(Error::OtherOptions { .. })));
        create(&root, named("host")).unwrap();
        remove(&root, "host", None).unwrap();
        assert!(host.join("file").exists());
    }

    #[test]
    fn what_was_cut_short_is_undone() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        create(&root, named("data")).unwrap();
        let paths = Paths::of(&root, "data").unwrap();
        fsx::write(&paths.data().join("half"), "x").unwrap();
        fsx::write(&paths.filling(), "").unwrap();
        let mut archive = Vec::new();
        export(&root, "data", &mut archive).unwrap();
        assert_eq!(fsx::list(&paths.data()).unwrap(), Vec::<String>::new());
        assert!(!paths.filling().exists());
    }

    /// An archive that leads out is refused, and nothing of it stays.
    #[test]
    fn import_is_all_or_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path().join("root"));
        create(&root, named("data")).unwrap();
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(1);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        builder.append_data(&mut header.clone(), "fine", &b"x"[..]).unwrap();
        header.as_gnu_mut().unwrap().name[..9].copy_from_slice(b"../escape");
        header.set_cksum();
        builder.append(&header, &b"x"[..]).unwrap();
        let bytes = builder.into_inner().unwrap();
        let error = import(&root, "data", &mut &bytes[..]).unwrap_err();
        assert_eq!(error.to_string(), "cannot unpack ../escape into volume data");
        assert_eq!(fsx::list(&data(&root, "data").unwrap()).unwrap(), Vec::<String>::new());
        assert!(!directory.path().join("root/volumes/escape").exists());
    }

    #[test]
    fn backup_and_restore() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let directory = tempfile::tempdir().unwrap();
        let root = Root::at(directory.path());
        for name in ["one", "two"] {
            create(&root, named(name)).unwrap();
        }
        let one = data(&root, "one").unwrap();
        fsx::create_dir(&one.join("folder")).unwrap();
        fsx::write(&one.join("folder/file"), "content").unwrap();
        rustix::fs::chmod(&one, Mode::from_raw_mode(0o700)).unwrap();
        let mut archive = Vec::new();
        export(&root, "one", &mut archive).unwrap();
        import(&root, "two", &mut &archive[..]).unwrap();
        let two = data(&root, "two").unwrap();
        assert_eq!(fsx::read_to_string(&two.join("folder/file")).unwrap(), "content");
        let metadata = two.metadata().unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7777, 0o700);
        assert_eq!(metadata.mtime(), one.metadata().unwrap().mtime());
    }
}
