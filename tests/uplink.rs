//! What leads out of an ordinary user's networks: pasta and slirp4netns, each by itself, on a host of the test's own.

use crate::harness::host::{ADDRESS, OUTSIDE, answer_names, tell_addresses};
use crate::harness::image::{Tar, guest};
use crate::harness::proc::{of_user, until};
use crate::harness::{Knarr, NewUser};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

const PORT: u16 = 7000;

/// A user on a host with this program alone. Outside are a name server and somebody who tells addresses.
fn beginning(user: &NewUser, programs: &[&str]) -> Knarr {
    let knarr = Knarr::of_user(user.0.clone()).on_host_with(programs).with_busybox().with_kit();
    knarr.host().outside(|| {
        answer_names(UdpSocket::bind((OUTSIDE, 53)).unwrap(), OUTSIDE);
        tell_addresses(TcpListener::bind((OUTSIDE, PORT)).unwrap());
    });
    let mut tar = Tar::new();
    tar.file("app.wasm", 0o755, &guest("tcpc.p2.wasm"));
    knarr.import("tcpc", "wasi/wasm", &[r#"ENTRYPOINT ["/app.wasm"]"#], &tar.finish());
    knarr
}

/// What somebody outside tells, in a container. Its own side stays open: of a connection that is half closed, some versions of
/// pasta forget the other half.
const LISTEN: &str = "mkfifo /tmp/open; nc server.example 7000 <>/tmp/open";

fn is_running(user: &NewUser, program: &str) -> bool {
    of_user(user.0.id).iter().any(|process| process.name() == program)
}

/// One line to whoever listens there, and the answer.
fn ask(place: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(place)?;
    stream.write_all(b"GET /page HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn leads_out_and_in(program: &str) {
    let user = NewUser::new();
    let knarr = beginning(&user, &[program]);
    let port = PORT.to_string();
    let sees = format!("outside sees {ADDRESS}");
    let native = knarr.ok(&["run", "--rm", "busybox", "sh", "-c", LISTEN]);
    assert_eq!(native, sees);
    assert!(is_running(&user, program), "{program}");
    let wasm = knarr.ok(&["run", "--rm", "tcpc", "server.example", &port, "hello\n"]);
    assert!(wasm.ends_with(&sees), "{wasm}");

    let serve = "echo from the server > /tmp/page; exec httpd -f -p 80 -h /tmp";
    let id = knarr.ok(&["run", "-d", "-p", "80", "busybox", "sh", "-c", serve]);
    let published: SocketAddr = knarr.ok(&["port", &id, "80"]).parse().unwrap();
    let reached = |from: &dyn Fn(SocketAddr) -> std::io::Result<String>, to: Ipv4Addr| {
        let to = SocketAddr::new(to.into(), published.port());
        from(to).is_ok_and(|answer| answer.contains("from the server"))
    };
    let host = |to| knarr.host().inside(|| ask(to));
    let outside = |to| knarr.host().outside(|| ask(to));
    until("it serves", || reached(&host, Ipv4Addr::LOCALHOST));
    assert!(reached(&host, ADDRESS), "from the host, by its own address");
    assert!(reached(&outside, ADDRESS), "from outside");

    knarr.ok(&["rm", "-f", &id]);
    until("no process is left", || of_user(user.0.id).is_empty());
    let files = std::fs::read_dir(knarr.root().join("run/n")).unwrap();
    let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name == "bridge"), "{names:?}");
    let links = knarr.host().inside(|| std::fs::read_to_string("/proc/thread-self/net/dev"));
    assert_eq!(links.unwrap().lines().skip(2).count(), 2, "lo and the host's own");
}

#[test]
fn pasta_leads_out_of_the_networks_of_an_ordinary_user() {
    leads_out_and_in("pasta");
}

#[test]
fn slirp4netns_leads_out_of_the_networks_of_an_ordinary_user() {
    leads_out_and_in("slirp4netns");
}

#[test]
fn a_run_of_an_ordinary_user_is_on_the_networks_of_that_user() {
    let user = NewUser::new();
    let knarr = beginning(&user, &["pasta"]);
    let dockerfile = format!(
        "FROM busybox
         RUN ip -4 -o addr show dev eth0 >/address && cat /etc/resolv.conf >/servers
         RUN {{ {LISTEN}; }} >/seen"
    );
    knarr.built(&dockerfile, &[]);
    let show = |file: &str| knarr.ok(&["run", "--rm", "--network", "none", "app", "cat", file]);
    let subnet =
        knarr.ok(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", "bridge"]);
    let subnet: ipnet::Ipv4Net = subnet.parse().unwrap();
    let address = show("/address");
    let address = address.split_whitespace().find_map(|word| word.parse::<ipnet::Ipv4Net>().ok());
    assert!(subnet.contains(&address.unwrap().addr()), "{address:?} in {subnet}");
    assert!(show("/servers").contains("nameserver 127.0.0.11"));
    assert_eq!(show("/seen"), format!("outside sees {ADDRESS}"));
    knarr.assert_no_step_left();
}
