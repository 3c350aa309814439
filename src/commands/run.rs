//! Create and run a new container.

use super::{Context, Outcome};
use crate::args::container::Options;
use crate::error::{Failure, KNARR_FAILED};
use crate::ui;
use crate::wiring::create::create;
use crate::wiring::warn_of_shortcomings;
use knarr_runtime::container::remove::Remove;
use knarr_runtime::container::{self, run};
use knarr_runtime::monitor::{Attach, End};

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
    attempt(args, context).map_err(before_the_container)
}

/// Whatever goes wrong before the container has a say is Docker's 125, unless it is known better.
pub fn before_the_container(failure: Failure) -> Failure {
    match failure.status {
        crate::error::FAILED | crate::error::USAGE => failure.status(KNARR_FAILED),
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
        true => container::start(&store, &id).map(|()| End::Detached),
        false => run::run(&store, &id, &attach),
    };
    match ended {
        Ok(end) => {
            if args.detach {
                ui::line(&id)?;
            }
            Ok(super::attach::status(&end))
        }
        Err(error) => {
            let status = error.exit_code();
            if args.options.rm {
                let everything = Remove { force: true, volumes: true };
                if let Err(error) = container::remove(&store, &id, everything) {
                    ui::failure(&Failure::from(error).context("cannot remove the container"));
                }
            }
            Err(Failure::from(error).status(status))
        }
    }
}
