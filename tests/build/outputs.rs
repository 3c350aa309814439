//! Where a build goes.

use crate::harness::Knarr;
use serde_json::Value;

const DOCKERFILE: &str =
    "FROM busybox AS files\nRUN echo made >/made\nFROM scratch\nCOPY --from=files /made /\n";

#[test]
fn each_kind_of_output() {
    let knarr = Knarr::new().with_busybox();
    let path = |name: &str| knarr.files().join(name).to_str().unwrap().to_owned();
    knarr.built(DOCKERFILE, &["-o", &path("folder")]);
    assert_eq!(std::fs::read_to_string(path("folder/made")).unwrap(), "made\n");
    assert_eq!(std::fs::read_dir(path("folder")).unwrap().count(), 1);
    let context = knarr.context(&[]);
    let tar = knarr.command(&["build", "-o", "-", context.to_str().unwrap()]).output().unwrap();
    let mut archive = tar::Archive::new(&tar.stdout[..]);
    let names: Vec<_> = archive
        .entries()
        .unwrap()
        .map(|e| e.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names, ["made"]);
    for kind in ["oci", "docker"] {
        let archive = path(kind);
        knarr.built(DOCKERFILE, &["-o", &format!("type={kind},dest={archive}")]);
        let other = Knarr::new();
        assert!(other.ok(&["load", "-i", &archive]).contains("app"), "{kind}");
    }
    // none of these put it into the store
    assert!(knarr.run(&["image", "inspect", "app"]).code != 0);
    let error = knarr.build(DOCKERFILE, &["-o", "type=tar,dest=/proc/nothing"]).error(1);
    assert!(error.contains("/proc/nothing"), "{error}");
}

#[test]
fn exported_files_have_the_time_that_was_said() {
    let knarr = Knarr::new().with_busybox();
    let folder = knarr.files().join("dated");
    let to = folder.to_str().unwrap();
    knarr.built(DOCKERFILE, &["--build-arg", "SOURCE_DATE_EPOCH=1600000000", "-o", to]);
    let tar = knarr.files().join("dated.tar");
    let to = format!("type=tar,dest={}", tar.to_str().unwrap());
    knarr.built(DOCKERFILE, &["--build-arg", "SOURCE_DATE_EPOCH=1600000000", "-o", &to]);
    let seconds = std::os::unix::fs::MetadataExt::mtime(&folder.join("made").metadata().unwrap());
    assert_eq!(seconds, 1_600_000_000);
    let mut archive = tar::Archive::new(std::fs::File::open(tar).unwrap());
    for entry in archive.entries().unwrap() {
        assert_eq!(entry.unwrap().header().mtime().unwrap(), 1_600_000_000);
    }
}

#[test]
fn what_programs_read() {
    let knarr = Knarr::new().with_busybox();
    let path = |name: &str| knarr.files().join(name).to_str().unwrap().to_owned();
    let ended = knarr.build(
        DOCKERFILE,
        &["-q", "--iidfile", &path("id"), "--metadata-file", &path("metadata"), "-t", "other:2"],
    );
    assert_eq!(ended.stderr, "");
    let id = ended.ok();
    assert_eq!(std::fs::read_to_string(path("id")).unwrap(), id);
    assert_eq!(knarr.ok(&["images", "-q", "--no-trunc", "other:2"]), id);
    let metadata: Value =
        serde_json::from_str(&std::fs::read_to_string(path("metadata")).unwrap()).unwrap();
    assert_eq!(metadata["containerimage.digest"], id.as_str());
    assert_eq!(metadata["image.name"], "docker.io/library/app:latest,docker.io/library/other:2");
    let context = knarr.context(&[]);
    let words = ["buildx", "build", "--progress=rawjson", "--no-cache", context.to_str().unwrap()];
    let lines = knarr.run(&words).code(0).stderr;
    let events: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |key: &str| {
        events
            .iter()
            .flat_map(|e| e[key].as_array().cloned().unwrap_or_default())
            .collect::<Vec<_>>()
    };
    assert!(of("vertexes").iter().any(
        |v| v["name"].as_str().unwrap().contains("RUN echo made") && v["completed"].is_string()
    ));
}

#[test]
fn a_build_gives_the_same_image_twice() {
    let knarr = Knarr::new().with_busybox();
    let build = |knarr: &Knarr| {
        let context = knarr.context(&[("Dockerfile", DOCKERFILE)]);
        let words = ["build", "-q", "--no-cache", context.to_str().unwrap()];
        knarr
            .run_with(&words, |command| {
                command.env("SOURCE_DATE_EPOCH", "1700000000");
            })
            .ok()
    };
    let first = build(&knarr);
    assert_eq!(build(&knarr), first);
    assert_eq!(build(&Knarr::new().with_busybox()), first);
}

#[test]
fn the_terminal_shows_what_goes_on() {
    let knarr = Knarr::new().with_busybox();
    let context = knarr
        .context(&[("Dockerfile", "FROM busybox\nRUN echo seen; cat /proc/uptime >/dev/null\n")]);
    let mut terminal = knarr.at_terminal(&["build", "-t", "app", context.to_str().unwrap()]);
    terminal.shows("[+] Building");
    terminal.shows("[2/2] RUN echo seen");
    terminal.shows("FINISHED");
    assert_eq!(terminal.code(), 0);
}
