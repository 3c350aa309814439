//! Clients and servers on loopback around one resolver.

use super::super::message::{addresses, code, is_truncated, question};
use super::*;
use crate::net::{self, Endpoint, NewNetwork};
use knarr_core::fsx::Durability;
use knarr_core::id::ContainerId;
use knarr_core::record;
use knarr_core::root::Root;
use knarr_core::spec::Outbound;
use knarr_core::spec::network::Driver;
use rustix::event::{PollFd, poll};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Works for the resolver until the clients are done.
fn drive<T: Send + 'static>(
    resolver: &mut Resolver,
    clients: impl FnOnce() -> T + Send + 'static,
) -> T {
    let clients: JoinHandle<T> = thread::spawn(clients);
    while !clients.is_finished() {
        let (sources, ready): (Vec<Source>, Vec<bool>) = {
            let wanted: Vec<_> = resolver.wanted().collect();
            let mut fds: Vec<PollFd> =
                wanted.iter().map(|(_, fd, flags)| PollFd::from_borrowed_fd(*fd, *flags)).collect();
            // the clients' end wakes nobody
            let most = rustix::time::Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
            poll(&mut fds, Some(&most)).unwrap();
            let ready = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
            (wanted.into_iter().map(|(source, ..)| source).collect(), ready)
        };
        for (source, _) in sources.into_iter().zip(ready).filter(|(_, ready)| *ready) {
            resolver.ready(source);
        }
        if resolver.deadline().is_some_and(|at| at <= Instant::now()) {
            resolver.tick();
        }
    }
    clients.join().unwrap()
}

fn asking(upstream: Vec<SocketAddr>) -> (Resolver, SocketAddr, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let root = Root::at(directory.path());
    // without a bridge in the kernel
    let driver = Some(Driver::Loopback);
    let new = NewNetwork { name: "net".into(), driver, ..NewNetwork::default() };
    let network = net::create(&root, new).unwrap();
    let endpoint = Endpoint {
        container: ContainerId::random(),
        name: "db".into(),
        aliases: Vec::new(),
        ipv4: network.ipv4.as_ref().map(|s| u32::from(s.subnet.network()) + 9).map(Into::into),
        ipv6: None,
        mac: None,
        ports: Vec::new(),
        wished_ipv4: None,
        wished_ipv6: None,
        wished_mac: None,
        link_local: Vec::new(),
        lasting: false,
    };
    let path = root.network("net").endpoint(&endpoint.container);
    record::write(&path, &endpoint, Durability::Process).unwrap();
    let (datagrams, connections) = on_one_port();
    let sockets = Sockets::of(datagrams, connections).unwrap();
    let address = sockets.datagrams.local_addr().unwrap();
    let table = Table::open(&root, &[network]);
    (Resolver::new(table, Upstream::fixed(upstream)).on(sockets), address, directory)
}

fn ask(server: SocketAddr, message: &[u8]) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let mut buffer = [0; 4096];
    // a datagram may be lost: clients ask again
    for _ in 0..20 {
        socket.send_to(message, server).unwrap();
        if let Ok(length) = socket.recv(&mut buffer) {
            return buffer[..length].to_vec();
        }
    }
    panic!("no answer");
}

fn ask_over_tcp(server: SocketAddr, messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut stream = TcpStream::connect(server).unwrap();
    for message in messages {
        stream.write_all(&(message.len() as u16).to_be_bytes()).unwrap();
        stream.write_all(message).unwrap();
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut all = Vec::new();
    stream.read_to_end(&mut all).unwrap();
    std::iter::from_fn(|| stream::take_message(&mut all)).collect()
}

/// A port that is free for datagrams may be another's for streams.
fn on_one_port() -> (UdpSocket, TcpListener) {
    std::iter::repeat_with(|| UdpSocket::bind("127.0.0.1:0").unwrap())
        .find_map(|socket| {
            let listener = TcpListener::bind(socket.local_addr().unwrap()).ok()?;
            Some((socket, listener))
        })
        .unwrap()
}

/// A name server whose answer to everything is made by a function; counts what it is asked.
fn server(answer: fn(&[u8]) -> Option<Vec<u8>>) -> (SocketAddr, Arc<AtomicUsize>) {
    let (socket, listener) = on_one_port();
    let address = socket.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            count.fetch_add(1, Ordering::Relaxed);
            let _ = socket.send_to(b"noise", from);
            if let Some(answer) = answer(&buffer[..length]) {
                socket.send_to(&answer, from).unwrap();
            }
        }
    });
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut bytes = Vec::new();
            let mut chunk = [0; 512];
            let message = loop {
                let Ok(count @ 1..) = stream.read(&mut chunk) else { break None };
                bytes.extend(&chunk[..count]);
                if let Some(message) = stream::take_message(&mut bytes) {
                    break Some(message);
                }
            };
            if let Some(message) = message {
                let many = vec![Data::Address([10, 0, 0, 1].into()); 100];
                let answer = Query::parse(&message).unwrap().answer(Code::Done, &many, true);
                stream.write_all(&(answer.len() as u16).to_be_bytes()).unwrap();
                stream.write_all(&answer).unwrap();
            }
        }
    });
    (address, asked)
}

