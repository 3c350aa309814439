//! Who reaches whom, and under which address.

use crate::fixture::*;
use crate::host::{self, OUTSIDE, UPLINK, ask, heard, serve, shell};
use crate::{on, stop};
use knarr_core::id::ContainerId;
use knarr_core::spec::{NetworkMode, Port, Protocol};
use knarr_runtime::net::{self, NewNetwork};
use std::net::Ipv4Addr;

crate::tests![
    the_way_out,
    from_host_and_outside,
    published_ports,
    published_on_one_address,
    published_ports_of_wasm,
    published_in_both_families,
    published_without_ipv6,
    a_wasm_container_s_network,
    networks_are_apart,
    internal_networks,
    several_networks,
    the_host_s_loopback,
    another_s_network,
    ipv6,
];

pub const OUT: &str = "ip netns exec outside";

/// A running container that does nothing by itself.
pub fn idle(fixture: &Fixture, options: RunOptions) -> ContainerId {
    let id = fixture.create(&["sleep", "1000"], options);
    fixture.start(&id);
    id
}

/// What to put before a command to run it in a container's network.
pub fn inside(fixture: &Fixture, id: &ContainerId) -> String {
    format!("nsenter --net=/proc/{}/ns/net", fixture.load(id).state.pid.unwrap())
}

pub fn address(fixture: &Fixture, id: &ContainerId, network: &str) -> Ipv4Addr {
    let endpoints = net::endpoints(fixture.root(), network).unwrap();
    endpoints.iter().find(|e| e.container == *id).unwrap().ipv4.unwrap()
}

fn network(fixture: &Fixture, name: &str) {
    net::create(fixture.root(), NewNetwork { name: name.into(), ..Default::default() }).unwrap();
}

fn port(host: Option<u16>, container: u16) -> Port {
    Port {
        host_ip: None,
        host_port: host,
        host_last: None,
        container_port: container,
        protocol: Protocol::Tcp,
    }
}

fn on_address(ip: &str, host: Option<u16>, container: u16) -> Port {
    Port { host_ip: Some(ip.parse().unwrap()), ..port(host, container) }
}

pub fn ipv6_outside() {
    shell(
        "ip addr add 2001:db8::2/64 dev up0 nodad; ip -6 route add default via 2001:db8::1
         ip -n outside addr add 2001:db8::1/64 dev eth0 nodad",
    );
}

fn the_way_out() {
    host::become_host();
    let fixture = Fixture::new();
    let _server = serve(OUT, OUTSIDE, 80);
    let id = idle(&fixture, on(&["bridge"]));
    let inside = inside(&fixture, &id);
    assert_eq!(heard(&inside, OUTSIDE, 80), UPLINK, "with the host's address");
    let own = address(&fixture, &id, "bridge");
    let links = shell(&format!("{inside} ip -o -4 addr show dev eth0; {inside} ip route"));
    assert!(links.contains(&format!("inet {own}/20")), "{links}");
    assert!(links.contains("default via 172.17.0.1 dev eth0"), "{links}");
    let mtu = shell(&format!("{inside} cat /sys/class/net/eth0/mtu || {inside} ip link show eth0"));
    assert!(mtu.contains("1400"), "the uplink's: {mtu}");
    let mut command = fixture.command("exec", &id);
    let files = command.args(["cat", "/etc/hosts", "/etc/resolv.conf"]).output().unwrap();
    let files = stdout(&files);
    assert!(files.contains(&format!("{own}\t{}\n", id.short())), "{files}");
    assert!(files.contains("nameserver 127.0.0.11\n"), "{files}");
    let listening = shell(&format!("{inside} ss -lnut"));
    assert_eq!(listening.matches("127.0.0.11:53").count(), 2, "{listening}");
}

fn from_host_and_outside() {
    host::become_host();
    let fixture = Fixture::new();
    let id = idle(&fixture, on(&["bridge"]));
    let own = address(&fixture, &id, "bridge").to_string();
    let _server = serve(&inside(&fixture, &id), "0.0.0.0", 80);
    assert_eq!(heard("", &own, 80), "172.17.0.1", "the host reaches every port");
    // the outside does not, even if it knows the way
    shell(&format!("ip -n outside route add {own} via {UPLINK}"));
    assert!(!ask(OUT, &own, 80).status.success());
}

