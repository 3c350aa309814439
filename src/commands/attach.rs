//! Attach to a running container.

use super::{Context, Outcome};
use crate::error::Failure;
use crate::ui;
use knarr_core::id::ContainerId;
use knarr_core::store::Store;
use knarr_runtime::monitor::{Attach, DetachKeys, End, InvalidKeys};
use knarr_runtime::{container, state};
use std::io::IsTerminal;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Override the key sequence for detaching
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Do not pass standard input on
    #[arg(long)]
    no_stdin: bool,
    /// Pass signals on to the container
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = crate::args::usage::parse_switch, hide_default_value = true)]
    sig_proxy: bool,
    /// The container, by its name or the beginning of its id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let id = container::find(&store, &args.container)?;
    if !args.no_stdin {
        check_input(&store, &id)?;
    }
    let options = Attach {
        stdin: !args.no_stdin,
        detach_keys: keys(args.detach_keys.as_deref())?,
        forward_signals: args.sig_proxy,
    };
    Ok(status(&container::attach::attach(&store, &id, &options)?))
}

pub fn keys(text: Option<&str>) -> Result<DetachKeys, InvalidKeys> {
    let text = text.filter(|text| !text.is_empty());
    text.map_or_else(|| Ok(DetachKeys::default()), str::parse)
}

/// What is typed into a container's terminal comes from a terminal; from a pipe it would never end.
pub fn check_terminal(interactive: bool, tty: bool) -> Result<(), Failure> {
    match interactive && tty && !std::io::stdin().is_terminal() {
        true => Err(Failure::new("the input device is not a TTY")
            .hint("standard input is no terminal here: leave -t out, or -i")),
        false => Ok(()),
    }
}

/// Checks it of a container that was made before.
pub fn check_input(store: &Store, id: &ContainerId) -> Result<(), Failure> {
    let process = state::load_spec(store.root(), id).map_err(container::Error::from)?.process;
    check_terminal(process.open_stdin, process.tty)
}

/// The exit code of a command that was attached: the container's, if it has ended.
pub fn status(end: &End) -> u8 {
    match end {
        End::Exited(exit) => exit.code,
        End::Detached => {
            // Docker's words
            ui::note("read escape sequence");
            0
        }
        End::Signalled(signal) => u8::try_from(128 + signal.number()).unwrap_or(u8::MAX),
    }
}
