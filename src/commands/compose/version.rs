//! Show the version.

use crate::commands::Outcome;
use crate::ui;
use serde_json::json;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print a text (pretty) or json
    #[arg(short, long, value_name = "FORMAT", default_value = "pretty")]
    format: Format,
    /// Only the number
    #[arg(long)]
    short: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Pretty,
    Json,
}

pub fn run(args: &Args) -> Outcome {
    let version = env!("CARGO_PKG_VERSION");
    match (args.short, args.format) {
        (true, _) => ui::line(version)?,
        (false, Format::Json) => ui::line(json!({ "version": format!("v{version}") }))?,
        (false, Format::Pretty) => ui::line(format_args!("Knarr Compose version v{version}"))?,
    }
    Ok(0)
}
