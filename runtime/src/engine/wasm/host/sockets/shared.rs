//! In a network namespace that the Wasm containers of a network share.
//!
//! Each has its own addresses there, and the wrapper sees to it that a guest binds no other. The namespace's loopback
//! would be everybody's: a guest's 127.0.0.1 is an address of 127.0.0.0/8 that ends as its own IPv4 address did when it
//! started, which no neighbour's wrapper leads to, and its ::1 one with the same end of those that the namespace has for
//! this. What the guest listens on at all its addresses it also reaches through its loopback.

use super::relay::Relays;
use super::{Refusal, lock};
use crate::net::{Surroundings, is_loopback, loopback6};
use knarr_core::spec::Protocol;
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use wasmtime_wasi::sockets::SocketAddrUse;

#[derive(Debug)]
pub(in crate::engine::wasm) struct Shared {
    /// What stands for 127.0.0.1.
    private: Option<Ipv4Addr>,
    /// Where the guest listens that listens at all its addresses.
    everywhere: Mutex<HashSet<(Protocol, SocketAddr)>>,
    pub(super) relays: Arc<Relays>,
}

impl Shared {
    pub fn new(private: Option<Ipv4Addr>) -> Self {
        Self { private, everywhere: Mutex::default(), relays: Arc::default() }
    }

    /// What the guest's loopback address really is.
    pub fn private(&self, ip: IpAddr) -> Option<IpAddr> {
        let private = self.private?;
        Some(if ip.is_ipv4() { private.into() } else { loopback6(private).into() })
    }

    /// What stands for all of the guest's addresses of a family: the first, or its loopback where there is no other.
    fn any(&self, now: &Surroundings, ip: IpAddr) -> Option<IpAddr> {
        now.of_family(ip).or_else(|| self.private(ip))
    }

    pub fn outside(&self, now: &Surroundings, wanted: SocketAddr) -> Result<SocketAddr, Refusal> {
        let ip = wanted.ip();
        let own = match ip {
            ip if ip.is_unspecified() => self.any(now, ip).ok_or(Refusal::NotOwn)?,
            ip if is_loopback(ip) => self.private(ip).ok_or(Refusal::NotOwn)?,
            ip if now.is_own(ip) => ip,
            ip => return Err(super::not_own(now, ip)),
        };
        Ok(SocketAddr::new(own, wanted.port()))
    }

    pub fn bound(&self, protocol: Protocol, wanted: SocketAddr, outside: SocketAddr) {
        if wanted.ip().is_unspecified() {
            self.listens_everywhere(protocol, outside);
        }
    }

    /// This is one of the addresses at which a guest listens that listens at all of them.
    pub fn listens_everywhere(&self, protocol: Protocol, at: SocketAddr) {
        lock(&self.everywhere).insert((protocol, at));
    }

    pub fn is_everywhere(&self, protocol: Protocol, at: SocketAddr) -> bool {
        lock(&self.everywhere).contains(&(protocol, at))
    }

    pub fn peer(&self, protocol: Protocol, peer: SocketAddr) -> SocketAddr {
        match protocol {
            Protocol::Tcp => self.inside(self.relays.peer(peer)),
            _ => self.inside(peer),
        }
    }

