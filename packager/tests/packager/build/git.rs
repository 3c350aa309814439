//! Labels from the repository that a context is in.

use crate::support::builds::Project;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn git(folder: &Path, args: &[&str]) -> String {
    let mut all = vec!["-C", folder.to_str().unwrap(), "-c", "user.name=n", "-c", "user.email=e@x"];
    all.extend(args);
    crate::support::tools::run("git", &all)
}

/// The context as a repository with one commit, which is returned.
fn committed(project: &Project) -> String {
    let context = project.context();
    git(&context, &["init", "--quiet"]);
    git(&context, &["remote", "add", "origin", "https://user:password@example.org/r.git"]);
    git(&context, &["add", "."]);
    git(&context, &["commit", "--quiet", "-m", "x"]);
    git(&context, &["rev-parse", "HEAD"]).trim().to_owned()
}

fn revision(project: &Project) -> String {
    let (built, _) = project.build();
    let labels = project.config(&built).config.labels;
    assert_eq!(labels["org.opencontainers.image.source"], "https://example.org/r.git");
    labels["org.opencontainers.image.revision"].clone()
}

#[test]
fn git_labels_name_the_commit() {
    let mut project = Project::new("FROM scratch\nCOPY Dockerfile /\n");
    project.file("sub/file", "one");
    let commit = committed(&project);
    project.options.git_labels = true;
    assert_eq!(revision(&project), commit);
    project.file("sub/file", "two");
    assert_eq!(revision(&project), format!("{commit}-dirty"));
    git(&project.context(), &["checkout", "--quiet", "."]);
    // other times, the same content
    project.file("sub/file", "one");
    assert_eq!(revision(&project), commit);
    git(&project.context(), &["config", "core.autocrlf", "true"]);
    project.file("sub/file", "one");
    assert_eq!(revision(&project), commit);
}

/// A context may come from anywhere, and its repository with it.
#[test]
fn what_a_repository_configures_is_not_executed() {
    let mut project = Project::new("FROM scratch\nCOPY Dockerfile /\n");
    project.file(".gitattributes", "* filter=mine diff=mine\n");
    project.file("file", "one");
    committed(&project);
    let context = project.context();
    // a repository in the repository, as submodules are
    let inner = context.join("inner");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(inner.join("file"), "one").unwrap();
    std::fs::write(inner.join(".gitattributes"), "* filter=mine\n").unwrap();
    git(&inner, &["init", "--quiet"]);
    for (folder, what) in [(&inner, "."), (&context, "inner")] {
        git(folder, &["-c", "advice.addEmbeddedRepo=false", "add", what]);
        git(folder, &["commit", "--quiet", "-m", "y"]);
    }
    let marker = project.place.directory.path().join("marker");
    let touch = format!("touch {}; cat", marker.display());
    for folder in [&context, &inner] {
        for name in [
            "filter.mine.clean",
            "filter.mine.smudge",
            "filter.mine.process",
            "diff.mine.command",
            "diff.mine.textconv",
            "diff.external",
            "core.fsmonitor",
            "core.pager",
            "core.sshCommand",
            "core.gitProxy",
            "core.askPass",
            "core.alternateRefsCommand",
            "credential.helper",
            "remote.origin.uploadpack",
            "alias.status",
            "gpg.program",
        ] {
            git(folder, &["config", name, &touch]);
        }
        git(folder, &["config", "filter.mine.required", "true"]);
        let hook = folder.join("hooks/post-index-change");
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        std::fs::write(&hook, format!("#!/bin/sh\ntouch {}\n", marker.display())).unwrap();
        std::fs::set_permissions(&hook, PermissionsExt::from_mode(0o755)).unwrap();
        git(folder, &["config", "core.hooksPath", hook.parent().unwrap().to_str().unwrap()]);
        std::fs::write(folder.join("file"), "two").unwrap();
    }
    // setting it up may have used it
    let _ = std::fs::remove_file(&marker);
    project.options.git_labels = true;
    assert!(revision(&project).ends_with("-dirty"));
    assert!(!marker.exists());
}
