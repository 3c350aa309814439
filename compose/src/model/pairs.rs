//! What files write as a mapping or as a list of `NAME=value`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::invalid::{Invalid, Problem};
use super::record::{Field, Form, wrong_kind};
use crate::node::{Kind, Node};

/// Names with values: labels, annotations, options. A name without a value has an empty one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(pub BTreeMap<String, String>);

/// Variables. One without a value is taken from Compose's own environment when containers are made, or not set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment(pub BTreeMap<String, Option<String>>);

/// Names of hosts with their addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(pub BTreeMap<String, Vec<String>>);

/// Options that may be given several times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MultiOptions(pub BTreeMap<String, Vec<String>>);

impl Pairs {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

fn text(node: &Node) -> Result<String, Invalid> {
    node.scalar().ok_or_else(|| wrong_kind(node, "a string"))
}

impl Field for Pairs {
    fn read(node: &Node) -> Result<Self, Invalid> {
        let mut pairs = BTreeMap::new();
        match &node.kind {
            Kind::Map(map) => {
                for (key, entry) in map.iter() {
                    pairs.insert(key.to_owned(), text(&entry.node).map_err(|e| e.inside(key))?);
                }
            }
            Kind::List(list) => {
                for item in list {
                    let item = text(item)?;
                    let (name, value) = item.split_once('=').unwrap_or((&item, ""));
                    pairs.insert(name.to_owned(), value.to_owned());
                }
            }
            _ => return Err(wrong_kind(node, "a mapping")),
        }
        Ok(Self(pairs))
    }

    fn write(&self, form: Form) -> Value {
        self.0.write(form)
    }

    fn is_left_out(&self, _: Form) -> bool {
        self.0.is_empty()
    }
}

impl Field for Environment {
    fn read(node: &Node) -> Result<Self, Invalid> {
        let mut variables = BTreeMap::new();
        match &node.kind {
            Kind::Map(map) => {
                for (key, entry) in map.iter() {
                    let value = match entry.node.is_null() {
                        true => None,
                        false => Some(text(&entry.node).map_err(|e| e.inside(key))?),
                    };
                    variables.insert(key.to_owned(), value);
                }
            }
            Kind::List(list) => {
                for node in list {
                    let item = text(node)?;
                    let (name, value) = match item.split_once('=') {
                        Some((name, value)) => (name, Some(value.to_owned())),
                        None => (item.as_str(), None),
                    };
                    if name.ends_with(char::is_whitespace) {
                        let name = name.trim_end().to_owned();
                        return Err(Invalid::new(node, Problem::Variable { name }));
                    }
                    variables.insert(name.to_owned(), value);
                }
            }
            _ => return Err(wrong_kind(node, "a mapping")),
        }
        Ok(Self(variables))
    }

    fn write(&self, form: Form) -> Value {
        self.0.write(form)
    }

    fn is_left_out(&self, _: Form) -> bool {
        self.0.is_empty()
    }
}

impl Field for Hosts {
    fn read(node: &Node) -> Result<Self, Invalid> {
        let mut hosts: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut add = |node: &Node, host: &str, addresses: Vec<String>| {
            if host.is_empty() || host.contains([':', '=']) {
                return Err(Invalid::new(node, Problem::Host { text: host.to_owned() }));
            }
            let bare = |address: String| match address
                .strip_prefix('[')
                .and_then(|rest| rest.strip_suffix(']'))
            {
                Some(inner) if !inner.is_empty() => inner.to_owned(),
                _ => address,
            };
            hosts.entry(host.to_owned()).or_default().extend(addresses.into_iter().map(bare));
            Ok(())
        };
        match &node.kind {
            Kind::Map(map) => {
                for (host, entry) in map.iter() {
                    let addresses = match &entry.node.kind {
                        Kind::List(list) => list.iter().map(text).collect::<Result<_, _>>()?,
                        _ => vec![text(&entry.node)?],
                    };
                    add(&entry.node, host, addresses)?;
                }
            }
            Kind::List(list) => {
                for item in list {
                    let line = text(item)?;
                    let parts = line.split_once('=').or_else(|| line.split_once(':'));
                    let Some((host, addresses)) = parts else {
                        return Err(Invalid::new(item, Problem::Host { text: line }));
                    };
                    add(item, host, addresses.split(',').map(str::to_owned).collect())?;
                }
            }
            _ => return Err(wrong_kind(node, "a mapping")),
        }
        Ok(Self(hosts))
    }

    fn write(&self, _: Form) -> Value {
        let mut lines: Vec<String> = self
            .0
            .iter()
            .flat_map(|(host, addresses)| addresses.iter().map(move |a| format!("{host}={a}")))
            .collect();
        lines.sort();
        lines.into()
    }

    fn is_left_out(&self, _: Form) -> bool {
        self.0.is_empty()
    }
}

impl Field for MultiOptions {
    fn read(node: &Node) -> Result<Self, Invalid> {
        let Some(map) = node.as_map() else { return Err(wrong_kind(node, "a mapping")) };
        map.iter()
            .map(|(key, entry)| {
                let values = match &entry.node.kind {
                    Kind::List(list) => list.iter().map(text).collect::<Result<_, _>>()?,
                    _ => vec![text(&entry.node)?],
                };
                Ok((key.to_owned(), values))
            })
            .collect::<Result<_, Invalid>>()
            .map(Self)
    }

    fn write(&self, form: Form) -> Value {
        self.0.write(form)
    }

    fn is_left_out(&self, _: Form) -> bool {
        self.0.is_empty()
    }
}
