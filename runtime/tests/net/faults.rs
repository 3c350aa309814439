//! What is left when something goes wrong on the way to a network, and when a monitor is killed: nothing.

use crate::fixture::*;
use crate::host::{self, Snapshot};
use crate::{command::command_of, on, stop};
use knarr_core::id::ContainerId;
use knarr_core::spec::{Port, Protocol};
use knarr_runtime::net::{self, NewNetwork, Step};
use knarr_runtime::{reconcile, state};
use std::os::unix::process::ExitStatusExt;

crate::tests![
    native_faults,
    wasm_faults,
    native_deaths,
    wasm_deaths,
    monitors_die,
    starts_and_stops_leave_nothing,
    the_last_network_takes_everything,
    a_flushed_firewall,
    a_lost_bridge,
];

/// On two networks, one with both families, and with published ports.
fn options(fixture: &Fixture) -> RunOptions {
    for (name, ipv6) in [("one", true), ("two", false)] {
        let new = NewNetwork { name: name.into(), ipv6, ..Default::default() };
        net::create(fixture.root(), new).unwrap();
    }
    let port = |protocol| Port {
        host_ip: None,
        host_port: Some(8080),
        host_last: None,
        container_port: 80,
        protocol,
    };
    let ports = vec![port(Protocol::Tcp), port(Protocol::Udp)];
    RunOptions { ports, ..on(&["one", "two"]) }
}

fn native(fixture: &Fixture, options: RunOptions) -> ContainerId {
    fixture.create(&["sleep", "1000"], options)
}

fn wasm(fixture: &Fixture, options: RunOptions) -> ContainerId {
    fixture.create_wasm(&["sleep", "1000"], options)
}

fn attach(
    fixture: &Fixture,
    id: &ContainerId,
    observe: net::Observe,
) -> net::Result<net::Attached> {
    let container = fixture.load(id);
    net::attach(fixture.root(), &container.spec, &container.state.name, observe)
}

fn check_faults(make: fn(&Fixture, RunOptions) -> ContainerId, expected: &[Step]) {
    host::become_host();
    let fixture = Fixture::new();
    let id = make(&fixture, options(&fixture));
    // what belongs to the networks is made once
    drop(attach(&fixture, &id, &mut |_| Ok(())).unwrap());
    net::detach(fixture.root(), &id).unwrap();
    let before = Snapshot::take(&fixture);
    let mut failed = Vec::new();
    loop {
        let (mut calls, spared) = (0, failed.len());
        let result = attach(&fixture, &id, &mut |step| {
            calls += 1;
            if calls <= spared {
                return Ok(());
            }
            failed.push(step);
            Err(std::io::Error::other("injected"))
        });
        let Err(error) = result else { break };
        assert_eq!(failed.len(), spared + 1, "one fault ends it");
        let step = failed[spared];
        let text = chain(&error);
        assert!(text.contains(&step.to_string()) && text.ends_with(": injected"), "{text}");
        Snapshot::until(&fixture, &before);
    }
    for step in expected {
        assert!(failed.contains(step), "{step:?}");
    }
    // and it works when nothing is in the way
    net::detach(fixture.root(), &id).unwrap();
    Snapshot::until(&fixture, &before);
    fixture.start(&id);
    stop(&fixture, &id);
    Snapshot::until(&fixture, &before);
}

const COMMON: &[Step] = &[
    Step::Bridge,
    Step::Rules,
    Step::Lease,
    Step::Namespace,
    Step::Link,
    Step::Address,
    Step::Ports,
    Step::Record,
    Step::Publish,
];

fn native_faults() {
    check_faults(native, &[COMMON, &[Step::Names]].concat());
}

fn wasm_faults() {
    check_faults(wasm, COMMON);
}

fn check_deaths(make: fn(&Fixture, RunOptions) -> ContainerId) {
    host::become_host();
    let fixture = Fixture::new();
    let id = make(&fixture, options(&fixture));
    drop(attach(&fixture, &id, &mut |_| Ok(())).unwrap());
    net::detach(fixture.root(), &id).unwrap();
    let before = Snapshot::take(&fixture);
    for at in 0.. {
        let number = at.to_string();
        let mut command = command_of(fixture.root(), "die-attaching", &id, &[&number]);
        let status = command.status().unwrap();
        assert_eq!(status.signal(), Some(9), "{status}");
        reconcile::container(fixture.root(), &id).unwrap();
        Snapshot::until(&fixture, &before);
        if fixture.host("attached").exists() {
            assert!(at > 10, "{at}");
            return;
        }
    }
}

