//! Addresses and subnets: who gets which, and what is refused.

use crate::fixture::*;
use crate::host::{self, heard, serve, shell};
use crate::reach::{address, idle, inside};
use crate::{command::command_of, on, stop};
use ipnet::IpNet;
use knarr_core::root::Root;
use knarr_core::spec::{Attachment, NetworkMode, Port, Protocol};
use knarr_runtime::net::{self, NewNetwork};
use std::collections::BTreeSet;

crate::tests![
    an_address_that_is_wished_for,
    a_full_subnet,
    many_at_once,
    subnets_stay_clear_of_others,
    two_roots_at_once,
    options,
    a_container_reaches_itself_over_the_bridge,
];

fn small(fixture: &Fixture, subnet: &str) {
    let subnets = vec![subnet.parse().unwrap()];
    let new = NewNetwork { name: "net".into(), subnets, ..Default::default() };
    net::create(fixture.root(), new).unwrap();
}

fn wish(ip: &str) -> RunOptions {
    let ipv4 = Some(ip.parse().unwrap());
    let wish = Attachment { network: "net".into(), ipv4, ..Default::default() };
    RunOptions { network: Some(NetworkMode::Networks(vec![wish])), ..Default::default() }
}

fn an_address_that_is_wished_for() {
    host::become_host();
    let fixture = Fixture::new();
    small(&fixture, "10.7.0.0/24");
    let first = idle(&fixture, wish("10.7.0.77"));
    assert_eq!(address(&fixture, &first, "net").to_string(), "10.7.0.77");
    let second = fixture.create(&["sleep", "1000"], wish("10.7.0.77"));
    let error = knarr_runtime::container::start(&fixture.store, &second).unwrap_err();
    let expected = format!("10.7.0.77 on network net is used by container {}", first.short());
    assert!(chain(&error).contains(&expected), "{}", chain(&error));
    stop(&fixture, &first);
    fixture.start(&second);
    let config = r#"{"config":{"Env":["PATH=/bin"]}}"#;
    for (ip, expected) in [
        ("10.7.0.1", "network net's own"),
        ("10.7.0.0", "network net's own"),
        ("10.7.0.255", "network net's own"),
        ("10.8.0.2", "lies in no subnet"),
    ] {
        let error = fixture.create_with(config, &["true"], wish(ip)).unwrap_err();
        assert!(chain(&error).contains(expected), "{ip}: {}", chain(&error));
    }
}

fn a_full_subnet() {
    host::become_host();
    let fixture = Fixture::new();
    small(&fixture, "10.7.0.0/29");
    let ids: Vec<_> = (0..5).map(|_| idle(&fixture, on(&["net"]))).collect();
    let last = fixture.create(&["sleep", "1000"], on(&["net"]));
    let error = knarr_runtime::container::start(&fixture.store, &last).unwrap_err();
    let expected = "no address is free in 10.7.0.0/29 of network net";
    assert!(chain(&error).contains(expected), "{}", chain(&error));
    // a dead one's is taken without being asked for
    host::kill(fixture.load(&ids[2]).state.monitor.unwrap());
    fixture.start(&last);
    assert_eq!(address(&fixture, &last, "net").to_string(), "10.7.0.4");
}

fn many_at_once() {
    host::become_host();
    let fixture = Fixture::new();
    small(&fixture, "10.7.0.0/28");
    let make = |at| match at % 2 {
        0 => fixture.create(&["sleep", "1000"], on(&["net"])),
        _ => fixture.create_wasm(&["sleep", "1000"], on(&["net"])),
    };
    let ids: Vec<_> = (0..12).map(make).collect();
    let commands: Vec<_> = ids
        .iter()
        .map(|id| command_of(fixture.root(), "start", id, &[]).spawn().unwrap())
        .collect();
    for mut command in commands {
        assert!(command.wait().unwrap().success());
    }
    let addresses: BTreeSet<_> = ids.iter().map(|id| address(&fixture, id, "net")).collect();
    assert_eq!(addresses.len(), 12);
    let links = shell("ip -o link show type veth");
    assert_eq!(links.matches(": kv-").count(), 6, "{links}");
    assert_eq!(links.matches(": ks-").count(), 1, "one namespace for all Wasm containers: {links}");
}

