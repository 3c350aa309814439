//! Checks of what instructions ask for.

use super::super::ast::{Command, CopySource, Healthcheck, Instruction};
use super::super::expand::expand;
use super::super::source::{Span, Word};
use super::super::typed::expose::{self, Exposed};
use super::state::{State, walk};
use super::{Entry, Report, Subject};
use knarr_core::suggest::nearest;

pub fn json_arguments(subject: &Subject<'_>, report: &mut Report<'_>) {
    walk(subject, |entry, instruction, state| {
        if let Some(text) = shell_form(instruction).filter(|text| looks_like_list(text)) {
            let message = format!(
                "{} looks like a list in JSON form but is none, so that a shell runs all of it: {text}",
                entry.node.keyword.value
            );
            return report.warn(entry, entry.node.span, message);
        }
        if let Instruction::Cmd(Command::Shell(_)) | Instruction::Entrypoint(Command::Shell(_)) =
            instruction
            && !state.shell
        {
            let message = format!(
                "JSON arguments recommended for {} to prevent unintended behavior related to OS signals",
                entry.node.keyword.value
            );
            report.warn(entry, entry.node.span, message);
        }
    });
}

fn shell_form(instruction: &Instruction) -> Option<&str> {
    let command = match instruction {
        Instruction::Cmd(command) | Instruction::Entrypoint(command) => command,
        Instruction::Healthcheck(Healthcheck::Command { command, .. }) => command,
        Instruction::Run(run) => &run.command,
        Instruction::Onbuild(onbuild) => return shell_form(&onbuild.instruction.value),
        _ => return None,
    };
    match command {
        Command::Shell(line) => Some(line),
        Command::Exec(_) => None,
    }
}

/// No shell knows a command that begins like this; `[ "$A" = b ]` is one.
fn looks_like_list(line: &str) -> bool {
    line.starts_with("[\"") || line.starts_with("['")
}

pub fn workdir(subject: &Subject<'_>, report: &mut Report<'_>) {
    walk(subject, |entry, instruction, state| {
        let Instruction::Workdir(path) = instruction else { return };
        let Ok(expansion) = expand(path, &state.scope) else { return };
        let uncertain = !state.complete && !expansion.undefined.is_empty();
        if !state.workdir && !uncertain && !is_absolute(&expansion.text) {
            let message = format!(
                "Relative workdir \"{}\" can have unexpected results if the base image changes",
                expansion.text
            );
            report.warn(entry, path.span, message);
        }
    });
}

/// Also for Windows: `C:\app`.
fn is_absolute(path: &str) -> bool {
    let bytes = path.as_bytes();
    path.starts_with('/')
        || path.starts_with('\\')
        || matches!(bytes, [drive, b':', b'/' | b'\\', ..] if drive.is_ascii_alphabetic())
}

pub fn undefined(subject: &Subject<'_>, report: &mut Report<'_>) {
    walk(subject, |entry, instruction, state| {
        let mut said = Vec::new();
        for (name, span) in undefined_in(instruction, state) {
            if said.contains(&name) || state.declared.contains(&name) || is_positional(&name) {
                continue;
            }
            let known = state.scope.variables().map(|(known, _)| known);
            let near = nearest(&name, known.chain(state.declared.iter().map(String::as_str)));
            // the base image may well set it, unless it looks like a slip of the keyboard
            if state.complete || near.is_some() {
                let mut message = format!("Usage of undefined variable '${name}'");
                if let Some(near) = near {
                    message.push_str(&format!(" (did you mean ${near}?)"));
                }
                report.warn(entry, span, message);
            }
            said.push(name);
        }
    });
}

