//! Show details of networks, in Docker's words.

use crate::commands::inspect::show;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use ipnet::IpNet;
use knarr_core::nil;
use knarr_core::root::Root;
use knarr_core::spec::network::{Driver, NetworkSpec};
use knarr_runtime::net::{self, Endpoint};
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Accepted for Docker's sake
    #[arg(short, long)]
    verbose: bool,
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
    options: nil::Map,
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
        driver: driver_name(network.driver),
        enable_ipv4: network.ipv4.is_some(),
        enable_ipv6: network.ipv6.is_some(),
        ipam: Ipam {
            driver: "default",
            options: nil::Map,
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

pub fn driver_name(driver: Driver) -> &'static str {
    match driver {
        Driver::Bridge => "bridge",
        Driver::Loopback => "loopback",
    }
}
