//! Show what a project's containers use.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome, stats};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also those that do not run
    #[arg(short, long)]
    all: bool,
    /// Print a table, json, or what a Go template says
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Once
    #[arg(long)]
    no_stream: bool,
    /// Print ids in full
    #[arg(long)]
    no_trunc: bool,
    /// The service; all, if none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let (session, _) = Session::open_or_named(global, context, &args.services)?;
    let chosen = session.chosen(&args.services, None)?;
    let names = chosen.iter().filter(|c| args.all || c.is_running()).map(|c| c.name.clone());
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        // without a name all containers of this machine would be meant
        return Ok(0);
    }
    let mut words = super::Words::default();
    words.flag("all", args.all);
    words.options("format", &args.format);
    words.flag("no-stream", args.no_stream);
    words.flag("no-trunc", args.no_trunc);
    stats::run(&super::parse(words.rest(names))?, context)
}
