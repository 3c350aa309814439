//! Show what a container printed.

use super::{Context, Outcome};
use crate::args::time;
use crate::ui;
use jiff::Timestamp;
use knarr_runtime::container;
use knarr_runtime::container::logs::LogOptions;
use knarr_runtime::monitor::Stream;
use std::io::Write;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Go on until the container ends
    #[arg(short, long)]
    follow: bool,
    /// Only what was printed after this time, or this long ago (10m)
    #[arg(long, value_name = "TIME", value_parser = time::since, allow_hyphen_values = true)]
    since: Option<Timestamp>,
    /// Only the last lines: a number, or all
    #[arg(short = 'n', long, value_name = "NUMBER", default_value = "all",
        hide_default_value = true, allow_negative_numbers = true, value_parser = tail)]
    tail: Tail,
    /// Print when each line was printed
    #[arg(short, long)]
    timestamps: bool,
    /// Only what was printed before this time
    #[arg(long, value_name = "TIME", value_parser = time::until, allow_hyphen_values = true)]
    until: Option<Timestamp>,
    /// The container, by its name or the beginning of its id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

/// How many of the last lines; `None`: all.
#[derive(Debug, Clone, Copy)]
pub struct Tail(pub Option<u64>);

pub fn tail(text: &str) -> Result<Tail, String> {
    match text {
        // a negative number means all, as in Docker
        "all" => Ok(Tail(None)),
        text if text.parse::<i64>().is_ok_and(|n| n < 0) => Ok(Tail(None)),
        text => text.parse().map(|n| Tail(Some(n))).map_err(|_| "write a number, or all".into()),
    }
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let id = container::find(&store, &args.container)?;
    let options = LogOptions {
        follow: args.follow,
        tail: args.tail.0,
        since: args.since,
        until: args.until,
        ..Default::default()
    };
    let (mut out, mut error) = (ui::data_writer(), ui::error_writer());
    let mut at_start = [true, true];
    container::logs(&store, &id, &options, &mut |entry| {
        let (writer, start): (&mut dyn Write, _) = match entry.stream {
            Stream::Stdout => (&mut out, &mut at_start[0]),
            Stream::Stderr => (&mut error, &mut at_start[1]),
        };
        // a long line comes in parts
        if args.timestamps && *start {
            write!(writer, "{:.9} ", entry.time)?;
        }
        *start = entry.text.ends_with('\n');
        writer.write_all(entry.text.as_bytes())?;
        match args.follow {
            true => writer.flush(),
            false => Ok(()),
        }
    })?;
    ui::written(out.flush())?;
    Ok(0)
}
