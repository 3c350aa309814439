//! How often an instance of a server answers, with a guest (`odd`) that does not always do so.

use super::Test;
use super::container::{Container, Running};
use super::http::{get, log, one_thread, receive, send, server};
use knarr_core::spec::InstanceRequests;

pub const TESTS: &[Test] = &[
    ("reuse::a_guest_that_answers_once_is_given_a_fresh_instance", silent),
    ("reuse::a_request_with_a_body_is_given_to_a_fresh_instance", bodies),
    ("reuse::a_guest_that_traps_at_its_second_request", traps),
    ("reuse::a_guest_that_never_answers_is_not_asked_twice", never),
    ("reuse::an_unfinished_body_ends_with_its_instance", unfinished),
    ("reuse::an_instance_is_retired", retired),
    ("reuse::the_real_cause_is_told", cause),
];

/// What each of some requests is answered with.
fn answers(running: &Running, path: &str, times: usize) -> Vec<String> {
    (0..times).map(|_| get(running, path).1.trim_end().to_owned()).collect()
}

fn post(running: &Running, path: &str, body: &str) -> (u16, String) {
    let mut stream = super::http::connect(running);
    let length = body.len();
    send(
        &mut stream,
        &format!("POST {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n{body}"),
    );
    receive(&mut stream)
}

fn silent() {
    for (path, after) in [("/silent-after?1", 1), ("/silent-after?3", 3)] {
        let running = one_thread("odd.p2.wasm").start().unwrap();
        for _ in 0..4 * after {
            assert_eq!(get(&running, path).0, 200, "{path}");
        }
        let text = log(running);
        assert_eq!(text.matches("--wasm-instance-requests").count(), 1, "{text}");
        assert!(text.contains(&format!("--wasm-instance-requests {after})")), "{text}");
    }
    // from then on it is what was learned that counts
    let running = one_thread("odd.p2.wasm").start().unwrap();
    assert_eq!(answers(&running, "/silent-after?1", 3), ["1 0", "1 0", "1 0"]);
    assert_eq!(answers(&running, "/count", 2), ["1", "1"]);
}

fn bodies() {
    let running = one_thread("odd.p2.wasm").start().unwrap();
    for _ in 0..3 {
        assert_eq!(post(&running, "/silent-after?1", "twelve bytes"), (200, "1 12\n".into()));
    }
    let much = "x".repeat(1 << 20);
    assert_eq!(post(&running, "/silent-after?1", &much), (200, format!("1 {}\n", much.len())));
}

fn traps() {
    let running = one_thread("odd.p2.wasm").start().unwrap();
    assert_eq!(answers(&running, "/trap-after?1", 3), ["1 0", "1 0", "1 0"]);
    // a request that is not safe may have had its effect: it is not repeated, but the guest is known soon
    let running = one_thread("odd.p2.wasm").start().unwrap();
    let status: Vec<u16> = (0..8).map(|_| post(&running, "/trap-after?1", "x").0).collect();
    assert_eq!(status, [200, 500, 200, 500, 200, 200, 200, 200]);
    // where others have come further, it is the request
    let running = one_thread("odd.p2.wasm").start().unwrap();
    answers(&running, "/count", 5);
    for _ in 0..3 {
        post(&running, "/trap-after?0", "x");
        assert_eq!(answers(&running, "/count", 2), ["1", "2"]);
    }
}

fn never() {
    let running = one_thread("odd.p2.wasm").start().unwrap();
    assert_eq!(get(&running, "/silent").0, 500);
    assert_eq!(answers(&running, "/count", 2), ["1", "2"]);
    assert_eq!(get(&running, "/silent").0, 500);
    assert_eq!(answers(&running, "/count", 2), ["1", "2"]);
    let text = log(running);
    assert_eq!(text.matches("GET /silent: the guest gave no response").count(), 2, "{text}");
    assert!(!text.contains("--wasm-instance-requests"), "{text}");
}

fn unfinished() {
    let running = one_thread("odd.p2.wasm").start().unwrap();
    assert_eq!(answers(&running, "/count", 1), ["1"]);
    let request = "GET /unfinished HTTP/1.1\r\nHost: t\r\n\r\n";
    let answer = super::http::exchange(&running, request);
    assert!(answer.ends_with("\r\n5\r\npart\n\r\n"), "{answer}");
    assert_eq!(answers(&running, "/count", 2), ["1", "2"]);
}

fn retired() {
    let with = |requests: InstanceRequests| {
        let mut container = one_thread("odd.p2.wasm");
        container.spec.wasm.instance_requests = Some(requests);
        container
    };
    let start = |container: Container| container.start().unwrap();
    let running = start(with("3".parse().unwrap()));
    assert_eq!(answers(&running, "/count", 7), ["1", "2", "3", "1", "2", "3", "1"]);
    let running = start(with(InstanceRequests::ONE));
    assert_eq!(answers(&running, "/count", 2), ["1", "1"]);
    // what it leaves open, and what it keeps
    for path in ["/leak?600", "/grow?10"] {
        let running = start(with(InstanceRequests::Unlimited));
        let counts = answers(&running, path, 8);
        assert_eq!(counts[1], "2", "{path}");
        assert!(counts[2..].contains(&"1".to_owned()), "{path}: {counts:?}");
    }
    // a small leak stays below that
    let running = start(server("odd.p2.wasm"));
    assert!(!answers(&running, "/leak?1", 20)[2..].contains(&"1".to_owned()));
}

fn cause() {
    let running = one_thread("odd.p2.wasm").start().unwrap();
    assert_eq!(get(&running, "/silent-then-trap").0, 500);
    let text = log(running);
    let trap = text.find("an instance trapped").unwrap_or_else(|| panic!("{text}"));
    let told = text.find("GET /silent-then-trap: the guest trapped").unwrap();
    assert!(trap < told, "{text}");
    assert!(!text.contains("gave no response"), "{text}");
}
