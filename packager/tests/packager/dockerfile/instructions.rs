//! Each instruction, with its flags and forms.

use super::{instruction, parsed};
use knarr_packager::dockerfile::ast::{
    Command, CopySource, HealthOptions, Healthcheck, Program, RunNetwork, Security,
};
use knarr_packager::dockerfile::{Instruction, Mount, Owner, Scope, Sharing, parse_trigger};
use std::time::Duration;

fn shell(text: &str) -> Command {
    Command::Shell(text.to_owned())
}

fn exec(arguments: &[&str]) -> Command {
    Command::Exec(arguments.iter().map(|argument| (*argument).to_owned()).collect())
}

#[test]
fn from() {
    let file = parsed(
        "ARG V=1 W\n# build it is here\nFROM --platform=$BUILDPLATFORM a:$V AS Build\nFROM build",
    );
    assert_eq!(file.args[0].name.as_str(), "V");
    assert_eq!(file.args[0].default.as_ref().unwrap().as_str(), "1");
    assert_eq!((file.args[1].name.as_str(), &file.args[1].default), ("W", &None));
    let [build, last] = &file.stages[..] else { panic!() };
    assert_eq!(build.name.as_ref().unwrap().as_str(), "build");
    assert_eq!(build.base.as_str(), "a:$V");
    assert_eq!(build.platform.as_ref().unwrap().as_str(), "$BUILDPLATFORM");
    assert_eq!(build.description.as_deref(), Some("it is here"));
    assert!(last.name.is_none() && last.platform.is_none());
}

#[test]
fn stages_are_found_by_name_and_number() {
    let file = parsed("FROM a AS one\nFROM b AS two\nFROM one AS ONE\nFROM c");
    assert_eq!(file.stage("one"), Some(2), "of two stages with one name the last counts");
    assert_eq!(
        (file.stage("TWO"), file.stage("3"), file.stage("4"), file.stage("x")),
        (Some(1), Some(3), None, None)
    );
    assert_eq!(
        (file.named_stage("One", 2), file.named_stage("two", 1), file.named_stage("0", 4)),
        (Some(0), None, None)
    );
}

#[test]
fn commands_have_two_forms() {
    let forms: &[(&str, Command)] = &[
        ("a b | c", shell("a b | c")),
        ("[\"a\", \"b c\"]", exec(&["a", "b c"])),
        ("[]", exec(&[])),
        ("[ \"a\" ] ", exec(&["a"])),
        ("['a']", shell("['a']")),
        ("[\"a\",]", shell("[\"a\",]")),
        ("[\"a\" && b", shell("[\"a\" && b")),
        ("[\"\\u00e9\\n\"]", exec(&["é\n"])),
        ("", shell("")),
    ];
    for (text, expected) in forms {
        assert_eq!(
            instruction(&format!("CMD {text}")),
            Instruction::Cmd(expected.clone()),
            "{text}"
        );
        assert_eq!(
            instruction(&format!("entrypoint {text}")),
            Instruction::Entrypoint(expected.clone()),
            "{text}"
        );
    }
    assert_eq!(
        instruction("SHELL [\"a\", \"-c\"]"),
        Instruction::Shell(vec!["a".into(), "-c".into()])
    );
}

