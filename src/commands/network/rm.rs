//! Remove networks.

use crate::commands::{Context, Outcome, each};
use crate::error::Failure;
use crate::ui;
use knarr_core::spec::network::DEFAULT_NETWORK;
use knarr_runtime::net;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Do not complain about networks that do not exist
    #[arg(short, long)]
    force: bool,
    /// Networks, by their names or the beginning of their ids
    #[arg(value_name = "NETWORK", required = true)]
    names: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    each(&args.names, |text| {
        if ["host", "none"].contains(&text) {
            return Err(Failure::new(format!("{text} is always there, and cannot be removed"))
                .hint("remove the containers that use it instead"));
        }
        let root = &context.root;
        let remove = if args.dry_run { net::removable } else { net::remove };
        let removed = match text {
            // made again when it is needed: not just to be removed
            DEFAULT_NETWORK | "default" => remove(root, DEFAULT_NETWORK),
            text => net::find(root, text).and_then(|network| remove(root, &network.name)),
        };
        match removed {
            Err(net::Error::NotFound { .. }) if args.force => Ok(None),
            Err(error) => Err(error.into()),
            Ok(members) => {
                if !members.is_empty() {
                    ui::warning(format_args!(
                        "{} belonged to it, and will not start before there is a network {text} again",
                        members.join(", ")
                    ));
                }
                Ok(Some(text.to_owned()))
            }
        }
    })
}
