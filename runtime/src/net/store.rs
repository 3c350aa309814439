//! The records of networks.

use super::error::{Error, Result};
use super::firewall::Firewall;
use super::netlink::{Socket, link};
pub(crate) use super::space::subnets;
use super::space::{self, Taken};
use super::step::{Step, failed};
use super::{bridge, endpoint, lease, namespace, reload, rootless, shared};
use crate::engine::UserNamespaces;
use ipnet::IpNet;
use jiff::Timestamp;
use knarr_core::events::{self, Event, Kind};
use knarr_core::fsx::{self, Durability};
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::record;
use knarr_core::root::Root;
use knarr_core::spec::network::{DEFAULT_NETWORK, Driver, NetworkSpec};
use knarr_core::sys;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// What `network create` was asked for; the default leaves everything to Knarr.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewNetwork {
    pub name: String,
    /// `None`: the bridge.
    pub driver: Option<Driver>,
    /// `--subnet`: at most one of each family.
    pub subnets: Vec<IpNet>,
    /// `--gateway`, for the subnets they lie in.
    pub gateways: Vec<IpAddr>,
    /// `--ip-range`, for the subnets they lie in.
    pub ranges: Vec<IpNet>,
    /// Addresses of IPv6 as well.
    pub ipv6: bool,
    pub internal: bool,
    pub labels: BTreeMap<String, String>,
    /// `-o`
    pub options: BTreeMap<String, String>,
}

/// Docker's rule for names, without those that `--network` understands in another way.
fn validate(name: &str) -> Result<()> {
    let first = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let rest = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let taken = ["host", "none", "default"].contains(&name);
    if first && rest && !taken && name.len() <= 255 {
        Ok(())
    } else {
        Err(Error::InvalidName { name: name.to_owned() })
    }
}

/// Makes a network.
pub fn create(root: &Root, new: NewNetwork) -> Result<NetworkSpec> {
    validate(&new.name)?;
    sys::create_private_dir_all(&root.networks())?;
    let _lock = Lock::exclusive_directory(&root.networks())?;
    make(root, new)
}

/// The default network, made on first use.
pub fn ensure_default(root: &Root) -> Result<NetworkSpec> {
    if let Some(network) = load(root, DEFAULT_NETWORK)? {
        return Ok(network);
    }
    let name = DEFAULT_NETWORK.to_owned();
    let new = NewNetwork { name, driver: Some(Driver::Bridge), ..NewNetwork::default() };
    match create(root, new) {
        // somebody else was faster
        Err(Error::NameTaken { .. }) => load(root, DEFAULT_NETWORK)?
            .ok_or_else(|| Error::NotFound { text: DEFAULT_NETWORK.to_owned() }),
        result => result,
    }
}

/// The caller holds the networks' lock.
fn make(root: &Root, new: NewNetwork) -> Result<NetworkSpec> {
    let paths = root.network(&new.name);
    if load(root, &new.name)?.is_some() {
        return Err(Error::NameTaken { name: new.name });
    }
    let driver = new.driver.unwrap_or_else(default_driver);
    check_options(&new)?;
    // until the subnet can be seen by those who choose theirs
    let _choosing = match driver {
        Driver::Bridge => Some(namespace::lock_subnets()?),
        Driver::Loopback => None,
    };
    let taken = Taken::look(root, driver)?;
    let network = NetworkSpec {
        id: ContainerId::random(),
        created: Timestamp::now(),
        driver,
        ipv4: Some(space::ipv4(&new, &taken)?),
        ipv6: space::ipv6(&new, &taken)?,
        internal: new.internal,
        labels: new.labels,
        options: new.options,
        name: new.name,
    };
    // an ordinary user's is made by the first container that enters
    let is_built_now = driver == Driver::Bridge && !rootless::is_outside();
    if is_built_now {
        claim_bridge(root, &network)?;
    }
    // what a removal that was cut short has left
    sys::remove_tree(paths.data())?;
    sys::create_private_dir_all(&paths.leases())?;
    sys::create_private_dir_all(&paths.endpoints())?;
    // now it exists; a bridge that its maker was killed before making is made when it is needed
    record::write(&paths.record(), &network, Durability::Process)?;
    // one that nobody made can be made again: the first container does not wait for the disk
    if network.name != DEFAULT_NETWORK {
        fsx::sync_up_to(&paths.record(), root.data())?;
    }
    if is_built_now && let Err(error) = build(root, &network) {
        let _ = tear_down(root, &network);
        fsx::remove_file(&paths.record())?;
        sys::remove_tree(paths.data())?;
        return Err(error);
    }
    events::tell(root, &[event(&network, "create")]);
    Ok(network)
}

