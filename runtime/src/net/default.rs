//! Which network a container joins that names none.

use super::error::{Error, Result};
use super::store::{self, NewNetwork};
use super::{bridge, rootless};
use knarr_core::id::ContainerId;
use knarr_core::root::Root;
use knarr_core::spec::network::{Driver, LOOPBACK_NETWORK, NetworkSpec};
use knarr_core::spec::{EngineKind, NetworkMode};
use knarr_core::sys;

/// A network that is there without a record, and that no container joins or leaves: what `--network host` and `none` mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrecorded {
    /// The same for each root.
    pub id: ContainerId,
    pub name: &'static str,
    /// As Docker calls it.
    pub driver: &'static str,
    pub mode: NetworkMode,
}

/// Both of them.
pub fn unrecorded() -> impl Iterator<Item = Unrecorded> {
    let all = [("host", "host", NetworkMode::Host), ("none", "null", NetworkMode::None)];
    all.into_iter().filter_map(|(name, driver, mode)| {
        let id = bridge::digits(&[b"network", name.as_bytes()]).parse().ok()?;
        Some(Unrecorded { id, name, driver, mode })
    })
}

/// Makes the network that containers of this user join by default, so that it is listed before the first one is made.
pub fn ensure_listed(root: &Root) -> Result<()> {
    if sys::is_superuser() || rootless::is_at_hand() {
        store::ensure_default(root)?;
    }
    Ok(())
}

/// Made on first use: a bridge for the superuser, and for an ordinary user whose networks can have a way out. Else the
/// loopback for Wasm; and for native containers, which nothing but a network of their own keeps from what is the host's, a
/// bridge all the same, although nothing leads out of it. Nobody gets the host's network without asking.
pub fn default_network(
    root: &Root,
    engine: EngineKind,
    backend: Option<Driver>,
) -> Result<NetworkSpec> {
    match (backend, engine) {
        (Some(Driver::Bridge), _) => store::ensure_default(root),
        (Some(Driver::Loopback), EngineKind::Native) => {
            Err(Error::OnlyWasm { network: LOOPBACK_NETWORK.to_owned() })
        }
        (None, EngineKind::Native) => store::ensure_default(root),
        (None, EngineKind::Wasm) if sys::is_superuser() || rootless::is_at_hand() => {
            store::ensure_default(root)
        }
        (_, EngineKind::Wasm) => loopback(root),
    }
}

fn loopback(root: &Root) -> Result<NetworkSpec> {
    if let Some(network) = store::load(root, LOOPBACK_NETWORK)? {
        return Ok(network);
    }
    let name = LOOPBACK_NETWORK.to_owned();
    let new = NewNetwork { name, driver: Some(Driver::Loopback), ..NewNetwork::default() };
    match store::create(root, new) {
        // somebody else was faster
        Err(Error::NameTaken { name }) => {
            store::load(root, &name)?.ok_or(Error::NotFound { text: name })
        }
        result => result,
    }
}
