//! BuildKit's checks, while building.

use crate::support::builds::{Project, base};

#[test]
fn a_build_tells_what_its_author_may_want_to_change() {
    let project =
        Project::new("FROM tools:1 AS Build\nENV A=$HOME B=$HMOE\nWORKDIR here\nCMD start\n");
    base(project.store(), "tools:1", "linux/amd64", &[("bin/x", b"ELF")]);
    let (_, log) = project.build();
    let expected = [
        "StageNameCasing: Stage name 'Build' should be lowercase",
        "UndefinedVar: Usage of undefined variable '$HOME'",
        "UndefinedVar: Usage of undefined variable '$HMOE'",
        "WorkdirRelativePath: Relative workdir \"here\" can have unexpected results if the base image changes",
        "JSONArgsRecommended: JSON arguments recommended for CMD to prevent unintended behavior related to OS signals",
    ];
    assert_eq!(log.warnings(), expected);
}

#[test]
fn warnings_fail_the_build_if_the_dockerfile_says_so() {
    let text = "# check=error=true\nFROM scratch\nCOPY Dockerfile /\nMAINTAINER a\n";
    let mut project = Project::new(text);
    project.options.tags = vec!["app:1".parse().unwrap()];
    let error = project.fails();
    assert!(error.contains("MaintainerDeprecated"), "{error}");
    assert!(project.store().find("app:1").is_err());
    let skipped = text.replace("error=true", "error=true;skip=MaintainerDeprecated");
    project.file("Dockerfile", skipped);
    project.build();
}

#[test]
fn what_dockerignore_keeps_out_cannot_be_copied() {
    let project = Project::new("FROM scratch\nCOPY secret* Dockerfile /\n");
    project.file(".dockerignore", "secret*\n");
    let (_, log) = project.build();
    assert_eq!(
        log.warnings(),
        ["CopyIgnoredFile: Attempting to Copy file \"secret*\" that is excluded by .dockerignore"]
    );
}
