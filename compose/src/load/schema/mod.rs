//! What may stand where: the keys of the Compose specification and the kinds of their values.
//!
//! This follows the specification's JSON schema, with what Compose 5 has added. Unlike a schema's validator it
//! knows the one thing that is wrong: the key, its place, and what was probably meant.

mod deploy;
mod own;
mod service;
mod shapes;
mod top;

use std::collections::HashMap;

use super::error::Error;
use super::trail::Trail;
use crate::model::plain;
use crate::node::{Kind, Map, Node};
use shapes::{Object, Others, Shape};

/// Checks a whole file, in short or long forms.
pub(crate) fn check(root: &Node) -> Result<(), Error> {
    shape(root, &top::FILE, &mut Trail::default())
}

fn shape(node: &Node, wanted: &'static Shape, trail: &mut Trail) -> Result<(), Error> {
    let wrong = || Error::Kind {
        place: node.place.clone(),
        path: show(trail),
        expected: wanted.words(),
        found: node.kind_name(),
    };
    match wanted {
        Shape::Kinds(kinds) if kinds.have(node) => Ok(()),
        Shape::Kinds(_) => Err(wrong()),
        Shape::Range(kinds, low, high) => {
            let value = match node.kind {
                Kind::Int(value) => value,
                _ if kinds.have(node) => return Ok(()),
                _ => return Err(wrong()),
            };
            let below_high = high.is_none_or(|high| value <= i128::from(high));
            if value >= i128::from(*low) && below_high {
                return Ok(());
            }
            let high = high.map_or_else(|| "the largest number".into(), |high| high.to_string());
            let (place, path) = (node.place.clone(), show(trail));
            Err(Error::Range { place, path, low: i128::from(*low), high })
        }
        Shape::Words(words) => {
            let text = node.as_str().ok_or_else(wrong)?;
            if words.contains(&text) {
                return Ok(());
            }
            Err(Error::Choice {
                place: node.place.clone(),
                path: show(trail),
                allowed: words.join(", "),
                nearest: super::nearest(text, words.iter().copied()),
            })
        }
        Shape::Form(good, expected) => {
            let text = node.as_str().ok_or_else(wrong)?;
            if good(text) {
                return Ok(());
            }
            let (place, path) = (node.place.clone(), show(trail));
            Err(Error::Form { place, path, text: text.to_owned(), expected })
        }
        Shape::List(item, unique) => {
            let list = node.as_list().ok_or_else(wrong)?;
            for (index, entry) in list.iter().enumerate() {
                trail.within(&index.to_string(), |trail| shape(entry, item, trail))?;
            }
            if *unique { no_repeats(list, trail) } else { Ok(()) }
        }
        Shape::Map(object) => map(node.as_map().ok_or_else(wrong)?, node, object, trail),
        Shape::Either(shapes) => {
            let fitting = shapes.iter().find(|shape| shape.fits(node)).ok_or_else(wrong)?;
            shape(node, fitting, trail)
        }
    }
}

fn no_repeats(list: &[Node], trail: &Trail) -> Result<(), Error> {
    let mut seen = HashMap::new();
    for item in list {
        if let Some(first) = seen.insert(plain(item).to_string(), &item.place) {
            let (place, path) = (item.place.clone(), show(trail));
            return Err(Error::Repeated { place, path, first: first.clone() });
        }
    }
    Ok(())
}

fn map(map: &Map, node: &Node, object: &'static Object, trail: &mut Trail) -> Result<(), Error> {
    for (key, entry) in map.iter() {
        let known = object.keys.iter().find(|(name, _)| *name == key).map(|(_, shape)| shape);
        let wanted = match (known, &object.others) {
            (Some(shape), _) => shape,
            (None, _) if object.extensible && key.starts_with("x-") => continue,
            (None, Others::Free) => continue,
            (None, Others::Named(good, shape)) if good(key) => shape,
            (None, Others::Loose(good, _)) if !good(key) => continue,
            (None, Others::Loose(_, shape)) => shape,
            (None, Others::Named(..)) => {
                let (place, path) = (entry.key.clone(), show(trail));
                return Err(Error::KeyName { place, path, key: key.to_owned() });
            }
            (None, Others::Refused) => {
                let names = || object.keys.iter().map(|(name, _)| *name);
                return Err(Error::UnknownKey {
                    place: entry.key.clone(),
                    path: show(trail),
                    key: key.to_owned(),
                    nearest: super::nearest(key, names()),
                    known: (!object.extensible).then(|| names().collect()),
                });
            }
        };
        trail.within(key, |trail| shape(&entry.node, wanted, trail))?;
    }
    match object.required.iter().find(|key| !map.contains(key)) {
        None => Ok(()),
        Some(key) => {
            let path = trail.within(key, |trail| show(trail));
            Err(Error::MissingKey { place: node.place.clone(), path })
        }
    }
}

fn show(trail: &Trail) -> String {
    match trail.parts() {
        [] => "the file".into(),
        _ => trail.to_string(),
    }
}
