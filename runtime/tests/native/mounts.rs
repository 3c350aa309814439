//! Volumes, tmpfs, the root file system; and images that try to turn a mount against the host.

use crate::fixture::{Fixture, chain};
use knarr_runtime::engine::{MountSource, ResolvedMount};
use std::fs;
use std::os::unix::fs::symlink;

crate::tests![
    binds_and_read_only,
    read_only_down_to_mounts_below,
    tmpfs,
    read_only_root,
    hostile_targets_stay_inside,
    hostile_system_directories,
    hostile_etc,
    files_of_etc,
    mounts_do_not_reach_the_host,
    working_directory,
];

fn binds_and_read_only() {
    let mut fixture = Fixture::new();
    let data = fixture.host("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("a"), "from the host").unwrap();
    fixture.bind(&data, "/made/on the way", false).bind(&data, "/ro", true).bind(
        &data.join("a"),
        "/etc/one file",
        true,
    );
    let script = "cat '/made/on the way/a' '/etc/one file'; echo x > '/made/on the way/b'";
    assert_eq!(fixture.sh(script), "from the hostfrom the host");
    assert_eq!(fs::read_to_string(data.join("b")).unwrap(), "x\n");
    let refused = fixture
        .sh("(echo y > /ro/c; echo y > '/etc/one file') 2>&1 | grep -c 'Read-only file system'");
    assert_eq!(refused, "2");
}

fn read_only_down_to_mounts_below() {
    let mut fixture = Fixture::new();
    let outer = fixture.host("outer");
    fs::create_dir_all(outer.join("inner")).unwrap();
    rustix::mount::mount(
        "none",
        outer.join("inner"),
        "tmpfs",
        rustix::mount::MountFlags::empty(),
        None::<&std::ffi::CStr>,
    )
    .unwrap();
    fixture.bind(&outer, "/v", true);
    let refused =
        fixture.sh("(touch /v/a; touch /v/inner/a) 2>&1 | grep -c 'Read-only file system'");
    assert_eq!(refused, "2");
}

fn tmpfs() {
    let mut fixture = Fixture::new();
    let options = vec!["exec".to_owned(), "uid=1000".to_owned()];
    let source = MountSource::Tmpfs { size: Some(1 << 20), mode: Some(0o700), options };
    fixture.mounts.push(ResolvedMount { source, target: "/t".into(), read_only: false });
    assert_eq!(
        fixture.sh("stat -c '%u %a' /t; df -k /t | tail -1 | grep -c ' 1024 '"),
        "1000 700\n1"
    );
    assert_eq!(fixture.sh("grep ' /t ' /proc/mounts | grep -c nosuid,nodev"), "1");
    assert_eq!(fixture.sh("grep ' /t ' /proc/mounts | grep -c noexec || true"), "0");
    assert!(fs::read_dir(fixture.rootfs.join("t")).unwrap().next().is_none());
}

fn read_only_root() {
    let mut fixture = Fixture::new();
    fixture.spec.read_only_rootfs = true;
    fixture.spec.process.cwd = "/made/before".into();
    let refused = fixture.sh(
        "(touch /x; touch /tmp/x) 2>&1 | grep -c 'Read-only file system'; pwd; touch /dev/shm/x",
    );
    assert_eq!(refused, "2\n/made/before");
}

fn hostile_targets_stay_inside() {
    let mut fixture = Fixture::new();
    let (victim, data) = (fixture.host("victim"), fixture.host("data"));
    for folder in [&victim, &data] {
        fs::create_dir(folder).unwrap();
    }
    fs::write(data.join("mark"), "mark").unwrap();
    // a link to a folder of the host, by absolute and by relative path, and one through /proc
    symlink(&victim, fixture.rootfs.join("absolute")).unwrap();
    symlink("../../../../../../../../..", fixture.rootfs.join("up")).unwrap();
    symlink("/proc/self/root", fixture.rootfs.join("magic")).unwrap();
    let inside = fixture.rootfs.join(victim.strip_prefix("/").unwrap());
    fs::create_dir_all(&inside).unwrap();
    let up = format!("/up{}/new", victim.display());
    fixture.bind(&data, "/absolute", false).bind(&data, &up, false);
    let seen = fixture.sh(&format!("cat /absolute/mark {}/mark {0}/new/mark", victim.display()));
    assert_eq!(seen, "markmark".to_owned() + "mark");
    assert!(fs::read_dir(&victim).unwrap().next().is_none(), "the host's folder was touched");
    fixture.mounts.clear();
    fixture.bind(&data, "/magic/bin", false);
    let error = fixture.start().err().expect("a link of /proc is not followed");
    assert!(chain(&error).contains("/magic/bin"), "{}", chain(&error));
}

fn hostile_system_directories() {
    for name in ["proc", "sys", "dev"] {
        let fixture = {
            let mut fixture = Fixture::new();
            fixture.command(&["true"]);
            fixture
        };
        let elsewhere = fixture.host("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        symlink("/tmp", fixture.rootfs.join(name)).unwrap();
        let error = fixture.start().err().expect("it is a link");
        let text = chain(&error);
        assert!(text.contains(&format!("/{name}")) && text.contains("symbolic link"), "{text}");
        assert_eq!(error.exit_code(), 125);
    }
}

fn hostile_etc() {
    // the image's own files of /etc are links to the host's
    let mut fixture = Fixture::new();
    let victim = fixture.host("victim");
    fs::write(&victim, "root:x:0:0::/root:\nevil:x:4242:0::/:\n").unwrap();
    for name in ["passwd", "group"] {
        let _ = fs::remove_file(fixture.rootfs.join("etc").join(name));
        symlink(&victim, fixture.rootfs.join("etc").join(name)).unwrap();
    }
    fixture.spec.process.user = "evil".into();
    fixture.command(&["true"]);
    let error = fixture.start().err().expect("only the host's file has that user");
    assert!(error.to_string().contains("\"evil\" is not a user of the image"), "{error}");
    let mut fixture = Fixture::new();
    fs::remove_dir_all(fixture.rootfs.join("etc")).unwrap();
    let folder = fixture.host("folder");
    fs::create_dir(&folder).unwrap();
    symlink(&folder, fixture.rootfs.join("etc")).unwrap();
    fixture.command(&["true"]);
    fixture.run();
    let inside = fixture.rootfs.join(folder.strip_prefix("/").unwrap());
    assert!(inside.join("hosts").is_file(), "the link is followed inside the root");
    assert!(fs::read_dir(&folder).unwrap().next().is_none(), "the host's folder was touched");
}

fn files_of_etc() {
    let mut fixture = Fixture::new();
    fixture.spec.extra_hosts = vec![("db".into(), "10.1.2.3".into())];
    fixture.spec.network = knarr_core::spec::NetworkMode::None;
    let short = fixture.spec.id.short().to_owned();
    assert_eq!(
        fixture.sh("grep -c localhost /etc/hosts; grep db /etc/hosts; cat /etc/hostname"),
        format!("2\n10.1.2.3\tdb\n{short}")
    );
    let host = fs::read_to_string("/etc/resolv.conf").unwrap();
    assert_eq!(fixture.sh("cat /etc/resolv.conf"), host.trim_end());
    // they are the container's, and stay
    fixture.sh("echo '# mine' >> /etc/hosts");
    assert!(fixture.sh("cat /etc/hosts").ends_with("# mine"));
    // unless the user brings others
    let own = fixture.host("hosts");
    fs::write(&own, "own").unwrap();
    fixture.bind(&own, "/etc/hosts", true);
    assert_eq!(fixture.sh("cat /etc/hosts"), "own");
}

fn mounts_do_not_reach_the_host() {
    let mut fixture = Fixture::new();
    let before = fs::read_to_string("/proc/self/mountinfo").unwrap();
    fixture.sh("true");
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
    fixture.command(&["/nope"]);
    assert!(fixture.start().is_err());
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), before);
    // and the host's are not in the container
    assert_eq!(
        fixture.sh(
            "grep -v -e ' / ' -e ' /proc' -e ' /sys' -e ' /dev' -e ' /etc/' /proc/mounts | wc -l"
        ),
        "0"
    );
}

fn working_directory() {
    let mut fixture = Fixture::new();
    fixture.spec.process.cwd = "/made/for/it".into();
    assert_eq!(fixture.sh("pwd"), "/made/for/it");
    fixture.spec.process.user = "ann".into();
    assert_eq!(fixture.sh("pwd; stat -c %u ."), "/made/for/it\n0");
    fixture.spec.process.cwd = "/bin/busybox".into();
    fixture.command(&["true"]);
    let error = fixture.start().err().expect("it is a file");
    assert_eq!(error.exit_code(), 126, "{}", chain(&error));
}
