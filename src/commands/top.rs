//! Show the processes of a container.

use super::{Context, Outcome};
use crate::ui::{self, listing};
use knarr_runtime::container::{self, top};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The container, by its name or the beginning of its id
    #[arg(value_name = "CONTAINER")]
    container: String,
    /// Options of the host's ps, which has to show the column PID
    #[arg(value_name = "PS OPTIONS", trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let id = container::find(&store, &args.container)?;
    let processes = top(&store, &id, &args.options)?;
    let lines = std::iter::once(&processes.titles).chain(&processes.rows);
    let lines: Vec<String> = lines.map(|cells| cells.join("\t")).collect();
    ui::data(listing::align(&lines).as_bytes())?;
    Ok(0)
}
