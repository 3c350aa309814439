//! Words that Knarr does not have: Docker's and Podman's get the reason, misspelt ones the right word, and options that
//! belong to other commands their place.

use super::Cli;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, CommandFactory};
use knarr_core::suggest::nearest;

/// What was said, where it is known better than by the parser, and what to do.
pub struct Answer {
    pub message: Option<String>,
    pub hint: String,
}

/// Commands of others, and what does their work here.
const VERBS: &[(&str, &str)] = &[
    ("bake", "use 'knarr build' for each target"),
    ("checkpoint", "use 'knarr pause' to let a container stand still"),
    ("config", "use a file and 'knarr run -v FILE:PATH:ro'"),
    ("context", "use --root or KNARR_ROOT for another place of images and containers"),
    ("debug", "use 'knarr exec', or a second container with --network container:NAME"),
    ("generate", "use a unit of systemd with 'knarr start --all', as README.md shows"),
    ("kube", "use 'knarr run', a line for each container"),
    ("machine", "use it on Linux: containers run on this machine itself"),
    ("manifest", "use 'knarr build --platform A,B', 'knarr package' and 'knarr image inspect'"),
    ("mount", "use 'knarr cp', or a volume"),
    ("node", "use each machine's own 'knarr': there is no cluster"),
    ("play", "use 'knarr run', a line for each container"),
    ("plugin", "use the drivers that are built in: 'knarr info' names them"),
    ("pod", "use 'knarr run --network container:NAME' to share a network"),
    ("sbom", "use 'knarr build --sbom true -o FOLDER'"),
    ("scout", "use a scanner that reads OCI layouts, such as trivy, on 'knarr save'"),
    ("search", "use the registry's own website"),
    ("secret", "use a file and 'knarr run -v FILE:PATH:ro', or 'knarr build --secret'"),
    ("service", "use 'knarr run -d --restart always'"),
    ("stack", "use 'knarr network create' and 'knarr run --network', a line for each service"),
    ("swarm", "use each machine's own 'knarr': there is no cluster"),
    ("trust", "use digests: 'knarr pull NAME@sha256:…'"),
    ("unshare", "use unshare(1) of util-linux"),
    ("update", "use 'knarr rm' and 'knarr run' with the new limits"),
];

/// Options before the command.
const LEADING: &[(&str, &str)] = &[
    ("-H", "use --root for another place of images and containers: there is no daemon"),
    ("-c", "use --root for another place of images and containers: there is no context"),
    ("-D", "leave it out: every error says what is wrong"),
    ("-l", "leave it out: there is no daemon whose log has levels"),
];

/// Options of others, whatever the command.
const OPTIONS: &[(&str, &str)] = &[
    ("attach", "use -i, -t and -d"),
    ("cgroup-parent", "use --memory, --cpus and --pids-limit"),
    ("config", "set DOCKER_CONFIG to another folder of logins"),
    ("context", "use --root for another place of images and containers"),
    ("debug", "leave it out: every error says what is wrong"),
    ("disable-content-trust", "leave it out: signatures are not checked; digests are"),
    ("domainname", "use --hostname NAME.DOMAIN"),
    ("gpus", "use -v for the devices and libraries, with --privileged"),
    ("host", "use --root for another place of images and containers: there is no daemon"),
    ("kernel-memory", "use --memory"),
    ("log-level", "leave it out: there is no daemon whose log has levels"),
    ("pod", "use --network container:NAME"),
    ("replace", "use 'knarr rm -f NAME' first"),
];

/// What the parser says of itself about an error.
pub fn text(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    }
}

/// What is said about a command or an option that does not exist; `commands` are those that were named, `knarr` left out.
pub fn answer(error: &clap::Error, commands: &[String]) -> Option<Answer> {
    let mut root = Cli::command();
    root.build();
    let mut path = vec![&root];
    for name in commands {
        path.extend(path.last().and_then(|command| command.find_subcommand(name)));
    }
    match error.kind() {
        ErrorKind::InvalidSubcommand => verb(text(error, ContextKind::InvalidSubcommand)?, &path),
        ErrorKind::UnknownArgument => option(text(error, ContextKind::InvalidArg)?, &root, &path),
        _ => None,
    }
}

fn verb(word: &str, path: &[&Command]) -> Option<Answer> {
    let names = path.last()?.get_subcommands().filter(|c| !c.is_hide_set());
    let names: Vec<&str> =
        names.flat_map(|c| std::iter::once(c.get_name()).chain(c.get_visible_aliases())).collect();
    let group: Vec<&str> = path.iter().skip(1).map(|c| c.get_name()).collect();
    let whole = [&["knarr"], group.as_slice()].concat().join(" ");
    if group.is_empty()
        && let Some((_, instead)) = VERBS.iter().find(|(name, _)| *name == word)
    {
        let message = Some(format!("Knarr has no command {word}"));
        return Some(Answer { message, hint: (*instead).to_owned() });
    }
    let hint = match nearest(word, names) {
        Some(name) => format!("did you mean '{name}'? see '{whole} --help'"),
        None => format!("see '{whole} --help'"),
    };
    Some(Answer { message: None, hint })
}

fn option(word: &str, root: &Command, path: &[&Command]) -> Option<Answer> {
    if let ([_], Some((known, instead))) = (path, LEADING.iter().find(|(o, _)| *o == word)) {
        let message = Some(format!("Knarr has no option {known}"));
        return Some(Answer { message, hint: (*instead).to_owned() });
    }
    let name = word.strip_prefix("--")?.split('=').next()?;
    let command = path.last()?;
    let words: Vec<&str> = path.iter().skip(1).map(|c| c.get_name()).collect();
    let whole = [&["knarr"], words.as_slice()].concat().join(" ");
    let help = format!("see '{whole} --help'");
    if let Some((_, instead)) = OPTIONS.iter().find(|(known, _)| *known == name) {
        let message = Some(format!("Knarr has no option --{name}"));
        return Some(Answer { message, hint: (*instead).to_owned() });
    }
    let own = longs(command);
    if let Some(near) = nearest(name, own.iter().map(String::as_str)) {
        return Some(Answer {
            message: None,
            hint: format!("a similar argument exists: '--{near}'; {help}"),
        });
    }
    let mut elsewhere = Vec::new();
    for other in root.get_subcommands().filter(|c| !c.is_hide_set()) {
        if longs(other).iter().any(|long| long == name) {
            elsewhere.push(other.get_name().to_owned());
        }
        for inner in other.get_subcommands().filter(|c| !c.is_hide_set()) {
            if longs(inner).iter().any(|long| long == name) {
                elsewhere.push(format!("{} {}", other.get_name(), inner.get_name()));
            }
        }
    }
    elsewhere.truncate(3);
    let hint = match elsewhere.as_slice() {
        [] => help,
        places => format!("--{name} is an option of 'knarr {}'; {help}", places.join("', 'knarr ")),
    };
    Some(Answer { message: None, hint })
}

/// The long options of a command.
fn longs(command: &Command) -> Vec<String> {
    let long = |arg: &Arg| arg.get_long().filter(|_| !arg.is_hide_set()).map(str::to_owned);
    command.get_arguments().filter_map(long).filter(|name| name != "help").collect()
}
