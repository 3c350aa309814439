//! What is kept between builds, for how long, and how it travels.

use crate::support::builds::{Project, base};
use crate::support::tools::DockerRegistry;
use knarr_packager::build::cache::Cache;
use knarr_packager::build::cache::prune::{Filters, Kind, prune, usage};
use knarr_packager::build::options::{CacheMode, CacheSource, CacheTarget, NoCache};
use std::collections::HashSet;

const STAGES: &str = "FROM scratch AS tools\nRUN write /tool made\nFROM scratch\nCOPY --from=tools /tool /t\nRUN write /r x\n";

#[test]
fn the_collector_leaves_what_the_cache_keeps() {
    let project = Project::new(STAGES);
    let (built, _) = project.build();
    project.store().collect(&|| Ok(Vec::new())).unwrap();
    let id = built.image.clone().unwrap().digest().to_string();
    project.store().remove(&id, true, &|| Ok(Vec::new())).unwrap();
    let (again, log) = project.build();
    assert_eq!(project.runner.count(), 2, "no step ran again though the image was gone");
    assert_eq!(log.of("RUN"), ["CACHED", "CACHED"]);
    assert_eq!(again.image, built.image, "compressed again, to the same blobs");
}

#[test]
fn a_layer_that_is_gone_is_made_again() {
    let project = Project::new(STAGES);
    let (built, _) = project.build();
    for entry in std::fs::read_dir(project.store().root().layers()).unwrap() {
        std::fs::remove_dir_all(entry.unwrap().path()).unwrap();
    }
    let (again, _) = project.build();
    assert_eq!(project.runner.count(), 4);
    assert_eq!(project.files(&again), project.files(&built));
    // a record that a crash cut short is as good as none
    for entry in std::fs::read_dir(project.store().root().build_steps()).unwrap() {
        std::fs::write(entry.unwrap().path(), "{\"version\":1,").unwrap();
    }
    project.build();
    assert_eq!(project.runner.count(), 6);
}

#[test]
fn without_the_cache() {
    let mut project = Project::new(STAGES);
    project.build();
    project.options.no_cache = NoCache { all: false, stages: vec!["tools".into()] };
    let (_, log) = project.build();
    assert_eq!(log.of("RUN write /tool"), ["DONE"]);
    assert_eq!(log.of("RUN write /r"), ["CACHED"], "the same tool came out");
    project.options.no_cache = NoCache { all: true, stages: Vec::new() };
    let (_, log) = project.build();
    assert_eq!(log.of("RUN"), ["DONE", "DONE"]);
}

#[test]
fn prune_by_age_and_size() {
    let project = Project::new(
        "FROM scratch\nRUN write /a 0123456789\nRUN --mount=type=cache,target=/c write /b 01234\n",
    );
    project.build();
    let cache = Cache::open(project.store()).unwrap();
    let none = HashSet::new();
    let entries = usage(&cache, &none).unwrap();
    let sizes: Vec<u64> = entries.iter().filter(|e| e.kind == Kind::Step).map(|e| e.size).collect();
    assert_eq!(sizes.iter().sum::<u64>(), 15);
    assert!(entries.iter().any(|e| e.kind == Kind::Mount && e.description == "/c"));
    let hour = Some(std::time::Duration::from_secs(3600));
    let pruned = prune(&cache, &Filters { unused_for: hour, ..Filters::default() }, &none).unwrap();
    assert!(pruned.entries.is_empty());
    let pruned = prune(&cache, &Filters::default(), &none).unwrap();
    assert_eq!((pruned.freed, pruned.entries.len()), (15, 2));
    assert!(usage(&cache, &none).unwrap().iter().all(|e| e.kind == Kind::Mount));
    prune(&cache, &Filters { all: true, ..Filters::default() }, &none).unwrap();
    assert!(usage(&cache, &none).unwrap().is_empty());
    project.build();
    assert_eq!(project.runner.count(), 4);
}

#[test]
fn a_build_keeps_the_limit() {
    let mut project = Project::new("FROM scratch\nRUN write /a 0123456789\n");
    project.build();
    project.file("Dockerfile", "FROM scratch\nRUN write /b 0123456789\n");
    project.options.cache_limit = Some(12);
    project.build();
    let cache = Cache::open(project.store()).unwrap();
    let left = usage(&cache, &HashSet::new()).unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].description, "RUN write /b 0123456789", "the least recently used went");
}

#[test]
fn a_folder_carries_it_to_another_store() {
    let mut first = Project::new(STAGES);
    let folder = first.place.directory.path().join("cache");
    first.options.cache_to =
        vec![CacheTarget::Local { folder: folder.clone(), mode: CacheMode::Max }];
    let (built, _) = first.build();
    let mut second = Project::new(STAGES);
    second.options.cache_from = vec![CacheSource::Local(folder)];
    let (again, log) = second.build();
    assert_eq!(second.runner.count(), 0);
    assert_eq!(log.of("RUN"), ["CACHED", "CACHED"]);
    assert_eq!(second.files(&again), first.files(&built));
    // one that is not there only costs time
    let mut third = Project::new(STAGES);
    third.options.cache_from = vec![CacheSource::Local("/nonexistent".into())];
    let (_, log) = third.build();
    assert_eq!(third.runner.count(), 2);
    assert_eq!(log.of("the cache /nonexistent is not used"), ["WARNING"]);
}

#[test]
fn a_registry_carries_it_as_well() {
    let directory = tempfile::tempdir().unwrap();
    let registry = DockerRegistry::start(directory.path());
    let reference = |name: &str| format!("{}/{name}", registry.host).parse().unwrap();
    let prepare = |dockerfile: &str| {
        let project = Project::new(dockerfile);
        base(project.store(), "base", "linux/amd64", &[("bin/sh", b"#!")]);
        project
    };
    let dockerfile = "FROM base\nRUN write /a 1\nCOPY f /f\n";
    let mut first = prepare(dockerfile);
    first.file("f", "F");
    first.options.cache_to = vec![
        CacheTarget::Registry { reference: reference("cache:1"), mode: CacheMode::Min },
        CacheTarget::Inline,
    ];
    first.options.tags = vec![reference("app:1")];
    let (built, _) = first.build();
    let options = knarr_packager::registry::PushOptions::default();
    let config = first.place.config();
    let silent = knarr_packager::Silent;
    knarr_packager::registry::push(first.store(), &reference("app:1"), &options, &config, &silent)
        .unwrap();
    for source in ["cache:1", "app:1"] {
        let mut second = prepare(dockerfile);
        second.file("f", "F");
        second.options.cache_from = vec![CacheSource::Registry(reference(source))];
        let (again, _) = second.build();
        assert_eq!(second.runner.count(), 0, "{source}");
        assert_eq!(second.files(&again), first.files(&built));
    }
}

#[test]
fn linked_layers_survive_another_base() {
    let project = Project::new("FROM base\nCOPY --link f /deep/f\n");
    base(project.store(), "base", "linux/amd64", &[("a", b"1")]);
    project.file("f", "F");
    let (first, _) = project.build();
    base(project.store(), "base", "linux/amd64", &[("a", b"2")]);
    let (second, log) = project.build();
    assert_eq!(log.of("COPY --link"), ["CACHED"]);
    let last = |built: &knarr_packager::build::Built| project.config(built).rootfs.diff_ids.pop();
    assert_eq!(last(&first), last(&second));
    assert!(project.files(&second).contains(&"a 755 0:0 \"2\"".to_owned()));
    assert!(project.files(&second).contains(&"deep/f 644 0:0 \"F\"".to_owned()));
}
