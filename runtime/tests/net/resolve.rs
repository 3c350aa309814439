//! Who resolves which names: glibc, busybox and WASI.

use crate::fixture::*;
use crate::guests::{self, address, guest, named, run, within};
use crate::{host, on, stop};
use knarr_core::spec::{Dns, NetworkMode};
use knarr_runtime::net::{self, NewNetwork};

crate::tests![names_and_replicas, names_beyond, a_search_domain, families];

fn network(fixture: &Fixture, name: &str) {
    net::create(fixture.root(), NewNetwork { name: name.into(), ..Default::default() }).unwrap();
}

fn with_alias(alias: &str, options: RunOptions) -> RunOptions {
    let mut options = options;
    if let Some(NetworkMode::Networks(wishes)) = &mut options.network {
        wishes[0].aliases = vec![alias.to_owned()];
    }
    options
}

fn names_and_replicas() {
    host::become_host();
    let fixture = guests::fixture();
    network(&fixture, "net");
    network(&fixture, "other");
    let replicas: Vec<_> = (0..3)
        .map(|i| {
            let options = with_alias("pool", named(&format!("replica{i}"), on(&["net"])));
            let id = match i {
                0 => fixture.create(&["sleep", "1000"], options),
                _ => guest(&fixture, "tcpd.p2", &[], &["0.0.0.0:7000"], options),
            };
            fixture.start(&id);
            id
        })
        .collect();
    let stranger = fixture.create(&["sleep", "1000"], named("stranger", on(&["other"])));
    fixture.start(&stranger);
    let native = fixture.create(&["sleep", "1000"], on(&["net"]));
    fixture.start(&native);
    let mut all: Vec<String> =
        replicas.iter().map(|id| address(&fixture, id, "net").to_string()).collect();
    all.sort();
    let script = |name: &str| {
        format!(
            "import socket
print(*sorted({{a[4][0] for a in socket.getaddrinfo('{name}', 1, socket.AF_INET)}}))"
        )
    };
    let glibc = within(&fixture, &native, &script("pool"));
    assert_eq!(stdout(&glibc).trim(), all.join(" "), "{}", stderr(&glibc));
    let unknown = within(&fixture, &native, &script("stranger"));
    assert!(!unknown.status.success(), "a name of another network");
    let busybox = crate::command::command_of(
        fixture.root(),
        "exec",
        &native,
        &["busybox", "nslookup", "pool"],
    );
    let output = { busybox }.output().unwrap();
    for one in &all {
        assert!(stdout(&output).contains(&format!("Address: {one}\n")), "{output:?}");
    }
    let id = replicas[1].short().to_owned();
    for (name, expected) in [
        ("pool", all.join(", ")),
        ("REPLICA1.", all_of(&fixture, &replicas[1])),
        (&id, all_of(&fixture, &replicas[1])),
        ("replica1.net", all_of(&fixture, &replicas[1])),
    ] {
        let wasi = run_p3(&fixture, name);
        let mut found: Vec<&str> = wasi.split(", ").collect();
        found.sort_unstable();
        assert_eq!(found.join(", "), expected, "{name}");
    }
    // one that has ended is gone
    stop(&fixture, &replicas[2]);
    let glibc = within(&fixture, &native, &script("pool"));
    assert_eq!(stdout(&glibc).split_whitespace().count(), 2);
    let reverse = format!(
        "import socket; print(socket.gethostbyaddr('{}')[0])",
        address(&fixture, &replicas[1], "net")
    );
    let reverse = within(&fixture, &native, &reverse);
    assert_eq!(stdout(&reverse), "replica1.net\n", "{}", stderr(&reverse));
}

fn all_of(fixture: &Fixture, id: &knarr_core::id::ContainerId) -> String {
    address(fixture, id, "net").to_string()
}

/// The addresses of a name, as a guest of WASI 0.3 sees them.
fn run_p3(fixture: &Fixture, name: &str) -> String {
    let client = guest(fixture, "p3net.p3", &[], &["udp-ask", name, "9", "x"], on(&["net"]));
    fixture.start(&client);
    wait_until(|| log(fixture, &client).iter().any(|line| line.contains("->")));
    let lines = log(fixture, &client);
    let line = lines.iter().find_map(|line| line.split_once("-> [")).unwrap().1;
    stop(fixture, &client);
    line.trim_end().trim_end_matches(']').to_owned()
}

/// Names that no network has are asked of the servers given, also where only the host reaches them.
fn names_beyond() {
    host::become_host();
    let fixture = guests::fixture();
    network(&fixture, "net");
    // on the host's own loopback, as systemd-resolved is
    let _server = host::program(
        "python3 -c",
        "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 53))
print('ready', flush=True)
while True:
    d, a = s.recvfrom(4096)
    q = d[12:d.index(b'\\0', 12) + 5]
    is_a = q[-4:-2] == b'\\0\\1'
    r = b'\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4\\xc0\\0\\2\\x07' if is_a else b''
    s.sendto(d[:2] + b'\\x81\\x80\\0\\1\\0' + bytes([is_a]) + b'\\0\\0\\0\\0' + q + r, a)",
    );
    let dns = Dns { servers: vec!["127.0.0.1".parse().unwrap()], ..Dns::default() };
    let options = || RunOptions { dns: dns.clone(), ..on(&["net"]) };
    let native = fixture.create(&["sleep", "1000"], options());
    fixture.start(&native);
    let script = "import socket; print(socket.gethostbyname('far.example'))";
    let glibc = within(&fixture, &native, script);
    assert_eq!(stdout(&glibc), "192.0.2.7\n", "{}", stderr(&glibc));
    let client = guest(&fixture, "tcpc.p2", &[], &["far.example", "9"], options());
    fixture.start(&client);
    wait_until(|| log(&fixture, &client).iter().any(|line| line.contains("[192.0.2.7]")));
}

