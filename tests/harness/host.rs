//! A host of its own for a test: its network has somebody else behind it, as a machine's has, and an ordinary user may make
//! interfaces on it.
//!
//! ```text
//!   the namespaces of the host                          that of the outside
//!   uplink 198.51.100.2 ─────────────────────────────── 198.51.100.1, the router and name server
//! ```

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind, mount_change};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Of the host.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 2);
/// Of the one outside.
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 1);

pub const ADDRESS6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);
pub const OUTSIDE6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// The namespaces live as long as this.
pub struct Host {
    network: OwnedFd,
    mounts: OwnedFd,
    outside: OwnedFd,
    /// Where its programs run that may make no user namespaces.
    user: Option<OwnedFd>,
    /// Where its programs are that a test chooses.
    programs: PathBuf,
}

impl Host {
    /// `folder` is for files; of all programs that lead out of a network the host has `programs`.
    pub fn new(folder: &Path, programs: &[&str]) -> Self {
        let path = folder.join("programs");
        std::fs::create_dir(&path).unwrap();
        for program in programs {
            let installed = Path::new("/usr/bin").join(program);
            assert!(installed.exists(), "{program} is missing: apt-get install passt slirp4netns");
            std::os::unix::fs::symlink(installed, path.join(program)).unwrap();
        }
        let resolve = folder.join("resolv.conf");
        std::fs::write(&resolve, format!("nameserver {OUTSIDE}\n")).unwrap();
        let outside = std::thread::spawn(|| {
            // SAFETY: a thread's own namespace, and the thread ends.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }.unwrap();
            own("net")
        });
        let outside = outside.join().unwrap();
        let there = format!("/proc/{}/fd/{}", std::process::id(), outside.as_raw_fd());
        let host = std::thread::spawn(move || {
            // SAFETY: a thread's own namespaces, and the thread ends.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET | UnshareFlags::NEWNS) }.unwrap();
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", private).unwrap();
            mount("tmpfs", "/dev/net", "tmpfs", MountFlags::empty(), None).unwrap();
            let mode = Mode::from_raw_mode(0o666);
            let tun = Path::new("/dev/net/tun");
            mknodat(CWD, tun, FileType::CharacterDevice, mode, makedev(10, 200)).unwrap();
            std::fs::set_permissions(tun, std::os::unix::fs::PermissionsExt::from_mode(0o666))
                .unwrap();
            mount_bind(&resolve, "/etc/resolv.conf").unwrap();
            ip("link add uplink type veth peer name router");
            ip("link set lo up");
            ip(&format!("addr add {ADDRESS}/24 dev uplink"));
            ip(&format!("addr add {ADDRESS6}/64 dev uplink nodad"));
            ip("link set uplink up");
            ip(&format!("route add default via {OUTSIDE} dev uplink"));
            ip(&format!("route add default via {OUTSIDE6} dev uplink"));
            ip(&format!("link set dev router netns {there}"));
            (own("net"), own("mnt"))
        });
        let (network, mounts) = host.join().unwrap();
        let host = Self { network, mounts, outside, user: None, programs: path };
        host.outside(|| {
            ip("link set lo up");
            ip(&format!("addr add {OUTSIDE}/24 dev router"));
            ip(&format!("addr add {OUTSIDE6}/64 dev router nodad"));
            ip("link set router up");
        });
        host
    }

    /// From now on nobody there can make a user namespace.
    pub fn forbid_user_namespaces(&mut self) {
        let mut child = Command::new("unshare")
            .args(["--user", "sh", "-c", "echo; read end"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // one byte: it is there
        child.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        let of = |file: &str| format!("/proc/{}/{file}", child.id());
        for map in ["uid_map", "gid_map"] {
            // everybody is who they are outside
            std::fs::write(of(map), "0 0 4294967295").unwrap();
        }
        self.user = Some(std::fs::File::open(of("ns/user")).unwrap().into());
        drop(child.stdin.take());
        child.wait().unwrap();
        let words = self.enter();
        let forbid = ["sh", "-c", "echo 0 >/proc/sys/user/max_user_namespaces"];
        let ended = Command::new(&words[0]).args(&words[1..]).args(forbid).status();
        assert!(ended.unwrap().success());
    }

    /// From now on an ordinary user can make no interface there.
    pub fn forbid_interfaces(&self) {
        let words = self.enter();
        let forbid = ["chmod", "600", "/dev/net/tun"];
        let ended = Command::new(&words[0]).args(&words[1..]).args(forbid).status();
        assert!(ended.unwrap().success());
    }

    /// The words that begin a command on this host.
    pub fn enter(&self) -> Vec<String> {
        let of = |fd: &OwnedFd| format!("/proc/{}/fd/{}", std::process::id(), fd.as_raw_fd());
        let (network, mounts) = (of(&self.network), of(&self.mounts));
        let mut words =
            vec!["nsenter".into(), format!("--net={network}"), format!("--mount={mounts}")];
        words.extend(self.user.iter().map(|user| format!("--user={}", of(user))));
        words
    }

    /// The words before a program that is to find the host's programs.
    pub fn choose_programs(&self) -> [String; 2] {
        ["/usr/bin/env".into(), format!("PATH={}", self.programs.display())]
    }

    /// Does something where the host's network is; a socket stays there.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        within(&self.network, act)
    }

    /// Does something outside.
    pub fn outside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> T {
        within(&self.outside, act)
    }
}

/// Answers for as long as the test runs: to each question for a name with this address.
pub fn answer_names(socket: UdpSocket, address: Ipv4Addr) {
    std::thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(&answer(&buffer[..length], address), from);
        }
    });
}

/// Tells everybody who connects which address was seen.
pub fn tell_addresses(listener: TcpListener) {
    std::thread::spawn(move || {
        while let Ok((mut stream, from)) = listener.accept() {
            // at once: somebody looks at what comes first
            let _ = stream.write_all(format!("outside sees {}\n", from.ip()).as_bytes());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            // a close before all is read would be a reset, which takes the answer from the client
            std::thread::spawn(move || std::io::copy(&mut stream, &mut std::io::sink()));
        }
    });
}

/// The answer to one question for a name (RFC 1035, section 4): an address, or none where it is not asked for IPv4.
fn answer(question: &[u8], address: Ipv4Addr) -> Vec<u8> {
    let end = 12 + question[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
    let is_ipv4 = question[end - 4..end] == [0, 1, 0, 1];
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_ipv4), 0, 0, 0, 0]);
    answer.extend(&question[12..end]);
    if is_ipv4 {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}

fn within<T: Send>(network: &OwnedFd, act: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            act()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn own(kind: &str) -> OwnedFd {
    std::fs::File::open(format!("/proc/thread-self/ns/{kind}")).unwrap().into()
}

#[track_caller]
fn ip(words: &str) {
    let ended = Command::new("ip").args(words.split(' ')).output().unwrap();
    assert!(ended.status.success(), "ip {words}: {}", String::from_utf8_lossy(&ended.stderr));
}
