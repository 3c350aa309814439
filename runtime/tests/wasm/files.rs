//! Files: the root, links, the working directory, volumes, read-only mounts, and nothing of the host.

use super::Test;
use super::container::{Container, Outcome};
use knarr_runtime::engine::{Bind, MountSource, ResolvedMount};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

pub const TESTS: &[Test] = &[
    ("files::what_a_program_does_with_files", everyday),
    ("files::links_are_followed_inside_the_root", links),
    ("files::links_do_not_lead_out_of_the_root", escapes),
    ("files::relative_paths_start_at_the_working_directory", working_directory),
    ("files::relative_paths_are_told_from_absolute_ones", relative_paths),
    ("files::a_directory_is_emptied_while_it_is_read", emptied),
    ("files::volumes", volumes),
    ("files::read_only_volumes_and_root", read_only),
    ("files::memory_mounts", memory),
    ("files::mount_targets_stay_in_the_root", hostile_targets),
    ("files::wasi_0_3_and_http", other_worlds),
];

const KITS: [&str; 2] = ["kit.p1.wasm", "kit.p2.wasm"];

/// Runs several commands in one container.
fn run(container: &mut Container, args: &[&str]) -> Outcome {
    container.spec.process.entrypoint.truncate(1);
    container.spec.process.entrypoint.extend(args.iter().map(|a| (*a).to_owned()));
    container.run()
}

fn works(container: &mut Container, args: &[&str]) -> String {
    let out = run(container, args);
    assert_eq!(out.code(), 0, "{args:?}: {out:?}");
    out.stdout
}

fn fails(container: &mut Container, args: &[&str]) -> String {
    let out = run(container, args);
    assert_eq!(out.code(), 1, "{args:?}: {out:?}");
    out.stderr
}

fn everyday() {
    for kit in KITS {
        let c = &mut Container::with(kit, &[]);
        works(c, &["mkdir", "/a/b"]);
        works(c, &["write", "/a/b/file", "hello"]);
        works(c, &["append", "/a/b/file", " world"]);
        assert_eq!(works(c, &["cat", "/a/b/file"]), "hello world");
        assert_eq!(works(c, &["seek", "/a/b/file", "6", "3"]), "wor\n");
        works(c, &["truncate", "/a/b/file", "5"]);
        assert_eq!(works(c, &["stat", "/a/b/file"]), "file 5\n");
        works(c, &["ln", "/a/b/file", "/a/second"]);
        works(c, &["mv", "/a/b/file", "/a/third"]);
        works(c, &["symlink", "third", "/a/link"]);
        assert_eq!(works(c, &["readlink", "/a/link"]), "third\n");
        assert_eq!(works(c, &["lstat", "/a/link"]), "symlink 5\n");
        assert_eq!(works(c, &["cat", "/a/link", "/a/second"]), "hellohello");
        assert_eq!(works(c, &["ls", "/a"]), "b/\nlink\nsecond\nthird\n");
        works(c, &["rmdir", "/a/b"]);
        works(c, &["rm", "/a/second"]);
        assert_eq!(works(c, &["ls", "/a"]), "link\nthird\n");
        assert_eq!(fs::read(c.rootfs().join("a/third")).unwrap(), b"hello");
        fails(c, &["cat", "/absent"]);
    }
}

