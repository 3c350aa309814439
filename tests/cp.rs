//! `cp` and `export`.

use crate::harness::Knarr;
use crate::harness::image::{Tar, guest};

#[test]
fn files_go_both_ways_whether_the_container_runs_or_not() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["create", "--name", "made", "busybox"]);
    knarr.ok(&["run", "-d", "--name", "runs", "busybox", "sleep", "1000"]);
    let file = knarr.file("in.txt", "hello");
    let file = file.to_str().unwrap();
    let out = knarr.files().join("out.txt");
    for name in ["made", "runs"] {
        knarr.ok(&["cp", file, &format!("{name}:/root/in.txt")]);
        knarr.ok(&["cp", &format!("{name}:/root/in.txt"), out.to_str().unwrap()]);
        assert_eq!(std::fs::read_to_string(&out).unwrap(), "hello");
    }
    assert_eq!(knarr.ok(&["exec", "runs", "cat", "/root/in.txt"]), "hello");
    let archive = knarr.run(&["cp", "runs:/root", "-"]).code(0).stdout;
    assert!(archive.starts_with("root/") && archive.contains("hello"));
    let said = knarr.fails(1, &["cp", "runs:/not/there", "."]);
    assert!(said.contains("/not/there"), "{said}");
    let said = knarr.fails(1, &["cp", "nothere:/x", "."]);
    assert!(said.contains("no container"), "{said}");
}

#[test]
fn owners_are_roots_unless_they_are_to_be_kept() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    let file = knarr.file("in.txt", "hello");
    std::os::unix::fs::chown(&file, Some(1234), Some(5678)).unwrap();
    for (options, owner) in
        [(&[][..], "0:0"), (&["-a"], "1234:5678"), (&["--archive"], "1234:5678")]
    {
        knarr.ok(&[&["cp"], options, &[file.to_str().unwrap(), "box:/root/x"]].concat());
        assert_eq!(knarr.ok(&["exec", "box", "stat", "-c", "%u:%g", "/root/x"]), owner);
    }
    use std::os::unix::fs::MetadataExt;
    let out = knarr.files().join("out.txt");
    for (options, owner) in [(&["-q"][..], (0, 0)), (&["-a"], (1234, 5678))] {
        knarr.ok(&[&["cp"], options, &["box:/root/x", out.to_str().unwrap()]].concat());
        let found = std::fs::metadata(&out).unwrap();
        assert_eq!((found.uid(), found.gid()), owner, "{options:?}");
        std::fs::remove_file(&out).unwrap();
    }
}

#[test]
fn a_links_target_on_the_host_is_never_reached() {
    let knarr = Knarr::new().with_busybox();
    let secret = knarr.file("secret", "of the host");
    let script = format!("ln -s {} /link; sleep 1000", secret.display());
    knarr.ok(&["run", "-d", "--name", "runs", "busybox", "sh", "-c", &script]);
    crate::harness::proc::until("the link is there", || {
        knarr.run(&["exec", "runs", "test", "-L", "/link"]).code == 0
    });
    let out = knarr.files().join("out");
    let ended = knarr.run(&["cp", "-L", "runs:/link", out.to_str().unwrap()]);
    assert!(ended.code != 0 && !out.exists(), "{}", ended.stdout);
    knarr.run(&["cp", knarr.file("mine", "mine").to_str().unwrap(), "runs:/link"]);
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "of the host");
}

