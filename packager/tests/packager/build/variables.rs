//! Which value a variable has where, and what is refused where it stands.

use crate::support::builds::{Project, base};

/// What a `RUN env NAME /out` at the end saw.
fn seen(dockerfile: &str, name: &str, given: &[(&str, &str)]) -> String {
    let mut project = Project::new(&format!("{dockerfile}\nRUN env {name} /out\n"));
    for (name, value) in given {
        project.options.args.insert((*name).into(), (*value).into());
    }
    let (built, _) = project.build();
    let files = project.files(&built);
    let line = files.iter().find_map(|line| line.strip_prefix("out 644 0:0 ")).unwrap();
    line.trim_matches('"').to_owned()
}

#[test]
fn the_later_of_arg_and_env_counts() {
    let parent = "FROM scratch AS base\nENV V=env\nFROM base\n";
    let cli = [("V", "cli")];
    for (dockerfile, given, expected) in [
        ("FROM scratch\nENV V=env\nARG V=arg", &[][..], "arg"),
        ("FROM scratch\nENV V=env\nARG V", &cli, "cli"),
        ("FROM scratch\nENV V=env\nARG V", &[], "env"),
        ("FROM scratch\nARG V=arg\nENV V=env", &cli, "env"),
        ("FROM scratch\nARG V=arg\nARG V", &[], "arg"),
        ("FROM scratch\nENV V=env\nARG V=arg\nENV V=$V-2", &[], "arg-2"),
        ("ARG V=global\nFROM scratch\nENV V=env\nARG V", &[], "global"),
        (&format!("{parent}ARG V"), &cli, "cli"),
        (&format!("{parent}ARG V"), &[], "env"),
        (&format!("{parent}ARG V=arg"), &[], "arg"),
        // a stage begins with what its image has
        ("FROM scratch AS base\nENV V=env\nARG V=arg\nFROM base", &cli, "env"),
        // a variable has one value for a whole instruction
        ("FROM scratch\nENV V=env\nARG X=1 V=$X", &[], ""),
        ("FROM scratch\nARG A=1 V=$A", &[], ""),
        ("FROM scratch\nARG A=0\nARG A=1 V=$A", &[], "0"),
        ("FROM scratch\nENV A=0\nENV A=1 V=$A", &[], "0"),
        // but for those before the first stage
        ("ARG A=1 V=$A\nFROM scratch\nARG V", &[], "1"),
    ] {
        assert_eq!(seen(dockerfile, "V", given), expected, "{dockerfile} with {given:?}");
        if !dockerfile.starts_with("ARG A=1") {
            let expanded = format!("{dockerfile}\nENV W=$V");
            assert_eq!(seen(&expanded, "W", given), expected, "{expanded} with {given:?}");
        }
    }
}

#[test]
fn a_proxy_is_known_in_both_cases() {
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"] {
        let lower = name.to_lowercase();
        for given in [name, &lower] {
            for declared in ["", &format!("\nARG {given}")] {
                let dockerfile = format!("FROM scratch{declared}");
                for asked in [name, &lower] {
                    let value = seen(&dockerfile, asked, &[(given, "http://p:1")]);
                    assert_eq!(value, "http://p:1", "{given} as {asked}, {declared:?}");
                }
            }
        }
    }
    let both = [("HTTP_PROXY", "upper"), ("http_proxy", "lower")];
    assert_eq!(seen("FROM scratch", "HTTP_PROXY", &both), "upper");
    assert_eq!(seen("FROM scratch", "http_proxy", &both), "lower");
    assert_eq!(seen("FROM scratch\nENV HTTP_PROXY=env", "HTTP_PROXY", &both), "upper");
    assert_eq!(seen("FROM scratch\nARG HTTP_PROXY=default", "HTTP_PROXY", &[]), "default");
}

#[test]
fn a_proxy_is_remembered_by_nobody() {
    let mut project = Project::new("FROM scratch\nRUN write /a b\n");
    project.options.args.insert("http_proxy".into(), "http://one".into());
    let (built, log) = project.build();
    assert_eq!(log.warnings(), [""; 0]);
    let config = project.config(&built);
    assert!(!serde_json::to_string(&config).unwrap().contains("http://one"));
    project.options.args.insert("http_proxy".into(), "http://two".into());
    assert_eq!(project.build().1.of("RUN"), ["CACHED"]);
}

