//! What files leave to be understood: names, the default network, dependencies that links and namespaces imply.

use std::collections::BTreeMap;

use super::paths::clean;
use crate::node::{Kind, Map, Node};

/// Says what is left to be understood. `name` is the project's.
pub(crate) fn normalise(root: &mut Node, name: &str, environment: &BTreeMap<String, String>) {
    let place = root.place.clone();
    let Some(file) = root.as_map_mut() else { return };
    file.set("name", Node::text(place.clone(), name));
    let mut uses_default = false;
    if let Some(services) = file.get_mut("services").and_then(Node::as_map_mut) {
        for (_, entry) in services.iter_mut() {
            let place = entry.key.clone();
            let Some(service) = entry.node.as_map_mut() else { continue };
            uses_default |= networks(service, &Node::new(place.clone(), Kind::Null));
            self::service(service, &Node::new(place, Kind::Null), environment);
        }
    }
    if uses_default {
        if !matches!(file.get("networks").map(|node| &node.kind), Some(Kind::Map(_))) {
            file.set("networks", Node::new(place.clone(), Kind::Map(Map::new())));
        }
        if let Some(networks) = file.get_mut("networks").and_then(Node::as_map_mut)
            && !networks.contains("default")
        {
            networks.set("default", Node::new(place, Kind::Null));
        }
    }
    resource_names(file, name);
}

/// Puts a service that names no network on the default one; true if it is there.
fn networks(service: &mut Map, at: &Node) -> bool {
    if service.contains("provider") || service.contains("network_mode") {
        return false;
    }
    match service.get("networks").and_then(Node::as_map) {
        Some(networks) if !networks.is_empty() => networks.contains("default"),
        _ => {
            let mut networks = Map::new();
            networks.set("default", at.clone());
            service.set("networks", Node::new(at.place.clone(), Kind::Map(networks)));
            true
        }
    }
}

fn service(service: &mut Map, at: &Node, environment: &BTreeMap<String, String>) {
    let text = |text: &str| Node::text(at.place.clone(), text);
    if service.get("pull_policy").and_then(Node::as_str) == Some("if_not_present")
        && let Some(policy) = service.get_mut("pull_policy")
    {
        policy.kind = Kind::Text("missing".into());
    }
    if let Some(build) = service.get_mut("build").and_then(Node::as_map_mut) {
        if build.get("context").is_none_or(Node::is_null) {
            build.set("context", text("."));
        }
        let given = |key: &str| build.get(key).is_some_and(|node| !node.is_null());
        if !given("dockerfile") && !given("dockerfile_inline") {
            build.set("dockerfile", text("Dockerfile"));
        }
        if let Some(args) = build.get_mut("args") {
            resolve(args, environment, false);
        }
    }
    if let Some(variables) = service.get_mut("environment") {
        resolve(variables, environment, true);
    }
    if let Some(Kind::List(volumes)) = service.get_mut("volumes").map(|node| &mut node.kind) {
        for volume in volumes {
            if let Some(Kind::Text(target)) = volume.get_mut("target").map(|node| &mut node.kind) {
                *target = clean(target);
            }
        }
    }
    image_of_hooks(service);
    dependencies(service, at);
}

/// A hook before the start runs in the service's image unless it has one.
fn image_of_hooks(service: &mut Map) {
    let Some(image) = service.get("image").cloned() else { return };
    let Some(Kind::List(hooks)) = service.get_mut("pre_start").map(|node| &mut node.kind) else {
        return;
    };
    for hook in hooks.iter_mut().filter_map(Node::as_map_mut) {
        if !hook.contains("image") {
            hook.set("image", image.clone());
        }
    }
}

/// Variables without a value take the one of the environment, or are dropped unless `keep`.
fn resolve(node: &mut Node, environment: &BTreeMap<String, String>, keep: bool) {
    match &mut node.kind {
        Kind::Map(map) => map.retain(|key, entry| {
            if !entry.node.is_null() {
                return true;
            }
            match environment.get(key) {
                Some(value) => entry.node.kind = Kind::Text(value.clone()),
                None => return keep,
            }
            true
        }),
        Kind::List(list) => list.retain_mut(|item| {
            let Kind::Text(line) = &mut item.kind else { return true };
            if line.contains('=') {
                return true;
            }
            match environment.get(line.as_str()) {
                Some(value) => *line = format!("{line}={value}"),
                None => return keep,
            }
            true
        }),
        _ => {}
    }
}

fn dependencies(service: &mut Map, at: &Node) {
    // what a service needs, and whether it restarts with it
    let mut needs: Vec<(Node, bool)> = Vec::new();
    let texts = |key: &str| service.get(key).and_then(Node::as_list).unwrap_or_default();
    for link in texts("links") {
        let Some(text) = link.as_str() else { continue };
        let parts: Vec<&str> = text.split(':').collect();
        let name = if parts.len() == 2 { parts[0] } else { text };
        needs.push((Node::text(link.place.clone(), name), true));
    }
    for key in ["network_mode", "ipc", "pid", "uts", "cgroup"] {
        let Some(node) = service.get(key) else { continue };
        if let Some(name) = node.as_str().and_then(|text| text.strip_prefix("service:")) {
            needs.push((Node::text(node.place.clone(), name), true));
        }
    }
    for volume in texts("volumes_from") {
        let Some(text) = volume.as_str().filter(|text| !text.starts_with("container:")) else {
            continue;
        };
        let name = text.split(':').next().unwrap_or(text);
        needs.push((Node::text(volume.place.clone(), name), false));
    }
    if needs.is_empty() {
        return;
    }
    if !service.contains("depends_on") {
        service.set("depends_on", Node::new(at.place.clone(), Kind::Map(Map::new())));
    }
    let Some(known) = service.get_mut("depends_on").and_then(Node::as_map_mut) else { return };
    for (name, restart) in needs {
        let Some(key) = name.as_str().filter(|key| !known.contains(key)) else { continue };
        let mut need = super::merge::started(&name);
        if let Some(map) = need.as_map_mut() {
            map.set("restart", Node::new(name.place.clone(), Kind::Bool(restart)));
        }
        known.set(key, need);
    }
}

/// Networks, volumes, configs and secrets are named after the project and their key.
fn resource_names(file: &mut Map, project: &str) {
    for kind in ["networks", "volumes", "configs", "secrets"] {
        let Some(resources) = file.get_mut(kind).and_then(Node::as_map_mut) else { continue };
        for (key, entry) in resources.iter_mut() {
            if entry.node.is_null() {
                entry.node.kind = Kind::Map(Map::new());
            }
            let place = entry.key.clone();
            let Some(resource) = entry.node.as_map_mut() else { continue };
            if resource.get("name").is_none_or(Node::is_null) {
                let external = resource.get("external").and_then(Node::scalar);
                let name = match external.as_deref() {
                    Some("true" | "True" | "TRUE" | "t" | "T" | "1") => key.to_owned(),
                    _ => format!("{project}_{key}"),
                };
                resource.set("name", Node::text(place, name));
            }
        }
    }
}
