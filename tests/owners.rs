//! Files and processes of several users in the containers of an ordinary user, who has subordinate ids for them; and what one
//! without any is told.

use crate::harness::image::{Tar, busybox, guest};
use crate::harness::proc::{of_user, until};
use crate::harness::{Knarr, NewUser};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// The first of the ids that a user was granted.
fn first_of(user: &NewUser) -> u32 {
    let granted = std::fs::read_to_string("/etc/subuid").unwrap();
    let own = granted.lines().find(|line| line.starts_with(&format!("{}:", user.0.name)));
    own.expect("useradd grants no ids here").split(':').nth(1).unwrap().parse().unwrap()
}

/// A layer of a database: its own files, and a program that chooses its user.
fn database(knarr: &Knarr) {
    let mut tar = Tar::new();
    tar.file_of((70, 71), "data", 0o600, b"its own\n");
    let start = "#!/bin/sh\nbusybox chown 70:71 /var/db && exec busybox su db -s /bin/sh -c 'id; cat /data; echo x >/var/db/x'\n";
    tar.file("start", 0o755, start.as_bytes());
    tar.directory("var/db", 0o700);
    tar.file(
        "etc/passwd",
        0o644,
        b"root:x:0:0::/root:/bin/sh\ndb:x:70:71::/var/db:/bin/sh\nana:x:1000:1000::/:/bin/sh\n",
    );
    tar.file("etc/group", 0o644, b"root:x:0:\ndb:x:71:\ncrew:x:2000:db,ana\n");
    let folder = knarr.files().join("database");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("files.tar"), tar.finish()).unwrap();
    std::fs::write(
        folder.join("Dockerfile"),
        "FROM busybox\nADD files.tar /\nVOLUME /var/db\nCMD [\"/start\"]\n",
    )
    .unwrap();
    knarr.ok(&["build", "-q", "-t", "db", folder.to_str().unwrap()]);
}

fn in_tree(folder: &Path, name: &str) -> Vec<(u32, u32)> {
    let layers = folder.read_dir().map(|entries| entries.map(|e| e.unwrap().path().join("fs")));
    let found = layers.into_iter().flatten().filter_map(|fs| fs.join(name).symlink_metadata().ok());
    found.map(|metadata| (metadata.uid(), metadata.gid())).collect()
}

#[test]
fn an_image_with_several_users_runs_for_an_ordinary_user() {
    let user = NewUser::new();
    let first = first_of(&user);
    let knarr = Knarr::of_user(user.0.clone()).with_busybox();
    database(&knarr);
    let layers = knarr.root().join("layers-mapped");
    assert_eq!(in_tree(&layers, "data"), [(first + 69, first + 70)]);

    let start = ["run", "--rm", "-v", "store:/var/db", "db"];
    let said = knarr.ok(&start);
    assert_eq!(said, "uid=70(db) gid=71(db) groups=71(db),2000(crew)\nits own");
    for (options, script, expected) in [
        (&[][..], "stat -c %u:%g:%a /data", "70:71:600"),
        (&[], "touch /x && busybox chown 1000:2000 /x && stat -c %u:%g /x", "1000:2000"),
        (
            &["-u", "ana"],
            "id -u; id -G; cat /data 2>/dev/null || echo refused",
            "1000\n1000 2000\nrefused",
        ),
        (&["-u", "65534:65534"], "id -u", "65534"),
        (&["-v", "store:/s"], "stat -c %u:%g:%a /s; stat -c %u /s/x", "70:71:700\n70"),
        (&["-u", "70", "--group-add", "2000", "-v", "store:/s"], "cat /s/x", "x"),
        (&["--network", "none"], "stat -c %u /data", "70"),
        (&["--network", "host"], "stat -c %u /data", "70"),
        (&["--read-only"], "stat -c %u /data", "70"),
    ] {
        let run = [&["run", "--rm"], options, &["db", "sh", "-c", script]].concat();
        assert_eq!(knarr.ok(&run), expected, "{options:?} {script}");
    }
    let said = knarr.fails(125, &["run", "--rm", "-u", "70000", "db", "true"]);
    assert!(said.contains("70000") && said.contains("/etc/subuid"), "{said}");

    // root inside is the user outside
    let shared = knarr.files().join("shared");
    std::fs::create_dir(&shared).unwrap();
    std::os::unix::fs::chown(&shared, Some(user.0.id), Some(user.0.id)).unwrap();
    let bind = format!("{}:/s", shared.display());
    knarr.ok(&[
        "run",
        "--rm",
        "-v",
        &bind,
        "db",
        "sh",
        "-c",
        "touch /s/a /s/b; busybox chown 1:1 /s/b",
    ]);
    let owner = |name: &str| std::fs::metadata(shared.join(name)).unwrap().uid();
    assert_eq!((owner("a"), owner("b")), (user.0.id, first));
    knarr.ok(&["run", "--rm", "-v", &bind, "db", "rm", "/s/b"]);
}

