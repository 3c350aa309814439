//! Files that want to take time, memory or more than they may.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use knarr_compose::load::{self, Error, Loaded, Options};

/// A project in a folder of its own.
struct Project(tempfile::TempDir);

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let project = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            knarr_core::fsx::write(&project.path(name), text).unwrap();
        }
        project
    }

    fn of(text: &str) -> Self {
        Self::new(&[("compose.yaml", text)])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self) -> Result<Loaded, Error> {
        load::load(&Options { current: self.0.path().to_owned(), ..Options::default() })
    }

    /// The message of the error that the files are, which comes soon.
    fn error(&self) -> String {
        let start = Instant::now();
        let error = self.load().expect_err("an error");
        // a debug build on a busy machine; a release build takes a tenth
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        let text = error.to_string();
        assert!(text.len() < 20_000, "{}", text.len());
        text
    }
}

#[track_caller]
fn contains(text: &str, part: &str) {
    assert!(text.contains(part), "{text}");
}

#[test]
fn aliases_of_aliases_end() {
    let mut text = String::from("x-a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("x-a{level}: &a{level} [{aliases}]\n");
    }
    contains(&Project::of(&text).error(), "too large here");
}

#[test]
fn a_million_aliases_end() {
    let text = format!("x-a: &a [1, 2]\nx-b:\n{}", "- *a\n".repeat(1_000_000));
    contains(&Project::of(&text).error(), "too large here");
}

#[test]
fn aliases_of_a_long_text_end() {
    let long = "x".repeat(1 << 20);
    let text = format!("x-a: &a {long}\nx-b:\n{}", "- *a\n".repeat(1000));
    contains(&Project::of(&text).error(), "too large here");
}

#[test]
fn deep_nesting_ends() {
    let flow = format!("x-a: {}", "[".repeat(100_000));
    contains(&Project::of(&flow).error(), "inside each other");
    let mut block = String::from("x-a:\n");
    for level in 1..2000 {
        block += &format!("{}a:\n", " ".repeat(level));
    }
    contains(&Project::of(&block).error(), "inside each other");
    let mut aliases = String::from("x-0: &a0 [[[[[[[[[[1]]]]]]]]]]\n");
    for level in 1..20 {
        aliases += &format!("x-{level}: &a{level} [[[[[[[[[[*a{}]]]]]]]]]]\n", level - 1);
    }
    contains(&Project::of(&aliases).error(), "inside each other");
}

#[test]
fn large_files_are_refused() {
    let text = format!("x-a: {}", "x".repeat(9 << 20));
    contains(&Project::of(&text).error(), "larger than");
}

#[test]
fn ranges_of_ports_are_counted() {
    let ports = (0..50).map(|n| format!("\"127.0.0.{n}:1-65535:1-65535\"")).collect::<Vec<_>>();
    let text = format!("services: {{a: {{image: x, ports: [{}]}}}}", ports.join(", "));
    contains(&Project::of(&text).error(), "too large here");
}

#[test]
fn values_that_double_end() {
    let mut env = String::from("A0=0123456789\n");
    for level in 1..40 {
        env += &format!("A{level}=$A{}$A{}\n", level - 1, level - 1);
    }
    let compose = "services: {a: {image: x}}";
    contains(&Project::new(&[(".env", &env), ("compose.yaml", compose)]).error(), "too long");
    let mut env = format!("A={}\n", "x".repeat(1 << 20));
    for line in 0..100 {
        env += &format!("B{line}=$A\n");
    }
    contains(&Project::new(&[(".env", &env), ("compose.yaml", compose)]).error(), "too long");
    let env = format!("A={}\n", "x".repeat(1 << 20));
    let compose = format!("services: {{a: {{image: x}}}}\nx-a: [{}]", "$A, ".repeat(100));
    let project = Project::new(&[(".env", &env), ("compose.yaml", &compose)]);
    contains(&project.error(), "too large here");
    let services: String =
        (0..100).map(|n| format!("  s{n}: {{image: x, env_file: e}}\n")).collect();
    let compose = format!("services:\n{services}");
    let env = format!("A={}\n", "x".repeat(1 << 20));
    contains(&Project::new(&[("e", &env), ("compose.yaml", &compose)]).error(), "too large here");
}

#[test]
fn includes_that_double_end() {
    let mut files = vec![("compose.yaml".to_owned(), "include: [i0.yaml]\n".to_owned())];
    for level in 0..30 {
        let next = format!("i{}.yaml", level + 1);
        files.push((format!("i{level}.yaml"), format!("include: [{next}, {next}]\n")));
    }
    files.push(("i30.yaml".into(), "services: {a: {image: x}}\n".into()));
    let files: Vec<(&str, &str)> = files.iter().map(|(n, t)| (n.as_str(), t.as_str())).collect();
    contains(&Project::new(&files).error(), "times");
}