fn published_ports() {
    host::become_host();
    let fixture = Fixture::new();
    network(&fixture, "other");
    let ports = vec![port(Some(8080), 80), port(None, 81)];
    let id = idle(&fixture, RunOptions { ports, ..on(&["bridge"]) });
    let chosen = fixture.load(&id).state.ports;
    assert_eq!(chosen[0].host_port, Some(8080));
    let free = chosen[2].host_port.unwrap();
    let own = inside(&fixture, &id);
    let _servers = [serve(&own, "0.0.0.0", 80), serve(&own, "0.0.0.0", 81)];
    assert_eq!(heard(OUT, UPLINK, 8080), OUTSIDE, "the client's own address");
    assert_eq!(heard(OUT, UPLINK, free), OUTSIDE);
    for address in ["127.0.0.1", "127.8.8.8", UPLINK, "172.17.0.1"] {
        heard("", address, 8080);
    }
    heard(&own, UPLINK, 8080);
    heard(&own, "172.17.0.1", 8080);
    let neighbour = idle(&fixture, on(&["bridge"]));
    heard(&inside(&fixture, &neighbour), UPLINK, 8080);
    let stranger = idle(&fixture, on(&["other"]));
    heard(&inside(&fixture, &stranger), UPLINK, 8080);
    // nobody else gets the port
    let taken = fixture.create(
        &["sleep", "1000"],
        RunOptions { ports: vec![port(Some(8080), 80)], ..on(&["bridge"]) },
    );
    let error = knarr_runtime::container::start(&fixture.store, &taken).unwrap_err();
    let name = fixture.load(&id).state.name;
    let expected = format!("port 0.0.0.0:8080/tcp of the host is used by container {name}");
    assert!(chain(&error).contains(&expected), "{}", chain(&error));
    let _program = serve("", "127.0.0.1", 9090);
    let taken = fixture.create(
        &["sleep", "1000"],
        RunOptions { ports: vec![port(Some(9090), 80)], ..on(&["bridge"]) },
    );
    let error = knarr_runtime::container::start(&fixture.store, &taken).unwrap_err();
    assert!(chain(&error).contains("is used by python3 (process "), "{}", chain(&error));
    // after the end the port is free again
    stop(&fixture, &id);
    assert!(!ask("", "127.0.0.1", 8080).status.success());
    let _program = serve("", "0.0.0.0", 8080);
}

fn published_on_one_address() {
    host::become_host();
    let fixture = Fixture::new();
    let on_loopback = Port { host_ip: Some(Ipv4Addr::LOCALHOST.into()), ..port(Some(8080), 80) };
    let id = idle(&fixture, RunOptions { ports: vec![on_loopback], ..on(&["bridge"]) });
    let _server = serve(&inside(&fixture, &id), "0.0.0.0", 80);
    heard("", "127.0.0.1", 8080);
    assert!(!ask(OUT, UPLINK, 8080).status.success());
    assert!(!ask("", UPLINK, 8080).status.success());
    // one setting makes that the rule for a network
    let options = [("com.docker.network.bridge.host_binding_ipv4".into(), "127.0.0.1".into())];
    let new = NewNetwork { name: "shy".into(), options: options.into(), ..Default::default() };
    net::create(fixture.root(), new).unwrap();
    let shy = RunOptions { ports: vec![port(Some(8081), 80)], ..on(&["shy"]) };
    let id = idle(&fixture, shy);
    let _server = serve(&inside(&fixture, &id), "0.0.0.0", 80);
    heard("", "127.0.0.1", 8081);
    assert!(!ask(OUT, UPLINK, 8081).status.success());
    assert_eq!(fixture.load(&id).state.ports[0].host_ip, Some(Ipv4Addr::LOCALHOST.into()));
}

