use super::super::parse;
use super::*;

/// `line rule: message` of every warning.
fn warnings(text: &str, facts: &Facts<'_>) -> Vec<String> {
    let dockerfile = parse(text.as_bytes(), "Dockerfile").unwrap();
    let line = |warning: &Warning| dockerfile.source.line(warning.span.start);
    let shown =
        |warning: Warning| format!("{} {}: {}", line(&warning), warning.rule.name, warning.message);
    lint(&dockerfile, facts).into_iter().map(shown).collect()
}

/// File, and the warnings of one rule as `line` or `line: part of the message`.
fn expect(rule: &str, cases: &[(&str, &[&str])]) {
    expect_with(rule, &Facts::default(), cases);
}

fn expect_with(rule: &str, facts: &Facts<'_>, cases: &[(&str, &[&str])]) {
    for (text, expected) in cases {
        let all = warnings(text, facts);
        let found: Vec<_> =
            all.iter().filter(|warning| warning.contains(&format!(" {rule}: "))).collect();
        assert_eq!(found.len(), expected.len(), "{text}\n{all:#?}");
        for (found, expected) in found.iter().zip(*expected) {
            let (line, message) = expected.split_once(": ").unwrap_or((expected, ""));
            assert!(
                found.starts_with(&format!("{line} ")) && found.contains(message),
                "{text}\n{found}"
            );
        }
    }
}

#[test]
fn a_good_file_is_left_alone() {
    let text = r#"# syntax=docker/dockerfile:1
# check=experimental=all;error=true
# GO the version
ARG GO=1.22
# build compiles
FROM --platform=$BUILDPLATFORM golang:${GO} AS build
ARG TARGETOS TARGETARCH
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/root/.cache GOOS=$TARGETOS go build -o /app

FROM scratch
COPY --from=build /app /app
ENV PATH=/bin:$PATH A=1
EXPOSE 80 53/udp
ENTRYPOINT ["/app"]
"#;
    assert_eq!(warnings(text, &Facts::default()), [""; 0]);
    let dockerfile = parse(text.as_bytes(), "Dockerfile").unwrap();
    assert_eq!(enforce(&dockerfile, &[]), Ok(()));
}

#[test]
fn casing() {
    expect(
        "StageNameCasing",
        &[
            ("FROM a AS Build", &["1: Stage name 'Build' should be lowercase"]),
            ("FROM a AS build\nFROM A", &[]),
        ],
    );
    expect(
        "FromAsCasing",
        &[
            ("FROM a as b", &["1: 'as' and 'FROM' keywords' casing do not match"]),
            ("from a AS b", &["1: 'AS' and 'from' keywords' casing do not match"]),
            ("from a as b\nFROM a AS c", &[]),
            ("From a as b", &[]),
        ],
    );
    expect(
        "ConsistentInstructionCasing",
        &[
            (
                "FROM a\nrun b\nRUN c",
                &["2: Command 'run' should match the case of the command majority (uppercase)"],
            ),
            ("from a\nrun b\nRUN c", &["3: (lowercase)"]),
            ("FROM a\nEntrypoint b", &["2: 'Entrypoint'"]),
            ("from a\nrun b", &[]),
            ("arg a\nFROM a", &[]),
        ],
    );
}

#[test]
fn old_ways() {
    expect(
        "NoEmptyContinuation",
        &[
            ("FROM a\nRUN b \\\n\n c", &["3: Empty continuation line"]),
            ("FROM a\nRUN b \\\n# c\n d", &[]),
            ("FROM a\nRUN b\n\nRUN c", &[]),
        ],
    );
    expect(
        "MaintainerDeprecated",
        &[("FROM a\nMAINTAINER b", &["2"]), ("FROM a\nLABEL maintainer=b", &[])],
    );
    expect(
        "LegacyKeyValueFormat",
        &[(
            "FROM a\nENV b c\nLABEL d e\nENV f=g",
            &[
                "2: \"ENV key=value\" should be used instead of legacy \"ENV key value\" format",
                "3: \"LABEL key=value\"",
            ],
        )],
    );
    expect(
        "JSONArgsRecommended",
        &[
            (
                "FROM a\nCMD b\nENTRYPOINT c",
                &["2: JSON arguments recommended for CMD", "3: for ENTRYPOINT"],
            ),
            ("FROM a\nCMD [\"b\"]", &[]),
            ("FROM a\nSHELL [\"b\", \"-c\"]\nCMD c", &[]),
            ("FROM a AS x\nSHELL [\"b\"]\nFROM x\nCMD c", &[]),
        ],
    );
}