/// What has happened to a network.
pub(crate) fn event(network: &NetworkSpec, action: &str) -> Event {
    Event::new(Kind::Network, action, network.id.as_str())
        .with("name", &network.name)
        .with("type", network.driver.name())
}

/// Sees that no link has the bridge's name. Before there is a record: after that a container may make the bridge first.
fn claim_bridge(root: &Root, network: &NetworkSpec) -> Result<()> {
    let failed = |e| failed(Step::Bridge, &network.name, e);
    let mut socket = Socket::route().map_err(failed)?;
    let name = bridge::name(root, network);
    match link::find(&mut socket, &name).map_err(failed)? {
        None => Ok(()),
        // of a root that was deleted by hand
        Some(link) if link.alias == Some(bridge::alias(root, network)) => {
            bridge::remove(&mut socket, root, network).map_err(failed)
        }
        Some(_) => Err(Error::Option { option: bridge::NAME.to_owned(), value: name }),
    }
}

/// Makes what a network has in the kernel.
fn build(root: &Root, network: &NetworkSpec) -> Result<()> {
    let bridge = |e| failed(Step::Bridge, &network.name, e);
    let mut socket = Socket::route().map_err(bridge)?;
    bridge::ensure(&mut socket, root, network).map_err(bridge)?;
    reload::ensure(root)?;
    let rules = |e| failed(Step::Rules, &network.name, e);
    let mut firewall = Firewall::open(bridge::mark(root)).map_err(rules)?;
    firewall.add(&[bridge::filtered(root, network)], &[]).map_err(rules)
}

/// Takes away what a network has in the kernel, and goes on after an error. The table goes with the last one.
fn tear_down(root: &Root, network: &NetworkSpec) -> Result<()> {
    if network.driver != Driver::Bridge || rootless::is_outside() {
        return Ok(());
    }
    let mut result = Ok(());
    let paths = root.network(&network.name);
    result = result.and(namespace::unmount(&paths.shared_namespace()).map_err(Error::from));
    let removed = Socket::route().and_then(|mut s| bridge::remove(&mut s, root, network));
    result = result.and(removed.map_err(|e| failed(Step::Bridge, &network.name, e)));
    let is_last = list(root)?.iter().all(|n| n.id == network.id || n.driver != Driver::Bridge);
    let cleared = Firewall::open(bridge::mark(root)).and_then(|mut firewall| {
        match is_last {
            true => firewall.destroy()?,
            false => firewall.remove(&[bridge::filtered(root, network)], &[])?,
        }
        // the next network may have the same addresses
        let gone: Vec<IpNet> = subnets(network).collect();
        firewall.end_flows(&|address| gone.iter().any(|subnet| subnet.contains(&address)));
        Ok(())
    });
    result.and(cleared.map_err(|e| failed(Step::Rules, &network.name, e)))
}

/// Options that would have no effect are refused.
fn check_options(new: &NewNetwork) -> Result<()> {
    let boolean = |value: &str| matches!(value, "true" | "false");
    for (option, value) in &new.options {
        let is_valid = match option.as_str() {
            bridge::NAME => {
                let is_plain =
                    value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
                is_plain && (1..16).contains(&value.len())
            }
            bridge::MTU => value.parse::<u32>().is_ok_and(|mtu| (68..=65535).contains(&mtu)),
            bridge::MASQUERADE => boolean(value),
            bridge::PUBLISH_ON => value.parse::<Ipv4Addr>().is_ok(),
            _ => false,
        };
        if !is_valid {
            return Err(Error::Option { option: option.clone(), value: value.clone() });
        }
    }
    Ok(())
}

/// All networks, by name.
pub fn list(root: &Root) -> Result<Vec<NetworkSpec>> {
    let mut networks = Vec::new();
    for name in fsx::list(&root.networks())? {
        // one without a record is being made, or was being removed
        networks.extend(load(root, &name)?);
    }
    Ok(networks)
}

/// The network of this name, if there is one.
pub fn load(root: &Root, name: &str) -> Result<Option<NetworkSpec>> {
    if validate(name).is_err() {
        return Ok(None);
    }
    Ok(record::read(&root.network(name).record())?)
}

