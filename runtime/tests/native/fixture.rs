//! A container on a root of its own, with busybox as its image.
#![allow(clippy::disallowed_methods)] // tests write what the code under test is to find

use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::{ContainerSpec, Process, SpecImage};
use knarr_runtime::engine::native::{self, Error};
use knarr_runtime::engine::{Bind, Guest, Launch, MountSource, ResolvedMount, Stdio};
use rustix::process::{Pid, WaitOptions};
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Everything a test needs; gone with it.
pub struct Fixture {
    directory: tempfile::TempDir,
    pub root: Root,
    pub rootfs: PathBuf,
    pub spec: ContainerSpec,
    pub mounts: Vec<ResolvedMount>,
}

/// What a guest did.
#[derive(Debug, PartialEq, Eq)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

/// A running guest, and the monitor's ends of its streams.
pub struct Running {
    pub guest: Guest,
    pub stdin: Option<OwnedFd>,
    pub stdout: File,
    pub stderr: File,
}

const APPLETS: &[&str] = &[
    "cat", "chmod", "dd", "df", "echo", "env", "grep", "head", "hostname", "id", "ip", "kill",
    "ls", "mkdir", "mknod", "mount", "ps", "pwd", "readlink", "rm", "seq", "sh", "sleep", "stat",
    "stty", "sync", "tail", "test", "touch", "true", "tty", "umount", "unshare", "wc",
];

impl Fixture {
    /// Must be called on the only thread: gives the process a mount namespace of its own, as a monitor has.
    pub fn new() -> Self {
        // SAFETY: a mount namespace is nothing that other threads, of which there are none, could rely on
        unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }.unwrap();
        let private = rustix::mount::MountPropagationFlags::PRIVATE
            | rustix::mount::MountPropagationFlags::REC;
        rustix::mount::mount_change("/", private).unwrap();
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        let root = Root::at(directory.path().join("root"));
        let rootfs = directory.path().join("rootfs");
        busybox(&rootfs);
        Self { root, rootfs, spec: spec(), mounts: Vec::new(), directory }
    }

    /// The same for an ordinary user, in whose own user namespace this process then is.
    pub fn of_ordinary_user() -> Self {
        let fixture = Self::of_ordinary_user_outside();
        knarr_core::sys::enter_user_namespace().unwrap();
        fixture
    }

    /// This process becomes an ordinary user's, without a user namespace yet.
    pub fn of_ordinary_user_outside() -> Self {
        use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
        const ID: u32 = 54321;
        let fixture = Self::new();
        let (uid, gid) = (rustix::process::Uid::from_raw(ID), rustix::process::Gid::from_raw(ID));
        let mut folders = vec![fixture.directory.path().to_owned()];
        while let Some(folder) = folders.pop() {
            rustix::fs::chown(&folder, Some(uid), Some(gid)).unwrap();
            let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap());
            folders.extend(entries.filter(|e| e.file_type().unwrap().is_dir()).map(|e| e.path()));
        }
        set_thread_groups(&[]).unwrap();
        set_thread_res_gid(gid, gid, gid).unwrap();
        set_thread_res_uid(uid, uid, uid).unwrap();
        // as after a login: /proc/self belongs to the user again
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)
            .unwrap();
        fixture
    }

    /// A path on the host, outside of the container.
    pub fn host(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn command(&mut self, args: &[&str]) -> &mut Self {
        self.spec.process.cmd = args.iter().map(|s| (*s).to_owned()).collect();
        self
    }

    pub fn shell(&mut self, script: &str) -> &mut Self {
        self.command(&["sh", "-c", script])
    }

    pub fn bind(&mut self, source: &Path, target: &str, read_only: bool) -> &mut Self {
        let source = MountSource::Path(Bind::of(source));
        self.mounts.push(ResolvedMount { source, target: target.to_owned(), read_only });
        self
    }

    /// Starts the container with pipes.
    pub fn start(&self) -> Result<Running, Error> {
        let (guest_in, stdin) = pipe();
        let (stdout, guest_out) = pipe();
        let (stderr, guest_err) = pipe();
        let stdio = Stdio::Pipes { stdin: Some(guest_in), stdout: guest_out, stderr: guest_err };
        let guest = self.launch(stdio)?;
        Ok(Running { guest, stdin: Some(stdin), stdout: stdout.into(), stderr: stderr.into() })
    }

    pub fn launch(&self, stdio: Stdio) -> Result<Guest, Error> {
        native::start(Launch {
            root: &self.root,
            spec: &self.spec,
            rootfs: &self.rootfs,
            rootfs_is_layer: false,
            mounts: &self.mounts,
            stdio,
            network: &Default::default(),
        })
    }

    /// Runs the container to its end, and clears it away.
    pub fn run(&self) -> Output {
        let output = self.start().unwrap_or_else(|error| panic!("{}", chain(&error))).finish();
        self.cleanup();
        output
    }

    /// Runs a shell script, which must succeed; its output.
    pub fn sh(&mut self, script: &str) -> String {
        self.shell(script);
        let output = self.run();
        assert_eq!((output.code, output.stderr.as_str()), (0, ""), "{script}: {output:?}");
        output.stdout.trim_end().to_owned()
    }

    pub fn cleanup(&self) {
        native::cleanup(&self.root, &self.spec.id).unwrap();
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = native::cleanup(&self.root, &self.spec.id);
    }
}

