//! What a Wasm guest on a network can neither do nor see.

use crate::fixture::*;
use crate::guests::{self, address, get, guest, named, run};
use crate::host::{self, ask, heard, serve, shell};
use crate::{on, stop};
use knarr_core::spec::{NetworkMode, Outbound};
use knarr_runtime::net::{self, NewNetwork};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Output;

crate::tests![
    only_its_own_addresses,
    a_loopback_of_its_own,
    other_networks_and_the_host,
    allowed_outbound,
    allowed_outbound_of_http,
    datagrams,
];

fn network(fixture: &Fixture, name: &str, internal: bool) {
    let new = NewNetwork { name: name.into(), internal, ..Default::default() };
    net::create(fixture.root(), new).unwrap();
}

fn attempt(fixture: &Fixture, module: &str, words: &[&str], network: &str) -> Output {
    fixture.run(&guest(fixture, module, &[], words, on(&[network])))
}

fn is_denied(output: &Output) {
    let all = format!("{}{}", stdout(output), stderr(output)).to_lowercase();
    assert!(!output.status.success(), "{all}");
    assert!(all.contains("access") && all.contains("denied"), "{all}");
    let lines = stderr(output).lines().filter(|l| l.starts_with("knarr: "));
    assert_eq!(lines.count(), 1, "one line in the log: {all}");
}

fn only_its_own_addresses() {
    host::become_host();
    let fixture = guests::fixture();
    network(&fixture, "net", false);
    // a program of the host on the same port, at all of the host's addresses
    let _host = serve("", "0.0.0.0", 7000);
    let server = guest(&fixture, "tcpd.p2", &[], &["0.0.0.0:7000"], named("one", on(&["net"])));
    guests::serve(&fixture, &server);
    let own = address(&fixture, &server, "net");
    let lines = log(&fixture, &server);
    assert_eq!(lines[0], format!("stdout:listening on {own}:7000\n"));
    // the same port is free for its neighbour, who may not have its address
    let second = guest(&fixture, "tcpd.p2", &[], &["0.0.0.0:7000"], named("two", on(&["net"])));
    guests::serve(&fixture, &second);
    is_denied(&attempt(&fixture, "tcpd.p2", &[&format!("{own}:7001")], "net"));
    let gateway = net::find(fixture.root(), "net").unwrap().ipv4.unwrap().gateway;
    is_denied(&attempt(&fixture, "tcpd.p2", &[&format!("{gateway}:7001")], "net"));
    // what cannot be had by anybody is no matter of what is allowed
    for (module, words, error) in [
        ("udp.p2", &["serve", "192.0.2.1", "7001"][..], "AddressNotBindable"),
        ("udp.p2", &["serve", "2001:db8::1", "7001"], "AddressNotBindable"),
        ("udp.p2", &["serve", "::ffff:127.0.0.1", "7001"], "InvalidArgument"),
        ("udp.p2", &["ask", "::ffff:127.0.0.1", "7001", "x"], "InvalidArgument"),
        ("tcpd.p2", &["224.0.0.1:7001"], "InvalidInput"),
        ("tcpd.p2", &["[ff02::1]:7001"], "InvalidInput"),
        ("tcpc.p2", &["ff02::1", "7001"], "InvalidArgument"),
        ("p3net.p3", &["ask", "ff02::1", "7001", "x"], "InvalidArgument"),
        ("p3net.p3", &["ask", "::", "7001", "x"], "InvalidArgument"),
    ] {
        let output = attempt(&fixture, module, words, "net");
        let all = format!("{}{}", stdout(&output), stderr(&output)).to_lowercase();
        let said = all.replace('-', "").contains(&error.to_lowercase());
        assert!(said && !all.contains("knarr:"), "{words:?}: {all}");
    }
    for name in ["one", "two"] {
        let words = ["ask", name, "7000", "hello\n"];
        let said = run(&fixture, &guest(&fixture, "p3net.p3", &[], &words, on(&["net"])));
        assert!(said.ends_with(&format!("{name}> hello\n")), "{said}");
    }
}

fn a_loopback_of_its_own() {
    host::become_host();
    let fixture = guests::fixture();
    network(&fixture, "four", false);
    let new = NewNetwork { name: "six".into(), ipv6: true, ..Default::default() };
    net::create(fixture.root(), new).unwrap();
    let _host = [serve("", "127.0.0.1", 7000), serve("", "::1", 7000)];
    for network in ["four", "six"] {
        for loopback in ["127.0.0.1", "::1"] {
            loopbacks(&fixture, network, loopback);
        }
    }
}