#[test]
fn stages() {
    expect(
        "DuplicateStageName",
        &[
            (
                "FROM a AS b\nFROM c AS B",
                &["2: Duplicate stage name \"b\", stage names should be unique"],
            ),
            ("FROM a AS b\nFROM c AS d", &[]),
        ],
    );
    expect(
        "ReservedStageName",
        &[("FROM a AS scratch\nFROM b AS context", &["1: \"scratch\"", "2: \"context\""])],
    );
    expect(
        "MultipleInstructionsDisallowed",
        &[
            ("FROM a\nCMD [\"b\"]\nCMD [\"c\"]", &["2: Multiple CMD instructions"]),
            (
                "FROM a\nENTRYPOINT [\"b\"]\nHEALTHCHECK NONE\nENTRYPOINT [\"c\"]\nHEALTHCHECK NONE",
                &["2", "3"],
            ),
            ("FROM a\nCMD [\"b\"]\nFROM a\nCMD [\"c\"]", &[]),
        ],
    );
    expect(
        "RedundantTargetPlatform",
        &[
            ("FROM --platform=$TARGETPLATFORM a", &["1: predefined $TARGETPLATFORM"]),
            ("FROM --platform=${TARGETPLATFORM} a", &["1: ${TARGETPLATFORM}"]),
            ("FROM --platform=$BUILDPLATFORM a", &[]),
        ],
    );
    expect(
        "FromPlatformFlagConstDisallowed",
        &[
            ("FROM --platform=linux/amd64 a", &["1: constant value \"linux/amd64\""]),
            ("FROM --platform=linux/amd64 a AS build-amd64", &[]),
            ("FROM --platform=$BUILDPLATFORM a", &[]),
            ("ARG P=linux/amd64\nFROM --platform=$P a", &[]),
        ],
    );
}

#[test]
fn arguments_of_from() {
    expect(
        "UndefinedArgInFrom",
        &[
            ("FROM a:$VERSION", &["1: FROM argument 'VERSION' is not declared"]),
            (
                "ARG VERSION=1\nFROM a:$VERSOIN",
                &["2: 'VERSOIN' is not declared (did you mean VERSION?)"],
            ),
            ("FROM --platform=$BULIDPLATFORM a", &["1: (did you mean BUILDPLATFORM?)"]),
            ("ARG A\nFROM a:${A:-1}", &[]),
            ("FROM $TARGETOS AS wasi", &[]),
        ],
    );
    expect(
        "InvalidDefaultArgInFrom",
        &[
            (
                "ARG TAG\nFROM a:${TAG}",
                &["2: Default value for ARG a:${TAG} results in empty or invalid base image name"],
            ),
            ("ARG A\nFROM $A", &["2"]),
            ("ARG A=alpine\nFROM $A", &[]),
            ("ARG A\nFROM ${A:-alpine}", &[]),
            ("ARG A\nFROM a${A:+:$A}", &[]),
        ],
    );
    // what is given on the command line doesn't matter to the second
    let facts = Facts { build_args: [("A".to_owned(), "b".to_owned())].into(), ..Facts::default() };
    expect_with("InvalidDefaultArgInFrom", &facts, &[("ARG A\nFROM $A", &["2"])]);
}

#[test]
fn variables() {
    expect(
        "UndefinedVar",
        &[
            ("FROM scratch\nCOPY $foo .", &["2: Usage of undefined variable '$foo'"]),
            ("FROM scratch\nARG foo\nCOPY $foo .", &[]),
            ("FROM scratch\nENV PATH=$PAHT:/app/bin", &["2: '$PAHT' (did you mean $PATH?)"]),
            ("FROM scratch\nARG A=1 B=$A C=$D", &["2: '$A'", "2: '$D'"]),
            ("ARG V=1\nFROM scratch\nCOPY $V /", &["3: '$V'"]),
            ("FROM scratch AS a\nARG V\nENV W=1\nFROM a\nCOPY $V $W /", &[]),
            ("FROM scratch\nRUN echo $a\nCMD $b", &[]),
            ("FROM scratch\nRUN --mount=type=cache,target=$a true", &["2: '$a'"]),
            ("FROM scratch\nCOPY <<X /\n$a\nX", &["2: '$a'"]),
            ("FROM scratch\nCOPY <<'X' /\n$a\nX", &[]),
            // nobody has looked at the image
            ("FROM python\nENV A=$PYTHON_VERSION", &[]),
            ("FROM python\nENV A=$PAHT", &["2: (did you mean $PATH?)"]),
        ],
    );
    let base = Base { env: vec![("PYTHON_VERSION".into(), "3".into())], shell: true };
    let facts = Facts { bases: [(0, base)].into(), ..Facts::default() };
    expect_with(
        "UndefinedVar",
        &facts,
        &[
            ("FROM python\nENV A=$PYTHON_VERSION", &[]),
            ("FROM python\nENV A=$RUBY_VERSION B=$other", &["2: '$RUBY_VERSION'", "2: '$other'"]),
        ],
    );
    expect_with("JSONArgsRecommended", &facts, &[("FROM python\nCMD a", &[])]);
}