fn one_address(message: &[u8]) -> Option<Vec<u8>> {
    let data = [Data::Address([192, 0, 2, 1].into())];
    Some(Query::parse(message).ok()?.answer(Code::Done, &data, false))
}

fn cut_short(message: &[u8]) -> Option<Vec<u8>> {
    let many = vec![Data::Address([10, 0, 0, 1].into()); 100];
    Some(Query::parse(message).ok()?.answer(Code::Done, &many, false))
}

fn failure(message: &[u8]) -> Option<Vec<u8>> {
    Some(Query::parse(message).ok()?.answer(Code::Failed, &[], false))
}

/// Nobody listens there.
fn closed() -> SocketAddr {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn names_of_the_network() {
    let (mut resolver, address, _directory) = asking(vec![closed()]);
    drive(&mut resolver, move || {
        let questions = [
            question(1, "DB", message::A).unwrap(),
            question(2, "db.net", message::AAAA).unwrap(),
            question(3, "db", message::ANY).unwrap(),
            question(4, "localhost", message::AAAA).unwrap(),
            question(5, "db", 15).unwrap(),
        ];
        let over_tcp = ask_over_tcp(address, &questions);
        let answers: Vec<Vec<u8>> = questions.iter().map(|q| ask(address, q)).collect();
        assert_eq!(answers, over_tcp);
        assert!(answers.iter().all(|answer| code(answer) == Code::Done));
        let counts = answers.iter().map(|answer| addresses(answer).unwrap().len());
        assert_eq!(counts.collect::<Vec<_>>(), [1, 0, 1, 1, 0]);
        let [IpAddr::V4(ip)] = addresses(&answers[0]).unwrap()[..] else { panic!() };
        let [a, b, c, d] = ip.octets();
        let name = format!("{d}.{c}.{b}.{a}.in-addr.arpa");
        let answer = ask(address, &question(6, &name, message::PTR).unwrap());
        assert!(answer.ends_with(b"\x02db\x03net\0"), "{answer:?}");
        let other = format!("250.{c}.{b}.{a}.in-addr.arpa");
        let answer = ask(address, &question(7, &other, message::PTR).unwrap());
        assert_eq!(code(&answer), Code::NoSuchName);
    });
}

#[test]
fn other_names_are_passed_on() {
    let (upstream, _) = server(|message| {
        // something that this resolver does not understand comes back as it was
        let mut answer = message.to_vec();
        answer[2] |= 0x80;
        answer.extend(b"whatever this is");
        Some(answer)
    });
    let (mut resolver, address, _directory) = asking(vec![closed(), upstream]);
    drive(&mut resolver, move || {
        let asked = question(77, "Mail.Example", 15).unwrap();
        let mut expected = asked.clone();
        expected[2] |= 0x80;
        expected.extend(b"whatever this is");
        assert_eq!(ask(address, &asked), expected);
    });
}

#[test]
fn servers_that_fail() {
    let (silent, silent_asked) = server(|_| None);
    let (failing, failing_asked) = server(failure);
    let (good, _) = server(one_address);
    let (mut resolver, address, _directory) = asking(vec![silent, failing, good]);
    drive(&mut resolver, move || {
        let answer = ask(address, &question(1, "example", message::A).unwrap());
        assert_eq!(addresses(&answer), Some(vec![[192, 0, 2, 1].into()]));
        let counts = [silent_asked, failing_asked].map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counts, [1, 1]);
    });
    let (mut resolver, address, _directory) = asking(vec![silent, closed()]);
    drive(&mut resolver, move || {
        let answer = ask(address, &question(1, "example", message::A).unwrap());
        assert_eq!(code(&answer), Code::Failed);
        // and it still knows its own
        let answer = ask(address, &question(1, "db", message::A).unwrap());
        assert_eq!(addresses(&answer).unwrap().len(), 1);
    });
    assert!(resolver.deadline().is_none() && resolver.buffer.is_empty());
}