/// The network that a user means: by its name, its id, or the beginning of its id. The default network, whose name is
/// `default` as well, is made on first use.
pub fn find(root: &Root, text: &str) -> Result<NetworkSpec> {
    if text == DEFAULT_NETWORK || text == "default" {
        return ensure_default(root);
    }
    if super::unrecorded().any(|network| network.name == text) {
        return Err(Error::Fixed { name: text.to_owned() });
    }
    if let Some(network) = load(root, text)? {
        return Ok(network);
    }
    let is_prefix = !text.is_empty() && text.len() <= 64;
    let mut networks = list(root)?;
    networks.retain(|network| is_prefix && network.id.as_str().starts_with(text));
    match networks.len() {
        1 => Ok(networks.remove(0)),
        0 => Err(Error::NotFound { text: text.to_owned() }),
        _ => Err(Error::Ambiguous {
            prefix: text.to_owned(),
            candidates: networks.iter().map(|n| n.id.short().to_owned()).collect(),
        }),
    }
}

/// Removes a network that no running container uses; the names of those that belonged to it, and cannot start without it.
pub fn remove(root: &Root, name: &str) -> Result<Vec<String>> {
    let _all = match Lock::exclusive_directory(&root.networks()) {
        Ok(lock) => lock,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NotFound { text: name.to_owned() });
        }
        Err(e) => return Err(e.into()),
    };
    let network = load(root, name)?.ok_or_else(|| Error::NotFound { text: name.to_owned() })?;
    let paths = root.network(name);
    let _lock = Lock::exclusive_directory(paths.data())?;
    let users = users(root, &network)?;
    if !users.is_empty() {
        return Err(Error::InUse { name: name.to_owned(), users });
    }
    let members = endpoint::endpoints(root, name)?;
    tear_down(root, &network)?;
    // from here on it does not exist; before, a removal that is cut short can be taken up again
    fsx::remove_file(&paths.record())?;
    sys::remove_tree(paths.run())?;
    sys::remove_tree(paths.data())?;
    events::tell(root, &[event(&network, "destroy")]);
    Ok(members.into_iter().map(|member| member.name).collect())
}

/// Whether [`remove`] would take it away, as it is now; the names of its members.
pub fn removable(root: &Root, name: &str) -> Result<Vec<String>> {
    let network = load(root, name)?.ok_or_else(|| Error::NotFound { text: name.to_owned() })?;
    let users = users(root, &network)?;
    if !users.is_empty() {
        return Err(Error::InUse { name: name.to_owned(), users });
    }
    let members = endpoint::endpoints(root, name)?;
    Ok(members.into_iter().map(|member| member.name).collect())
}

/// A bridge wherever one may be had: by the superuser on the host, by others in a user namespace.
fn default_driver() -> Driver {
    let bridge = sys::is_superuser() || UserNamespaces::detect() == UserNamespaces::Available;
    if bridge { Driver::Bridge } else { Driver::Loopback }
}

/// The names of the running containers on a network.
fn users(root: &Root, network: &NetworkSpec) -> Result<Vec<String>> {
    let mut users = Vec::new();
    for endpoint in endpoint::endpoints(root, &network.name)? {
        if endpoint.is_up() && lease::is_alive(root, &endpoint.container)? {
            users.push(endpoint.name);
        }
    }
    let residents = shared::residents(root, network)?;
    users.extend(residents.into_iter().filter(|name| !users.contains(name)).collect::<Vec<_>>());
    Ok(users)
}

/// The networks that [`prune`] would remove: those that somebody has made, and to which no container belongs.
pub fn unused(root: &Root) -> Result<Vec<NetworkSpec>> {
    let mut unused = Vec::new();
    for network in list(root)? {
        let empty = endpoint::endpoints(root, &network.name)?.is_empty();
        if empty && !network.is_builtin() {
            unused.push(network);
        }
    }
    Ok(unused)
}

/// Removes the networks to which no container belongs, and returns their names. `wanted` says which may go.
pub fn prune(root: &Root, wanted: &dyn Fn(&NetworkSpec) -> bool) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for network in unused(root)?.into_iter().filter(wanted) {
        match remove(root, &network.name) {
            Ok(_) => removed.push(network.name),
            // joined or removed meanwhile
            Err(Error::InUse { .. } | Error::NotFound { .. }) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(removed)
}
