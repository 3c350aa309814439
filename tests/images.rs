//! Images in the store: names, removal, archives.

use crate::harness::Knarr;
use crate::harness::image::{Tar, busybox};

#[test]
fn tag_gives_another_name_to_the_same_image() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["tag", "busybox", "registry.example:5000/team/app:1"]);
    let ids = knarr.ok(&["images", "-q", "--no-trunc"]);
    let ids: Vec<_> = ids.lines().collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);
    let names = knarr.ok(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert!(names.contains("registry.example:5000/team/app:1"), "{names}");
    assert_eq!(knarr.ok(&["images", "-q", "registry.example:5000/team/app"]).lines().count(), 1);
    assert_eq!(knarr.ok(&["images", "-q", "--filter", "reference=busy*"]).lines().count(), 1);
}

#[test]
fn rmi_untags_then_deletes_and_refuses_what_is_in_use() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["tag", "busybox", "other:1"]);
    assert_eq!(knarr.ok(&["rmi", "other:1"]), "Untagged: other:1");
    knarr.ok(&["create", "--name", "user", "busybox"]);
    let said = knarr.fails(1, &["rmi", "busybox"]);
    assert!(said.contains("is used by container user") && said.contains("hint: "), "{said}");
    knarr.ok(&["rm", "user"]);
    let said = knarr.ok(&["rmi", "busybox"]);
    assert!(said.starts_with("Untagged: busybox:latest\nDeleted: sha256:"), "{said}");
    for (words, told) in
        [(["rmi", "-f", "nothere"], "no image"), (["rm", "-f", "nothere"], "no container")]
    {
        let said = knarr.run(&words).code(0).stderr;
        assert!(said.contains(told), "a slip is said all the same: {said}");
    }
    assert_eq!(knarr.ok(&["images", "-q"]), "");
    assert_eq!(std::fs::read_dir(knarr.root().join("blobs/sha256")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(knarr.root().join("layers")).unwrap().count(), 0);
}

#[test]
fn history_shows_the_steps() {
    let knarr = Knarr::new();
    knarr.run_with_input(&["import", "--message", "by hand", "-", "base"], &busybox()).ok();
    let shown = knarr.ok(&["history", "--format", "{{.CreatedBy}}|{{.Comment}}", "base"]);
    assert_eq!(shown, "knarr import|by hand");
    assert!(knarr.ok(&["history", "base"]).starts_with("IMAGE          CREATED   CREATED BY"));
}

#[test]
fn save_and_load_keep_the_image_whatever_the_format() {
    let knarr = Knarr::new().with_busybox().with_kit();
    knarr.combine("both", &["busybox", "kit"]);
    let id = knarr.inspect("both", "{{.Id}}");
    let file = knarr.files().join("both.tar");
    let path = file.to_str().unwrap();
    knarr.ok(&["save", "-o", path, "both"]);
    let other = Knarr::new();
    assert_eq!(other.ok(&["load", "-i", path]), "Loaded image: both:latest");
    assert_eq!(other.inspect("both", "{{.Id}}"), id);
    assert_eq!(other.ok(&["run", "--rm", "both", "echo", "here"]), "here");
    let piped = knarr.run(&["save", "--format", "docker-archive", "busybox"]).code(0);
    assert!(piped.stdout.contains("manifest.json"));
    let docker = knarr.files().join("docker.tar");
    let path = docker.to_str().unwrap();
    knarr.ok(&["save", "--format", "docker-archive", "-o", path, "busybox"]);
    let third = Knarr::new();
    assert_eq!(third.ok(&["load", "-q", "-i", path]), "Loaded image: busybox:latest");
    assert_eq!(third.ok(&["run", "--rm", "busybox", "echo", "there"]), "there");
}

#[test]
fn import_makes_an_image_with_changes() {
    let knarr = Knarr::new();
    let mut tar = Tar::new();
    tar.file("app.txt", 0o644, b"x");
    let changes = [r#"ENTRYPOINT ["/app"]"#, "ENV A=1", "WORKDIR /srv", "LABEL a=b", "EXPOSE 80"];
    knarr.import("app:1", "linux/arm64", &changes, &tar.finish());
    assert_eq!(
        knarr.inspect("app:1", "{{.Config.Entrypoint}} {{.Config.Env}} {{.Config.WorkingDir}} {{.Config.Labels}} {{.Architecture}}"),
        "[/app] [A=1] /srv map[a:b] arm64"
    );
    assert_eq!(knarr.inspect("app:1", "{{json .Config.ExposedPorts}}"), r#"{"80/tcp":{}}"#);
}

#[test]
fn prune_lists_before_it_asks_and_removes_what_nobody_uses() {
    let knarr = Knarr::new().with_busybox().with_kit();
    knarr.ok(&["run", "--name", "done", "-v", "/data", "busybox", "true"]);
    let ended = knarr.run_with_input(&["system", "prune", "-a"], b"n\n").code(0);
    assert!(
        ended.stderr.contains(" done\n") && ended.stderr.contains("  kit:latest"),
        "{}",
        ended.stderr
    );
    assert_eq!(knarr.containers().len(), 1);
    let ended = knarr.run(&["system", "prune", "-a", "-f", "--volumes"]).code(0);
    assert!(ended.stdout.contains("Total reclaimed space: "), "{}", ended.stdout);
    assert_eq!(knarr.containers().len(), 0);
    assert_eq!(knarr.ok(&["images", "-q"]), "");
    assert_eq!(knarr.ok(&["volume", "ls", "-q"]), "");
    assert!(knarr.ok(&["system", "df"]).starts_with("TYPE"));
}

#[test]
fn a_name_can_be_taken_from_what_runs() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    knarr.fails(1, &["rmi", "busybox"]);
    let id = knarr.inspect("box", "{{.Image}}");
    knarr.fails(1, &["rmi", "-f", &id]);
    assert!(knarr.ok(&["rmi", "-f", "busybox"]).starts_with("Untagged: busybox"));
    assert_eq!(
        knarr.ok(&["images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}"]),
        format!("{id} <none>")
    );
    assert_eq!(knarr.ok(&["exec", "box", "echo", "x"]), "x");
}
