//! Wasm containers that are connected and disconnected while they run.

use crate::fixture::*;
use crate::guests::{self, address, get, guest, named, native_server, within};
use crate::host::{self, Snapshot, serve, shell};
use crate::{on, stop};
use knarr_core::id::ContainerId;
use knarr_core::spec::network::Driver;
use knarr_core::spec::{Attachment, Dns, NetworkMode};
use knarr_runtime::container::{self, connect, disconnect};
use knarr_runtime::net::{self, NewNetwork, Step};

crate::tests![
    servers,
    clients,
    faults,
    a_port_that_is_taken,
    the_only_network,
    no_network_is_not_the_host_s,
    who_shares_the_network,
    a_namespace_outlives_the_membership,
    networks_of_the_loopback,
    native_clients_learn_names,
    refusals,
];

fn network(fixture: &Fixture, name: &str) {
    net::create(fixture.root(), NewNetwork { name: name.into(), ..Default::default() }).unwrap();
}

pub fn wish(network: &str) -> Attachment {
    Attachment { network: network.into(), ..Default::default() }
}

/// Two networks, and all that is made once for the Wasm containers of either, and of one that are connected to the other.
pub fn fixture() -> Fixture {
    host::become_host();
    let fixture = guests::fixture();
    network(&fixture, "one");
    network(&fixture, "two");
    for networks in [&["one", "two"][..], &["two"]] {
        let id = fixture.create_wasm(&["sleep", "1000"], on(networks));
        fixture.start(&id);
        stop(&fixture, &id);
        remove(&fixture, &id);
    }
    fixture
}

fn remove(fixture: &Fixture, id: &ContainerId) {
    let remove = container::remove::Remove { force: true, volumes: true };
    container::remove(&fixture.store, id, remove).unwrap();
}

/// On a network; other name servers than its own are where nobody answers, which shows at once.
pub fn client_on(network: &str) -> RunOptions {
    let dns = Dns { servers: vec!["127.0.0.1".parse().unwrap()], ..Default::default() };
    RunOptions { dns, ..on(&[network]) }
}

pub fn idle_native(fixture: &Fixture, network: &str) -> ContainerId {
    idle_native_named(fixture, &format!("native-{network}"), network)
}

pub fn idle_native_named(fixture: &Fixture, name: &str, network: &str) -> ContainerId {
    let options = named(name, client_on(network));
    let id = fixture.create(&["sleep", "1000"], options);
    fixture.start(&id);
    id
}

/// What a native program hears from a server of HTTP; `None` if it does not get there.
pub fn native_get(fixture: &Fixture, from: &ContainerId, host: &str, port: u16) -> Option<String> {
    let script = format!(
        "import socket
s = socket.create_connection(('{host}', {port}), 2)
s.sendall(b'GET / HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')
while True:
    d = s.recv(4096)
    if not d: break
    print(d.decode())
    if b'p1' in d: break"
    );
    let output = within(fixture, from, &script);
    output.status.success().then(|| stdout(&output).to_owned())
}

/// What a Wasm client on a network hears.
pub fn wasm_get(fixture: &Fixture, network: &str, host: &str, port: u16) -> Option<String> {
    let words = [host, &port.to_string(), "GET / HTTP/1.0\r\nHost: x\r\n\r\n"];
    let id = guest(fixture, "tcpc.p2", &[], &words, client_on(network));
    let output = fixture.run(&id);
    remove(fixture, &id);
    output.status.success().then(|| stdout(&output).to_owned())
}

