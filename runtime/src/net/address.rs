//! Arithmetic on addresses and subnets; pure.

use ipnet::{IpNet, Ipv4Net};
use std::net::{IpAddr, Ipv4Addr};

/// The addresses of a subnet that hosts may have, both ends included. A family's addresses as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    first: u128,
    last: u128,
    is_ipv4: bool,
}

impl Block {
    /// Without the network's own address and, of IPv4, the broadcast address.
    pub fn of(subnet: IpNet) -> Self {
        let is_ipv4 = subnet.addr().is_ipv4();
        let (network, end) = (number(subnet.network()), number(subnet.broadcast()));
        let last = if is_ipv4 { end.saturating_sub(1) } else { end };
        Self { first: network.saturating_add(1), last, is_ipv4 }
    }

    /// The part that lies in another block too.
    pub fn within(self, other: Self) -> Self {
        Self { first: self.first.max(other.first), last: self.last.min(other.last), ..self }
    }

    pub fn has(self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_ipv4 && (self.first..=self.last).contains(&number(address))
    }

    /// Each address once, beginning behind `last` and going around.
    pub fn after(self, last: Option<IpAddr>) -> impl Iterator<Item = IpAddr> {
        let start = match last.filter(|last| self.has(*last)).map(number) {
            Some(last) if last < self.last => last + 1,
            _ => self.first,
        };
        (start..=self.last).chain(self.first..start).map(move |n| self.address(n))
    }

    fn address(self, number: u128) -> IpAddr {
        match u32::try_from(number) {
            Ok(number) if self.is_ipv4 => Ipv4Addr::from(number).into(),
            _ => std::net::Ipv6Addr::from(number).into(),
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u32::from(address).into(),
        IpAddr::V6(address) => address.into(),
    }
}

/// Where networks lie that name no subnet: 240 of 4094 addresses, then 256 of 254, of the private ranges that routers at
/// home do not use for themselves first.
pub fn pool() -> impl Iterator<Item = Ipv4Net> {
    let subnets = |base: [u8; 4], prefix, new| {
        Ipv4Net::new(base.into(), prefix)
            .into_iter()
            .flat_map(move |n| n.subnets(new).into_iter().flatten())
    };
    subnets([172, 16, 0, 0], 12, 20).skip(16).chain(subnets([192, 168, 0, 0], 16, 24).skip(2))
}

pub fn overlap(one: IpNet, other: IpNet) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_of_hosts() {
        let all: Vec<String> =
            Block::of(net("10.0.0.0/29")).after(None).map(|a| a.to_string()).collect();
        assert_eq!(all.len(), 6);
        assert_eq!((all[0].as_str(), all[5].as_str()), ("10.0.0.1", "10.0.0.6"));
        assert!(!Block::of(net("10.0.0.0/29")).has("10.0.0.7".parse().unwrap()));
        assert!(Block::of(net("fd00::/125")).has("fd00::7".parse().unwrap()));
        assert!(!Block::of(net("fd00::/125")).has("fd00::".parse().unwrap()));
    }

    #[test]
    fn the_search_goes_around() {
        let block = Block::of(net("10.0.0.0/29"));
        let from = |text: &str| -> Vec<String> {
            block.after(Some(text.parse().unwrap())).map(|a| a.to_string()).collect()
        };
        assert_eq!(from("10.0.0.4")[..3], ["10.0.0.5", "10.0.0.6", "10.0.0.1"]);
        assert_eq!(from("10.0.0.6")[0], "10.0.0.1");
        assert_eq!(from("10.0.0.6").len(), 6);
        assert_eq!(from("10.9.9.9")[0], "10.0.0.1", "a cursor of another range counts for nothing");
    }

    #[test]
    fn the_pool_is_private_and_disjoint() {
        let pool: Vec<Ipv4Net> = pool().collect();
        assert_eq!(pool.len(), 240 + 254);
        assert_eq!(pool[0].to_string(), "172.17.0.0/20");
        assert!(pool.iter().all(|n| n.addr().is_private()));
        assert!(pool.windows(2).all(|w| !overlap(w[0].into(), w[1].into())));
    }
}
