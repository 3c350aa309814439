//! Options that no other test uses: each does what its help says. The last test sees to it that none is without a test.

use crate::harness::Knarr;
use crate::harness::proc::until;
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[test]
fn options_of_run_reach_the_record_and_the_kernel() {
    let knarr = Knarr::new().with_busybox();
    let labels = knarr.file("labels", "a=1\n# none\nb=two words\n");
    let id = knarr.ok(&[
        "run",
        "-d",
        "--name",
        "shell",
        "--label-file",
        labels.to_str().unwrap(),
        "--log-driver",
        "json-file",
        "--memory",
        "64m",
        "--memory-reservation",
        "32m",
        "--stop-timeout",
        "7",
        "--volume-driver",
        "local",
        "--net-alias",
        "other",
        "busybox",
        "sleep",
        "1000",
    ]);
    assert_eq!(knarr.inspect("shell", "{{json .Config.Labels}}"), r#"{"a":"1","b":"two words"}"#);
    assert_eq!(
        knarr.inspect("shell", "{{.Config.StopTimeout}} {{.HostConfig.LogConfig.Type}}"),
        "7 json-file"
    );
    let reservation = crate::harness::proc::cgroups_of(&BTreeSet::from([id]))
        .into_iter()
        .flat_map(|group| [group.join("memory.soft_limit_in_bytes"), group.join("memory.low")])
        .find_map(|file| std::fs::read_to_string(file).ok());
    assert_eq!(reservation.unwrap().trim(), (32 << 20).to_string());
    // the name leads there, where nobody listens
    let said = knarr.run(&["run", "--rm", "busybox", "wget", "-O-", "http://other:1/"]).stderr;
    assert!(said.contains("refused"), "{said}");
}

#[test]
fn addresses_of_ipv6_and_of_the_gateway_are_those_asked_for() {
    let knarr = Knarr::new().with_busybox();
    for (name, subnet, gateway) in
        [("one", "fd00:77:1::/64", "fd00:77:1::9"), ("two", "fd00:77:2::/64", "fd00:77:2::9")]
    {
        knarr.ok(&[
            "network",
            "create",
            "--attachable",
            "--ipv6",
            "--subnet",
            subnet,
            "--gateway",
            gateway,
            name,
        ]);
    }
    knarr.ok(&[
        "run",
        "-d",
        "--name",
        "shell",
        "--network",
        "one",
        "--ip6",
        "fd00:77:1::42",
        "busybox",
        "sleep",
        "1000",
    ]);
    knarr.ok(&["network", "connect", "--ip6", "fd00:77:2::42", "two", "shell"]);
    let addresses = knarr.ok(&["exec", "shell", "ip", "-6", "addr"]);
    assert!(
        addresses.contains("fd00:77:1::42/") && addresses.contains("fd00:77:2::42/"),
        "{addresses}"
    );
    let routes = knarr.ok(&["exec", "shell", "ip", "-6", "route"]);
    assert!(routes.contains("default via fd00:77:1::9"), "{routes}");
}

/// A signal to the command is not one to the container, for `run` and for `attach`.
#[test]
fn without_sig_proxy_the_container_goes_on() {
    let knarr = Knarr::new().with_busybox();
    let script = "trap 'echo got' TERM; echo ready; sleep 1000 & wait; wait";
    let mut run = knarr.start(
        &["run", "--name", "shell", "--sig-proxy=false", "busybox", "sh", "-c", script],
        Stdio::piped(),
    );
    until("the container is ready", || knarr.run(&["logs", "shell"]).stdout == "ready\n");
    let pid = rustix::process::Pid::from_child(&run);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    run.wait().unwrap();
    assert_eq!(knarr.inspect("shell", "{{.State.Running}}"), "true");
    let mut attach =
        knarr.start(&["attach", "--sig-proxy=false", "--no-stdin", "shell"], Stdio::piped());
    attach.stdin.take().unwrap().write_all(b"not passed on\n").unwrap();
    let pid = rustix::process::Pid::from_child(&attach);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    attach.wait().unwrap();
    assert_eq!(knarr.inspect("shell", "{{.State.Running}}"), "true");
    assert_eq!(knarr.ok(&["logs", "shell"]), "ready");
}

/// The documents of the store that a digest leads to.
fn document(knarr: &Knarr, digest: &str) -> Value {
    let path = knarr.root().join("blobs/sha256").join(digest.trim_start_matches("sha256:"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn annotations_and_attestations_are_in_the_images_documents() {
    let knarr = Knarr::new().with_busybox();
    let build = |options: &[&str]| {
        let words = [&["-q", "--load"], options].concat();
        document(&knarr, &knarr.build("FROM busybox\nRUN echo 1 >/one\n", &words).ok())
    };
    let annotated = build(&["--annotation", "manifest:a.b/c=d"]);
    let manifest = match annotated["manifests"].as_array() {
        Some(manifests) => document(&knarr, manifests[0]["digest"].as_str().unwrap()),
        None => annotated,
    };
    assert_eq!(manifest["annotations"]["a.b/c"], "d");
    for (options, predicate) in [
        (&["--provenance", "mode=max"][..], "provenance"),
        (&["--attest", "type=provenance,mode=min"], "provenance"),
        (&["--sbom", "true"], "spdx"),
    ] {
        let index = build(options);
        let attestation = index["manifests"]
            .as_array()
            .unwrap()
            .iter()
            .find(|m| m["annotations"]["vnd.docker.reference.type"] == "attestation-manifest")
            .unwrap_or_else(|| panic!("{options:?}: {index}"));
        let manifest = document(&knarr, attestation["digest"].as_str().unwrap());
        let kind =
            manifest["layers"][0]["annotations"]["in-toto.io/predicate-type"].as_str().unwrap();
        assert!(kind.contains(predicate), "{options:?}: {kind}");
    }
}

#[test]
fn what_a_build_takes_from_elsewhere() {
    let knarr = Knarr::new().with_busybox();
    let other = knarr.files().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("f"), "from elsewhere").unwrap();
    let agent = knarr.files().join("agent");
    let _listener = std::os::unix::net::UnixListener::bind(&agent).unwrap();
    let dockerfile = "FROM busybox\nCOPY --from=other f /f\n\
        RUN --mount=type=ssh,id=key test -S \"$SSH_AUTH_SOCK\"\n";
    let named = format!("other={}", other.display());
    knarr.built(
        dockerfile,
        &["--build-context", &named, "--ssh", &format!("key={}", agent.display())],
    );
    assert_eq!(knarr.ok(&["run", "--rm", "app", "cat", "/f"]), "from elsewhere");
}

#[test]
fn git_labels_name_the_commit() {
    let knarr = Knarr::new().with_busybox();
    let context = knarr.context(&[("Dockerfile", "FROM busybox\n")]);
    let git = |arguments: &[&str]| {
        let words = ["-c", "user.name=ana", "-c", "user.email=ana@shore.example"];
        let ended =
            Command::new("git").current_dir(&context).args(words).args(arguments).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "first"]);
    knarr.ok(&["build", "-q", "--git-labels", "-t", "app", context.to_str().unwrap()]);
    let label = "{{index .Config.Labels \"org.opencontainers.image.revision\"}}";
    assert_eq!(knarr.ok(&["image", "inspect", "-f", label, "app"]), git(&["rev-parse", "HEAD"]));
}

#[test]
fn the_cache_can_be_left_out_for_some_stages_and_kept_small() {
    let knarr = Knarr::new().with_busybox();
    let dockerfile = "FROM busybox AS a\nRUN cat /proc/sys/kernel/random/uuid >/a\n\
        FROM busybox AS b\nRUN cat /proc/sys/kernel/random/uuid >/b\n\
        FROM scratch\nCOPY --from=a /a /\nCOPY --from=b /b /\n";
    let folder = knarr.files().join("out");
    let build = |options: &[&str]| {
        knarr.built(dockerfile, &[&["-o", folder.to_str().unwrap()], options].concat());
        ["a", "b"].map(|name| std::fs::read_to_string(folder.join(name)).unwrap())
    };
    let first = build(&[]);
    let second = build(&["--no-cache-filter", "a"]);
    assert!(first[0] != second[0] && first[1] == second[1], "{first:?} {second:?}");
    knarr.ok(&["builder", "prune", "-f", "-a", "--keep-storage", "10gb"]);
    assert_eq!(build(&[]), second);
    knarr.ok(&["builder", "prune", "-f", "-a", "--reserved-space", "0"]);
    assert_ne!(build(&[])[1], second[1]);
}

#[test]
fn options_of_the_commands_about_images() {
    let knarr = Knarr::new().with_busybox().with_kit();
    let id = knarr.ok(&["images", "-q", "--no-trunc", "busybox"]);
    let listed = knarr.ok(&["images", "--digests", "busybox"]);
    assert!(listed.contains("DIGEST") && listed.contains(&id), "{listed}");
    knarr.ok(&["create", "--name", "busybox", "busybox"]);
    assert_eq!(
        knarr.ok(&["inspect", "--type", "container", "-f", "{{.Name}}", "busybox"]),
        "/busybox"
    );
    let tags = knarr.ok(&["inspect", "--type", "image", "-f", "{{json .RepoTags}}", "busybox"]);
    assert_eq!(tags, r#"["busybox:latest"]"#);
    assert!(knarr.fails(1, &["inspect", "--type", "volume", "busybox"]).contains("busybox"));
    let sizes = knarr.ok(&["history", "--human=false", "--format", "{{.Size}}", "busybox"]);
    assert!(
        sizes.lines().any(|size| size.parse::<u64>().is_ok_and(|size| size > 1 << 20)),
        "{sizes}"
    );
    let module = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/guests/built/kit.p1.wasm");
    knarr.ok(&["package", module.to_str().unwrap(), "--volume", "/data", "-t", "with-volume"]);
    let volumes = "{{json .Config.Volumes}}";
    assert_eq!(knarr.ok(&["image", "inspect", "-f", volumes, "with-volume"]), r#"{"/data":{}}"#);
    knarr.ok(&["rmi", "--no-prune", "with-volume"]);
    assert!(knarr.run(&["image", "inspect", "with-volume"]).code != 0);
}

/// Every option that a help page names is used by some test that runs the program, an example, or the README's walk.
#[test]
fn every_option_is_used_by_a_test() {
    let knarr = Knarr::new();
    let used = texts();
    let is_used = |flag: &str| {
        used.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').any(|word| word == flag)
    };
    let mut missing = Vec::new();
    for command in commands(&knarr, &[]) {
        // the same commands under other names
        if command == "container" || command == "image" {
            continue;
        }
        let mut pages = vec![vec![command.clone()]];
        let below = commands(&knarr, &[&command]);
        pages.extend(below.into_iter().map(|verb| vec![command.clone(), verb]));
        for page in pages {
            let help = knarr.ok(&[page.clone(), vec!["--help".to_owned()]].concat());
            for spellings in options(&help) {
                if !spellings
                    .iter()
                    .any(|flag| flag == "--help" || flag == "--root" || is_used(flag))
                {
                    missing.push(format!("{} {}", page.join(" "), spellings.join(", ")));
                }
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
}

/// The commands that a help page lists.
fn commands(knarr: &Knarr, of: &[&str]) -> Vec<String> {
    let help = knarr.ok(&[of, &["--help"]].concat());
    let Some((_, list)) = help.split_once("\nCommands:\n") else { return Vec::new() };
    let lines = list.lines().take_while(|line| !line.is_empty());
    // further lines of a description are indented deeper
    let names = lines
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The spellings of each option of a help page: `-f`, `--force`.
fn options(help: &str) -> Vec<Vec<String>> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    lines
        .map(|line| {
            let words = line
                .split([' ', ',', '=', '[', ']'])
                .take_while(|word| word.is_empty() || word.starts_with('-'));
            words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
        })
        .collect()
}

/// What runs the program.
fn texts() -> String {
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut texts = std::fs::read_to_string(project.join("README.md")).unwrap();
    let mut folders: Vec<_> = ["tests", "packager/tests", "runtime/tests", "examples"]
        .map(|folder| project.join(folder))
        .into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("rs" | "sh") => texts.push_str(&std::fs::read_to_string(path).unwrap()),
                _ if path.is_dir() && !path.ends_with("guests") => folders.push(path),
                _ => {}
            }
        }
    }
    texts
}
