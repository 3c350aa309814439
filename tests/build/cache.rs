//! What is not done twice.

use crate::harness::Knarr;

const DOCKERFILE: &str = "FROM busybox
COPY requirements /
RUN cat /requirements >/installed; cat /proc/sys/kernel/random/uuid >/when
COPY app /
CMD [\"cat\", \"/when\"]
";

/// How many steps were found in the cache.
fn cached(said: &str) -> usize {
    let base = said.lines().any(|line| line.contains("FROM "));
    said.lines().filter(|line| line.ends_with(" CACHED")).count() - usize::from(base)
}

#[test]
fn only_what_changed_is_built_again() {
    let knarr = Knarr::new().with_busybox();
    knarr.context(&[("requirements", "one"), ("app", "first")]);
    knarr.built(DOCKERFILE, &[]);
    let first = knarr.ok(&["run", "--rm", "app"]);
    let id = knarr.ok(&["images", "-q", "--no-trunc", "app"]);
    let said = knarr.built(DOCKERFILE, &[]);
    assert_eq!(cached(&said), 3, "{said}");
    assert_eq!(knarr.ok(&["images", "-q", "--no-trunc", "app"]), id);
    knarr.context(&[("app", "second")]);
    let said = knarr.built(DOCKERFILE, &[]);
    assert_eq!(cached(&said), 2, "{said}");
    assert_eq!(knarr.ok(&["run", "--rm", "app"]), first, "the step was not run again");
    assert_eq!(knarr.ok(&["run", "--rm", "app", "cat", "/app"]), "second");
    knarr.context(&[("requirements", "two")]);
    let said = knarr.built(DOCKERFILE, &[]);
    assert_eq!(cached(&said), 0, "{said}");
    let second = knarr.ok(&["run", "--rm", "app"]);
    assert_ne!(second, first);
    assert_eq!(cached(&knarr.built(DOCKERFILE, &["--no-cache"])), 0);
}

#[test]
fn what_the_cache_holds_is_seen_and_removed() {
    let knarr = Knarr::new().with_busybox();
    knarr.context(&[("requirements", "one"), ("app", "first")]);
    knarr.built(DOCKERFILE, &[]);
    let row = knarr.ok(&["system", "df", "--format", "{{.Type}}: {{.TotalCount}} {{.Size}}"]);
    let row = row.lines().find(|line| line.starts_with("Build Cache: ")).unwrap().to_owned();
    assert!(!row.starts_with("Build Cache: 0 "), "{row}");
    assert!(knarr.ok(&["builder", "du"]).contains("RUN cat /requirements"));
    // asked before, with what would go; nobody answers
    let asked = knarr.run(&["builder", "prune", "-a"]);
    assert!(asked.stderr.contains("RUN cat /requirements"), "{}", asked.stderr);
    assert!(cached(&knarr.built(DOCKERFILE, &[])) > 0);
    let removed = knarr.ok(&["builder", "prune", "-a", "-f"]);
    assert!(removed.contains("reclaimed space"), "{removed}");
    assert_eq!(cached(&knarr.built(DOCKERFILE, &[])), 0);
    // the image does not need the cache
    assert_eq!(knarr.ok(&["run", "--rm", "app", "cat", "/app"]), "first");
    knarr.ok(&["rmi", "app"]);
    knarr.ok(&["system", "prune", "-a", "-f"]);
    assert!(knarr.root().join("layers").read_dir().unwrap().next().is_none());
}

#[test]
fn a_cache_in_a_folder() {
    let knarr = Knarr::new().with_busybox();
    knarr.context(&[("requirements", "one"), ("app", "first")]);
    let folder = knarr.files().join("cache");
    let to = format!("type=local,dest={},mode=max", folder.display());
    knarr.built(DOCKERFILE, &["--cache-to", &to]);
    let when = knarr.ok(&["run", "--rm", "app"]);
    // somewhere else
    let other = Knarr::new().with_busybox();
    other.context(&[("requirements", "one"), ("app", "first")]);
    let from = format!("type=local,src={}", folder.display());
    other.built(DOCKERFILE, &["--cache-from", &from]);
    assert_eq!(other.ok(&["run", "--rm", "app"]), when);
}
