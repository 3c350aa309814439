//! A host of the test's own, and what the kernel says of it.
#![allow(clippy::disallowed_methods)] // the kernel's files, as they are

use std::collections::BTreeSet;
use std::process::{Command, Output, Stdio};

/// The outside's address, and the host's beside it.
pub const OUTSIDE: &str = "198.51.100.1";
pub const UPLINK: &str = "198.51.100.2";

/// Makes this process and its children the host. The uplink's packets are smaller than usual.
///
/// For a process with a single thread.
pub fn become_host() {
    use rustix::thread::{UnshareFlags, unshare_unsafe};
    // SAFETY: a single thread; neither flag touches memory or descriptors
    unsafe { unshare_unsafe(UnshareFlags::NEWNET | UnshareFlags::NEWNS) }.unwrap();
    shell("mount --make-rprivate / && mount -t sysfs sysfs /sys && mount -t tmpfs tmpfs /run");
    shell(
        "ip link set lo up
         ip netns add outside
         ip link add up0 mtu 1400 type veth peer name eth0 netns outside
         ip addr add 198.51.100.2/24 dev up0
         ip link set up0 up
         ip route add default via 198.51.100.1
         ip -n outside link set lo up
         ip -n outside addr add 198.51.100.1/24 dev eth0
         ip -n outside link set eth0 up",
    );
}

/// Runs a script of the host's, which must succeed; its output.
pub fn shell(script: &str) -> String {
    let output = Command::new("sh").args(["-euc", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A program that ends with the test.
pub struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A TCP server, on the host or in a namespace, that tells each client its address; it listens when this returns.
pub fn serve(prefix: &str, address: &str, port: u16) -> Running {
    let script = format!(
        "import socket, sys
s = socket.socket(socket.AF_INET6 if ':' in '{address}' else socket.AF_INET)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('{address}', {port})); s.listen(16); print('ready', flush=True)
while True:
    c, a = s.accept(); c.sendall((a[0] + '\\n').encode()); c.close()"
    );
    program(&format!("{prefix} python3 -c"), &script)
}

/// A program that says when it is ready, and ends with the test.
pub fn program(words: &str, script: &str) -> Running {
    let words: Vec<&str> = words.split_whitespace().chain([script]).collect();
    let mut child =
        Command::new(words[0]).args(&words[1..]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let stdout = child.stdout.as_mut().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
    assert_eq!(line, "ready\n");
    Running(child)
}

/// Connects from the host or from a namespace, and reads a line.
pub fn ask(prefix: &str, address: &str, port: u16) -> Output {
    let script = format!(
        "import socket, sys
s = socket.create_connection(('{address}', {port}), 2); sys.stdout.write(s.makefile().readline())"
    );
    let mut words: Vec<&str> = prefix.split_whitespace().collect();
    words.extend(["python3", "-c", &script]);
    Command::new(words[0]).args(&words[1..]).output().unwrap()
}

/// What a server says, which is the address that it sees.
pub fn heard(prefix: &str, address: &str, port: u16) -> String {
    let output = ask(prefix, address, port);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{prefix} {address} {port}: {error}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Kills a process, and waits until it is gone.
pub fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    let fd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    rustix::process::pidfd_send_signal(&fd, rustix::process::Signal::KILL).unwrap();
    let mut ended = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
    rustix::event::poll(&mut ended, None).unwrap();
}

/// Everything of a host that a network may change, a line each.
pub fn kernel() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for command in
        ["ip -o link", "ip -o addr", "ip route", "ip -6 route", "ip rule", "nft -s list ruleset"]
    {
        let lines = shell(command);
        // carriers, and what follows from them, come when they come
        let is_settled = |line: &&str| !line.contains("fe80::") && !line.contains("ff00::");
        let plain = |line: &str| {
            let fixed = |w: &&str| {
                !w.contains("MULTICAST") && !["UP", "DOWN", "UNKNOWN", "linkdown"].contains(w)
            };
            let words: Vec<&str> = line.split_whitespace().filter(fixed).collect();
            format!("{command}: {}", words.join(" "))
        };
        all.extend(lines.lines().filter(is_settled).map(plain));
    }
    all
}

/// The kernel's state, also in the namespaces that Wasm containers share, and the leases.
#[derive(Debug, PartialEq, Eq)]
pub struct Snapshot(BTreeSet<String>);

impl Snapshot {
    pub fn take(fixture: &crate::fixture::Fixture) -> Self {
        let root = fixture.root();
        let mut all = kernel();
        for network in knarr_runtime::net::list(root).unwrap() {
            let paths = root.network(&network.name);
            let leases = knarr_core::fsx::list(&paths.leases()).unwrap();
            all.extend(leases.iter().map(|lease| format!("{}: {lease}", network.name)));
            for endpoint in knarr_runtime::net::endpoints(root, &network.name).unwrap() {
                all.insert(format!("{}: {endpoint:?}", network.name));
            }
            let namespace = paths.shared_namespace();
            if namespace.exists() {
                let enter = format!("nsenter --net={}", namespace.display());
                let script = format!("{enter} ip -o addr; {enter} ip rule; {enter} ip -6 rule");
                let lines = shell(&script);
                let lines = lines.lines().filter(|line| !line.contains("fe80::"));
                all.extend(lines.map(|line| format!("in {}: {line}", network.name)));
            }
        }
        let mounts = shell("cat /proc/self/mounts");
        let own = root.data().to_str().unwrap();
        all.extend(mounts.lines().filter(|line| line.contains(own)).map(str::to_owned));
        Self(all)
    }

    pub fn lines(&self) -> &BTreeSet<String> {
        &self.0
    }

    /// Waits for the same state as before: links go after their container has ended.
    pub fn until(fixture: &crate::fixture::Fixture, before: &Self) {
        let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let now = Self::take(fixture);
            if now == *before {
                return;
            }
            let (new, gone): (Vec<_>, Vec<_>) =
                (now.0.difference(&before.0).collect(), before.0.difference(&now.0).collect());
            assert!(std::time::Instant::now() < until, "new: {new:#?}\ngone: {gone:#?}");
        }
    }

    /// The numbers of links differ when they are made again.
    pub fn without_indices(&self) -> BTreeSet<String> {
        let plain = |line: &String| {
            let is_number = |w: &&str| w.trim_end_matches(':').chars().all(|c| c.is_ascii_digit());
            let words = line.split_whitespace().filter(|w| !is_number(w));
            words.map(|w| w.split("@if").next().unwrap_or(w)).collect::<Vec<_>>().join(" ")
        };
        self.0.iter().map(plain).collect()
    }
}
