//! `system reset`: afterwards neither a file nor anything in the kernel is left, whatever the root was like.

use crate::harness::image::guest;
use crate::harness::proc::{self, Process, of_root, of_user};
use crate::harness::{Knarr, NewUser};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

const NAP: [&str; 2] = ["sleep", "1000"];

/// What the host has of networks and rules.
fn kernel() -> String {
    let shell = Command::new("sh").args(["-c", "ip -o link; nft list tables"]).output().unwrap();
    assert!(shell.status.success(), "{}", String::from_utf8_lossy(&shell.stderr));
    String::from_utf8(shell.stdout).unwrap()
}

/// The mark of a root's things in the kernel.
fn mark(root: &Path) -> String {
    let digest = Sha256::digest(root.as_os_str().as_encoded_bytes());
    format!("knarr-{}", &hex::encode(digest)[..8])
}

#[track_caller]
fn assert_gone(knarr: &Knarr, ids: &BTreeSet<String>) {
    let left: Vec<_> = of_root(knarr.root()).iter().map(Process::name).collect();
    assert_eq!(left, Vec::<String>::new());
    knarr.assert_nothing_left(ids);
    assert!(!knarr.root().exists());
    let kernel = kernel();
    assert!(!kernel.contains(&mark(knarr.root())), "{kernel}");
    assert!(!kernel.contains(knarr.root().to_str().unwrap()), "{kernel}");
}

/// The programs that a user runs; of those that have ended somebody may not know yet.
fn names_of(user: &NewUser) -> Vec<String> {
    let names = of_user(user.0.id).iter().map(Process::name).collect::<Vec<_>>();
    names.into_iter().filter(|name| !name.is_empty()).collect()
}

fn kill(knarr: &Knarr, container: &str) {
    let monitor = knarr.inspect(container, "{{.Knarr.MonitorPid}}").parse().unwrap();
    let monitor = Process::open(monitor).unwrap();
    monitor.kill();
    monitor.ended();
}

/// A root with something of everything; the ids of its containers.
fn fill(knarr: &Knarr, is_superuser: bool) -> BTreeSet<String> {
    knarr.import("serve", "wasi/wasm", &[r#"ENTRYPOINT ["/app.wasm"]"#, "EXPOSE 80"], &{
        let mut tar = crate::harness::image::Tar::new();
        tar.file("app.wasm", 0o755, &guest("httpd.p2.wasm"));
        tar.finish()
    });
    knarr.ok(&["network", "create", "back"]);
    if is_superuser {
        knarr.ok(&["volume", "create", "-o", "type=tmpfs", "memory"]);
    }
    knarr.ok(&["volume", "create", "plain"]);
    let dockerfile = b"FROM busybox\nRUN touch /x && busybox chown 7:7 /x\n";
    knarr.run_with_input(&["build", "-t", "built", "-"], dockerfile).ok();
    let volume = if is_superuser { "memory:/m" } else { "plain:/m" };
    for (name, words) in [
        ("plain", &["-v", volume, "built"][..]),
        ("published", &["--network", "back", "-p", "127.0.0.1:0:80", "busybox"]),
        ("restarted", &["--restart", "always", "busybox"]),
        ("between", &["--restart", "always", "busybox"]),
        ("paused", &["busybox"]),
        ("killed", &["--network", "back", "busybox"]),
        ("damaged", &["--network", "back", "busybox"]),
        ("ruined", &["--restart", "always", "busybox"]),
    ] {
        let command = if name == "between" { &["false"][..] } else { &NAP };
        knarr.ok(&[&["run", "-d", "--name", name], words, command].concat());
    }
    knarr.ok(&[
        "run",
        "-d",
        "--name",
        "wasm",
        "--network",
        "back",
        "-p",
        "127.0.0.1:0:80",
        "serve",
    ]);
    if is_superuser {
        knarr.ok(&["pause", "paused"]);
    }
    knarr.ok(&["create", "--name", "created", "busybox"]);
    let ids: BTreeSet<String> = proc::container_folders(knarr.root());
    kill(knarr, "killed");
    let folder = |name: &str| {
        let id = knarr.inspect(name, "{{.Id}}");
        knarr.root().join("containers").join(id)
    };
    let (damaged, ruined) = (folder("damaged"), folder("ruined"));
    std::fs::write(damaged.join("spec.json"), "{").unwrap();
    std::fs::write(ruined.join("state.json"), "{").unwrap();
    ids
}

