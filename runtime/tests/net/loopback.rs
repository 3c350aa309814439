//! Networks that the host's loopback carries: for guests they are as any other.

use crate::fixture::*;
use crate::guests::{self, address, get, guest, named, run};
use crate::host::{self, serve};
use crate::{on, stop};
use knarr_core::id::ContainerId;
use knarr_core::spec::network::Driver;
use knarr_core::spec::{Port, Protocol};
use knarr_runtime::net::{self, NewNetwork};
use std::net::Ipv4Addr;
use std::process::Output;

crate::tests![
    all_kinds,
    loopback_datagrams,
    published,
    apart,
    ports_are_bound_once,
    what_ends_is_forgotten
];

const REQUEST: &str = "GET / HTTP/1.0\r\nHost: x\r\n\r\n";

fn fixture(networks: &[&str]) -> Fixture {
    host::become_host();
    let fixture = guests::fixture();
    for name in networks {
        let driver = Some(Driver::Loopback);
        let new = NewNetwork { name: (*name).into(), driver, ..Default::default() };
        net::create(fixture.root(), new).unwrap();
    }
    fixture
}

fn tcpd(fixture: &Fixture, name: &str, at: &str) -> ContainerId {
    let id = guest(fixture, "tcpd.p2", &[], &[at], named(name, on(&["net"])));
    guests::serve(fixture, &id);
    id
}

fn attempt(fixture: &Fixture, module: &str, words: &[&str]) -> Output {
    fixture.run(&guest(fixture, module, &[], words, on(&["net"])))
}

fn all_kinds() {
    let fixture = fixture(&["net"]);
    let options = |name: &str| named(name, on(&["net"]));
    let p2 = tcpd(&fixture, "p2", "0.0.0.0:80");
    let p3 = guest(&fixture, "p3net.p3", &[80], &["serve", "80"], options("p3"));
    let p1 = guest(&fixture, "sockd.p1", &[80], &[], options("p1"));
    let http = guest(&fixture, "httpd.p2", &[80], &[], options("http"));
    guests::serve(&fixture, &p3);
    guests::serve(&fixture, &p1);
    fixture.start(&http);
    let own = address(&fixture, &p2, "net");
    assert_eq!(log(&fixture, &p2)[0], format!("stdout:listening on {own}:80\n"));
    // a client of wasi:http, whom only its published port makes reachable from here
    let mut asked = on(&["net"]);
    asked.ports = vec![port(None, 80)];
    let web = guest(&fixture, "httpd.p2", &[80], &[], named("web", asked));
    fixture.start(&web);
    let reached = fixture.load(&web).state.ports[0].host_port.unwrap();
    for (name, id) in [("p2", &p2), ("p3", &p3), ("p1", &p1), ("http", &http)] {
        let at = address(&fixture, id, "net").to_string();
        let body = if name == "http" { "hello" } else { name };
        for host in [name, at.as_str()] {
            for (module, words) in [
                ("tcpc.p2", &[host, "80", REQUEST][..]),
                ("p3net.p3", &["ask", host, "80", REQUEST]),
            ] {
                let output = attempt(&fixture, module, words);
                let said = format!("{}{}", stdout(&output), stderr(&output));
                assert!(said.contains("200 OK") && said.contains(body), "{host}: {said}");
                // each side sees the other's own address
                let line = said.lines().find(|l| l.contains(" to ")).unwrap();
                let (own, peer) = line.split_once(" to ").unwrap();
                assert_eq!(peer, format!("{at}:80"), "{said}");
                if ["p2", "p3"].contains(&name) {
                    let seen = [
                        format!("({})", own_ip(own).replace('.', ", ")),
                        format!(" {}:", own_ip(own)),
                    ];
                    let is_own = |line: &&String| seen.iter().any(|own| line.contains(own));
                    wait_until(|| log(&fixture, id).iter().any(|line| is_own(&line)));
                }
            }
            let path = format!("/fetch?url=http://{host}/");
            let said = get(Ipv4Addr::LOCALHOST.into(), reached, &path);
            assert!(said.contains("200 OK\n") && said.contains(body), "{host}: {said}");
        }
    }
}

fn own_ip(own: &str) -> &str {
    own.split(':').next().unwrap()
}

fn port(host: Option<u16>, container: u16) -> Port {
    Port {
        host_ip: Some(Ipv4Addr::LOCALHOST.into()),
        host_port: host,
        host_last: None,
        container_port: container,
        protocol: Protocol::Tcp,
    }
}

fn loopback_datagrams() {
    let fixture = fixture(&["net"]);
    let servers = [
        guest(&fixture, "udp.p2", &[], &["serve", "0.0.0.0", "53"], named("p2", on(&["net"]))),
        guest(&fixture, "p3net.p3", &[], &["udp-serve", "53"], named("p3", on(&["net"]))),
    ];
    for (name, server) in ["p2", "p3"].iter().zip(&servers) {
        guests::serve(&fixture, server);
        let at = address(&fixture, server, "net").to_string();
        for (module, words) in [
            ("udp.p2", &["ask", &at, "53", "hello"][..]),
            ("udp.p2", &["ask", &at, "53", "hello", "connect"]),
            ("p3net.p3", &["udp-ask", &at, "53", "hello"]),
        ] {
            let said = run(&fixture, &guest(&fixture, module, &[], words, on(&["net"])));
            assert!(said.contains(&format!("{name}> hello")), "{said}");
            let (own, peer) = said.lines().find_map(|line| line.split_once(" to ")).unwrap();
            assert_eq!(peer, format!("{at}:53"));
            let seen = format!("stdout:datagram from {own}:");
            wait_until(|| log(&fixture, server).iter().any(|line| line.starts_with(&seen)));
        }
    }
}

