//! Compose on this machine: what there is of a project, and what its plans are carried out with.

pub mod build;
pub mod create;
pub mod images;
pub mod machine;
mod mounts;
pub mod observe;
pub mod sync;
pub mod wait;
pub mod words;

use crate::error::Failure;

/// Options out of a compose file, read by the command line's own rules.
pub fn parse<T: clap::Args>(words: impl IntoIterator<Item = String>) -> Result<T, Failure> {
    #[derive(Debug, clap::Parser)]
    #[command(no_binary_name = true, disable_help_flag = true)]
    struct Line<T: clap::Args> {
        #[command(flatten)]
        options: T,
    }
    let line = <Line<T> as clap::Parser>::try_parse_from(words);
    line.map(|line| line.options).map_err(|error| {
        let text = error.to_string();
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        Failure::usage(text.lines().next().unwrap_or_default())
    })
}