/// Somebody outside has an answer for every name below the search domain, and does not hear of a neighbour's.
fn a_search_domain() {
    host::become_host();
    let fixture = guests::fixture();
    network(&fixture, "net");
    let asked = fixture.host("asked");
    let _server = host::program(
        "python3 -c",
        &format!(
            "import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('127.0.0.1', 53))
log = open('{}', 'wb', 0); print('ready', flush=True)
while True:
    d, a = s.recvfrom(4096)
    q = d[12:d.index(b'\\0', 12) + 5]; log.write(q)
    known = b'\\4corp' in q
    r = b'\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\x3c\\0\\4\\xc6\\x33\\x64\\x63' if known and q[-4:-2] == b'\\0\\1' else b''
    code = b'\\x81\\x80' if known else b'\\x81\\x83'
    s.sendto(d[:2] + code + b'\\0\\1\\0' + bytes([bool(r)]) + b'\\0\\0\\0\\0' + q + r, a)",
            asked.display()
        ),
    );
    let db = fixture.create(&["sleep", "1000"], named("db", on(&["net"])));
    fixture.start(&db);
    let own = all_of(&fixture, &db);
    let dns = Dns {
        servers: vec!["127.0.0.1".parse().unwrap()],
        search: vec!["corp.example".into()],
        ..Dns::default()
    };
    let options = || RunOptions { dns: dns.clone(), ..on(&["net"]) };
    let native = fixture.create(&["sleep", "1000"], options());
    fixture.start(&native);
    let script = |name: &str| format!("import socket; print(socket.gethostbyname('{name}'))");
    let glibc = within(&fixture, &native, &script("db"));
    assert_eq!(stdout(&glibc).trim(), own, "{}", stderr(&glibc));
    let client = guest(&fixture, "tcpc.p2", &[], &["db", "9"], options());
    fixture.start(&client);
    wait_until(|| log(&fixture, &client).iter().any(|line| line.contains(&format!("[{own}]"))));
    let heard = knarr_core::fsx::read(&asked).unwrap();
    assert!(!heard.windows(3).any(|part| part == b"\x02db"), "{heard:?}");
    // names of the domain's are found after that
    let glibc = within(&fixture, &native, &script("wiki"));
    assert_eq!(stdout(&glibc).trim(), "198.51.100.99", "{}", stderr(&glibc));
    // the user has the last word
    let dns = Dns { options: vec!["ndots:1".into()], ..dns.clone() };
    let native = fixture.create(&["sleep", "1000"], RunOptions { dns, ..on(&["net"]) });
    fixture.start(&native);
    let glibc = within(&fixture, &native, &script("db"));
    assert_eq!(stdout(&glibc).trim(), "198.51.100.99", "{}", stderr(&glibc));
}

fn families() {
    host::become_host();
    let fixture = guests::fixture();
    let new = NewNetwork { name: "six".into(), ipv6: true, ..Default::default() };
    net::create(fixture.root(), new).unwrap();
    let server = guest(&fixture, "tcpd.p2", &[], &["[::]:7000"], named("server", on(&["six"])));
    guests::serve(&fixture, &server);
    let endpoints = net::endpoints(fixture.root(), "six").unwrap();
    let six = endpoints.iter().find(|e| e.container == server).unwrap().ipv6.unwrap();
    let client = |module: &str, words: &[&str]| {
        let client = guest(&fixture, module, &[], words, on(&["six"]));
        run(&fixture, &client)
    };
    let said = client("tcpc.p2", &[&six.to_string(), "7000", "hello\n"]);
    assert!(said.contains("server> hello"), "{said}");
    let said = client("p3net.p3", &["ask", &six.to_string(), "7000", "hello\n"]);
    assert!(said.contains("server> hello"), "{said}");
    let lines = log(&fixture, &server);
    let accepted = lines.iter().filter(|l| l.contains("accepted") && l.contains("Ipv6"));
    assert_eq!(accepted.count(), 2, "{lines:?}");
    let native = fixture.create(&["sleep", "1000"], on(&["six"]));
    fixture.start(&native);
    let script = "import socket
s = socket.create_connection(('server', 7000)); print(s.getpeername()[0])
s.sendall(b'hi\\n'); print(s.recv(99).decode())";
    let output = within(&fixture, &native, script);
    assert!(stdout(&output).contains(&format!("{six}\nserver> hi")), "{output:?}");
}
