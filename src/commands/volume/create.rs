//! Make a volume.

use crate::args::value::pairs;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui;
use knarr_core::id::ContainerId;
use knarr_runtime::volume::{self, NewVolume};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only local
    #[arg(short, long, value_name = "DRIVER", default_value = "local", hide_default_value = true)]
    driver: String,
    /// Set a label
    #[arg(long, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
    /// Where its files are: type=none, o=bind and device=PATH for a directory of this host; type=tmpfs and
    /// o=size=64m,… for memory
    #[arg(short, long = "opt", value_name = "NAME=VALUE")]
    opt: Vec<String>,
    /// A name is made up if there is none
    #[arg(value_name = "VOLUME")]
    name: Option<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    if args.driver != "local" {
        return Err(Failure::usage(format!("there is no volume driver {:?}", args.driver))
            .hint("leave --driver out"));
    }
    let anonymous = args.name.is_none();
    let name = args.name.clone().unwrap_or_else(|| ContainerId::random().to_string());
    let (labels, options) = (pairs(&args.label), pairs(&args.opt));
    let new = NewVolume { name, anonymous, labels, options, lasting: true };
    ui::line(volume::create(&context.root, new)?.name)?;
    Ok(0)
}
