//! The table: its rules never change, networks and published ports are elements of its sets and maps. So the start of a
//! container adds nothing, or one element for each port.
//!
//! ```text
//! protect      nothing of 127.0.0.0/8 crosses a bridge: route_localnet would let it (CVE-2020-8558)
//! publish      what is for this host and a published port goes to the container; from outside and from the host itself,
//!              but for ::1, from which nothing is routed: there a socket of the monitor's takes it
//! masquerade   what leaves a network has the host's address; so has what a container sends to a published port, and
//!              what the host sends there from its loopback: the answer would not find its way back
//! forward      networks are apart from each other; from outside only published ports are reached; an internal network
//!              has no way out
//! input        an internal network does not reach the host either
//! ```
//!
//! `forward` and `input` come after the host's own filter: what that one drops stays dropped.

use super::expression::{
    Family, Field, Tracked, accept, by_loopback, drop, is_family, is_for_host, is_in, is_not_in,
    is_tracked, is_within, masquerade, redirect, reject,
};
use super::message::{Attributes, Batch, Hook, Set};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Types of keys as `nft` numbers them, for whoever lists the table.
pub mod kind {
    pub const IPV4: u32 = 7;
    pub const IPV6: u32 = 8;
    pub const PROTOCOL: u32 = 12;
    pub const PORT: u32 = 13;
    pub const INTERFACE: u32 = 41;

    /// Several as one.
    pub const fn all<const N: usize>(kinds: [u32; N]) -> u32 {
        let mut all = 0;
        let mut at = 0;
        while at < N {
            all = all << 6 | kinds[at];
            at += 1;
        }
        all
    }
}

const fn set(name: &'static str, key: (u32, u32), interval: bool) -> Set {
    let host_order = key.0 == kind::INTERFACE;
    Set { name, key, data: None, interval, host_order }
}

const fn map(name: &'static str, key: (u32, u32), data: (u32, u32)) -> Set {
    Set { name, key, data: Some(data), interval: false, host_order: false }
}

/// The bridges of all networks.
pub const BRIDGES: Set = set("bridges", (kind::INTERFACE, 16), false);
/// Pairs of interfaces between which containers reach each other: each bridge with itself.
pub const NEIGHBOURS: Set =
    set("neighbours", (kind::all([kind::INTERFACE, kind::INTERFACE]), 32), false);
/// The bridges of internal networks.
pub const INTERNAL: Set = set("internal", (kind::INTERFACE, 16), false);
/// Subnets whose containers reach what is outside with the host's address.
pub const SUBNETS4: Set = set("subnets4", (kind::IPV4, 4), true);
pub const SUBNETS6: Set = set("subnets6", (kind::IPV6, 16), true);
/// Ports that are published on one address of the host.
pub const PORTS4: Set = map(
    "ports4",
    (kind::all([kind::PROTOCOL, kind::IPV4, kind::PORT]), 12),
    (kind::all([kind::IPV4, kind::PORT]), 8),
);
pub const PORTS6: Set = map(
    "ports6",
    (kind::all([kind::PROTOCOL, kind::IPV6, kind::PORT]), 24),
    (kind::all([kind::IPV6, kind::PORT]), 20),
);
/// Ports that are published on all addresses of the host.
pub const EVERYWHERE4: Set = map(
    "everywhere4",
    (kind::all([kind::PROTOCOL, kind::PORT]), 8),
    (kind::all([kind::IPV4, kind::PORT]), 8),
);
pub const EVERYWHERE6: Set = map(
    "everywhere6",
    (kind::all([kind::PROTOCOL, kind::PORT]), 8),
    (kind::all([kind::IPV6, kind::PORT]), 20),
);

const SETS: &[Set] =
    &[BRIDGES, NEIGHBOURS, INTERNAL, SUBNETS4, SUBNETS6, PORTS4, PORTS6, EVERYWHERE4, EVERYWHERE6];

const PREROUTING: u32 = 0;
const INPUT: u32 = 1;
const FORWARD: u32 = 2;
const OUTPUT: u32 = 3;
const POSTROUTING: u32 = 4;

