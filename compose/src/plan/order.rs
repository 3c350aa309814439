//! The order of services: those that others need come first.

use super::{Error, Service, Wanted};

/// The services with those that they need before them; otherwise in their own order. What is needed and is not among them is
/// passed over.
pub fn in_order(wanted: &Wanted) -> Result<Vec<&Service>, Error> {
    let mut walk = Walk { wanted, done: Vec::new(), path: Vec::new() };
    for service in &wanted.services {
        walk.visit(service)?;
    }
    Ok(walk.done)
}

struct Walk<'a> {
    wanted: &'a Wanted,
    done: Vec<&'a Service>,
    path: Vec<&'a str>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, service: &'a Service) -> Result<(), Error> {
        if self.done.iter().any(|done| done.name == service.name) {
            return Ok(());
        }
        if let Some(at) = self.path.iter().position(|name| *name == service.name) {
            let circle = self.path[at..].iter().copied().chain([service.name.as_str()]);
            return Err(Error::Cycle { services: circle.map(str::to_owned).collect() });
        }
        self.path.push(&service.name);
        for needed in service.needs() {
            if let Some(needed) = self.wanted.service(needed) {
                self.visit(needed)?;
            }
        }
        self.path.pop();
        self.done.push(service);
        Ok(())
    }
}
