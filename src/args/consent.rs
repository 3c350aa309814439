//! `--force` and `--dry-run` of what removes things that it finds itself.

use crate::error::Failure;
use crate::ui::{self, terminal};

#[derive(Debug, clap::Args)]
pub struct Consent {
    /// Only say what would be removed
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
}

impl Consent {
    /// Whether this may go, each text a list of things. Nothing at all needs no question.
    pub fn given(&self, doomed: &[String]) -> Result<bool, Failure> {
        if self.dry_run {
            match doomed.is_empty() {
                true => ui::line("Nothing would be removed")?,
                false => doomed.iter().try_for_each(ui::line)?,
            }
            return Ok(false);
        }
        if self.force || doomed.is_empty() {
            return Ok(true);
        }
        doomed.iter().for_each(ui::note);
        terminal::confirm("Remove them?")
    }
}

/// A heading and its lines; nothing if there are none.
pub fn listed(heading: &str, lines: impl IntoIterator<Item = String>) -> Option<String> {
    let lines: Vec<String> = lines.into_iter().map(|line| format!("  {line}")).collect();
    (!lines.is_empty()).then(|| format!("{heading}\n{}", lines.join("\n")))
}
