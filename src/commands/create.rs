//! Create a container without starting it.

use super::{Context, Outcome};
use crate::args::container::Options;
use crate::ui;
use crate::wiring::create::create;

#[derive(Debug, clap::Args)]
#[command(override_usage = "knarr create [OPTIONS] IMAGE [COMMAND] [ARG]...")]
pub struct Args {
    #[command(flatten)]
    options: Options,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let (_, id) = create(&args.options, context, false)?;
    ui::line(id)?;
    Ok(0)
}
