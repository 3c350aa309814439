//! Run a command in a running container.

use super::{Context, Outcome};
use crate::error::{FAILED, Failure, KNARR_FAILED};
use knarr_runtime::container;
use knarr_runtime::container::options::resolve_environment;
use knarr_runtime::monitor::Execution;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
#[command(override_usage = "knarr exec [OPTIONS] CONTAINER COMMAND [ARG]...")]
pub struct Args {
    /// Run in the background
    #[arg(short, long)]
    detach: bool,
    /// Override the key sequence for detaching
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Set an environment variable; without a value it is taken from knarr's own environment
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Read environment variables from a file
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Pass standard input on
    #[arg(short, long)]
    interactive: bool,
    /// Give extended privileges; in a container with --allow-outbound none by which its list could be got round
    #[arg(long)]
    privileged: bool,
    /// Allocate a terminal
    #[arg(short, long)]
    tty: bool,
    /// User name or id, and group
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Working directory
    #[arg(short, long, value_name = "DIRECTORY")]
    workdir: Option<String>,
    /// The container, then the command; whatever follows the container belongs to the command
    #[arg(value_name = "CONTAINER COMMAND", required = true, num_args = 1.., trailing_var_arg = true)]
    words: Vec<String>,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let Some((name, command)) = args.words.split_first() else {
        return Err(Failure::usage("the container is missing"));
    };
    if command.is_empty() {
        return Err(Failure::usage("the command is missing").hint("see 'knarr exec --help'"));
    }
    let keys = super::attach::keys(args.detach_keys.as_deref())?;
    let store = context.store()?;
    let id = container::find(&store, name)?;
    if !args.detach {
        super::attach::check_terminal(args.interactive, args.tty)?;
    }
    let execution = execution(args, command)?;
    let result = match args.detach {
        true => container::exec_detached(&store, &id, &execution).map(|()| 0),
        false => {
            container::exec(&store, &id, &execution, &keys).map(|end| super::attach::status(&end))
        }
    };
    result.map_err(|error| {
        // the container has a say here, unlike in `run`
        let status = match error.exit_code() {
            KNARR_FAILED => FAILED,
            code => code,
        };
        Failure::from(error).status(status)
    })
}

fn execution(args: &Args, command: &[String]) -> Result<Execution, Failure> {
    if let Some(path) = args.workdir.as_deref().filter(|path| !path.starts_with('/')) {
        return Err(Failure::usage(format!(
            "the working directory {path:?} is not an absolute path"
        ))
        .hint(format!("write /{path}"))
        .status(126));
    }
    Ok(Execution {
        args: command.to_vec(),
        env: resolve_environment(&[], &args.env_file, &args.env)?,
        workdir: args.workdir.clone(),
        user: args.user.clone(),
        privileged: args.privileged,
        tty: args.tty,
        interactive: args.interactive,
    })
}
