//! `ADD` of addresses, and contexts that are not folders.

use crate::support::builds::Project;
use knarr_packager::build::options::{Context, DockerfileSource};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A server with one file that can change; it knows its ETag.
struct Server {
    address: String,
    content: Arc<Mutex<Vec<u8>>>,
    sent: Arc<AtomicUsize>,
}

impl Server {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let content = Arc::new(Mutex::new(b"first".to_vec()));
        let sent = Arc::new(AtomicUsize::new(0));
        let (shared, count) = (content.clone(), sent.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                answer(stream, &shared.lock().unwrap(), &count);
            }
        });
        Self { address, content, sent }
    }
}

fn answer(mut stream: TcpStream, content: &[u8], sent: &AtomicUsize) {
    let etag = knarr_core::store::digest_of(content).digest()[..8].to_owned();
    let lines: Vec<String> = BufReader::new(stream.try_clone().unwrap())
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let path = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    let is_known =
        lines.iter().any(|l| l.eq_ignore_ascii_case(&format!("if-none-match: \"{etag}\"")));
    let head = "Connection: close\r\nLast-Modified: Tue, 14 Nov 2023 22:13:20 GMT";
    let _ = if path.starts_with("/missing") {
        write!(stream, "HTTP/1.1 404 Not Found\r\n{head}\r\nContent-Length: 0\r\n\r\n")
    } else if is_known {
        write!(stream, "HTTP/1.1 304 Not Modified\r\n{head}\r\n\r\n")
    } else {
        sent.fetch_add(1, Ordering::Relaxed);
        let length = content.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\n{head}\r\nETag: \"{etag}\"\r\nContent-Length: {length}\r\n\r\n"
        )
        .and_then(|()| stream.write_all(content))
    };
}

#[test]
fn downloads() {
    let server = Server::start();
    let url = format!("{}/dir/name.bin?x=1", server.address);
    let project =
        Project::new(&format!("FROM scratch\nADD {url} /to/\nADD --chmod=755 {url} /as\n"));
    let (built, _) = project.build();
    assert_eq!(
        project.files(&built),
        ["as 755 0:0 \"first\"", "to/ 755 0:0", "to/name.bin 600 0:0 \"first\""]
    );
    assert_eq!(server.sent.load(Ordering::Relaxed), 1, "the second one was known to be current");
    assert_eq!(project.build().1.of("ADD"), ["CACHED", "CACHED"]);
    *server.content.lock().unwrap() = b"second".to_vec();
    assert_eq!(project.build().1.of("ADD"), ["DONE", "DONE"]);

    let digest = |text: &[u8]| knarr_core::store::digest_of(text).to_string();
    let checked = |checksum: &str| format!("FROM scratch\nADD --checksum={checksum} {url} /x\n");
    project.file("Dockerfile", checked(&digest(b"other")));
    let story = project.fails();
    assert!(story.contains("should have the checksum sha256:"), "{story}");
    project.file("Dockerfile", checked(&digest(b"second")));
    project.build();
    project.file("Dockerfile", format!("FROM scratch\nADD {}/missing /x\n", server.address));
    assert!(project.fails().contains("answered 404"));
    project.file("Dockerfile", checked("md5:0"));
    assert!(project.fails().contains("it is written as sha256:"));
}

/// Git's own server of a folder of repositories; it ends with this value.
struct Daemon {
    child: Child,
    address: String,
}

