//! Short forms become long ones.

use super::error::Error;
use super::limits::Budget;
use super::merge::{nothing, started};
use super::short;
use super::trail::Trail;
use super::warning::{Warning, Warnings};
use crate::node::{Kind, Map, Node, Place};

#[derive(Clone, Copy)]
enum Form {
    DependsOn,
    EnvFile,
    StringOrList,
    Extends,
    Gpus,
    Names,
    Volume,
    Device,
    File,
    Ports,
    Build,
    Ssh,
    External,
    Include,
    KeyValue,
    Word,
}

const FORMS: &[(&str, Form)] = &[
    ("services.*.build.secrets.*", Form::File),
    ("services.*.build.provenance", Form::Word),
    ("services.*.build.sbom", Form::Word),
    ("services.*.build.additional_contexts", Form::KeyValue),
    ("services.*.depends_on", Form::DependsOn),
    ("services.*.env_file", Form::EnvFile),
    ("services.*.label_file", Form::StringOrList),
    ("services.*.extends", Form::Extends),
    ("services.*.gpus", Form::Gpus),
    ("services.*.networks", Form::Names),
    ("services.*.models", Form::Names),
    ("services.*.volumes.*", Form::Volume),
    ("services.*.dns", Form::StringOrList),
    ("services.*.devices.*", Form::Device),
    ("services.*.secrets.*", Form::File),
    ("services.*.configs.*", Form::File),
    ("services.*.ports", Form::Ports),
    ("services.*.build", Form::Build),
    ("services.*.build.ssh", Form::Ssh),
    ("services.*.develop.watch.*.ignore", Form::StringOrList),
    ("services.*.develop.watch.*.include", Form::StringOrList),
    ("volumes.*", Form::External),
    ("networks.*", Form::External),
    ("secrets.*", Form::External),
    ("configs.*", Form::External),
    ("include.*", Form::Include),
];

/// Makes short forms long, in place.
pub(crate) struct Canonical<'a> {
    /// Variables are still in the text: what cannot be read is left.
    pub lenient: bool,
    pub warnings: &'a mut Warnings,
    pub budget: &'a mut Budget,
}

