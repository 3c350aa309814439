//! What a registry answers, request by request, to a pull: refused, or an image whose every blob is what its digest says.
//!
//! The input is cut at each 0xFF byte: one part for each request. Its first byte chooses the status, the second the header that
//! goes with it, the rest is the body.

#![no_main]

use knarr_core::image::variant::Runnable;
use knarr_core::image::{Platform, Reference};
use knarr_core::root::Root;
use knarr_core::store::{Store, digest_of};
use knarr_packager::Silent;
use knarr_packager::registry::{Config, PullOptions, Timing, pull};
use libfuzzer_sys::fuzz_target;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const STATUS: [&str; 12] =
    ["200", "200", "200", "201", "206", "301", "307", "401", "403", "404", "429", "500"];
const TYPES: [&str; 6] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/octet-stream",
    "text/plain",
];

fuzz_target!(|data: &[u8]| {
    if let Ok(header) = std::str::from_utf8(data) {
        knarr_packager::fuzz::challenge(header);
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let parts: Vec<Vec<u8>> = data.split(|byte| *byte == 0xff).take(12).map(<[u8]>::to_vec).collect();
    let server = std::thread::spawn(move || serve(&listener, &parts, port));
    let place = tempfile::tempdir_in("/dev/shm").unwrap();
    let store = Store::open(&Root::at(place.path())).unwrap();
    let mut config = Config::from_variables(|_| None).unwrap();
    config.timing = Timing { attempts: 1, idle: Duration::from_millis(200), ..Timing::default() };
    let reference: Reference = format!("127.0.0.1:{port}/a:b").parse().unwrap();
    let linux: Platform = "linux/amd64".parse().unwrap();
    let options = PullOptions {
        platform: None,
        runnable: Runnable { wasm: true, native: vec![linux] },
        all_platforms: data.first().is_some_and(|byte| byte & 0x80 != 0),
    };
    if let Ok(image) = pull(&store, &reference, &options, &config, &Silent) {
        let path = store.blob_path(image.id());
        assert_eq!(digest_of(&std::fs::read(path).unwrap()), *image.id());
    } else {
        assert!(store.find(&reference.to_string()).is_err());
    }
    // the last connection ends the server
    let _ = TcpStream::connect(("127.0.0.1", port)).map(|mut end| end.write_all(b"END / HTTP/1.1\r\n\r\n"));
    server.join().unwrap();
});

fn serve(listener: &TcpListener, parts: &[Vec<u8>], port: u16) {
    let mut parts = parts.iter();
    while let Ok((mut stream, _)) = listener.accept() {
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !request.windows(4).any(|end| end == b"\r\n\r\n") {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(count) => request.extend_from_slice(&buffer[..count]),
            }
        }
        if request.starts_with(b"END ") {
            return;
        }
        let part = parts.next().map_or(&[9_u8, 0][..], Vec::as_slice);
        let status = STATUS[usize::from(part.first().copied().unwrap_or(9)) % STATUS.len()];
        let kind = usize::from(part.get(1).copied().unwrap_or(0));
        let body = part.get(2..).unwrap_or_default();
        let location = format!("http://127.0.0.1:{port}/{}", kind % 3);
        let text: String =
            String::from_utf8_lossy(body).chars().filter(|c| !c.is_control()).take(200).collect();
        let answer = format!(
            "HTTP/1.1 {status} x\r\nConnection: close\r\nContent-Type: {}\r\nLocation: {location}\r\n\
             WWW-Authenticate: {text}\r\nContent-Length: {}\r\n\r\n",
            TYPES[kind % TYPES.len()],
            body.len(),
        );
        let _ = stream.write_all(answer.as_bytes()).and_then(|()| stream.write_all(body));
    }
}