#[test]
fn values() {
    expect(
        "WorkdirRelativePath",
        &[
            ("FROM a\nWORKDIR b", &["2: Relative workdir \"b\""]),
            ("FROM a\nWORKDIR /b\nWORKDIR c", &[]),
            ("FROM a AS x\nWORKDIR /b\nFROM x\nWORKDIR c", &[]),
            ("FROM a\nARG D=/x\nWORKDIR $D/y", &[]),
            ("FROM a\nWORKDIR $APP", &[]),
            ("FROM a\nWORKDIR C:\\\\app", &[]),
        ],
    );
    expect(
        "SecretsUsedInArgOrEnv",
        &[
            (
                "FROM a\nARG GITHUB_TOKEN\nENV AUTH=1 api_key=2",
                &["2: (ARG \"GITHUB_TOKEN\")", "3: (ENV \"AUTH\")", "3: (ENV \"api_key\")"],
            ),
            ("FROM a\nARG PUBLIC_KEY TOKEN_FILE KEYBOARD MONKEY TOKEN_VERSION", &[]),
        ],
    );
    expect(
        "ExposeProtoCasing",
        &[(
            "FROM a\nEXPOSE 80/TCP 81/udp 82",
            &["2: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase"],
        )],
    );
    expect(
        "ExposeInvalidFormat",
        &[(
            "FROM a\nEXPOSE 127.0.0.1:80:80 8080:80 443",
            &["2: found '127.0.0.1:80:80'", "2: found '8080:80'"],
        )],
    );
    expect(
        "InvalidDefinitionDescription",
        &[
            (
                "# check=experimental=InvalidDefinitionDescription\n# what it is\nARG a\n# b is\nFROM c AS b",
                &["2: Comment for ARG should follow the format: `# a <description>`"],
            ),
            ("# what it is\nARG a\nFROM c", &[]),
        ],
    );
}

#[test]
fn ignored_sources() {
    let ignore = Ignore::parse(b"*/tmp/*\nsecret\n", ".dockerignore").unwrap();
    let facts = Facts { ignore: Some(&ignore), ..Facts::default() };
    expect_with(
        "CopyIgnoredFile",
        &facts,
        &[
            (
                "FROM a\nCOPY ./x/tmp/y /y",
                &["2: Attempting to Copy file \"x/tmp/y\" that is excluded by .dockerignore"],
            ),
            ("FROM a\nARG F=secret\nADD $F other /", &["3: Attempting to Add file \"secret\""]),
            ("FROM a\nCOPY --from=b secret /\nADD https://x/secret /\nCOPY . /\nCOPY fine /", &[]),
        ],
    );
    let all = Ignore::parse(b"*\n", ".dockerignore").unwrap();
    let facts = Facts { ignore: Some(&all), ..Facts::default() };
    expect_with("CopyIgnoredFile", &facts, &[("FROM a\nCOPY . /", &["2: \".\""])]);
    let open = Ignore::parse(b"*\n!src\n", ".dockerignore").unwrap();
    let facts = Facts { ignore: Some(&open), ..Facts::default() };
    expect_with("CopyIgnoredFile", &facts, &[("FROM a\nCOPY lib /", &[])]);
}

#[test]
fn checks_can_be_skipped() {
    let text = "FROM a AS Build\nMAINTAINER b\n";
    let skipped =
        |directive: &str| warnings(&format!("{directive}\n{text}"), &Facts::default()).len();
    assert_eq!(skipped("# check=error=true"), 2);
    assert_eq!(skipped("# check=skip=MaintainerDeprecated"), 1);
    assert_eq!(skipped("#check = skip = MaintainerDeprecated, StageNameCasing"), 0);
    assert_eq!(skipped("# check=skip=all"), 0);
    // above one instruction
    assert_eq!(skipped("FROM x\n# check=skip=StageNameCasing and why"), 1);
    assert_eq!(skipped("FROM x\n# check=skip=all"), 1);
}

#[test]
fn warnings_can_be_errors() {
    let text = "# check=error=true\nFROM a AS Build\nMAINTAINER b\nMAINTAINER c\n";
    let dockerfile = parse(text.as_bytes(), "Dockerfile").unwrap();
    let refused = enforce(&dockerfile, &lint(&dockerfile, &Facts::default())).unwrap_err();
    assert_eq!(refused.rules, ["MaintainerDeprecated", "StageNameCasing"]);
}

#[test]
fn every_rule_has_a_page() {
    let url = |name: &str| RULES.iter().find(|rule| rule.name == name).unwrap().url();
    assert_eq!(
        url("JSONArgsRecommended"),
        "https://docs.docker.com/go/dockerfile/rule/json-args-recommended/"
    );
    assert_eq!(url("FromAsCasing"), "https://docs.docker.com/go/dockerfile/rule/from-as-casing/");
    assert_eq!(RULES.len(), 22);
}

#[test]
fn the_image_that_was_pulled_may_be_another_platforms() {
    let dockerfile = parse(b"FROM a", "Dockerfile").unwrap();
    let warning = base_image_platform(&dockerfile, 0, "a", "linux/amd64", "linux/arm64").unwrap();
    assert_eq!(
        warning.to_string(),
        "InvalidBaseImagePlatform: Base image a was pulled with platform \"linux/arm64\", expected \"linux/amd64\" for \
         current build\n --> Dockerfile:1:6\n  |\n1 | FROM a\n  |      ^"
    );
    let skipped = parse(b"# check=skip=all\nFROM a", "Dockerfile").unwrap();
    assert!(base_image_platform(&skipped, 0, "a", "b", "c").is_none());
}
