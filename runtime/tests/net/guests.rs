//! Wasm guests and native programs that talk to each other, and what they say of it.
#![allow(clippy::disallowed_methods)] // tests write what the code under test is to find

use crate::fixture::*;
use knarr_core::id::ContainerId;
use knarr_runtime::net;
use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv6Addr, TcpStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

/// A root with all guests in its Wasm image. What they are compiled to is shared by all tests.
pub fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let layer = fixture.store.layer_path(&digest('a'));
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests/built");
    for file in fs::read_dir(built).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|e| e == "wasm") {
            fs::copy(&file, layer.join(file.file_name().unwrap())).unwrap();
        }
    }
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("net-wasm-cache");
    knarr_core::sys::create_private_dir_all(&cache).unwrap();
    std::os::unix::fs::symlink(cache, fixture.root().wasm_cache()).unwrap();
    fixture
}

/// A container of a guest, made and not started.
pub fn guest(
    fixture: &Fixture,
    module: &str,
    ports: &[u16],
    arguments: &[&str],
    options: RunOptions,
) -> ContainerId {
    let exposed: Vec<String> = ports.iter().map(|port| format!("\"{port}/tcp\":{{}}")).collect();
    let config = format!(
        r#"{{"config":{{"Entrypoint":["/{module}.wasm"],"ExposedPorts":{{{}}}}}}}"#,
        exposed.join(",")
    );
    let made = fixture.create_from("wasi/wasm", 'a', &config, arguments, options);
    made.unwrap_or_else(|e| panic!("{}", chain(&e)))
}

/// The same options with a name, which is also the guest's own.
pub fn named(name: &str, options: RunOptions) -> RunOptions {
    let env = vec![format!("HOSTNAME={name}")];
    RunOptions { name: Some(name.to_owned()), env, ..options }
}

/// Starts a server and waits until it says so.
pub fn serve(fixture: &Fixture, id: &ContainerId) {
    fixture.start(id);
    wait_until(|| log(fixture, id).iter().any(|line| line.contains("listen")));
}

pub fn address(fixture: &Fixture, id: &ContainerId, network: &str) -> IpAddr {
    let endpoints = net::endpoints(fixture.root(), network).unwrap();
    endpoints.iter().find(|e| e.container == *id).unwrap().ipv4.unwrap().into()
}

pub fn address6(fixture: &Fixture, id: &ContainerId, network: &str) -> Ipv6Addr {
    let endpoints = net::endpoints(fixture.root(), network).unwrap();
    endpoints.iter().find(|e| e.container == *id).unwrap().ipv6.unwrap()
}

/// A program of the host in a native container's network, with the names that the container has: glibc's resolver.
pub fn within(fixture: &Fixture, id: &ContainerId, script: &str) -> Output {
    let pid = fixture.load(id).state.pid.unwrap();
    let etc = fixture.root().container(id).etc();
    let with_names =
        format!("mount --bind {}/resolv.conf /etc/resolv.conf\nexec \"$@\"", etc.display());
    Command::new("nsenter")
        .arg(format!("--net=/proc/{pid}/ns/net"))
        .args(["unshare", "-m", "sh", "-euc", &with_names, "sh", "python3", "-c", script])
        .output()
        .unwrap()
}

/// A server of HTTP in a native container's network that tells each client its address; ends with the test.
pub fn native_server(fixture: &Fixture, id: &ContainerId, port: u16) -> crate::host::Running {
    let pid = fixture.load(id).state.pid.unwrap();
    let script = format!(
        "import socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(('0.0.0.0', {port})); s.listen(16); print('ready', flush=True)
while True:
    c, a = s.accept(); c.recv(4096)
    c.sendall(('HTTP/1.0 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n' % len(a[0]) + a[0]).encode())
    c.close()"
    );
    crate::host::program(&format!("nsenter --net=/proc/{pid}/ns/net python3 -c"), &script)
}

/// A request from this process; the body of the answer.
pub fn get(address: IpAddr, port: u16, path: &str) -> String {
    let patience = Duration::from_secs(20);
    let mut stream = TcpStream::connect_timeout(&(address, port).into(), patience).unwrap();
    stream.set_read_timeout(Some(patience)).unwrap();
    // in one piece: the servers look no further than the first
    let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The output of a guest that has ended well.
pub fn run(fixture: &Fixture, id: &ContainerId) -> String {
    let output = fixture.run(id);
    assert!(output.status.success(), "{} {}", stdout(&output), stderr(&output));
    stdout(&output).to_owned()
}