/// A server of each kind that listens by its host's doing, on a low port.
fn servers() {
    let fixture = fixture();
    let web = guest(&fixture, "httpd.p2", &[80], &[], named("web", client_on("one")));
    let p1 = guest(&fixture, "sockd.p1", &[81, 82], &[], named("p1", on(&["one"])));
    fixture.start(&web);
    guests::serve(&fixture, &p1);
    let (near, far) = (idle_native(&fixture, "one"), idle_native(&fixture, "two"));
    let all = [(&web, "web", 80, "hello"), (&p1, "p1", 81, "p1"), (&p1, "p1", 82, "p1")];
    let before = Snapshot::take(&fixture);
    for _ in 0..2 {
        for (_, name, port, _) in all {
            assert_eq!(native_get(&fixture, &far, name, port), None);
            assert_eq!(wasm_get(&fixture, "two", name, port), None);
        }
        for id in [&web, &p1] {
            connect(fixture.root(), id, &wish("two")).unwrap();
        }
        for (id, name, port, body) in all {
            let at = address(&fixture, id, "two").to_string();
            for host in [name, &at] {
                let heard = native_get(&fixture, &far, host, port).unwrap_or_default();
                assert!(heard.contains(body), "{host}:{port}: {heard}");
                let heard = wasm_get(&fixture, "two", host, port).unwrap_or_default();
                assert!(heard.contains(body), "{host}:{port}: {heard}");
            }
            // and where it was
            assert!(native_get(&fixture, &near, name, port).unwrap().contains(body));
            assert!(wasm_get(&fixture, "one", name, port).unwrap().contains(body));
        }
        let left: Vec<_> = [&web, &p1].map(|id| address(&fixture, id, "two").to_string()).into();
        for id in [&web, &p1] {
            disconnect(fixture.root(), id, "two").unwrap();
        }
        for (at, (_, name, port, body)) in left.iter().zip(all) {
            assert_eq!(native_get(&fixture, &far, name, port), None);
            assert_eq!(native_get(&fixture, &far, at, port), None);
            assert_eq!(wasm_get(&fixture, "two", name, port), None);
            assert_eq!(wasm_get(&fixture, "two", at, port), None);
            assert!(native_get(&fixture, &near, name, port).unwrap().contains(body));
        }
    }
    // the addresses are nobody else's as long as those that had them live
    let now = Snapshot::take(&fixture);
    let new: Vec<_> = now.lines().difference(before.lines()).collect();
    assert!(new.iter().all(|line| line.starts_with("two: 172.")) && new.len() == 4, "{new:#?}");
    assert_eq!(before.lines().difference(now.lines()).count(), 0);
    for id in [&web, &p1] {
        stop(&fixture, id);
        fixture.start(id);
    }
    let leases = knarr_core::fsx::list(&fixture.root().network("two").leases()).unwrap();
    assert_eq!(leases.len(), 1, "the native container's: {leases:?}");
}

/// A guest that asks others, each time a new request.
fn clients() {
    let fixture = fixture();
    let web = guest(&fixture, "httpd.p2", &[8080], &[], named("web", client_on("one")));
    fixture.start(&web);
    let near = address(&fixture, &web, "one");
    let far = idle_native(&fixture, "two");
    let _native = native_server(&fixture, &far, 7000);
    let p2 = guest(&fixture, "tcpd.p2", &[], &["0.0.0.0:7000"], named("p2", on(&["two"])));
    guests::serve(&fixture, &p2);
    let ask = |host: &str| get(near, 8080, &format!("/fetch?url=http://{host}:7000/"));
    let at = address(&fixture, &far, "two").to_string();
    for _ in 0..2 {
        for host in ["native-two", "p2", &at] {
            let said = ask(host);
            assert!(!said.contains("200 OK\r\n") || !said.contains("\n200 "), "{host}: {said}");
        }
        connect(fixture.root(), &web, &wish("two")).unwrap();
        let own = address(&fixture, &web, "two").to_string();
        for (host, body) in [("native-two", own.as_str()), ("p2", "p2"), (&at, &own)] {
            let said = ask(host);
            assert!(said.contains("200 ") && said.ends_with(body), "{host}: {said}");
        }
        // its own name means all its addresses
        disconnect(fixture.root(), &web, "two").unwrap();
        let said = ask(&at);
        assert!(!said.ends_with(&own), "{said}");
    }
    wait_until(|| {
        let denied = format!("knarr: tcp to {at}:7000");
        log(&fixture, &web).iter().any(|line| line.contains(&denied))
    });
}

