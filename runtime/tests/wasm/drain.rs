//! Stopping a server in the middle of its work: what has been asked is answered, and nothing else is said.

use super::Test;
use super::container::Running;
use super::http::{connect, server};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

pub const TESTS: &[Test] = &[
    ("drain::wasi_0_2_under_load", || under_load("httpd.p2.wasm", "/")),
    ("drain::wasi_0_3_under_load", || under_load("p3httpd.p3.wasm", "/")),
    ("drain::requests_that_wait", || under_load("httpd.p2.wasm", "/sleep?ms=5")),
];

const CLIENTS: usize = 24;

fn under_load(guest: &str, path: &str) {
    for _ in 0..5 {
        let mut running = server(guest).start().unwrap();
        let streams: Vec<TcpStream> = (0..CLIENTS).map(|_| connect(&running)).collect();
        let answered = AtomicUsize::new(0);
        thread::scope(|scope| {
            for stream in streams {
                scope.spawn(|| client(stream, path, &answered));
            }
            while answered.load(Ordering::Relaxed) < 10 * CLIENTS {
                thread::yield_now();
            }
            running.kill(libc::SIGTERM);
        });
        assert_eq!(running.wait().code(), Some(0), "{guest}: {}", log(&mut running));
        assert_eq!(log(&mut running), "", "{guest}");
    }
}

fn log(running: &mut Running) -> String {
    let mut log = String::new();
    running.stderr.read_to_string(&mut log).unwrap();
    log
}

/// Sends one request after the other until the server ends the connection. That may happen between two responses, never
/// within one.
fn client(mut stream: TcpStream, path: &str, answered: &AtomicUsize) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n");
    let mut received = String::new();
    let mut buffer = [0; 4096];
    while stream.write_all(request.as_bytes()).is_ok() {
        received.clear();
        while !is_whole(&received) {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => {
                    assert_eq!(received, "", "cut off");
                    return;
                }
                Ok(n) => received += std::str::from_utf8(&buffer[..n]).unwrap(),
            }
        }
        assert!(received.starts_with("HTTP/1.1 200 OK\r\n"), "{received}");
        answered.fetch_add(1, Ordering::Relaxed);
        if received.to_ascii_lowercase().contains("\r\nconnection: close\r\n") {
            return;
        }
    }
}

/// A response with a length, or in chunks.
fn is_whole(response: &str) -> bool {
    let Some((head, body)) = response.split_once("\r\n\r\n") else { return false };
    let head = head.to_ascii_lowercase();
    match head.lines().find_map(|line| line.strip_prefix("content-length: ")) {
        Some(length) => body.len() == length.parse::<usize>().unwrap(),
        None => body.ends_with("0\r\n\r\n"),
    }
}