#[test]
fn many_questions_at_once() {
    let (good, _) = server(one_address);
    let (mut resolver, address, _directory) = asking(vec![good]);
    drive(&mut resolver, move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut open: std::collections::HashSet<u16> = (0..200).collect();
        for id in 0..200 {
            let message = question(id, &format!("n{id}.example"), message::A).unwrap();
            socket.send_to(&message, address).unwrap();
        }
        let mut buffer = [0; 512];
        while !open.is_empty() {
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(addresses(&buffer[..length]).unwrap().len(), 1);
            assert!(open.remove(&u16::from_be_bytes([buffer[0], buffer[1]])));
        }
    });
    assert!(resolver.exchanges.is_empty());
}

#[test]
fn long_answers() {
    let (upstream, _) = server(cut_short);
    let (mut resolver, address, _directory) = asking(vec![upstream]);
    let guest = resolver.channel().unwrap();
    drive(&mut resolver, move || {
        let message = question(9, "example", message::A).unwrap();
        assert!(is_truncated(&ask(address, &message)));
        let [answer] = &ask_over_tcp(address, std::slice::from_ref(&message))[..] else { panic!() };
        assert_eq!(addresses(answer).unwrap().len(), 100);
        // a Wasm guest has no TCP for this: it gets all at once
        let asked = [&[channel::NAMES], message.as_slice()].concat();
        rustix::net::send(&guest, &asked, SendFlags::empty()).unwrap();
        let mut buffer = [0; 4096];
        let (length, _) = rustix::net::recv(&guest, &mut buffer, RecvFlags::empty()).unwrap();
        assert_eq!(addresses(&buffer[1..length]).unwrap().len(), 100);
    });
}

#[test]
fn hostile_clients() {
    let (mut resolver, address, _directory) = asking(vec![closed()]);
    drive(&mut resolver, move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let good = question(1, "db", message::A).unwrap();
        let mut noise = good.clone();
        for at in 0..good.len() * 8 {
            noise[at / 8] ^= 1 << (at % 8);
            socket.send_to(&noise, address).unwrap();
            noise[at / 8] ^= 1 << (at % 8);
            socket.send_to(&good[..at / 8], address).unwrap();
        }
        // connections that say nothing, and that announce more than they send
        let idle: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(address).unwrap()).collect();
        let mut liar = TcpStream::connect(address).unwrap();
        liar.write_all(&[0xff, 0xff, 1, 2, 3]).unwrap();
        drop(liar);
        assert_eq!(addresses(&ask(address, &good)).unwrap().len(), 1);
        drop(idle);
    });
}

#[test]
fn only_what_is_allowed() {
    let (good, _) = server(one_address);
    let (resolver, address, _directory) = asking(vec![good]);
    let outbound = |host: &str| Outbound { host: host.into(), port: Some(80) };
    let allowed = Arc::new(Allowed::new(&[outbound("*.example"), outbound("db")]));
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let notes = told.clone();
    let learnt: Learnt = Box::new(move |name, addresses| {
        notes.lock().unwrap().push((name.to_owned(), addresses.len()));
    });
    let mut resolver = resolver.only(allowed.clone(), learnt);
    drive(&mut resolver, move || {
        for (name, kind, expected) in [
            ("a.example", message::A, Code::Done),
            ("db", message::A, Code::Done),
            ("secret.leak", message::A, Code::Refused),
            // who answers for it reads it
            ("secret.leak", message::PTR, Code::Refused),
            ("7.7.7.7.in-addr.arpa", message::PTR, Code::Refused),
        ] {
            let answer = ask(address, &question(1, name, kind).unwrap());
            assert_eq!(code(&answer), expected, "{name}");
        }
    });
    assert!(allowed.permits([192, 0, 2, 1].into(), 80));
    assert!(!allowed.permits([192, 0, 2, 1].into(), 443));
    assert_eq!(*told.lock().unwrap(), [("a.example".to_owned(), 1), ("db".to_owned(), 1)]);
}
