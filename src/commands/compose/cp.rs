//! Copy files between a service's container and this machine.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome, cp};
use crate::error::Failure;
use knarr_compose::observe::Container;

#[derive(Debug, clap::Args)]
#[command(
    override_usage = "knarr compose cp [OPTIONS] SERVICE:SOURCE DESTINATION|-\n       knarr compose cp [OPTIONS] SOURCE|- SERVICE:DESTINATION"
)]
pub struct Args {
    /// Into all containers of the service, and those of 'run'
    #[arg(long)]
    all: bool,
    /// Keep user and group
    #[arg(short, long)]
    archive: bool,
    /// Copy what a symbolic link in SOURCE leads to
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Which of the service's containers
    #[arg(long, value_name = "NUMBER")]
    index: Option<u32>,
    /// SERVICE:PATH, a path of this machine, or - for a tar archive from standard input
    #[arg(value_name = "SOURCE")]
    source: String,
    /// SERVICE:PATH, a path of this machine, or - for a tar archive to standard output
    #[arg(value_name = "DESTINATION")]
    destination: String,
}

/// `SERVICE:PATH`; a path that starts with a slash or a dot is the host's.
fn side(text: &str) -> Option<(&str, &str)> {
    text.split_once(':').filter(|(name, _)| !name.is_empty() && !text.starts_with(['/', '.']))
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let (session, _) = Session::open_or_named(global, context, &[])?;
    let pairs: Vec<(String, String)> = match (side(&args.source), side(&args.destination)) {
        (Some((service, path)), None) => {
            let container = session.one(service, args.index)?;
            vec![(format!("{}:{path}", container.name), args.destination.clone())]
        }
        (None, Some((service, path))) => {
            let all = session.chosen(&[service.to_owned()], args.index)?;
            let containers: Vec<Container> = match args.all || args.index.is_none() {
                true if !all.is_empty() => all,
                _ => vec![session.one(service, args.index)?],
            };
            containers.iter().map(|c| (args.source.clone(), format!("{}:{path}", c.name))).collect()
        }
        _ => {
            return Err(Failure::usage(
                "one of the two is to be SERVICE:PATH, the other a path of this machine",
            ));
        }
    };
    for (source, destination) in pairs {
        let mut words = super::Words::default();
        words.flag("archive", args.archive);
        words.flag("follow-link", args.follow_link);
        cp::run(&super::parse(words.rest(["--".to_owned(), source, destination]))?, context)?;
    }
    Ok(0)
}
