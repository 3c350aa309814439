//! Create and run a new container.

use super::{Context, Outcome};
use crate::args::container::Options;
use crate::error::{FAILED, Failure, KNARR_FAILED};
use crate::ui;
use crate::wiring::create::create;
use crate::wiring::warn_of_shortcomings;
use knarr_core::id::ContainerId;
use knarr_core::store::Store;
use knarr_runtime::container::remove::Remove;
use knarr_runtime::container::{self, run};
use knarr_runtime::monitor::Attach;
use knarr_runtime::state::{self, Container, Status};

#[derive(Debug, clap::Args)]
#[command(override_usage = "knarr run [OPTIONS] IMAGE [COMMAND] [ARG]...")]
pub struct Args {
    /// Run in the background and print the container's id
    #[arg(short, long)]
    detach: bool,
    /// Pass signals on to the container
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = crate::args::usage::parse_switch, hide_default_value = true)]
    sig_proxy: bool,
    #[command(flatten)]
    options: Options,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    if !args.detach {
        super::attach::check_terminal(args.options.interactive, args.options.tty)?;
    }
    attempt(args, context).map_err(before_the_container)
}

/// Whatever goes wrong before the container has a say is Docker's 125, unless it is known better.
fn before_the_container(failure: Failure) -> Failure {
    match failure.status {
        FAILED => failure.status(KNARR_FAILED),
        _ => failure,
    }
}

fn attempt(args: &Args, context: &Context) -> Outcome {
    let attach = Attach {
        stdin: args.options.interactive,
        detach_keys: super::attach::keys(args.options.detach_keys.as_deref())?,
        forward_signals: args.sig_proxy,
    };
    let (store, id) = create(&args.options, context, true)?;
    warn_of_shortcomings(&context.root, &id);
    let ended = match args.detach {
        true => container::start(&store, &id).map(|()| None),
        false => run::run(&store, &id, &attach).map(Some),
    };
    if args.detach {
        // also of one that did not start: it is there to be looked at
        ui::line(&id)?;
    }
    match ended {
        Ok(Some(end)) => Ok(super::attach::status(&end)),
        Ok(None) => Ok(0),
        Err(error) => {
            let status = error.exit_code();
            let failure = Failure::from(error).status(status);
            // it ran: its output is what was lost
            if status == FAILED {
                ui::failure(&failure);
                return Ok(FAILED);
            }
            if args.options.rm {
                let everything = Remove { force: true, volumes: true };
                if let Err(error) = container::remove(&store, &id, everything) {
                    ui::failure(&Failure::from(error).context("cannot remove the container"));
                }
                return Err(failure);
            }
            Err(left_behind(failure, &store, &id))
        }
    }
}

/// As in Docker the container stays, with its name; but that is said.
fn left_behind(failure: Failure, store: &Store, id: &ContainerId) -> Failure {
    match state::load(store.root(), id) {
        Ok(Container { state, .. }) if state.status == Status::Created => {
            let name = &state.name;
            failure.also(format!(
                "the container {name} is left as created; remove it: knarr rm {name}"
            ))
        }
        _ => failure,
    }
}