fn all(parts: impl IntoIterator<Item = Vec<Attributes>>) -> Vec<Attributes> {
    parts.into_iter().flatten().collect()
}

/// Adds sets, chains and rules to a table that has none.
pub fn build(batch: &mut Batch) {
    for set in SETS {
        batch.set(set);
    }
    let hook = |kind, number, priority| Some(Hook { kind, number, priority });
    batch.chain("protect", hook("filter", PREROUTING, -300));
    batch.chain("publish", hook("nat", PREROUTING, -100));
    batch.chain("publish-own", hook("nat", OUTPUT, -100));
    batch.chain("masquerade", hook("nat", POSTROUTING, 100));
    batch.chain("forward", hook("filter", FORWARD, 10));
    batch.chain("input", hook("filter", INPUT, 10));
    let loopback = IpNet::new_assert(Ipv4Addr::new(127, 0, 0, 0).into(), 8);
    let from_bridge = || is_in(&[Field::InterfaceIn], BRIDGES.name);
    let to_bridge = || is_in(&[Field::InterfaceOut], BRIDGES.name);
    for field in [Field::Source(Family::V4), Field::Destination(Family::V4)] {
        let rule = [is_family(Family::V4), from_bridge(), is_within(field, loopback), drop()];
        batch.rule("protect", all(rule));
    }
    publish(batch);
    let from_loopback = is_within(Field::Source(Family::V4), loopback);
    let rule = [is_family(Family::V4), from_loopback, to_bridge(), masquerade()];
    batch.rule("masquerade", all(rule));
    for (family, subnets) in [(Family::V4, SUBNETS4), (Family::V6, SUBNETS6)] {
        let from_container = || is_in(&[Field::Source(family)], subnets.name);
        let outside = is_not_in(&[Field::InterfaceOut], BRIDGES.name);
        let rule = [is_family(family), from_container(), by_loopback(false), outside, masquerade()];
        batch.rule("masquerade", all(rule));
        let redirected = is_tracked(Tracked::Redirected);
        let rule = [is_family(family), redirected, to_bridge(), from_container(), masquerade()];
        batch.rule("masquerade", all(rule));
    }
    batch.rule("forward", all([is_tracked(Tracked::Known), accept()]));
    let neighbours = is_in(&[Field::InterfaceIn, Field::InterfaceOut], NEIGHBOURS.name);
    batch.rule("forward", all([neighbours, accept()]));
    // containers are told at once, others nothing
    let from_internal = || is_in(&[Field::InterfaceIn], INTERNAL.name);
    let to_internal = || is_in(&[Field::InterfaceOut], INTERNAL.name);
    batch.rule("forward", all([from_internal(), reject()]));
    batch.rule("forward", all([from_bridge(), to_internal(), reject()]));
    batch.rule("forward", all([to_internal(), drop()]));
    batch.rule("forward", all([to_bridge(), is_tracked(Tracked::Redirected), accept()]));
    batch.rule("forward", all([from_bridge(), to_bridge(), reject()]));
    batch.rule("forward", all([to_bridge(), drop()]));
    batch.rule("input", all([from_internal(), is_tracked(Tracked::Unknown), reject()]));
}

fn publish(batch: &mut Batch) {
    let own = IpNet::from(IpAddr::from(Ipv6Addr::LOCALHOST));
    let to_own = is_within(Field::Destination(Family::V6), own);
    batch.rule("publish-own", all([is_family(Family::V6), to_own, accept()]));
    for chain in ["publish", "publish-own"] {
        for (family, one, every) in
            [(Family::V4, PORTS4, EVERYWHERE4), (Family::V6, PORTS6, EVERYWHERE6)]
        {
            let fields = [Field::Protocol, Field::Destination(family), Field::DestinationPort];
            let rule = redirect(&fields, one.name, family);
            batch.rule(chain, all([is_family(family), is_for_host(), rule]));
            let fields = [Field::Protocol, Field::DestinationPort];
            let rule = redirect(&fields, every.name, family);
            batch.rule(chain, all([is_family(family), is_for_host(), rule]));
        }
    }
}
