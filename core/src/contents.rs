//! What lies in the directories of a root: Knarr's own, or somebody else's.

use crate::fsx;
use crate::id::ContainerId;
use crate::root::Root;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What there is to be taken away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Whether something is there that nobody but Knarr makes.
    pub has_own: bool,
    /// What Knarr never makes.
    pub foreign: Vec<PathBuf>,
}

/// Whether something in a folder, by its path and name, is Knarr's.
type IsOwn<'a> = dyn Fn(&Path, &str) -> bool + 'a;

impl Root {
    /// Looks into both directories, and into those of their folders whose entries have names that Knarr chooses.
    pub fn contents(&self) -> fsx::Result<Contents> {
        let mut contents = Contents::default();
        let layout = names(&[&self.oci_layout(), &self.index(), parent(&self.blobs())]);
        let mut own = names(&[
            &self.images_lock(),
            &self.content_lock(),
            &self.incoming(),
            &self.layers(),
            &self.mapped_layers(),
            &self.build_cache(),
            &self.events(),
            &self.containers(),
            &self.volumes(),
            &self.networks(),
            &self.wasm_cache(),
        ]);
        if self.run().parent() == Some(self.data()) {
            own.extend(names(&[self.run()]));
        }
        let mut of_layout = Vec::new();
        for name in fsx::list(self.data())? {
            let path = self.data().join(&name);
            if own.contains(&name) {
                contents.has_own = true;
            } else if layout.contains(&name) {
                of_layout.push(path);
            } else if !is_of_nobody(&name) {
                contents.foreign.push(path);
            }
        }
        let running = names(&[&self.networks_run(), self.of_steps().run(), &self.containers_run()]);
        for name in fsx::list(self.run())? {
            match running.contains(&name) {
                true => contents.has_own = true,
                false if is_of_nobody(&name) => {}
                false => contents.foreign.push(self.run().join(name)),
            }
        }
        // an image layout alone may be any program's
        if !contents.has_own {
            contents.foreign.extend(of_layout);
        }
        let is_id = |name: &str| name.parse::<ContainerId>().is_ok();
        let lists: [(PathBuf, &IsOwn); 6] = [
            (self.containers(), &|_, name| is_id(name) || ["lock", "by-name"].contains(&name)),
            (self.containers_run(), &|_, name| is_id(&name.repeat(2))),
            (self.layers(), &|_, name| begins_with_digest(name)),
            (self.mapped_layers(), &|_, name| begins_with_digest(name)),
            (self.volumes(), &|path, _| path.is_dir()),
            (self.networks(), &|path, _| path.is_dir()),
        ];
        for (folder, is_own) in lists {
            for name in fsx::list(&folder)? {
                let path = folder.join(&name);
                if !is_own(&path, &name) && !is_of_nobody(&name) {
                    contents.foreign.push(path);
                }
            }
        }
        Ok(contents)
    }
}

fn names(paths: &[&Path]) -> BTreeSet<String> {
    let names = paths.iter().filter_map(|path| path.file_name().and_then(OsStr::to_str));
    names.map(str::to_owned).collect()
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// What a killed writer has left, and what a file system has at its top.
fn is_of_nobody(name: &str) -> bool {
    name.starts_with(fsx::TEMPORARY) || name == "lost+found"
}

fn begins_with_digest(name: &str) -> bool {
    name.len() >= 64 && name.bytes().take(64).all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(files: &[&str]) -> (tempfile::TempDir, Root) {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let path = directory.path().join(file);
            fsx::create_dir_all(path.parent().unwrap()).unwrap();
            fsx::write(&path, "").unwrap();
        }
        let root = Root::at(directory.path());
        (directory, root)
    }

    #[test]
    fn own_and_foreign() {
        let (id, digest) = ("0a".repeat(32), "f".repeat(64));
        let own = [
            "oci-layout".to_owned(),
            "index.json".to_owned(),
            format!("blobs/sha256/{digest}"),
            "images.lock".to_owned(),
            ".tmp-x".to_owned(),
            format!("layers/{digest}.removed-0/fs/anything"),
            format!("layers/{digest}.lock"),
            format!("containers/{id}/spec.json"),
            "containers/by-name/anything".to_owned(),
            "containers/lock".to_owned(),
            "volumes/v/_data/anything".to_owned(),
            "networks/n/network.json".to_owned(),
            format!("run/c/{}/control.sock", &id[..32]),
            "run/n/.keeper".to_owned(),
            "run/steps/c/x".to_owned(),
        ];
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let (_directory, root) = at(&own);
        assert_eq!(root.contents().unwrap(), Contents { has_own: true, foreign: Vec::new() });
        let (directory, root) = at(&[]);
        assert_eq!(root.contents().unwrap(), Contents::default());
        drop(directory);
        assert_eq!(root.contents().unwrap(), Contents::default());
        for foreign in [
            "notes.txt",
            "containers/readme",
            "layers/readme",
            "volumes/readme",
            "run/other.sock",
            "run/c/other",
        ] {
            let (directory, root) = at(&[&own[..], &[foreign]].concat());
            let expected = vec![directory.path().join(foreign)];
            assert_eq!(root.contents().unwrap().foreign, expected, "{foreign}");
        }
        // of some other program
        let (_directory, root) = at(&["oci-layout", "index.json"]);
        let contents = root.contents().unwrap();
        assert_eq!((contents.has_own, contents.foreign.len()), (false, 2));
    }
}
