//! Who has which address.
//!
//! A lease is a file named after the address, created `O_EXCL` under the network's lock. Its owner is the container whose
//! id it holds, and it is worth something as long as that container has a monitor: whoever needs the address of a dead
//! one takes it.

use super::address::Block;
use super::endpoint::Endpoint;
use super::error::{Error, Result};
use ipnet::IpNet;
use knarr_core::fsx;
use knarr_core::id::ContainerId;
use knarr_core::lock::Lock;
use knarr_core::root::{NetworkPaths, Root};
use knarr_core::spec::network::NetworkSpec;
use std::io;
use std::net::IpAddr;

/// Whether a container may ask for this address.
pub fn check(network: &str, address: IpAddr, subnet: IpNet, gateway: IpAddr) -> Result<()> {
    if !subnet.contains(&address) {
        return Err(Error::OutsideSubnet { what: "the address", address: address.to_string() });
    }
    if address == gateway || !Block::of(subnet).has(address) {
        return Err(Error::AddressReserved { network: network.to_owned(), address });
    }
    Ok(())
}

/// Takes the address that is wished for, or a free one of a range (of a subnet, with the gateway's left out). The caller
/// holds the network's lock.
pub fn obtain(
    root: &Root,
    network: &str,
    space: (IpNet, IpNet, IpAddr),
    wish: Option<IpAddr>,
    id: &ContainerId,
) -> Result<IpAddr> {
    match wish {
        Some(address) => take(root, network, address, id).map(|()| address),
        None => take_free(root, network, space, id),
    }
}

/// Takes one address, which [`check`] has let pass. The caller holds the network's lock.
fn take(root: &Root, network: &str, address: IpAddr, id: &ContainerId) -> Result<()> {
    match claim(root, &root.network(network), address, id)? {
        None => Ok(()),
        Some(owner) => {
            let owner = owner.map_or_else(
                || "another container".to_owned(),
                |owner| format!("container {}", owner.short()),
            );
            Err(Error::AddressTaken { network: network.to_owned(), address, owner })
        }
    }
}

/// Takes the next free address of a range. The caller holds the network's lock.
///
/// The search goes on after the address that was given out last: one that has just become free rests, since others may
/// remember whose it was.
fn take_free(
    root: &Root,
    network: &str,
    (range, subnet, gateway): (IpNet, IpNet, IpAddr),
    id: &ContainerId,
) -> Result<IpAddr> {
    let paths = root.network(network);
    let block = Block::of(range).within(Block::of(subnet));
    let last = fsx::read_optional(&cursor(&paths, range))?
        .and_then(|text| String::from_utf8(text).ok()?.trim().parse::<IpAddr>().ok());
    for address in block.after(last) {
        if address != gateway && claim(root, &paths, address, id)?.is_none() {
            // losing it only means that the search begins at the front
            fsx::write(&cursor(&paths, range), address.to_string())?;
            return Ok(address);
        }
    }
    Err(Error::NoFreeAddress { network: network.to_owned(), subnet: range.to_string() })
}

/// Whether an address that is given back may be somebody else's before the kernel has forgotten who talked to its owner
/// (120 s): one that was wished for, or one of few. To see to that costs more than a start, so others have to rest.
pub fn returns_soon(network: &NetworkSpec, endpoint: &Endpoint) -> bool {
    /// Bits of the addresses of a range that is gone through in less time than that.
    const FEW: u8 = 6;
    let is_small = |range: IpNet| range.max_prefix_len() - range.prefix_len() <= FEW;
    let four = network.ipv4.as_ref().map(|s| IpNet::V4(s.range.unwrap_or(s.subnet)));
    let six = network.ipv6.as_ref().map(|s| IpNet::V6(s.range.unwrap_or(s.subnet)));
    endpoint.is_wished() || four.into_iter().chain(six).any(is_small)
}

fn cursor(paths: &NetworkPaths, range: IpNet) -> std::path::PathBuf {
    let family = if range.addr().is_ipv4() { "4" } else { "6" };
    paths.cursor().with_extension(family)
}

/// `None`: it is ours. Else whose it is, where that can be told.
fn claim(
    root: &Root,
    paths: &NetworkPaths,
    address: IpAddr,
    id: &ContainerId,
) -> Result<Option<Option<ContainerId>>> {
    let path = paths.leases().join(address.to_string());
    loop {
        match fsx::create_new(&path, id.as_str().as_bytes()) {
            Ok(()) => return Ok(None),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e.into()),
        }
        // a lease is written under the lock that we hold: one that is incomplete was left by somebody who died
        match owner(&path)? {
            Some(owner) if owner == *id => return Ok(None),
            Some(owner) if is_alive(root, &owner)? => return Ok(Some(Some(owner))),
            Some(_) | None => fsx::remove_file(&path)?,
        }
    }
}

fn owner(path: &std::path::Path) -> Result<Option<ContainerId>> {
    let text = fsx::read_optional(path)?;
    Ok(text.and_then(|text| String::from_utf8(text).ok()?.parse().ok()))
}

/// Whether somebody owns the container: a monitor, or whoever runs the step of a build. Must not wait: see the module
/// `net`.
pub fn is_alive(root: &Root, id: &ContainerId) -> Result<bool> {
    for root in [root, &root.of_steps()] {
        match Lock::try_exclusive_directory(root.container(id).run()) {
            Ok(None) => return Ok(true),
            Ok(Some(_)) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(false)
}

/// The addresses that this container has.
pub fn of(root: &Root, network: &str, id: &ContainerId) -> Result<Vec<IpAddr>> {
    let folder = root.network(network).leases();
    let mut addresses = Vec::new();
    for file in fsx::list(&folder)? {
        if owner(&folder.join(&file))?.is_some_and(|owner| owner == *id) {
            addresses.extend(file.parse::<IpAddr>());
        }
    }
    Ok(addresses)
}

/// Gives back the addresses of an endpoint's record. The caller holds the network's lock.
pub fn release(root: &Root, network: &str, endpoint: &Endpoint) -> Result<()> {
    for address in endpoint.addresses() {
        let path = root.network(network).leases().join(address.to_string());
        if owner(&path)?.is_some_and(|owner| owner == endpoint.container) {
            fsx::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Gives back whatever this container has. The caller holds the network's lock.
pub fn release_all(root: &Root, network: &str, id: &ContainerId) -> Result<()> {
    let folder = root.network(network).leases();
    for file in fsx::list(&folder)? {
        let path = folder.join(&file);
        if owner(&path)?.is_some_and(|owner| owner == *id) {
            fsx::remove_file(&path)?;
        }
    }
    Ok(())
}
