//! List networks.

use super::inspect::driver_name;
use crate::args::filter::{self, Filter};
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui::listing::{Listing, Row};
use crate::ui::{self, units};
use crate::wiring::is_superuser;
use knarr_core::spec::network::{DEFAULT_NETWORK, NetworkSpec};
use knarr_runtime::net;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show only some: name=PATTERN, id=PATTERN, driver=…, label=NAME[=VALUE], dangling=true, type=custom|builtin
    #[arg(short, long, value_name = "FILTER", value_parser = filter::parse)]
    filter: Vec<Filter>,
    /// table, json, or a Go template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print ids in full
    #[arg(long)]
    no_trunc: bool,
    /// Print only ids
    #[arg(short, long)]
    quiet: bool,
}

const LISTING: Listing = Listing {
    headings: &[
        ("ID", "NETWORK ID"),
        ("Name", "NAME"),
        ("Driver", "DRIVER"),
        ("Scope", "SCOPE"),
        ("IPv4", "IPV4"),
        ("IPv6", "IPV6"),
        ("Internal", "INTERNAL"),
        ("CreatedAt", "CREATED AT"),
        ("Labels", "LABELS"),
        ("Label", "LABEL"),
    ],
    table: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    quiet: "{{.ID}}",
};

pub fn run(args: &Args, context: &Context) -> Outcome {
    let root = &context.root;
    let known = ["name", "id", "driver", "label", "dangling", "type", "scope"];
    filter::check(&args.filter, &known)?;
    if is_superuser() {
        // the one that is there without being made
        net::ensure_default(root)?;
    }
    let mut networks = net::list(root)?;
    let values = |key| filter::values(&args.filter, key);
    let any = |key, matches: &dyn Fn(&str) -> bool| {
        let values = values(key);
        values.is_empty() || values.into_iter().any(matches)
    };
    let has_name = filter::patterns(&args.filter, "name")?;
    let has_id = filter::patterns(&args.filter, "id")?;
    networks.retain(|n| {
        has_name(&n.name)
            && has_id(n.id.as_str())
            && any("driver", &|text| driver_name(n.driver) == text)
            && any("scope", &|text| text == "local")
            && values("label").iter().all(|label| filter::has_label(&n.labels, label))
    });
    for wanted in values("dangling") {
        let wanted = filter::switch("dangling", wanted)?;
        let unused: Vec<_> = net::unused(root)?.into_iter().map(|n| n.id).collect();
        networks.retain(|n| unused.contains(&n.id) == wanted);
    }
    for wanted in values("type") {
        let custom = kind(wanted)?;
        networks.retain(|n| (n.name != DEFAULT_NETWORK) == custom);
    }
    let rows = networks.iter().map(|network| row(network, args.no_trunc));
    ui::data(LISTING.render(args.format.as_deref(), args.quiet, rows)?.as_bytes())?;
    Ok(0)
}

fn kind(text: &str) -> Result<bool, Failure> {
    match text {
        "custom" => Ok(true),
        "builtin" => Ok(false),
        _ => Err(Failure::usage(format!("the filter type has the value {text:?}"))
            .hint("write type=custom or type=builtin")),
    }
}

fn row(network: &NetworkSpec, full: bool) -> Row {
    let id = if full { network.id.as_str() } else { network.id.short() };
    Row::new()
        .text("ID", id)
        .text("Name", &network.name)
        .text("Driver", driver_name(network.driver))
        .text("Scope", "local")
        .text("IPv4", network.ipv4.is_some().to_string())
        .text("IPv6", network.ipv6.is_some().to_string())
        .text("Internal", network.internal.to_string())
        .text("CreatedAt", units::local_time(network.created))
        .labels(&network.labels)
}
