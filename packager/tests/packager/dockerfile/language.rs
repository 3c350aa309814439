//! Lines, comments, directives, encodings.

use super::parsed;
use knarr_packager::dockerfile::ast::{Command, Rules};
use knarr_packager::dockerfile::{Dockerfile, Instruction, parse};

/// The shell lines of all `RUN`s.
fn runs(file: &Dockerfile) -> Vec<String> {
    let instructions = file.stages.iter().flat_map(|stage| &stage.instructions);
    instructions
        .filter_map(|instruction| match &instruction.value {
            Instruction::Run(run) => match &run.command {
                Command::Shell(line) => Some(line.clone()),
                Command::Exec(arguments) => Some(format!("{arguments:?}")),
            },
            _ => None,
        })
        .collect()
}

#[test]
fn lines_continue() {
    let text = "FROM a
RUN one \\
    two\\
three   \\   \t
four
RUN \\
  five
RUN a \\
# a comment
   # another
  b \\

  c
RUN d \\";
    let expected = ["one     twothree   four", "five", "a   b   c", "d"];
    assert_eq!(runs(&parsed(text)), expected);
}

#[test]
fn a_comment_is_a_whole_line() {
    assert_eq!(runs(&parsed("FROM a\n  # no\nRUN echo # hash\n#\nRUN b")), ["echo # hash", "b"]);
}

#[test]
fn windows_files() {
    let text = "\u{feff}# escape=`\r\nFROM a\r\nRUN dir `\r\n  c:\\\r\nCOPY <<E /x\r\nl1\r\nE\r\nRUN <<-E\r\n\tl2\r\n\tE\r\n";
    let file = parsed(text);
    assert_eq!(file.directives.escape, '`');
    assert_eq!(runs(&file), ["dir   c:\\", "<<-E"]);
    let last = &file.stages[0].instructions[2].value;
    let Instruction::Run(run) = last else { panic!() };
    assert_eq!(run.heredocs[0].text(), "l2\r\n");
    assert_eq!(file.source.slice(file.stages[0].span), "FROM a");
}

#[test]
fn directives() {
    let text = "#  SYNTAX = docker/dockerfile:1 \n# escape=`\n# check=skip=A,B;error=true;experimental=all\n\
                # platforms = wasi/wasm, linux/amd64\nFROM a";
    let directives = parsed(text).directives;
    assert_eq!(directives.syntax.unwrap().as_str(), "docker/dockerfile:1");
    assert_eq!(directives.escape, '`');
    assert_eq!(directives.check.skip, Rules::Named(vec!["A".into(), "B".into()]));
    assert_eq!((directives.check.experimental, directives.check.error), (Rules::All, true));
    let platforms: Vec<_> = directives.platforms.iter().map(|word| word.as_str()).collect();
    assert_eq!(platforms, ["wasi/wasm", "linux/amd64"]);
}

#[test]
fn directives_end_where_buildkits_do() {
    let escape = |top: &str| parsed(&format!("{top}\nFROM a")).directives.escape;
    assert_eq!(escape("# escape=`"), '`');
    assert_eq!(escape("# a comment\n# escape=`"), '\\');
    assert_eq!(escape("# unknown=1\n# escape=`"), '\\');
    assert_eq!(escape("\n# escape=`"), '\\');
    assert_eq!(escape("ARG A\n# escape=`"), '\\');
    let platforms = |top: &str| parsed(&format!("{top}\nFROM a")).directives.platforms.len();
    assert_eq!(platforms("# platforms=wasi/wasm"), 1);
    assert_eq!(
        platforms("# platforms=wasi/wasm\n# syntax=docker/dockerfile:1\n# check=skip=all"),
        1
    );
    assert_eq!(platforms("# a comment\n# platforms=wasi/wasm"), 0);
}

#[test]
fn places_are_exact() {
    let file = parsed("FROM a AS b\n  COPY \\\n  --from=b x \\\n  y\n");
    let Instruction::Copy(copy) = &file.stages[0].instructions[0].value else { panic!() };
    let at = |span| (file.source.slice(span), file.source.position(span.start));
    assert_eq!(at(copy.from.as_ref().unwrap().span), ("b", (3, 10)));
    assert_eq!(at(copy.destination.span), ("y", (4, 3)));
    assert_eq!(at(file.stages[0].instructions[0].span), ("COPY \\\n  --from=b x \\\n  y", (2, 3)));
    assert_eq!(at(file.stages[0].name.as_ref().unwrap().span), ("b", (1, 11)));
}

#[test]
fn long_lines_are_no_matter() {
    let long = "x".repeat(1 << 20);
    let file = parse(format!("FROM a\nRUN echo {long}\n").as_bytes(), "Dockerfile").unwrap();
    assert_eq!(runs(&file)[0].len(), long.len() + 5);
}