#[test]
fn everything_of_a_root_goes() {
    let knarr = Knarr::new().with_busybox();
    let ids = fill(&knarr, true);
    // what the networks have is known by its marks, too
    std::fs::write(knarr.root().join("networks/back/network.json"), "{").unwrap();
    std::fs::write(knarr.root().join("index.json"), "{").unwrap();
    let before = kernel();
    assert!(before.contains(&mark(knarr.root())) && before.contains("kn-"), "{before}");

    let asked = knarr.run_with_input(&["system", "reset"], b"n\n").code(0);
    for text in ["plain", "restarted", "back", "memory", "[y/N]"] {
        assert!(asked.stderr.contains(text), "{text}: {}", asked.stderr);
    }
    assert!(knarr.root().join("containers").exists());

    let said = knarr.ok(&["system", "reset", "--force"]);
    assert_eq!(said, format!("Removed {}", knarr.root().display()));
    assert_gone(&knarr, &ids);
    let again = knarr.ok(&["system", "reset", "-f"]);
    assert_eq!(again, format!("There is nothing of Knarr's in {}", knarr.root().display()));
    assert!(!knarr.root().exists());

    // afresh
    let knarr = knarr.with_busybox();
    assert_eq!(knarr.ok(&["run", "--rm", "busybox", "echo", "x"]), "x");
    assert_eq!(knarr.ok(&["volume", "ls", "-q"]), "");
}

#[test]
fn an_ordinary_users_root_goes() {
    let user = NewUser::new();
    let mut knarr = Knarr::of_user(user.0.clone());
    for keeper_lives in [true, false] {
        knarr = knarr.with_busybox();
        let ids = fill(&knarr, false);
        if !keeper_lives {
            // the networks' too
            for process in of_user(user.0.id) {
                let line =
                    std::fs::read(format!("/proc/{}/cmdline", process.id)).unwrap_or_default();
                if String::from_utf8_lossy(&line).contains("internal\0networks") {
                    process.kill();
                    process.ended();
                }
            }
        }
        let asked = knarr.run_with_input(&["system", "reset"], b"y\n");
        assert!(asked.ok().starts_with("Removed "));
        assert_eq!(names_of(&user), Vec::<String>::new(), "{keeper_lives}");
        assert_gone(&knarr, &ids);
        knarr.ok(&["system", "reset", "-f"]);
    }
    let knarr = knarr.with_busybox();
    assert_eq!(knarr.ok(&["run", "--rm", "busybox", "echo", "x"]), "x");
    knarr.ok(&["system", "reset", "-f"]);
}

