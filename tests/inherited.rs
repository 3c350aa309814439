//! What the processes have open that live on: nothing of their caller's, and nothing of the host's in a container.

use crate::harness::{Knarr, NewUser, proc};
use std::collections::BTreeMap;
use std::fs::read_link;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Descriptors by number, and where they lead.
fn open_in(process: i32) -> BTreeMap<u32, String> {
    let folder = PathBuf::from(format!("/proc/{process}/fd"));
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let open = entries.filter_map(|entry| {
        let to = read_link(entry.path()).ok()?.to_string_lossy().into_owned();
        Some((entry.file_name().to_str()?.parse().ok()?, to))
    });
    open.collect()
}

/// The same command of a careless caller, who has a file and a directory open for all to inherit.
fn carelessly(knarr: &Knarr, arguments: &[&str]) -> Command {
    let stray = knarr.file("stray", "");
    let command = knarr.command(arguments);
    let mut careless = Command::new("sh");
    careless.args(["-c", r#"file=$0; exec 7<"$file" 8</ ; exec "$@""#]).arg(stray);
    careless.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => careless.env(name, value),
            None => careless.env_remove(name),
        };
    }
    careless.stdin(Stdio::null());
    careless
}

/// What a monitor, keeper, forwarder or helper may have: its channels, and what is its root's or the kernel's.
fn is_ours(knarr: &Knarr, link: &str) -> bool {
    let kinds =
        ["socket:", "pipe:", "anon_inode:", "net:", "mnt:", "user:", "/dev/null", "/dev/pts/"];
    let places = ["/sys/fs/cgroup/", "/ptmx", "/proc/", "/memfd:"];
    let root = knarr.root().to_str().unwrap();
    kinds.iter().chain(&places).any(|kind| link.starts_with(kind)) || link.starts_with(root)
}

/// What a container's process may have at all: its streams.
fn is_guest_s(number: u32, link: &str) -> bool {
    let kinds = ["pipe:", "/dev/null", "/null", "/dev/pts/"];
    number <= 2 && kinds.iter().any(|kind| link.starts_with(kind))
}

/// Looks at every process of the root.
fn check(knarr: &Knarr, mode: &str) {
    let namespace = |id: &str| read_link(format!("/proc/{id}/ns/pid")).ok();
    let mut guests = 0;
    for process in proc::of_root(knarr.root()) {
        let is_guest = namespace(&process.id.to_string()) != namespace("self");
        guests += u32::from(is_guest);
        for (number, link) in open_in(process.id) {
            let allowed = if is_guest { is_guest_s(number, &link) } else { is_ours(knarr, &link) };
            let line = std::fs::read(format!("/proc/{}/cmdline", process.id)).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            assert!(allowed, "{mode}: {line}: {number} -> {link}");
        }
    }
    assert!(guests > 0, "{mode}");
}

#[test]
fn nothing_of_the_caller_s_is_open_in_what_lives_on() {
    for mode in [
        &[][..],
        &["--init"],
        &["-t"],
        &["-it", "--init"],
        &["--restart", "always"],
        &["--init", "--restart", "on-failure:3"],
        &["--network", "none", "--init", "--cap-add", "SYS_PTRACE"],
        &["--privileged", "--init"],
        &["--user", "1000"],
    ] {
        let knarr = Knarr::new().with_busybox();
        let words = [&["run", "-d", "--name", "c1"], mode, &["busybox", "sleep", "1000"]].concat();
        // it returns although the guest runs on
        assert!(carelessly(&knarr, &words).output().unwrap().status.success(), "{mode:?}");
        check(&knarr, &format!("run -d {mode:?}"));
        let exec = ["exec", "-d", "c1", "sleep", "1000"];
        assert!(carelessly(&knarr, &exec).output().unwrap().status.success());
        check(&knarr, &format!("exec -d {mode:?}"));
        knarr.ok(&["stop", "-t", "0", "c1"]);
        assert!(carelessly(&knarr, &["start", "c1"]).output().unwrap().status.success());
        check(&knarr, &format!("start {mode:?}"));
    }
}

