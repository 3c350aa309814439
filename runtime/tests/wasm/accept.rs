//! Servers on preview 1's `sock_accept`.

use super::Test;
use super::container::{Container, Running};
use knarr_core::spec::{NetworkMode, Port, Protocol};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

pub const TESTS: &[Test] = &[
    ("accept::listeners_of_all_ports_by_poll", by_poll),
    ("accept::the_standard_library", standard_library),
    ("accept::no_ports_no_listeners", no_ports),
];

fn server(args: &[&str], ports: &[u16]) -> Running {
    let mut container = Container::with("sockd.p1.wasm", args);
    container.spec.process.env = vec!["HOSTNAME=me".into()];
    container.spec.ports = ports
        .iter()
        .map(|port| Port {
            host_ip: Some(Ipv4Addr::LOCALHOST.into()),
            host_port: None,
            host_last: None,
            container_port: *port,
            protocol: Protocol::Tcp,
        })
        .collect();
    container.spec.exposed = vec![(ports[0], Protocol::Tcp)];
    let mut running = container.start().unwrap();
    running.expect(&format!("{} listeners\n", ports.len()));
    running
}

fn ask(stream: &mut BufReader<TcpStream>, line: &str) -> String {
    stream.get_mut().write_all(line.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_line(&mut answer).unwrap();
    answer
}

fn by_poll() {
    let mut running = server(&[], &[7000, 7001]);
    let addresses: Vec<SocketAddr> = running.guest.ports.iter().map(|(_, a)| *a).collect();
    let connect = |at: usize| BufReader::new(TcpStream::connect(addresses[at]).unwrap());
    // time passes while nothing comes
    running.expect("tick\n");
    let (mut first, mut second) = (connect(0), connect(1));
    for turn in 0..4 {
        assert_eq!(ask(&mut second, &format!("b{turn}\n")), format!("me> b{turn}\n"));
        assert_eq!(ask(&mut first, &format!("a{turn}\n")), format!("me> a{turn}\n"));
    }
    let said = running.expect("accepted on 3\n");
    assert!(said.contains("accepted on 4\n") || running.expect("\n") == "accepted on 4\n");
    // the server sees the end, and ends the connection
    first.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(first.read_to_end(&mut Vec::new()).unwrap(), 0);
    drop(second);
    assert_eq!(ask(&mut connect(0), "again\n"), "me> again\n");
    running.kill(libc::SIGTERM);
    assert_eq!(running.wait().code(), Some(143));
}

fn standard_library() {
    let running = server(&["plain"], &[7000]);
    let (_, address) = running.guest.ports[0];
    for line in ["one\n", "two\n"] {
        let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
        assert_eq!(ask(&mut stream, line), format!("me> {line}"));
    }
}

/// A guest that could accept (as everything that is linked with a socket library can) and has no ports has no listeners.
fn no_ports() {
    for network in [NetworkMode::Host, NetworkMode::None] {
        let mut container = Container::with("sockd.p1.wasm", &["plain"]);
        container.spec.network = network;
        let out = container.run();
        assert!(out.stdout.starts_with("0 listeners\n"), "{out:?}");
        assert_ne!(out.code(), 0);
    }
}
