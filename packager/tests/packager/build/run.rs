//! `RUN`: what it sees, what it leaves, and what of it must never be kept.

use crate::support::builds::{Log, Project, base};
use knarr_packager::build::options::{Context, Secret};
use knarr_packager::build::{
    Cancellation, Exit, RunStep, Services, StepError, StepMountKind, StepRunner, Stream,
};
use std::io::Read;
use std::path::Path;

#[test]
fn variables() {
    let dockerfile = "ARG outside=o\nFROM scratch\nARG outside\nARG given=default\nARG unset\nENV both=env\nARG both=arg\n\
                      RUN env outside /1 && env given /2 && env unset /3 && env both /4 && env HTTP_PROXY /5 && env PATH /6\n";
    let mut project = Project::new(dockerfile);
    project.options.args.insert("given".into(), "from outside".into());
    project.options.args.insert("HTTP_PROXY".into(), "http://p".into());
    let (built, _) = project.build();
    let files = project.files(&built);
    for line in [
        "1 644 0:0 \"o\"",
        "2 644 0:0 \"from outside\"",
        "3 644 0:0 \"unset\"",
        "4 644 0:0 \"arg\"", // the later of the two
        "5 644 0:0 \"http://p\"",
    ] {
        assert!(files.contains(&line.to_owned()), "{line} in {files:?}");
    }
    // another proxy is no other step
    project.options.args.insert("HTTP_PROXY".into(), "http://q".into());
    let (_, log) = project.build();
    assert_eq!(log.of("RUN"), ["CACHED"]);
    project.options.args.insert("given".into(), "else".into());
    let (built, log) = project.build();
    assert_eq!(log.of("RUN"), ["DONE"]);
    let history = project.config(&built).history.pop().unwrap().created_by.unwrap();
    assert!(
        history.starts_with("RUN |4 outside=o given=else unset= both=arg /bin/sh -c env"),
        "{history}"
    );
}

#[test]
fn what_mounts_were_made_on_is_not_in_the_layer() {
    let project = Project::new("FROM base\nRUN mkdir /var/cache/x && write /out 1\n");
    base(project.store(), "base", "linux/amd64", &[("etc/passwd", b"p")]);
    let (built, _) = project.build();
    let manifest = project.store().manifest(built.variants[0].manifest.digest()).unwrap();
    let blob = crate::support::images::bytes(project.store(), manifest.layers()[1].digest());
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&blob[..]));
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|e| e.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names, ["out", "var/", "var/cache/", "var/cache/x/"]);
}

#[test]
fn mounts() {
    let dockerfile = "FROM scratch AS other\nRUN write /file other\nFROM scratch\n\
        RUN --mount=target=/ctx --mount=from=other,target=/o cat /ctx/in /1 && cat /o/file /2\n\
        RUN --mount=type=cache,target=/c store /c/kept once\n\
        RUN --mount=type=cache,target=/c cat /c/kept /3\n\
        RUN --mount=source=in,target=/one,rw store /one changed && cat /one /4\n";
    let project = Project::new(dockerfile);
    project.file("in", "IN");
    project.file("ignored", "I");
    project.file(".dockerignore", "ignored\n");
    let (built, _) = project.build();
    let files = project.files(&built);
    assert_eq!(
        files,
        ["1 644 0:0 \"IN\"", "2 644 0:0 \"other\"", "3 644 0:0 \"once\"", "4 644 0:0 \"changed\""]
    );
    assert_eq!(std::fs::read(project.context().join("in")).unwrap(), b"IN", "a copy was written");
    let steps = project.runner.steps.lock().unwrap();
    let seen = steps.iter().flat_map(|step| &step.mounts).find(|mount| mount.target == "/ctx");
    let StepMountKind::Bind { source, read_only: true } = &seen.unwrap().kind else { panic!() };
    assert!(!source.exists(), "the copy of the context is gone");
    drop(steps);
    // what a mount shows decides about the step
    project.file("ignored", "J");
    assert_eq!(project.build().1.of("--mount=target"), Vec::<String>::new());
    assert_eq!(project.build().1.of("RUN cat /ctx"), ["CACHED"]);
    project.file("in", "other");
    assert_eq!(project.build().1.of("RUN cat /ctx"), ["DONE"]);
}