/// `$1`, `$@`: a shell's, by mistake in a Dockerfile but no variable's name.
fn is_positional(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn undefined_in(instruction: &Instruction, state: &State) -> Vec<(String, Span)> {
    let words: Vec<Word> = match instruction {
        Instruction::Arg(args) => args.iter().filter_map(|arg| arg.default.clone()).collect(),
        Instruction::Run(run) => run.mounts.iter().flat_map(|mount| mount.words()).collect(),
        _ => return instruction.undefined(&state.scope).unwrap_or_default(),
    };
    let mut found = Vec::new();
    for word in &words {
        let Ok(expansion) = expand(word, &state.scope) else { continue };
        found.extend(expansion.undefined.into_iter().map(|name| (name, word.span)));
    }
    found
}

pub fn repeated(subject: &Subject<'_>, report: &mut Report<'_>) {
    let kinds = ["CMD", "ENTRYPOINT", "HEALTHCHECK"];
    let mut last: [Option<&Entry>; 3] = [None; 3];
    for entry in &subject.entries {
        let Some(kind) =
            kinds.iter().position(|kind| entry.node.keyword.eq_ignore_ascii_case(kind))
        else {
            continue;
        };
        // the one before is the one without effect
        if let Some(before) = last[kind].replace(entry)
            && before.stage == entry.stage
        {
            let message = format!(
                "Multiple {} instructions should not be used in the same stage because only the last one will be used",
                entry.node.keyword.value
            );
            report.warn(before, before.node.span, message);
        }
    }
}

pub fn secrets(subject: &Subject<'_>, report: &mut Report<'_>) {
    const SECRET: &[&str] = &[
        "apikey",
        "auth",
        "credential",
        "credentials",
        "key",
        "password",
        "pword",
        "passwd",
        "secret",
        "token",
    ];
    const HARMLESS: &[&str] = &["public", "file", "version"];
    let is_secret = |name: &str| {
        let lower = name.to_lowercase();
        let has = |words: &[&str]| lower.split('_').any(|part| words.contains(&part));
        has(SECRET) && !has(HARMLESS)
    };
    walk(subject, |entry, instruction, _| {
        let (keyword, names): (_, Vec<&Word>) = match instruction {
            Instruction::Arg(args) => ("ARG", args.iter().map(|arg| &arg.name).collect()),
            Instruction::Env(pairs) => ("ENV", pairs.iter().map(|pair| &pair.key).collect()),
            _ => return,
        };
        for name in names.into_iter().filter(|name| is_secret(name)) {
            let message = format!(
                "Do not use ARG or ENV instructions for sensitive data ({keyword} \"{}\")",
                name.value
            );
            report.warn(entry, name.span, message);
        }
    });
}

pub fn ignored(subject: &Subject<'_>, report: &mut Report<'_>) {
    // with exceptions a folder may be ignored and something in it not
    let Some(ignore) = subject.facts.ignore.filter(|ignore| !ignore.has_exceptions()) else {
        return;
    };
    walk(subject, |entry, instruction, state| {
        let (verb, sources) = match instruction {
            Instruction::Copy(copy) if copy.from.is_none() => ("Copy", &copy.sources),
            Instruction::Add(add) => ("Add", &add.sources),
            _ => return,
        };
        for source in sources {
            let CopySource::Path(word) = source else { continue };
            let Ok(expansion) = expand(word, &state.scope) else { continue };
            if !expansion.undefined.is_empty() || is_remote(&expansion.text) {
                continue;
            }
            let path = super::super::ignore::clean(&expansion.text);
            let excluded = match path.as_str() {
                "." | "/" => ignore.ignores_root(),
                path => ignore.is_ignored(path),
            };
            if excluded {
                let message = format!(
                    "Attempting to {verb} file \"{path}\" that is excluded by .dockerignore"
                );
                report.warn(entry, word.span, message);
            }
        }
    });
}

fn is_remote(text: &str) -> bool {
    text.contains("://") || text.starts_with("git@")
}

/// The ports of an `EXPOSE`, each with its word; what is no port is left to the build.
fn exposed(instruction: &Instruction, state: &State) -> Vec<(String, Span, Exposed)> {
    let Ok(Instruction::Expose(words)) = instruction.expanded(&state.scope) else {
        return Vec::new();
    };
    let read = |word: &Word| Some((word.value.clone(), word.span, expose::port(word)?));
    words.iter().filter_map(read).collect()
}

pub fn protocols(subject: &Subject<'_>, report: &mut Report<'_>) {
    walk(subject, |entry, instruction, state| {
        for (text, span, exposed) in exposed(instruction, state) {
            if exposed.written_protocol.is_some_and(|written| written != exposed.protocol) {
                let message =
                    format!("Defined protocol '{text}' in EXPOSE instruction should be lowercase");
                report.warn(entry, span, message);
            }
        }
    });
}

pub fn port_mappings(subject: &Subject<'_>, report: &mut Report<'_>) {
    walk(subject, |entry, instruction, state| {
        for (text, span, exposed) in exposed(instruction, state) {
            if exposed.mapped {
                let message = format!(
                    "EXPOSE instruction should not define an IP address or host-port mapping, found '{text}'"
                );
                report.warn(entry, span, message);
            }
        }
    });
}
