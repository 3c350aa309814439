//! HTTP/1 on the wire: who waits for whom, how connections end, and what is no request.

use super::Test;
use super::container::Running;
use super::http::{connect, exchange, get, log, one_thread, receive, send, server};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

pub const TESTS: &[Test] = &[
    ("wire::the_beginning_of_another_request_holds_no_answer_back", next),
    ("wire::what_is_no_request_is_answered", bad),
    ("wire::a_large_body_that_nobody_reads", unread),
    ("wire::a_small_body_that_nobody_reads", unread_little),
    ("wire::a_client_that_has_said_all_is_answered", half_closed),
    ("wire::a_client_that_waits_is_told_to_go_on", expects),
    ("wire::an_answer_that_ends_early_arrives_as_far_as_it_goes", short),
    ("wire::a_client_that_does_not_read_makes_the_guest_wait", slow),
];

const GUESTS: [&str; 2] = ["httpd.p2.wasm", "p3httpd.p3.wasm"];

/// Reads until this text has come.
fn until(stream: &mut TcpStream, text: &str) -> String {
    let mut all = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&all).contains(text) {
        let n = stream.read(&mut byte).unwrap();
        assert_ne!(n, 0, "no {text:?} in {}", String::from_utf8_lossy(&all));
        all.push(byte[0]);
    }
    String::from_utf8_lossy(&all).to_ascii_lowercase()
}

fn next() {
    for guest in GUESTS {
        let running = server(guest).start().unwrap();
        for more in ["\r\n", "GET /", "G", "\r\n\r\n"] {
            let mut stream = connect(&running);
            send(&mut stream, &format!("GET / HTTP/1.1\r\nHost: t\r\n\r\n{more}"));
            assert_eq!(receive(&mut stream).0, 200, "{guest} {more:?}");
        }
        let close = "GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n\r\n";
        assert!(exchange(&running, close).starts_with("http/1.1 200 "), "{guest}");
        let answers = exchange(&running, "GET / HTTP/1.1\r\nHost: t\r\n\r\n\0\0 nonsense\r\n\r\n");
        assert!(answers.starts_with("http/1.1 200 "), "{guest}: {answers}");
        assert!(answers.contains("http/1.1 400 "), "{guest}: {answers}");
    }
}

fn bad() {
    let many = |n: usize| (0..n).map(|i| format!("h{i}: x\r\n")).collect::<String>();
    let request = |line: &str, fields: &str| format!("{line}\r\n{fields}\r\n");
    let get = |fields: &str| request("GET / HTTP/1.1", &format!("Host: t\r\n{fields}"));
    let cases = [
        ("\0\x01\x02\r\n\r\n".to_owned(), 400),
        (request("GET / HTTP/9.9", "Host: t\r\n"), 400),
        (request("GET  / HTTP/1.1", "Host: t\r\n"), 400),
        (get("a : x\r\n"), 400),
        (get("Content-Length: 1\r\nContent-Length: 2\r\n"), 400),
        (get("Content-Length: -1\r\n"), 400),
        (get("Transfer-Encoding: nonsense\r\n"), 400),
        (get(&many(150)), 431),
        (get(&format!("long: {}\r\n", "x".repeat(600_000))), 431),
        (request(&format!("GET /{} HTTP/1.1", "x".repeat(70_000)), "Host: t\r\n"), 414),
        (request("GET / HTTP/1.1", ""), 400),
        (request("GET http://t/ HTTP/1.1", ""), 400),
        (request("GET / HTTP/1.1", "Host: a\r\nHost: b\r\n"), 400),
        (request("GET / HTTP/1.1", "Host: a\r\nHost: a\r\n"), 400),
        (request("GET / HTTP/1.0", "Host: a\r\nHost: b\r\n"), 400),
        (request("GET / HTTP/1.0", ""), 200),
    ];
    for guest in GUESTS {
        let running = server(guest).start().unwrap();
        for (request, status) in &cases {
            let mut stream = connect(&running);
            send(&mut stream, request);
            let answer = until(&mut stream, "\r\n\r\n");
            let shown: String = request.chars().take(60).collect();
            assert!(answer.starts_with(&format!("http/1.{}", &answer[7..8])), "{answer}");
            assert_eq!(answer[9..12], status.to_string(), "{guest}: {shown:?}");
            // and the connection ends by itself
            stream.read_to_string(&mut String::new()).unwrap();
        }
    }
}

fn unread() {
    for guest in GUESTS {
        let running = server(guest).start().unwrap();
        let body = vec![b'x'; 1 << 20];
        for fields in
            [format!("Content-Length: {}", body.len()), "Transfer-Encoding: chunked".into()]
        {
            for _ in 0..3 {
                let mut stream = connect(&running);
                send(&mut stream, &format!("POST / HTTP/1.1\r\nHost: t\r\n{fields}\r\n\r\n"));
                let chunked = fields.ends_with("chunked");
                if chunked {
                    send(&mut stream, &format!("{:x}\r\n", body.len()));
                }
                // as a client does that reads when it has written everything
                stream.write_all(&body).unwrap();
                if chunked {
                    send(&mut stream, "\r\n0\r\n\r\n");
                }
                let head = until(&mut stream, "\r\n\r\n");
                assert!(head.starts_with("http/1.1 200 "), "{guest} {fields}: {head}");
                assert!(head.contains("connection: close"), "{guest} {fields}: {head}");
                stream.read_to_end(&mut Vec::new()).unwrap();
            }
        }
    }
}

