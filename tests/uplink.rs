//! What leads out of an ordinary user's networks: pasta and slirp4netns, each by itself, on a host of the test's own.

use crate::harness::host::{ADDRESS, ADDRESS6, OUTSIDE, OUTSIDE6, answer_names, tell_addresses};
use crate::harness::image::{Tar, guest};
use crate::harness::proc::{Process, of_user, until};
use crate::harness::{Knarr, NewUser};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

const PORT: u16 = 7000;

/// A user on a host with this program alone. Outside are a name server and somebody who tells addresses.
fn beginning(user: &NewUser, programs: &[&str]) -> Knarr {
    let knarr = Knarr::of_user(user.0.clone()).on_host_with(programs).with_busybox().with_kit();
    knarr.host().outside(|| {
        answer_names(UdpSocket::bind((OUTSIDE, 53)).unwrap(), OUTSIDE);
        tell_addresses(TcpListener::bind((OUTSIDE, PORT)).unwrap());
    });
    for name in ["tcpc", "tcpd", "udp"] {
        let mut tar = Tar::new();
        tar.file("app.wasm", 0o755, &guest(&format!("{name}.p2.wasm")));
        knarr.import(name, "wasi/wasm", &[r#"ENTRYPOINT ["/app.wasm"]"#], &tar.finish());
    }
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
    stream.write_all(b"GET /cgi-bin/who HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Published ports of both engines, reached from everywhere: the server sees who connects, and the network's gateway in place
/// of the host's loopback.
fn shows_its_clients(knarr: &Knarr) {
    let create = ["network", "create", "--ipv6", "both"];
    knarr.ok(&create);
    let gateway = |at: usize| {
        let template = format!("{{{{(index .IPAM.Config {at}).Gateway}}}}");
        knarr.ok(&["network", "inspect", "-f", &template, "both"]).parse::<IpAddr>().unwrap()
    };
    let tell = "mkdir -p /www/cgi-bin; cd /www/cgi-bin; printf '#!/bin/sh\\necho; echo to $REMOTE_ADDR.' >who
        chmod 755 who; exec httpd -f -p 80 -h /www";
    let run = ["run", "-d", "--name", "native", "--network", "both", "-p", "80"];
    knarr.ok(&[&run[..], &["busybox", "sh", "-c", tell]].concat());
    let published = knarr.ok(&["port", "native", "80"]);
    let port = published.lines().next().unwrap().parse::<SocketAddr>().unwrap().port();
    let seen = |from_host: bool, to: IpAddr| {
        let act = || ask((to, port).into()).unwrap_or_default();
        if from_host { knarr.host().inside(act) } else { knarr.host().outside(act) }
    };
    let local = Ipv4Addr::LOCALHOST.into();
    until("it serves", || !seen(true, local).is_empty());
    for (from_host, there, client) in [
        (true, local, gateway(0)),
        (true, ADDRESS.into(), ADDRESS.into()),
        (false, ADDRESS.into(), OUTSIDE.into()),
        (true, Ipv6Addr::LOCALHOST.into(), gateway(1)),
        (true, ADDRESS6.into(), ADDRESS6.into()),
        (false, ADDRESS6.into(), OUTSIDE6.into()),
    ] {
        let seen = seen(from_host, there);
        // busybox listens for both families at once
        let shown = [format!("to [{client}]."), format!("to [::ffff:{client}].")];
        assert!(shown.iter().any(|shown| seen.contains(shown)), "{client}: {seen}");
    }

    let port = |name: &str| {
        let published: SocketAddr =
            knarr.ok(&["port", name]).rsplit(' ').next().unwrap().parse().unwrap();
        SocketAddr::new(ADDRESS.into(), published.port())
    };
    knarr.ok(&["run", "-d", "--name", "wasm", "-p", "0.0.0.0::80", "tcpd", "0.0.0.0:80"]);
    until("it listens", || knarr.ok(&["logs", "wasm"]).contains("listening"));
    let answer = knarr.host().outside(|| ask(port("wasm")));
    assert!(answer.unwrap().contains("200 OK"));
    let accepted = OUTSIDE.octets().map(|octet| octet.to_string()).join(", ");
    until("it tells", || knarr.ok(&["logs", "wasm"]).contains(&accepted));

    let serve = ["udp", "serve", "0.0.0.0", "80"];
    knarr
        .ok(&[&["run", "-d", "--name", "datagrams", "-p", "0.0.0.0::80/udp"][..], &serve].concat());
    until("it serves", || {
        let place = port("datagrams");
        let answer = knarr.host().outside(|| {
            let socket = UdpSocket::bind((OUTSIDE, 0)).unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
            socket.send_to(b"hello", place).unwrap();
            let mut buffer = [0; 64];
            socket.recv_from(&mut buffer).map(|(_, from)| from)
        });
        answer.is_ok_and(|from| from == place)
    });
    let said = knarr.ok(&["logs", "datagrams"]);
    assert!(said.contains(&OUTSIDE.to_string()), "{said}");
    knarr.ok(&["rm", "-f", "native", "wasm", "datagrams"]);
    knarr.ok(&["network", "rm", "both"]);
}

/// Two Wasm guests listen at one port of their loopback, each at its own.
fn has_loopbacks(knarr: &Knarr) {
    for loopback in ["127.0.0.1", "::1"] {
        let at = SocketAddr::new(loopback.parse().unwrap(), PORT).to_string();
        for name in ["one", "two"] {
            knarr.ok(&[
                "run",
                "-d",
                "--name",
                name,
                "-e",
                &format!("HOSTNAME={name}"),
                "tcpd",
                &at,
            ]);
            until("it listens", || knarr.ok(&["logs", name]).contains(&at));
        }
        for name in ["one", "two"] {
            let inside = format!("--network=container:{name}");
            let said = knarr.ok(&["run", "--rm", &inside, "tcpc", loopback, &PORT.to_string()]);
            assert!(said.ends_with(&format!("{name}> ping")), "{said}");
        }
        knarr.ok(&["rm", "-f", "one", "two"]);
    }
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

    shows_its_clients(&knarr);
    has_loopbacks(&knarr);
    until("no process is left", || of_user(user.0.id).is_empty());
    let files = std::fs::read_dir(knarr.root().join("run/n")).unwrap();
    let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name == "bridge"), "{names:?}");
    let links = knarr.host().inside(|| std::fs::read_to_string("/proc/thread-self/net/dev"));
    assert_eq!(links.unwrap().lines().skip(2).count(), 2, "lo and the host's own");
}

fn is_replaced(program: &str) {
    let user = NewUser::new();
    let knarr = beginning(&user, &[program]);
    let id = knarr.ok(&["run", "-d", "busybox", "sleep", "1000"]);
    let script = format!("mkfifo /tmp/open; nc -w 2 {OUTSIDE} {PORT} <>/tmp/open");
    let sees = || knarr.run(&["exec", &id, "sh", "-c", &script]).stdout.contains("outside sees");
    until("it leads out", sees);
    let find = || of_user(user.0.id).into_iter().find(|process| process.name() == program);
    // the second one before it has lasted
    for _ in 0..2 {
        let one = find().unwrap();
        one.kill();
        one.ended();
        until("there is another one", || find().is_some_and(|process| process.id != one.id));
    }
    until("the container that runs is led out again", sees);
}

#[test]
fn another_pasta_takes_the_place_of_one_that_was_killed() {
    is_replaced("pasta");
}

#[test]
fn another_slirp4netns_takes_the_place_of_one_that_was_killed() {
    is_replaced("slirp4netns");
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

#[test]
fn without_a_way_out_nobody_gets_the_network_of_the_host() {
    let user = NewUser::new();
    leads_nowhere(&beginning(&user, &[]), "install pasta (package passt) or slirp4netns");
}

/// What runs without a word about its network, and is told why that leads nowhere.
fn leads_nowhere(knarr: &Knarr, reason: &str) {
    let warning = format!("warning: nothing leads out of this user's networks: {reason}");
    let addresses = ["busybox", "ip", "-o", "addr"];
    let native = knarr.run(&[&["run", "--rm"], &addresses[..]].concat()).code(0);
    assert!(!native.stdout.contains(&ADDRESS.to_string()), "{}", native.stdout);
    assert!(native.stderr.contains(&warning), "{}", native.stderr);
    // each start tells it, and so does a build
    let detached = knarr.run(&[&["run", "-d", "--name", "native"], &addresses[..]].concat());
    assert!(detached.code(0).stderr.contains(&warning));
    knarr.ok(&["wait", "native"]);
    assert!(knarr.run(&["start", "native"]).code(0).stderr.contains(&warning));
    let said = knarr.built("FROM busybox\nRUN ip -o addr >/seen\nRUN true", &[]);
    assert_eq!(said.matches(&warning).count(), 1, "{said}");
    let seen = knarr.run(&["run", "--rm", "--network", "none", "app", "cat", "/seen"]).code(0);
    assert!(!seen.stdout.contains(&ADDRESS.to_string()), "{}", seen.stdout);
    assert_eq!(seen.stderr, "");
    // who asks for the host's gets it
    let on_host = knarr.run(&[&["run", "--rm", "--network", "host"], &addresses[..]].concat());
    assert!(on_host.code(0).stdout.contains(&ADDRESS.to_string()));

    knarr.ok(&["create", "--name", "wasm", "tcpd"]);
    let template = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}";
    assert_eq!(knarr.inspect("wasm", template), "loopback");
    let wasm = knarr.run(&["run", "--rm", "kit", "echo", "hi"]).code(0);
    assert_eq!((wasm.stdout.as_str(), wasm.stderr.as_str()), ("hi\n", ""));

    let info = knarr.run(&["info"]).code(0).stdout;
    assert!(info.contains(&format!("Network: bridge, with no way out: {reason}")), "{info}");
    assert!(info.contains(&format!("Wasm Network: loopback: {reason}")), "{info}");
}

#[test]
fn where_an_ordinary_user_can_make_no_interface_a_network_leads_nowhere_and_why_is_said() {
    let user = NewUser::new();
    let knarr = beginning(&user, &["pasta", "slirp4netns"]);
    knarr.host().forbid_interfaces();
    leads_nowhere(&knarr, "this user may not use /dev/net/tun");
    knarr.ok(&["network", "create", "mine"]);
    let on = ["run", "-d", "--network", "mine"];
    for guest in [&["busybox", "true"][..], &["kit", "echo", "hi"]] {
        let id = knarr.ok(&[&on[..], guest].concat());
        let lacking = knarr.inspect(&id, "{{.Knarr.Lacking}}");
        assert!(lacking.contains("modprobe tun, chmod 666 /dev/net/tun"), "{lacking}");
    }
}

#[test]
fn where_user_namespaces_are_forbidden_a_network_is_refused_with_the_remedy() {
    let user = NewUser::new();
    let mut knarr = beginning(&user, &["pasta"]);
    knarr.ok(&["network", "create", "mine"]);
    knarr.host_mut().forbid_user_namespaces();
    // made now it is for Wasm
    knarr.ok(&["network", "create", "loopback"]);
    for (network, guest) in [
        ("mine", &["busybox", "true"][..]),
        ("mine", &["kit", "echo", "hi"]),
        ("host", &["busybox", "true"]),
        ("loopback", &["kit", "echo", "hi"]),
    ] {
        let said = knarr.fails(125, &[&["run", "--rm", "--network", network][..], guest].concat());
        assert!(said.contains("user namespace"), "{network}: {said}");
        assert!(
            said.contains("hint: as the superuser: sysctl user.max_user_namespaces="),
            "{said}"
        );
    }
    let said = knarr.fails(125, &["run", "--rm", "--network", "loopback", "busybox", "true"]);
    assert!(said.contains("for Wasm containers only") && said.contains("hint: "), "{said}");
}

/// As with systemd-resolved: a server that only the host's own programs reach.
#[test]
fn a_name_server_on_the_loopback_of_the_host_is_asked_for_an_ordinary_user() {
    const LOCAL: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);
    let user = NewUser::new();
    let knarr = beginning(&user, &["pasta"]);
    knarr.file("resolv.conf", format!("nameserver {LOCAL}\n"));
    knarr.host().inside(|| answer_names(UdpSocket::bind((LOCAL, 53)).unwrap(), OUTSIDE));
    let sees = format!("outside sees {ADDRESS}");
    assert_eq!(knarr.ok(&["run", "--rm", "busybox", "sh", "-c", LISTEN]), sees);
    knarr.ok(&["run", "-d", "--name", "native", "busybox", "sh", "-c", LISTEN]);
    knarr.ok(&["wait", "native"]);
    assert_eq!(knarr.ok(&["logs", "native"]), sees);
    let port = PORT.to_string();
    let wasm = knarr.ok(&["run", "--rm", "tcpc", "server.example", &port, "hello\n"]);
    assert!(wasm.ends_with(&sees), "{wasm}");
    knarr.built(&format!("FROM busybox\nRUN {{ {LISTEN}; }} >/seen"), &[]);
    assert_eq!(knarr.ok(&["run", "--rm", "--network", "none", "app", "cat", "/seen"]), sees);
}

/// The process that keeps the user's networks.
fn keeper(user: &NewUser) -> Option<Process> {
    of_user(user.0.id).into_iter().find(|process| {
        let line = std::fs::read(format!("/proc/{}/cmdline", process.id)).unwrap_or_default();
        line.starts_with(b"knarr\0internal\0networks\0")
    })
}

fn network_of(pid: &str) -> std::path::PathBuf {
    std::fs::read_link(format!("/proc/{pid}/ns/net")).unwrap()
}

#[test]
fn the_networks_of_a_keeper_that_was_killed_go_on_with_another_one() {
    let user = NewUser::new();
    let knarr = beginning(&user, &["pasta"]);
    knarr.ok(&["network", "create", "mine"]);
    let on = |name: &'static str| ["run", "-d", "--network", "mine", "--name", name];
    knarr.ok(&[&on("native")[..], &["busybox", "sh", "-c", "httpd -f -p 80 -h /etc"]].concat());
    knarr.ok(&[&on("wasm")[..], &["tcpd", "0.0.0.0:80"]].concat());
    knarr.ok(&["run", "-d", "--name", "other", "busybox", "sleep", "1000"]);
    let monitor = |name| network_of(&knarr.inspect(name, "{{.Knarr.MonitorPid}}"));
    let place = monitor("native");
    let shared = network_of(&knarr.inspect("wasm", "{{.State.Pid}}"));
    let script = format!("mkfifo /tmp/open; nc -w 2 server.example {PORT} <>/tmp/open");
    let sees = |name: &str| {
        knarr.run(&["exec", name, "sh", "-c", &script]).stdout.contains("outside sees")
    };
    until("it leads out", || sees("native") && sees("other"));

    let first = keeper(&user).unwrap();
    first.kill();
    first.ended();
    until("its uplink has ended", || !is_running(&user, "pasta"));
    // what needs the networks finds them again
    let get = "for name in native wasm; do
            printf 'GET /hosts HTTP/1.0\\r\\n\\r\\n' | nc -w 5 $name 80 | grep '200 OK' || exit 1
        done";
    knarr.ok(&["run", "--rm", "--network", "mine", "busybox", "sh", "-c", get]);
    let second = keeper(&user).unwrap();
    assert_ne!(second.id, first.id);
    until("those that ran are led out again", || sees("native") && sees("other"));
    // a Wasm container in the namespace that was there
    knarr.ok(&[&on("later")[..], &["tcpd", "0.0.0.0:80"]].concat());
    assert_eq!(monitor("later"), place);
    assert_eq!(network_of(&knarr.inspect("later", "{{.State.Pid}}")), shared);

    // and once more, when one that was there before ends first
    second.kill();
    second.ended();
    knarr.ok(&["rm", "-f", "native", "wasm"]);
    knarr.ok(&[&on("last")[..], &["busybox", "sleep", "1000"]].concat());
    assert_eq!(monitor("last"), place);
    let third = keeper(&user).unwrap();
    knarr.ok(&["rm", "-f", "later", "last", "other"]);
    third.ended();
    until("no process is left", || of_user(user.0.id).is_empty());
    let files = std::fs::read_dir(knarr.root().join("run/n")).unwrap();
    let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| name == "bridge" || name == "mine"), "{names:?}");
}
