use super::super::parse;
use super::*;

fn scope(values: &[(&str, &str)]) -> Scope {
    let mut scope = Scope::new(&parse(b"FROM scratch", "Dockerfile").unwrap());
    for (name, value) in values {
        scope.set(*name, *value);
    }
    scope
}

fn word(text: &str) -> Word {
    Word::new(text.to_owned(), Span::default())
}

const ENV: &[(&str, &str)] = &[
    ("HOME", "/root"),
    ("EMPTY", ""),
    ("FILE", "/a/b/c.tar.gz"),
    ("X", "x"),
    ("STARS", "a*b*"),
    ("Ü", "ü"),
];

/// Word and meaning; `None` where there is an error.
const WORDS: &[(&str, Option<&str>)] = &[
    // quotes and escapes
    ("a b", Some("a b")),
    ("he'll'o", Some("hello")),
    ("\"a b\"'c d'", Some("a bc d")),
    ("he'llo", None),
    ("he\"llo", None),
    ("he\\'llo", Some("he'llo")),
    ("a\\tb", Some("atb")),
    ("\"a\\tb\"", Some("a\\tb")),
    ("\"a\\\\b\\\"\\$X\"", Some("a\\b\"$X")),
    ("'a\\tb$X'", Some("a\\tb$X")),
    ("a\\", Some("a")),
    ("a\\\\", Some("a\\")),
    ("\"''\"", Some("''")),
    // plain variables
    ("$X", Some("x")),
    ("$X$HOME/bin", Some("x/root/bin")),
    ("${X}y", Some("xy")),
    ("\"'$X'\"", Some("'x'")),
    ("\\$X", Some("$X")),
    ("\\${X}", Some("${X}")),
    ("$", Some("$")),
    ("a$.", Some("a$.")),
    ("$none.", Some(".")),
    ("$Ü", Some("ü")),
    ("$1x$@y$$z", Some("xyz")),
    ("$x", Some("")),
    // defaults and alternatives
    ("${none:-d}", Some("d")),
    ("${none-d}", Some("d")),
    ("${EMPTY:-d}", Some("d")),
    ("${EMPTY-d}", Some("")),
    ("${X:-d}", Some("x")),
    ("${none:-${X}$HOME}", Some("x/root")),
    ("${none:-${other:-deep}}", Some("deep")),
    ("${none:-\"a b\"}", Some("a b")),
    ("${none:-\\}}", Some("}")),
    ("${none:-}", Some("")),
    ("${X:+y}", Some("y")),
    ("${EMPTY:+y}", Some("")),
    ("${EMPTY+y}", Some("y")),
    ("${none+y}", Some("")),
    ("${X:+${none}}", Some("")),
    ("v${V:+-$V}", Some("v")),
    // what must be set
    ("${X?}", Some("x")),
    ("${EMPTY?}", Some("")),
    ("${EMPTY:?}", None),
    ("${none?}", None),
    ("${none:?say it}", None),
    // prefixes and suffixes
    ("${FILE#*/}", Some("a/b/c.tar.gz")),
    ("${FILE##*/}", Some("c.tar.gz")),
    ("${FILE%.*}", Some("/a/b/c.tar")),
    ("${FILE%%.*}", Some("/a/b/c")),
    ("${FILE%/*}", Some("/a/b")),
    ("${FILE#x}", Some("/a/b/c.tar.gz")),
    ("${FILE#}", Some("/a/b/c.tar.gz")),
    ("${FILE#$none}", Some("/a/b/c.tar.gz")),
    ("${FILE#/?/}", Some("b/c.tar.gz")),
    ("${STARS#a\\*}", Some("b*")),
    ("${STARS%\\*}", Some("a*b")),
    ("${STARS%%\\**}", Some("a")),
    ("${none#x}", Some("")),
    ("${STARS#\\a}", None),
    ("${FILE:#x}", None),
    ("${FILE:%x}", None),
    // replacement
    ("${FILE/b/B}", Some("/a/B/c.tar.gz")),
    ("${FILE//\\//-}", Some("-a-b-c.tar.gz")),
    ("${FILE/\\/a/}", Some("/b/c.tar.gz")),
    ("${FILE//?/x}", Some("xxxxxxxxxxxxx")),
    ("${FILE/*/all}", Some("all")),
    ("${FILE//*/all}", Some("all")),
    ("${FILE//.*/}", Some("/a/b/c")),
    ("${FILE/$X/y}", Some("/a/b/c.tar.gz")),
    ("${X/x/$HOME}", Some("/root")),
    ("${X//y/z}", Some("x")),
    ("${none/x/y}", Some("")),
    ("${X/}", None),
    ("${X//x}", None),
    ("${X/x/y", None),
    // no substitutions
    ("${", None),
    ("${X", None),
    ("${}", None),
    ("${:-x}", None),
    ("${{X}}", None),
    ("${X:y}", None),
    ("${X=y}", None),
    ("${X:=y}", None),
    ("${.}", None),
    ("${X}}", Some("x}")),
    ("${X:-${none}", None),
];

#[test]
fn words_mean_what_they_mean_to_buildkit() {
    let scope = scope(ENV);
    for (text, expected) in WORDS {
        let found = expand(&word(text), &scope);
        assert_eq!(
            found.as_ref().ok().map(|found| found.text.as_str()),
            *expected,
            "{text}: {found:?}"
        );
    }
}

