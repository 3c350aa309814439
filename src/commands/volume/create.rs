//! Make a volume.

use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui;
use knarr_core::id::ContainerId;
use knarr_runtime::volume;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only local
    #[arg(short, long, value_name = "DRIVER", default_value = "local", hide_default_value = true)]
    driver: String,
    /// Set a label
    #[arg(long, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
    /// A name is made up if there is none
    #[arg(value_name = "VOLUME")]
    name: Option<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    if args.driver != "local" {
        return Err(Failure::usage(format!("there is no volume driver {:?}", args.driver))
            .hint("leave --driver out"));
    }
    let labels = args.label.iter().map(|label| match label.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (label.clone(), String::new()),
    });
    let name = args.name.clone();
    let anonymous = name.is_none();
    let name = name.unwrap_or_else(|| ContainerId::random().to_string());
    let volume = volume::create(&context.root, &name, anonymous, labels.collect())?;
    ui::line(volume.name)?;
    Ok(0)
}
