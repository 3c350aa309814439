//! List projects.

use crate::commands::{Context, Outcome};
use crate::ui;
use crate::ui::listing::{Listing, Row};
use crate::wiring::compose::observe;
use knarr_compose::observe::label;
use knarr_runtime::container::list::Summary;
use serde_json::json;
use std::collections::BTreeMap;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also those of which nothing runs
    #[arg(short, long)]
    all: bool,
    /// Show only some: name=NAME
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    filter: Vec<String>,
    /// Print a table or json
    #[arg(long, value_name = "FORMAT", default_value = "table", hide_default_value = true, value_parser = ["table", "json"])]
    format: String,
    /// Print only names
    #[arg(short, long)]
    quiet: bool,
}

fn filter(text: &str) -> Result<String, String> {
    text.strip_prefix("name=").map(str::to_owned).ok_or_else(|| "write name=NAME".to_owned())
}

struct Project {
    name: String,
    status: String,
    files: String,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let all = observe::summaries(&context.store()?, None)?;
    let mut projects: BTreeMap<&str, Vec<&Summary>> = BTreeMap::new();
    for container in &all {
        let runs = observe::container(container).is_running();
        if let Some(name) = container.labels.get(label::PROJECT).filter(|_| args.all || runs) {
            projects.entry(name).or_default().push(container);
        }
    }
    let is_meant = |name: &str| {
        args.filter.is_empty() || args.filter.iter().any(|part| name.contains(part.as_str()))
    };
    let projects = projects.into_iter().filter(|(name, _)| is_meant(name));
    let projects: Vec<Project> =
        projects.map(|(name, containers)| project(name, &containers)).collect();
    if args.format == "json" && !args.quiet {
        let one = |p: &Project| json!({"Name": p.name, "Status": p.status, "ConfigFiles": p.files});
        ui::line(json!(projects.iter().map(one).collect::<Vec<_>>()))?;
        return Ok(0);
    }
    let row = |p: &Project| {
        Row::new().text("Name", &p.name).text("Status", &p.status).text("ConfigFiles", &p.files)
    };
    let listing = Listing {
        headings: &[("Name", "NAME"), ("Status", "STATUS"), ("ConfigFiles", "CONFIG FILES")],
        table: "{{.Name}}\t{{.Status}}\t{{.ConfigFiles}}",
        quiet: "{{.Name}}",
    };
    ui::data(listing.render(None, args.quiet, projects.iter().map(row))?.as_bytes())?;
    Ok(0)
}

/// `running(2), exited(1)`
fn project(name: &str, containers: &[&Summary]) -> Project {
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for container in containers {
        *states.entry(container.status.to_string()).or_default() += 1;
    }
    let status: Vec<String> =
        states.iter().map(|(state, count)| format!("{state}({count})")).collect();
    let files = containers.iter().find_map(|c| c.labels.get(label::CONFIG_FILES)).cloned();
    Project { name: name.to_owned(), status: status.join(", "), files: files.unwrap_or_default() }
}