fn native_deaths() {
    check_deaths(native);
}

fn wasm_deaths() {
    check_deaths(wasm);
}

fn monitors_die() {
    host::become_host();
    let fixture = Fixture::new();
    let options = options(&fixture);
    let ids = [native(&fixture, options.clone()), wasm(&fixture, options)];
    for id in &ids {
        fixture.start(id);
        stop(&fixture, id);
    }
    let before = Snapshot::take(&fixture);
    for id in ids.iter().chain(&ids) {
        fixture.start(id);
        host::kill(fixture.load(id).state.monitor.unwrap());
        // the same command works at once
        fixture.start(id);
        stop(&fixture, id);
        Snapshot::until(&fixture, &before);
    }
}

fn starts_and_stops_leave_nothing() {
    host::become_host();
    let fixture = Fixture::new();
    let options = options(&fixture);
    let ids = [
        native(&fixture, options.clone()),
        wasm(&fixture, options),
        native(&fixture, on(&["one"])),
        wasm(&fixture, on(&["two"])),
        wasm(&fixture, on(&["one"])),
    ];
    for id in &ids {
        fixture.start(id);
        stop(&fixture, id);
    }
    // the kernel removes links some time after the namespaces they lead into
    wait_until(|| !host::kernel().iter().any(|line| line.contains(": kv-")));
    let namespaces = || host::shell("ip netns list-id");
    let (before, namespaces_before) = (Snapshot::take(&fixture), namespaces());
    for at in 0..200 {
        let id = &ids[at % ids.len()];
        fixture.start(id);
        match at % 3 {
            0 => host::kill(fixture.load(id).state.monitor.unwrap()),
            _ => stop(&fixture, id),
        }
    }
    // a listing puts right what was killed
    let options = knarr_runtime::container::list::ListOptions { all: true, ..Default::default() };
    knarr_runtime::container::list(&fixture.store, &Default::default(), &options).unwrap();
    Snapshot::until(&fixture, &before);
    wait_until(|| namespaces() == namespaces_before);
    for id in &ids {
        assert!(cgroups_of(id).is_empty());
        assert_eq!(fixture.load(id).state.status, state::Status::Exited);
    }
}

fn the_last_network_takes_everything() {
    host::become_host();
    let before = host::kernel();
    let fixture = Fixture::new();
    let options = options(&fixture);
    let ids = [native(&fixture, options.clone()), wasm(&fixture, options)];
    for id in &ids {
        fixture.start(id);
        stop(&fixture, id);
    }
    fixture.start(&ids[0]);
    let error = net::remove(fixture.root(), "two").unwrap_err();
    assert!(matches!(error, net::Error::InUse { .. }), "{}", chain(&error));
    stop(&fixture, &ids[0]);
    net::remove(fixture.root(), "one").unwrap();
    net::remove(fixture.root(), "two").unwrap();
    wait_until(|| host::kernel() == before);
    let mounts = host::shell("cat /proc/self/mounts");
    assert!(!mounts.contains(fixture.root().run().to_str().unwrap()), "{mounts}");
}

fn a_flushed_firewall() {
    host::become_host();
    let fixture = Fixture::new();
    let id = native(&fixture, options(&fixture));
    fixture.start(&id);
    let rules = host::shell("nft -s list ruleset");
    assert!(rules.contains("everywhere6"), "{rules}");
    host::shell("nft flush ruleset");
    net::reload(fixture.root()).unwrap();
    assert_eq!(host::shell("nft -s list ruleset"), rules);
    // the next start does so by itself
    host::shell("nft flush ruleset");
    let other = native(&fixture, on(&["two"]));
    fixture.start(&other);
    assert_eq!(host::shell("nft -s list ruleset"), rules);
}

fn a_lost_bridge() {
    host::become_host();
    let fixture = Fixture::new();
    let id = native(&fixture, options(&fixture));
    let before = Snapshot::take(&fixture);
    // as after a reboot
    host::shell(
        "for link in $(ls /sys/class/net | grep ^kn-); do ip link del $link; done
         nft flush ruleset; echo 0 > /proc/sys/net/ipv4/ip_forward",
    );
    fixture.start(&id);
    stop(&fixture, &id);
    wait_until(|| Snapshot::take(&fixture).without_indices() == before.without_indices());
    assert_eq!(host::shell("cat /proc/sys/net/ipv4/ip_forward"), "1\n");
}
