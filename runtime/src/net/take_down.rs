//! Taking away what all networks of a root have in the kernel, also those whose records cannot be read.

use super::error::Error;
use super::firewall::Firewall;
use super::netlink::{Socket, link};
use super::step::{Step, failed};
use super::store::subnets;
use super::{bridge, namespace, store};
use ipnet::IpNet;
use knarr_core::fsx;
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::network::NetworkSpec;
use std::collections::BTreeSet;
use std::io;

/// For when no container runs any more. Goes on after an error, and hands each to `report`. `containers` are those that may have
/// had a place on the networks.
pub(crate) fn take_down(root: &Root, containers: &[ContainerId], report: &mut dyn FnMut(Error)) {
    let mut names = BTreeSet::new();
    for folder in [root.networks(), root.networks_run()] {
        match fsx::list(&folder) {
            Ok(found) => names.extend(found.into_iter().filter(|name| folder.join(name).is_dir())),
            Err(e) => report(e.into()),
        }
    }
    for name in &names {
        if let Err(e) = namespace::unmount(&root.network(name).shared_namespace()) {
            report(e.into());
        }
    }
    let networks: Vec<NetworkSpec> =
        names.iter().filter_map(|name| store::load(root, name).ok().flatten()).collect();
    if let Err(e) = remove_links(root, &networks, containers) {
        report(failed(Step::Link, "", e));
    }
    if let Err(e) = remove_rules(root, &networks)
        // without networks it is no loss that there is no packet filter
        && !names.is_empty()
    {
        report(failed(Step::Rules, "", e));
    }
}

/// Bridges are known by what is written on them, too.
fn remove_links(
    root: &Root,
    networks: &[NetworkSpec],
    containers: &[ContainerId],
) -> io::Result<()> {
    let mut socket = Socket::route()?;
    let all = link::list(&mut socket)?;
    let bridges: BTreeSet<String> = networks.iter().map(|n| bridge::name(root, n)).collect();
    let is_ours = |link: &link::Link| {
        link.is_bridge
            && match &link.alias {
                Some(alias) => bridge::is_alias(root, alias),
                // its maker was killed
                None => bridges.contains(&link.name),
            }
    };
    let masters: BTreeSet<u32> = all.iter().filter(|l| is_ours(l)).map(|l| l.index).collect();
    let mut ends: BTreeSet<String> = networks.iter().map(bridge::shared_link_of).collect();
    for network in networks {
        ends.extend(containers.iter().map(|id| bridge::link_of(network, id)));
    }
    let mut result = Ok(());
    for link in all {
        let is_port = link.master.is_some_and(|master| masters.contains(&master));
        if is_port || masters.contains(&link.index) || ends.contains(&link.name) {
            result = result.and(link::remove(&mut socket, &link.name));
        }
    }
    result
}

fn remove_rules(root: &Root, networks: &[NetworkSpec]) -> io::Result<()> {
    let mut firewall = Firewall::open(bridge::mark(root))?;
    if firewall.exists()? {
        firewall.destroy()?;
    }
    let gone: Vec<IpNet> = networks.iter().flat_map(subnets).collect();
    if !gone.is_empty() {
        firewall.end_flows(&|address| gone.iter().any(|subnet| subnet.contains(&address)));
    }
    Ok(())
}
