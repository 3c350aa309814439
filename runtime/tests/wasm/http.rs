//! HTTP servers: requests on published ports, failures, draining.

use super::Test;
use super::container::{Container, Running};
use knarr_core::spec::{InstanceRequests, Port, Protocol};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};

pub const TESTS: &[Test] = &[
    ("http::answers", answers),
    ("http::a_trap_ends_only_its_instance", a_trap_ends_only_its_instance),
    ("http::stop_drains", stop_drains),
    ("http::stop_ends_what_does_not_end", stop_ends),
    ("http::a_request_that_computes_holds_up_no_other", fair),
    ("http::instances_are_reused_unless_isolated", reuse),
    ("http::bodies_are_streamed", streams),
    ("http::a_body_that_is_complete_has_a_length", lengths),
    ("http::trailers", trailers),
    ("http::a_body_that_a_trap_cuts_short_does_not_look_complete", cut),
    ("http::a_client_that_goes_away_harms_nobody", gone),
    ("http::a_request_without_a_valid_host", hosts),
    ("http::more_requests_than_instances", many),
];

const GUESTS: [&str; 3] = ["httpd.p2.wasm", "httpd.proxy.p2.wasm", "p3httpd.p3.wasm"];

pub fn server(guest: &str) -> Container {
    let mut container = Container::with(guest, &[]);
    container.spec.exposed = vec![(80, Protocol::Tcp)];
    container.spec.ports = vec![Port {
        host_ip: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        host_port: None,
        host_last: None,
        container_port: 80,
        protocol: Protocol::Tcp,
    }];
    container
}

/// Whose requests meet the same instances.
pub fn one_thread(guest: &str) -> Container {
    let mut container = server(guest);
    container.spec.limits.nano_cpus = Some(1_000_000_000);
    container
}

/// Stops a server; what it has said.
pub fn log(mut running: Running) -> String {
    running.kill(libc::SIGTERM);
    assert_eq!(running.wait().code(), Some(0));
    let mut log = String::new();
    running.stderr.read_to_string(&mut log).unwrap();
    log
}

/// A connection to the only published port.
pub fn connect(running: &Running) -> TcpStream {
    let [(80, address)] = running.guest.ports[..] else { panic!("{:?}", running.guest.ports) };
    TcpStream::connect(address).unwrap()
}

pub fn send(stream: &mut TcpStream, request: &str) {
    stream.write_all(request.as_bytes()).unwrap();
}

/// Reads one response with a length or in chunks: status and body.
pub fn receive(stream: &mut TcpStream) -> (u16, String) {
    let mut reader = BufReader::new(stream);
    let line = |reader: &mut BufReader<&mut TcpStream>| {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    };
    let status = line(&mut reader).split(' ').nth(1).unwrap().parse().unwrap();
    let (mut length, mut chunked) = (0, false);
    loop {
        let header = line(&mut reader).to_ascii_lowercase();
        match header.split_once(": ") {
            None => break,
            Some(("content-length", value)) => length = value.parse().unwrap(),
            Some(("transfer-encoding", _)) => chunked = true,
            Some(_) => {}
        }
    }
    let mut body = Vec::new();
    if !chunked {
        body.resize(length, 0);
        reader.read_exact(&mut body).unwrap();
    }
    while chunked {
        let size = usize::from_str_radix(&line(&mut reader), 16).unwrap();
        let mut chunk = vec![0; size];
        reader.read_exact(&mut chunk).unwrap();
        line(&mut reader);
        body.extend(chunk);
        chunked = size > 0;
    }
    (status, String::from_utf8(body).unwrap())
}

