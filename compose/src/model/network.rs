//! Networks, and a service's place on them.

use super::pairs::Pairs;
use super::record::record;

record! {
    /// A service on one of its `networks`.
    pub struct NetworkAttachment {
        pub aliases: Vec<String> => "aliases",
        pub driver_opts: Pairs => "driver_opts",
        pub gw_priority: i64 => "gw_priority",
        pub interface_name: String => "interface_name",
        pub ipv4_address: String => "ipv4_address",
        pub ipv6_address: String => "ipv6_address",
        pub link_local_ips: Vec<String> => "link_local_ips",
        pub mac_address: String => "mac_address",
        pub priority: i64 => "priority",
    }

    /// One of a service's `ports`.
    pub struct Port {
        pub name: String => "name",
        /// `host` or `ingress`.
        pub mode: String => "mode",
        pub host_ip: String => "host_ip",
        /// In the container.
        pub target: u32 => "target",
        /// On the host: a port, a range to choose from (`8000-8010`), or nothing for any.
        pub published: String => "published",
        /// `tcp`, `udp` or `sctp`.
        pub protocol: String => "protocol",
        pub app_protocol: String => "app_protocol",
    }

    /// One of the top-level `networks`.
    pub struct Network {
        /// The name outside of the project: `PROJECT_KEY` where the file gives none.
        pub name: String => "name",
        pub driver: String => "driver",
        pub driver_opts: Pairs => "driver_opts",
        pub ipam: Ipam => "ipam",
        /// Made by somebody else, and expected to be there.
        pub external: bool => "external",
        pub internal: bool => "internal",
        pub attachable: bool => "attachable",
        pub labels: Pairs => "labels",
        pub enable_ipv4: Option<bool> => "enable_ipv4",
        pub enable_ipv6: Option<bool> => "enable_ipv6",
    }

    /// `networks.*.ipam`.
    pub struct Ipam {
        pub driver: String => "driver",
        pub config: Vec<IpamPool> => "config",
        pub options: Pairs => unwritten "options",
    }

    /// One range of addresses.
    pub struct IpamPool {
        pub subnet: String => "subnet",
        pub gateway: String => "gateway",
        pub ip_range: String => "ip_range",
        pub aux_addresses: Pairs => "aux_addresses",
    }
}
