//! A container for one test: a root file system in a temporary directory, a spec, and the started guest.

use knarr_core::root::Root;
use knarr_core::spec::{ContainerSpec, Process, SpecImage};
use knarr_runtime::engine::wasm::{self, Error};
use knarr_runtime::engine::{Bind, Guest, Launch, MountSource, ResolvedMount, Stdio};
use rustix::pipe::{PipeFlags, pipe_with};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Where the built guests lie.
pub fn built(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests/built").join(name)
}

pub struct Container {
    pub directory: tempfile::TempDir,
    pub spec: ContainerSpec,
    pub mounts: Vec<ResolvedMount>,
}

/// What a guest left behind.
#[derive(Debug)]
pub struct Outcome {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// The exit code as the monitor reports it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap())
    }

    /// Asserts success and returns standard output.
    pub fn stdout(self) -> String {
        assert_eq!(self.code(), 0, "{self:?}");
        self.stdout
    }
}

impl Container {
    /// An empty root file system with one guest in it, as `/app.wasm`.
    pub fn with(guest: &str, args: &[&str]) -> Self {
        let container = Self::empty(&[&["/app.wasm"], args].concat());
        std::fs::copy(built(guest), container.rootfs().join("app.wasm")).unwrap();
        container
    }

    pub fn empty(args: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("rootfs")).unwrap();
        let digest = format!("sha256:{}", "0".repeat(64));
        let image = SpecImage {
            reference: "test".into(),
            id: digest.parse().unwrap(),
            manifest: digest.parse().unwrap(),
            platform: "wasi/wasm".parse().unwrap(),
            reason: String::new(),
            layers: Vec::new(),
        };
        let entrypoint = args.iter().map(|a| (*a).to_owned()).collect();
        let process = Process { entrypoint, ..Process::default() };
        let spec = ContainerSpec::of(image, process);
        Self { directory, spec, mounts: Vec::new() }
    }

    pub fn rootfs(&self) -> PathBuf {
        self.directory.path().join("rootfs")
    }

    pub fn volume(&mut self, target: &str, read_only: bool) -> PathBuf {
        let path = self.directory.path().join(format!("volume{}", self.mounts.len()));
        std::fs::create_dir(&path).unwrap();
        self.mounts.push(ResolvedMount {
            source: MountSource::Path(Bind::of(path.clone())),
            target: target.into(),
            read_only,
        });
        path
    }

    /// The cache is shared by all tests: compiling is slow, and sharing it is what users do.
    pub fn root() -> Root {
        Root::at(Path::new(env!("CARGO_TARGET_TMPDIR")).join("wasm-root"))
    }

    pub fn launch(&self, stdio: Stdio) -> Result<Guest, Error> {
        let (root, rootfs) = (Self::root(), self.rootfs());
        let launch = Launch {
            root: &root,
            spec: &self.spec,
            rootfs: &rootfs,
            rootfs_is_layer: false,
            mounts: &self.mounts,
            stdio,
            network: &Default::default(),
        };
        wasm::start(launch, None)
    }

    pub fn start(&self) -> Result<Running, Error> {
        let pipe = || pipe_with(PipeFlags::CLOEXEC).unwrap();
        let (stdin, stdout, stderr) = (pipe(), pipe(), pipe());
        let stdio = Stdio::Pipes { stdin: Some(stdin.0), stdout: stdout.1, stderr: stderr.1 };
        let guest = self.launch(stdio)?;
        Ok(Running {
            guest,
            stdin: Some(stdin.1.into()),
            stdout: stdout.0.into(),
            stderr: stderr.0.into(),
            status: None,
        })
    }

    /// Runs to the end, with this text as standard input.
    pub fn run_with(&self, input: &str) -> Outcome {
        let mut running = self.start().unwrap_or_else(|e| panic!("{e:?}"));
        running.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        running.finish()
    }

    pub fn run(&self) -> Outcome {
        self.run_with("")
    }
}

pub struct Running {
    pub guest: Guest,
    pub stdin: Option<File>,
    pub stdout: File,
    pub stderr: File,
    status: Option<ExitStatus>,
}

impl Running {
    pub fn pid(&self) -> i32 {
        self.guest.pid as i32
    }

    pub fn kill(&self, signal: i32) {
        assert_eq!(unsafe { libc::kill(self.pid(), signal) }, 0);
    }

    /// Reads standard output until this text has come.
    pub fn expect(&mut self, text: &str) -> String {
        let mut all = Vec::new();
        let mut byte = [0];
        while !String::from_utf8_lossy(&all).contains(text) {
            let n = self.stdout.read(&mut byte).unwrap();
            assert_ne!(
                n,
                0,
                "the output ended without {text:?}: {}",
                String::from_utf8_lossy(&all)
            );
            all.push(byte[0]);
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    pub fn wait(&mut self) -> ExitStatus {
        *self.status.get_or_insert_with(|| {
            let mut status = 0;
            assert_eq!(
                unsafe { libc::waitpid(self.guest.pid as i32, &raw mut status, 0) },
                self.guest.pid as i32
            );
            ExitStatus::from_raw(status)
        })
    }

    pub fn finish(mut self) -> Outcome {
        self.stdin = None;
        // both are small: they fit into their pipes
        let mut stdout = String::new();
        let mut stderr = String::new();
        self.stdout.read_to_string(&mut stdout).unwrap();
        self.stderr.read_to_string(&mut stderr).unwrap();
        let status = self.wait();
        Outcome { status, stdout, stderr }
    }

    /// A field of `/proc/<pid>/status`.
    pub fn proc_status(&self, field: &str) -> String {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix(&format!("{field}:")));
        line.unwrap_or_else(|| panic!("no {field}")).trim().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.status.is_none() {
            unsafe { libc::kill(self.pid(), libc::SIGKILL) };
            self.wait();
        }
    }
}

/// The pipe ends of a guest that nobody talks to.
#[allow(dead_code)]
pub fn null() -> OwnedFd {
    File::options().read(true).write(true).open("/dev/null").unwrap().into()
}