pub fn get(running: &Running, path: &str) -> (u16, String) {
    let mut stream = connect(running);
    send(&mut stream, &format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
    receive(&mut stream)
}

fn answers() {
    for guest in GUESTS {
        let running = server(guest).start().unwrap();
        let (status, body) = get(&running, "/");
        assert_eq!(status, 200, "{guest}");
        assert!(body.starts_with("hello"), "{guest}: {body}");
        // the same connection again
        let mut stream = connect(&running);
        for _ in 0..3 {
            send(&mut stream, "GET / HTTP/1.1\r\nHost: test\r\n\r\n");
            assert_eq!(receive(&mut stream).0, 200);
        }
    }
}

fn a_trap_ends_only_its_instance() {
    let mut running = server("httpd.p2.wasm").start().unwrap();
    let mut kept = connect(&running);
    assert_eq!(get(&running, "/panic").0, 500);
    assert_eq!(get(&running, "/").0, 200);
    send(&mut kept, "GET / HTTP/1.1\r\nHost: test\r\n\r\n");
    assert_eq!(receive(&mut kept).0, 200);
    running.kill(libc::SIGTERM);
    let status = running.wait();
    let mut log = String::new();
    running.stderr.read_to_string(&mut log).unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("as asked"), "{log}");
    assert!(log.contains("error: an instance trapped: unreachable"), "{log}");
    assert!(log.contains("\n  0: "), "{log}");
}

fn stop_drains() {
    let mut running = server("httpd.p2.wasm").start().unwrap();
    let mut slow = connect(&running);
    send(&mut slow, "GET /sleep?ms=300 HTTP/1.1\r\nHost: test\r\n\r\n");
    // a second request on another connection shows that the first has been taken
    assert_eq!(get(&running, "/").0, 200);
    running.kill(libc::SIGTERM);
    assert_eq!(receive(&mut slow), (200, "slept\n".into()));
    assert_eq!(running.wait().code(), Some(0));
}

