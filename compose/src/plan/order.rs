//! The order of services: those that others need come first.

use super::{Error, Service, Wanted};
use crate::graph;
use std::collections::BTreeMap;

/// The services with those that they need before them; otherwise in their own order. What is needed and is not among them is
/// passed over.
pub fn in_order(wanted: &Wanted) -> Result<Vec<&Service>, Error> {
    let all: BTreeMap<&str, &Service> =
        wanted.services.iter().map(|service| (service.name.as_str(), service)).collect();
    let names = wanted.services.iter().map(|service| service.name.as_str());
    let needs = |name| {
        let needs = all.get(name).into_iter().flat_map(|service: &&Service| service.needs());
        needs.filter(|needed| all.contains_key(needed)).collect()
    };
    let ordered = graph::in_order(names, needs);
    match ordered.circle {
        Some(circle) => {
            Err(Error::Cycle { services: circle.into_iter().map(str::to_owned).collect() })
        }
        None => Ok(ordered.names.iter().filter_map(|name| all.get(name).copied()).collect()),
    }
}