/// Two guests that listen on their loopback, at the same port.
fn loopbacks(fixture: &Fixture, network: &str, loopback: &str) {
    let at = SocketAddr::new(loopback.parse().unwrap(), 7000);
    let pair = |module: &str, words: &[&str]| {
        ["one", "two"].map(|name| {
            let name = format!("{name}-{}-{network}-{}", &module[..3], at.is_ipv4());
            let server = guest(fixture, module, &[], words, named(&name, on(&[network])));
            guests::serve(fixture, &server);
            assert_eq!(log(fixture, &server)[0], format!("stdout:listening on {at}\n"));
            (name, server)
        })
    };
    let tcp = pair("tcpd.p2", &[&at.to_string()]);
    let udp = pair("udp.p2", &["serve", loopback, "7000"]);
    for ((name, server), module, words) in [
        (&tcp[0], "tcpc.p2", &[loopback, "7000", "hello\n"][..]),
        (&tcp[1], "p3net.p3", &["ask", loopback, "7000", "hello\n"]),
        (&udp[0], "udp.p2", &["ask", loopback, "7000", "hello"]),
        (&udp[1], "p3net.p3", &["udp-ask", loopback, "7000", "hello"]),
    ] {
        // who shares the container's network shares its loopback
        let inside = Some(NetworkMode::Container(server.clone()));
        let inside = RunOptions { network: inside, ..Default::default() };
        let output = fixture.run(&guest(fixture, module, &[], words, inside));
        let said = format!("{}{}", stderr(&output), stdout(&output));
        assert!(
            said.contains(loopback) && said.contains(&format!(" to {at}\n")),
            "{module}: {said}"
        );
        assert!(said.contains(&format!("{name}> hello")), "{module}: {said}");
    }
    for (_, server) in &udp {
        let client = format!("stdout:datagram from {}", SocketAddr::new(at.ip(), 0));
        let client = client.trim_end_matches('0');
        assert!(log(fixture, server)[1].starts_with(client), "{:?}", log(fixture, server));
    }
    // nobody else reaches it: by its own loopback, by the server's address, by what the loopback really is
    let own = address(fixture, &tcp[0].1, network).to_string();
    let [_, rest] = own.splitn(2, '.').collect::<Vec<_>>()[..] else { panic!("{own}") };
    let really = format!("127.{rest}");
    let [a, b, c, d] = really.parse::<Ipv4Addr>().unwrap().octets();
    let of_ipv6: Ipv6Addr = format!("100::{a:02x}{b:02x}:{c:02x}{d:02x}").parse().unwrap();
    let of_ipv6 = of_ipv6.to_string();
    for host in ["127.0.0.1", "::1", &own, &really, &of_ipv6, "localhost"] {
        let output = attempt(fixture, "tcpc.p2", &[host, "7000", "hello\n"], network);
        let all = format!("{}{}", stdout(&output), stderr(&output));
        assert!(
            !output.status.success() && all.to_lowercase().contains("refused"),
            "{host}: {all}"
        );
    }
    // nor do packets that come in for it
    let pid = fixture.load(&tcp[0].1).state.pid.unwrap();
    let way = |from: &str| {
        let get = format!("ip -6 route get {of_ipv6} {from} 2>&1 || true");
        shell(&format!("nsenter --net=/proc/{pid}/ns/net {get}"))
    };
    assert!(way("").starts_with(&format!("local {of_ipv6}")), "{}", way(""));
    let stranger = way("from 2001:db8::1 iif eth0");
    assert!(!stranger.contains("local") && !stranger.is_empty(), "{stranger}");
    let web = guest(fixture, "httpd.p2", &[], &[], on(&[network]));
    fixture.start(&web);
    let at = address(fixture, &web, network);
    for host in [&really, &format!("[{of_ipv6}]"), &format!("[::ffff:{really}]")] {
        let answer = get(at, 8080, &format!("/fetch?url=http://{host}:7000/"));
        assert!(answer.starts_with("HTTP/1.1 502 "), "{host}: {answer}");
    }
    let all = [&tcp[0].1, &tcp[1].1, &udp[0].1, &udp[1].1];
    for server in all {
        assert_eq!(log(fixture, server).len(), 2, "{:?}", log(fixture, server));
        stop(fixture, server);
    }
    stop(fixture, &web);
}