#[test]
fn every_command_works_with_files_of_other_owners() {
    let user = NewUser::new();
    let knarr = Knarr::of_user(user.0.clone()).with_busybox();
    database(&knarr);
    let script = "mkdir -m 700 /private; echo secret >/private/x; busybox chown -R 70:71 /private; sleep 1000";
    knarr.ok(&["run", "-d", "--name", "one", "db", "sh", "-c", script]);
    until("its files are there", || {
        knarr.run(&["exec", "one", "stat", "-c", "%u", "/private"]).stdout == "70\n"
    });
    assert_eq!(
        knarr.ok(&["exec", "-u", "db", "one", "sh", "-c", "id -u; cat /private/x"]),
        "70\nsecret"
    );
    let copy = knarr.files().join("copy");
    let copied = |name: &str| {
        knarr.ok(&["cp", &format!("{name}:/private/x"), copy.to_str().unwrap()]);
        let metadata = std::fs::metadata(&copy).unwrap();
        assert_eq!(std::fs::read_to_string(&copy).unwrap(), "secret\n");
        std::fs::remove_file(&copy).unwrap();
        metadata.uid()
    };
    assert_eq!(copied("one"), user.0.id);
    let note = knarr.file("note", "note");
    knarr.ok(&["cp", note.to_str().unwrap(), "one:/private/note"]);
    assert_eq!(knarr.ok(&["exec", "one", "cat", "/private/note"]), "note");
    assert!(knarr.ok(&["ps", "-s", "--format", "{{.Size}}"]).contains("virtual"));
    knarr.ok(&["system", "df"]);
    knarr.ok(&["stop", "-t", "0", "one"]);
    assert_eq!(copied("one"), user.0.id);
    let archive = knarr.files().join("one.tar");
    knarr.ok(&["export", "-o", archive.to_str().unwrap(), "one"]);
    let mut tar = tar::Archive::new(std::fs::File::open(&archive).unwrap());
    let owners: Vec<_> = tar
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().unwrap().ends_with("private/x"))
        .map(|entry| (entry.header().uid().unwrap(), entry.header().gid().unwrap()))
        .collect();
    assert_eq!(owners, [(70, 71)]);

    knarr.ok(&["run", "--rm", "-v", "store:/var/db", "db"]);
    let backup = knarr.files().join("store.tar");
    let export = knarr.command(&["volume", "export", "store"]).output().unwrap();
    assert!(export.status.success());
    std::fs::write(&backup, &export.stdout).unwrap();
    knarr.ok(&["volume", "create", "again"]);
    knarr.run_with_input(&["volume", "import", "again"], &export.stdout).ok();
    let stat = ["run", "--rm", "-v", "again:/s", "busybox", "stat", "-c", "%u:%g:%a", "/s", "/s/x"];
    assert_eq!(knarr.ok(&stat), "70:71:700\n70:71:644");
    knarr.ok(&["volume", "rm", "store", "again"]);

    knarr.ok(&["rm", "-v", "one"]);
    let file = knarr.files().join("db.tar");
    knarr.ok(&["save", "-o", file.to_str().unwrap(), "db"]);
    knarr.ok(&["rmi", "-f", "db", "busybox"]);
    knarr.ok(&["system", "prune", "-af", "--volumes"]);
    for folder in ["layers-mapped", "layers", "volumes", "containers/by-name"] {
        let names = knarr.root().join(folder).read_dir().map(|e| e.map(|e| e.unwrap().file_name()));
        assert_eq!(names.into_iter().flatten().collect::<Vec<_>>(), [""; 0], "{folder}");
    }
    // what was saved has the ids of the image, for everybody
    knarr.ok(&["load", "-q", "-i", file.to_str().unwrap()]);
    let stat = ["run", "--rm", "db", "stat", "-c", "%u:%g:%a", "/data"];
    assert_eq!(knarr.ok(&stat), "70:71:600");
    let root = Knarr::new();
    root.ok(&["load", "-q", "-i", file.to_str().unwrap()]);
    assert_eq!(root.ok(&stat), "70:71:600");
}