fn subnets_stay_clear_of_others() {
    host::become_host();
    let fixture = Fixture::new();
    shell("ip route add 172.16.0.0/12 dev up0");
    let new = |name: &str| NewNetwork { name: name.into(), ..Default::default() };
    let subnet = net::create(fixture.root(), new("one")).unwrap().ipv4.unwrap().subnet;
    assert_eq!(subnet.to_string(), "192.168.2.0/24", "the first one behind what the host uses");
    let refused = |subnet: &str| {
        let subnets = vec![subnet.parse().unwrap()];
        let error = net::create(fixture.root(), NewNetwork { subnets, ..new("two") }).unwrap_err();
        chain(&error)
    };
    assert!(refused("192.168.0.0/16").contains("192.168.2.0/24, which network one uses"));
    assert!(refused("198.51.0.0/16").contains("198.51.100.0/24, which a route of this host uses"));
    assert!(refused("10.0.0.0/31").contains("too small"));
    assert_eq!(net::list(fixture.root()).unwrap().len(), 1, "nothing is half made");
}

fn two_roots_at_once() {
    host::become_host();
    let directories: Vec<_> = (0..6).map(|_| tempfile::tempdir().unwrap()).collect();
    let roots: Vec<Root> = directories.iter().map(|d| Root::at(d.path().join("root"))).collect();
    // the threads are in the same network namespace: it is inherited
    let subnets: Vec<IpNet> = std::thread::scope(|scope| {
        let make = |root| scope.spawn(move || net::ensure_default(root).unwrap().ipv4.unwrap());
        let threads: Vec<_> = roots.iter().map(make).collect();
        threads.into_iter().map(|t| t.join().unwrap().subnet.into()).collect()
    });
    assert_eq!(subnets.iter().collect::<BTreeSet<_>>().len(), 6, "{subnets:?}");
    for root in &roots {
        net::remove(root, "bridge").unwrap();
    }
    assert!(!shell("ip -o link; nft list ruleset").contains("kn-"));
}

fn options() {
    host::become_host();
    let fixture = Fixture::new();
    let make = |list: &[(&str, &str)]| {
        let options = list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let new = NewNetwork { name: "net".into(), options, ..Default::default() };
        net::create(fixture.root(), new)
    };
    let name = "com.docker.network.bridge.name";
    make(&[(name, "br-mine"), ("com.docker.network.driver.mtu", "1234")]).unwrap();
    let link = shell("ip -o link show br-mine");
    assert!(link.contains("mtu 1234"), "{link}");
    let id = idle(&fixture, on(&["net"]));
    let link = shell(&format!("{} ip -o link show eth0", inside(&fixture, &id)));
    assert!(link.contains("mtu 1234"), "{link}");
    stop(&fixture, &id);
    net::remove(fixture.root(), "net").unwrap();
    for (option, value) in [
        (name, "a/b"),
        (name, "much-too-long-a-name"),
        (name, "up0"),
        ("com.docker.network.driver.mtu", "much"),
        ("com.docker.network.bridge.enable_icc", "false"),
        ("speed", "high"),
    ] {
        let error = make(&[(option, value)]).unwrap_err();
        assert!(chain(&error).contains(option), "{option}={value}: {}", chain(&error));
    }
    assert!(shell("ip -o link show up0").contains("up0"), "others' links stay");
}

fn a_container_reaches_itself_over_the_bridge() {
    host::become_host();
    let fixture = Fixture::new();
    let ports = vec![Port {
        host_ip: None,
        host_port: Some(8080),
        host_last: None,
        container_port: 80,
        protocol: Protocol::Tcp,
    }];
    let id = idle(&fixture, RunOptions { ports, ..on(&["bridge"]) });
    let own = inside(&fixture, &id);
    let _server = serve(&own, "0.0.0.0", 80);
    // bridges hand their packets to the packet filter, or they do not
    for filtered in ["0", "1"] {
        let setting = "/proc/sys/net/bridge/bridge-nf-call-iptables";
        shell(&format!("echo {filtered} > {setting}"));
        heard(&own, host::UPLINK, 8080);
    }
}
