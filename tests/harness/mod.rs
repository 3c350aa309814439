//! A Knarr of its own for each test: a root directory, the program, and the certainty that nothing is left.
//!
//! A test states one obligation and waits for conditions, never for time. On failure the root directory is kept
//! and named.

pub mod host;
pub mod image;
pub mod proc;
pub mod registry;
pub mod terminal;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

pub struct Knarr {
    root: Option<tempfile::TempDir>,
    user: Option<User>,
    host: Option<host::Host>,
    path: PathBuf,
}

/// An ordinary user of this machine.
#[derive(Debug, Clone)]
pub struct User {
    pub name: String,
    pub id: u32,
}

/// How a command ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    shown: String,
}

impl Ended {
    fn of(shown: String, output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        let code = output.status.code().or(output.status.signal().map(|s| 128 + s)).unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code, stdout: text(output.stdout), stderr: text(output.stderr), shown }
    }

    /// Fails the test unless it ended so.
    #[track_caller]
    pub fn code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}{}", self.shown, self.stdout, self.stderr);
        self
    }

    /// Fails the test unless it succeeded; its standard output without the last line feed.
    #[track_caller]
    pub fn ok(self) -> String {
        let ended = self.code(0);
        ended.stdout.strip_suffix('\n').unwrap_or(&ended.stdout).to_owned()
    }

    /// Fails the test unless it failed so, with an `error:`; what it said on standard error.
    #[track_caller]
    pub fn error(self, code: i32) -> String {
        let ended = self.code(code);
        assert!(ended.stderr.contains("error: "), "{}\n{}", ended.shown, ended.stderr);
        ended.stderr
    }
}

impl Knarr {
    pub fn new() -> Self {
        assert!(rustix::process::geteuid().is_root(), "the end-to-end tests run as root");
        let root = tempfile::Builder::new().prefix("knarr-e2e-").tempdir().unwrap();
        // ordinary users must reach what tests put there, and the root directory makes itself private
        std::fs::set_permissions(root.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        let path = root.path().join("k");
        Self { root: Some(root), user: None, host: None, path }
    }

    /// The same program, run by somebody else in a root directory of their own.
    pub fn of_user(user: User) -> Self {
        let mut knarr = Self::new();
        std::os::unix::fs::chown(knarr.files(), Some(user.id), Some(user.id)).unwrap();
        // where this program lies may be closed to others
        let program = knarr.files().join("program");
        std::fs::copy(env!("CARGO_BIN_EXE_knarr"), program).unwrap();
        knarr.user = Some(user);
        knarr
    }

    /// Everything happens on a host of the test's own, which has these programs that lead out of a network.
    pub fn on_host_with(mut self, programs: &[&str]) -> Self {
        self.host = Some(host::Host::new(self.files(), programs));
        self
    }

    /// The host, for a test that asked for one of its own.
    pub fn host(&self) -> &host::Host {
        self.host.as_ref().unwrap()
    }

    pub fn host_mut(&mut self) -> &mut host::Host {
        self.host.as_mut().unwrap()
    }

    /// Whether somebody else runs it, or it runs on another host: it does not begin in the test's directory then.
    pub fn is_apart(&self) -> bool {
        self.user.is_some() || self.host.is_some()
    }

    /// Knarr's root directory.
    pub fn root(&self) -> &Path {
        &self.path
    }

    /// A directory for the test's own files.
    pub fn files(&self) -> &Path {
        self.root.as_ref().unwrap().path()
    }

    /// Writes a file of the test.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.files().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut words: Vec<String> = Vec::new();
        words.extend(self.host.iter().flat_map(host::Host::enter));
        match &self.user {
            None => words.push(env!("CARGO_BIN_EXE_knarr").into()),
            Some(user) => {
                let who = [&format!("--reuid={0} --regid={0} --init-groups", user.name)];
                words.push("setpriv".into());
                words.extend(who.iter().flat_map(|words| words.split(' ')).map(str::to_owned));
                words.extend(self.host.iter().flat_map(host::Host::choose_programs));
                words.push(self.files().join("program").to_str().unwrap().into());
            }
        }
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(arguments)
            .env_remove("RUST_BACKTRACE")
            .env("KNARR_ROOT", &self.path);
        command.env("HOME", self.files()).env("DOCKER_CONFIG", self.files().join("docker"));
        command.env_remove("XDG_RUNTIME_DIR").stdin(Stdio::null());
        command
    }

    #[track_caller]
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ended {
        self.run_with(arguments, |_| {})
    }

    /// Runs it with more than arguments: an environment variable, a directory.
    #[track_caller]
    pub fn run_with<S: AsRef<OsStr>>(
        &self,
        arguments: &[S],
        prepare: impl FnOnce(&mut Command),
    ) -> Ended {
        let mut command = self.command(arguments);
        prepare(&mut command);
        Ended::of(shown(arguments), command.output().unwrap())
    }

