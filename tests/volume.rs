//! Volumes and other mounts.

use crate::harness::Knarr;

#[test]
fn a_named_volume_outlives_its_containers() {
    let knarr = Knarr::new().with_busybox().with_kit();
    knarr.ok(&["run", "--rm", "-v", "data:/data", "busybox", "sh", "-c", "echo x > /data/file"]);
    assert_eq!(knarr.ok(&["volume", "ls", "-q"]), "data");
    // a Wasm container sees the same
    assert_eq!(knarr.ok(&["run", "--rm", "-v", "data:/data", "kit", "cat", "/data/file"]), "x");
    let path = knarr.ok(&["volume", "inspect", "-f", "{{.Mountpoint}}", "data"]);
    assert_eq!(std::fs::read_to_string(format!("{path}/file")).unwrap(), "x\n");
    let id = knarr.ok(&["create", "-v", "data:/data", "busybox"]);
    let said = knarr.fails(1, &["volume", "rm", "data"]);
    assert!(said.contains("is used by"), "{said}");
    knarr.ok(&["rm", &id]);
    assert_eq!(knarr.ok(&["volume", "rm", "data"]), "data");
    assert!(!std::path::Path::new(&path).exists());
}

#[test]
fn an_empty_volume_gets_what_the_image_has_there() {
    let knarr = Knarr::new().with_busybox();
    let list = |mount: &str| knarr.ok(&["run", "--rm", "-v", mount, "busybox", "ls", "/etc"]);
    assert!(list("config:/etc").contains("passwd"));
    assert!(!list("empty:/etc:nocopy").contains("passwd"));
}

#[test]
fn anonymous_volumes_go_with_their_container() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["run", "--rm", "-v", "/data", "busybox", "touch", "/data/x"]);
    assert_eq!(knarr.ok(&["volume", "ls", "-q"]), "");
    knarr.ok(&["run", "--name", "kept", "-v", "/data", "busybox", "touch", "/data/x"]);
    assert_eq!(knarr.ok(&["volume", "ls", "-q"]).lines().count(), 1);
    knarr.ok(&["rm", "-v", "kept"]);
    assert_eq!(knarr.ok(&["volume", "ls", "-q"]), "");
}

#[test]
fn every_spelling_of_a_mount() {
    let knarr = Knarr::new().with_busybox();
    let host = knarr.files().join("host");
    std::fs::create_dir(&host).unwrap();
    std::fs::write(host.join("file"), "on the host\n").unwrap();
    let host = host.to_str().unwrap();
    let bind = format!("type=bind,source={host},target=/m");
    let read_only = format!("{bind},readonly");
    assert_eq!(
        knarr.ok(&["run", "--rm", "--mount", &bind, "busybox", "cat", "/m/file"]),
        "on the host"
    );
    let write = ["sh", "-c", "echo x > /m/new"];
    knarr.ok(&[&["run", "--rm", "--mount", &bind, "busybox"], &write[..]].concat());
    knarr.run(&[&["run", "--rm", "--mount", &read_only, "busybox"], &write[..]].concat()).code(1);
    let short = format!("{host}/file:/m/only:ro");
    assert_eq!(
        knarr.ok(&["run", "--rm", "-v", &short, "busybox", "cat", "/m/only"]),
        "on the host"
    );
    let tmpfs = [
        "run",
        "--rm",
        "--tmpfs",
        "/m:size=1m,mode=700",
        "busybox",
        "sh",
        "-c",
        "stat -c %a /m; dd if=/dev/zero of=/m/x bs=1k count=2000 2>/dev/null || echo full",
    ];
    assert_eq!(knarr.ok(&tmpfs), "700\nfull");
    let mount = [
        "run",
        "--rm",
        "--mount",
        "type=tmpfs,target=/m,tmpfs-size=64k",
        "busybox",
        "df",
        "-k",
        "/m",
    ];
    assert!(knarr.ok(&mount).contains(" 64 "));
    let said = knarr.fails(
        125,
        &["run", "--rm", "--mount", "type=bind,source=/not/there,target=/m", "busybox"],
    );
    assert!(said.contains("/not/there does not exist"), "{said}");
}

#[test]
fn a_mount_cannot_be_led_out_of_the_root_by_the_image() {
    let knarr = Knarr::new();
    let outside = knarr.files().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let mut tar = crate::harness::image::Tar::new();
    tar.link("escape", outside.to_str().unwrap());
    let base = crate::harness::image::busybox();
    let mut both = base[..base.len() - 1024].to_vec();
    both.extend(tar.finish());
    knarr.import("trap", "linux/amd64", &[], &both);
    let source = knarr.files().join("source");
    std::fs::create_dir(&source).unwrap();
    let mount = format!("{}:/escape/in", source.display());
    let ended = knarr.run(&["run", "--rm", "-v", &mount, "trap", "touch", "/escape/in/x"]);
    assert!(!outside.join("in").exists(), "{}", ended.stderr);
}