#[test]
fn splitting_comes_after_expansion_but_minds_quotes() {
    let scope = scope(&[("two", " a  b "), ("none", "")]);
    let cases: &[(&str, &[&str])] = &[
        ("80 $two", &["80", "a", "b"]),
        ("x${two}y", &["x", "a", "b", "y"]),
        ("x\"${two}\"y", &["x a  b y"]),
        ("x\\ y", &["x y"]),
        ("$none", &[]),
        ("${unset:-8080}", &["8080"]),
        ("80${unset:-80}", &["8080"]),
        ("' '", &[" "]),
    ];
    for (text, expected) in cases {
        assert_eq!(split(&word(text), &scope).unwrap(), *expected, "{text}");
    }
}

#[test]
fn variables_are_told_once_each() {
    let found = expand(&word("$X $none ${X} ${other:-$none} ${EMPTY:-1}"), &scope(ENV)).unwrap();
    assert_eq!(found.used, ["X", "EMPTY"]);
    assert_eq!(found.undefined, ["none", "other"]);
}

#[test]
fn a_backquote_can_be_the_escape() {
    let dockerfile = parse(b"# escape=`\nFROM x\nWORKDIR C:\\app`$X\\$Y", "Dockerfile").unwrap();
    let mut scope = Scope::new(&dockerfile);
    scope.set("Y", "y");
    let Instruction::Workdir(path) = &dockerfile.stages[0].instructions[0].value else { panic!() };
    assert_eq!(expand(path, &scope).unwrap().text, "C:\\app$X\\y");
}

#[test]
fn errors_point_into_the_word() {
    let text = "FROM x\nENV A=\"b ${C:?give it}\" \\\n    D='e";
    let error = |index: usize| {
        let dockerfile = parse(text.as_bytes(), "Dockerfile").unwrap();
        let Instruction::Env(pairs) = &dockerfile.stages[0].instructions[0].value else { panic!() };
        expand(&pairs[index].value, &Scope::new(&dockerfile)).unwrap_err().to_string()
    };
    assert_eq!(
        error(0),
        "C: give it\n --> Dockerfile:2:10\n  |\n2 | ENV A=\"b ${C:?give it}\" \\\n  |          ^^^^^^^^^^^^^"
    );
    assert_eq!(
        error(1),
        "the closing ' is missing\n --> Dockerfile:3:7\n  |\n3 |     D='e\n  |       ^"
    );
}

#[test]
fn documents_keep_their_quotes() {
    let text = "FROM x\nCOPY <<A <<'B' /\n\"$X\" 'it' \\$X ${Y:-z}\nA\n$X\nB\n";
    let dockerfile = parse(text.as_bytes(), "Dockerfile").unwrap();
    let mut scope = Scope::new(&dockerfile);
    scope.set("X", "1");
    let Instruction::Copy(copy) = dockerfile.stages[0].instructions[0].expanded(&scope).unwrap()
    else {
        panic!()
    };
    let texts: Vec<_> = copy
        .sources
        .iter()
        .map(|source| match source {
            super::super::ast::CopySource::Document(document) => document.text(),
            super::super::ast::CopySource::Path(_) => panic!(),
        })
        .collect();
    assert_eq!(texts, ["\"1\" 'it' $X z\n", "$X\n"]);
}

#[test]
fn each_instruction_expands_what_buildkit_expands() {
    let text = "FROM x
ENV A=$V $V=b
LABEL $V=$V
ARG C=$V
COPY --chown=$V --chmod=$V --exclude=$V $V/a $V/
ADD --checksum=$V $V /
WORKDIR $V
USER $V:$V
VOLUME $V
STOPSIGNAL $V
EXPOSE $PORTS
MAINTAINER $V
RUN echo $V
CMD [\"$V\"]
ENTRYPOINT $V
HEALTHCHECK CMD $V
SHELL [\"$V\"]
ONBUILD WORKDIR $V
";
    let dockerfile = parse(text.as_bytes(), "Dockerfile").unwrap();
    let mut scope = Scope::new(&dockerfile);
    scope.set("V", "v");
    scope.set("PORTS", "1 2-3/udp");
    let shown: Vec<_> = dockerfile.stages[0]
        .instructions
        .iter()
        .map(|instruction| format!("{:?}", instruction.expanded(&scope).unwrap()))
        .collect();
    for (index, instruction) in shown.iter().enumerate() {
        // ARG is the build's, exclude patterns and all from MAINTAINER on are not expanded
        let expected = match index {
            2 | 10.. => instruction.contains("$V"),
            3 => instruction.matches("$V").count() == 1,
            _ => !instruction.contains("$V"),
        };
        assert!(expected, "{instruction}");
    }
    assert_eq!(shown[9], "Expose([\"1\", \"2-3/udp\"])");
}

#[test]
fn hostile_words_end() {
    let scope = scope(&[("A", &"a".repeat(100_000))]);
    let deep = format!("{}x{}", "${N:-".repeat(10_000), "}".repeat(10_000));
    assert_eq!(expand(&word(&deep), &scope).unwrap_err().problem, Problem::Nesting);
    let large = "$A".repeat(100);
    assert!(matches!(expand(&word(&large), &scope).unwrap_err().problem, Problem::TooLarge { .. }));
    let replaced = format!("${{A//a/{}}}", "b".repeat(1000));
    assert!(matches!(
        expand(&word(&replaced), &scope).unwrap_err().problem,
        Problem::TooLarge { .. }
    ));
    assert_eq!(expand(&word("${A//*b/c}${A%%*b*c*d}"), &scope).unwrap().text.len(), 200_000);
}