fn faults() {
    let fixture = fixture();
    let web = guest(&fixture, "httpd.p2", &[80], &[], named("web", client_on("one")));
    fixture.start(&web);
    let before = Snapshot::take(&fixture);
    let mut failed = Vec::new();
    loop {
        let (mut calls, spared) = (0, failed.len());
        let result = net::connect(fixture.root(), &fixture.load(&web), &wish("two"), &mut |step| {
            calls += 1;
            if calls <= spared {
                return Ok(());
            }
            failed.push(step);
            Err(std::io::Error::other("injected"))
        });
        let Err(error) = result else { break };
        assert!(chain(&error).ends_with(": injected"), "{}", chain(&error));
        Snapshot::until(&fixture, &before);
    }
    let steps = [Step::Bridge, Step::Rules, Step::Lease, Step::Link, Step::Record];
    assert_eq!(failed, steps);
    // somebody who dies halfway leaves a container that takes all back when it ends
    stop(&fixture, &web);
    let down = Snapshot::take(&fixture);
    let leases = knarr_core::fsx::list(&fixture.root().network("two").leases()).unwrap();
    assert!(leases.is_empty(), "{leases:?}");
    fixture.start(&web);
    host::kill(fixture.load(&web).state.monitor.unwrap());
    knarr_runtime::reconcile::container(fixture.root(), &web).unwrap();
    Snapshot::until(&fixture, &down);
}

fn a_port_that_is_taken() {
    let fixture = fixture();
    let web = guest(&fixture, "httpd.p2", &[80], &[], named("web", client_on("one")));
    fixture.start(&web);
    let before = Snapshot::take(&fixture);
    let subnet = net::find(fixture.root(), "two").unwrap().ipv4.unwrap().subnet;
    let ip = std::net::Ipv4Addr::from(u32::from(subnet.network()) + 99);
    let pid = fixture.load(&web).state.pid.unwrap();
    let squatter = host::program(
        &format!("nsenter --net=/proc/{pid}/ns/net python3 -c"),
        &format!(
            "import socket, time
s = socket.socket(); s.setsockopt(0, 15, 1); s.bind(('{ip}', 80)); s.listen(1)
print('ready', flush=True); time.sleep(1000)"
        ),
    );
    let wish = Attachment { ipv4: Some(ip), ..wish("two") };
    let error = connect(fixture.root(), &web, &wish).unwrap_err();
    assert!(chain(&error).contains("in use"), "{}", chain(&error));
    drop(squatter);
    let kept = |line: &&String| !line.starts_with(&format!("two: {ip}"));
    let now = Snapshot::take(&fixture);
    let new: Vec<_> = now.lines().difference(before.lines()).filter(kept).collect();
    assert!(new.is_empty(), "{new:#?}");
    assert!(get(address(&fixture, &web, "one"), 80, "/").contains("hello"));
    connect(fixture.root(), &web, &wish).unwrap();
    assert!(get(ip.into(), 80, "/").contains("hello"));
}

fn the_only_network() {
    let fixture = fixture();
    let _outside = serve("ip netns exec outside", host::OUTSIDE, 80);
    let client = guest(&fixture, "httpd.p2", &[8080], &[], named("web", client_on("one")));
    let loopback = guest(&fixture, "tcpd.p2", &[], &["127.0.0.1:7000"], named("lo", on(&["one"])));
    fixture.start(&client);
    guests::serve(&fixture, &loopback);
    let first = address(&fixture, &loopback, "one");
    for id in [&client, &loopback] {
        disconnect(fixture.root(), id, "one").unwrap();
    }
    assert!(fixture.load(&client).state.is_alive());
    // nobody gets the address of a guest that lives, so nobody's loopback is its
    let subnet = net::find(fixture.root(), "one").unwrap().ipv4.unwrap().subnet;
    let mut options = on(&["one"]);
    if let Some(NetworkMode::Networks(wishes)) = &mut options.network {
        wishes[0].ipv4 = first.to_string().parse().ok();
    }
    assert!(subnet.contains(&first.to_string().parse::<std::net::Ipv4Addr>().unwrap()));
    let heir = fixture.create_wasm(&["sleep", "1000"], options);
    let error = container::start(&fixture.store, &heir).unwrap_err();
    assert!(chain(&error).contains("is used by"), "{}", chain(&error));
    stop(&fixture, &loopback);
    fixture.start(&heir);
    // back on its first network, and on the second alone
    connect(fixture.root(), &client, &wish("one")).unwrap();
    let near = address(&fixture, &client, "one");
    assert!(get(near, 8080, "/").contains("hello"));
    connect(fixture.root(), &client, &wish("two")).unwrap();
    disconnect(fixture.root(), &client, "one").unwrap();
    let far = address(&fixture, &client, "two");
    let url = format!("/fetch?url=http://{}:80/", host::OUTSIDE);
    assert!(get(far, 8080, "/").contains("hello"));
    let _ = get(far, 8080, &url);
    let ask = format!("/fetch?url=http://{far}:8080/");
    assert!(get(far, 8080, &ask).contains("hello"), "it reaches itself");
    // both remembered
    stop(&fixture, &client);
    fixture.start(&client);
    assert!(get(address(&fixture, &client, "two"), 8080, "/").contains("hello"));
}

