//! What Compose writes where a file says nothing, and what must not stand together.

use std::net::IpAddr;

use super::error::Error;
use super::trail::Trail;
use crate::node::{Kind, Map, Node};

type Fill = fn(&mut Map, &Node);

const DEFAULTS: &[(&str, Fill)] = &[
    ("services.*.build", |map, at| put(map, at, "context", ".")),
    ("services.*.secrets.*", |map, at| {
        let source = map.get("source").and_then(Node::scalar).unwrap_or_default();
        put(map, at, "target", &format!("/run/secrets/{source}"));
    }),
    ("services.*.ports.*", |map, at| {
        put(map, at, "protocol", "tcp");
        put(map, at, "mode", "ingress");
    }),
    ("services.*.deploy.resources.reservations.devices.*", devices),
    ("services.*.gpus.*", devices),
];

fn put(map: &mut Map, at: &Node, key: &str, value: &str) {
    if !map.contains(key) {
        map.set(key, Node::text(at.place.clone(), value));
    }
}

fn devices(map: &mut Map, at: &Node) {
    if !map.contains("device_ids") {
        put(map, at, "count", "all");
    }
}

/// Fills in what is missing.
pub(crate) fn fill(node: &mut Node, trail: &mut Trail) {
    if let Some(default) = trail.find(DEFAULTS) {
        let at = Node::new(node.place.clone(), Kind::Null);
        if let Some(map) = node.as_map_mut() {
            default(map, &at);
        }
        return;
    }
    match &mut node.kind {
        Kind::Map(map) => {
            for (key, entry) in map.iter_mut() {
                trail.within(key, |trail| fill(&mut entry.node, trail));
            }
        }
        Kind::List(list) => {
            for (index, item) in list.iter_mut().enumerate() {
                trail.within(&index.to_string(), |trail| fill(item, trail));
            }
        }
        _ => {}
    }
}

type Check = fn(&Map) -> Result<(), Wrong>;

/// A problem, and the key that it is about.
struct Wrong(&'static str, String);

const CHECKS: &[(&str, Check)] = &[
    ("volumes.*", external),
    ("configs.*", |map| sources(map, &["file", "environment", "content"])),
    ("secrets.*", |map| sources(map, &["file", "environment"])),
    ("services.*.ports.*", |map| match map.get("host_ip").and_then(Node::as_str) {
        Some(ip) if ip.parse::<IpAddr>().is_err() => {
            Err(Wrong("host_ip", format!("'{ip}' is no IP address")))
        }
        _ => Ok(()),
    }),
    ("services.*.develop.watch.*", |map| match map.get("path").and_then(Node::as_str) {
        Some("") => Err(Wrong("path", "cannot be empty".into())),
        _ => Ok(()),
    }),
    ("services.*.deploy.resources.reservations.devices.*", count_or_ids),
    ("services.*.gpus.*", count_or_ids),
];

fn external(map: &Map) -> Result<(), Wrong> {
    if !matches!(map.get("external").map(|node| &node.kind), Some(Kind::Bool(true))) {
        return Ok(());
    }
    let other =
        map.keys().find(|key| !["name", "external"].contains(key) && !key.starts_with("x-"));
    match other {
        Some(key) => Err(Wrong("external", format!("cannot stand together with '{key}'"))),
        None => Ok(()),
    }
}

fn sources(map: &Map, keys: &[&'static str]) -> Result<(), Wrong> {
    let mut given = keys.iter().filter(|key| map.contains(key));
    match (given.next(), given.next()) {
        (Some(first), Some(second)) => {
            Err(Wrong(second, format!("cannot stand together with '{first}'")))
        }
        (None, _) if !map.contains("driver") && !map.contains("external") => {
            Err(Wrong("", format!("must have one of: {}", keys.join(", "))))
        }
        _ => Ok(()),
    }
}

fn count_or_ids(map: &Map) -> Result<(), Wrong> {
    if map.contains("count") && map.contains("device_ids") {
        return Err(Wrong("count", "cannot stand together with 'device_ids'".into()));
    }
    Ok(())
}

/// Refuses what must not stand together.
pub(crate) fn check(node: &Node, trail: &mut Trail) -> Result<(), Error> {
    if let Some(rule) = trail.find(CHECKS) {
        let Some(map) = node.as_map() else { return Ok(()) };
        return rule(map).map_err(|Wrong(key, problem)| {
            let place = map.entry(key).map_or(&node.place, |entry| &entry.key).clone();
            let path = match key {
                "" => trail.to_string(),
                key => format!("{trail}.{key}"),
            };
            Error::Short { place, path, problem }
        });
    }
    match &node.kind {
        Kind::Map(map) => map
            .iter()
            .try_for_each(|(key, entry)| trail.within(key, |trail| check(&entry.node, trail))),
        Kind::List(list) => list.iter().enumerate().try_for_each(|(index, item)| {
            trail.within(&index.to_string(), |trail| check(item, trail))
        }),
        _ => Ok(()),
    }
}
