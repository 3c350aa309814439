//! The wall behind wasmtime's: what the kernel lets the guest's process do, seen from `/proc` and by trying.

use super::Test;
use super::container::{Container, Running};
use knarr_core::spec::NetworkMode;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

pub const TESTS: &[Test] = &[
    ("isolation::rights_are_dropped", rights),
    ("isolation::the_image_user", user),
    ("isolation::only_the_tree_is_open", descriptors),
    ("isolation::the_guest_dies_with_its_parent", parent),
    ("isolation::system_calls_are_filtered", filtered),
    ("isolation::ulimits", ulimits),
];

/// A guest that waits.
fn waiting(change: impl FnOnce(&mut Container)) -> (Container, Running) {
    let mut container = Container::with("kit.p1.wasm", &["cat"]);
    change(&mut container);
    let running = container.start().unwrap();
    assert!(running.guest.lacking.is_empty(), "{:?}", running.guest.lacking);
    (container, running)
}

fn rights() {
    let (_container, running) = waiting(|_| {});
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(running.proc_status(set), "0".repeat(16), "{set}");
    }
    assert_eq!(running.proc_status("NoNewPrivs"), "1");
    assert_eq!(running.proc_status("Seccomp"), "2");
    assert_eq!(running.proc_status("Seccomp_filters"), "1");
    assert_eq!(running.proc_status("Threads"), "1");
    // a session of its own
    let session = unsafe { libc::getsid(running.pid()) };
    assert_eq!(session, running.pid());
    let limits = fs::read_to_string(format!("/proc/{}/limits", running.pid())).unwrap();
    let core = limits.lines().find(|l| l.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"));
}

fn user() {
    let (container, mut running) = waiting(|container| {
        fs::create_dir(container.rootfs().join("etc")).unwrap();
        let passwd = "root:x:0:0::/:\napp:x:1234:1235::/:\n";
        fs::write(container.rootfs().join("etc/passwd"), passwd).unwrap();
        fs::write(container.rootfs().join("etc/group"), "app:x:1235:\nmore:x:77:app\n").unwrap();
        container.spec.process.user = "app".into();
    });
    assert_eq!(running.proc_status("Uid"), ["1234"; 4].join("\t"));
    assert_eq!(running.proc_status("Gid"), ["1235"; 4].join("\t"));
    assert_eq!(running.proc_status("Groups"), "77");
    assert_eq!(running.proc_status("CapPrm"), "0".repeat(16));
    running.stdin = None;
    assert_eq!(running.wait().code(), Some(0));
    drop(running);
    // files are the user's, and the root's are not the user's to change
    let mut writer = Container::with("kit.p1.wasm", &["write", "/mine/file", "x"]);
    fs::create_dir(writer.rootfs().join("mine")).unwrap();
    chown(writer.rootfs().join("mine"), Some(1234), Some(1235)).unwrap();
    writer.spec.process.user = "1234:1235".into();
    assert_eq!(writer.run().code(), 0);
    assert_eq!(fs::metadata(writer.rootfs().join("mine/file")).unwrap().uid(), 1234);
    writer.spec.process.entrypoint[2] = "/file".into();
    assert_eq!(writer.run().code(), 1);
    drop(container);
    let mut unknown = Container::with("kit.p1.wasm", &["hello"]);
    unknown.spec.process.user = "nobody".into();
    let error = unknown.start().map(|_| ()).unwrap_err();
    assert_eq!(error.to_string().split(':').next(), Some("unable to find user nobody"));
}

fn descriptors() {
    let keep = fs::File::open("/etc/passwd").unwrap();
    let (container, running) = waiting(|_| {});
    let root = container.rootfs();
    for entry in fs::read_dir(format!("/proc/{}/fd", running.pid())).unwrap() {
        let entry = entry.unwrap();
        let number: i32 = entry.file_name().to_str().unwrap().parse().unwrap();
        let target = fs::read_link(entry.path()).unwrap();
        let text = target.display().to_string();
        let harmless = number < 3
            || text.starts_with("anon_inode:")
            || text.starts_with("pipe:")
            || text.starts_with("socket:")
            || text.ends_with(".cwasm");
        assert!(harmless || target.starts_with(&root), "{number}: {text}");
    }
    // its own root, and mapped files that are the program's and the compiled module only
    assert_eq!(fs::read_link(format!("/proc/{}/root", running.pid())).unwrap(), root);
    drop(keep);
}

fn parent() {
    // a child of ours starts a guest and is killed
    let (read, write) = rustix::pipe::pipe().unwrap();
    let container = Container::with("kit.p1.wasm", &["cat"]);
    let child = unsafe { libc::fork() };
    if child == 0 {
        let running = container.start().unwrap();
        rustix::io::write(&write, &running.guest.pid.to_ne_bytes()).unwrap();
        loop {
            unsafe { libc::pause() };
        }
    }
    let mut pid = [0; 4];
    rustix::io::read(&read, &mut pid).unwrap();
    let pid = rustix::process::Pid::from_raw(i32::from_ne_bytes(pid)).unwrap();
    let guest = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).unwrap();
    unsafe { libc::kill(child, libc::SIGKILL) };
    let mut events = [rustix::event::PollFd::new(&guest, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut events, Some(&limit)).unwrap(), 1, "it lives on");
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
}

/// The filter itself, applied in a child of the test, which tries what a guest that broke out would try.
fn filtered() {
    let (_container, running) = waiting(|c| c.spec.network = NetworkMode::None);
    assert_eq!(running.proc_status("Seccomp"), "2");
    type Attempt = (&'static str, fn() -> i64);
    let attempts: [Attempt; 10] = [
        ("execve", || unsafe { libc::syscall(libc::SYS_execve, c"/bin/true".as_ptr(), 0, 0) }),
        ("fork", || unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) }),
        ("ptrace", || unsafe { libc::syscall(libc::SYS_ptrace, 0, 0, 0, 0) }),
        ("mount", || unsafe { libc::syscall(libc::SYS_mount, 0, 0, 0, 0, 0) }),
        ("unshare", || unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_NEWUSER) }),
        ("kill", || unsafe { libc::syscall(libc::SYS_kill, libc::getppid(), 0) }),
        ("socket", || unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) }.into()),
        ("unix socket", || unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) }.into()),
        ("io_uring", || unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, 0) }),
        ("executable memory", || {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let both = libc::PROT_WRITE | libc::PROT_EXEC;
            let address = unsafe { libc::mmap(std::ptr::null_mut(), 4096, both, flags, -1, 0) };
            if address == libc::MAP_FAILED { -1 } else { 0 }
        }),
    ];
    for (name, attempt) in attempts {
        let child = unsafe { libc::fork() };
        if child == 0 {
            let filtered = knarr_runtime::engine::wasm::seccomp_for_tests(false).is_ok();
            let refused = attempt() == -1
                && std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM);
            unsafe { libc::_exit(i32::from(!(filtered && refused))) };
        }
        let mut status = 0;
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0, "{name} was not refused");
    }
}

fn ulimits() {
    let (_container, running) = waiting(|container| {
        container.spec.limits.ulimits =
            vec!["nofile=100:200".parse().unwrap(), "nproc=1000000000".parse().unwrap()];
    });
    let limits = fs::read_to_string(format!("/proc/{}/limits", running.pid())).unwrap();
    let files = limits.lines().find(|l| l.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["100", "200"]);
}
