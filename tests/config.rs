//! `knarr compose config` and its options, from outside.

use crate::harness::Knarr;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

const WEB: &str = "\
services:
  web:
    image: nginx:${TAG:-1}
    ports: [\"8080:80\"]
    depends_on: [db]
  db:
    build: ./db
    profiles: [full]
    env_file: db.env
volumes:
  data:
";

/// `knarr compose …` in a folder.
fn compose(knarr: &Knarr, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = knarr.command(&[&["compose"], arguments].concat());
    command.current_dir(folder).stdin(Stdio::null());
    command
}

fn ok(knarr: &Knarr, folder: &Path, arguments: &[&str]) -> String {
    let done = compose(knarr, folder, arguments).output().unwrap();
    let (out, error) = (String::from_utf8(done.stdout), String::from_utf8(done.stderr));
    assert!(done.status.success(), "{}", error.unwrap());
    out.unwrap()
}

fn fails(knarr: &Knarr, folder: &Path, arguments: &[&str]) -> String {
    let done = compose(knarr, folder, arguments).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(done.stdout.is_empty());
    String::from_utf8(done.stderr).unwrap()
}

#[test]
fn a_project_is_printed_in_its_canonical_form() {
    let knarr = Knarr::new();
    let file = knarr.file("compose.yaml", WEB.replace("    depends_on: [db]\n", ""));
    knarr.file("db.env", "A=1\n");
    let folder = file.parent().unwrap();
    let json =
        ok(&knarr, folder, &["-p", "shop", "--profile", "full", "config", "--format", "json"]);
    let project: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(project["name"], "shop");
    assert_eq!(project["services"]["web"]["image"], "nginx:1");
    assert_eq!(project["services"]["web"]["ports"][0]["published"], "8080");
    assert_eq!(project["services"]["db"]["environment"]["A"], "1");
    assert_eq!(project["networks"]["default"]["name"], "shop_default");
    // convert is the same, and what is printed can be read from standard input
    let yaml = ok(&knarr, folder, &["-p", "shop", "convert"]);
    let mut again = compose(&knarr, folder, &["-f", "-", "-p", "shop", "config"]);
    let mut child = again.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), yaml.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap(), yaml);
}

#[test]
fn names_hashes_and_variables_are_listed() {
    let knarr = Knarr::new();
    let file = knarr.file("compose.yaml", WEB.replace("    depends_on: [db]\n", ""));
    let folder = file.parent().unwrap();
    let rows: &[(&[&str], &str)] = &[
        (&["config", "--services"], "web\n"),
        (&["--profile", "full", "config", "--services"], "db\nweb\n"),
        (&["config", "--volumes"], ""),
        (&["--all-resources", "config", "--volumes"], "data\n"),
        (&["config", "--networks"], "default\n"),
        (&["config", "--images"], "nginx:1\n"),
        (&["-p", "p", "--profile", "*", "config", "--images"], "p-db\nnginx:1\n"),
        (
            &["--compatibility", "-p", "p", "--profile", "*", "config", "--images"],
            "p_db\nnginx:1\n",
        ),
        (&["config", "--profiles"], "full\n"),
        (&["config", "-q"], ""),
        (
            &["config", "--variables"],
            "NAME                REQUIRED            DEFAULT VALUE       ALTERNATE VALUE\n\
             TAG                 false               1                   \n",
        ),
    ];
    for (arguments, expected) in rows {
        assert_eq!(ok(&knarr, folder, arguments), *expected, "{arguments:?}");
    }
    let hash = ok(&knarr, folder, &["config", "--hash", "*"]);
    assert!(hash.starts_with("web ") && hash.trim_end().len() == 4 + 64, "{hash}");
    let environment = ok(&knarr, folder, &["-p", "p", "config", "--environment"]);
    assert!(environment.contains("COMPOSE_PROJECT_NAME=p\n"), "{environment}");
    let plain = ok(&knarr, folder, &["config", "--no-interpolate"]);
    assert!(plain.contains("image: nginx:${TAG:-1}"), "{plain}");
    ok(&knarr, folder, &["config", "-o", "out.yaml"]);
    assert!(std::fs::read_to_string(folder.join("out.yaml")).unwrap().contains("nginx:1"));
}