#[test]
fn builds_of_an_ordinary_user_keep_owners() {
    let user = NewUser::new();
    let knarr = Knarr::of_user(user.0.clone()).with_busybox();
    let context = knarr.context(&[
        (
            "Dockerfile",
            "FROM busybox AS first
             COPY --chown=ana:crew --chmod=600 file /copied
             RUN echo 'app:x:500:500::/app:/bin/sh' >>/etc/passwd && mkdir /app && busybox chown app /app
             RUN busybox su app -c 'echo made >/app/x && chmod 600 /app/x'
             USER app
             RUN id -u >/app/id && cat /app/x
             FROM busybox AS other
             COPY --from=first /app /app
             RUN stat -c 'copied %u:%g:%a' /app /app/x
             FROM first
             USER 0
             COPY --from=other /app/x /other
             RUN stat -c '%u:%g:%a' /copied /app /app/x /app/id",
        ),
        ("file", "x"),
    ]);
    let build = ["build", "--progress", "plain", "-t", "app", context.to_str().unwrap()];
    let said = knarr.run(&build).code(0).stderr;
    for line in ["1000:2000:600", "500:0:755", "500:500:600", "500:500:644", "copied 500:500:600"] {
        assert!(said.contains(line), "{line}\n{said}");
    }
    let stat = ["run", "--rm", "app", "stat", "-c", "%u:%g", "/copied", "/app/x"];
    assert_eq!(knarr.ok(&stat), "1000:2000\n500:500");
    // and from the cache
    knarr.run(&build).code(0);
    assert_eq!(knarr.ok(&stat), "1000:2000\n500:500");
    knarr.assert_no_step_left();
    knarr.ok(&["builder", "du"]);
    knarr.ok(&["rmi", "-f", "app"]);
    knarr.ok(&["builder", "prune", "-af"]);
}