#[test]
fn nothing_of_the_caller_s_is_open_in_the_foreground() {
    for mode in [&[][..], &["--init"]] {
        let knarr = Knarr::new().with_busybox();
        let words =
            [&["run", "--rm", "-p", "8080"], mode, &["--name", "c1", "busybox", "sleep", "1000"]]
                .concat();
        let mut run = carelessly(&knarr, &words).spawn().unwrap();
        proc::until("it runs", || {
            knarr.run(&["inspect", "-f", "{{.State.Status}}", "c1"]).stdout.trim() == "running"
        });
        let mut exec = carelessly(&knarr, &["exec", "c1", "sh", "-c", "sleep 1000; true"]);
        let mut exec = exec.stdout(Stdio::null()).spawn().unwrap();
        proc::until("it is executed", || {
            knarr.ok(&["top", "c1"]).matches("sleep 1000").count() > 2
        });
        check(&knarr, &format!("run {mode:?}"));
        knarr.ok(&["kill", "c1"]);
        run.wait().unwrap();
        exec.wait().unwrap();
    }
}

/// The processes of an ordinary user's networks start with the first container, and live on.
#[test]
fn nothing_of_the_caller_s_is_open_in_an_ordinary_user_s_networks() {
    let user = NewUser::new();
    let knarr = Knarr::of_user(user.0.clone()).on_host_with(&["pasta"]).with_busybox();
    let words = ["run", "-d", "--init", "--name", "c1", "busybox", "sleep", "1000"];
    assert!(carelessly(&knarr, &words).output().unwrap().status.success());
    let processes = proc::of_user(user.0.id);
    // a monitor, the keeper of the networks, who holds them, the way out, and the container's two
    assert!(processes.len() >= 6, "{}", processes.len());
    for process in processes {
        for (number, link) in open_in(process.id) {
            let is_stray = link == "/" || link.ends_with("/stray");
            assert!(!is_stray, "{}: {number} -> {link}", process.name());
        }
    }
}

#[test]
fn nothing_of_the_caller_s_is_open_in_a_forwarder() {
    let knarr = Knarr::new().with_busybox();
    let words = ["run", "-d", "--name", "c1", "-p", "[::1]::80", "busybox", "sleep", "1000"];
    assert!(carelessly(&knarr, &words).output().unwrap().status.success());
    let address = knarr.ok(&["port", "c1", "80"]);
    let before = proc::of_root(knarr.root()).len();
    let _client = std::net::TcpStream::connect(address.lines().next().unwrap()).unwrap();
    proc::until("it forwards", || proc::of_root(knarr.root()).len() > before);
    check(&knarr, "forwarder");
}

#[test]
fn an_init_is_nothing_of_knarr_s() {
    let knarr = Knarr::new().with_busybox();
    let mut command =
        vec!["run", "--rm", "--init", "--cap-add", "SYS_PTRACE", "busybox", "sh", "-c"];
    command.push(
        "readlink /proc/1/exe; ls /proc/1/fd | wc -l; tr '\\0' '\\n' </proc/1/environ | grep -c KNARR; \
         head -c 7 /proc/1/cmdline; grep -c . /proc/1/maps",
    );
    let shown = knarr.ok(&command);
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("/memfd:"), "{shown}");
    assert_eq!(lines[1..3], ["0", "0"], "{shown}");
    assert!(lines[3].starts_with("kn-init"), "{shown}");
    // the kernel lets nobody look into what is executed so, be it an init or what `exec` starts
    let hidden = knarr.run(&["run", "--rm", "--init", "busybox", "readlink", "/proc/1/exe"]);
    assert!(hidden.code != 0 && hidden.stdout.is_empty(), "{}", hidden.stdout);
    // its end is the command's, whose orphans it collects
    let ended = knarr.run(&["run", "--rm", "--init", "busybox", "sh", "-c", "exit 7"]);
    assert_eq!(ended.code, 7, "{}", ended.stderr);
    let script = "kill -9 $$";
    assert_eq!(knarr.run(&["run", "--rm", "--init", "busybox", "sh", "-c", script]).code, 137);
}