fn other_networks_and_the_host() {
    host::become_host();
    let fixture = guests::fixture();
    network(&fixture, "net", false);
    network(&fixture, "other", false);
    network(&fixture, "closed", true);
    let server = guest(&fixture, "tcpd.p2", &[], &["0.0.0.0:7000"], named("far", on(&["other"])));
    guests::serve(&fixture, &server);
    let native = fixture.create(&["sleep", "1000"], on(&["other"]));
    fixture.start(&native);
    let far = address(&fixture, &server, "other").to_string();
    is_denied(&attempt(&fixture, "tcpc.p2", &[&far, "7000"], "net"));
    is_denied(&attempt(&fixture, "p3net.p3", &["ask", &far, "7000", "x\n"], "net"));
    is_denied(&attempt(&fixture, "udp.p2", &["ask", &far, "7000", "x"], "net"));
    is_denied(&attempt(&fixture, "p3net.p3", &["udp-ask", &far, "7000", "x"], "net"));
    let native = address(&fixture, &native, "other").to_string();
    is_denied(&attempt(&fixture, "tcpc.p2", &[&native, "7000"], "net"));
    let web = guest(&fixture, "httpd.p2", &[8080], &[], on(&["net"]));
    fixture.start(&web);
    let own = address(&fixture, &web, "net");
    let answer = get(own, 8080, &format!("/fetch?url=http://{far}:7000/"));
    assert!(!answer.contains("200 OK"), "{answer}");
    wait_until(|| log(&fixture, &web).iter().any(|line| line.contains("knarr: tcp to")));
    // names of other networks do not exist
    let output = attempt(&fixture, "tcpc.p2", &["far", "7000"], "closed");
    assert!(stderr(&output).contains("name-unresolvable"), "{output:?}");
    // an internal network has no way out, whatever listens there
    let _outside = serve("ip netns exec outside", host::OUTSIDE, 80);
    is_denied(&attempt(&fixture, "tcpc.p2", &[host::OUTSIDE, "80"], "closed"));
    let out = attempt(&fixture, "tcpc.p2", &[host::OUTSIDE, "80", "x"], "net");
    assert!(stdout(&out).ends_with(&format!("{}\n", host::UPLINK)), "{out:?}");
    // and the host's loopback stays the host's
    let _loopback = serve("", "127.0.0.1", 81);
    let output = attempt(&fixture, "tcpc.p2", &["127.0.0.1", "81"], "net");
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(heard("", "127.0.0.1", 81), "127.0.0.1");
    assert!(!ask("ip netns exec outside", &far, 7000).status.success());
}

fn allowed_outbound() {
    host::become_host();
    let fixture = guests::fixture();
    network(&fixture, "net", false);
    for name in ["db", "secret"] {
        let server = guest(&fixture, "tcpd.p2", &[], &["0.0.0.0:7000"], named(name, on(&["net"])));
        guests::serve(&fixture, &server);
        let server = guest(
            &fixture,
            "udp.p2",
            &[],
            &["serve", "0.0.0.0", "7001"],
            named(&format!("{name}-udp"), on(&["net"])),
        );
        guests::serve(&fixture, &server);
    }
    let endpoints = net::endpoints(fixture.root(), "net").unwrap();
    let ip =
        |name: &str| endpoints.iter().find(|e| e.name == name).unwrap().ipv4.unwrap().to_string();
    let attempt = |module: &str, words: &[&str]| {
        let outbound = vec![
            Outbound { host: "db".into(), port: Some(7000) },
            Outbound { host: ip("db-udp"), port: None },
        ];
        let options = RunOptions { outbound: Some(outbound), ..on(&["net"]) };
        fixture.run(&guest(&fixture, module, &[], words, options))
    };
    for (module, words) in [
        ("tcpc.p2", &["db", "7000", "hello\n"][..]),
        ("p3net.p3", &["ask", "db", "7000", "hello\n"]),
        ("udp.p2", &["ask", &ip("db-udp"), "7001", "hello"]),
        ("udp.p2", &["ask", &ip("db-udp"), "7001", "hello", "connect"]),
    ] {
        let output = attempt(module, words);
        assert!(stdout(&output).contains("> hello"), "{module}: {output:?}");
    }
    is_denied(&attempt("tcpc.p2", &["secret", "7000"]));
    is_denied(&attempt("tcpc.p2", &["db", "7001"]));
    // an address is not allowed before its name was asked for
    is_denied(&attempt("tcpc.p2", &[&ip("db"), "7000"]));
    is_denied(&attempt("p3net.p3", &["ask", &ip("secret"), "7000", "x\n"]));
    is_denied(&attempt("udp.p2", &["ask", &ip("secret-udp"), "7001", "x"]));
    is_denied(&attempt("udp.p2", &["ask", &ip("secret-udp"), "7001", "x", "connect"]));
    is_denied(&attempt("p3net.p3", &["udp-ask", &ip("secret-udp"), "7001", "x"]));
}

