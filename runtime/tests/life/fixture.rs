//! A root of its own with one native and one Wasm image.
#![allow(clippy::disallowed_methods)] // tests write what the code under test is to find

use crate::command::command_of;
use knarr_core::id::ContainerId;
use knarr_core::image::{Digest, ImageConfig};
use knarr_core::root::Root;
use knarr_core::spec::SpecImage;
use knarr_core::store::Store;
use knarr_runtime::container::{self, options};
use knarr_runtime::state::{self, Container};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub use knarr_runtime::container::options::RunOptions;

/// Everything a test needs; gone with it.
pub struct Fixture {
    directory: tempfile::TempDir,
    pub store: Store,
}

const APPLETS: &[&str] = &[
    "cat", "echo", "env", "head", "id", "kill", "ls", "mkdir", "ps", "pwd", "readlink", "rm",
    "seq", "sh", "sleep", "stat", "stty", "touch", "tr", "true", "false", "tty", "wc", "yes",
    "trap",
];

impl Fixture {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(directory.path(), mode).unwrap();
        let store = Store::open(&Root::at(directory.path().join("root"))).unwrap();
        busybox(&store.layer_path(&digest('b')));
        wasm(&store.layer_path(&digest('a')));
        Self { directory, store }
    }

    pub fn root(&self) -> &Root {
        self.store.root()
    }

    /// A path on the host, outside of the root.
    pub fn host(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a native container.
    pub fn create(&self, command: &[&str], options: RunOptions) -> ContainerId {
        self.create_from(
            "linux/amd64",
            'b',
            r#"{"config":{"Env":["PATH=/bin"]}}"#,
            command,
            options,
        )
        .unwrap()
    }

    pub fn create_with(
        &self,
        config: &str,
        command: &[&str],
        options: RunOptions,
    ) -> container::Result<ContainerId> {
        self.create_from("linux/amd64", 'b', config, command, options)
    }

    /// Makes a Wasm container of the guest `kit`.
    pub fn create_wasm(&self, arguments: &[&str], options: RunOptions) -> ContainerId {
        let config = r#"{"config":{"Entrypoint":["/kit.wasm"]}}"#;
        self.create_from("wasi/wasm", 'a', config, arguments, options).unwrap()
    }

    pub fn create_from(
        &self,
        platform: &str,
        layer: char,
        config: &str,
        command: &[&str],
        options: RunOptions,
    ) -> container::Result<ContainerId> {
        let image = SpecImage {
            reference: "test".into(),
            id: digest(layer),
            manifest: digest(layer),
            platform: platform.parse().unwrap(),
            reason: "a test".into(),
            layers: vec![digest(layer)],
        };
        let config: ImageConfig = serde_json::from_str(config).unwrap();
        let options =
            RunOptions { command: command.iter().map(|w| (*w).to_owned()).collect(), ..options };
        let image = options::ImageOptions { image: &image, config: &config };
        container::create(&self.store, options::resolve(image, &options)?)
    }

    /// A user's command in a process of its own, which has a single thread.
    pub fn command(&self, verb: &str, id: &ContainerId) -> Command {
        command_of(self.root(), verb, id, &[])
    }

    /// Runs a container in the foreground to its end.
    pub fn run(&self, id: &ContainerId) -> Output {
        self.command("run", id).output().unwrap()
    }

    pub fn start(&self, id: &ContainerId) {
        container::start(&self.store, id).unwrap_or_else(|e| panic!("{}", chain(&e)));
    }

    pub fn load(&self, id: &ContainerId) -> Container {
        state::load(self.root(), id).unwrap()
    }

    pub fn exists(&self, id: &ContainerId) -> bool {
        self.root().container(id).data().exists()
    }

    /// A container that was removed with its end is hidden at once, and its files go after the command has ended.
    pub fn assert_vanishes(&self, id: &ContainerId) {
        assert!(matches!(state::load(self.root(), id), Err(state::Error::Gone { .. })));
        wait_until(|| !self.exists(id));
    }

    /// Nothing but records may be left of containers that do not run.
    pub fn assert_nothing_is_left(&self) {
        let run = self.root().run().join("c");
        let left = knarr_core::fsx::list(&run).unwrap();
        assert!(left.is_empty(), "{left:?}");
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let own = self.directory.path().to_str().unwrap();
        assert!(!mounts.contains(own), "{mounts}");
        // the kernel takes mount namespaces apart after their processes have ended for those who wait
        wait_until(|| {
            processes().iter().all(|process| {
                let mounts = fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
                !mounts.contains(own)
            })
        });
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        for entry in state::all(self.root()).into_iter().flatten().flatten() {
            let remove = container::remove::Remove { force: true, volumes: true };
            let _ = container::remove(&self.store, entry.id(), remove);
        }
        for network in knarr_runtime::net::list(self.root()).into_iter().flatten() {
            let _ = knarr_runtime::net::remove(self.root(), &network.name);
        }
    }
}

fn processes() -> Vec<PathBuf> {
    let all = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    all.filter(|p| p.file_name().unwrap().to_str().unwrap().parse::<u32>().is_ok()).collect()
}

pub fn cgroups_of(id: &ContainerId) -> Vec<PathBuf> {
    let top = Path::new("/sys/fs/cgroup");
    let names = fs::read_dir(top).unwrap().map(|entry| entry.unwrap().path());
    names
        .chain([top.to_owned()])
        .map(|hierarchy| hierarchy.join("knarr").join(id.as_str()))
        .filter(|path| path.exists())
        .collect()
}

/// An error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// The entries of a container's log.
pub fn log(fixture: &Fixture, id: &ContainerId) -> Vec<String> {
    // made with the first line
    let text = fs::read_to_string(fixture.root().container(id).log()).unwrap_or_default();
    let entry = |line: &str| {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        format!("{}:{}", value["stream"].as_str().unwrap(), value["log"].as_str().unwrap())
    };
    text.lines().map(entry).collect()
}

pub fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

pub fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

pub fn digest(digit: char) -> Digest {
    format!("sha256:{}", digit.to_string().repeat(64)).parse().unwrap()
}

fn busybox(rootfs: &Path) {
    for folder in ["bin", "etc", "tmp", "root", "data", "dev", "proc", "sys"] {
        fs::create_dir_all(rootfs.join(folder)).unwrap();
    }
    fs::copy("/bin/busybox", rootfs.join("bin/busybox")).expect("busybox-static is installed");
    for applet in APPLETS {
        symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
    }
    fs::write(rootfs.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").unwrap();
    fs::write(rootfs.join("data/from-image"), "image\n").unwrap();
    symlink("/data", rootfs.join("absolute")).unwrap();
}

fn wasm(rootfs: &Path) {
    fs::create_dir_all(rootfs).unwrap();
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests/built/kit.p1.wasm");
    fs::copy(built, rootfs.join("kit.wasm")).unwrap();
}

/// Waits for something that happens in another process and that no event tells of.
pub fn wait_until(condition: impl Fn() -> bool) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !condition() {
        assert!(std::time::Instant::now() < until, "it did not happen");
        std::thread::yield_now();
    }
}