    pub fn inside(&self, address: SocketAddr) -> SocketAddr {
        let localhost: IpAddr = match address.ip() {
            ip if self.private(ip) != Some(ip) => return address,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        SocketAddr::new(localhost, address.port())
    }

    pub fn target(
        &self,
        now: &Surroundings,
        protocol: Protocol,
        wanted: SocketAddr,
    ) -> Result<SocketAddr, Refusal> {
        let ip = wanted.ip();
        if !is_loopback(ip) {
            return Ok(wanted);
        }
        let everywhere = lock(&self.everywhere);
        let like = now.addresses().filter(|own| own.is_ipv4() == ip.is_ipv4());
        let mut like = like.map(|own| SocketAddr::new(own, wanted.port()));
        let listening = like.find(|at| everywhere.contains(&(protocol, *at)));
        let private = || self.private(ip).map(|own| SocketAddr::new(own, wanted.port()));
        listening.or_else(private).ok_or(Refusal::Refused)
    }

    pub fn source(&self, now: &Surroundings, target: SocketAddr) -> Result<SocketAddr, Refusal> {
        let ip = match target.ip() {
            // from an address of the loopback to itself, as the guest expects
            ip if Some(ip) == self.private(ip) || now.is_own(ip) => ip,
            ip if ip.is_unspecified() => self.any(now, ip).ok_or(Refusal::Unreachable)?,
            ip => {
                let there = now.own.iter().find(|(_, network)| network.contains(&ip));
                let there = there.map(|(own, _)| *own).or_else(|| now.of_family(ip));
                there.ok_or(Refusal::Unreachable)?
            }
        };
        Ok(SocketAddr::new(ip, 0))
    }

    pub fn permits(&self, now: &Surroundings, address: SocketAddr, reason: SocketAddrUse) -> bool {
        let ip = address.ip();
        let private = self.private(ip) == Some(ip);
        match reason {
            SocketAddrUse::TcpBind | SocketAddrUse::TcpListen | SocketAddrUse::UdpBind => {
                private || now.is_own(ip)
            }
            SocketAddrUse::TcpConnect | SocketAddrUse::UdpSend => {
                private || !(is_loopback(ip.to_canonical()) || ip.is_unspecified())
            }
            SocketAddrUse::TcpAccept | SocketAddrUse::UdpReceive => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_guest_has_a_host_of_its_own() {
        let place = |ip: &str, network: &str| (ip.parse().unwrap(), network.parse().unwrap());
        let own = [
            place("172.18.0.5", "172.18.0.0/16"),
            place("fd00::5", "fd00::/64"),
            place("172.19.0.7", "172.19.0.0/16"),
        ];
        let subnets = own.iter().map(|(_, subnet)| *subnet).collect();
        let all = Surroundings { own: own.to_vec(), subnets, ..Default::default() };
        let shared = Shared::new(Some(Ipv4Addr::new(127, 18, 0, 5)));
        for (wanted, outside) in [
            ("0.0.0.0:80", Ok("172.18.0.5:80")),
            ("[::]:80", Ok("[fd00::5]:80")),
            ("172.18.0.5:0", Ok("172.18.0.5:0")),
            ("127.0.0.1:80", Ok("127.18.0.5:80")),
            ("127.18.0.6:80", Ok("127.18.0.5:80")),
            ("[::1]:80", Ok("[100::7f12:5]:80")),
            ("[100::7f12:6]:80", Ok("[100::7f12:5]:80")),
            ("172.18.0.6:80", Err(Refusal::Denied)),
            ("172.18.0.1:80", Err(Refusal::Denied)),
            ("[fd00::6]:80", Err(Refusal::Denied)),
            ("192.0.2.1:80", Err(Refusal::NotOwn)),
        ] {
            assert_eq!(shared.outside(&all, at(wanted)), outside.map(at), "{wanted}");
        }
        let tcp = Protocol::Tcp;
        assert_eq!(shared.target(&all, tcp, at("127.9.9.9:80")), Ok(at("127.18.0.5:80")));
        assert_eq!(shared.target(&all, tcp, at("[::1]:80")), Ok(at("[100::7f12:5]:80")));
        assert_eq!(shared.target(&all, tcp, at("[100::7f12:6]:80")), Ok(at("[100::7f12:5]:80")));
        shared.bound(tcp, at("0.0.0.0:80"), at("172.18.0.5:80"));
        assert_eq!(shared.target(&all, tcp, at("127.0.0.1:80")), Ok(at("172.18.0.5:80")));
        assert_eq!(shared.target(&all, tcp, at("[::1]:80")), Ok(at("[100::7f12:5]:80")));
        shared.bound(tcp, at("[::]:80"), at("[fd00::5]:80"));
        assert_eq!(shared.target(&all, tcp, at("[::1]:80")), Ok(at("[fd00::5]:80")));
        assert_eq!(shared.target(&all, tcp, at("10.0.0.1:80")), Ok(at("10.0.0.1:80")));
        assert_eq!(shared.source(&all, at("10.0.0.1:80")), Ok(at("172.18.0.5:0")));
        assert_eq!(shared.source(&all, at("172.19.0.1:80")), Ok(at("172.19.0.7:0")));
        assert_eq!(shared.source(&all, at("127.18.0.5:80")), Ok(at("127.18.0.5:0")));
        assert_eq!(shared.source(&all, at("[100::7f12:5]:80")), Ok(at("[100::7f12:5]:0")));
        assert_eq!(shared.source(&all, at("[::]:80")), Ok(at("[fd00::5]:0")));
        assert_eq!(shared.inside(at("127.18.0.5:80")), at("127.0.0.1:80"));
        assert_eq!(shared.inside(at("[100::7f12:5]:80")), at("[::1]:80"));
        assert_eq!(shared.inside(at("[100::7f12:6]:80")), at("[100::7f12:6]:80"));
        let v4 = Surroundings { own: own[..1].to_vec(), ..Default::default() };
        // never a neighbour's address of the other family
        assert_eq!(shared.source(&v4, at("[fd00::6]:80")), Err(Refusal::Unreachable));
        assert_eq!(shared.outside(&v4, at("[::]:80")), Ok(at("[100::7f12:5]:80")));
        let v6 = Surroundings { own: own[1..2].to_vec(), ..Default::default() };
        assert_eq!(Shared::new(None).outside(&v6, at("0.0.0.0:80")), Err(Refusal::NotOwn));
        assert_eq!(Shared::new(None).outside(&v6, at("[::1]:80")), Err(Refusal::NotOwn));
        let others = ["127.0.0.1:80", "127.18.0.6:80", "[::1]:80", "[::ffff:127.0.0.1]:80"];
        for address in others.into_iter().chain(["[100::7f12:6]:80"]) {
            assert!(!shared.permits(&all, at(address), SocketAddrUse::TcpConnect), "{address}");
            assert!(!shared.permits(&all, at(address), SocketAddrUse::UdpBind), "{address}");
        }
        assert!(!shared.permits(&all, at("0.0.0.0:80"), SocketAddrUse::TcpBind));
        assert!(shared.permits(&all, at("172.18.0.6:80"), SocketAddrUse::TcpConnect));
    }
}
