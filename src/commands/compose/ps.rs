//! List a project's containers.

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui::listing::{Listing, Row};
use crate::ui::{self, units};
use crate::wiring::compose::observe;
use jiff::Timestamp;
use knarr_compose::observe::label;
use knarr_core::spec::Port;
use knarr_runtime::container::list::{self, Summary};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Also those that do not run, and those of 'run'
    #[arg(short, long)]
    all: bool,
    /// Show only some: status=exited
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    filter: Option<String>,
    /// Print a table, json, or what a Go template says
    #[arg(long, value_name = "FORMAT", default_value = "table", hide_default_value = true)]
    format: String,
    /// Print ids and commands in full
    #[arg(long)]
    no_trunc: bool,
    /// Leave out containers of services that the project no longer has
    #[arg(long, value_name = "BOOL", default_value_t = true, action = clap::ArgAction::Set,
        num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = crate::args::usage::parse_switch, hide_default_value = true)]
    orphans: bool,
    /// Print only ids
    #[arg(short, long)]
    quiet: bool,
    /// Print only the names of services
    #[arg(long)]
    services: bool,
    /// Only those in this state: paused, restarting, running, created, exited
    #[arg(long, value_name = "STATE")]
    status: Vec<String>,
    /// Services; all, if none is named
    #[arg(value_name = "SERVICE")]
    names: Vec<String>,
}

fn filter(text: &str) -> Result<String, String> {
    let status = text.strip_prefix("status=").filter(|status| !status.is_empty());
    status.map(str::to_owned).ok_or_else(|| "write status=STATE".to_owned())
}

const HEADINGS: &[(&str, &str)] = &[
    ("Name", "NAME"),
    ("Names", "NAMES"),
    ("ID", "CONTAINER ID"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("Service", "SERVICE"),
    ("Project", "PROJECT"),
    ("CreatedAt", "CREATED AT"),
    ("RunningFor", "CREATED"),
    ("State", "STATE"),
    ("Status", "STATUS"),
    ("Health", "HEALTH"),
    ("ExitCode", "EXIT CODE"),
    ("Ports", "PORTS"),
    ("Labels", "LABELS"),
    ("Label", "LABEL"),
    ("Mounts", "MOUNTS"),
    ("Networks", "NETWORKS"),
];
const TABLE: &str =
    "{{.Name}}\t{{.Image}}\t{{.Command}}\t{{.Service}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}";

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let (session, has_files) = Session::open_or_named(global, context, &args.names)?;
    for name in args.names.iter().filter(|_| has_files) {
        session.project.service(name)?;
    }
    let store = context.store()?;
    let all = observe::summaries(&store, Some(&session.project.name))?;
    let wanted = |container: &&Summary| {
        let one = observe::container(container);
        let status = container.status.to_string();
        let states: Vec<&String> = args.status.iter().chain(&args.filter).collect();
        let state = match states.is_empty() {
            true => args.all || one.is_running(),
            false => states.iter().any(|state| **state == status),
        };
        let known = session.project.services.contains_key(one.service());
        let meant = args.names.is_empty() || args.names.iter().any(|name| name == one.service());
        state && meant && (args.all || !one.is_one_off()) && (args.orphans || known || !has_files)
    };
    let mut chosen: Vec<&Summary> = all.iter().filter(wanted).collect();
    chosen.sort_by(|a, b| a.name.cmp(&b.name));
    if args.services {
        let mut services: Vec<String> = chosen.iter().map(|c| service(c).to_owned()).collect();
        services.dedup();
        services.iter().try_for_each(ui::line)?;
        return Ok(0);
    }
    if args.format == "json" && !args.quiet {
        chosen.iter().try_for_each(|container| ui::line(document(container)))?;
        return Ok(0);
    }
    let rows = chosen.iter().map(|container| row(container, args.no_trunc));
    let listing = Listing { headings: HEADINGS, table: TABLE, quiet: "{{.ID}}" };
    ui::data(listing.render(Some(&args.format), args.quiet, rows)?.as_bytes())?;
    Ok::<_, Failure>(0)
}

fn service(container: &Summary) -> &str {
    container.labels.get(label::SERVICE).map_or("", String::as_str)
}

fn row(container: &Summary, in_full: bool) -> Row {
    let now = Timestamp::now();
    let command = format!("\"{}\"", container.command.join(" "));
    let id = if in_full { container.id.as_str() } else { container.id.short() };
    Row::new()
        .text("Name", &container.name)
        .text("Names", &container.name)
        .text("ID", id)
        .text("Image", &container.image)
        .text("Command", if in_full { command } else { units::ellipsis(&command, 20) })
        .text("Service", service(container))
        .text("Project", container.labels.get(label::PROJECT).map_or("", String::as_str))
        .text("CreatedAt", units::local_time(container.created))
        .text("RunningFor", units::ago(Some(container.created), now))
        .text("State", container.status.to_string())
        .text("Status", container.status_text(now))
        .text("Health", health(container))
        .text("ExitCode", container.exit.as_ref().map_or(0, |exit| exit.code).to_string())
        .text("Ports", list::ports_text(&container.ports, &container.exposed))
        .text("Mounts", container.mounts.join(","))
        .text("Networks", &container.network)
        .labels(&container.labels)
}

fn health(container: &Summary) -> String {
    container.health.map(|health| health.to_string()).unwrap_or_default()
}

/// As Docker Compose has it: one object a line, not a list.
fn document(container: &Summary) -> Value {
    let now = Timestamp::now();
    let labels: Vec<String> =
        container.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let publishers: Vec<Value> = container.ports.iter().flat_map(publisher).collect();
    let fields: BTreeMap<&str, Value> = BTreeMap::from([
        ("Command", json!(format!("\"{}\"", container.command.join(" ")))),
        ("CreatedAt", json!(units::local_time(container.created))),
        ("ExitCode", json!(container.exit.as_ref().map_or(0, |exit| exit.code))),
        ("Health", json!(health(container))),
        ("ID", json!(container.id.short())),
        ("Image", json!(container.image)),
        ("Labels", json!(labels.join(","))),
        ("LocalVolumes", json!("0")),
        ("Mounts", json!(container.mounts.join(","))),
        ("Name", json!(container.name)),
        ("Names", json!(container.name)),
        ("Networks", json!(container.network)),
        ("Ports", json!(list::ports_text(&container.ports, &container.exposed))),
        ("Project", json!(container.labels.get(label::PROJECT))),
        ("Publishers", json!(publishers)),
        ("RunningFor", json!(units::ago(Some(container.created), now))),
        ("Service", json!(service(container))),
        ("Size", json!("0B")),
        ("State", json!(container.status.to_string())),
        ("Status", json!(container.status_text(now))),
    ]);
    json!(fields)
}

/// One for each family that the port is published on.
fn publisher(port: &Port) -> Vec<Value> {
    let urls: Vec<String> = match port.host_ip {
        Some(address) => vec![address.to_string()],
        None => vec!["0.0.0.0".into(), "::".into()],
    };
    let one = |url: String| {
        json!({
            "URL": url,
            "TargetPort": port.container_port,
            "PublishedPort": port.host_port.unwrap_or(0),
            "Protocol": port.protocol.to_string(),
        })
    };
    urls.into_iter().map(one).collect()
}