/// Whether any file under a folder holds a text, compressed or not.
fn holds(folder: &Path, text: &[u8]) -> bool {
    let contains = |bytes: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            return false;
        }
        if path.is_dir() {
            return holds(&path, text);
        }
        let Ok(bytes) = std::fs::read(&path) else { return false };
        let mut plain = Vec::new();
        let _ = flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut plain);
        contains(&bytes) || contains(&plain)
    })
}

#[test]
fn secrets_reach_no_layer_and_no_cache() {
    const VALUE: &str = "correct-horse-battery-staple";
    let dockerfile = "FROM scratch\n\
        RUN --mount=type=secret,id=key,env=KEY --mount=type=secret,id=key,target=/run/secrets/key length /run/secrets/key /length\n\
        RUN --mount=type=secret,id=absent write /without 1\n";
    let mut project = Project::new(dockerfile);
    let secret = project.place.directory.path().join("secret");
    std::fs::write(&secret, VALUE).unwrap();
    project.options.secrets.insert("key".into(), Secret::File(secret.clone()));
    project.options.attestations.provenance =
        Some(knarr_packager::build::options::Provenance { max: true, slsa_v1: false });
    let (built, _) = project.build();
    assert!(project.files(&built).contains(&format!("length 644 0:0 \"{}\"", VALUE.len())));
    let root = project.place.directory.path().join("root");
    assert!(!holds(&root, VALUE.as_bytes()));
    assert!(holds(&root, b"without"), "the search finds what is there");
    let steps = project.runner.steps.lock().unwrap();
    assert!(steps[0].env.contains(&format!("KEY={VALUE}")));
    assert!(!format!("{:?}", steps[0].mounts).contains(VALUE));
    drop(steps);
    // another value is no other step
    std::fs::write(&secret, "changed").unwrap();
    assert_eq!(project.build().1.of("RUN length"), ["CACHED"]);
    project.file(
        "Dockerfile",
        "FROM scratch\nRUN --mount=type=secret,id=no,required=true write /a b\n",
    );
    let story = project.fails();
    assert!(
        story.contains("no secret \"no\" was given\nhint: give it with --secret id=no"),
        "{story}"
    );
}

#[test]
fn refusals_name_the_option() {
    for (instruction, expected) in [
        ("RUN --security=insecure write /a b", "RUN --security=insecure cannot be used"),
        ("RUN --device=vendor.com/gpu write /a b", "cannot be used"),
        ("RUN --mount=type=ssh,required=true write /a b", "no agent \"default\" was given"),
        ("RUN --mount=from=nowhere/never:x,target=/a write /a b", "nowhere/never"),
    ] {
        let story = Project::new(&format!("FROM scratch\n{instruction}\n")).fails();
        assert!(story.contains(expected), "{story}");
        assert!(story.contains("Dockerfile:2"), "{story}");
    }
}

/// A failure at every step in turn: what was done before is kept, and nothing else.
#[test]
fn a_fault_at_each_step() {
    let steps = ["write /1 a", "write /2 b", "write /3 c"];
    let project = Project::new("");
    for fault in 0..steps.len() {
        let mut lines = steps.map(str::to_owned);
        lines[fault] += if fault == 1 { " && fail" } else { " && exit 1" };
        project.file("Dockerfile", dockerfile(&lines));
        project.fails();
        assert!(unfinished(&project).is_empty());
        assert!(project.store().images().unwrap().is_empty());
    }
    project.file("Dockerfile", dockerfile(&steps.map(str::to_owned)));
    let before = project.runner.count();
    let (built, _) = project.build();
    assert_eq!(project.files(&built), ["1 644 0:0 \"a\"", "2 644 0:0 \"b\"", "3 644 0:0 \"c\""]);
    assert_eq!(project.runner.count() - before, 1, "two of three were in the cache");
}

fn dockerfile(lines: &[String]) -> String {
    let steps: String = lines.iter().map(|line| format!("RUN {line}\n")).collect();
    format!("FROM scratch\n{steps}")
}

fn unfinished(project: &Project) -> Vec<String> {
    let names = std::fs::read_dir(project.store().root().layers()).unwrap();
    let names = names.map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.contains("incomplete")).collect()
}

