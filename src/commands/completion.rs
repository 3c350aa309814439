//! Print a shell's completion script.

use super::Outcome;
use crate::args::Cli;
use crate::ui;
use clap::CommandFactory;
use clap_complete::Shell;

#[derive(Debug, clap::Args)]
#[command(after_help = "For bash: knarr completion bash > /etc/bash_completion.d/knarr")]
pub struct Args {
    /// The shell that reads the script
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub fn run(args: &Args) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "knarr", &mut script);
    ui::data(&script)?;
    Ok(0)
}
