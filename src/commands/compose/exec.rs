//! Run a command in a service's container.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome, exec};
use crate::error::Failure;
use std::io::IsTerminal;

#[derive(Debug, clap::Args)]
#[command(override_usage = "knarr compose exec [OPTIONS] SERVICE COMMAND [ARG]...")]
pub struct Args {
    /// Run in the background
    #[arg(short, long)]
    detach: bool,
    /// Set an environment variable; without a value it is taken from knarr's own environment
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Which of the service's containers
    #[arg(long, value_name = "NUMBER")]
    index: Option<u32>,
    /// Pass standard input on, as it is in any case
    #[arg(short, long)]
    interactive: bool,
    /// Without a terminal
    #[arg(short = 'T', long, visible_alias = "no-TTY")]
    no_tty: bool,
    /// Give extended privileges
    #[arg(long)]
    privileged: bool,
    /// Allocate a terminal, as is done where there is one
    #[arg(short, long, conflicts_with = "no_tty")]
    tty: bool,
    /// User name or id, and group
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Working directory
    #[arg(short, long, value_name = "DIRECTORY")]
    workdir: Option<String>,
    /// The service, then the command; whatever follows the service belongs to the command
    #[arg(value_name = "SERVICE COMMAND", required = true, num_args = 1.., trailing_var_arg = true)]
    words: Vec<String>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let Some((service, command)) =
        args.words.split_first().filter(|(_, command)| !command.is_empty())
    else {
        return Err(
            Failure::usage("the command is missing").hint("see 'knarr compose exec --help'")
        );
    };
    let (session, _) = Session::open_or_named(global, context, &[])?;
    let container = session.running(service, args.index)?;
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let mut words = super::Words::default();
    words.flag("detach", args.detach);
    words.options("env", &args.env);
    words.flag("interactive", !args.detach);
    words.flag("tty", args.tty || (terminal && !args.no_tty && !args.detach));
    words.flag("privileged", args.privileged);
    words.options("user", &args.user);
    words.options("workdir", &args.workdir);
    let words = words.rest(["--".to_owned(), container.name].into_iter().chain(command.to_vec()));
    exec::run(&super::parse(words)?, context)
}