fn published_ports_of_wasm() {
    host::become_host();
    let fixture = crate::guests::fixture();
    let options = RunOptions { ports: vec![port(Some(9000), 8080)], ..on(&["bridge"]) };
    ipv6_outside();
    let web = crate::guests::guest(&fixture, "httpd.p2", &[8080], &[], options);
    fixture.start(&web);
    let get = |prefix: &str, address: &str| {
        shell(&format!("{prefix} curl -s -o /dev/null -w %{{http_code}} http://{address}:9000/env"))
    };
    for (prefix, address) in [(OUT, UPLINK), ("", "127.0.0.1"), ("", UPLINK)] {
        assert_eq!(get(prefix, address), "200", "{prefix} {address}");
    }
    let native = idle(&fixture, on(&["bridge"]));
    assert_eq!(get(&inside(&fixture, &native), UPLINK), "200");
    for (prefix, address) in [("", "[::1]"), (OUT, "[2001:db8::2]")] {
        assert_eq!(get(prefix, address), "200", "{prefix} {address}");
    }
    let ports = ["0.0.0.0", "::"].map(|ip| on_address(ip, Some(9000), 8080));
    assert_eq!(fixture.load(&web).state.ports, ports);
}

/// The container has no IPv6 address of its own.
fn published_in_both_families() {
    host::become_host();
    ipv6_outside();
    let fixture = Fixture::new();
    let udp = Port { protocol: Protocol::Udp, ..port(Some(5353), 7000) };
    let ports = vec![port(Some(8080), 80), port(None, 80), on_address("::1", Some(8081), 80), udp];
    let id = idle(&fixture, RunOptions { ports, ..on(&["bridge"]) });
    let chosen = fixture.load(&id).state.ports;
    let addresses: Vec<_> = chosen.iter().filter_map(|p| p.host_ip).collect();
    let expected: [std::net::IpAddr; 7] =
        ["0.0.0.0", "::", "0.0.0.0", "::", "::1", "0.0.0.0", "::"].map(|a| a.parse().unwrap());
    assert_eq!(addresses, expected);
    let free = chosen[2].host_port.unwrap();
    assert_eq!(chosen[3].host_port, Some(free));
    let own = inside(&fixture, &id);
    let _servers = [
        serve(&own, "0.0.0.0", 80),
        host::program(
            &format!("{own} python3 -c"),
            "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 7000)); print('ready', flush=True)
while True:
    d, a = s.recvfrom(100); s.sendto(d.upper(), a)",
        ),
    ];
    for (prefix, address, number) in [
        ("", "::1", 8080),
        ("", "2001:db8::2", 8080),
        (OUT, "2001:db8::2", 8080),
        ("", "::1", free),
        ("", "::1", 8081),
    ] {
        assert_eq!(heard(prefix, address, number), "172.17.0.1", "{address} {number}");
    }
    assert_eq!(heard(OUT, UPLINK, 8080), OUTSIDE, "the packet filter");
    assert!(!ask(OUT, "2001:db8::2", 8081).status.success());
    assert!(!ask("", "127.0.0.1", 8081).status.success());
    for word in ["one", "two"] {
        let asked = format!(
            "import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.settimeout(5); s.connect(('::1', 5353))
s.send(b'{word}'); print(s.recv(100).decode())"
        );
        assert_eq!(shell(&format!("python3 -c \"{asked}\"")).trim(), word.to_uppercase());
    }
    // whoever has the port in one family has it
    let _program = serve("", "::1", 9090);
    let wish = RunOptions { ports: vec![port(Some(9090), 80)], ..on(&["bridge"]) };
    let taken = fixture.create(&["sleep", "1000"], wish);
    let error = chain(&knarr_runtime::container::start(&fixture.store, &taken).unwrap_err());
    let expected = "port [::]:9090/tcp of the host is used by python3 (process ";
    assert!(error.contains(expected), "{error}");
    stop(&fixture, &id);
    assert!(!ask("", "::1", 8080).status.success());
    let _program = serve("", "::", 8080);
}