#[test]
fn a_link_at_the_end_is_written_through() {
    let knarr = Knarr::new().with_busybox();
    let script = "mkdir /d; ln -s /target /link; ln -s link /second; ln -s ../far /d/up; ln -s /no/way /lost; \
        ln -s /loop /loop; touch /ready; exec sleep 1000";
    knarr.ok(&["run", "-d", "--name", "runs", "busybox", "sh", "-c", script]);
    let there = || knarr.run(&["exec", "runs", "test", "-e", "/ready"]).code == 0;
    crate::harness::proc::until("the links are there", there);
    let new = knarr.file("new", "new");
    let folder = knarr.files().join("folder");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("inner"), "inner").unwrap();
    let (new, folder) = (new.to_str().unwrap(), folder.to_str().unwrap());
    for (source, target, made) in
        [(new, "/second", "/target"), (new, "/link", "/target"), (new, "/d/up", "/far")]
    {
        knarr.ok(&["cp", source, &format!("runs:{target}")]);
        assert_eq!(knarr.ok(&["exec", "runs", "cat", made]), "new", "{target}");
        knarr.ok(&["exec", "runs", "test", "-L", target]);
    }
    for lost in ["/lost", "/loop"] {
        knarr.fails(1, &["cp", new, &format!("runs:{lost}")]);
        knarr.ok(&["exec", "runs", "test", "-L", lost]);
    }
    // a directory as well, and into one in which a link has the name
    knarr.ok(&["exec", "runs", "sh", "-c", "ln -s /made /dir; ln -s /nowhere /d/new"]);
    knarr.ok(&["cp", folder, "runs:/dir"]);
    assert_eq!(knarr.ok(&["exec", "runs", "cat", "/made/inner"]), "inner");
    knarr.ok(&["cp", new, "runs:/d"]);
    assert_eq!(knarr.ok(&["exec", "runs", "sh", "-c", "test ! -L /d/new; cat /d/new"]), "new");
    // and so on this side
    let (link, target) = (knarr.files().join("link"), knarr.files().join("target"));
    std::os::unix::fs::symlink("second", &link).unwrap();
    std::os::unix::fs::symlink("target", knarr.files().join("second")).unwrap();
    knarr.ok(&["cp", "runs:/far", link.to_str().unwrap()]);
    assert!(link.is_symlink());
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "new");
}

#[test]
fn export_and_import_give_the_same_files() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&[
        "run",
        "--name",
        "box",
        "busybox",
        "sh",
        "-c",
        "echo new > /root/new; rm /etc/group",
    ]);
    let file = knarr.files().join("box.tar");
    knarr.ok(&["export", "-o", file.to_str().unwrap(), "box"]);
    knarr.ok(&["import", file.to_str().unwrap(), "copy"]);
    let script = "cat /root/new; ls /etc; stat -c %a /tmp; readlink /bin/sh";
    let files = knarr.ok(&["run", "--rm", "copy", "sh", "-c", script]);
    assert!(files.starts_with("new\n") && files.ends_with("\n1777\nbusybox"), "{files}");
    assert!(files.contains("passwd") && !files.contains("group"), "{files}");
}

/// A guest that cannot open files runs without its root file system mounted, and `cp` sees the files all the same.
#[test]
fn files_of_a_guest_that_opens_none() {
    let knarr = Knarr::new();
    let mut tarball = Tar::new();
    tarball.file("app.wasm", 0o755, &guest("httpd.proxy.p2.wasm"));
    tarball.file("etc/motd", 0o644, b"from the image");
    knarr.import("server", "wasi/wasm", &["ENTRYPOINT [\"/app.wasm\"]"], &tarball.finish());
    // compiled with its first start
    let ids = [0, 1].map(|_| knarr.ok(&["run", "-d", "--network", "none", "server"]));
    let [_, id] = &ids;
    let monitor = knarr.inspect(id, "{{.State.Pid}}");
    let mounts = std::fs::read_to_string(format!("/proc/{monitor}/mounts")).unwrap();
    assert!(!mounts.contains(id.as_str()), "{mounts}");
    let container = knarr.root().join("containers").join(id);
    assert!(!container.join("upper").exists());

    let file = knarr.file("in.txt", "into it");
    let out = knarr.files().join("out.txt");
    let copy = |from: &str, to: &str| knarr.ok(&["cp", from, to]);
    copy(&format!("{id}:/etc/motd"), out.to_str().unwrap());
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "from the image");
    copy(file.to_str().unwrap(), &format!("{id}:/etc/motd"));
    assert_eq!(std::fs::read_to_string(container.join("upper/etc/motd")).unwrap(), "into it");
    // the layer belongs to others too
    copy(&format!("{}:/etc/motd", ids[0]), out.to_str().unwrap());
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "from the image");
    // what was changed is there from the next start on
    knarr.ok(&["restart", "-t", "1", id]);
    copy(&format!("{id}:/etc/motd"), out.to_str().unwrap());
    assert_eq!(std::fs::read_to_string(&out).unwrap(), "into it");
    let monitor = knarr.inspect(id, "{{.State.Pid}}");
    let mounts = std::fs::read_to_string(format!("/proc/{monitor}/mounts")).unwrap();
    assert!(mounts.contains(id.as_str()), "{mounts}");
}