impl Canonical<'_> {
    pub fn apply(&mut self, node: &mut Node, trail: &mut Trail) -> Result<(), Error> {
        let Some(form) = trail.find(FORMS) else { return self.inside(node, trail) };
        let place = node.place.clone();
        let error = |problem: String| Error::Short {
            place: place.clone(),
            path: trail.to_string(),
            problem,
        };
        let kind = std::mem::replace(&mut node.kind, Kind::Null);
        node.kind = match (form, kind) {
            (Form::DependsOn, Kind::List(list)) => names(list, started),
            (Form::DependsOn, Kind::Map(mut map)) => {
                for (_, entry) in map.iter_mut() {
                    default_dependency(&mut entry.node);
                }
                Kind::Map(map)
            }
            (Form::Names, Kind::List(list)) => names(list, nothing),
            (Form::EnvFile, Kind::Text(text)) => {
                Kind::List(vec![env_file(Node::text(place, text))])
            }
            (Form::EnvFile, Kind::List(list)) => {
                Kind::List(list.into_iter().map(env_file).collect())
            }
            (Form::StringOrList, Kind::Text(text)) => Kind::List(vec![Node::text(place, text)]),
            (Form::Extends, Kind::Text(text)) => one("service", Node::text(place, text)),
            (Form::Include, Kind::Text(text)) => one("path", Node::text(place, text)),
            (Form::File, Kind::Text(text)) => one("source", Node::text(place, text)),
            (Form::Gpus, Kind::Text(_)) => {
                let all = one("count", Node::text(place.clone(), "all"));
                Kind::List(vec![Node::new(place, all)])
            }
            (Form::Volume, Kind::Text(text)) => match short::volume(&text) {
                Ok(parts) => Kind::Map(volume(parts, &place)),
                Err(_) if self.lenient => Kind::Text(text),
                Err(problem) => return Err(error(problem)),
            },
            (Form::Device, Kind::Text(text)) => match device(&text, &place) {
                Some(map) => Kind::Map(map),
                None if self.lenient => Kind::Text(text),
                None => return Err(error(format!("'{text}' has too many colons"))),
            },
            (Form::Ports, Kind::List(list)) => Kind::List(self.ports(list, trail)?),
            (Form::Build, Kind::Text(text)) => one("context", Node::text(place, text)),
            (Form::Ssh, Kind::List(list)) => Kind::Map(ssh(list).map_err(error)?),
            (Form::KeyValue, Kind::List(list)) => {
                let mut map = Map::new();
                for item in &list {
                    match item.as_str().and_then(|text| text.split_once('=')) {
                        Some((key, value)) => {
                            map.set(key, Node::text(item.place.clone(), value));
                        }
                        None if self.lenient => {
                            node.kind = Kind::List(list);
                            return Ok(());
                        }
                        None => return Err(error("must be NAME=value".into())),
                    }
                }
                Kind::Map(map)
            }
            (Form::Word, kind) => {
                let node = Node::new(place, kind);
                Kind::Text(node.scalar().unwrap_or_default())
            }
            (Form::External, Kind::Map(map)) => {
                node.kind = Kind::Map(map);
                self.inside(node, trail)?;
                return self.external(node, trail);
            }
            (Form::Build | Form::Gpus | Form::Extends, kind) => {
                node.kind = kind;
                return self.inside(node, trail);
            }
            (_, kind) => kind,
        };
        Ok(())
    }

    fn inside(&mut self, node: &mut Node, trail: &mut Trail) -> Result<(), Error> {
        match &mut node.kind {
            Kind::Map(map) => {
                for (key, entry) in map.iter_mut() {
                    trail.within(key, |trail| self.apply(&mut entry.node, trail))?;
                }
            }
            Kind::List(list) => {
                for (index, item) in list.iter_mut().enumerate() {
                    trail.within(&index.to_string(), |trail| self.apply(item, trail))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn ports(&mut self, list: Vec<Node>, trail: &Trail) -> Result<Vec<Node>, Error> {
        if self.lenient
            && list.iter().any(|item| matches!(item.as_str().map(short::ports), Some(Err(_))))
        {
            return Ok(list);
        }
        let mut ports = Vec::new();
        for item in list {
            if item.as_map().is_some() {
                ports.push(item);
                continue;
            }
            let text = item.scalar().unwrap_or_default();
            let parts = short::ports(&text).map_err(|problem| Error::Short {
                place: item.place.clone(),
                path: trail.to_string(),
                problem,
            })?;
            // a range is short, and what it stands for is long
            self.budget.take(3 * (parts.len() - 1), 0, &item.place)?;
            ports.extend(parts.into_iter().map(|parts| port(parts, &item.place)));
        }
        Ok(ports)
    }

    /// `external: {name: …}` becomes `external: true` and `name`.
    fn external(&mut self, node: &mut Node, trail: &Trail) -> Result<(), Error> {
        let Some(map) = node.as_map_mut() else { return Ok(()) };
        let Some(Kind::Map(old)) = map.get("external").map(|node| node.kind.clone()) else {
            return Ok(());
        };
        if let Some(external) = map.get_mut("external") {
            external.kind = Kind::Bool(true);
        }
        let Some(name) = old.get("name") else { return Ok(()) };
        self.warnings.add(Warning::ExternalName { place: name.place.clone() });
        match map.get("name") {
            None => map.set("name", name.clone()),
            Some(known) if known.same(name) => {}
            Some(known) => {
                let path = format!("{trail}.name");
                let (place, first) = (name.place.clone(), known.place.clone());
                return Err(Error::Conflict { place, path, first });
            }
        }
        Ok(())
    }
}

fn one(key: &str, node: Node) -> Kind {
    let mut map = Map::new();
    map.set(key, node);
    Kind::Map(map)
}

fn names(list: Vec<Node>, value: fn(&Node) -> Node) -> Kind {
    let mut map = Map::new();
    for item in list {
        if let Some(name) = item.as_str() {
            map.set(name, value(&item));
        }
    }
    Kind::Map(map)
}

fn default_dependency(node: &mut Node) {
    let defaults = started(node);
    let (Some(map), Kind::Map(defaults)) = (node.as_map_mut(), defaults.kind) else { return };
    for (key, entry) in defaults {
        if !map.contains(&key) {
            map.insert(key, entry.key, entry.node);
        }
    }
}

fn env_file(node: Node) -> Node {
    let place = node.place.clone();
    let mut map = match node.kind {
        Kind::Map(map) => map,
        kind => {
            let mut map = Map::new();
            map.set("path", Node::new(place.clone(), kind));
            map
        }
    };
    if !map.contains("required") {
        map.set("required", Node::new(place.clone(), Kind::Bool(true)));
    }
    Node::new(place, Kind::Map(map))
}

fn ssh(list: Vec<Node>) -> Result<Map, String> {
    let mut map = Map::new();
    for item in list {
        let text = item.scalar().unwrap_or_default();
        match text.split_once('=') {
            Some((id, path)) => map.set(id, Node::text(item.place.clone(), path)),
            None if text == "default" => {
                map.set("default", Node::new(item.place.clone(), Kind::Null));
            }
            None => return Err(format!("'{text}' must be ID=path")),
        }
    }
    Ok(map)
}

fn volume(parts: short::Volume, place: &Place) -> Map {
    let text = |text: &str| Node::text(place.clone(), text);
    let yes = || Node::new(place.clone(), Kind::Bool(true));
    let mut map = Map::new();
    map.set("type", text(if parts.is_bind { "bind" } else { "volume" }));
    if !parts.source.is_empty() {
        map.set("source", text(&parts.source));
    }
    map.set("target", text(&super::paths::clean(&parts.target)));
    if parts.read_only {
        map.set("read_only", yes());
    }
    let mut bind = Map::new();
    for (key, value) in [("selinux", &parts.selinux), ("propagation", &parts.propagation)] {
        if !value.is_empty() {
            bind.set(key, text(value));
        }
    }
    if parts.is_bind {
        bind.set("create_host_path", yes());
    }
    if !bind.is_empty() {
        map.set("bind", Node::new(place.clone(), Kind::Map(bind)));
    }
    let mut volume = Map::new();
    if parts.nocopy {
        volume.set("nocopy", yes());
    }
    if parts.nocopy || !(parts.is_bind || parts.bare) {
        map.set("volume", Node::new(place.clone(), Kind::Map(volume)));
    }
    map
}

fn port(parts: short::Port, place: &Place) -> Node {
    let text = |text: &str| Node::text(place.clone(), text);
    let mut map = Map::new();
    map.set("mode", text("ingress"));
    if !parts.host_ip.is_empty() {
        map.set("host_ip", text(&parts.host_ip));
    }
    map.set("target", Node::new(place.clone(), Kind::Int(parts.target.into())));
    if !parts.published.is_empty() {
        map.set("published", text(&parts.published));
    }
    map.set("protocol", text(&parts.protocol));
    Node::new(place.clone(), Kind::Map(map))
}

fn device(text: &str, place: &Place) -> Option<Map> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, permissions) = match parts.as_slice() {
        [source] => (*source, "", "rwm"),
        [source, target] => (*source, *target, "rwm"),
        [source, target, permissions] => (*source, *target, *permissions),
        _ => return None,
    };
    let target = if target.is_empty() { source } else { target };
    let mut map = Map::new();
    for (key, value) in [("source", source), ("target", target), ("permissions", permissions)] {
        map.set(key, Node::text(place.clone(), value));
    }
    Some(map)
}
