//! Other programs read what Knarr writes, and the other way round.

use crate::harness::Knarr;
use crate::harness::proc::until;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

#[track_caller]
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("{program} is missing: {e}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {said}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// `docker-registry` on a free port of the loopback interface.
struct Registry {
    process: Child,
    address: String,
}

impl Registry {
    fn start(knarr: &Knarr) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let config = knarr.file(
            "registry.yml",
            format!(
                "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
                knarr.files().join("registry").display()
            ),
        );
        let process = Command::new("docker-registry")
            .args(["serve", config.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry is missing: apt-get install docker-registry");
        until("the registry listens", || TcpStream::connect(&address).is_ok());
        Self { process, address }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn skopeo_and_umoci_read_the_store() {
    let knarr = Knarr::new().with_busybox().with_kit();
    knarr.combine("both", &["busybox", "kit"]);
    let root = knarr.root().to_str().unwrap();
    let name = format!("oci:{root}:docker.io/library/both:latest");
    let raw: serde_json::Value =
        serde_json::from_str(&run("skopeo", &["inspect", "--raw", &name])).unwrap();
    assert_eq!(raw["manifests"].as_array().unwrap().len(), 2);
    let shown = run(
        "skopeo",
        &["inspect", "--config", &format!("oci:{root}:docker.io/library/busybox:latest")],
    );
    assert!(shown.contains("\"os\": \"linux\""), "{shown}");
    let list = run("umoci", &["ls", "--layout", root]);
    assert!(list.contains("docker.io/library/busybox:latest"), "{list}");
    let bundle = knarr.files().join("bundle");
    let image = format!("{root}:docker.io/library/busybox:latest");
    run("umoci", &["unpack", "--image", &image, bundle.to_str().unwrap()]);
    assert!(bundle.join("rootfs/bin/busybox").exists());
}

#[test]
fn archives_go_both_ways_through_skopeo() {
    let knarr = Knarr::new().with_busybox();
    let path = |name: &str| knarr.files().join(name).display().to_string();
    knarr.ok(&["save", "-o", &path("a.tar"), "busybox"]);
    run(
        "skopeo",
        &[
            "copy",
            "-q",
            "--insecure-policy",
            &format!("oci-archive:{}", path("a.tar")),
            &format!("oci:{}:app:2", path("layout")),
        ],
    );
    run(
        "skopeo",
        &[
            "copy",
            "-q",
            "--insecure-policy",
            &format!("oci:{}:app:2", path("layout")),
            &format!("docker-archive:{}:app:3", path("b.tar")),
        ],
    );
    run(
        "skopeo",
        &[
            "copy",
            "-q",
            "--insecure-policy",
            "--dest-compress-format",
            "zstd",
            &format!("oci:{}:app:2", path("layout")),
            &format!("dir:{}", path("dir")),
        ],
    );
    let other = Knarr::new();
    for (input, name) in [("layout", "app:2"), ("b.tar", "app:3")] {
        other.ok(&["load", "-i", &path(input)]);
        assert_eq!(other.ok(&["run", "--rm", name, "echo", name]), name);
    }
}

#[test]
fn images_go_through_a_registry_with_all_their_variants() {
    let knarr = Knarr::new().with_busybox().with_kit();
    knarr.combine("both", &["busybox", "kit"]);
    let registry = Registry::start(&knarr);
    let name = format!("{}/team/both:1", registry.address);
    knarr.ok(&["tag", "both", &name]);
    let id = knarr.inspect("both", "{{.Id}}");
    let pushed = knarr.run(&["push", &name]).code(0);
    assert!(pushed.stdout.contains(&format!("1: digest: {id} size: ")), "{}", pushed.stdout);

    // by its own choice only the Wasm variant
    let other = Knarr::new();
    let pulled = other.run(&["pull", &name]).code(0);
    assert_eq!(pulled.stdout, format!("{name}\n"));
    assert!(pulled.stderr.contains("1: Pulling from "), "{}", pulled.stderr);
    let present = "{{range .Variants}}{{.Platform}}={{.Present}} {{end}}";
    let shown = other.inspect(&name, present);
    assert!(shown.contains("wasi/wasm=true") && shown.contains("=false"), "{shown}");
    assert_eq!(other.inspect(&name, "{{.Id}}"), id);
    // what is missing is fetched when it is wanted
    assert_eq!(other.ok(&["run", "--rm", "--platform", "linux", &name, "echo", "hi"]), "hi");
    assert!(!other.inspect(&name, present).contains("=false"));
    // and what is there is not fetched again
    let again = other.run(&["pull", "--all-platforms", &name]).code(0);
    assert!(!again.stderr.contains("Downloading"), "{}", again.stderr);

    // skopeo's copy of it is the same, and comes back
    let copy = format!("docker://{}/copy:1", registry.address);
    run(
        "skopeo",
        &[
            "copy",
            "-q",
            "--insecure-policy",
            "--all",
            "--preserve-digests",
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            &format!("docker://{name}"),
            &copy,
        ],
    );
    let third = Knarr::new();
    let name = format!("{}/copy:1", registry.address);
    assert_eq!(third.ok(&["run", "--rm", &name, "echo", "copied"]), "copied");
    assert_eq!(third.inspect(&name, "{{.Id}}"), id);
    assert_eq!(third.ok(&["pull", "-q", &name]), name);
}

#[test]
fn a_registry_that_is_not_there_is_named() {
    let knarr = Knarr::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let said = knarr.fails(1, &["pull", &format!("127.0.0.1:{port}/app")]);
    assert!(said.contains(&format!("127.0.0.1:{port}")) && said.contains("refused"), "{said}");
    assert_eq!(knarr.ok(&["images", "-q"]), "");
}
