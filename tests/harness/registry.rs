//! A registry that gives out what a store holds, as long as the test runs.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

/// Serves the blobs of a root under any repository, and under each tag the newest image of its `index.json`. Reads everything
/// now; returns the host and port.
pub fn serve(root: &Path) -> String {
    let copy = root.with_file_name("served");
    let copied =
        std::process::Command::new("cp").arg("-a").arg(root.join("blobs")).arg(&copy).status();
    assert!(copied.unwrap().success());
    let index: serde_json::Value =
        serde_json::from_slice(&std::fs::read(root.join("index.json")).unwrap()).unwrap();
    let newest = index["manifests"].as_array().unwrap().last().unwrap()["digest"].as_str().unwrap();
    let newest = newest.to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (folder, newest) = (copy.clone(), newest.clone());
            std::thread::spawn(move || answer(stream, &folder, &newest));
        }
    });
    host
}

/// A client may vanish at any moment.
fn answer(mut stream: TcpStream, folder: &Path, newest: &str) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let path = line.split_whitespace().nth(1)?.to_owned();
        let mut head = String::new();
        while reader.read_line(&mut head).ok()? > 2 {}
        let wanted = path.rsplit('/').next()?;
        let digest = if wanted.contains(':') { wanted } else { newest };
        let file: PathBuf = folder.join(digest.replace(':', "/"));
        let kind = match path.contains("/manifests/") {
            true => "application/vnd.oci.image.manifest.v1+json",
            false => "application/octet-stream",
        };
        let (status, body) = match std::fs::read(file) {
            Ok(body) => ("200 OK", body),
            Err(_) => ("404 Not Found", Vec::new()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(&body).ok()?;
    }
}