fn published_without_ipv6() {
    host::become_host();
    shell("mount -t proc proc /proc; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6");
    let fixture = Fixture::new();
    let options = RunOptions { ports: vec![port(Some(8080), 80)], ..on(&["bridge"]) };
    let id = idle(&fixture, options);
    let _server = serve(&inside(&fixture, &id), "0.0.0.0", 80);
    heard("", "127.0.0.1", 8080);
    assert_eq!(fixture.load(&id).state.ports, [on_address("0.0.0.0", Some(8080), 80)]);
}

fn a_wasm_container_s_network() {
    host::become_host();
    let fixture = Fixture::new();
    network(&fixture, "other");
    let wasm = fixture.create_wasm(&["sleep", "1000"], on(&["bridge"]));
    fixture.start(&wasm);
    // a native program could take the addresses of all its neighbours there
    let network = Some(NetworkMode::Container(wasm.clone()));
    let native = fixture.create(&["true"], RunOptions { network, ..Default::default() });
    let error = knarr_runtime::container::start(&fixture.store, &native).unwrap_err();
    assert!(chain(&error).contains("is a Wasm container"), "{}", chain(&error));
    let root = fixture.root();
    let wish = knarr_core::spec::Attachment { network: "other".into(), ..Default::default() };
    stop(&fixture, &wasm);
    knarr_runtime::container::connect(root, &wasm, &wish).unwrap();
    fixture.start(&wasm);
    assert!(net::endpoints(root, "other").unwrap()[0].is_up());
    let own = inside(&fixture, &wasm);
    let addresses = shell(&format!("{own} ip -o -4 addr"));
    for network in ["bridge", "other"] {
        let address = address(&fixture, &wasm, network);
        assert!(addresses.contains(&format!(" {address}/32 ")), "{addresses}");
    }
}

fn networks_are_apart() {
    host::become_host();
    let fixture = Fixture::new();
    network(&fixture, "one");
    network(&fixture, "other");
    let server = idle(&fixture, on(&["one"]));
    let (neighbour, stranger) = (idle(&fixture, on(&["one"])), idle(&fixture, on(&["other"])));
    let at = address(&fixture, &server, "one").to_string();
    let _server = serve(&inside(&fixture, &server), "0.0.0.0", 80);
    let seen = heard(&inside(&fixture, &neighbour), &at, 80);
    assert_eq!(seen, address(&fixture, &neighbour, "one").to_string());
    assert!(!ask(&inside(&fixture, &stranger), &at, 80).status.success());
    // nor by way of the other network's gateway with a route of its own making
    let stranger = inside(&fixture, &stranger);
    assert!(!ask(&stranger, &at, 80).status.success());
}

fn internal_networks() {
    host::become_host();
    let fixture = Fixture::new();
    let new = NewNetwork { name: "inner".into(), internal: true, ..Default::default() };
    net::create(fixture.root(), new).unwrap();
    let (one, two) = (idle(&fixture, on(&["inner"])), idle(&fixture, on(&["inner"])));
    let _servers = [
        serve(OUT, OUTSIDE, 80),
        serve("", "0.0.0.0", 82),
        serve(&inside(&fixture, &one), "0.0.0.0", 80),
    ];
    let at = address(&fixture, &one, "inner").to_string();
    let client = inside(&fixture, &two);
    heard(&client, &at, 80);
    heard("", &at, 80);
    // not by a route that a container makes for itself either
    let gateway = net::find(fixture.root(), "inner").unwrap().ipv4.unwrap().gateway.to_string();
    shell(&format!("{client} ip route add default via {gateway}"));
    assert!(!ask(&client, OUTSIDE, 80).status.success());
    assert!(!ask(&client, &gateway, 82).status.success());
}

