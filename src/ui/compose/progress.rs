//! What is being done to a project: one line for each thing on a terminal, plain lines or JSON otherwise; always on stderr.

use crate::error::Failure;
use crate::ui;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use knarr_compose::execute::Watch;
use knarr_compose::plan::Action;
use serde_json::json;
use std::collections::HashMap;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// `--progress`
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum How {
    #[default]
    Auto,
    Tty,
    Plain,
    Json,
    Quiet,
}

/// Shows the steps of a plan.
pub struct Shown {
    how: How,
    /// On a terminal: a line for each thing.
    lines: MultiProgress,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Shown {
    pub fn new(how: How) -> Self {
        let how = match how {
            How::Auto if std::io::stderr().is_terminal() => How::Tty,
            How::Auto => How::Plain,
            how => how,
        };
        // drawn by whoever reports: no thread of its own
        let target = ProgressDrawTarget::stderr_with_hz(20);
        Self { how, lines: MultiProgress::with_draw_target(target), bars: Mutex::default() }
    }

    fn show(&self, action: &Action, word: &str, end: Option<(bool, Duration)>) {
        let subject = action.subject();
        match self.how {
            How::Quiet | How::Auto => {}
            How::Plain => ui::note(format_args!(" {}  {word}", capital(&subject))),
            How::Json => {
                let status = match end {
                    None => "Working",
                    Some((true, _)) => "Done",
                    Some((false, _)) => "Error",
                };
                ui::note(json!({"id": capital(&subject), "status": status, "text": word}));
            }
            How::Tty => self.draw(&subject, word, end),
        }
    }

    fn draw(&self, subject: &str, word: &str, end: Option<(bool, Duration)>) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bars.entry(subject.to_owned()).or_insert_with(|| {
            let bar = self.lines.add(ProgressBar::no_length());
            bar.set_style(style());
            bar.set_prefix("⠿");
            bar
        });
        let subject = capital(&ui::safe_line(subject));
        match end {
            None => bar.set_message(format!("{subject:<40} {word}")),
            Some((good, took)) => {
                bar.set_prefix(if good { "✔" } else { "✘" });
                bar.set_message(format!("{subject:<40} {word:<12} {:>6.1}s", took.as_secs_f64()));
            }
        }
        bar.tick();
    }

    /// Leaves the lines as they are.
    pub fn finish(&self) {
        let bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        bars.values().for_each(ProgressBar::abandon);
    }
}

fn style() -> ProgressStyle {
    // only a mistake in the literal here would be an error
    ProgressStyle::with_template(" {prefix} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

/// While it is done, and when it is. Nothing for steps that are parts of others.
fn words(action: &Action) -> Option<(&'static str, &'static str)> {
    Some(match action {
        Action::CreateNetwork { .. } | Action::CreateVolume { .. } => ("Creating", "Created"),
        Action::Create { replaces: Some(_), .. } => ("Recreating", "Recreated"),
        Action::Create { .. } => ("Creating", "Created"),
        Action::RemoveNetwork { .. }
        | Action::RemoveVolume { .. }
        | Action::RemoveImage { .. }
        | Action::Remove { .. } => ("Removing", "Removed"),
        Action::Start { .. } => ("Starting", "Started"),
        Action::Stop { .. } => ("Stopping", "Stopped"),
        Action::Restart { .. } => ("Restarting", "Restarted"),
        Action::Kill { .. } => ("Killing", "Killed"),
        Action::Pause { .. } => ("Pausing", "Paused"),
        Action::Unpause { .. } => ("Unpausing", "Unpaused"),
        Action::Wait { until: knarr_compose::plan::Condition::Completed, .. } => {
            ("Waiting", "Exited")
        }
        Action::Wait { .. } => ("Waiting", "Healthy"),
        Action::Rename { .. } | Action::Disconnect { .. } => return None,
    })
}

impl Watch<Failure> for Shown {
    fn begun(&self, _: usize, action: &Action) {
        if let Some((word, _)) = words(action) {
            self.show(action, word, None);
        }
    }

    fn ended(&self, _: usize, action: &Action, result: Result<(), &Failure>, took: Duration) {
        match (words(action), result) {
            (_, Err(_)) => self.show(action, "Error", Some((false, took))),
            (Some((_, word)), Ok(())) => self.show(action, word, Some((true, took))),
            (None, Ok(())) => {}
        }
    }
}
