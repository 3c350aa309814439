//! Sockets and names of guests, published ports, outgoing requests, and no network at all.

use super::Test;
use super::container::{Container, Running};
use super::http;
use knarr_core::spec::{NetworkMode, Port, Protocol};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};

pub const TESTS: &[Test] = &[
    ("network::a_guest_listens_on_its_published_port", listens),
    ("network::names_of_the_container", names),
    ("network::none_means_none", none),
    ("network::a_port_that_is_taken", taken),
    ("network::outgoing_requests", requests),
];

fn publish(container: &mut Container, port: u16) {
    container.spec.ports.push(Port {
        host_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        host_port: None,
        host_last: None,
        container_port: port,
        protocol: Protocol::Tcp,
    });
}

/// The server, listening, and where.
fn tcpd() -> (Running, SocketAddr) {
    let mut container = Container::with("tcpd.p2.wasm", &["0.0.0.0:7777"]);
    container.spec.process.env = vec!["HOSTNAME=me".into()];
    publish(&mut container, 7777);
    let mut running = container.start().unwrap();
    let [(7777, address)] = running.guest.ports[..] else { panic!("{:?}", running.guest.ports) };
    // its own view is the container's
    assert_eq!(running.expect("\n"), "listening on 127.0.0.1:7777\n");
    (running, address)
}

fn listens() {
    let (mut running, address) = tcpd();
    let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
    let mut answer = String::new();
    stream.get_mut().write_all(b"hello\n").unwrap();
    stream.read_line(&mut answer).unwrap();
    assert_eq!(answer, "me> hello\n");
    running.kill(libc::SIGTERM);
    assert_eq!(running.wait().code(), Some(143));
}

fn names() {
    let (_running, address) = tcpd();
    let port = address.port().to_string();
    let mut client = Container::with("tcpc.p2.wasm", &["server", &port, "hi\n"]);
    fs::create_dir(client.rootfs().join("etc")).unwrap();
    // a name server that answers nothing, so that a lookup that goes there is seen
    fs::write(
        client.rootfs().join("etc/resolv.conf"),
        "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
    )
    .unwrap();
    fs::write(client.rootfs().join("etc/hosts"), "127.0.0.1 server other\n").unwrap();
    assert_eq!(client.run().stdout(), "server -> [127.0.0.1]\nme> hi\n");
    client.spec.process.entrypoint[1] = "added".into();
    client.spec.extra_hosts = vec![("added".into(), "127.0.0.1".into())];
    assert_eq!(client.run().stdout(), "added -> [127.0.0.1]\nme> hi\n");
    client.spec.process.entrypoint[1] = "localhost".into();
    assert!(client.run().stdout().starts_with("localhost -> [127.0.0.1, ::1]\n"));
    client.spec.process.entrypoint[1] = "127.0.0.1".into();
    assert!(client.run().stdout().ends_with("me> hi\n"));
    client.spec.process.entrypoint[1] = "not a name".into();
    let out = client.run();
    assert!(out.stderr.to_lowercase().contains("invalid"), "{out:?}");
}

fn none() {
    let (_running, address) = tcpd();
    let port = address.port().to_string();
    let mut client = Container::with("tcpc.p2.wasm", &["127.0.0.1", &port, "hi\n"]);
    client.spec.network = NetworkMode::None;
    let out = client.run();
    assert_ne!(out.code(), 0);
    assert!(!out.stdout.contains("me>"), "{out:?}");
    client.spec.process.entrypoint[1] = "localhost".into();
    let out = client.run();
    assert!(out.stderr.to_lowercase().contains("access"), "{out:?}");
    // servers start, and nobody reaches them
    for guest in ["tcpd.p2.wasm", "httpd.p2.wasm"] {
        let mut container = Container::with(guest, &[]);
        container.spec.network = NetworkMode::None;
        publish(&mut container, 7777);
        let mut running = container.start().unwrap();
        assert!(running.guest.ports.is_empty());
        running.kill(libc::SIGTERM);
        running.wait();
    }
}

fn taken() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut container = Container::with("httpd.p2.wasm", &[]);
    publish(&mut container, 80);
    container.spec.ports[0].host_port = Some(listener.local_addr().unwrap().port());
    let error = container.start().map(|_| ()).unwrap_err();
    assert_eq!(error.exit_code(), 125);
    assert!(error.to_string().starts_with("cannot listen on 127.0.0.1:"), "{error}");
    assert!(knarr_core::hint::Hint::hint(&error).unwrap().contains("-p"));
}

/// The guest asks a server of this test, by a name of the container.
fn requests() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut container = Container::with("httpd.p2.wasm", &[]);
    publish(&mut container, 80);
    container.spec.extra_hosts = vec![("upstream".into(), "127.0.0.1".into())];
    let running = container.start().unwrap();
    let mut outer = http::connect(&running);
    let get = format!("GET /fetch?url=http://upstream:{port}/path HTTP/1.1\r\nHost: t\r\n\r\n");
    http::send(&mut outer, &get);
    let (mut inner, _) = listener.accept().unwrap();
    let mut request = String::new();
    let mut reader = BufReader::new(&mut inner);
    while !request.ends_with("\r\n\r\n") {
        reader.read_line(&mut request).unwrap();
    }
    let request = request.to_ascii_lowercase();
    assert!(request.starts_with("get /path http/1.1\r\n"), "{request}");
    assert!(request.contains(&format!("host: upstream:{port}\r\n")), "{request}");
    let body = "x".repeat(100_000);
    let head = format!("HTTP/1.1 203 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    inner.write_all(head.as_bytes()).unwrap();
    inner.write_all(body.as_bytes()).unwrap();
    let (status, answer) = http::receive(&mut outer);
    assert_eq!(status, 200, "{answer}");
    assert!(answer.starts_with("203 ") && answer.ends_with(&body), "{}", answer.len());
    // one that nobody listens for
    drop((inner, listener));
    let mut outer = http::connect(&running);
    http::send(&mut outer, &get);
    let mut answer = [0; 12];
    outer.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 502");
}
