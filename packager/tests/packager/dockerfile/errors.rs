//! What is wrong is said where it is, with the line shown and with what was meant.

use knarr_core::hint::Hint;
use knarr_packager::dockerfile::{Scope, parse, parse_trigger};

/// File; the error's first line; `line:column`; what the carets mark; the hint.
type Case = (&'static str, &'static str, &'static str, &'static str, Option<&'static str>);

fn check(bytes: &[u8], error: &knarr_packager::dockerfile::Error, expected: &Case) {
    let (_, message, place, marked, hint) = expected;
    let shown = error.to_string();
    let file = String::from_utf8_lossy(bytes);
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[0], *message, "{file}\n{shown}");
    assert!(lines[1].ends_with(&format!("--> Dockerfile:{place}")), "{file}\n{shown}");
    let (source, carets) = (lines[3], lines[4]);
    let from = carets.find('^').unwrap();
    let taken: String =
        source.chars().skip(from).take(carets.chars().filter(|c| *c == '^').count()).collect();
    assert_eq!(taken.trim_end(), *marked, "{file}\n{shown}");
    assert_eq!(error.hint().as_deref(), *hint, "{file}\n{shown}");
}

#[rustfmt::skip] // one case after another, not one word after another
const CASES: &[Case] = &[
    // the file
    ("", "the Dockerfile has no instruction", "1:1", "",
        Some("the first instruction names the image to start from, as in 'FROM scratch'")),
    ("# only\n\n", "the Dockerfile has no instruction", "3:1", "",
        Some("the first instruction names the image to start from, as in 'FROM scratch'")),
    ("ARG A\n", "the Dockerfile has no FROM", "2:1", "",
        Some("the first instruction names the image to start from, as in 'FROM scratch'")),
    ("ARG A\nRUN a\nFROM b", "RUN stands before the first FROM", "2:1", "RUN",
        Some("only ARG may stand before the first FROM")),
    ("# escape=x\nFROM a", "the escape character must be \\ or `, not 'x'", "1:10", "x", None),
    ("# escape=`\n#ESCAPE = \\\nFROM a", "there may be only one 'escape' directive", "2:1", "#ESCAPE = \\", None),
    ("# platforms=wasi/wasm\n# escape=`\nFROM a", "the escape directive comes too late", "2:1", "# escape=`",
        Some("put it above '# platforms=', which other builders take for a comment")),
    ("# check=skip=A;eror=true\nFROM a", "'eror=true' is no check option", "1:9", "skip=A;eror=true",
        Some("it is written like '# check=skip=RULE,RULE;experimental=RULE;error=true'")),
    ("# platforms=linux/amd64, a/b/c/d\nFROM a", "'a/b/c/d' is not a platform", "1:26", "a/b/c/d",
        Some("platforms look like linux/amd64, linux/arm64/v8 or wasi/wasm")),
    // what was meant
    ("FORM a", "unknown instruction 'FORM'", "1:1", "FORM", Some("did you mean 'FROM'?")),
    ("FROM a\n  cpoy b c", "unknown instruction 'cpoy'", "2:3", "cpoy", Some("did you mean 'copy'?")),
    ("FROM a\nDOWNLOAD b", "unknown instruction 'DOWNLOAD'", "2:1", "DOWNLOAD", None),
    ("FROM a\nRUN b &&\n  c", "unknown instruction 'c'", "3:3", "c",
        Some("if this belongs to the instruction before, end the line before with the escape character")),
    ("FROM a\nRUN b |\nc d", "unknown instruction 'c'", "3:1", "c",
        Some("if this belongs to the instruction before, end the line before with the escape character")),
    ("FROM\u{a0}a", "unknown instruction 'FROM\u{a0}a'", "1:1", "FROM\u{a0}a",
        Some("an invisible character stands where a blank should be")),
    ("FROM a\nRUN\u{a0}apt-get", "unknown instruction 'RUN\u{a0}apt-get'", "2:1", "RUN\u{a0}apt-get",
        Some("an invisible character stands where a blank should be")),
    ("FROM a\nCOPY --form=b c d", "COPY has no flag --form", "2:6", "--form", Some("did you mean '--from'?")),
    ("FROM a\nCOPY --checksum=b c d", "COPY has no flag --checksum", "2:6", "--checksum",
        Some("there are --from, --chown, --chmod, --link, --exclude and --parents")),
    ("FROM a\nWORKDIR --link /b", "WORKDIR has no flag --link", "2:9", "--link", None),
    ("FROM --plattform=b a", "FROM has no flag --plattform", "1:6", "--plattform", Some("did you mean '--platform'?")),
    ("FROM --os=b a", "FROM has no flag --os", "1:6", "--os", Some("there is only '--platform'")),
    ("FROM a\nRUN --mount=type=cach,target=/c d", "'cach' is no value for type", "2:13", "type=cach,target=/c",
        Some("did you mean 'cache'?")),
    ("FROM a\nRUN --mount=taget=/c d", "a mount has no option 'taget'", "2:13", "taget=/c",
        Some("did you mean 'target'?")),
    ("FROM a\nRUN --network=hots b", "'hots' is no value for --network", "2:15", "hots", Some("did you mean 'host'?")),
    ("FROM a\nRUN --network=bridge b", "'bridge' is no value for --network", "2:15", "bridge",
        Some("there are default, none and host")),
    ("FROM a\nRUN --security=off b", "'off' is no value for --security", "2:16", "off",
        Some("there are sandbox and insecure")),
    // arguments
    ("FROM", "FROM takes an image, optionally followed by AS and a name", "1:1", "FROM", None),
    ("FROM a b", "FROM takes an image, optionally followed by AS and a name", "1:8", "b",
        Some("write AS where 'b' stands, or one word after FROM")),
    ("FROM a AS", "FROM takes an image, optionally followed by AS and a name", "1:8", "AS", None),
    ("FROM a AS 1b", "'1b' is no name for a stage", "1:11", "1b",
        Some("a name starts with a letter, then come letters, digits, '-', '_' and '.'")),
    ("FROM a\nCOPY b", "COPY needs a source and a destination", "2:1", "COPY b", Some("write 'COPY SOURCE DESTINATION'")),
    ("FROM a\nADD", "ADD needs a source and a destination", "2:1", "ADD", Some("write 'ADD SOURCE DESTINATION'")),
    ("FROM a\nENV PATH", "ENV needs a name and a value", "2:5", "PATH", Some("write 'ENV NAME=VALUE'")),
    ("FROM a\nENV A=b c", "there is no '=' in 'c'", "2:9", "c",
        Some("write 'ENV NAME=VALUE NAME=VALUE'; a value with blanks needs quotes")),
    ("FROM a\nLABEL =b", "the name before '=' is missing", "2:7", "=b", None),
    ("FROM a\nARG =b", "the name before '=' is missing", "2:5", "=b", None),
    ("FROM a\nARG", "ARG needs at least one argument", "2:1", "ARG", None),
    ("FROM a\nUSER", "USER takes exactly one argument", "2:1", "USER", None),
    ("FROM a\nVOLUME [\"\"]", "a volume's path may not be empty", "2:10", "\"", None),
    ("FROM a\nEXPOSE", "EXPOSE needs at least one argument", "2:1", "EXPOSE", None),
    ("FROM a\nSHELL /bin/sh -c", "SHELL takes a list in JSON form", "2:7", "/bin/sh -c",
        Some("write SHELL [\"/bin/bash\", \"-c\"]")),
    ("FROM a\nCMD [\"sleep\", 1]", "only strings may stand in the list of CMD", "2:5", "[\"sleep\", 1]",
        Some("numbers and lists need quotes: [\"sleep\", \"1\"]")),
    ("FROM a\nRUN []", "an empty command cannot be run", "2:1", "RUN []", None),
    // health checks
    ("FROM a\nHEALTHCHECK curl b", "unknown kind of health check 'curl'", "2:13", "curl",
        Some("write HEALTHCHECK CMD COMMAND, or HEALTHCHECK NONE")),
    ("FROM a\nHEALTHCHECK NONE b", "HEALTHCHECK NONE takes no arguments", "2:18", "b", None),
    ("FROM a\nHEALTHCHECK CMD", "the command after HEALTHCHECK CMD is missing", "2:1", "HEALTHCHECK CMD", None),
    ("FROM a\nHEALTHCHECK --interval=5 CMD b", "'5' is no value for --interval", "2:24", "5",
        Some("it takes a duration such as 30s, 1m30s or 500ms")),
    ("FROM a\nHEALTHCHECK --timeout=1us CMD b", "'1us' is no value for --timeout", "2:23", "1us",
        Some("it takes a duration of 1ms or more")),
    ("FROM a\nHEALTHCHECK --retries=-1 CMD b", "'-1' is no value for --retries", "2:23", "-1",
        Some("it takes a number from 0")),
    // ONBUILD
    ("FROM a\nONBUILD FROM b", "FROM may not stand in an ONBUILD", "2:9", "FROM", None),
    ("FROM a\nonbuild onbuild run b", "ONBUILD may not stand in an ONBUILD", "2:9", "onbuild", None),
    ("FROM a\nONBUILD MAINTAINER b", "MAINTAINER may not stand in an ONBUILD", "2:9", "MAINTAINER", None),
    ("FROM a\nONBUILD RNU b", "unknown instruction 'RNU'", "2:9", "RNU", Some("did you mean 'RUN'?")),
    // flags
    ("FROM a\nCOPY --link --link=false b c", "--link is given twice", "2:13", "--link=false", None),
    ("FROM a\nCOPY --link=maybe b c", "--link is true or false, not 'maybe'", "2:13", "maybe", None),
    ("FROM a\nCOPY --chown b c", "--chown needs a value", "2:6", "--chown", Some("write '--chown=VALUE'")),
    ("FROM a\nCOPY --from=$b c d", "variables are not expanded in '--from'", "2:13", "$b",
        Some("define a stage with 'FROM $NAME AS other' and a global ARG, then name that stage")),
    // mounts
    ("FROM a\nRUN --mount=type=bind,from=$b,target=/c d", "variables are not expanded in 'from'", "2:13",
        "type=bind,from=$b,target=/c",
        Some("define a stage with 'FROM $NAME AS other' and a global ARG, then name that stage")),
    ("FROM a\nRUN --mount=type=secret d", "a mount of type secret needs an id or a target", "2:13", "type=secret", None),
    ("FROM a\nRUN --mount=type=bind,target=/b,size=1m d", "a mount of type bind has no option 'size'", "2:13",
        "type=bind,target=/b,size=1m", None),
    ("FROM a\nRUN --mount=type=tmpfs,target=/b,size=1x d", "'1x' is no value for size", "2:13",
        "type=tmpfs,target=/b,size=1x", Some("it takes a number of bytes such as 64m or 1.5GiB")),
    ("FROM a\nRUN --mount=type=cache,target=/b,mode=999 d", "'999' is no value for mode", "2:13",
        "type=cache,target=/b,mode=999", Some("it takes an octal number such as 0644")),
    ("FROM a\nRUN --mount=type=cache,target d", "the value of target is missing", "2:13", "type=cache,target",
        Some("write 'target=VALUE'")),
    // documents
    ("FROM a\nRUN <<EOF b\nc", "the line 'EOF' that ends this document is missing", "2:5", "<<EOF",
        Some("end the document with a line that is exactly 'EOF', without blanks around it")),
    ("FROM a\nCOPY <<A <<-\"B\" /c/\nA\n B", "the line 'B' that ends this document is missing", "2:10", "<<-\"B\"",
        Some("end the document with a line that is exactly 'B', without blanks around it")),
    ("FROM a\nCOPY b <<C\nC", "COPY cannot have a document as its destination", "2:8", "<<C", None),
    // continued lines
    ("FROM a\nRUN b \\\n  # c\n  && d\nRUN --mount=type=cache,target=/e \\\n    --netwrok=none f",
        "RUN has no flag --netwrok", "6:5", "--netwrok", Some("did you mean '--network'?")),
];

