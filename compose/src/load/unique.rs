//! Lists in which a later item takes the place of an earlier one.

use std::collections::HashMap;

use super::error::Error;
use super::short;
use super::trail::Trail;
use crate::node::{Kind, Node};

type Index = fn(&Node) -> Result<String, String>;

/// The lists, and what makes two of their items the same.
const LISTS: &[(&str, Index)] = &[
    ("networks.*.labels", name),
    ("networks.*.ipam.options", name),
    ("services.*.annotations", name),
    ("services.*.build.args", name),
    ("services.*.build.additional_contexts", name),
    ("services.*.build.platform", name),
    ("services.*.build.tags", name),
    ("services.*.build.labels", name),
    ("services.*.cap_add", name),
    ("services.*.cap_drop", name),
    ("services.*.devices", device),
    ("services.*.configs", config),
    ("services.*.deploy.labels", name),
    ("services.*.dns", name),
    ("services.*.dns_opt", name),
    ("services.*.dns_search", name),
    ("services.*.environment", name),
    ("services.*.env_file", path),
    ("services.*.expose", number),
    ("services.*.labels", name),
    ("services.*.links", name),
    ("services.*.networks.*.aliases", name),
    ("services.*.networks.*.link_local_ips", name),
    ("services.*.ports", port),
    ("services.*.profiles", name),
    ("services.*.secrets", secret),
    ("services.*.sysctls", name),
    ("services.*.tmpfs", name),
    ("services.*.volumes", volume),
];

/// Leaves the last of the items that are the same, in the position of the first.
pub(crate) fn enforce(node: &mut Node, trail: &mut Trail) -> Result<(), Error> {
    match &mut node.kind {
        Kind::Map(map) => {
            for (key, entry) in map.iter_mut() {
                trail.within(key, |trail| enforce(&mut entry.node, trail))?;
            }
        }
        Kind::List(list) => {
            let Some(index) = trail.find(LISTS) else { return Ok(()) };
            let mut positions: HashMap<String, usize> = HashMap::new();
            let mut kept: Vec<Node> = Vec::new();
            for item in std::mem::take(list) {
                let key = index(&item).map_err(|problem| Error::Short {
                    place: item.place.clone(),
                    path: trail.to_string(),
                    problem,
                })?;
                match positions.get(&key) {
                    Some(&position) => kept[position] = item,
                    None => {
                        positions.insert(key, kept.len());
                        kept.push(item);
                    }
                }
            }
            *list = kept;
        }
        _ => {}
    }
    Ok(())
}

fn name(item: &Node) -> Result<String, String> {
    let text = item.as_str().ok_or_else(|| format!("unexpected {}", item.kind_name()))?;
    Ok(text.split_once('=').map_or(text, |(name, _)| name).to_owned())
}

fn path(item: &Node) -> Result<String, String> {
    let path = item.as_str().or_else(|| item.str_at("path"));
    path.map(str::to_owned).ok_or_else(|| "the path of the file is missing".into())
}

fn number(item: &Node) -> Result<String, String> {
    match item.kind {
        Kind::Int(_) | Kind::Text(_) => Ok(item.scalar().unwrap_or_default()),
        _ => Err(format!("unexpected {}", item.kind_name())),
    }
}

fn target(item: &Node, what: &str) -> Result<String, String> {
    let target = item.get("target").and_then(Node::scalar);
    target.ok_or_else(|| format!("the target of the {what} is missing"))
}

fn device(item: &Node) -> Result<String, String> {
    match item.as_str() {
        None => target(item, "device"),
        Some(text) => {
            let mut parts = text.split(':');
            let source = parts.next().unwrap_or_default();
            Ok(parts.next().unwrap_or(source).to_owned())
        }
    }
}

fn volume(item: &Node) -> Result<String, String> {
    match item.as_str() {
        None => target(item, "mount"),
        Some(text) => short::volume(text).map(|volume| volume.target),
    }
}

fn mounted(item: &Node, folder: &str) -> Result<String, String> {
    let source = item.as_str().map(str::to_owned);
    let source = source.or_else(|| item.get("source").and_then(Node::scalar)).unwrap_or_default();
    let target = item.get("target").and_then(Node::scalar);
    Ok(target.unwrap_or_else(|| format!("{folder}/{source}")))
}

fn config(item: &Node) -> Result<String, String> {
    mounted(item, "")
}

fn secret(item: &Node) -> Result<String, String> {
    mounted(item, "/run/secrets")
}

fn port(item: &Node) -> Result<String, String> {
    if item.as_map().is_none() {
        return Ok(item.scalar().unwrap_or_default());
    }
    let target = target(item, "port")?;
    let part = |key: &str, default: &str| {
        item.get(key).and_then(Node::scalar).unwrap_or_else(|| default.to_owned())
    };
    let (host, published) = (part("host_ip", "0.0.0.0"), part("published", ""));
    Ok(format!("{host}:{published}:{target}/{}", part("protocol", "tcp")))
}