/// A root with the links that distributions have.
fn usual_links(root: &Path) {
    for directory in ["etc/alternatives", "usr/bin", "usr/lib", "var/run", "run"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::write(root.join("usr/bin/tool"), "tool").unwrap();
    fs::write(root.join("usr/lib/os-release"), "release").unwrap();
    symlink("/usr/bin", root.join("bin")).unwrap();
    symlink("/etc/alternatives/editor", root.join("usr/bin/editor")).unwrap();
    symlink("/usr/bin/tool", root.join("etc/alternatives/editor")).unwrap();
    symlink("../usr/lib/os-release", root.join("etc/os-release")).unwrap();
    fs::remove_dir(root.join("var/run")).unwrap();
    symlink("/run", root.join("var/run")).unwrap();
}

fn links() {
    for kit in KITS {
        let c = &mut Container::with(kit, &[]);
        usual_links(&c.rootfs());
        assert_eq!(works(c, &["cat", "/bin/tool"]), "tool");
        assert_eq!(works(c, &["cat", "/bin/editor"]), "tool");
        assert_eq!(works(c, &["cat", "/etc/os-release"]), "release");
        assert_eq!(works(c, &["readlink", "/bin"]), "/usr/bin\n");
        assert_eq!(works(c, &["readlink", "/bin/editor"]), "/etc/alternatives/editor\n");
        assert_eq!(works(c, &["stat", "/bin/editor"]), "file 4\n");
        assert!(works(c, &["lstat", "/bin/editor"]).starts_with("symlink "));
        assert_eq!(works(c, &["ls", "/bin"]), "editor\ntool\n");
        works(c, &["write", "/var/run/pid", "1"]);
        works(c, &["mv", "/var/run/pid", "/bin/pid"]);
        works(c, &["ln", "/bin/pid", "/var/run/again"]);
        works(c, &["mkdir", "/var/run/deep/er"]);
        works(c, &["rm", "/bin/pid"]);
        works(c, &["rm", "/bin/editor"]);
        assert_eq!(fs::read(c.rootfs().join("run/again")).unwrap(), b"1");
        assert!(c.rootfs().join("run/deep/er").is_dir());
        assert!(c.rootfs().join("etc/alternatives/editor").is_symlink());
        // from a directory that is open itself
        assert_eq!(works(c, &["at", "/etc", "os-release"]), "release");
        assert_eq!(works(c, &["at", "/etc", "alternatives/editor"]), "tool");
        assert_eq!(works(c, &["at", "/bin", "tool"]), "tool");
        fails(c, &["at", "/etc", "../usr/lib/os-release"]);
    }
}

fn escapes() {
    for kit in KITS {
        let c = &mut Container::with(kit, &[]);
        let secret = c.directory.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        let root = c.rootfs();
        symlink(&secret, root.join("absolute")).unwrap();
        symlink("../secret", root.join("relative")).unwrap();
        symlink("/../../../../../../../proc/self/root", root.join("proc")).unwrap();
        symlink("/proc/1/root", root.join("magic")).unwrap();
        symlink("b", root.join("a")).unwrap();
        symlink("/a", root.join("b")).unwrap();
        let path = secret.display().to_string();
        for path in [
            "/absolute",
            "/relative",
            "/../secret",
            "../secret",
            &path,
            &format!("/proc{path}"),
            &format!("/magic{path}"),
            "/etc/passwd",
            "/a",
        ] {
            let error = fails(c, &["cat", path]);
            assert!(!error.contains("secret\n"), "{path}: {error}");
            fails(c, &["write", &format!("{path}/x"), "y"]);
        }
        fails(c, &["write", "/../planted", "x"]);
        fails(c, &["mv", "/app.wasm", "/../planted"]);
        fails(c, &["symlink", "/etc/passwd", "/link"]);
        assert!(!c.directory.path().join("planted").exists());
        assert_eq!(fs::read(&secret).unwrap(), b"secret");
    }
}

fn working_directory() {
    for kit in KITS {
        let c = &mut Container::with(kit, &[]);
        let root = c.rootfs();
        for directory in ["work/sub", "etc"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        fs::write(root.join("work/file"), "here").unwrap();
        fs::write(root.join("work/sub/file"), "below").unwrap();
        fs::write(root.join("etc/file"), "absolute").unwrap();
        c.spec.process.cwd = "/work".into();
        assert_eq!(works(c, &["cat", "file"]), "here");
        assert_eq!(works(c, &["cat", "./sub/file"]), "below");
        assert_eq!(works(c, &["ls", "sub"]), "file\n");
        assert_eq!(works(c, &["cat", "/etc/file"]), "absolute");
        works(c, &["write", "new", "text"]);
        works(c, &["mv", "new", "sub/newer"]);
        assert_eq!(fs::read(root.join("work/sub/newer")).unwrap(), b"text");
        assert!(works(c, &["env"]).contains("\nPWD=/work\n"));
    }
}

/// Where both have the name, or neither, what the user wrote decides.
fn relative_paths() {
    for kit in KITS {
        let c = &mut Container::with(kit, &[]);
        let root = c.rootfs();
        for directory in ["etc", "real/app/etc", "real/app/app"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        // a working directory behind a link: `..` leads from where it is
        symlink("real/app", root.join("app")).unwrap();
        for (path, text) in [
            ("etc/conf", "root"),
            ("real/app/etc/conf", "app"),
            ("real/app/etc/only", "only"),
            ("real/app/app/x", "inner"),
            ("real/up", "up"),
            ("top", "top"),
        ] {
            fs::write(root.join(path), text).unwrap();
        }
        c.spec.process.cwd = "/app".into();
        for (path, text) in [
            ("etc/conf", "app"),
            ("./etc/conf", "app"),
            ("/etc/conf", "root"),
            ("//etc/./conf", "root"),
            ("../up", "up"),
            ("../../top", "top"),
            ("../../../../top", "top"),
            ("etc/../../up", "up"),
            ("etc/only", "only"),
            ("/app/etc/only", "only"),
            ("app/x", "inner"),
            ("/top", "top"),
        ] {
            assert_eq!(works(c, &["cat", path]), text, "{kit} {path}");
        }
        for own in [&["ls", "."][..], &["ls", "./"], &["ls"]] {
            assert_eq!(works(c, own), "app/\netc/\n", "{kit} {own:?}");
        }
        assert_eq!(works(c, &["ls", "/"]), "app\napp.wasm\netc/\nreal/\ntop\n", "{kit}");
        assert_eq!(works(c, &["ls", ".."]), "app/\nup\n", "{kit}");
        for (path, place) in [
            ("etc/new", "real/app/etc/new"),
            ("/etc/new", "etc/new"),
            ("new", "real/app/new"),
            ("../new", "real/new"),
        ] {
            works(c, &["write", path, path]);
            assert_eq!(fs::read_to_string(root.join(place)).unwrap(), path, "{kit}");
        }
        works(c, &["mv", "etc/new", "/etc/moved"]);
        assert_eq!(fs::read_to_string(root.join("etc/moved")).unwrap(), "etc/new");
        fails(c, &["cat", "/etc/only"]);
    }
}

/// As `rm -r` does, over more entries than one call gives, and with others in between.
fn emptied() {
    for kit in KITS {
        let c = &mut Container::with(kit, &[]);
        let directory = c.rootfs().join("many");
        fs::create_dir(&directory).unwrap();
        works(c, &["fill", "/many", "2500"]);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 2525);
        works(c, &["empty", "/many"]);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "{kit}");
    }
}

fn volumes() {
    for kit in KITS {
        let c = &mut Container::with(kit, &[]);
        let data = c.volume("/data", false);
        let nested = c.volume("/data/nested/deep", false);
        fs::write(nested.join("file"), "nested").unwrap();
        works(c, &["write", "/data/file", "text"]);
        assert_eq!(fs::read(data.join("file")).unwrap(), b"text");
        assert_eq!(works(c, &["cat", "/data/nested/deep/file"]), "nested");
        assert_eq!(works(c, &["ls", "/data"]), "file\nnested/\n");
        // the mounts are the guest's alone: nothing of them is left, or was ever seen from here
        assert!(fs::read_dir(c.rootfs().join("data")).unwrap().next().is_none());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(&c.directory.path().display().to_string()));
    }
    // one file
    let c = &mut Container::with(KITS[0], &[]);
    let file = c.directory.path().join("one");
    fs::write(&file, "one file").unwrap();
    c.mounts.push(ResolvedMount {
        source: MountSource::Path(Bind::of(file)),
        target: "/etc/one".into(),
        read_only: true,
    });
    assert_eq!(works(c, &["cat", "/etc/one"]), "one file");
    fails(c, &["write", "/etc/one", "x"]);
}

