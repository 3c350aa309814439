//! Write the file system of a service's container to a tar archive.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome, export};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which of the service's containers
    #[arg(long, value_name = "NUMBER")]
    index: Option<u32>,
    /// Write to this file, instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<String>,
    /// The service, by its name in the project
    #[arg(value_name = "SERVICE")]
    service: String,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let (session, _) = Session::open_or_named(global, context, &[])?;
    let mut words = super::Words::default();
    words.options("output", &args.output);
    let words = words.rest([session.one(&args.service, args.index)?.name]);
    export::run(&super::parse(words)?, context)
}
