//! Show what containers printed.

use super::options::Global;
use super::session::Session;
use crate::args::time;
use crate::commands::{Context, Outcome};
use crate::ui;
use crate::ui::compose::Prefixed;
use jiff::Timestamp;
use knarr_core::id::ContainerId;
use knarr_core::store::Store;
use knarr_runtime::container::logs::LogOptions;
use knarr_runtime::{container, monitor};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Go on until the containers end
    #[arg(short, long)]
    follow: bool,
    /// Only this one of a service's containers
    #[arg(long, value_name = "NUMBER")]
    index: Option<u32>,
    /// Without colours
    #[arg(long)]
    no_color: bool,
    /// Without names before the lines
    #[arg(long)]
    no_log_prefix: bool,
    /// Only what was printed after this time, or this long ago (10m)
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    since: Option<Timestamp>,
    /// Only the last lines of each: a number, or all
    #[arg(short = 'n', long, value_name = "NUMBER", default_value = "all",
        hide_default_value = true, allow_negative_numbers = true, value_parser = crate::commands::logs::tail)]
    tail: crate::commands::logs::Tail,
    /// Print when each line was printed
    #[arg(short, long)]
    timestamps: bool,
    /// Only what was printed before this time
    #[arg(long, value_name = "TIME", value_parser = time::parse)]
    until: Option<Timestamp>,
    /// Services; all, if none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let (session, _) = Session::open_or_named(global, context, &args.services)?;
    let containers = session.chosen(&args.services, args.index)?;
    let store = context.store()?;
    let names: Vec<String> = containers.iter().map(|container| container.name.clone()).collect();
    let out = Prefixed::new(names.clone(), !args.no_color && global.colour(), !args.no_log_prefix);
    let options = LogOptions {
        follow: args.follow,
        tail: args.tail.0,
        since: args.since,
        until: args.until,
        ..LogOptions::default()
    };
    let show = |at: usize, id: &ContainerId, store: &Store| {
        container::logs(store, id, &options, &mut |entry| {
            let before =
                if args.timestamps { format!("{:.9} ", entry.time) } else { String::new() };
            let is_error = entry.stream == monitor::Stream::Stderr;
            out.write(at, is_error, &before, entry.text.as_bytes())
        })?;
        ui::written(out.finish(at))
    };
    let show = |at: usize, id: &ContainerId| show(at, id, &store);
    let ids =
        names.iter().map(|name| container::find(&store, name)).collect::<Result<Vec<_>, _>>()?;
    if !args.follow {
        ids.iter().enumerate().try_for_each(|(at, id)| show(at, id))?;
        return Ok(0);
    }
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            ids.iter().enumerate().map(|(at, id)| scope.spawn(move || show(at, id))).collect();
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })?;
    Ok(0)
}
