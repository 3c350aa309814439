//! Which `.dockerignore` belongs to a Dockerfile.

use crate::support::builds::Project;
use knarr_packager::build::options::{Context, DockerfileSource};
use std::path::{Path, PathBuf};

fn copied(project: &Project) -> Vec<String> {
    let (built, _) = project.build();
    let files = project.files(&built);
    files.iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn the_one_beside_the_dockerfile_however_that_is_called() {
    let mut project = Project::new("");
    let text = "FROM scratch\nCOPY keep* secret* common* /\n";
    for name in ["docker/Dockerfile", "docker/other"] {
        project.file(name, text);
        project.file(&format!("{name}.dockerignore"), "secret\n");
    }
    project.file("plain", text);
    project.file(".dockerignore", "common\n");
    for name in ["keep", "secret", "common"] {
        project.file(name, "");
    }
    let context = project.context();
    let elsewhere = project.place.directory.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("Dockerfile"), text).unwrap();
    std::fs::write(elsewhere.join("Dockerfile.dockerignore"), "secret\n").unwrap();
    std::os::unix::fs::symlink(&context, project.place.directory.path().join("link")).unwrap();
    let link = project.place.directory.path().join("link");
    let here = std::env::current_dir().unwrap();
    let up = here.components().skip(1).map(|_| "..").collect::<PathBuf>();
    let relative = up.join(context.strip_prefix("/").unwrap());
    let own = ["common", "keep"];
    for (folder, file) in [
        (&context, context.join("docker/Dockerfile")),
        (&context, context.join("docker/other")),
        (&context, context.join("./docker/../docker/./Dockerfile")),
        (&context, relative.join("docker/Dockerfile")),
        (&relative, context.join("docker/Dockerfile")),
        (&relative, relative.join("./docker/Dockerfile")),
        (&context, link.join("docker/Dockerfile")),
        (&link, context.join("docker/Dockerfile")),
        (&context, elsewhere.join("Dockerfile")),
    ] {
        project.options.context = Context::Folder(folder.clone());
        project.options.dockerfile = DockerfileSource::File(file.clone());
        assert_eq!(copied(&project), own, "{} with -f {}", folder.display(), file.display());
    }
    let general = ["keep", "secret"];
    project.options.context = Context::Folder(context.clone());
    project.options.dockerfile = DockerfileSource::File(context.join("plain"));
    assert_eq!(copied(&project), general, "the context's own");
    project.options.dockerfile = DockerfileSource::Text(text.into());
    project.file("Dockerfile.dockerignore", "*\n");
    assert_eq!(copied(&project), general, "a Dockerfile of nowhere has none beside it");
}

#[test]
fn beside_the_default_one_and_one_in_the_context() {
    let mut project = Project::new("FROM scratch\nCOPY keep* secret* /\n");
    project.file("keep", "");
    project.file("secret", "");
    project.file("Dockerfile.dockerignore", "secret\n");
    assert_eq!(copied(&project), ["keep"]);
    for spelled in ["Dockerfile", "./Dockerfile", "/Dockerfile", "x/../Dockerfile"] {
        std::fs::create_dir_all(project.context().join("x")).unwrap();
        project.options.dockerfile = DockerfileSource::InContext(Path::new(spelled).into());
        assert_eq!(copied(&project), ["keep"], "{spelled}");
    }
}

/// A link of the context leads to no file of the host.
#[test]
fn an_ignore_file_is_one_of_its_folder() {
    let mut project = Project::new("");
    project.file("docker/Dockerfile", "FROM scratch\nCOPY keep* secret* /\n");
    project.file("secret", "");
    let outside = project.place.directory.path().join("outside");
    std::fs::write(&outside, "[no pattern of anybody's business\n").unwrap();
    let link = project.context().join("docker/Dockerfile.dockerignore");
    std::os::unix::fs::symlink(&outside, link).unwrap();
    project.options.dockerfile =
        DockerfileSource::File(project.context().join("docker/Dockerfile"));
    assert_eq!(copied(&project), ["secret"]);
}