/// A container whose script has written its first line and then waits for its standard input to close.
pub fn idle(fixture: &mut Fixture) -> Running {
    fixture.shell("echo ready; cat");
    let mut running = fixture.start().unwrap();
    let mut line = [0; 6];
    running.stdout.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"ready\n");
    running
}

impl Running {
    /// Closes the guest's standard input, reads its streams to the end, and reaps it.
    pub fn finish(mut self) -> Output {
        self.stdin = None;
        let (mut stdout, mut stderr) = (String::new(), String::new());
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut stderr).unwrap();
        Output { code: wait(self.guest.pid), stdout, stderr }
    }
}

/// The exit code as a shell would give it.
pub fn wait(pid: u32) -> i32 {
    let pid = Pid::from_raw(pid as i32);
    let (_, status) = rustix::process::waitpid(pid, WaitOptions::empty()).unwrap().unwrap();
    status.exit_status().unwrap_or_else(|| 128 + status.terminating_signal().unwrap())
}

/// Reading end, writing end.
pub fn pipe() -> (OwnedFd, OwnedFd) {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap()
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

pub fn cgroups_of(id: &ContainerId) -> Vec<PathBuf> {
    let top = Path::new("/sys/fs/cgroup");
    let names = fs::read_dir(top).unwrap().map(|entry| entry.unwrap().path());
    names
        .chain([top.to_owned()])
        .map(|hierarchy| hierarchy.join("knarr").join(id.as_str()))
        .filter(|path| path.exists())
        .collect()
}

fn busybox(rootfs: &Path) {
    for folder in ["bin", "etc", "tmp", "root", "home/ann"] {
        fs::create_dir_all(rootfs.join(folder)).unwrap();
    }
    fs::copy("/bin/busybox", rootfs.join("bin/busybox")).expect("busybox-static is installed");
    for applet in APPLETS {
        symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
    }
    let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
    fs::write(rootfs.join("etc/passwd"), passwd).unwrap();
    fs::write(rootfs.join("etc/group"), "root:x:0:\nann:x:1000:\nwheel:x:10:ann\n").unwrap();
}

fn spec() -> ContainerSpec {
    let digest = format!("sha256:{}", "0".repeat(64));
    let image = SpecImage {
        reference: "busybox".into(),
        id: digest.parse().unwrap(),
        manifest: digest.parse().unwrap(),
        platform: "linux/amd64".parse().unwrap(),
        reason: "test".into(),
        layers: Vec::new(),
    };
    ContainerSpec::of(image, Process::default())
}
