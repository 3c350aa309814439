//! `up` with somebody at the terminal, and services that follow their files.

use super::Project;
use crate::harness::proc::until;
use crate::harness::terminal::Terminal;

const STUBBORN: &str = r#"
services:
  app:
    image: busybox
    command: sh -c 'trap "" TERM; echo of-app; while :; do sleep 1; done'
    stop_grace_period: 1h
"#;

const WATCHED: &str = r#"
services:
  app:
    build: { context: src, dockerfile_inline: "FROM busybox\nCOPY version /version" }
    command: sh -c 'echo once >> /starts; exec sleep 1000'
    stop_grace_period: 0s
    develop:
      watch:
        - { action: sync, path: ./src/site, target: /site, ignore: ["*.tmp"], initial_sync: true }
        - { action: sync+exec, path: ./src/conf, target: /etc/app/conf, exec: { command: cp /etc/app/conf /executed } }
        - { action: sync+restart, path: ./src/again, target: /again }
        - { action: rebuild, path: ./src/version }
"#;

impl Project {
    fn at_terminal(&self, words: &[&str]) -> Terminal {
        let file = format!("--file={}", self.folder().join("compose.yaml").display());
        self.0.at_terminal(&[&["compose", &file], words].concat())
    }

    fn watched() -> Self {
        let project = Self::new(WATCHED);
        for folder in ["src", "src/site"] {
            std::fs::create_dir(project.folder().join(folder)).unwrap();
        }
        for (name, text) in [
            (".dockerignore", "site/secret"),
            ("site/first", "first"),
            ("conf", "old"),
            ("again", "old"),
            ("version", "1"),
        ] {
            project.write(&format!("src/{name}"), text);
        }
        project
    }

    fn says(&self, command: &[&str]) -> String {
        self.run(&[&["exec", "-T", "app"], command].concat()).stdout.trim().to_owned()
    }
}

#[test]
fn keys_detach_and_a_second_ctrl_c_kills() {
    let project = Project::new(STUBBORN);
    let mut terminal = project.at_terminal(&["up"]);
    terminal.shows("of-app");
    terminal.shows("d Detach");
    terminal.type_in("d");
    assert_eq!(terminal.code(), 0);
    assert_eq!(project.0.inspect("app-app-1", "{{.State.Running}}"), "true");

    let mut terminal = project.at_terminal(&["up", "--menu=false"]);
    terminal.shows("of-app");
    terminal.type_in("d\u{3}");
    terminal.shows("Gracefully stopping");
    terminal.type_in("\u{3}");
    assert_eq!(terminal.code(), 130);
    assert_eq!(project.0.inspect("app-app-1", "{{.State.ExitCode}}"), "137");
    project.ok(&["down"]);
}

#[test]
fn containers_follow_files() {
    let project = Project::watched();
    let mut terminal = project.at_terminal(&["watch"]);
    terminal.shows("Watch enabled");
    assert_eq!(project.says(&["cat", "/site/first"]), "first");
    let first = project.0.inspect("app-app-1", "{{.Id}}");

    for ignored in ["site/secret", "site/x.tmp", "site/.x.swp"] {
        project.write(&format!("src/{ignored}"), "ignored");
    }
    std::fs::create_dir(project.folder().join("src/site/deep")).unwrap();
    project.write("src/site/deep/file", "deep");
    until("a file in a new folder", || project.says(&["cat", "/site/deep/file"]) == "deep");
    assert_eq!(project.says(&["ls", "-A", "/site"]), "deep\nfirst");
    std::fs::remove_dir_all(project.folder().join("src/site/deep")).unwrap();
    std::fs::remove_file(project.folder().join("src/site/first")).unwrap();
    until("what is gone", || project.says(&["ls", "-A", "/site"]).is_empty());

    project.write("src/conf", "new");
    until("a command", || project.says(&["cat", "/executed"]) == "new");

    project.write("src/again", "new");
    until("a restart", || project.says(&["cat", "/starts"]) == "once\nonce");
    assert_eq!(project.says(&["cat", "/again"]), "new");
    assert_eq!(project.0.inspect("app-app-1", "{{.Id}}"), first);

    project.write("src/version", "2");
    until("a rebuild", || project.says(&["cat", "/version"]) == "2");
    assert_ne!(project.0.inspect("app-app-1", "{{.Id}}"), first);
    terminal.type_in("\u{3}");
    assert_eq!(terminal.code(), 130);
    project.ok(&["down"]);
}

#[test]
fn a_key_switches_watching_on_and_off() {
    let project = Project::watched();
    let mut terminal = project.at_terminal(&["up"]);
    terminal.shows("w Enable Watch");
    terminal.type_in("w");
    terminal.shows("Watch enabled");
    project.write("src/version", "2");
    terminal.shows("app rebuilt");
    assert_eq!(project.says(&["cat", "/version"]), "2");
    terminal.type_in("w");
    terminal.shows("Watch disabled");
    terminal.type_in("d");
    assert_eq!(terminal.code(), 0);
    assert_eq!(project.0.inspect("app-app-1", "{{.State.Running}}"), "true");
    project.ok(&["down"]);
}

#[test]
fn what_cannot_be_watched_is_said() {
    let project = Project::new("services:\n  app: { image: busybox, command: sleep 1000 }\n");
    for verb in [&["watch"][..], &["up", "--watch"]] {
        let said = project.fails(verb);
        assert!(said.contains("none of the services says what to watch"), "{said}");
    }
    project.write(
        "compose.yaml",
        "services:\n  app: { image: busybox, develop: { watch: [{ action: rebuild, path: . }] } }\n",
    );
    let said = project.fails(&["watch"]);
    assert!(said.contains("'rebuild' needs a 'build' section"), "{said}");
    project.ok(&["down"]);
}

#[test]
fn what_runs_already_is_watched_as_it_is() {
    let project = Project::watched();
    project.ok(&["up", "-d"]);
    for (prune, version) in [("--prune=false", "2"), ("--prune=true", "3")] {
        let old = project.0.inspect("app-app-1", "{{.Image}}");
        let id = project.0.inspect("app-app-1", "{{.Id}}");
        let mut terminal = project.at_terminal(&["watch", "--no-up", prune]);
        terminal.shows("Watch enabled");
        project.write("src/version", version);
        terminal.shows("app rebuilt");
        assert_eq!(project.says(&["cat", "/version"]), version);
        terminal.type_in("\u{3}");
        assert_eq!(terminal.code(), 130);
        assert_ne!(project.0.inspect("app-app-1", "{{.Id}}"), id);
        // the image that the new one took the name of
        let images = project.0.ok(&["images", "-a", "-q", "--no-trunc"]);
        assert_eq!(images.contains(&old), prune == "--prune=false", "{images}");
    }
    project.ok(&["down"]);
}