fn stop_ends() {
    for path in ["/sleep?ms=100000", "/spin"] {
        let mut container = server("httpd.p2.wasm");
        container.spec.process.stop_timeout = Some(1);
        let mut running = container.start().unwrap();
        let mut endless = connect(&running);
        send(&mut endless, &format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
        assert_eq!(get(&running, "/").0, 200);
        running.kill(libc::SIGTERM);
        assert_eq!(running.wait().code(), Some(143), "{path}");
    }
}

fn fair() {
    let mut container = server("httpd.p2.wasm");
    container.spec.limits.nano_cpus = Some(1_000_000_000); // one thread
    let running = container.start().unwrap();
    let mut spinning = connect(&running);
    send(&mut spinning, "GET /spin HTTP/1.1\r\nHost: test\r\n\r\n");
    for _ in 0..3 {
        assert_eq!(get(&running, "/"), (200, "hello\n".into()));
    }
    assert_eq!(running.proc_status("Threads"), "1");
}

fn reuse() {
    let mut container = server("httpd.p2.wasm");
    container.spec.limits.nano_cpus = Some(1_000_000_000);
    let counts = |container: &Container| {
        let running = container.start().unwrap();
        [1, 2, 3].map(|_| get(&running, "/count").1)
    };
    assert_eq!(counts(&container), ["1\n", "2\n", "3\n"]);
    container.spec.wasm.instance_requests = Some(InstanceRequests::ONE);
    assert_eq!(counts(&container), ["1\n", "1\n", "1\n"]);
}

fn streams() {
    let running = server("httpd.p2.wasm").start().unwrap();
    let mut stream = connect(&running);
    send(&mut stream, "POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut seen = String::new();
    for part in ["one", "two", "three"] {
        send(&mut stream, &format!("{:x}\r\n{part}\r\n", part.len()));
        // the answer to a part comes before the next part is sent
        while !seen.contains(part) {
            let mut buffer = [0; 1024];
            let n = stream.read(&mut buffer).unwrap();
            assert_ne!(n, 0, "{seen}");
            seen += &String::from_utf8_lossy(&buffer[..n]);
        }
    }
    send(&mut stream, "0\r\n\r\n");
    let mut rest = [0; 64];
    let n = stream.read(&mut rest).unwrap();
    assert_eq!(&rest[..n], b"0\r\n\r\n");
}

/// The whole of what is received until the other side closes the connection.
pub fn exchange(running: &Running, request: &str) -> String {
    let mut stream = connect(running);
    send(&mut stream, request);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer.to_ascii_lowercase()
}

fn lengths() {
    let running = server("httpd.p2.wasm").start().unwrap();
    let close = "Host: t\r\nConnection: close\r\n\r\n";
    let answer = exchange(&running, &format!("GET / HTTP/1.1\r\n{close}"));
    assert!(answer.contains("\r\ncontent-length: 6\r\n"), "{answer}");
    assert!(!answer.contains("transfer-encoding"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nhello\n"), "{answer}");
    let answer = exchange(&running, &format!("HEAD / HTTP/1.1\r\n{close}"));
    assert!(answer.starts_with("http/1.1 200 ok\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    let answer = exchange(&running, "GET / HTTP/1.0\r\n\r\n");
    assert!(answer.ends_with("\r\n\r\nhello\n"), "{answer}");
}

fn trailers() {
    let running = server("httpd.p2.wasm").start().unwrap();
    let request = "GET /trailers HTTP/1.1\r\nHost: t\r\nTE: trailers\r\nConnection: close\r\n\r\n";
    let answer = exchange(&running, request);
    assert!(answer.contains("\r\n5\r\npart\n\r\n0\r\n"), "{answer}");
}

fn cut() {
    let mut running = server("httpd.p2.wasm").start().unwrap();
    let request = |path| format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    let answer = exchange(&running, &request("/cut"));
    assert!(answer.ends_with("\r\n5\r\npart\n\r\n"), "{answer}");
    // nothing had been sent yet: there is still time to say it properly
    let answer = exchange(&running, &request("/cut-at-once"));
    assert!(answer.starts_with("http/1.1 500 "), "{answer}");
    assert_eq!(get(&running, "/").0, 200);
    running.kill(libc::SIGTERM);
    assert_eq!(running.wait().code(), Some(0));
    let mut log = String::new();
    running.stderr.read_to_string(&mut log).unwrap();
    assert_eq!(log.matches("error: an instance trapped: unreachable").count(), 2, "{log}");
    assert!(log.contains("error: GET /cut-at-once: the guest trapped"), "{log}");
}

fn gone() {
    let mut container = server("httpd.p2.wasm");
    container.spec.limits.nano_cpus = Some(1_000_000_000);
    let mut running = container.start().unwrap();
    let mut waiting = connect(&running);
    send(&mut waiting, "GET /sleep?ms=100 HTTP/1.1\r\nHost: test\r\n\r\n");
    // answered by another instance, so the first is at work
    assert_eq!(get(&running, "/count").1, "1\n");
    drop(waiting);
    // what the guest makes of it (wstd panics) is its own business
    assert_eq!(get(&running, "/count").1, "2\n");
    running.kill(libc::SIGTERM);
    assert_eq!(running.wait().code(), Some(0));
}

fn hosts() {
    let running = server("httpd.p2.wasm").start().unwrap();
    for host in ["a b", "", "\u{e9}", "[::1"] {
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        let answer = exchange(&running, &request);
        assert!(answer.starts_with("http/1.1 400 "), "{host:?}: {answer}");
    }
    let request = "GET http://elsewhere/headers HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    assert!(exchange(&running, request).starts_with("http/1.1 200 "));
}

fn many() {
    for guest in ["httpd.p2.wasm", "p3httpd.p3.wasm"] {
        let running = server(guest).start().unwrap();
        let mut streams: Vec<TcpStream> = (0..300).map(|_| connect(&running)).collect();
        for stream in &mut streams {
            send(stream, "GET /sleep?ms=20 HTTP/1.1\r\nHost: test\r\n\r\n");
        }
        for stream in &mut streams {
            assert_eq!(receive(stream).0, 200, "{guest}");
        }
    }
}
