//! A file over another, and a service over the one that it extends.

use std::collections::{HashMap, HashSet};

use super::error::Error;
use super::trail::Trail;
use crate::node::{Kind, Map, Node};

type Rule = fn(Node, Node, &mut Trail) -> Result<Node, Error>;

/// Where merging is not "mappings by key, lists one after the other, the rest replaced".
const RULES: &[(&str, Rule)] = &[
    ("networks.*.ipam.config", pools),
    ("networks.*.labels", sequences),
    ("volumes.*.labels", sequences),
    ("services.*.annotations", sequences),
    ("services.*.build", build),
    ("services.*.build.args", sequences),
    ("services.*.build.additional_contexts", sequences),
    ("services.*.build.extra_hosts", hosts),
    ("services.*.build.labels", sequences),
    ("services.*.command", replace),
    ("services.*.depends_on", dependencies),
    ("services.*.deploy.labels", sequences),
    ("services.*.dns", sequences),
    ("services.*.dns_opt", sequences),
    ("services.*.dns_search", sequences),
    ("services.*.entrypoint", replace),
    ("services.*.env_file", sequences),
    ("services.*.label_file", sequences),
    ("services.*.environment", sequences),
    ("services.*.extra_hosts", hosts),
    ("services.*.healthcheck.test", replace),
    ("services.*.labels", sequences),
    ("services.*.volumes.*.volume.labels", sequences),
    ("services.*.logging", logging),
    ("services.*.models", keys),
    ("services.*.networks", keys),
    ("services.*.sysctls", sequences),
    ("services.*.tmpfs", sequences),
    ("services.*.ulimits.*", replace),
];

/// Puts `over` over `base`. `trail` is where both stand.
pub(crate) fn merge(base: Node, over: Node, trail: &mut Trail) -> Result<Node, Error> {
    if let Some(rule) = trail.find(RULES) {
        return rule(base, over, trail);
    }
    if over.is_null() {
        return Ok(base);
    }
    match (base.kind, over.kind) {
        (Kind::Map(below), Kind::Map(above)) => {
            let map = mappings(below, above, trail)?;
            Ok(Node::new(over.place, Kind::Map(map)))
        }
        (Kind::List(mut below), Kind::List(above)) => {
            below.extend(above);
            Ok(Node::new(over.place, Kind::List(below)))
        }
        (Kind::Map(_) | Kind::List(_), _) => {
            Err(Error::Override { place: over.place, path: trail.to_string(), base: base.place })
        }
        (_, kind) => Ok(Node::new(over.place, kind)),
    }
}

fn mappings(mut base: Map, over: Map, trail: &mut Trail) -> Result<Map, Error> {
    for (key, entry) in over {
        // a placeholder keeps the position of the key
        let below = base.get_mut(&key).map(|node| {
            let place = node.place.clone();
            std::mem::replace(node, Node::new(place, Kind::Null))
        });
        let node = match below {
            None => entry.node,
            Some(below) => trail.within(&key, |trail| merge(below, entry.node, trail))?,
        };
        base.insert(key, entry.key, node);
    }
    Ok(base)
}

fn replace(_: Node, over: Node, _: &mut Trail) -> Result<Node, Error> {
    Ok(over)
}

/// Both as lists of `NAME=value`, one after the other.
fn sequences(base: Node, over: Node, _: &mut Trail) -> Result<Node, Error> {
    let place = if over.is_null() { base.place.clone() } else { over.place.clone() };
    let mut list = into_list(base);
    list.extend(into_list(over));
    Ok(Node::new(place, Kind::List(list)))
}

/// As [`sequences`], without what is there already.
fn hosts(base: Node, over: Node, _: &mut Trail) -> Result<Node, Error> {
    let place = over.place.clone();
    let mut list = into_list(base);
    let known: HashSet<String> = list.iter().filter_map(Node::scalar).collect();
    let more = into_list(over).into_iter();
    list.extend(more.filter(|node| node.scalar().is_none_or(|text| !known.contains(&text))));
    Ok(Node::new(place, Kind::List(list)))
}