    #[track_caller]
    pub fn run_with_input<S: AsRef<OsStr>>(&self, arguments: &[S], input: &[u8]) -> Ended {
        let mut child = self.start(arguments, Stdio::piped());
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        Ended::of(shown(arguments), output)
    }

    /// Starts it, with both outputs piped.
    pub fn start<S: AsRef<OsStr>>(&self, arguments: &[S], stdin: Stdio) -> Child {
        let mut command = self.command(arguments);
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs it, expects success, returns its standard output without the last line feed.
    #[track_caller]
    pub fn ok<S: AsRef<OsStr>>(&self, arguments: &[S]) -> String {
        self.run(arguments).ok()
    }

    /// Runs it, expects this exit code and an error, returns what it said.
    #[track_caller]
    pub fn fails<S: AsRef<OsStr>>(&self, code: i32, arguments: &[S]) -> String {
        self.run(arguments).error(code)
    }

    /// One field of one container.
    #[track_caller]
    pub fn inspect(&self, container: &str, template: &str) -> String {
        self.ok(&["inspect", "-f", template, container])
    }

    /// The ids of all containers.
    pub fn containers(&self) -> Vec<String> {
        self.ok(&["ps", "-aq", "--no-trunc"]).lines().map(str::to_owned).collect()
    }

    /// Removes the containers, and checks that nothing of this root is left.
    fn end(&self) {
        let mut ids: BTreeSet<String> = proc::container_folders(&self.path);
        let listed = self.run(&["ps", "-aq", "--no-trunc"]).ok();
        ids.extend(listed.lines().map(str::to_owned));
        if !listed.is_empty() {
            let mut arguments = vec!["rm", "-f", "-v"];
            arguments.extend(listed.lines());
            self.run(&arguments).ok();
        }
        self.remove_networks();
        self.assert_nothing_left(&ids);
    }

    /// Also the default one, with its bridge.
    fn remove_networks(&self) {
        let Ok(networks) = std::fs::read_dir(self.path.join("networks")) else { return };
        let names: Vec<String> =
            networks.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        if !names.is_empty() {
            let words = ["network", "rm", "-f"].map(str::to_owned);
            self.run(&[&words[..], &names].concat()).ok();
        }
    }

    /// No process, mount or control group of these containers, and no record of any.
    pub fn assert_nothing_left(&self, ids: &BTreeSet<String>) {
        proc::until("no process of this root is left", || proc::of_root(&self.path).is_empty());
        // the namespace that a network's Wasm containers share stays with the network
        let networks = std::fs::read_dir(self.path.join("networks"));
        let has_networks = networks.is_ok_and(|mut networks| networks.next().is_some());
        let mut mounts = proc::mounts_under(&self.path);
        mounts.retain(|mount| !(has_networks && mount.contains("/run/n/")));
        assert_eq!(mounts, Vec::<String>::new(), "mounts are left");
        assert_eq!(proc::cgroups_of(ids), Vec::<PathBuf>::new(), "control groups are left");
        assert_eq!(proc::container_folders(&self.path), BTreeSet::new(), "folders are left");
    }
}

impl Drop for Knarr {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // what is left is evidence; only what runs must end
            for process in proc::of_root(&self.path) {
                process.kill();
                process.ended();
            }
            let _ = self.command(&["network", "prune", "-f"]).output();
            let _ = self.command(&["network", "rm", "-f", "bridge"]).output();
            if let Some(root) = self.root.take() {
                eprintln!("the root directory is kept: {}", root.keep().display());
            }
            return;
        }
        self.end();
    }
}

fn shown<S: AsRef<OsStr>>(arguments: &[S]) -> String {
    let words: Vec<_> = arguments.iter().map(|a| a.as_ref().to_string_lossy()).collect();
    format!("$ knarr {}", words.join(" "))
}

/// Makes an ordinary user for a test; removed when dropped.
pub struct NewUser(pub User);

impl NewUser {
    /// With subordinate ids.
    pub fn new() -> Self {
        Self::made(&[])
    }

    /// Without subordinate ids.
    pub fn alone() -> Self {
        Self::made(&["-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0"])
    }

    fn made(options: &[&str]) -> Self {
        // tests may be threads of one process
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("knarr{}-{count}", std::process::id());
        let made = Command::new("useradd").args(options).args(["--no-create-home", &name]).status();
        assert!(made.unwrap().success(), "useradd {name}");
        let id = Command::new("id").args(["-u", &name]).output().unwrap();
        let id = String::from_utf8(id.stdout).unwrap().trim().parse().unwrap();
        Self(User { name, id })
    }
}

impl Drop for NewUser {
    fn drop(&mut self) {
        let _ = Command::new("userdel").arg(&self.0.name).status();
    }
}
