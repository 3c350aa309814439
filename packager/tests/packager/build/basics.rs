//! One build and the next.

use crate::support::builds::{Project, base};

const FLASK: &str = "FROM python:3\nWORKDIR /app\nCOPY requirements.txt .\nRUN write /pip installed\nCOPY . .\n\
                     ENV FLASK_APP=app.py\nEXPOSE 5000\nCMD [\"python\", \"app.py\"]\n";

fn flask() -> Project {
    let mut project = Project::new(FLASK);
    base(project.store(), "python:3", "linux/amd64", &[("bin/python", b"ELF")]);
    project.file("requirements.txt", "flask");
    project.file("app.py", "print(1)");
    project.options.tags = vec!["app:1".parse().unwrap(), "app:latest".parse().unwrap()];
    project
}

#[test]
fn a_project_from_the_walkthrough() {
    let project = flask();
    let (built, log) = project.build();
    assert_eq!(
        project.files(&built),
        [
            "app/ 755 0:0",
            "app/Dockerfile 644 0:0 \"FROM python:3\\nWORKDIR /app\\nCOPY requirem\"",
            "app/app.py 644 0:0 \"print(1)\"",
            "app/requirements.txt 644 0:0 \"flask\"",
            "bin/ 755 0:0",
            "bin/python 755 0:0 \"ELF\"",
            "pip 644 0:0 \"installed\"",
        ]
    );
    let config = project.config(&built);
    assert_eq!(config.config.cmd.unwrap(), ["python", "app.py"]);
    assert_eq!(config.config.working_dir, "/app");
    assert_eq!(config.config.exposed_ports, ["5000/tcp"]);
    let history: Vec<String> =
        config.history.iter().map(|h| h.created_by.clone().unwrap_or_default()).collect();
    assert_eq!(
        history,
        [
            "WORKDIR /app",
            "COPY requirements.txt . # buildkit",
            "RUN /bin/sh -c write /pip installed # buildkit",
            "COPY . . # buildkit",
            "ENV FLASK_APP=app.py",
            "EXPOSE [5000/tcp]",
            "CMD [\"python\" \"app.py\"]",
        ]
    );
    for name in ["app:1", "app"] {
        assert_eq!(
            project.store().find(name).unwrap().id(),
            built.image.as_ref().unwrap().digest()
        );
    }
    assert_eq!(log.of("RUN write"), ["DONE"]);
}

#[test]
fn the_second_build_does_nothing_and_gives_the_same_image() {
    let project = flask();
    let (first, _) = project.build();
    let (second, log) = project.build();
    assert_eq!(first.image, second.image);
    assert_eq!(project.runner.count(), 1);
    assert_eq!(log.of("/5]"), ["CACHED"; 5]);
}

#[test]
fn a_changed_file_keeps_the_layers_before_it() {
    let project = flask();
    let (first, _) = project.build();
    project.file("app.py", "print(2)");
    let (second, log) = project.build();
    assert_ne!(first.image, second.image);
    assert_eq!(project.runner.count(), 1, "pip runs once");
    assert_eq!(log.of("RUN write"), ["CACHED"]);
    assert_eq!(log.of("COPY . ."), ["DONE"]);
}

#[test]
fn a_failing_step_is_shown_with_its_place_and_leaves_nothing() {
    let project = Project::new("FROM scratch\nRUN write /a b\nRUN write /c d && exit 3\n");
    let story = project.fails();
    assert!(story.contains("Dockerfile:3:1"), "{story}");
    assert!(story.contains("did not complete successfully: exit code: 3"), "{story}");
    assert!(project.store().images().unwrap().is_empty());
    let unfinished = std::fs::read_dir(project.store().root().layers()).unwrap();
    let unfinished =
        unfinished.filter(|e| e.as_ref().unwrap().path().to_string_lossy().contains("incomplete"));
    assert_eq!(unfinished.count(), 0);
    project.file("Dockerfile", "FROM scratch\nRUN write /a b\nRUN write /c d\n");
    project.build();
    assert_eq!(project.runner.count(), 3, "the step that succeeded is not run again");
}