#[test]
fn a_failure_stops_the_stages_beside_it() {
    let dockerfile = "FROM scratch AS a\nRUN sleepless\nFROM scratch AS b\nRUN exit 7\n\
                      FROM scratch\nCOPY --from=a / /\nCOPY --from=b / /\n";
    let project = Project::new(dockerfile);
    let log = Log::default();
    let error = project.build_with(&log).unwrap_err();
    assert!(crate::support::story(&error).contains("exit code: 7"));
    assert_eq!(log.of("RUN sleepless"), ["CANCELED"]);
    assert!(unfinished(&project).is_empty());
}

#[test]
fn the_user_may_stop_it() {
    let project = Project::new("FROM scratch\nRUN sleepless\nRUN write /a b\n");
    let cancellation = Cancellation::default();
    let config = || Ok(project.place.config());
    struct Cancelling<'a>(&'a crate::support::builds::Runner, Cancellation);
    impl StepRunner for Cancelling<'_> {
        fn run(
            &self,
            step: &RunStep,
            output: &mut dyn FnMut(Stream, &[u8]),
        ) -> Result<Exit, StepError> {
            self.1.cancel();
            self.0.run(step, output)
        }
    }
    let services = Services {
        runner: &Cancelling(&project.runner, cancellation.clone()),
        progress: &Log::default(),
        registry: &config,
        cancellation,
    };
    let result = knarr_packager::build::build(project.store(), &project.options, &services);
    assert!(matches!(result, Err(knarr_packager::build::Error::Cancelled)));
    assert_eq!(project.runner.count(), 1);
    assert!(unfinished(&project).is_empty());
}

/// What a build that was killed leaves: a folder that nobody has locked.
#[test]
fn a_killed_build_leaves_nothing_after_the_next_collection() {
    let project = Project::new("FROM scratch\nRUN write /a b\n");
    let dead = project.store().root().layers().join("build.incomplete-0123456789abcdef");
    std::fs::create_dir_all(dead.join("fs/half")).unwrap();
    std::fs::write(dead.join("lock"), "").unwrap();
    let (built, _) = project.build();
    project.store().collect(&|| Ok(Vec::new())).unwrap();
    assert!(!dead.exists());
    assert_eq!(project.files(&built), ["a 644 0:0 \"b\""]);
}

#[test]
fn two_builds_at_once_run_a_step_once() {
    let project = Project::new("FROM scratch\nRUN write /a b\nRUN write /c d\n");
    let images: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| project.build_with(&Log::default()).unwrap().image))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(project.runner.count(), 2);
    assert!(images.iter().all(|image| *image == images[0]));
}

#[test]
fn heredocs() {
    let project =
        Project::new("FROM scratch\nRUN <<EOF\nwrite /a b\nEOF\nRUN <<S\n#!/bin/thing\nx\nS\n");
    // the fake runner knows no script; what it was asked to run is enough
    let _ = project.build_with(&Log::default());
    let steps = project.runner.steps.lock().unwrap();
    assert_eq!(steps[0].args, ["/bin/sh", "-c", "write /a b\n"]);
    assert_eq!(steps[1].args, ["/dev/pipes/S"]);
    let StepMountKind::Bind { read_only: true, .. } = &steps[1].mounts[0].kind else { panic!() };
    assert_eq!(steps[1].mounts[0].target, "/dev/pipes");
}

#[test]
fn wasm_images_run_their_module() {
    let project =
        Project::new("FROM tool\nRUN compile --fast 'a b'\nRUN [\"/other.wasm\", \"x\"]\n");
    let mut project = project;
    project.options.platforms = vec!["wasi/wasm".parse().unwrap()];
    let store = project.store();
    let module = knarr_packager::wasm::ModuleImage::default();
    let image = b"\0asm\x01\0\0\0";
    knarr_packager::wasm::image_of_module(store, image, &"tool".parse().unwrap(), &module).unwrap();
    let _ = project.build_with(&Log::default());
    let steps = project.runner.steps.lock().unwrap();
    assert_eq!(steps[0].args, ["/app.wasm", "compile", "--fast", "a b"]);
    assert!(steps[0].platform.is_wasm());
}

#[test]
fn contexts_by_name() {
    let mut project = Project::new("FROM files\nCOPY --from=more /m /m\n");
    for (name, file) in [("files", "f"), ("more", "m")] {
        let folder = project.place.directory.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join(file), name).unwrap();
        project.options.contexts.insert(name.into(), Context::Folder(folder));
    }
    let (built, _) = project.build();
    assert_eq!(project.files(&built), ["f 644 0:0 \"files\"", "m 644 0:0 \"more\""]);
}
