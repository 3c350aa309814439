//! Give a container a place on a network, at once if it runs.

use crate::commands::{Context, Outcome};
use knarr_core::spec::network::Attachment;
use knarr_runtime::container;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A further name for it there
    #[arg(long, value_name = "NAME")]
    alias: Vec<String>,
    /// Its address
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<Ipv4Addr>,
    /// Its address of IPv6
    #[arg(long, value_name = "ADDRESS")]
    ip6: Option<Ipv6Addr>,
    /// A further address there, of 169.254.0.0/16 or fe80::/10
    #[arg(long, value_name = "ADDRESS")]
    link_local_ip: Vec<IpAddr>,
    /// The network, by its name or the beginning of its id
    #[arg(value_name = "NETWORK")]
    network: String,
    /// The container, by its name or the beginning of its id
    #[arg(value_name = "CONTAINER")]
    container: String,
}

pub fn run(args: &Args, context: &Context) -> Outcome {
    let store = context.store()?;
    let id = container::find(&store, &args.container)?;
    let wish = Attachment {
        network: args.network.clone(),
        aliases: args.alias.clone(),
        ipv4: args.ip,
        ipv6: args.ip6,
        mac: None,
        link_local: args.link_local_ip.clone(),
    };
    container::connect(&context.root, &id, &wish)?;
    Ok(0)
}
