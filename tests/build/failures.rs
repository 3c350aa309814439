//! What is said when a build fails.

use crate::harness::Knarr;

#[test]
fn the_step_s_output_comes_last_with_its_line() {
    let knarr = Knarr::new().with_busybox();
    let error = knarr.build("FROM busybox\nRUN true\nRUN echo the cause; exit 7\n", &[]).error(1);
    let at = |text: &str| error.rfind(text).unwrap_or_else(|| panic!("{text:?}: {error}"));
    assert!(at(" > [3/3] RUN echo the cause; exit 7:") < at("the cause\n------"), "{error}");
    assert!(at("the cause\n------") < at("Dockerfile:3"), "{error}");
    assert!(error.contains("exit code: 7"), "{error}");
    assert!(error.contains("3 | RUN echo the cause"), "{error}");
    assert!(knarr.run(&["image", "inspect", "app"]).code != 0, "no image");
    // quiet: no progress, but the cause
    let error = knarr.build("FROM busybox\nRUN echo the cause; exit 7\n", &["-q"]).error(1);
    assert!(error.contains("the cause") && !error.contains("#1"), "{error}");
}

#[test]
fn mistakes_in_a_dockerfile_show_their_place() {
    let knarr = Knarr::new().with_busybox();
    for (dockerfile, said, hint) in [
        ("FROM busybox\nRNU true\n", "unknown instruction 'RNU'", "did you mean 'RUN'?"),
        ("FROM busybox\nCOPY nothere /\n", "nothere", ".dockerignore"),
        ("FROM busybox\nRUN --mount=type=cach,target=/x true\n", "'cach'", "did you mean 'cache'?"),
        ("FROM busybox\nRUN --security=insecure true\n", "security", ""),
        ("FROM busybox\nRUN nothing-of-this-name\n", "exit code: 127", ""),
        ("FROM busybox\nRUN [\"/nothing\"]\n", "\"/nothing\" does not exist", "hint"),
        ("FROM busybox\nUSER nobody-here\nRUN true\n", "is not a user of the image", "use numbers"),
    ] {
        let error = knarr.build(dockerfile, &[]).error(1);
        assert!(error.contains(said) && error.contains(hint), "{dockerfile}: {error}");
        assert!(error.contains("Dockerfile:"), "{dockerfile}: {error}");
    }
    let error = knarr.build("FROM busybox\n", &["--target", "nothing"]).error(1);
    assert!(error.contains("\"nothing\""), "{error}");
}

#[test]
fn check_and_explain_build_nothing() {
    let knarr = Knarr::new().with_busybox();
    let dockerfile = "from busybox as Base\nMAINTAINER me\nRUN exit 1\n";
    let checked = knarr.build(dockerfile, &["--check"]).code(1);
    let said = format!("{}{}", checked.stdout, checked.stderr);
    assert!(said.contains("MaintainerDeprecated") && said.contains("Dockerfile:2"), "{said}");
    let checked = knarr.build("FROM busybox\nRUN exit 1\n", &["--check"]).code(0);
    assert!(format!("{}{}", checked.stdout, checked.stderr).contains("no warnings"));
    let plan = knarr.build("FROM busybox\nRUN exit 1\n", &["--explain"]).ok();
    assert!(plan.contains("RUN exit 1") && plan.contains("busybox"), "{plan}");
}

#[test]
fn command_lines() {
    let knarr = Knarr::new().with_busybox();
    let context = knarr.context(&[("Dockerfile", "FROM busybox\n")]);
    let context = context.to_str().unwrap();
    for (words, said, hint) in [
        (&["/nowhere"][..], "there is no folder /nowhere", "the context"),
        (&["-f", "nothere", context], "there is no file nothere", "working directory"),
        (&["--secret", "id=x", context], "is to come from x, which is no file", "src=FILE"),
        (&["-o", "type=paper", context], "no output of type", "the types are"),
        (&["--push", context], "no name", "--tag"),
        (&["-t", "UPPER", context], "lower case", "upper"),
        (&["--iidfile", "/nowhere/id", context], "cannot write /nowhere/id", "does not exist"),
        (&["--platform", "a/b/c/d", context], "--platform", "help"),
        (&["--network", "container:x", context], "container's network", "name the network"),
    ] {
        let ended = knarr.run(&[&["build"], words].concat());
        assert!(matches!(ended.code, 1 | 125), "{words:?}: {ended:?}");
        assert!(
            ended.stderr.contains(said) && ended.stderr.contains(hint),
            "{words:?}: {}",
            ended.stderr
        );
    }
}