/// A published port is the host's as well as the network's.
fn published() {
    let fixture = fixture(&["net"]);
    let publish = |name: &str, module: &str, words: &[&str]| {
        let mut options = named(name, on(&["net"]));
        options.ports = vec![port(None, 80)];
        let id = guest(&fixture, module, &[80], words, options);
        fixture.start(&id);
        id
    };
    for (name, module, words) in
        [("p2", "tcpd.p2", &["0.0.0.0:80"][..]), ("p1", "sockd.p1", &[]), ("http", "httpd.p2", &[])]
    {
        let id = publish(name, module, words);
        if name != "http" {
            wait_until(|| log(&fixture, &id).iter().any(|line| line.contains("listen")));
        }
        let reached = fixture.load(&id).state.ports[0].host_port.unwrap();
        assert!(get(Ipv4Addr::LOCALHOST.into(), reached, "/").contains("200 OK"));
        let output = attempt(&fixture, "tcpc.p2", &[name, "80", REQUEST]);
        assert!(stdout(&output).contains("200 OK"), "{output:?}");
    }
}

fn apart() {
    let fixture = fixture(&["net", "other"]);
    let _host = serve("", "127.0.0.1", 80);
    let server = tcpd(&fixture, "one", "0.0.0.0:80");
    let private = tcpd(&fixture, "two", "127.0.0.1:80");
    let far = guest(&fixture, "tcpd.p2", &[], &["0.0.0.0:80"], named("far", on(&["other"])));
    guests::serve(&fixture, &far);
    let denied = |words: &[&str]| {
        let output = attempt(&fixture, words[0], &words[1..]);
        let said = format!("{}{}", stdout(&output), stderr(&output)).to_lowercase();
        assert!(!output.status.success(), "{words:?}: {said}");
        said
    };
    let far = address(&fixture, &far, "other").to_string();
    assert!(denied(&["tcpc.p2", &far, "80"]).contains("knarr: tcp to"));
    assert!(denied(&["p3net.p3", "udp-ask", &far, "80", "x"]).contains("knarr: udp to"));
    denied(&["tcpc.p2", "far", "80"]);
    // the host's loopback, and a neighbour's
    assert!(denied(&["tcpc.p2", "127.0.0.1", "80"]).contains("refused"));
    assert!(denied(&["tcpc.p2", "localhost", "80"]).contains("refused"));
    let private = address(&fixture, &private, "net").to_string();
    assert!(denied(&["tcpc.p2", &private, "80"]).contains("refused"));
    // ports where nobody listens, addresses that nobody has, and a neighbour's address
    let own = address(&fixture, &server, "net").to_string();
    assert!(denied(&["tcpc.p2", &own, "81"]).contains("refused"));
    assert!(denied(&["tcpd.p2", &format!("{own}:81")]).contains("knarr: listening on"));
}

/// By one guest, as on any other network.
fn ports_are_bound_once() {
    let fixture = fixture(&["net"]);
    net::create(fixture.root(), NewNetwork { name: "bridged".into(), ..Default::default() })
        .unwrap();
    for network in ["net", "bridged"] {
        for address in ["0.0.0.0", "::", "127.0.0.1", "::1"] {
            let words = ["twice", address, "80"];
            let said = run(&fixture, &guest(&fixture, "p3net.p3", &[], &words, on(&[network])));
            let [_, second, bound] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
            assert_eq!(second, "Err(ErrorCode::AddressInUse)", "{network}: {said}");
            let own = match address {
                "0.0.0.0" => bound.starts_with("bound to 172."),
                "127.0.0.1" => bound == "bound to 127.0.0.1:80",
                _ => bound == "bound to [::1]:80",
            };
            assert!(own && bound.ends_with(":80"), "{network}: {said}");
        }
    }
}

fn what_ends_is_forgotten() {
    let fixture = fixture(&["net"]);
    let server = tcpd(&fixture, "one", "0.0.0.0:80");
    let at = address(&fixture, &server, "net").to_string();
    let ports = || {
        let folder = fixture.root().network("net").endpoints();
        let files = knarr_core::fsx::list(&folder).unwrap();
        files.iter().filter(|file| file.ends_with(".ports")).count()
    };
    assert_eq!(ports(), 1);
    stop(&fixture, &server);
    assert_eq!(ports(), 0);
    for host in [at.as_str(), "one"] {
        assert!(!attempt(&fixture, "tcpc.p2", &[host, "80"]).status.success());
    }
    fixture.start(&server);
    // it is found before it listens
    wait_until(|| {
        log(&fixture, &server).iter().filter(|line| line.contains("listen")).count() == 2
    });
    assert_eq!(ports(), 1);
    assert!(attempt(&fixture, "tcpc.p2", &["one", "80", "hello\n"]).status.success());
}
