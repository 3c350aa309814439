//! What is mounted in a container, whatever an image and its user put in the way.

use crate::harness::Knarr;
use crate::harness::image::Tar;

#[test]
fn nobody_chooses_what_hides_the_kernel_s_files() {
    let knarr = Knarr::new().with_busybox();
    let own = knarr.files().join("own-dev");
    std::fs::create_dir(&own).unwrap();
    std::os::unix::fs::symlink("/proc/sys/kernel/domainname", own.join("null")).unwrap();
    let mut tar = Tar::new();
    tar.directory("dev", 0o755);
    tar.link("dev/null", "/proc/sys/kernel/domainname");
    tar.file("bin/busybox", 0o755, &std::fs::read("/bin/busybox").unwrap());
    knarr.import("volume", "linux/amd64", &["VOLUME /dev"], &tar.finish());
    // hidden files are null devices, hidden directories are empty, and the rest of /proc/sys is read-only
    let look = "for f in timer_list keys kcore interrupts; do [ ! -e /proc/$f ] || /bin/busybox stat -c %t:%T /proc/$f; done; \
        for d in /proc/acpi /proc/scsi /sys/firmware; do [ ! -d $d ] || /bin/busybox ls $d; done; \
        echo x 2>/dev/shm/x >/proc/sys/kernel/domainname || echo read-only";
    let look = look.replace("2>/dev/shm/x ", "");
    let expect = |shown: &str, how: &str| {
        let lines: Vec<&str> =
            shown.lines().filter(|line| !line.contains("can't create")).collect();
        let (last, masks) = lines.split_last().unwrap();
        assert!(!masks.is_empty() && masks.iter().all(|mask| *mask == "1:3"), "{how}: {shown}");
        assert_eq!(*last, "read-only", "{how}");
    };
    let over = format!("{}:/dev", own.display());
    for options in [&["busybox"][..], &["-v", &over, "busybox"], &["volume"], &["--init", "volume"]]
    {
        let words = [&["run", "--rm"], options, &["/bin/busybox", "sh", "-c", &look]].concat();
        expect(&knarr.ok(&words), &format!("{options:?}"));
    }
    let id = knarr.ok(&["run", "-d", "volume", "/bin/busybox", "sleep", "1000"]);
    expect(&knarr.ok(&["exec", &id, "/bin/busybox", "sh", "-c", &look]), "exec");
    let dockerfile = format!(
        "FROM busybox AS dev\nRUN mkdir /d && ln -s /proc/sys/kernel/domainname /d/null\n\
         FROM busybox\nRUN --mount=type=bind,from=dev,source=/d,target=/dev echo begin; {look}; echo end\n"
    );
    let built = knarr.built(&dockerfile, &["--network", "none"]);
    let lines = built
        .lines()
        .filter_map(|line| line.split_once(' ')?.1.split_once(' ').map(|(_, text)| text));
    let shown: Vec<&str> = lines
        .skip_while(|line| *line != "begin")
        .skip(1)
        .take_while(|line| *line != "end")
        .collect();
    expect(&shown.join("\n"), "RUN");
}

#[test]
fn nothing_is_mounted_in_proc() {
    let knarr = Knarr::new().with_busybox();
    let file = knarr.file("value", "1\n");
    let folder = knarr.files().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let (file, folder) = (file.display(), folder.display());
    let mut tar = Tar::new();
    tar.directory("proc", 0o755);
    tar.link("way", "/proc/sys");
    tar.file("bin/busybox", 0o755, &std::fs::read("/bin/busybox").unwrap());
    let tar = tar.finish();
    knarr.import("links", "linux/amd64", &[r#"CMD ["/bin/busybox", "true"]"#], &tar);
    for (at, volume) in ["/proc", "/proc/sys", "/proc/1", "/way"].iter().enumerate() {
        let (name, change) = (format!("volume{at}"), format!("VOLUME {volume}"));
        knarr.import(&name, "linux/amd64", &[&change, r#"CMD ["/bin/busybox", "true"]"#], &tar);
        let said = knarr.fails(125, &["run", "--rm", &name]);
        assert!(said.contains("lies in /proc"), "{volume}: {said}");
    }
    for mount in [
        format!("{folder}:/proc"),
        format!("{folder}:/proc/sys"),
        format!("{folder}:/proc/1"),
        format!("{folder}:/proc/../proc/sys"),
        format!("{file}:/proc/sys/kernel/domainname"),
        format!("{folder}:/way/kernel"),
        format!("{folder}:/proc/acpi"),
    ] {
        let said = knarr.fails(125, &["run", "--rm", "-v", &mount, "links"]);
        assert!(said.contains("lies in /proc"), "{mount}: {said}");
    }
    assert!(
        knarr.fails(125, &["run", "--rm", "--tmpfs", "/proc", "links"]).contains("lies in /proc")
    );
    let build = "FROM busybox\nRUN --mount=type=tmpfs,target=/proc/sys true\n";
    let said = knarr.build(build, &["--network", "none"]);
    assert!(said.code != 0 && said.stderr.contains("lies in /proc"), "{}", said.stderr);
    // what programs of other container tools replace, and the kernel's own
    let words =
        ["run", "--rm", "-v", &format!("{file}:/proc/uptime"), "busybox", "cat", "/proc/uptime"];
    assert_eq!(knarr.ok(&words), "1");
    knarr.ok(&["run", "--rm", "-v", "/proc:/proc", "busybox", "ls", "/proc/self/"]);
}

#[test]
fn mount_points_below_links_that_lead_nowhere_yet() {
    let knarr = Knarr::new().with_busybox();
    let mut tar = Tar::new();
    tar.file("bin/busybox", 0o755, &std::fs::read("/bin/busybox").unwrap());
    tar.link("data", "/srv/new");
    tar.link("up", "../../../../../made/here");
    tar.link("file", "/srv/file");
    knarr.import("links", "linux/amd64", &[], &tar.finish());
    let folder = knarr.files().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let file = knarr.file("folder/a", "seen");
    let mount = |source: &std::path::Path, target: &str| format!("{}:{target}", source.display());
    let (one, two, three) =
        (mount(&folder, "/data/sub"), mount(&folder, "/up"), mount(&file, "/file"));
    let look = "cat /srv/new/sub/a /made/here/a /srv/file; readlink /data /up /file";
    let look = look.replace("cat ", "/bin/busybox cat ").replace("readlink", "/bin/busybox ls -ld");
    let words = [
        "run",
        "--rm",
        "-v",
        &one,
        "-v",
        &two,
        "-v",
        &three,
        "links",
        "/bin/busybox",
        "sh",
        "-c",
        &look,
    ];
    let shown = knarr.ok(&words);
    assert!(shown.starts_with("seenseenseen"), "{shown}");
    assert_eq!(shown.matches(" -> ").count(), 3, "{shown}");
    assert!(!std::path::Path::new("/made").exists());
}

#[test]
fn a_read_only_container_has_no_file_to_write() {
    let knarr = Knarr::new().with_busybox();
    let script =
        "for f in /etc/hosts /etc/hostname /etc/resolv.conf /x; do (echo x >> $f) 2>&1; done; true";
    let run = |options: &[&str]| {
        knarr.ok(&[&["run", "--rm"], options, &["busybox", "sh", "-c", script]].concat())
    };
    assert_eq!(run(&["--read-only"]).matches("Read-only file system").count(), 4);
    assert_eq!(run(&[]), "");
}