#[test]
fn variables_of_compose_count() {
    let knarr = Knarr::new();
    let folder = knarr.file("one.yaml", "services: {a: {image: x}}").parent().unwrap().to_owned();
    knarr.file("two.yaml", "services: {b: {image: \"y:$V\", profiles: [p]}}");
    knarr.file("v.env", "V=5\n");
    let mut command = compose(&knarr, &folder, &["config", "--format", "json"]);
    let command = command
        .env("COMPOSE_FILE", "one.yaml:two.yaml")
        .env("COMPOSE_PROFILES", "p")
        .env("COMPOSE_PROJECT_NAME", "given")
        .env("COMPOSE_ENV_FILES", "v.env");
    let project: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert_eq!(project["name"], "given");
    assert_eq!(project["services"]["b"]["image"], "y:5");
    let rows = [
        ("COMPOSE_PARALLEL_LIMIT", "many", "must be a number"),
        ("COMPOSE_ANSI", "sometimes", "must be one of auto, always, never"),
        ("COMPOSE_PROGRESS", "loud", "must be one of auto, tty, plain, json, quiet"),
        ("COMPOSE_PROJECT_NAME", "Bad", "is no name for a project"),
    ];
    for (name, value, expected) in rows {
        let done =
            compose(&knarr, &folder, &["-f", "one.yaml", "config"]).env(name, value).output();
        let done = done.unwrap();
        let error = String::from_utf8(done.stderr).unwrap();
        assert!(!done.status.success() && error.contains(expected), "{error}");
    }
}

#[test]
fn mistakes_in_files_are_named_with_their_place() {
    let knarr = Knarr::new();
    let folder = knarr.files().to_owned();
    let rows = [
        (
            "services:\n  web:\n    image: x\n    enviroment: {A: 1}\n",
            "error: compose.yaml:4:5: unknown key 'enviroment' in services.web\n",
            "hint: did you mean 'environment'?",
        ),
        (
            "services: {web: {image: x, depends_on: [bd]}, db: {image: y}}\n",
            "error: compose.yaml:1:41: service web: there is no service 'bd'\n",
            "hint: did you mean 'db'?",
        ),
        (
            "services: {a: {image: x, extends: b}, b: {image: x, extends: a}}\n",
            "compose.yaml:1:35: extends b\n",
            "compose.yaml:1:62: extends a\n",
        ),
        ("services: {a: {image: \"\\e[31m${\"}}\n", "error: compose.yaml:1:", "\\u001b[31m"),
    ];
    for (text, message, more) in rows {
        knarr.file("compose.yaml", text);
        let error = fails(&knarr, &folder, &["config"]);
        assert!(error.contains(message) && error.contains(more), "{error}");
    }
    // a variable that is not set is a warning, and no data
    knarr.file("compose.yaml", "services: {a: {image: \"x$NOPE\"}}\n");
    let done = compose(&knarr, &folder, &["config", "--images"]).output().unwrap();
    assert_eq!(done.stdout, b"x\n");
    let warning = String::from_utf8(done.stderr).unwrap();
    assert!(warning.starts_with("warning: the variable NOPE is not set"), "{warning}");
}

#[test]
fn the_version_is_shown() {
    let knarr = Knarr::new();
    assert_eq!(knarr.ok(&["compose", "version", "--short"]), env!("CARGO_PKG_VERSION"));
    let json: Value =
        serde_json::from_str(&knarr.ok(&["compose", "version", "-f", "json"])).unwrap();
    assert_eq!(json["version"], concat!("v", env!("CARGO_PKG_VERSION")));
}

/// What 2.40.3 prints for each was compared with `compose/tests/compare.py`.
#[test]
fn steps_of_loading_can_be_left_out() {
    let knarr = Knarr::new();
    let text = "name: shop\nmodels: { small: { model: ai/small } }\nservices:\n  web:\n    image: web\n    \
        volumes: [./data:/data]\n    depends_on: [absent]\n    models: [small]\n";
    let file = knarr.file("compose.yaml", text);
    let folder = file.parent().unwrap();
    let config = |options: &[&str]| {
        ok(&knarr, folder, &[&["--ansi", "never", "config", "--no-consistency"], options].concat())
    };
    assert!(fails(&knarr, folder, &["config"]).contains("absent"));
    let whole = config(&["--no-env-resolution"]);
    assert!(whole.contains("default") && !whole.contains("source: ./data"), "{whole}");
    assert!(!config(&["--no-normalize"]).contains("default"));
    assert!(config(&["--no-path-resolution"]).contains("source: ./data"));
    assert_eq!(config(&["--models"]), "ai/small\n");
}
