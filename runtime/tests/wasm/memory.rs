//! `--memory`: what all parts of a container may hold together.

use super::Test;
use super::container::Container;
use super::http::{connect, get, log, receive, send, server};
use std::net::TcpStream;

pub const TESTS: &[Test] = &[
    ("memory::all_instances_together", together),
    ("memory::what_does_not_fit_waits", waits),
    ("memory::tables_count", tables),
    ("memory::a_command_that_runs_out_of_it", command),
    ("memory::many_core_instances", many),
];

const MIB: u64 = 1 << 20;

/// The most that was resident, in bytes.
fn peak(running: &super::container::Running) -> u64 {
    let text = running.proc_status("VmHWM");
    text.trim_end_matches(" kB").trim().parse::<u64>().unwrap() << 10
}

fn limited(guest: &str, memory: u64) -> Container {
    let mut container = server(guest);
    container.spec.limits.memory = Some(memory);
    container
}

/// Asks on so many connections at once.
fn ask_all(running: &super::container::Running, path: &str, clients: usize) -> Vec<u16> {
    let mut streams: Vec<TcpStream> = (0..clients).map(|_| connect(running)).collect();
    for stream in &mut streams {
        send(stream, &format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n"));
    }
    streams.iter_mut().map(|stream| receive(stream).0).collect()
}

fn together() {
    let running = limited("odd.p2.wasm", 100 * MIB).start().unwrap();
    assert_eq!(get(&running, "/count").0, 200);
    let before = peak(&running);
    let status = ask_all(&running, "/hold?40", 8);
    assert!(status.contains(&200) && status.contains(&500), "{status:?}");
    assert!(peak(&running) - before < 110 * MIB, "{} bytes", peak(&running));
    // what those had is there again
    assert_eq!(get(&running, "/hold?40").0, 200);
    let text = log(running);
    assert!(text.contains("(--memory)"), "{text}");
}

fn waits() {
    for guest in ["odd.p2.wasm", "odd-many.p2.wasm"] {
        // room for three instances, and what each may grow by
        let running = limited(guest, 4 * MIB).start().unwrap();
        let status = ask_all(&running, "/hold?0", 24);
        assert!(status.iter().all(|status| *status == 200), "{guest}: {status:?}");
    }
    let running = limited("p3httpd.p3.wasm", 4 * MIB).start().unwrap();
    let status = ask_all(&running, "/", 24);
    assert!(status.iter().all(|status| *status == 200), "{status:?}");
}

/// A program that lets as many tables grow as it may.
const TABLES: &str = r#"(module
  (table $a 0 funcref) (table $b 0 funcref) (table $c 0 funcref) (table $d 0 funcref)
  (func $grow (param i32) (if (i32.eq (local.get 0) (i32.const -1)) (then unreachable)))
  (func (export "_start")
    (call $grow (table.grow $a (ref.null func) (i32.const 2000000)))
    (call $grow (table.grow $b (ref.null func) (i32.const 2000000)))
    (call $grow (table.grow $c (ref.null func) (i32.const 2000000)))
    (call $grow (table.grow $d (ref.null func) (i32.const 2000000)))))"#;

fn text(module: &str, memory: Option<u64>) -> super::container::Outcome {
    let mut container = Container::with("kit.p1.wasm", &[]);
    std::fs::write(container.rootfs().join("tables.wat"), module).unwrap();
    container.spec.process.entrypoint = vec!["/tables.wat".into()];
    container.spec.limits.memory = memory;
    container.run()
}

fn tables() {
    assert_eq!(text(TABLES, None).code(), 0);
    assert_eq!(text(TABLES, Some(100 * MIB)).code(), 0);
    let starved = text(TABLES, Some(32 * MIB));
    assert_eq!(starved.code(), 137, "{}", starved.stderr);
    assert!(starved.stderr.contains("(--memory)"), "{}", starved.stderr);
}

fn command() {
    const GROWS: &str = r#"(module (memory 1)
      (func (export "_start") (loop $more
        (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then unreachable))
        (br $more))))"#;
    let mut container = Container::with("kit.p1.wasm", &[]);
    std::fs::write(container.rootfs().join("grows.wat"), GROWS).unwrap();
    container.spec.process.entrypoint = vec!["/grows.wat".into()];
    container.spec.limits.memory = Some(16 * MIB);
    let mut running = container.start().unwrap();
    assert_eq!(running.wait().code(), Some(137));
    let last_words = running.guest.last_words.take();
    assert!(last_words.unwrap().out_of_memory());
    // another end is none of that kind
    let mut container = Container::with("kit.p1.wasm", &["exit", "137"]);
    container.spec.limits.memory = Some(16 * MIB);
    let mut running = container.start().unwrap();
    running.wait();
    assert!(!running.guest.last_words.take().unwrap().out_of_memory());
}

fn many() {
    let running = server("odd-many.p2.wasm").start().unwrap();
    let status = ask_all(&running, "/hold?0", 150);
    assert!(status.iter().all(|status| *status == 200), "{status:?}");
}
