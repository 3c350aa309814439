//! List networks.

use crate::args::filter::{self, Filter};
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui::listing::{Listing, Row};
use crate::ui::{self, units};
use knarr_core::id::ContainerId;
use knarr_core::spec::network::NetworkSpec;
use knarr_runtime::net;
use std::collections::BTreeMap;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show only some: name=PATTERN, id=PATTERN, driver=…, label=NAME[=VALUE], dangling=true, type=custom|builtin
    #[arg(short, long, value_name = "FILTER", value_parser = filter::parse)]
    filter: Vec<Filter>,
    /// Print a table, json, or what a Go template says
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
    // the one that is there without being made
    net::ensure_listed(root)?;
    let recorded = net::list(root)?.into_iter().map(Line::from);
    let mut networks: Vec<Line> = recorded.chain(net::unrecorded().map(Line::from)).collect();
    networks.sort_by(|a, b| a.name.cmp(&b.name));
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
            && any("driver", &|text| n.driver == text)
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
        networks.retain(|n| n.is_builtin != custom);
    }
    let rows = networks.iter().map(|network| network.row(args.no_trunc));
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

/// What is shown of a network.
struct Line {
    id: ContainerId,
    name: String,
    driver: &'static str,
    families: [bool; 2],
    internal: bool,
    created: String,
    labels: BTreeMap<String, String>,
    is_builtin: bool,
}

impl From<NetworkSpec> for Line {
    fn from(network: NetworkSpec) -> Self {
        Self {
            is_builtin: network.is_builtin(),
            driver: network.driver.name(),
            families: [network.ipv4.is_some(), network.ipv6.is_some()],
            internal: network.internal,
            created: units::local_time(network.created),
            id: network.id,
            name: network.name,
            labels: network.labels,
        }
    }
}

impl From<net::Unrecorded> for Line {
    fn from(network: net::Unrecorded) -> Self {
        Self {
            id: network.id,
            name: network.name.to_owned(),
            driver: network.driver,
            families: [true, false],
            internal: false,
            created: "N/A".to_owned(),
            labels: BTreeMap::new(),
            is_builtin: true,
        }
    }
}

impl Line {
    fn row(&self, full: bool) -> Row {
        let id = if full { self.id.as_str() } else { self.id.short() };
        let [ipv4, ipv6] = self.families;
        Row::new()
            .text("ID", id)
            .text("Name", &self.name)
            .text("Driver", self.driver)
            .text("Scope", "local")
            .text("IPv4", ipv4.to_string())
            .text("IPv6", ipv6.to_string())
            .text("Internal", self.internal.to_string())
            .text("CreatedAt", self.created.as_str())
            .labels(&self.labels)
    }
}
