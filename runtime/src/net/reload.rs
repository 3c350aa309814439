//! The packet filter's table from the records: made on first use, and again after somebody has flushed it.

use super::attach::published;
use super::error::Result;
use super::firewall::Firewall;
use super::step::{Step, failed};
use super::{bridge, endpoint, lease, store};
use knarr_core::root::Root;
use knarr_core::spec::network::Driver;

/// Makes the table if it is not there.
pub(super) fn ensure(root: &Root) -> Result<()> {
    let rules = |source| failed(Step::Rules, "", source);
    let mut firewall = Firewall::open(bridge::mark(root)).map_err(rules)?;
    if firewall.exists().map_err(rules)? {
        return Ok(());
    }
    replace(root, &mut firewall)
}

/// Makes the table anew, with all networks and with the published ports of all running containers: after a reload of the
/// host's firewall, which removes it.
pub fn reload(root: &Root) -> Result<()> {
    let rules = |source| failed(Step::Rules, "", source);
    replace(root, &mut Firewall::open(bridge::mark(root)).map_err(rules)?)
}

/// The ports of the dead are left out.
pub(super) fn replace(root: &Root, firewall: &mut Firewall) -> Result<()> {
    let mut networks = Vec::new();
    let mut ports = Vec::new();
    for network in store::list(root)?.into_iter().filter(|n| n.driver == Driver::Bridge) {
        networks.push(bridge::filtered(root, &network));
        for endpoint in endpoint::endpoints(root, &network.name)? {
            if !endpoint.ports.is_empty() && lease::is_alive(root, &endpoint.container)? {
                ports.extend(published(&endpoint));
            }
        }
    }
    firewall.replace(&networks, &ports).map_err(|source| failed(Step::Rules, "", source))
}
