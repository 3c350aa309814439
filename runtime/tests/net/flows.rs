//! What the kernel remembers of who talked to whom ends with its cause: somebody who goes on sending gets through to the
//! next one, and nobody gets what was meant for another.

use crate::fixture::*;
use crate::host::{self, OUTSIDE, Running, UPLINK, program, shell};
use crate::reach::{OUT, idle, inside, ipv6_outside};
use crate::{on, stop};
use knarr_core::id::ContainerId;
use knarr_core::spec::{Attachment, NetworkMode, Port, Protocol};
use knarr_runtime::container::{connect, disconnect};
use knarr_runtime::net::{self, NewNetwork};

crate::tests![
    a_client_of_udp_goes_on,
    a_client_of_udp_goes_on_by_ipv6,
    a_client_is_led_to_another_container,
    the_next_owner_of_an_address,
    neighbours_learn_who_has_an_address_now,
];

const PORT: u16 = 5300;

fn udp(port: u16) -> Vec<Port> {
    let (host_ip, host_port, host_last) = (None, Some(port), None);
    vec![Port { host_ip, host_port, host_last, container_port: 7000, protocol: Protocol::Udp }]
}

/// Answers in a container's network.
fn serve(fixture: &Fixture, id: &ContainerId) -> Running {
    program(
        &format!("{} python3 -c", inside(fixture, id)),
        "import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0); s.bind(('::', 7000))
print('ready', flush=True)
while True:
    d, a = s.recvfrom(100); s.sendto(d, a)",
    )
}

/// Whether somebody outside who always sends from the same port is answered.
fn is_answered(address: &str) -> bool {
    let script = format!(
        "import socket, sys
s = socket.socket(socket.AF_INET6 if ':' in '{address}' else socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 4000)); s.settimeout(.5)
for _ in range(3):
    s.sendto(b'x', ('{address}', {PORT}))
    try: s.recv(9); sys.exit(0)
    except OSError: pass
sys.exit(1)"
    );
    let words = OUT.split(' ').chain(["python3", "-c", &script]);
    let words: Vec<&str> = words.collect();
    std::process::Command::new(words[0]).args(&words[1..]).status().unwrap().success()
}

fn check(fixture: &Fixture, network: &str, address: &str) {
    let id = fixture.create(&["sleep", "1000"], RunOptions { ports: udp(PORT), ..on(&[network]) });
    assert!(!is_answered(address), "there is nobody yet");
    for end in 0..3 {
        fixture.start(&id);
        let server = serve(fixture, &id);
        assert!(is_answered(address), "{end}");
        drop(server);
        match end {
            0 => stop(fixture, &id),
            // the next start puts right what was left
            1 => host::kill(fixture.load(&id).state.monitor.unwrap()),
            _ => {}
        }
    }
    let _server = serve(fixture, &id);
    // somebody flushes the rules, and puts them back
    let table = shell("nft list tables | grep knarr");
    shell(&format!("nft delete {table}"));
    // by IPv6 a socket of the monitor's is there as well, for what comes from ::1
    assert_eq!(is_answered(address), address.contains(':'));
    net::reload(fixture.root()).unwrap();
    assert!(is_answered(address));
    stop(fixture, &id);
    assert!(!is_answered(address));
}

fn a_client_of_udp_goes_on() {
    host::become_host();
    let fixture = Fixture::new();
    check(&fixture, "bridge", UPLINK);
}

fn a_client_of_udp_goes_on_by_ipv6() {
    host::become_host();
    ipv6_outside();
    let fixture = Fixture::new();
    let new = NewNetwork { name: "six".into(), ipv6: true, ..Default::default() };
    net::create(fixture.root(), new).unwrap();
    check(&fixture, "six", "2001:db8::2");
}

/// The port goes from one to another, and from a container's one network to its other.
fn a_client_is_led_to_another_container() {
    host::become_host();
    let fixture = Fixture::new();
    let new = NewNetwork { name: "other".into(), ..Default::default() };
    net::create(fixture.root(), new).unwrap();
    let first = idle(&fixture, RunOptions { ports: udp(PORT), ..on(&["bridge"]) });
    let server = serve(&fixture, &first);
    assert!(is_answered(UPLINK));
    // without an end of its own
    host::kill(fixture.load(&first).state.monitor.unwrap());
    drop(server);
    let second = idle(&fixture, RunOptions { ports: udp(PORT), ..on(&["bridge"]) });
    let _server = serve(&fixture, &second);
    assert!(is_answered(UPLINK));
    let wish = Attachment { network: "other".into(), ..Default::default() };
    let root = fixture.root();
    connect(root, &second, &wish).unwrap();
    disconnect(root, &second, "bridge").unwrap();
    assert!(is_answered(UPLINK), "by its other network");
    disconnect(root, &second, "other").unwrap();
    assert!(!is_answered(UPLINK));
    connect(root, &second, &wish).unwrap();
    assert!(is_answered(UPLINK));
}