fn allowed_outbound_of_http() {
    host::become_host();
    let fixture = guests::fixture();
    network(&fixture, "net", false);
    for name in ["web", "listed", "secret"] {
        fixture.start(&guest(&fixture, "httpd.p2", &[7000], &[], named(name, on(&["net"]))));
    }
    let endpoints = net::endpoints(fixture.root(), "net").unwrap();
    let ip =
        |name: &str| endpoints.iter().find(|e| e.name == name).unwrap().ipv4.unwrap().to_string();
    let outbound = vec![
        Outbound { host: "web".into(), port: Some(7000) },
        Outbound { host: ip("listed"), port: Some(7000) },
    ];
    let client = guest(
        &fixture,
        "httpd.p2",
        &[],
        &[],
        RunOptions { outbound: Some(outbound), ..on(&["net"]) },
    );
    fixture.start(&client);
    let own = address(&fixture, &client, "net");
    let fetch = |host: &str| get(own, 8080, &format!("/fetch?url=http://{host}/"));
    let secret = format!("{}:7000", ip("secret"));
    let other_port = format!("{}:7001", ip("listed"));
    // an address is not allowed before its name was asked for
    let web = format!("{}:7000", ip("web"));
    let mut expected = Vec::new();
    for (denied, line) in [
        (secret.as_str(), format!("tcp to {secret}")),
        (&other_port, format!("tcp to {other_port}")),
        (&web, format!("tcp to {web}")),
        ("secret:7000", "looking up secret".into()),
    ] {
        // however often it is tried, its line comes once
        expected.push(format!("stderr:knarr: {line}: access denied by the container's network\n"));
        for _ in 0..2 {
            let said = fetch(denied);
            assert!(said.starts_with("HTTP/1.1 502 "), "{denied}: {said}");
            let answer =
                "stderr:error: GET /fetch: the guest answered ErrorCode::HttpRequestDenied\n";
            expected.push(answer.into());
        }
    }
    wait_until(|| log(&fixture, &client).len() >= expected.len());
    assert_eq!(log(&fixture, &client), expected);
    for allowed in ["web:7000", &web, &format!("{}:7000", ip("listed"))] {
        let said = fetch(allowed);
        assert!(said.contains("200 OK\nhello"), "{allowed}: {said}");
    }
    assert_eq!(log(&fixture, &client), expected);
}

fn datagrams() {
    host::become_host();
    let fixture = guests::fixture();
    network(&fixture, "net", false);
    let servers = [
        guest(&fixture, "udp.p2", &[], &["serve", "0.0.0.0", "7001"], named("p2", on(&["net"]))),
        guest(&fixture, "p3net.p3", &[], &["udp-serve", "7001"], named("p3", on(&["net"]))),
    ];
    for (name, server) in ["p2", "p3"].iter().zip(&servers) {
        guests::serve(&fixture, server);
        let at = address(&fixture, server, "net").to_string();
        for (module, words) in [
            ("udp.p2", &["ask", &at, "7001", "hello"][..]),
            ("udp.p2", &["ask", &at, "7001", "hello", "connect"]),
            ("p3net.p3", &["udp-ask", &at, "7001", "hello"]),
        ] {
            let said = run(&fixture, &guest(&fixture, module, &[], words, on(&["net"])));
            assert!(said.contains(&format!("{name}> hello")), "{said}");
            // what the client says of itself is what the server has seen
            let own = said.lines().find_map(|line| line.split_once(" to ")).unwrap().0.to_owned();
            let seen = format!("stdout:datagram from {own}:");
            assert!(log(&fixture, server).iter().any(|line| line.starts_with(&seen)), "{said}");
        }
    }
}