fn no_network_is_not_the_host_s() {
    let fixture = fixture();
    let _host = serve("", "127.0.0.1", 7000);
    let _outside = serve("ip netns exec outside", host::OUTSIDE, 80);
    for (host, port) in [("127.0.0.1", "7000"), (host::OUTSIDE, "80")] {
        let id = guest(&fixture, "tcpc.p2", &[], &[host, port, "x"], on(&["one"]));
        disconnect(fixture.root(), &id, "one").unwrap();
        let output = fixture.run(&id);
        assert!(!output.status.success(), "{host}: {output:?}");
    }
    // it can be connected all the same
    let web = guest(&fixture, "httpd.p2", &[80], &[], named("web", client_on("one")));
    disconnect(fixture.root(), &web, "one").unwrap();
    fixture.start(&web);
    let own = shell(&format!("readlink /proc/{}/ns/net", fixture.load(&web).state.pid.unwrap()));
    assert_ne!(own, shell("readlink /proc/self/ns/net"));
    connect(fixture.root(), &web, &wish("two")).unwrap();
    assert!(get(address(&fixture, &web, "two"), 80, "/").contains("hello"));
    disconnect(fixture.root(), &web, "two").unwrap();
    let pid = fixture.load(&web).state.pid.unwrap();
    let left = shell(&format!(
        "nsenter --net=/proc/{pid}/ns/net ip -4 -o addr; nsenter --net=/proc/{pid}/ns/net ip rule"
    ));
    assert!(!left.contains("kn-") && !left.contains("from 1"), "{left}");
}

fn who_shares_the_network() {
    let fixture = fixture();
    let first = guest(&fixture, "httpd.p2", &[80], &[], named("first", on(&["one"])));
    fixture.start(&first);
    let network = Some(NetworkMode::Container(first.clone()));
    let options = named("second", RunOptions { network, ..Default::default() });
    let second = guest(&fixture, "httpd.p2", &[81], &[], options);
    fixture.start(&second);
    connect(fixture.root(), &first, &wish("two")).unwrap();
    let at = address(&fixture, &first, "two");
    for port in [80, 81] {
        assert!(get(at, port, "/").contains("hello"), "{port}");
    }
    let _native = native_server(&fixture, &idle_native(&fixture, "two"), 7000);
    let said = get(at, 81, "/fetch?url=http://native-two:7000/");
    assert!(said.ends_with(&at.to_string()), "{said}");
    disconnect(fixture.root(), &first, "two").unwrap();
    let near = address(&fixture, &first, "one");
    let said = get(near, 81, "/fetch?url=http://native-two:7000/");
    assert!(!said.ends_with(&at.to_string()), "{said}");
}

/// It cannot be removed while somebody lives there, and those that come find their own.
fn a_namespace_outlives_the_membership() {
    let fixture = fixture();
    let web = guest(&fixture, "httpd.p2", &[80], &[], named("web", client_on("one")));
    fixture.start(&web);
    connect(fixture.root(), &web, &wish("two")).unwrap();
    disconnect(fixture.root(), &web, "one").unwrap();
    let error = net::remove(fixture.root(), "one").unwrap_err();
    assert!(chain(&error).contains("is used by web"), "{}", chain(&error));
    // without the mount the namespace of network two is found by a container, but not by this one
    let path = fixture.root().network("two").shared_namespace();
    shell(&format!("umount {}", path.display()));
    let other = guest(&fixture, "httpd.p2", &[80], &[], named("other", on(&["two"])));
    fixture.start(&other);
    let of = |id: &ContainerId| {
        shell(&format!("readlink /proc/{}/ns/net", fixture.load(id).state.pid.unwrap()))
    };
    assert_ne!(of(&web), of(&other));
    for id in [&web, &other] {
        assert!(get(address(&fixture, id, "two"), 80, "/").contains("hello"));
    }
    stop(&fixture, &web);
    net::remove(fixture.root(), "one").unwrap();
}

