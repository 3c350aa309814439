//! Make a network.

use crate::args::network::driver;
use crate::args::value::pairs;
use crate::commands::{Context, Outcome};
use crate::ui;
use ipnet::IpNet;
use knarr_core::spec::network::Driver;
use knarr_runtime::net::{self, NewNetwork};
use std::net::IpAddr;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Accepted for Docker's sake: containers may join every network
    #[arg(long)]
    attachable: bool,
    /// What carries it: bridge, or loopback (for hosts without bridges; Wasm containers only)
    #[arg(short, long, value_name = "DRIVER", value_parser = driver)]
    driver: Option<Driver>,
    /// The address of its gateway
    #[arg(long, value_name = "ADDRESS")]
    gateway: Vec<IpAddr>,
    /// No way out of it
    #[arg(long)]
    internal: bool,
    /// Where in the subnet addresses are taken from
    #[arg(long, value_name = "SUBNET", value_parser = subnet)]
    ip_range: Vec<IpNet>,
    /// Addresses of IPv6 as well
    #[arg(long)]
    ipv6: bool,
    /// Set a label
    #[arg(long, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
    /// An option of the driver
    #[arg(short, long, value_name = "NAME=VALUE")]
    opt: Vec<String>,
    /// Its addresses, for example 172.30.0.0/16; one of each family
    #[arg(long, value_name = "SUBNET", value_parser = subnet)]
    subnet: Vec<IpNet>,
    /// The name that it gets
    #[arg(value_name = "NETWORK")]
    name: String,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let new = NewNetwork {
        name: args.name.clone(),
        driver: args.driver,
        subnets: args.subnet.clone(),
        gateways: args.gateway.clone(),
        ranges: args.ip_range.clone(),
        ipv6: args.ipv6 || args.subnet.iter().any(|subnet| subnet.addr().is_ipv6()),
        internal: args.internal,
        labels: pairs(&args.label),
        options: pairs(&args.opt),
    };
    let network = net::create(&context.root, new)?;
    if args.driver.is_none() && network.driver == Driver::Loopback {
        ui::warning(
            "this user can make no bridge: the network is on the host's loopback, for Wasm containers only",
        );
    }
    ui::line(network.id)?;
    Ok(0)
}

fn subnet(text: &str) -> Result<IpNet, String> {
    text.parse().map_err(|_| "write an address and a length, for example 172.30.0.0/16".into())
}
