//! Show details of networks, in Docker's words.

use crate::commands::inspect::show;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use ipnet::IpNet;
use knarr_core::root::Root;
use knarr_core::spec::network::NetworkSpec;
use knarr_runtime::net::{self, Endpoint};
use knarr_runtime::state;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print json, or what a Go template says
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Accepted for Docker's sake
    #[arg(short, long)]
    verbose: bool,
    /// Networks, by their names or the beginning of their ids
    #[arg(value_name = "NETWORK", required = true)]
    names: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Document {
    name: String,
    id: String,
    created: String,
    scope: &'static str,
    driver: &'static str,
    #[serde(rename = "EnableIPv4")]
    enable_ipv4: bool,
    #[serde(rename = "EnableIPv6")]
    enable_ipv6: bool,
    #[serde(rename = "IPAM")]
    ipam: Ipam,
    internal: bool,
    attachable: bool,
    ingress: bool,
    config_from: ConfigFrom,
    config_only: bool,
    /// Those that run, by id.
    containers: BTreeMap<String, Container>,
    options: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
}

/// A network whose settings are copied: none is.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigFrom {
    network: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Ipam {
    driver: &'static str,
    options: BTreeMap<String, String>,
    config: Vec<Subnet>,
}

#[derive(Debug, Serialize)]
struct Subnet {
    #[serde(rename = "Subnet")]
    subnet: String,
    #[serde(rename = "IPRange", skip_serializing_if = "Option::is_none")]
    range: Option<String>,
    #[serde(rename = "Gateway")]
    gateway: String,
}

#[derive(Debug, Serialize)]
struct Container {
    #[serde(rename = "Name")]
    name: String,
    #[serde(rename = "EndpointID")]
    endpoint_id: String,
    #[serde(rename = "MacAddress")]
    mac: String,
    #[serde(rename = "IPv4Address")]
    ipv4: String,
    #[serde(rename = "IPv6Address")]
    ipv6: String,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    show(args.format.as_deref(), &args.names, |name| find(&context.root, name))
}

pub fn find(root: &Root, text: &str) -> Result<Document, Failure> {
    // by more of an id than could be a name
    let is_meant = |n: &net::Unrecorded| {
        n.name == text || (text.len() >= 12 && n.id.as_str().starts_with(text))
    };
    if let Some(network) = net::unrecorded().find(is_meant) {
        return unrecorded(root, network);
    }
    let network = net::find(root, text)?;
    let endpoints = net::endpoints(root, &network.name)?;
    let running = endpoints.iter().filter(|endpoint| endpoint.is_up());
    let ipv4 = network.ipv4.as_ref().map(|s| Subnet {
        subnet: s.subnet.to_string(),
        range: s.range.map(|range| range.to_string()),
        gateway: s.gateway.to_string(),
    });
    let ipv6 = network.ipv6.as_ref().map(|s| Subnet {
        subnet: s.subnet.to_string(),
        range: s.range.map(|range| range.to_string()),
        gateway: s.gateway.to_string(),
    });
    Ok(Document {
        containers: running.map(|e| (e.container.to_string(), container(&network, e))).collect(),
        id: network.id.to_string(),
        created: network.created.to_string(),
        scope: "local",
        driver: network.driver.name(),
        enable_ipv4: network.ipv4.is_some(),
        enable_ipv6: network.ipv6.is_some(),
        ipam: Ipam {
            driver: "default",
            options: BTreeMap::new(),
            config: ipv4.into_iter().chain(ipv6).collect(),
        },
        internal: network.internal,
        attachable: false,
        ingress: false,
        config_from: ConfigFrom::default(),
        config_only: false,
        name: network.name,
        options: network.options,
        labels: network.labels,
    })
}

/// What there is to say of `host` and `none`.
fn unrecorded(root: &Root, network: net::Unrecorded) -> Result<Document, Failure> {
    let all = state::all(root)?.into_iter().flatten();
    let running = all.filter(|c| c.state.is_alive() && c.spec.network == network.mode);
    let container = |c: state::Container| {
        let shown = Container {
            name: c.state.name.clone(),
            endpoint_id: c.id().to_string(),
            mac: String::new(),
            ipv4: String::new(),
            ipv6: String::new(),
        };
        (c.id().to_string(), shown)
    };
    Ok(Document {
        name: network.name.to_owned(),
        id: network.id.to_string(),
        // Go's zero time: nobody has made it
        created: "0001-01-01T00:00:00Z".to_owned(),
        scope: "local",
        driver: network.driver,
        enable_ipv4: true,
        enable_ipv6: false,
        ipam: Ipam { driver: "default", options: BTreeMap::new(), config: Vec::new() },
        internal: false,
        attachable: false,
        ingress: false,
        config_from: ConfigFrom::default(),
        config_only: false,
        containers: running.map(container).collect(),
        options: BTreeMap::new(),
        labels: BTreeMap::new(),
    })
}

fn container(network: &NetworkSpec, endpoint: &Endpoint) -> Container {
    let with_prefix = |address: Option<IpNet>| address.map(|a| a.to_string()).unwrap_or_default();
    let prefix4 = network.ipv4.as_ref().map_or(32, |s| s.subnet.prefix_len());
    let prefix6 = network.ipv6.as_ref().map_or(128, |s| s.subnet.prefix_len());
    Container {
        name: endpoint.name.clone(),
        endpoint_id: endpoint.container.to_string(),
        mac: endpoint.mac_text(),
        ipv4: with_prefix(endpoint.ipv4.and_then(|a| IpNet::new(a.into(), prefix4).ok())),
        ipv6: with_prefix(endpoint.ipv6.and_then(|a| IpNet::new(a.into(), prefix6).ok())),
    }
}
