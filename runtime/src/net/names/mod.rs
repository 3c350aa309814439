//! Names of containers: who is found under which name on which network, and the name server that answers for it.

pub(crate) mod allowed;
pub(crate) mod channel;
pub(crate) mod message;
mod resolver;
pub(crate) mod servers;
mod table;

pub use allowed::Allowed;
pub use resolver::{ADDRESS, Learnt, Resolver, Sockets, Source};
pub use servers::Upstream;
pub use table::Table;

use super::Attached;
use super::loopback::Mappings;
use super::rootless::Outside;
use knarr_core::root::Root;
use knarr_core::spec::network::NetworkSpec;
use knarr_core::spec::{ContainerSpec, EngineKind, NetworkMode};
use std::io;
use std::sync::Arc;

/// The name server of a container that was given its place on its networks; `None` for one that has no networks, or
/// another container's. For the container's monitor, which is to poll it.
pub fn serve(
    root: &Root,
    spec: &ContainerSpec,
    attached: &mut Attached,
) -> io::Result<Option<Resolver>> {
    let is_wasm = spec.engine == EngineKind::Wasm;
    if matches!(spec.network, NetworkMode::Host | NetworkMode::None)
        || !is_wasm && attached.sockets.is_none()
    {
        return Ok(None);
    }
    let networks: Vec<_> = attached.endpoints.iter().map(|(network, _)| network.clone()).collect();
    let table = Table::open(root, &networks).linking(&spec.links);
    let mut resolver = Resolver::new(table, upstream(root, spec, &networks))
        .mapping(Mappings::of(root, &spec.id, &networks));
    if let Some(sockets) = attached.sockets.take() {
        resolver = resolver.on(sockets);
    }
    if let Some(list) = &spec.outbound {
        let learnt = attached.learnt.take().unwrap_or_else(|| Box::new(|_, _| {}));
        resolver = resolver.only(Arc::new(Allowed::new(list)), learnt);
    }
    if is_wasm {
        attached.channel = Some(resolver.channel()?);
    }
    Ok(Some(resolver))
}

/// Without a way out there is nobody to ask, and names must not lead out what packets cannot.
fn upstream(root: &Root, spec: &ContainerSpec, networks: &[NetworkSpec]) -> Upstream {
    match networks.iter().all(|network| network.internal) {
        true => Upstream::none(),
        false => Upstream::of(&spec.dns).from(Outside::of(root, networks)),
    }
}
