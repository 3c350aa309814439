//! Who reaches whom.

use crate::fixture::*;
use crate::host::{self, OUTSIDE, ask, serve, shell};
use knarr_core::id::ContainerId;
use knarr_core::spec::{Attachment, NetworkMode};
use knarr_runtime::net;

crate::tests![a_native_container_has_an_address];

fn on(networks: &[&str]) -> RunOptions {
    let wish = |name: &&str| Attachment { network: (*name).to_owned(), ..Default::default() };
    let network = Some(NetworkMode::Networks(networks.iter().map(wish).collect()));
    RunOptions { network, ..Default::default() }
}

fn exec(fixture: &Fixture, id: &ContainerId, script: &str) -> String {
    let output = crate::command::command_of(fixture.root(), "exec", id, &["sh", "-c", script])
        .output()
        .unwrap();
    format!("{}{}", stdout(&output), stderr(&output))
}

fn a_native_container_has_an_address() {
    host::become_host();
    let fixture = Fixture::new();
    let _server = serve("ip netns exec outside", OUTSIDE, 80);
    let id = fixture.create(&["sleep", "1000"], on(&["bridge"]));
    fixture.start(&id);
    let endpoint = net::endpoints(fixture.root(), "bridge").unwrap().remove(0);
    println!("{endpoint:?}");
    println!("{}", exec(&fixture, &id, "busybox ip addr; busybox ip route; cat /etc/resolv.conf"));
    println!("{}", shell("ip a; nft list ruleset"));
    println!("{}", exec(&fixture, &id, "busybox nc 198.51.100.1 80"));
    let _ = ask("", "127.0.0.1", 1);
}
