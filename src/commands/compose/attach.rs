//! Attach to a service's container.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome, attach};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Override the key sequence for detaching
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Which of the service's containers
    #[arg(long, value_name = "NUMBER")]
    index: Option<u32>,
    /// Do not pass standard input on
    #[arg(long)]
    no_stdin: bool,
    /// Pass signals on to the container
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = crate::args::usage::parse_switch, hide_default_value = true)]
    sig_proxy: bool,
    /// The service, by its name in the project
    #[arg(value_name = "SERVICE")]
    service: String,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let (session, _) = Session::open_or_named(global, context, &[])?;
    let mut words = super::Words::default();
    words.options("detach-keys", &args.detach_keys);
    words.flag("no-stdin", args.no_stdin);
    words.option("sig-proxy", args.sig_proxy);
    let words = words.rest([session.running(&args.service, args.index)?.name]);
    attach::run(&super::parse(words)?, context)
}
