//! `-p` and `port`: servers in Wasm containers.

use crate::harness::Knarr;
use crate::harness::image::{Tar, guest};
use crate::harness::proc::until;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};

/// One request, the whole answer.
/// By HTTP/1.0, which knows no chunks: a 1.1 answer has them if its end is late.
pub fn get(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: x\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.lines().next()?;
    (status.starts_with("HTTP/1.") && status.contains(" 200 ")).then_some(answer)
}

pub fn server(guest_name: &str, change: &str) -> Knarr {
    let knarr = Knarr::new();
    let mut tar = Tar::new();
    tar.file("app.wasm", 0o755, &guest(guest_name));
    knarr.import("server", "wasi/wasm", &[r#"ENTRYPOINT ["/app.wasm"]"#, change], &tar.finish());
    knarr
}

#[test]
fn every_kind_of_http_component_is_served_on_its_published_port() {
    for (name, path) in
        [("httpd.p2.wasm", "/env"), ("httpd.proxy.p2.wasm", "/"), ("p3httpd.p3.wasm", "/")]
    {
        let knarr = server(name, "EXPOSE 8080");
        let id = knarr.ok(&["run", "-d", "-p", "127.0.0.1::8080", "-e", "A=1", "server"]);
        let address = knarr.ok(&["port", &id, "8080/tcp"]);
        assert!(address.starts_with("127.0.0.1:"), "{address}");
        let answer = get(&address, path).unwrap_or_else(|| panic!("{name} does not answer"));
        assert!(path != "/env" || answer.contains("A=1"), "{answer}");
        let shown = knarr.ok(&["ps", "--format", "{{.Ports}}"]);
        assert_eq!(shown, format!("{address}->8080/tcp"));
        let template = r#"{{(index (index .NetworkSettings.Ports "8080/tcp") 0).HostPort}}"#;
        assert!(address.ends_with(&knarr.inspect(&id, template)));
        knarr.ok(&["stop", &id]);
        // it had time to finish what it was doing
        assert_eq!(knarr.ok(&["wait", &id]), "0", "{name}");
        assert_eq!(get(&address, path), None);
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let knarr = server("httpd.p2.wasm", "EXPOSE 8080");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let publish = format!("127.0.0.1:{port}:8080");
    let said = knarr.fails(125, &["run", "--rm", "-d", "-p", &publish, "server"]);
    assert!(said.contains(&port), "{said}");
    assert!(knarr.containers().is_empty());
}

/// The first free port of a range, in both families and of each protocol; and any free one.
#[test]
fn a_port_of_a_range() {
    let knarr = server("httpd.p2.wasm", "EXPOSE 8080 9000-9001/udp");
    // five in a row that nobody has
    let first = (20_000u16..).step_by(5).find(|first| {
        let ports = *first..*first + 5;
        let bound: Vec<_> = ports.clone().map(|port| TcpListener::bind(("::", port))).collect();
        let datagrams: Vec<_> = ports.map(|port| UdpSocket::bind(("::", port))).collect();
        bound.iter().all(Result::is_ok) && datagrams.iter().all(Result::is_ok)
    });
    let first = first.unwrap();
    let range = format!("{first}-{}", first + 2);
    let host = |id: &str, port: &str| {
        let address = knarr.ok(&["port", id, port]);
        address.lines().next().unwrap().rsplit(':').next().unwrap().parse::<u16>().unwrap()
    };
    let _taken = TcpListener::bind(("127.0.0.1", first)).unwrap();
    let publish = format!("{range}:8080");
    let id = knarr.ok(&["run", "-d", "-p", &publish, "server"]);
    assert_eq!(host(&id, "8080"), first + 1);
    until("it answers", || get(&format!("127.0.0.1:{}", first + 1), "/").is_some());
    let wished = r#"{{(index (index .HostConfig.PortBindings "8080/tcp") 0).HostPort}}"#;
    assert_eq!(knarr.inspect(&id, wished), range);
    let next = knarr.ok(&["run", "-d", "-p", &format!("127.0.0.1:{range}:8080"), "server"]);
    assert_eq!(host(&next, "8080"), first + 2);
    let said = knarr.fails(125, &["run", "-d", "-p", &publish, "server"]);
    assert!(said.contains(&format!("all of the host's ports {range}/tcp are used")), "{said}");
    // another protocol, an address of IPv6, ranges on both sides
    let run = ["run", "-d", "-p", &format!("[::1]:{range}:9000/udp"), "server"];
    assert_eq!(host(&knarr.ok(&run), "9000/udp"), first);
    let both = format!("{}-{}:9000-9001/udp", first + 3, first + 4);
    let id = knarr.ok(&["run", "-d", "-p", &both, "server"]);
    assert_eq!((host(&id, "9000/udp"), host(&id, "9001/udp")), (first + 3, first + 4));
    let id = knarr.ok(&["run", "-d", "-p", "0:8080", "-P", "server"]);
    assert!(host(&id, "8080") > 0);
    assert_ne!(host(&id, "9000/udp"), host(&id, "9001/udp"));
}

#[test]
fn publish_all_takes_what_the_image_exposes() {
    let knarr = server("httpd.p2.wasm", "EXPOSE 8080");
    let id = knarr.ok(&["run", "-d", "-P", "server"]);
    let said = knarr.ok(&["port", &id]);
    let port = said.lines().next().unwrap().strip_prefix("8080/tcp -> 0.0.0.0:").unwrap();
    assert_eq!(said, format!("8080/tcp -> 0.0.0.0:{port}\n8080/tcp -> [::]:{port}"));
    assert_eq!(
        knarr.ok(&["ps", "--format", "{{.Ports}}"]),
        format!("0.0.0.0:{port}->8080/tcp, [::]:{port}->8080/tcp")
    );
    let bindings = knarr.inspect(&id, r#"{{json (index .NetworkSettings.Ports "8080/tcp")}}"#);
    let expected =
        ["0.0.0.0", "::"].map(|ip| format!(r#"{{"HostIp":"{ip}","HostPort":"{port}"}}"#));
    assert_eq!(bindings, format!("[{}]", expected.join(",")));
    for host in ["127.0.0.1", "[::1]"] {
        until("it answers", || get(&format!("{host}:{port}"), "/").is_some());
    }
}