#[test]
fn a_wasm_guest_of_an_ordinary_user_meets_files_of_other_owners() {
    let user = NewUser::new();
    let knarr = Knarr::of_user(user.0.clone()).with_busybox();
    let mut tar = Tar::new();
    tar.file("kit.wasm", 0o755, &guest("kit.p1.wasm"));
    tar.directory("tmp", 0o1777);
    tar.file_of((70, 71), "data", 0o600, b"its own\n");
    knarr.import("kit", "wasi/wasm", &[r#"ENTRYPOINT ["/kit.wasm"]"#], &tar.finish());
    assert_eq!(knarr.ok(&["run", "--rm", "-u", "70:71", "kit", "cat", "/data"]), "its own");
    knarr.run(&["run", "--rm", "-u", "1000", "kit", "cat", "/data"]).code(1);
    // what one engine writes the other one finds, with its owner
    knarr.ok(&[
        "run",
        "--rm",
        "-v",
        "vol:/v",
        "busybox",
        "sh",
        "-c",
        "busybox chown 70:71 /v && chmod 700 /v",
    ]);
    knarr.ok(&["run", "--rm", "-u", "70:71", "-v", "vol:/v", "kit", "write", "/v/x", "y"]);
    let stat = ["run", "--rm", "-v", "vol:/v", "busybox", "stat", "-c", "%u:%g", "/v/x"];
    assert_eq!(knarr.ok(&stat), "70:71");
    assert_eq!(
        knarr.ok(&["run", "--rm", "-u", "70:71", "-v", "vol:/v", "kit", "cat", "/v/x"]),
        "y"
    );
}

#[test]
fn a_user_without_subordinate_ids_is_told_what_is_missing() {
    let user = NewUser::alone();
    let knarr = Knarr::of_user(user.0.clone());
    let mut tar = busybox();
    // an archive's end is two empty blocks
    tar.truncate(tar.len() - 1024);
    let mut more = Tar::new();
    more.file_of((70, 71), "data", 0o644, b"its own\n");
    tar.extend(more.finish());
    knarr.import("busybox", "linux/amd64", &[r#"CMD ["sh"]"#], &tar);
    let missing = format!("/etc/subuid grants no ids to {}", user.0.name);
    let owner = ["stat", "-c", "%u:%g", "/data"];
    assert_eq!(knarr.ok(&[&["run", "--rm", "busybox"], &owner[..]].concat()), "0:0");
    let chown = ["busybox", "busybox", "chown", "70", "/data"];
    let said = knarr.run(&[&["run", "--rm"], &chown[..]].concat()).code(1).stderr;
    assert!(said.contains("Invalid argument") && said.contains(&missing), "{said}");
    assert!(said.contains("usermod --add-subuids"), "{said}");
    knarr.ok(&[&["create", "--name", "before", "busybox"], &owner[..]].concat());
    knarr.ok(&[&["run", "-d", "--name", "detached"], &chown[..]].concat());
    knarr.ok(&["wait", "detached"]);
    let log = knarr.run(&["logs", "detached"]).code(0).stderr;
    assert!(log.contains(&missing), "{log}");
    // a failure of another kind has no such cause
    let said = knarr.run(&["run", "--rm", "busybox", "cat", "/nowhere"]).code(1).stderr;
    assert!(!said.contains("subuid"), "{said}");
    let said = knarr.fails(125, &["run", "--rm", "-u", "ana", "busybox", "true"]);
    assert!(said.contains(&missing), "{said}");
    let said = knarr.build("FROM busybox\nRUN busybox chown 70 /data", &[]).error(1);
    assert!(said.contains(&missing), "{said}");
    let info = knarr.run(&["info"]).code(0);
    assert!(info.stdout.contains("Subordinate Ids: none") && info.stderr.contains(&missing));

    // what was made before goes on, and images have their owners from now on
    let grant = ["--add-subuids", "900000000-900065535", "--add-subgids", "900000000-900065535"];
    let granted = Command::new("usermod").args(grant).arg(&user.0.name).status().unwrap();
    assert!(granted.success());
    // a namespace that is there keeps its ids
    until("the networks of before are gone", || of_user(user.0.id).is_empty());
    assert_eq!(knarr.ok(&["start", "-a", "before"]), "0:0");
    assert_eq!(knarr.ok(&[&["run", "--rm", "busybox"], &owner[..]].concat()), "70:71");
    knarr.ok(&["run", "--rm", "-u", "ana", "busybox", "true"]);
    let info = knarr.run(&["info"]).code(0).stdout;
    assert!(info.contains("Subordinate Ids: 65536 users, 65536 groups"), "{info}");
    knarr.ok(&["rm", "before", "detached"]);
    knarr.ok(&["rmi", "-f", "busybox"]);
}