fn unread_little() {
    for (guest, path) in
        [("httpd.p2.wasm", "/"), ("p3httpd.p3.wasm", "/"), ("odd.p2.wasm", "/ignore")]
    {
        let running = server(guest).start().unwrap();
        let mut stream = connect(&running);
        for _ in 0..5 {
            let head = format!("POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\n");
            // the body in a packet of its own, when the answer is there
            send(&mut stream, &head);
            let (status, _) = receive(&mut stream);
            send(&mut stream, "12345");
            assert_eq!(status, 200, "{guest}");
            send(&mut stream, "GET / HTTP/1.1\r\nHost: t\r\n\r\n");
            assert_eq!(receive(&mut stream).0, 200, "{guest}");
        }
    }
}

fn half_closed() {
    let running = server("httpd.p2.wasm").start().unwrap();
    let mut stream = connect(&running);
    send(&mut stream, "GET /sleep?ms=50 HTTP/1.1\r\nHost: t\r\n\r\n");
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(receive(&mut stream), (200, "slept\n".into()));
}

fn expects() {
    let running = server("odd.p2.wasm").start().unwrap();
    let ask = |path: &str| {
        let mut stream = connect(&running);
        let fields = "Host: t\r\nExpect: 100-continue\r\nContent-Length: 5\r\n";
        send(&mut stream, &format!("POST {path} HTTP/1.1\r\n{fields}\r\n"));
        stream
    };
    // one that reads before it answers, and two that answer first
    for path in ["/silent-after?9", "/early", "/echo"] {
        let mut stream = ask(path);
        assert_eq!(until(&mut stream, "\r\n\r\n"), "http/1.1 100 continue\r\n\r\n", "{path}");
        send(&mut stream, "12345");
        let answer = receive(&mut stream);
        assert_eq!(answer.0, 200, "{path}");
        assert!(path != "/early" || answer.1 == "early\n12345", "{answer:?}");
    }
    // one that does not read it
    let head = until(&mut ask("/count"), "\r\n\r\n");
    assert!(head.starts_with("http/1.1 200 ") && head.contains("connection: close"), "{head}");
}

fn short() {
    let running = one_thread("odd.p2.wasm").start().unwrap();
    let answer = exchange(&running, "GET /short HTTP/1.1\r\nHost: t\r\n\r\n");
    assert!(answer.contains("\r\ncontent-length: 10\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\npart\n"), "{answer}");
    let text = log(running);
    assert!(text.contains("5 bytes short of its Content-Length"), "{text}");
}

/// Resident memory in bytes.
fn resident(running: &Running) -> u64 {
    let text = running.proc_status("VmRSS");
    text.trim_end_matches(" kB").trim().parse::<u64>().unwrap() << 10
}

/// Until nothing moves on this connection any more, which the client does not read.
fn stands_still(running: &Running, stream: &TcpStream) {
    let (mut last, mut same) = (0, 0);
    while same < 50 {
        let waiting = rustix::io::ioctl_fionread(stream).unwrap();
        assert_eq!(get(running, "/count").0, 200);
        same = if waiting == last && waiting > 0 { same + 1 } else { 0 };
        last = waiting;
    }
}

fn slow() {
    const MUCH: usize = 96;
    let running = server("odd.p2.wasm").start().unwrap();
    assert_eq!(get(&running, "/count").0, 200);
    let before = resident(&running);
    let mut stream = connect(&running);
    send(
        &mut stream,
        &format!("GET /much?{MUCH} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"),
    );
    stands_still(&running, &stream);
    let grown = resident(&running).saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes for a client that does not read");
    // all of it comes when it does
    let mut total = 0;
    let mut buffer = vec![0; 1 << 20];
    while let n @ 1.. = stream.read(&mut buffer).unwrap() {
        total += n;
    }
    assert!(total > MUCH << 20, "{total}");
    // a client that sends and does not read what is sent back has to wait
    let mut stream = connect(&running);
    send(&mut stream, "POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 999999999\r\n\r\n");
    stream.set_nonblocking(true).unwrap();
    let mut sent = 0;
    let mut blocked = 0;
    while blocked < 50 && sent < MUCH << 20 {
        match stream.write(&buffer) {
            Ok(n) => (sent, blocked) = (sent + n, 0),
            Err(_) => blocked += 1,
        }
        assert_eq!(get(&running, "/count").0, 200);
    }
    assert!(sent < MUCH << 20, "{sent} bytes taken from a client that does not read");
    let grown = resident(&running).saturating_sub(before);
    assert!(grown < 32 << 20, "{grown} bytes for a client that does not read");
}
