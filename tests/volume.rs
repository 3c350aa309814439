//! Volumes and other mounts.

use crate::harness::image::Tar;
use crate::harness::proc::mounts_under;
use crate::harness::{Knarr, NewUser};
use rustix::fs::{XattrFlags, getxattr, setxattr};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};
use std::ffi::CStr;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    assert!(!Path::new(&path).exists());
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
    let mut tar = Tar::new();
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

/// An image whose /data has so many files that copying them takes a while.
fn with_data(knarr: Knarr) -> Knarr {
    let mut tar = Tar::new();
    tar.directory("data", 0o750);
    for number in 0..FILES {
        tar.file(&format!("data/{number}"), 0o644, b"content");
    }
    let base = crate::harness::image::busybox();
    let mut both = base[..base.len() - 1024].to_vec();
    both.extend(tar.finish());
    knarr.import("data", "linux/amd64", &[r#"CMD ["sh"]"#], &both);
    knarr
}

const FILES: usize = 1500;
const COUNT: [&str; 4] = ["data", "sh", "-c", "ls /data | wc -l"];

#[test]
fn of_many_that_start_at_once_one_fills_the_volume() {
    let knarr = with_data(Knarr::new());
    let run = [&["run", "--rm", "-v", "fresh:/data"], &COUNT[..]].concat();
    let children: Vec<_> = (0..8).map(|_| knarr.start(&run, Stdio::null())).collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(said.trim(), FILES.to_string(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let path = knarr.ok(&["volume", "inspect", "-f", "{{.Mountpoint}}", "fresh"]);
    assert_eq!(std::fs::metadata(path).unwrap().mode() & 0o7777, 0o750);
}

#[test]
fn a_volume_is_filled_wholly_or_again_whenever_the_start_is_killed() {
    let knarr = with_data(Knarr::new());
    for delay in [5, 10, 15, 20, 30, 40, 60] {
        let name = format!("fresh{delay}");
        let mount = format!("{name}:/data");
        let run = [&["run", "--rm", "-v", &mount], &COUNT[..]].concat();
        let mut child = knarr.start(&run, Stdio::null());
        // somewhere in the middle of its work: any moment will do
        let moment = rustix::event::Timespec { tv_sec: 0, tv_nsec: delay * 1_000_000 };
        rustix::event::poll(&mut [], Some(&moment)).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(knarr.ok(&run), FILES.to_string(), "after {delay} ms");
    }
}

#[test]
fn owners_as_the_container_s_user_sees_them() {
    let knarr = Knarr::new().with_busybox().with_kit();
    let host = knarr.files().join("host");
    std::fs::create_dir(&host).unwrap();
    std::fs::write(host.join("file"), "x").unwrap();
    chown(&host, Some(1234), Some(1234)).unwrap();
    chown(host.join("file"), Some(1234), Some(1234)).unwrap();
    let owner = |name: &str| {
        let metadata = std::fs::metadata(host.join(name)).unwrap();
        (metadata.uid(), metadata.gid())
    };
    let bind = |options: &str| format!("{}:/m:{options}", host.display());
    let script = "stat -c %u:%g /m/file; touch /m/new";
    let run = ["run", "--rm", "-u", "77:88", "-v", &bind("idmap"), "busybox", "sh", "-c", script];
    assert_eq!(knarr.ok(&run), "77:88");
    assert_eq!((owner("file"), owner("new")), ((1234, 1234), (1234, 1234)));
    let map = bind("idmap=uids=1234-5-1;gids=1234-6-1");
    let stat = ["busybox", "stat", "-c", "%u:%g", "/m/file"];
    assert_eq!(knarr.ok(&[&["run", "--rm", "-v", &map], &stat[..]].concat()), "5:6");
    // the same for Wasm, whose process is the image's user
    knarr.ok(&["run", "--rm", "-u", "77:88", "-v", &bind("idmap"), "kit", "write", "/m/wasm", "x"]);
    assert_eq!(owner("wasm"), (1234, 1234));
    knarr.ok(&["run", "--rm", "-u", "77:88", "-v", &bind("U"), "kit", "write", "/m/file", "y"]);
    assert_eq!((owner("file"), owner("new"), owner(".")), ((77, 88), (77, 88), (77, 88)));
    let said = knarr.fails(125, &["run", "--rm", "-v", "/etc:/m:U", "busybox"]);
    assert!(said.contains("/etc, which is to be mounted at /m, is not given"), "{said}");
    assert_eq!(std::fs::metadata("/etc").unwrap().uid(), 0);
}

#[test]
fn a_part_of_a_volume() {
    let knarr = Knarr::new().with_busybox().with_kit();
    let script = "mkdir -p /v/a/b; echo deep > /v/a/b/file; ln -s /etc /v/out; ln -s a/b /v/in";
    knarr.ok(&["run", "--rm", "-v", "vol:/v", "busybox", "sh", "-c", script]);
    let mount = |subpath: &str| format!("type=volume,src=vol,dst=/m,volume-subpath={subpath}");
    for subpath in ["a/b", "in"] {
        for image in ["busybox", "kit"] {
            let run = ["run", "--rm", "--mount", &mount(subpath), image, "cat", "/m/file"];
            assert_eq!(knarr.ok(&run), "deep", "{image} {subpath}");
        }
    }
    // a link that a container made leads nowhere outside
    let said = knarr.fails(125, &["run", "--rm", "--mount", &mount("out"), "busybox"]);
    assert!(said.contains("out does not exist in"), "{said}");
    let said = knarr.fails(125, &["run", "--rm", "--mount", &mount("../x"), "busybox"]);
    assert!(said.contains("leads out of the volume"), "{said}");
}

#[test]
fn memory_has_its_size_for_wasm_as_well() {
    let user = NewUser::new();
    let much = "x".repeat(100 << 10);
    for knarr in [Knarr::new().with_kit(), Knarr::of_user(user.0.clone()).with_kit()] {
        for tmpfs in
            [["--tmpfs", "/m:size=64k,mode=700"], ["--mount", "type=tmpfs,dst=/m,tmpfs-size=64k"]]
        {
            let write = |text: &str| {
                knarr.run(
                    &[&["run", "--rm"], &tmpfs[..], &["kit", "write", "/m/out", text]].concat(),
                )
            };
            write("little").ok();
            let said = write(&much).code(1).stderr;
            assert!(said.contains("os error 51"), "{said}");
        }
    }
}

#[test]
fn a_volume_in_memory_is_shared_and_ends_with_its_removal() {
    let knarr = Knarr::new().with_busybox();
    let words = ["volume", "create", "-o", "type=tmpfs", "-o", "o=size=1m,mode=1777", "mem"];
    knarr.ok(&words);
    let id = knarr.ok(&[
        "run",
        "-d",
        "-v",
        "mem:/m",
        "busybox",
        "sh",
        "-c",
        "echo x > /m/x; sleep 1000",
    ]);
    crate::harness::proc::until("it is written", || {
        knarr.run(&["exec", &id, "cat", "/m/x"]).code == 0
    });
    assert_eq!(knarr.ok(&["run", "--rm", "-v", "mem:/m", "busybox", "cat", "/m/x"]), "x");
    knarr.ok(&["rm", "-f", &id]);
    assert_eq!(mounts_under(knarr.root()).len(), 1);
    knarr.ok(&["volume", "rm", "mem"]);
    assert_eq!(mounts_under(knarr.root()), Vec::<String>::new());
    let said = knarr.fails(1, &["volume", "create", "-o", "type=nfs", "x1"]);
    assert!(said.contains("hint: write type=tmpfs"), "{said}");
}

#[test]
fn volumes_of_another_container() {
    let knarr = Knarr::new().with_busybox().with_kit();
    knarr.ok(&[
        "run", "--name", "first", "-v", "/anon", "-v", "named:/n", "busybox", "touch", "/anon/x",
    ]);
    let run = |more: &[&str]| knarr.run(&[&["run", "--rm", "--volumes-from"], more].concat());
    assert_eq!(run(&["first", "busybox", "ls", "/anon", "/n"]).ok(), "/anon:\nx\n\n/n:");
    run(&["first:ro", "busybox", "touch", "/anon/y"]).code(1);
    run(&["first", "kit", "write", "/n/wasm", "z"]).ok();
    let said = run(&["first:x", "busybox"]).error(125);
    assert!(said.contains("does not name a container's volumes"), "{said}");
    // the anonymous volume goes with the last one that has it
    knarr.ok(&["create", "--name", "second", "--volumes-from", "first", "busybox"]);
    knarr.ok(&["rm", "-v", "first"]);
    assert_eq!(knarr.ok(&["volume", "ls", "-q"]).lines().count(), 2);
    knarr.ok(&["rm", "-v", "second"]);
    assert_eq!(knarr.ok(&["volume", "ls", "-q"]), "named");
}

#[test]
fn backup_and_restore() {
    let knarr = Knarr::new().with_busybox();
    let script = "echo kept > /v/file; chown 5:6 /v/file; chmod 700 /v; ln -s file /v/link";
    knarr.ok(&["run", "--rm", "-v", "one:/v", "busybox", "sh", "-c", script]);
    let file = knarr.files().join("backup.tar");
    let file = file.to_str().unwrap();
    knarr.ok(&["volume", "export", "one", "-o", file]);
    assert_eq!(knarr.ok(&["volume", "import", "two", file]), "two");
    let look = "stat -c '%a %u:%g' /v /v/file; readlink /v/link; cat /v/link";
    let look = |name: &str| {
        knarr.ok(&["run", "--rm", "-v", &format!("{name}:/v"), "busybox", "sh", "-c", look])
    };
    assert_eq!(look("two"), look("one"));
    assert!(look("two").contains("5:6"));
    let id = knarr.ok(&["run", "-d", "-v", "two:/v", "busybox", "sleep", "1000"]);
    let said = knarr.fails(1, &["volume", "import", "two", file]);
    assert!(said.contains("which runs") && said.contains("hint: stop it first"), "{said}");
    knarr.ok(&["rm", "-f", &id]);
    knarr.ok(&["volume", "import", "two", file]);
    let said = knarr.fails(1, &["volume", "export", "none", "-o", file]);
    assert!(said.contains("no volume \"none\""), "{said}");
    assert!(knarr.ok(&["system", "df", "-v"]).contains("VOLUME NAME"));
}

/// By the kernel on both sides, and GNU tar for the notation in between.
#[test]
fn backups_keep_extended_attributes() {
    let knarr = Knarr::new();
    let data = |name: &str| {
        knarr.ok(&["volume", "create", name]);
        PathBuf::from(knarr.ok(&["volume", "inspect", "-f", "{{.Mountpoint}}", name]))
    };
    let (one, two) = (data("one"), data("two"));
    std::fs::create_dir(one.join("folder")).unwrap();
    std::fs::write(one.join("folder/program"), "x").unwrap();
    // cap_net_raw+ep; and rw for user 77 (linux/posix_acl_xattr.h)
    let capability = [&[1, 0, 0, 2, 0, 0x20], &[0; 14][..]].concat();
    let entry = |tag: u16, permissions: u16, id: u32| {
        [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    let nobody = u32::MAX;
    let entries = [
        entry(1, 6, nobody),
        entry(2, 6, 77),
        entry(4, 4, nobody),
        entry(16, 6, nobody),
        entry(32, 4, nobody),
    ];
    let acl = [&2u32.to_le_bytes()[..], &entries.concat()].concat();
    let wanted = [
        (".", "user.top", &b"of the volume"[..]),
        ("folder", "user.note", b"a\0b\n=c"),
        ("folder", "system.posix_acl_default", &acl),
        ("folder/program", "security.capability", &capability),
        ("folder/program", "system.posix_acl_access", &acl),
        ("folder/program", "user.empty", b""),
    ];
    for (path, name, value) in wanted {
        setxattr(one.join(path), name, value, XattrFlags::empty()).unwrap();
    }
    let file = knarr.files().join("backup.tar");
    let file = file.to_str().unwrap();
    knarr.ok(&["volume", "export", "one", "-o", file]);
    let unpacked = knarr.files().join("unpacked");
    std::fs::create_dir(&unpacked).unwrap();
    let mut tar = Command::new("tar");
    tar.args(["--xattrs", "--xattrs-include=*", "-xf", file, "-C"]).arg(&unpacked);
    assert!(tar.status().unwrap().success());
    knarr.ok(&["volume", "import", "two", file]);
    for root in [unpacked, two] {
        for (path, name, value) in wanted {
            let mut found = [0; 256];
            let length = getxattr(root.join(path), name, &mut found).unwrap();
            assert_eq!(&found[..length], value, "{name} of {}", root.join(path).display());
        }
    }
}

/// A mount of memory on the host, shared or not; unmounted with all that came to be below it.
struct Memory(PathBuf);

impl Memory {
    fn new(path: PathBuf, propagation: MountPropagationFlags) -> Self {
        std::fs::create_dir(&path).unwrap();
        mount("none", &path, "tmpfs", MountFlags::empty(), None::<&CStr>).unwrap();
        mount_change(&path, propagation).unwrap();
        std::fs::create_dir_all(path.join("source/inside")).unwrap();
        std::fs::create_dir(path.join("source/outside")).unwrap();
        Self(path)
    }

    fn source(&self) -> String {
        self.0.join("source").display().to_string()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        for line in mounts_under(&self.0).iter().rev() {
            let path = line.split_whitespace().nth(4).unwrap();
            let _ = unmount(path, UnmountFlags::DETACH);
        }
    }
}

#[test]
fn mounts_come_and_go_through_a_shared_one() {
    let knarr = Knarr::new().with_busybox().with_kit();
    let memory = Memory::new(knarr.files().join("memory"), MountPropagationFlags::SHARED);
    let source = memory.source();
    let outside = Path::new(&source).join("outside");
    for (word, up, down) in [
        ("rshared", true, true),
        ("shared", true, true),
        ("rslave", false, true),
        ("rprivate", false, false),
    ] {
        let bind = format!("type=bind,src={source},dst=/m,bind-propagation={word}");
        let id = knarr.ok(&["run", "-d", "--mount", &bind, "busybox", "sleep", "1000"]);
        let pid = knarr.inspect(&id, "{{.State.Pid}}");
        // as a privileged program in the container does it
        let nsenter = ["-t", &pid, "-m", "mount", "-t", "tmpfs", "none", "/m/inside"];
        assert!(Command::new("nsenter").args(nsenter).status().unwrap().success());
        let mounted = |path: &str| {
            let mounts = std::fs::read_to_string(format!("/proc/{path}/mounts")).unwrap();
            move |place: &str| mounts.lines().any(|line| line.split(' ').nth(1) == Some(place))
        };
        assert!(mounted(&pid)("/m/inside"));
        assert_eq!(mounted("self")(&format!("{source}/inside")), up, "{word}");
        mount("none", &outside, "tmpfs", MountFlags::empty(), None::<&CStr>).unwrap();
        assert_eq!(mounted(&pid)("/m/outside"), down, "{word}");
        unmount(&outside, UnmountFlags::empty()).unwrap();
        assert!(!mounted(&pid)("/m/outside"), "{word}");
        knarr.ok(&["rm", "-f", &id]);
        let left = unmount(format!("{source}/inside"), UnmountFlags::empty());
        assert_eq!(left.is_ok(), up, "{word}");
    }
    // a Wasm guest sees the same, with any of them
    std::fs::write(Path::new(&source).join("file"), "text").unwrap();
    for word in ["rshared", "shared", "rslave", "slave", "rprivate", "private"] {
        let bind = format!("{source}:/m:{word}");
        let run = ["run", "--rm", "-v", &bind, "-v", "plain:/p", "kit", "cat", "/m/file"];
        assert_eq!(knarr.ok(&run), "text", "{word}");
    }
    assert_eq!(mounts_under(&memory.0).len(), 1);
}

#[test]
fn what_is_not_shared_on_the_host_is_not_shared() {
    let knarr = Knarr::new().with_busybox().with_kit();
    let memory = Memory::new(knarr.files().join("memory"), MountPropagationFlags::PRIVATE);
    let (source, point) = (memory.source(), memory.0.display());
    for (word, wanted) in [("rshared", "shared"), ("slave", "shared or slave")] {
        for image in ["busybox", "kit"] {
            let bind = format!("{source}:/m:{word}");
            let said = knarr.fails(125, &["run", "--rm", "-v", &bind, image]);
            let expected =
                format!("path {source} is mounted on {point} but it is not a {wanted} mount");
            assert!(said.contains(&expected), "{said}");
            assert!(said.contains(&format!("mount --make-rshared {point}")), "{said}");
        }
    }
}

#[test]
fn prune_lists_what_goes_before_it_asks() {
    let knarr = Knarr::new().with_busybox();
    for (name, label) in [("one", "keep=1"), ("two", "keep=0")] {
        knarr.ok(&["volume", "create", "--label", label, name]);
    }
    knarr.ok(&["create", "--name", "user", "-v", "used:/u", "-v", "/anon", "busybox"]);
    let ended = knarr.run_with_input(&["volume", "prune", "-a"], b"n\n").code(0);
    assert!(ended.stderr.contains("These volumes will be removed:\n  one ("), "{}", ended.stderr);
    assert!(!ended.stderr.contains("used"));
    knarr.ok(&["volume", "prune", "-a", "-f", "--filter", "label!=keep=1"]);
    assert_eq!(knarr.ok(&["volume", "ls", "-q", "-f", "name=o"]), "one");
    knarr.ok(&["rm", "user"]);
    knarr.ok(&["volume", "prune", "-f"]);
    assert_eq!(knarr.ok(&["volume", "ls", "-q"]), "one\nused");
}