/// Where the two directories are apart, and one of them is a link.
#[test]
fn both_directories_go_and_what_a_link_leads_to() {
    let knarr = Knarr::new();
    let files = knarr.files();
    let (home, run, disk) = (files.join("home"), files.join("run"), files.join("disk"));
    let user = NewUser::new();
    for folder in [&home, &run, &disk] {
        std::fs::create_dir(folder).unwrap();
        std::os::unix::fs::chown(folder, Some(user.0.id), Some(user.0.id)).unwrap();
    }
    std::os::unix::fs::symlink(&disk, home.join("knarr")).unwrap();
    let tarball = knarr.file("busybox.tar", crate::harness::image::busybox());
    let program = knarr.files().join("program");
    std::fs::copy(env!("CARGO_BIN_EXE_knarr"), &program).unwrap();
    let knarr_of_user = |words: &[&str]| {
        let ids = format!("--reuid={0} --regid={0} --init-groups", user.0.name);
        let mut command = Command::new("setpriv");
        command.args(ids.split(' ')).arg(&program).args(words).env_remove("KNARR_ROOT");
        command.env("XDG_DATA_HOME", &home).env("XDG_RUNTIME_DIR", &run).env("HOME", &home);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{words:?} {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    knarr_of_user(&["import", tarball.to_str().unwrap(), "busybox"]);
    knarr_of_user(&["run", "-d", "busybox", "sleep", "1000"]);
    assert!(run.join("knarr/c").exists() && disk.join("containers").exists());
    knarr_of_user(&["system", "reset", "-f"]);
    assert_eq!(std::fs::read_dir(&run).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(&home).unwrap().count(), 0);
    // it is in somebody else's
    assert_eq!(std::fs::read_dir(&disk).unwrap().count(), 0);
    assert_eq!(names_of(&user), Vec::<String>::new());
}

#[test]
fn what_is_not_knarrs_is_named_and_left() {
    let knarr = Knarr::new().with_busybox();
    let root = knarr.root();
    knarr.ok(&["volume", "create", "data"]);
    let mode = |path: &Path| std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap());
    for (file, shown) in [
        ("notes.txt", "notes.txt"),
        ("containers/notes.txt", "containers/notes.txt"),
        ("run/other/notes.txt", "run/other"),
        ("own/deep/notes.txt", "own"),
    ] {
        let path = root.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, "kept").unwrap();
        let said = knarr.fails(1, &["system", "reset", "-f"]);
        let expected = format!("holds {}\n", root.join(shown).display());
        assert!(said.contains(&expected), "{file}: {said}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "kept");
        assert_eq!(knarr.ok(&["volume", "ls", "-q"]), "data");
        let top = root.join(shown);
        if top.is_dir() { std::fs::remove_dir_all(top) } else { std::fs::remove_file(top) }
            .unwrap();
    }
    // somebody's folder is not even touched
    let folder = knarr.files().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let reset = ["--root", folder.to_str().unwrap(), "system", "reset", "-f"];
    let before = mode(&folder);
    assert!(knarr.ok(&reset).starts_with("There is nothing of Knarr's in "));
    std::fs::write(folder.join("letter"), "").unwrap();
    assert!(knarr.fails(1, &reset).contains("letter"));
    assert_eq!(mode(&folder), before);
    // an image layout of somebody's
    std::fs::remove_file(folder.join("letter")).unwrap();
    std::fs::copy(root.join("oci-layout"), folder.join("oci-layout")).unwrap();
    assert!(knarr.fails(1, &reset).contains("oci-layout"));
    // nor is what is mounted there
    let volume = root.join("volumes/data/_data/disk");
    std::fs::create_dir(&volume).unwrap();
    std::fs::write(folder.join("kept"), "").unwrap();
    rustix::mount::mount_bind(&folder, &volume).unwrap();
    let said = knarr.run(&["system", "reset", "-f"]);
    rustix::mount::unmount(&volume, rustix::mount::UnmountFlags::DETACH).unwrap();
    assert!(said.error(1).contains(&format!("umount {}", volume.display())));
    assert!(folder.join("kept").exists());
    knarr.ok(&["system", "reset", "-f"]);
    assert!(!root.exists());
}

#[test]
fn somebody_at_work_is_waited_for() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["volume", "create", "data"]);
    for lock in ["content.lock", "volumes/data/lock", "networks"] {
        if lock == "networks" {
            knarr.ok(&["network", "create", "back"]);
        }
        let file = std::fs::File::open(knarr.root().join(lock)).unwrap();
        file.lock().unwrap();
        let mut reset = knarr.start(&["system", "reset", "-f"], Stdio::null());
        let mut lines = BufReader::new(reset.stderr.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let expected = format!("waiting for process {} (", std::process::id());
        assert!(line.starts_with(&expected) && line.contains(lock), "{lock}: {line}");
        assert!(knarr.root().exists());
        drop(file);
        assert!(reset.wait().unwrap().success());
        assert!(!knarr.root().exists());
        knarr.ok(&["volume", "create", "data"]);
    }
}