#[test]
fn long_chains_end() {
    let mut text = String::from("services:\n  s0: {image: x}\n");
    for level in 1..5000 {
        text += &format!("  s{level}: {{extends: s{}}}\n", level - 1);
    }
    // in the order of the file each has been extended already when the next one asks
    assert_eq!(Project::of(&text).load().unwrap().project.services.len(), 5000);
    let mut text = String::from("services:\n");
    for level in 0..5000 {
        text += &format!("  s{level}: {{extends: s{}}}\n", level + 1);
    }
    contains(&Project::of(&text).error(), "inside each other");
    let mut text = String::from("services:\n  s5000: {image: x}\n");
    for level in 0..5000 {
        text += &format!("  s{level}: {{image: x, depends_on: [s{}]}}\n", level + 1);
    }
    let project = Project::of(&text).load().unwrap().project;
    assert_eq!(project.in_order()[0], "s5000");
}

#[test]
fn what_files_name_must_be_files() {
    let project = Project::of("services: {}");
    let fifo = project.path("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    knarr_core::fsx::create_dir(&project.path("folder")).unwrap();
    for path in ["/dev/zero", "/dev/tty", "fifo", "folder"] {
        for text in [
            format!("include: [{path}]"),
            format!("include: [{{path: a, env_file: {path}}}]\nservices: {{a: {{image: x}}}}"),
            format!("services: {{a: {{image: x, env_file: {path}}}}}"),
            format!("services: {{a: {{image: x, label_file: {path}}}}}"),
            format!("services: {{a: {{extends: {{file: {path}, service: b}}}}}}"),
        ] {
            knarr_core::fsx::write(&project.path("a"), "services: {b: {image: x}}").unwrap();
            knarr_core::fsx::write(&project.path("compose.yaml"), &text).unwrap();
            let error = project.error();
            // a terminal that is none cannot even be opened
            let refused = error.contains("no regular file") || error.contains("cannot read");
            assert!(refused && error.starts_with("compose.yaml:1:"), "{text}: {error}");
        }
    }
}

#[test]
fn what_the_user_names_may_be_a_device() {
    let project = Project::of("services: {a: {image: x}}");
    let options = Options {
        current: project.0.path().to_owned(),
        env_files: vec!["/dev/null".into()],
        ..Options::default()
    };
    assert_eq!(load::load(&options).unwrap().project.services.len(), 1);
    let options = Options { files: vec!["/dev/zero".into()], ..options };
    assert!(load::load(&options).unwrap_err().to_string().contains("larger than"));
}

#[test]
fn what_is_no_text_is_refused() {
    let project = Project::of("");
    for bytes in
        [&b"services: \xff"[..], b"services: {a: {image: \"\x01\"}}", b"\x00", b"&a", b"!!"]
    {
        knarr_core::fsx::write(&project.path("compose.yaml"), bytes).unwrap();
        project.error();
    }
}

#[test]
fn cycles_are_named_with_all_places() {
    let project = Project::new(&[
        ("compose.yaml", "include: [a.yaml]\n"),
        ("a.yaml", "include: [b.yaml]\n"),
        ("b.yaml", "include: [a.yaml]\n"),
    ]);
    let error = project.error();
    contains(&error, "a.yaml:1:11: includes");
    contains(&error, "b.yaml:1:11: includes");
    assert!(!error.contains("compose.yaml:"), "{error}");
}

#[test]
fn places_are_known_afterwards() {
    let project = Project::new(&[
        (
            "compose.yaml",
            "include: [a.yaml]\nservices:\n  web:\n    image: x\n    ports:\n      - \"80:80\"\n",
        ),
        ("a.yaml", "services:\n  db:\n    image: y\n    ports: [\"80:5432\"]\n"),
    ]);
    let loaded = project.load().unwrap();
    let place = |path: &str| loaded.project.place(path).unwrap().to_string();
    assert_eq!(place("services.web.ports.0"), "compose.yaml:6:9");
    assert_eq!(place("services.db.image"), "a.yaml:3:5");
    let clashes = loaded.project.port_clashes();
    assert_eq!(clashes.len(), 1);
    assert_eq!(clashes[0].0, "80/tcp");
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        ["compose.yaml:6:9: the host's port 80/tcp is taken at a.yaml:4:13 already"]
    );
}

/// Nothing but what is in the project's folder was made or changed by loading.
#[test]
fn loading_changes_nothing() {
    let project = Project::of("services: {a: {image: x, volumes: [\"./new:/x\"]}}");
    project.load().unwrap();
    assert_eq!(knarr_core::fsx::list(Path::new(project.0.path())).unwrap(), ["compose.yaml"]);
}