#[test]
fn pairs_in_both_forms() {
    let pairs = |text: &str| match instruction(text) {
        Instruction::Env(pairs) | Instruction::Label(pairs) => pairs
            .into_iter()
            .map(|pair| format!("{}|{}", pair.key.value, pair.value.value))
            .collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(pairs("ENV A b  c = d "), ["A|b  c = d"]);
    assert_eq!(
        pairs("ENV A=b C='d e' F=\"g h\" I=j\\ k L="),
        ["A|b", "C|'d e'", "F|\"g h\"", "I|j\\ k", "L|"]
    );
    assert_eq!(pairs("LABEL \"a b\"=c \\\n  d.e=f==g"), ["\"a b\"|c", "d.e|f==g"]);
}

#[test]
fn args_with_and_without_defaults() {
    let Instruction::Arg(args) = instruction("# B for bee\nARG A B=\"c d\" E=") else { panic!() };
    let shown: Vec<_> = args
        .iter()
        .map(|arg| (arg.name.as_str(), arg.default.as_ref().map(|word| word.as_str())))
        .collect();
    assert_eq!(shown, [("A", None), ("B", Some("\"c d\"")), ("E", Some(""))]);
    assert_eq!(args[1].description.as_deref(), Some("for bee"));
}

#[test]
fn plain_instructions() {
    let text = |instruction| match instruction {
        Instruction::User(word)
        | Instruction::Workdir(word)
        | Instruction::Stopsignal(word)
        | Instruction::Maintainer(word) => word.value,
        other => panic!("{other:?}"),
    };
    assert_eq!(text(instruction("USER a:b")), "a:b");
    assert_eq!(text(instruction("WORKDIR /a b/c ")), "/a b/c");
    assert_eq!(text(instruction("STOPSIGNAL SIGQUIT")), "SIGQUIT");
    assert_eq!(text(instruction("MAINTAINER A <a@b>")), "A <a@b>");
    let words = |instruction| match instruction {
        Instruction::Volume(words) | Instruction::Expose(words) => {
            words.into_iter().map(|word| word.value).collect::<Vec<_>>()
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(words(instruction("VOLUME /a /b")), ["/a", "/b"]);
    assert_eq!(words(instruction("VOLUME [\"/a b\", \" /c\"]")), ["/a b", "/c"]);
    assert_eq!(words(instruction("EXPOSE 80 53/udp $P")), ["80", "53/udp", "$P"]);
}

#[test]
fn copy_and_add() {
    let text = "COPY --from=build --chown=a:b --chmod=u=rwX,go= --link --parents --exclude=*.md --exclude=x \
                a/* [b] /c/";
    let Instruction::Copy(copy) = instruction(text) else { panic!() };
    let path = |source: &CopySource| match source {
        CopySource::Path(word) => word.value.clone(),
        CopySource::Document(document) => format!("<<{}", document.name),
    };
    assert_eq!(copy.sources.iter().map(path).collect::<Vec<_>>(), ["a/*", "[b]"]);
    assert_eq!((copy.destination.as_str(), copy.from.unwrap().as_str()), ("/c/", "build"));
    assert_eq!(copy.options.chown.unwrap().as_str(), "a:b");
    assert_eq!(copy.options.chmod.unwrap().as_str(), "u=rwX,go=");
    assert!(copy.options.link && copy.parents);
    assert_eq!(
        copy.options.exclude.iter().map(|word| word.as_str()).collect::<Vec<_>>(),
        ["*.md", "x"]
    );

    let Instruction::Copy(copy) = instruction("COPY --link=false [\"a b\", \"c\", \"/d e\"]")
    else {
        panic!()
    };
    assert_eq!(copy.sources.iter().map(path).collect::<Vec<_>>(), ["a b", "c"]);
    assert!(!copy.options.link && !copy.parents && copy.from.is_none());
    assert_eq!(copy.destination.as_str(), "/d e");

    let Instruction::Add(add) =
        instruction("ADD --checksum=sha256:ab --keep-git-dir --unpack=false https://x/y /z")
    else {
        panic!()
    };
    assert_eq!(add.checksum.unwrap().as_str(), "sha256:ab");
    assert_eq!((add.keep_git_dir, add.unpack), (Some(true), Some(false)));
    let Instruction::Add(add) = instruction("ADD --chown= a b") else { panic!() };
    assert_eq!((add.options.chown, add.keep_git_dir, add.unpack), (None, None, None));
}

#[test]
fn run_with_its_flags() {
    let text = "RUN --network=none --security=insecure --mount=target=/a --device=gpu make";
    let Instruction::Run(run) = instruction(text) else { panic!() };
    assert_eq!((run.network, run.security), (RunNetwork::None, Security::Insecure));
    assert_eq!((run.mounts.len(), run.devices.len()), (1, 1));
    assert_eq!(run.program(), Program::Shell("make".into()));
    let Instruction::Run(run) = instruction("RUN [\"a\", \"--mount=b\"]") else { panic!() };
    assert_eq!(run.program(), Program::Exec(vec!["a".into(), "--mount=b".into()]));
    assert_eq!((run.network, run.security), (RunNetwork::Default, Security::Sandbox));
}

#[test]
fn documents_of_run() {
    let program = |text: &str| match instruction(text) {
        Instruction::Run(run) => run.program(),
        other => panic!("{other:?}"),
    };
    let shell = |text: &str| Program::Shell(text.to_owned());
    assert_eq!(program("RUN <<EOF\na $b\n  c\nEOF"), shell("a $b\n  c\n"));
    assert_eq!(program("RUN <<-EOF\n\ta\n\t\tb\n\tEOF"), shell("a\nb\n"));
    assert_eq!(program("RUN <<-'EOF'\n\ta\n\tEOF"), shell("a\n"));
    assert_eq!(
        program("RUN <<EOF\n#!/usr/bin/env python\nprint()\nEOF"),
        Program::Script { name: "EOF".into(), text: "#!/usr/bin/env python\nprint()\n".into() }
    );
    // a shell reads the rest by itself
    assert_eq!(
        program("RUN cat <<A > /a && cat <<-B\n1\nA\n\t2\nB"),
        shell("cat <<A > /a && cat <<-B\n1\nA\n\t2\nB")
    );
    assert_eq!(program("RUN python3 <<EOF \\\n  -\nx\nEOF"), shell("python3 <<EOF   -\nx\nEOF"));
    assert_eq!(program("RUN --mount=target=/x <<EOF\na\nEOF"), shell("a\n"));
    // none of these announces one
    assert_eq!(program("RUN cat <<<word"), shell("cat <<<word"));
    assert_eq!(program("RUN echo '<<EOF'"), shell("echo '<<EOF'"));
    assert_eq!(program("RUN echo $((1<<2))"), shell("echo $((1<<2))"));
    // comments and continuations in a document are its own
    assert_eq!(program("RUN <<EOF\n# a \\\n\nFROM x\\\nEOF"), shell("# a \\\n\nFROM x\\\n"));
    assert_eq!(program("RUN <<EOF\nEOF"), shell(""));
}

#[test]
fn documents_of_copy() {
    let text = "COPY <<a.txt <<-\"b c\" d /x/\n$1\na.txt\n\t$2\n\tb c";
    let Instruction::Copy(copy) = instruction(text) else { panic!() };
    let documents: Vec<_> = copy
        .sources
        .iter()
        .filter_map(|source| match source {
            CopySource::Document(document) => {
                Some((document.name.as_str(), document.expand, document.text()))
            }
            CopySource::Path(_) => None,
        })
        .collect();
    // blanks separate the sources of a COPY, so that a name with one is none
    assert_eq!(documents, [("a.txt", true, "$1\n".to_owned())]);
    let text = "COPY <<a.txt <<-'b' d /x/\n$1\na.txt\n\t$2\n\tb";
    let Instruction::Copy(copy) = instruction(text) else { panic!() };
    let CopySource::Document(second) = &copy.sources[1] else { panic!() };
    assert_eq!(
        (second.name.as_str(), second.expand, second.text()),
        ("b", false, "$2\n".to_owned())
    );
    assert!(matches!(&copy.sources[2], CopySource::Path(path) if path.as_str() == "d"));
}

fn mount(text: &str) -> Mount {
    let file = parsed(&format!("FROM scratch\nRUN --mount={text} true"));
    let Instruction::Run(run) = &file.stages[0].instructions[0].value else { panic!() };
    let mut scope = Scope::new(&file);
    scope.set("T", "/t");
    run.mounts[0].resolve(&scope).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn mounts() {
    let bind = |from: Option<&str>, source: &str, target: &str, read_only| Mount::Bind {
        from: from.map(str::to_owned),
        source: source.to_owned(),
        target: target.to_owned(),
        read_only,
    };
    assert_eq!(mount("type=bind,from=b"), bind(Some("b"), "", "", true));
    assert_eq!(mount("target=/a"), bind(None, "", "/a", true));
    assert_eq!(mount("type=bind,from=b,src=/c,dst=$T,rw"), bind(Some("b"), "/c", "/t", false));
    assert_eq!(mount("source=c,destination=d,readonly=false"), bind(None, "c", "d", false));
    assert_eq!(mount("dst=/a,rw=0"), bind(None, "", "/a", true));
    assert_eq!(mount("dst=/a,ro,rw"), bind(None, "", "/a", false));
    let cache = |id: Option<&str>, read_only, sharing, owner| Mount::Cache {
        id: id.map(str::to_owned),
        from: None,
        source: String::new(),
        target: "/c".into(),
        read_only,
        sharing,
        owner,
    };
    assert_eq!(
        mount("type=cache,target=/c"),
        cache(None, false, Sharing::Shared, Owner::default())
    );
    let owner = Owner { uid: Some(1), gid: Some(2), mode: Some(0o750) };
    assert_eq!(
        mount("type=cache,target=/c,id=x,sharing=locked,ro,uid=1,gid=2,mode=0750"),
        cache(Some("x"), true, Sharing::Locked, owner)
    );
    assert_eq!(
        mount("TYPE=TMPFS,target=/t,size=64m"),
        Mount::Tmpfs { target: "/t".into(), size: Some(64 << 20), read_only: false }
    );
    let secret = |id: &str, target: Option<&str>, env: Option<&str>, required| Mount::Secret {
        id: id.into(),
        target: target.map(str::to_owned),
        env: env.map(str::to_owned),
        required,
        owner: Owner::default(),
    };
    assert_eq!(mount("type=secret,id=a"), secret("a", Some("/run/secrets/a"), None, false));
    assert_eq!(
        mount("type=secret,id=x/a,required"),
        secret("x/a", Some("/run/secrets/a"), None, true)
    );
    assert_eq!(
        mount("type=secret,target=/root/.netrc"),
        secret(".netrc", Some("/root/.netrc"), None, false)
    );
    assert_eq!(mount("type=secret,id=a,env=B"), secret("a", None, Some("B"), false));
    assert_eq!(mount("type=secret,id=A,env="), secret("A", None, Some("A"), false));
    assert_eq!(
        mount("type=secret,id=a,env=B,target=/b"),
        secret("a", Some("/b"), Some("B"), false)
    );
    assert_eq!(
        mount("type=ssh"),
        Mount::Ssh { id: "default".into(), target: None, required: false, owner: Owner::default() }
    );
    // quotes: those of the flag go, those of the list count
    assert_eq!(mount("type=bind,target=\"/a b\""), bind(None, "", "/a b", true));
    assert_eq!(mount(r#"type=bind,\"target=/a,b\""#), bind(None, "", "/a,b", true));
}

#[test]
fn health_checks() {
    let check = |text: &str| match instruction(text) {
        Instruction::Healthcheck(check) => check,
        other => panic!("{other:?}"),
    };
    assert_eq!(check("HEALTHCHECK none"), Healthcheck::None);
    let plain = |command| Healthcheck::Command { command, options: HealthOptions::default() };
    assert_eq!(check("HEALTHCHECK CMD curl -f x || exit 1"), plain(shell("curl -f x || exit 1")));
    assert_eq!(check("HEALTHCHECK CMD [\"a\", \"b\"]"), plain(exec(&["a", "b"])));
    let seconds = |number| Some(Duration::from_secs(number));
    let options = HealthOptions {
        interval: seconds(90),
        timeout: Some(Duration::from_millis(500)),
        start_period: seconds(0),
        start_interval: seconds(1),
        retries: Some(3),
    };
    let text = "HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=0s --start-interval=1s --retries=3 \\\n CMD a";
    assert_eq!(check(text), Healthcheck::Command { command: shell("a"), options });
}

#[test]
fn triggers() {
    let Instruction::Onbuild(onbuild) = instruction("onbuild  COPY --chown=$A . \\\n  /b") else {
        panic!()
    };
    assert_eq!(onbuild.trigger, "COPY --chown=$A .   /b");
    assert_eq!(parse_trigger(&onbuild.trigger, "x").unwrap().instruction, *onbuild.instruction);
    let Instruction::Onbuild(onbuild) = instruction("ONBUILD RUN cat <<A <<-B\n1\nA\n\t2\n\tB")
    else {
        panic!()
    };
    assert_eq!(onbuild.trigger, "RUN cat <<A <<-B\n1\nA\n\t2\nB");
    assert_eq!(parse_trigger(&onbuild.trigger, "x").unwrap().instruction, *onbuild.instruction);
    let Instruction::Onbuild(onbuild) = instruction("ONBUILD HEALTHCHECK NONE") else { panic!() };
    assert_eq!(onbuild.instruction.value, Instruction::Healthcheck(Healthcheck::None));
}