/// A mapping as `NAME=value`, sorted; a list as it is; a text as a list of one.
fn into_list(node: Node) -> Vec<Node> {
    match node.kind {
        Kind::List(list) => list,
        Kind::Text(_) => vec![node],
        Kind::Map(map) => {
            let mut list = Vec::new();
            for (key, entry) in map {
                let place = entry.node.place.clone();
                let line = |value: &Node| {
                    let value = value.scalar().unwrap_or_default();
                    Node::text(place.clone(), format!("{key}={value}"))
                };
                match &entry.node.kind {
                    Kind::Null => list.push(Node::text(entry.key, key)),
                    Kind::List(values) => list.extend(values.iter().map(line)),
                    _ => list.push(line(&entry.node)),
                }
            }
            list.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
            list
        }
        _ => Vec::new(),
    }
}

/// A list of names as a mapping, each with a value made for it.
fn into_map(node: Node, value: impl Fn(&Node) -> Node) -> Map {
    match node.kind {
        Kind::Map(map) => map,
        Kind::List(list) => {
            let mut map = Map::new();
            for item in list {
                if let Some(name) = item.as_str() {
                    map.insert(name, item.place.clone(), value(&item));
                }
            }
            map
        }
        _ => Map::new(),
    }
}

pub(super) fn nothing(name: &Node) -> Node {
    Node::new(name.place.clone(), Kind::Null)
}

/// What a name alone in `depends_on` means.
pub(super) fn started(name: &Node) -> Node {
    let place = &name.place;
    let mut map = Map::new();
    map.set("condition", Node::text(place.clone(), "service_started"));
    map.set("required", Node::new(place.clone(), Kind::Bool(true)));
    Node::new(place.clone(), Kind::Map(map))
}

/// Lists of names or mappings, by key.
fn keys(base: Node, over: Node, trail: &mut Trail) -> Result<Node, Error> {
    let place = over.place.clone();
    let map = mappings(into_map(base, nothing), into_map(over, nothing), trail)?;
    Ok(Node::new(place, Kind::Map(map)))
}

fn dependencies(base: Node, over: Node, trail: &mut Trail) -> Result<Node, Error> {
    let place = over.place.clone();
    let map = mappings(into_map(base, started), into_map(over, started), trail)?;
    Ok(Node::new(place, Kind::Map(map)))
}

/// A build is a mapping, or its context.
fn build(base: Node, over: Node, trail: &mut Trail) -> Result<Node, Error> {
    let long = |node: Node| match node.kind {
        Kind::Map(map) => map,
        Kind::Text(_) => {
            let mut map = Map::new();
            map.set("context", node);
            map
        }
        _ => Map::new(),
    };
    let place = if over.is_null() { base.place.clone() } else { over.place.clone() };
    let map = mappings(long(base), long(over), trail)?;
    Ok(Node::new(place, Kind::Map(map)))
}

/// Options of one driver mean nothing to another.
fn logging(base: Node, over: Node, trail: &mut Trail) -> Result<Node, Error> {
    let differ = match (base.str_at("driver"), over.str_at("driver")) {
        (Some(below), Some(above)) => below != above,
        _ => false,
    };
    if differ {
        return Ok(over);
    }
    match (base.kind, over.kind) {
        (Kind::Map(below), Kind::Map(above)) => {
            Ok(Node::new(over.place, Kind::Map(mappings(below, above, trail)?)))
        }
        (below, Kind::Null) => Ok(Node::new(base.place, below)),
        (_, above) => Ok(Node::new(over.place, above)),
    }
}

/// Ranges of addresses: those of the upper file, each on top of the one with its subnet.
fn pools(base: Node, over: Node, trail: &mut Trail) -> Result<Node, Error> {
    let (Kind::List(below), Kind::List(above)) = (&base.kind, &over.kind) else {
        return Err(Error::Override {
            place: over.place,
            path: trail.to_string(),
            base: base.place,
        });
    };
    let subnet = |node: &Node| node.get("subnet").and_then(Node::scalar);
    let known: HashMap<_, _> = below.iter().map(|pool| (subnet(pool), pool)).collect();
    let mut merged = Vec::new();
    for pool in above {
        let node = match (known.get(&subnet(pool)).map(|pool| &pool.kind), &pool.kind) {
            (Some(Kind::Map(low)), Kind::Map(high)) => {
                let map = mappings(low.clone(), high.clone(), trail)?;
                Node::new(pool.place.clone(), Kind::Map(map))
            }
            _ => pool.clone(),
        };
        merged.push(node);
    }
    Ok(Node::new(over.place.clone(), Kind::List(merged)))
}
