//! Parsing, and mistakes on the command line as failures like any other.

use super::unknown::text;
use super::{Cli, unknown};
use crate::error::{FAILED, Failure, KNARR_FAILED};
use crate::ui;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, CommandFactory, Parser};
use std::ffi::OsString;

/// The parsed command line; `None` if help or the version was asked for and has been printed.
pub fn parse(arguments: Vec<OsString>) -> Result<Option<Cli>, Failure> {
    let mut arguments = arguments;
    loop {
        match Cli::try_parse_from(&arguments) {
            Ok(Cli { verb: None, .. }) => {
                ui::data(Cli::command().render_help().to_string().as_bytes())?;
                return Ok(None);
            }
            Ok(cli) => return Ok(Some(cli)),
            Err(error)
                if resolve_switch(&error, &mut arguments)
                    || resolve_letters(&error, &mut arguments)
                    || leave_out(&error, &mut arguments) => {}
            Err(error) => return reject(&error, &arguments).map(|()| None),
        }
    }
}

/// Docker's switches take a value: `--rm=false`. Clap's do not, and its error names the switch; so the
/// argument is replaced by what it means, and everything parsed again. Costs nothing where nobody does it.
fn resolve_switch(error: &clap::Error, arguments: &mut Vec<OsString>) -> bool {
    if error.kind() != ErrorKind::TooManyValues {
        return false;
    }
    let (Some(switch), Some(value)) =
        (text(error, ContextKind::InvalidArg), text(error, ContextKind::InvalidValue))
    else {
        return false;
    };
    let Some(on) = switch_value(value) else { return false };
    let Some(at) = arguments.iter().position(|a| *a == *format!("{switch}={value}")) else {
        return false;
    };
    if on {
        arguments[at] = switch.into();
    } else {
        // the last one wins: whatever switched it on before is void
        arguments.remove(at);
        let mut index = 0;
        arguments.retain(|a| {
            index += 1;
            index > at || *a != *switch
        });
    }
    true
}

/// An empty value is none for these options of Docker's: a script's variable that is not set.
fn leave_out(error: &clap::Error, arguments: &mut Vec<OsString>) -> bool {
    const OPTIONS: [&str; 8] = [
        "--cidfile",
        "--ip",
        "--ip6",
        "--iidfile",
        "--log-driver",
        "--platform",
        "--pull",
        "--runtime",
    ];
    let (Some(argument), Some("")) =
        (text(error, ContextKind::InvalidArg), text(error, ContextKind::InvalidValue))
    else {
        return false;
    };
    let Some(option) = OPTIONS.iter().find(|o| argument.split(' ').next() == Some(o)) else {
        return false;
    };
    if let Some(at) = arguments.iter().position(|a| *a == *format!("{option}=")) {
        arguments.remove(at);
        return true;
    }
    let pair = |words: &[OsString]| words[0] == **option && words[1].is_empty();
    let Some(at) = arguments.windows(2).position(pair) else { return false };
    arguments.drain(at..at + 2);
    true
}

/// The same of one letter, the last one of a group: `-d=true`, `-it=false`.
fn resolve_letters(error: &clap::Error, arguments: &mut Vec<OsString>) -> bool {
    let is_value = text(error, ContextKind::InvalidArg) == Some("-=");
    if error.kind() != ErrorKind::UnknownArgument || !is_value {
        return false;
    }
    let mut command = Cli::command();
    command.build();
    for name in commands(arguments) {
        let Some(next) = command.find_subcommand(&name) else { break };
        command = next.clone();
    }
    let is_switch = |letter: char| {
        let mut options = command.get_arguments().filter(|a| a.get_short() == Some(letter));
        options.any(|a| !a.get_action().takes_values())
    };
    let found = arguments.iter().enumerate().find_map(|(at, argument)| {
        let (letters, value) = argument.to_str()?.strip_prefix('-')?.split_once('=')?;
        let on = switch_value(value)?;
        let is_group = !letters.is_empty() && letters.chars().all(is_switch);
        is_group.then(|| (at, letters.to_owned(), on))
    });
    let Some((at, mut letters, on)) = found else { return false };
    let Some(last) = letters.pop() else { return false };
    if on {
        letters.push(last);
    } else {
        // the last one wins: whatever switched it on before is void
        let off = OsString::from(format!("-{last}"));
        for argument in arguments[..at].iter_mut().filter(|argument| **argument == off) {
            argument.clear();
        }
    }
    match letters.is_empty() {
        true => arguments[at].clear(),
        false => arguments[at] = format!("-{letters}").into(),
    }
    arguments.retain(|argument| !argument.is_empty());
    true
}