#[test]
fn every_error_is_shown_at_its_place() {
    for case in CASES {
        let bytes = case.0.as_bytes();
        check(bytes, &parse(bytes, "Dockerfile").expect_err(case.0), case);
    }
}

#[test]
fn text_must_be_utf_8_but_not_in_comments() {
    let latin = b"# caf\xe9\nFROM a\nRUN caf\xe9\n";
    let expected =
        ("", "this is not UTF-8 text", "3:8", "\u{fffd}", Some("save the file as UTF-8"));
    check(latin, &parse(latin, "Dockerfile").unwrap_err(), &expected);
    let document = b"FROM a\nCOPY <<A /b\n\xff\nA\n";
    let expected =
        ("", "this is not UTF-8 text", "3:1", "\u{fffd}", Some("save the file as UTF-8"));
    check(document, &parse(document, "Dockerfile").unwrap_err(), &expected);
    assert!(parse(b"# caf\xe9\nFROM a\n", "Dockerfile").is_ok());
    assert!(parse("FROM a\nRUN \u{fffd}".as_bytes(), "Dockerfile").is_ok());
    let wide: Vec<u8> = "\u{feff}FROM a".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let hint = parse(&wide, "Dockerfile").unwrap_err().hint().unwrap();
    assert!(hint.contains("UTF-16"), "{hint}");
}

#[test]
fn errors_of_values_come_with_their_place_too() {
    let file = parse(b"FROM a\nEXPOSE 80 http", "Dockerfile").unwrap();
    let scope = Scope::new(&file);
    let knarr_packager::dockerfile::Instruction::Expose(words) =
        &file.stages[0].instructions[0].value
    else {
        panic!()
    };
    let error = knarr_packager::dockerfile::expose::ports(words, &scope).unwrap_err();
    let hint = Some("a port looks like 80, 53/udp or 8000-8010");
    check(b"", &error, &("", "'http' is no port", "2:11", "http", hint));
}

#[test]
fn triggers_are_one_instruction() {
    let error = |text: &str| parse_trigger(text, "Dockerfile").unwrap_err();
    check(
        b"",
        &error("RUN a\nRUN b"),
        &("", "an ONBUILD has one instruction, and this is a second one", "2:1", "RUN b", None),
    );
    check(b"", &error("FROM a"), &("", "FROM may not stand in an ONBUILD", "1:1", "FROM", None));
    check(
        b"",
        &error("ONBUILD RUN a"),
        &("", "ONBUILD may not stand in an ONBUILD", "1:1", "ONBUILD", None),
    );
    assert!(parse_trigger("", "Dockerfile").is_err());
}
