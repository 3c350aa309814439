//! Remove containers.

use super::{Context, Outcome, tell};
use crate::error::Failure;
use crate::ui;
use knarr_runtime::container;
use knarr_runtime::container::remove::{Remove, removable, remove_all};
use knarr_runtime::state;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only say what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Kill it first if it runs, and do not fail if there is none
    #[arg(short, long)]
    force: bool,
    /// Its anonymous volumes as well
    #[arg(short, long)]
    volumes: bool,
    /// Containers, by their names or the beginning of their ids
    #[arg(value_name = "CONTAINER", required = true)]
    containers: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let options = Remove { force: args.force, volumes: args.volumes };
    let mut status = 0;
    let (mut names, mut ids) = (Vec::new(), Vec::new());
    for name in &args.containers {
        match container::find(&store, name) {
            Ok(id) => {
                names.push(name);
                ids.push(id);
            }
            // said all the same, as it may be a slip
            Err(container::Error::State(error @ state::Error::NotFound { .. })) if args.force => {
                ui::failure(&error.into());
            }
            Err(error) => tell(Err(error.into()), &mut status)?,
        }
    }
    if args.dry_run {
        for (name, id) in names.into_iter().zip(&ids) {
            let removable = removable(&store, id, options).map(|()| Some(name.clone()));
            tell(removable.map_err(Failure::from), &mut status)?;
        }
        return Ok(status);
    }
    for (name, removed) in names.into_iter().zip(remove_all(&store, &ids, options)) {
        tell(removed.map(|()| Some(name.clone())).map_err(Failure::from), &mut status)?;
    }
    Ok(status)
}