/// What Go's `strconv.ParseBool` takes.
pub fn switch_value(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

/// A switch that is on unless switched off.
pub fn parse_switch(text: &str) -> Result<bool, String> {
    switch_value(text).ok_or_else(|| "write true or false".into())
}

fn reject(error: &clap::Error, arguments: &[OsString]) -> Result<(), Failure> {
    if !error.use_stderr() {
        return ui::data(error.render().to_string().as_bytes());
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        ui::note(error.render().to_string().trim_end());
        return Err(Failure::silent(FAILED));
    }
    let commands = commands(arguments);
    let rendered = error.render().to_string();
    let mut paragraphs = rendered.trim_start_matches("error: ").split("\n\n");
    let message = paragraphs.next().unwrap_or_default().lines().map(str::trim);
    let message: Vec<_> = message.collect();
    let mut tips = paragraphs.filter_map(|p| p.trim().strip_prefix("tip: "));
    // nobody means it as a value
    let tip = tips.find(|tip| !tip.starts_with("to pass '-"));
    let help = match commands.as_slice() {
        [] => "see 'knarr --help'".to_owned(),
        names => format!("see 'knarr {} --help'", names.join(" ")),
    };
    let hint = match tip {
        Some(tip) => format!("{}; {help}", tip.lines().next().unwrap_or(tip).trim()),
        None => help,
    };
    let status = status(error);
    if let Some(answer) = unknown::answer(error, &commands) {
        let message = answer.message.unwrap_or_else(|| message.join(" "));
        return Err(Failure::usage(message).hint(answer.hint).status(status));
    }
    Err(Failure::usage(message.join(" ")).hint(hint).status(status))
}

/// Docker's: an option that is not one or that has a wrong value is another mistake than too few words or too many.
fn status(error: &clap::Error) -> u8 {
    let is_option = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(text)) => text.starts_with('-'),
        Some(ContextValue::Strings(texts)) => texts.iter().any(|text| text.starts_with('-')),
        _ => false,
    };
    match error.kind() {
        ErrorKind::MissingRequiredArgument
        | ErrorKind::InvalidSubcommand
        | ErrorKind::ArgumentConflict => FAILED,
        _ if is_option => KNARR_FAILED,
        _ => FAILED,
    }
}

/// The commands that the arguments name, outermost first and without `knarr` itself: `container`, `run`. As the parser takes
/// them, so an option's value is none.
fn commands(arguments: &[OsString]) -> Vec<String> {
    let parsed = Cli::command().ignore_errors(true).try_get_matches_from(arguments);
    let mut names = Vec::new();
    let mut place = parsed.as_ref().ok();
    while let Some((name, inner)) = place.and_then(ArgMatches::subcommand) {
        names.push(name.to_owned());
        place = Some(inner);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_does() {
        fn check(command: &clap::Command) {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            command.get_subcommands().for_each(check);
        }
        let mut command = Cli::command();
        command.build();
        check(&command);
    }

    #[test]
    fn every_argument_is_explained() {
        fn check(command: &mut clap::Command, line: &str) {
            for arg in command.get_arguments() {
                let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
                let is_sentence = help.starts_with(char::is_uppercase)
                    && !help.ends_with(['.', ',', ' '])
                    && !help.contains("  ");
                assert!(is_sentence, "{line} {}: {help:?}", arg.get_id());
            }
            let help = command.render_help().to_string();
            let mut options =
                help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
            assert!(
                options.next_back().is_some_and(|line| line.starts_with("--root")),
                "{line}: {help}"
            );
            for below in command.get_subcommands_mut() {
                let line = format!("{line} {}", below.get_name());
                check(below, &line);
            }
        }
        let mut tree = Cli::command();
        tree.build();
        check(&mut tree, "knarr");
    }

    #[test]
    fn switches_with_values() {
        for (line, expected) in [
            ("knarr rm --force=true x", Some("knarr rm --force x")),
            ("knarr rm --force --force=false x", Some("knarr rm x")),
            ("knarr rm --force=maybe x", None),
        ] {
            let mut words = arguments(line);
            let error = Cli::try_parse_from(&words).unwrap_err();
            assert_eq!(resolve_switch(&error, &mut words), expected.is_some(), "{line}");
            if let Some(expected) = expected {
                assert_eq!(words, arguments(expected));
            }
        }
    }

    #[test]
    fn every_command_is_the_one_whose_help_is_named() {
        fn check(command: &clap::Command, line: &str, expected: &[&str]) {
            assert_eq!(commands(&arguments(&format!("{line} --nope"))), expected);
            for below in command.get_subcommands() {
                let expected = [expected, &[below.get_name()]].concat();
                for name in std::iter::once(below.get_name()).chain(below.get_all_aliases()) {
                    check(below, &format!("{line} {name}"), &expected);
                }
            }
        }
        let mut tree = Cli::command();
        tree.build();
        // the value of an option may be a command's name
        for line in ["knarr", "knarr --root network", "knarr --root=run"] {
            check(&tree, line, &[]);
        }
    }

    #[test]
    fn mistakes_have_a_hint_and_a_code() {
        for (line, message, hint, status) in [
            (
                "knarr pul x",
                "unrecognized subcommand 'pul'",
                "did you mean 'pull'? see 'knarr --help'",
                FAILED,
            ),
            (
                "knarr run --nmae x y",
                "unexpected argument '--nmae' found",
                "a similar argument exists: '--name'; see 'knarr run --help'",
                KNARR_FAILED,
            ),
            (
                "knarr --root network network create --nope",
                "unexpected argument '--nope' found",
                "a similar argument exists: '--opt'; see 'knarr network create --help'",
                KNARR_FAILED,
            ),
            (
                "knarr --root run network --root image create --opt",
                "a value is required for '--opt <NAME=VALUE>' but none was supplied",
                "see 'knarr network create --help'",
                KNARR_FAILED,
            ),
            (
                "knarr --root container image rnu",
                "unrecognized subcommand 'rnu'",
                "see 'knarr image --help'",
                FAILED,
            ),
            (
                "knarr --nope network create",
                "unexpected argument '--nope' found",
                "see 'knarr --help'",
                KNARR_FAILED,
            ),
            (
                "knarr container rename x",
                "the following required arguments were not provided: <NEW_NAME>",
                "see 'knarr container rename --help'",
                FAILED,
            ),
        ] {
            let failure = parse(arguments(line)).unwrap_err();
            assert_eq!(
                (failure.messages[0].as_str(), failure.hint.as_deref(), failure.status),
                (message, Some(hint), status),
                "{line}"
            );
        }
    }
}