fn networks_of_the_loopback() {
    host::become_host();
    let fixture = guests::fixture();
    for name in ["one", "two"] {
        let driver = Some(Driver::Loopback);
        let new = NewNetwork { name: name.into(), driver, ..Default::default() };
        net::create(fixture.root(), new).unwrap();
    }
    let web = guest(&fixture, "httpd.p2", &[80], &[], named("web", client_on("one")));
    fixture.start(&web);
    assert_eq!(wasm_get(&fixture, "two", "web", 80), None);
    connect(fixture.root(), &web, &wish("two")).unwrap();
    for network in ["one", "two"] {
        assert!(wasm_get(&fixture, network, "web", 80).unwrap().contains("hello"), "{network}");
    }
    disconnect(fixture.root(), &web, "two").unwrap();
    assert_eq!(wasm_get(&fixture, "two", "web", 80), None);
    assert!(wasm_get(&fixture, "one", "web", 80).unwrap().contains("hello"));
    network(&fixture, "bridged");
    let error = connect(fixture.root(), &web, &wish("bridged")).unwrap_err();
    assert!(chain(&error).contains("another driver"), "{}", chain(&error));
    assert_eq!(net::memberships(fixture.root(), &web).unwrap().len(), 1);
}

fn native_clients_learn_names() {
    let fixture = fixture();
    let web = guest(&fixture, "httpd.p2", &[80], &[], named("web", client_on("two")));
    fixture.start(&web);
    let client = idle_native(&fixture, "one");
    assert_eq!(native_get(&fixture, &client, "web", 80), None);
    connect(fixture.root(), &client, &wish("two")).unwrap();
    assert!(native_get(&fixture, &client, "web", 80).unwrap().contains("hello"));
    disconnect(fixture.root(), &client, "two").unwrap();
    assert_eq!(native_get(&fixture, &client, "web", 80), None);
}

fn refusals() {
    let fixture = fixture();
    for mode in [NetworkMode::Host, NetworkMode::None] {
        let options = RunOptions { network: Some(mode), ..Default::default() };
        let id = fixture.create_wasm(&["sleep", "1000"], options);
        fixture.start(&id);
        let error = connect(fixture.root(), &id, &wish("two")).unwrap_err();
        assert!(chain(&error).contains("no network of its own"), "{}", chain(&error));
    }
    let id = fixture.create_wasm(&["sleep", "1000"], on(&["one"]));
    fixture.start(&id);
    let before = Snapshot::take(&fixture);
    let error = connect(fixture.root(), &id, &wish("nowhere")).unwrap_err();
    assert!(chain(&error).contains("no network"), "{}", chain(&error));
    let error = connect(fixture.root(), &id, &wish("one")).unwrap_err();
    assert!(chain(&error).contains("is on network one already"), "{}", chain(&error));
    let error = disconnect(fixture.root(), &id, "two").unwrap_err();
    assert!(chain(&error).contains("is not on network two"), "{}", chain(&error));
    let far = Attachment { ipv4: "203.0.113.1".parse().ok(), ..wish("two") };
    let error = connect(fixture.root(), &id, &far).unwrap_err();
    assert!(chain(&error).contains("lies in no subnet"), "{}", chain(&error));
    let driver = Some(Driver::Loopback);
    let new = NewNetwork { name: "lo".into(), driver, ..Default::default() };
    net::create(fixture.root(), new).unwrap();
    let error = connect(fixture.root(), &id, &wish("lo")).unwrap_err();
    assert!(chain(&error).contains("another driver"), "{}", chain(&error));
    net::remove(fixture.root(), "lo").unwrap();
    Snapshot::until(&fixture, &before);
    // a guest that uses no network is told as well, and none of it is lost on the way
    for _ in 0..3 {
        connect(fixture.root(), &id, &wish("two")).unwrap();
        disconnect(fixture.root(), &id, "two").unwrap();
    }
}