#[test]
fn what_can_never_work_is_refused_where_it_stands() {
    for (instruction, expected) in [
        ("STOPSIGNAL FOO", "\"FOO\" is not a signal"),
        ("STOPSIGNAL 0", "\"0\" is not a signal"),
        ("STOPSIGNAL 65", "\"65\" is not a signal"),
        ("STOPSIGNAL $UNSET", "\"\" is not a signal"),
        ("EXPOSE 80/icmp", "'80/icmp' is no port"),
        ("EXPOSE 70000", "'70000' is no port"),
        ("EXPOSE a", "'a' is no port"),
        ("HEALTHCHECK --interval=1 CMD x", "'1' is no value for --interval"),
        ("HEALTHCHECK --timeout=-1s CMD x", "'-1s' is no value for --timeout"),
        ("HEALTHCHECK --retries=x CMD x", "'x' is no value for --retries"),
        ("SHELL [\"\"]", "SHELL has an invalid value"),
        ("SHELL sh -c", "SHELL takes a list in JSON form"),
        ("VOLUME [\"\"]", "a volume's path may not be empty"),
        ("VOLUME $UNSET", "VOLUME has an invalid value"),
        ("VOLUME /", "VOLUME has an invalid value"),
        ("VOLUME /a/..", "VOLUME has an invalid value"),
        ("USER 4294967296", "USER has an invalid value"),
        ("USER a:4294967296", "USER has an invalid value"),
        ("ENV $UNSET=1", "ENV has an invalid value"),
        ("LABEL $UNSET=1", "LABEL has an invalid value"),
        ("RUN --mount=type=tmpfs,target=/ x", "it would cover the whole root file system"),
        ("RUN --mount=target=/a/.. x", "it would cover the whole root file system"),
        ("RUN --mount=type=cache,target=/c,mode=99 x", "'99' is no value for mode"),
    ] {
        let story = Project::new(&format!("FROM scratch\n{instruction}\n")).fails();
        assert!(story.contains(expected), "{instruction}: {story}");
        assert!(story.contains("Dockerfile:2"), "{instruction}: {story}");
    }
    for good in [
        "STOPSIGNAL SIGRTMIN+3",
        "STOPSIGNAL term",
        "STOPSIGNAL 9",
        "USER web:www",
        "USER $UNSET",
        "USER 4294967294",
        "VOLUME data",
        "EXPOSE 80 53/UDP 8000-8002",
    ] {
        Project::new(&format!("FROM scratch\n{good}\n")).build();
    }
}

#[test]
fn what_will_not_do_what_it_seems_to_is_told() {
    let list = |keyword: &str, text: &str| {
        format!(
            "JSONArgsRecommended: {keyword} looks like a list in JSON form but is none, so that a shell runs all of it: {text}"
        )
    };
    for (instruction, expected) in [
        ("HEALTHCHECK CMD [\"x\"]", vec![]),
        ("HEALTHCHECK NONE", vec![]),
        ("CMD [\"a\", \"b\"", vec![list("CMD", "[\"a\", \"b\"")]),
        ("ENTRYPOINT ['a']", vec![list("ENTRYPOINT", "['a']")]),
        ("CMD [\"a\"] b", vec![list("CMD", "[\"a\"] b")]),
        ("CMD [\"a\"]", vec![]),
        ("SHELL [\"sh\", \"-c\"]\nCMD [\"a\",]", vec![list("CMD", "[\"a\",]")]),
        ("HEALTHCHECK CMD [\"x\"", vec![list("HEALTHCHECK", "[\"x\"")]),
    ] {
        let (_, log) = Project::new(&format!("FROM scratch\n{instruction}\n")).build();
        assert_eq!(log.warnings(), expected, "{instruction}");
    }
    // the fake shell knows no such command
    let log = crate::support::builds::Log::default();
    let _ = Project::new("FROM scratch\nRUN [\"write\", \"/a\"\n").build_with(&log);
    assert_eq!(log.warnings(), [list("RUN", "[\"write\", \"/a\"")]);
    let log = crate::support::builds::Log::default();
    let _ = Project::new("FROM scratch\nRUN [ \"$A\" = b ] && write /a b\n").build_with(&log);
    assert_eq!(log.warnings(), [""; 0], "a test is no list");
}

#[test]
fn an_ordinary_image_is_no_base_of_a_wasm_variant() {
    let mut project = Project::new("FROM tools:1\nRUN write /a b\n");
    base(project.store(), "tools:1", "linux/amd64", &[("bin/x", b"ELF")]);
    project.options.platforms = vec!["wasi/wasm".parse().unwrap()];
    let story = project.fails();
    assert!(story.contains("the image tools:1 has no Wasm variant to build on"), "{story}");
    for line in ["FROM scratch AS wasi", "FROM tools:1 AS linux", "FROM ${TARGETOS}"] {
        assert!(story.contains(line), "{line}: {story}");
    }
    project.file("Dockerfile", "FROM scratch\nCOPY --from=tools:1 /bin/x /x\n");
    let story = project.fails();
    assert!(story.contains("FROM --platform=$BUILDPLATFORM tools:1 AS files"), "{story}");
}