impl Daemon {
    fn start(folder: &Path) -> Self {
        // git daemon cannot tell which port it chose
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // `git daemon` would be the parent of what listens
        let programs = crate::support::tools::run("git", &["--exec-path"]);
        let mut child = Command::new(Path::new(programs.trim()).join("git-daemon"))
            .args(["--reuseaddr", "--export-all", "--verbose", "--listen=127.0.0.1"])
            .arg(format!("--port={port}"))
            .arg(format!("--base-path={}", folder.display()))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("Ready to rumble")), "git daemon did not start");
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: format!("git://127.0.0.1:{port}") }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn repositories() {
    let directory = tempfile::tempdir().unwrap();
    let repository = directory.path().join("r.git");
    std::fs::create_dir_all(repository.join("sub")).unwrap();
    let git = |args: &[&str]| {
        let mut all =
            vec!["-C", repository.to_str().unwrap(), "-c", "user.name=n", "-c", "user.email=e@x"];
        all.extend(args);
        crate::support::tools::run("git", &all).trim().to_owned()
    };
    std::fs::write(repository.join("sub/f"), "one").unwrap();
    std::fs::write(repository.join("sub/Dockerfile"), "FROM scratch\nCOPY f /f\n").unwrap();
    git(&["init", "--quiet", "--initial-branch=main"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "one"]);
    let first = git(&["rev-parse", "HEAD"]);
    git(&["tag", "-a", "v1", "-m", "v1"]);
    std::fs::write(repository.join("sub/f"), "two").unwrap();
    git(&["commit", "--quiet", "-a", "-m", "two"]);
    let daemon = Daemon::start(directory.path());
    let url = format!("{}/r.git", daemon.address);

    let project = Project::new(&format!(
        "FROM scratch\nADD {url}#v1:sub /v1\nADD --checksum={first} {url}#v1 /whole\nADD {url}#main:sub/f /main/\n"
    ));
    let (built, _) = project.build();
    let files = project.files(&built);
    for line in ["v1/f 644 0:0 \"one\"", "main/f 644 0:0 \"two\"", "whole/sub/ 755 0:0"] {
        assert!(files.contains(&line.to_owned()), "{line} in {files:?}");
    }
    assert!(files.iter().all(|line| !line.contains(".git")));
    assert_eq!(project.build().1.of("ADD"), ["CACHED"; 3]);
    project.file("Dockerfile", format!("FROM scratch\nADD --checksum=0000000 {url} /x\n"));
    assert!(project.fails().contains("should have the checksum"));
    project.file("Dockerfile", format!("FROM scratch\nADD {url}#nothing /x\n"));
    project.fails();

    let mut project = Project::new("");
    project.options.context = Context::Git(format!("{url}#{first}:sub"));
    project.options.git_labels = true;
    let (built, _) = project.build();
    assert_eq!(project.files(&built), ["f 644 0:0 \"one\""]);
    let labels = project.config(&built).config.labels;
    assert_eq!(labels["org.opencontainers.image.revision"], first);
}

#[test]
fn a_tar_as_context_and_a_dockerfile_from_elsewhere() {
    let mut project = Project::new("");
    let archive = crate::support::images::tar(&[
        ("Dockerfile", b"FROM scratch\nCOPY f /\n"),
        ("other.Dockerfile", b"FROM scratch\nCOPY . /\n"),
        ("other.Dockerfile.dockerignore", b"*Dockerfile*\n"),
        ("f", b"F"),
    ]);
    let path = project.place.directory.path().join("context.tgz");
    std::fs::write(&path, crate::support::images::gzip(&archive)).unwrap();
    project.options.context = Context::Tar(path);
    let (built, _) = project.build();
    assert_eq!(project.files(&built), ["f 755 0:0 \"F\""]);
    project.options.dockerfile = DockerfileSource::InContext("other.Dockerfile".into());
    let (built, _) = project.build();
    assert_eq!(project.files(&built), ["f 755 0:0 \"F\""], "its own ignore file counts");
    project.options.context = Context::Empty;
    project.options.dockerfile =
        DockerfileSource::Text(b"FROM scratch\nCOPY <<x /\n1\nx\n".to_vec());
    let (built, _) = project.build();
    assert_eq!(project.files(&built), ["x 644 0:0 \"1\\n\""]);
    let nothing = b"FROM scratch AS none\nFROM scratch\nCOPY . /\nCOPY --from=none / /\n".to_vec();
    project.options.dockerfile = DockerfileSource::Text(nothing);
    assert_eq!(project.files(&project.build().0), [""; 0]);
    project.options.dockerfile = DockerfileSource::InContext("../../etc/passwd".into());
    assert!(project.fails().contains("the context has no"));
    let left = std::fs::read_dir(project.store().root().build_cache()).unwrap();
    let left =
        left.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with("context-"));
    assert_eq!(left.count(), 0, "what was unpacked is gone");
}
