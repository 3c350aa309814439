//! How a build is watched: live on a terminal, as lines in a log, as JSON for programs, or not at all. Always on stderr.

mod lines;
mod plain;
mod quiet;
mod rawjson;
mod terminal;

use crate::args::build::Progress;
use knarr_packager::build::BuildProgress;
use std::io::IsTerminal;

/// A build's progress that knows when it is over.
pub trait View: BuildProgress {
    fn as_progress(&self) -> &dyn BuildProgress;

    /// Shows the last of it: after a failure what the step that failed had printed. No thread of its own is left.
    fn finish(&self, failed: bool);
}

/// What the options and this process's stderr ask for.
pub fn choose(asked: Progress, quiet: bool) -> Box<dyn View> {
    match asked {
        _ if quiet => Box::new(quiet::Quiet::default()),
        Progress::Quiet => Box::new(quiet::Quiet::default()),
        Progress::Rawjson => Box::new(rawjson::RawJson::new(std::io::stderr())),
        Progress::Auto if std::io::stderr().is_terminal() => Box::new(terminal::Live::new()),
        Progress::Tty => Box::new(terminal::Live::new()),
        Progress::Auto | Progress::Plain => Box::new(plain::Plain::new(std::io::stderr())),
    }
}
