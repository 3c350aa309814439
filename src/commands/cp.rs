//! Copy files between a container and this machine.

use super::save::to_output;
use super::{Context, Outcome};
use crate::error::Failure;
use knarr_runtime::container::{self, copy};
use std::io::IsTerminal;
use std::path::Path;

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "knarr cp [OPTIONS] CONTAINER:SOURCE DESTINATION|-\n       knarr cp [OPTIONS] SOURCE|- CONTAINER:DESTINATION"
)]
pub struct Args {
    /// Keep user and group
    #[arg(short, long)]
    archive: bool,
    /// Copy what a symbolic link in SOURCE leads to
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Accepted for Docker's sake: nothing is said anyway
    #[arg(short, long)]
    quiet: bool,
    /// CONTAINER:PATH, a path of this machine, or - for a tar archive from standard input
    #[arg(value_name = "SOURCE")]
    source: String,
    /// CONTAINER:PATH, a path of this machine, or - for a tar archive to standard output
    #[arg(value_name = "DESTINATION")]
    destination: String,
}

/// One side of a copy.
enum Place<'a> {
    Container { name: &'a str, path: &'a str },
    Host(&'a str),
}

/// `NAME:PATH` is a container's; a path that starts with a slash or a dot is the host's, whatever follows.
fn place(text: &str) -> Place<'_> {
    match text.split_once(':') {
        Some((name, path)) if !name.is_empty() && !text.starts_with(['/', '.']) => {
            Place::Container { name, path }
        }
        _ => Place::Host(text),
    }
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let options = copy::CopyOptions { archive: args.archive, follow_link: args.follow_link };
    let sides = (place(&args.source), place(&args.destination));
    match sides {
        (Place::Container { name, path }, Place::Host(target)) => {
            let store = context.store()?;
            let id = container::find(&store, name)?;
            if target == "-" {
                if std::io::stdout().is_terminal() {
                    return Err(Failure::usage("an archive is not for a terminal")
                        .hint("redirect standard output, or name a folder instead of -"));
                }
                return to_output(|out| Ok(copy::to_archive(&store, &id, path, out, options)?));
            }
            copy::from_container(&store, &id, path, Path::new(target), options)?;
        }
        (Place::Host(source), Place::Container { name, path }) => {
            let store = context.store()?;
            let id = container::find(&store, name)?;
            if source == "-" {
                let mut archive = std::io::stdin().lock();
                copy::from_archive(&store, &id, &mut archive, path, options)?;
            } else {
                copy::into_container(&store, &id, Path::new(source), path, options)?;
            }
        }
        (Place::Container { .. }, Place::Container { .. }) => {
            return Err(Failure::usage("both sides are in containers")
                .hint("copy to this machine first, then into the other container"));
        }
        (Place::Host(_), Place::Host(_)) => {
            return Err(Failure::usage("neither side is in a container").hint(
                "write CONTAINER:PATH for the container's side, for example web:/etc/hosts",
            ));
        }
    }
    Ok(0)
}
