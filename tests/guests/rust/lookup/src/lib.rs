//! Names by `wasi:sockets/ip-name-lookup`, which the standard library does not have on this target.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{ErrorCode, IpAddress};

/// The addresses of a host.
pub fn resolve(host: &str) -> Result<Vec<IpAddr>, ErrorCode> {
    let lookup = resolve_addresses(&instance_network(), host)?;
    let pollable = lookup.subscribe();
    let mut addresses = Vec::new();
    loop {
        match lookup.resolve_next_address() {
            Ok(Some(IpAddress::Ipv4((a, b, c, d)))) => {
                addresses.push(Ipv4Addr::new(a, b, c, d).into());
            }
            Ok(Some(IpAddress::Ipv6((a, b, c, d, e, f, g, h)))) => {
                addresses.push(Ipv6Addr::new(a, b, c, d, e, f, g, h).into());
            }
            Ok(None) => return Ok(addresses),
            Err(ErrorCode::WouldBlock) => pollable.block(),
            Err(error) => return Err(error),
        }
    }
}