#[test]
fn standard_input_is_none_of_the_host_s_files() {
    let host = std::fs::metadata("/dev/null").unwrap();
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
    let untouched = || {
        let now = std::fs::metadata("/dev/null").unwrap();
        assert!(now.file_type().is_char_device());
        assert_eq!((now.permissions().mode(), now.uid()), (host.permissions().mode(), host.uid()));
        assert_eq!(now.mtime(), host.mtime());
    };
    // changes what it can, then tells what its input is: an inode of which file system, and the null device
    let script = "chmod 640 /proc/self/fd/0; chown 5 /proc/self/fd/0; touch /proc/self/fd/0; \
                  cat; stat -L -c '%d:%i %t:%T' /proc/self/fd/0";
    let knarr = Knarr::new().with_busybox();
    let expect = |shown: &str| {
        assert!(shown.ends_with(" 1:3"), "{shown}");
        assert!(!shown.starts_with(&format!("{}:{} ", host.dev(), host.ino())), "{shown}");
        untouched();
    };
    let own = knarr.file("devices", "");
    std::fs::remove_file(&own).unwrap();
    std::fs::create_dir(&own).unwrap();
    std::fs::write(own.join("null"), "not it").unwrap();
    let over = format!("{}:/dev", own.display());
    for options in [&[][..], &["--init"], &["-v", &over], &["--privileged"]] {
        let words = [&["run", "--rm"], options, &["busybox", "sh", "-c", script]].concat();
        expect(&knarr.ok(&words));
    }
    let id = knarr.ok(&["run", "-d", "busybox", "sh", "-c", &format!("{script}; sleep 1000")]);
    proc::until("it has written", || knarr.ok(&["logs", &id]).contains("1:3"));
    expect(&knarr.ok(&["logs", &id]));
    expect(&knarr.ok(&["exec", &id, "sh", "-c", script]));
    let detached = format!("{{ {script}; }} >/shown; mv /shown /done");
    knarr.ok(&["exec", "-d", &id, "sh", "-c", &detached]);
    proc::until("it has ended", || knarr.run(&["exec", &id, "test", "-e", "/done"]).code == 0);
    expect(&knarr.ok(&["exec", &id, "cat", "/done"]));
    // whoever is root inside may put something else there
    knarr.ok(&["exec", &id, "sh", "-c", "rm /dev/null; echo mine >/dev/null"]);
    expect(&knarr.ok(&["exec", &id, "sh", "-c", script]));
    let built = knarr.built(&format!("FROM busybox\nRUN {script}\n"), &["--network", "none"]);
    assert!(built.contains(" 1:3"), "{built}");
    untouched();
}

#[test]
fn exec_ends_at_signals_whatever_becomes_of_its_child() {
    let knarr = Knarr::new().with_busybox();
    let id = knarr.ok(&["run", "-d", "busybox", "sleep", "1000"]);
    let groups = proc::cgroups_of(&std::iter::once(id.clone()).collect());
    // nobody tells Knarr: what is executed stops before it becomes the command
    let freeze = |freeze: bool| {
        let states = [("cgroup.freeze", ["0", "1"]), ("freezer.state", ["THAWED", "FROZEN"])];
        let files = groups.iter().flat_map(|group| states.map(|(n, words)| (group.join(n), words)));
        for (file, words) in files.filter(|(file, _)| file.exists()) {
            std::fs::write(file, words[usize::from(freeze)]).unwrap();
        }
    };
    for (signal, code) in
        [(rustix::process::Signal::TERM, 143), (rustix::process::Signal::INT, 130)]
    {
        freeze(true);
        let mut child = knarr.start(&["exec", &id, "true"], Stdio::null());
        let process = proc::Process::open(child.id() as i32).unwrap();
        proc::until("its child is there", || {
            let list = format!("/proc/{0}/task/{0}/children", child.id());
            std::fs::read_to_string(list).is_ok_and(|children| !children.is_empty())
        });
        process.signal(signal);
        process.ended();
        assert_eq!(child.wait().unwrap().code(), Some(code));
        freeze(false);
    }
    knarr.ok(&["exec", &id, "true"]);
}