fn the_next_owner_of_an_address() {
    host::become_host();
    let fixture = Fixture::new();
    let _outside = program(
        &format!("{OUT} python3 -c"),
        "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('', 9000)); print('ready', flush=True)
while True:
    d, a = s.recvfrom(100); s.sendto(d, a)",
    );
    let wish = || Attachment {
        ipv4: Some([172, 17, 0, 9].into()),
        network: "bridge".into(),
        ..Default::default()
    };
    let options =
        || RunOptions { network: Some(NetworkMode::Networks(vec![wish()])), ..Default::default() };
    let id = idle(&fixture, options());
    shell(&format!(
        "{} python3 -c \"import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
s.sendto(b'x', ('{OUTSIDE}', 9000)); s.recv(9)\"",
        inside(&fixture, &id)
    ));
    assert_eq!(flows_of("172.17.0.9"), 1);
    assert!(shell("ip neigh").contains("172.17.0.9 "), "{}", shell("ip neigh"));
    stop(&fixture, &id);
    assert_eq!(flows_of("172.17.0.9"), 0);
    // nor does the host look for the next one where this one was
    assert!(!shell("ip neigh").contains("172.17.0.9 "), "{}", shell("ip neigh"));
}

/// From a native container, which has a place of its own on the wire, to a Wasm one, which shares it, and back.
fn neighbours_learn_who_has_an_address_now() {
    host::become_host();
    let fixture = Fixture::new();
    let subnets = ["10.77.0.0/24", "fd77::/64"].map(|subnet| subnet.parse().unwrap()).to_vec();
    let new = NewNetwork { name: "net".into(), ipv6: true, subnets, ..Default::default() };
    net::create(fixture.root(), new).unwrap();
    let client = inside(&fixture, &idle(&fixture, on(&["net"])));
    let (ipv4, ipv6) = ("10.77.0.9".parse().ok(), "fd77::9".parse().ok());
    let wish = Attachment { network: "net".into(), ipv4, ipv6, ..Default::default() };
    let options = || RunOptions {
        network: Some(NetworkMode::Networks(vec![wish.clone()])),
        ..Default::default()
    };
    let ids = [
        fixture.create(&["sleep", "1000"], options()),
        fixture.create_wasm(&["sleep", "1000"], options()),
    ];
    let known = || shell(&format!("{client} ip neigh"));
    let entry = |address: &str, mac: &str| {
        let of = |line: &str| line.starts_with(&format!("{address} ")) && line.contains(mac);
        known().lines().any(of)
    };
    let ask = format!(
        "{client} python3 -c \"import socket
for f, a in ((socket.AF_INET, '10.77.0.9'), (socket.AF_INET6, 'fd77::9')):
    socket.socket(f, socket.SOCK_DGRAM).sendto(b'x', (a, 9))\""
    );
    fixture.start(&ids[0]);
    wait_until(|| {
        shell(&ask);
        entry("10.77.0.9", "02:42:") && entry("fd77::9", "02:42:")
    });
    // without a question: the kernel asks again only when nobody has answered for some time
    for (before, id, mac) in [(0, 1, "02:43:"), (1, 0, "02:42:")] {
        stop(&fixture, &ids[before]);
        fixture.start(&ids[id]);
        wait_until(|| entry("10.77.0.9", mac) && entry("fd77::9", mac));
    }
}

/// How many flows the kernel has in which an address has a part.
fn flows_of(address: &str) -> usize {
    let script = format!(
        "import socket, struct
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12); s.bind((0, 0))
s.send(struct.pack('IHHIIBBH', 20, 0x101, 0x301, 1, 0, 0, 0, 0)); n = 0
while True:
    d = s.recv(1 << 20)
    while d:
        l, t = struct.unpack_from('IH', d)
        if t == 3: print(n); raise SystemExit
        n += socket.inet_aton('{address}') in d[:l]; d = d[(l + 3) & ~3:]"
    );
    shell(&format!("python3 -c \"{script}\"")).trim().parse().unwrap()
}