fn several_networks() {
    host::become_host();
    let fixture = Fixture::new();
    network(&fixture, "one");
    network(&fixture, "other");
    let id = idle(&fixture, on(&["one", "other"]));
    let own = inside(&fixture, &id);
    let routes = shell(&format!("{own} ip route"));
    let gateway = net::find(fixture.root(), "one").unwrap().ipv4.unwrap().gateway;
    assert!(routes.contains(&format!("default via {gateway} dev eth0")), "{routes}");
    let neighbour = idle(&fixture, on(&["other"]));
    let at = address(&fixture, &neighbour, "other").to_string();
    let _server = serve(&inside(&fixture, &neighbour), "0.0.0.0", 80);
    assert_eq!(heard(&own, &at, 80), address(&fixture, &id, "other").to_string());
    // leaving and joining while it runs
    let root = fixture.root();
    knarr_runtime::container::disconnect(root, &id, "one").unwrap();
    let routes = shell(&format!("{own} ip route"));
    let gateway = net::find(root, "other").unwrap().ipv4.unwrap().gateway;
    assert!(routes.contains(&format!("default via {gateway} dev eth1")), "{routes}");
    knarr_runtime::container::disconnect(root, &id, "other").unwrap();
    assert!(!ask(&own, &at, 80).status.success());
    assert_eq!(shell(&format!("{own} ip route")), "");
    let wish = knarr_core::spec::Attachment { network: "other".into(), ..Default::default() };
    knarr_runtime::container::connect(root, &id, &wish).unwrap();
    assert_eq!(heard(&own, &at, 80), address(&fixture, &id, "other").to_string());
    let error = knarr_runtime::container::connect(root, &id, &wish).unwrap_err();
    assert!(chain(&error).contains("is on network other already"));
}

fn the_host_s_loopback() {
    host::become_host();
    let fixture = Fixture::new();
    let id = idle(&fixture, on(&["bridge"]));
    let own = inside(&fixture, &id);
    let _server = serve("", "127.0.0.1", 90);
    // by a route of its own making, over a bridge that lets such packets pass
    shell(&format!(
        "{own} sh -c 'ip addr del 127.0.0.1/8 dev lo; ip route del table local 127.0.0.0/8 dev lo;
         echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet; echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet;
         ip route add 127.0.0.0/8 via 172.17.0.1 dev eth0' 2>&1 || true"
    ));
    assert!(!ask(&own, "127.0.0.1", 90).status.success());
}

fn another_s_network() {
    host::become_host();
    let fixture = Fixture::new();
    let first = idle(&fixture, on(&["bridge"]));
    let network = Some(NetworkMode::Container(first.clone()));
    let second = fixture.create(&["sleep", "1000"], RunOptions { network, ..Default::default() });
    fixture.start(&second);
    let (one, two) = (inside(&fixture, &first), inside(&fixture, &second));
    let of = |prefix: &str| shell(&format!("{prefix} readlink /proc/self/ns/net"));
    assert_eq!(of(&one), of(&two));
    // when the first one ends, so does their network
    stop(&fixture, &first);
    wait_until(|| !shell(&format!("{two} ip -o link")).contains("eth0"));
    stop(&fixture, &second);
    let error = knarr_runtime::container::start(&fixture.store, &second).unwrap_err();
    assert!(chain(&error).contains("is not running"), "{}", chain(&error));
}

fn ipv6() {
    host::become_host();
    let fixture = Fixture::new();
    ipv6_outside();
    let new = NewNetwork { name: "six".into(), ipv6: true, ..Default::default() };
    let subnet = net::create(fixture.root(), new).unwrap().ipv6.unwrap().subnet;
    assert!(subnet.to_string().starts_with("fd"), "{subnet}");
    let options = RunOptions { ports: vec![port(Some(8080), 80)], ..on(&["six"]) };
    let (server, client) = (idle(&fixture, options), idle(&fixture, on(&["six"])));
    let at = net::endpoints(fixture.root(), "six").unwrap();
    let of = |id: &ContainerId| {
        at.iter().find(|e| e.container == *id).unwrap().ipv6.unwrap().to_string()
    };
    let _servers = [serve(&inside(&fixture, &server), "::", 80), serve(OUT, "2001:db8::1", 80)];
    let own = inside(&fixture, &client);
    assert_eq!(heard(&own, &of(&server), 80), of(&client), "at once, without waiting for doubles");
    assert_eq!(heard(&own, "2001:db8::1", 80), "2001:db8::2");
    assert_eq!(heard(OUT, "2001:db8::2", 8080), "2001:db8::1");
    heard(&own, "2001:db8::2", 8080);
    heard("", "2001:db8::2", 8080);
    heard("", "::1", 8080);
}