fn read_only() {
    for kit in KITS {
        let c = &mut Container::with(kit, &[]);
        let data = c.volume("/data", true);
        fs::write(data.join("file"), "text").unwrap();
        assert_eq!(works(c, &["cat", "/data/file"]), "text");
        works(c, &["write", "/elsewhere", "x"]);
        for args in [
            &["write", "/data/file", "x"][..],
            &["write", "/data/new", "x"],
            &["append", "/data/file", "x"],
            &["truncate", "/data/file", "0"],
            &["rm", "/data/file"],
            &["mkdir", "/data/directory"],
            &["mv", "/data/file", "/data/other"],
            &["mv", "/elsewhere", "/data/other"],
            &["ln", "/data/file", "/data/other"],
            &["symlink", "file", "/data/link"],
        ] {
            fails(c, args);
        }
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1);

        let c = &mut Container::with(kit, &[]);
        let data = c.volume("/data", false);
        c.spec.read_only_rootfs = true;
        fails(c, &["write", "/file", "x"]);
        fails(c, &["rm", "/app.wasm"]);
        works(c, &["write", "/data/file", "x"]);
        assert!(data.join("file").exists());
        // the monitor can still write
        fs::write(c.rootfs().join("file"), "x").unwrap();
    }
}

fn memory() {
    let c = &mut Container::with(KITS[0], &[]);
    c.mounts.push(ResolvedMount {
        source: MountSource::Tmpfs { size: Some(64 << 10), mode: None, options: Vec::new() },
        target: "/tmp".into(),
        read_only: false,
    });
    works(c, &["write", "/tmp/file", "x"]);
    fails(c, &["write", "/tmp/file", &"x".repeat(100 << 10)]);
    assert_eq!(works(c, &["ls", "/tmp"]), "");
    assert!(fs::read_dir(c.rootfs().join("tmp")).unwrap().next().is_none());
}

fn hostile_targets() {
    let c = &mut Container::with(KITS[0], &[]);
    let outside = c.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, c.rootfs().join("link")).unwrap();
    symlink("../../..", c.rootfs().join("up")).unwrap();
    for target in ["/../../escaped", "/up/escaped2"] {
        let source = c.volume(target, false);
        fs::write(source.join("file"), "volume").unwrap();
    }
    assert_eq!(works(c, &["cat", "/escaped/file", "/escaped2/file"]), "volumevolume");
    c.volume("/link/sub", false);
    let error = c.start().map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("/link/sub"), "{error}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

fn other_worlds() {
    let c = &mut Container::with("p3cli.p3.wasm", &[]);
    usual_links(&c.rootfs());
    assert_eq!(works(c, &["cat", "/bin/editor"]), "tool");
    assert_eq!(works(c, &["cat", "/etc/os-release"]), "release");
    assert!(works(c, &["cat", "/../secret"]).contains("error"));
}
