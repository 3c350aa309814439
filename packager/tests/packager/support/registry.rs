//! A registry in this process that misbehaves on demand.

use super::images;
use base64::Engine;
use knarr_core::image::{Descriptor, MediaType};
use knarr_core::store::{Store, digest_of};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    pub headers: HashMap<String, String>,
    pub body: Vec<u8>,
}

/// What to answer instead of the truth.
#[derive(Debug, Clone)]
pub enum Fault {
    /// Accept the request and never answer.
    Hang,
    /// Send the head and this many bytes of the body, then nothing.
    HangAfter(usize),
    /// Send this many bytes of the body, then close.
    BreakAfter(usize),
    /// Close without an answer.
    Drop,
    Status(u16, &'static str),
    /// Another body.
    Body(&'static str, Vec<u8>),
    /// The whole blob, whatever range was asked for.
    IgnoreRange,
    Redirect(String),
    /// Uploads go there.
    Upload(String),
}

#[derive(Debug, Clone)]
pub enum Auth {
    Basic {
        user: &'static str,
        password: &'static str,
    },
    /// A token from `/token`, for everybody.
    AnonymousToken,
    /// A token for those who know the password.
    PasswordToken {
        user: &'static str,
        password: &'static str,
    },
    /// A token for the owner of a refresh token.
    IdentityToken(&'static str),
    /// A token from somebody else's server.
    TokenFrom(String),
}

type Script = Box<dyn FnMut(&Request) -> Option<Fault> + Send>;

#[derive(Default)]
struct State {
    /// `repository/reference` → (media type, bytes)
    manifests: HashMap<String, (String, Vec<u8>)>,
    /// `repository/digest`
    blobs: HashMap<String, Vec<u8>>,
    log: Vec<Request>,
    auth: Option<Auth>,
    script: Option<Script>,
}

const TOKEN: &str = "letmein";

/// Serves until the process ends.
#[derive(Clone)]
pub struct Registry {
    pub host: String,
    state: Arc<Mutex<State>>,
}

impl Registry {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let registry = Self { host, state: Arc::default() };
        let server = registry.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream.unwrap()));
            }
        });
        registry
    }

    /// Holds an image of a store as `repository:tag`.
    pub fn hold(&self, store: &Store, descriptor: &Descriptor, repository: &str, tag: &str) {
        let mut state = self.state.lock().unwrap();
        for content in images::content(store, descriptor) {
            let bytes = images::bytes(store, content.digest());
            if matches!(content.media_type(), MediaType::ImageIndex | MediaType::ImageManifest) {
                let entry = (content.media_type().to_string(), bytes);
                state.manifests.insert(format!("{repository}/{}", content.digest()), entry.clone());
                if content.digest() == descriptor.digest() {
                    state.manifests.insert(format!("{repository}/{tag}"), entry);
                }
            } else {
                state.blobs.insert(format!("{repository}/{}", content.digest()), bytes);
            }
        }
    }

    /// Holds any bytes as the manifest of a tag.
    pub fn hold_manifest(&self, name: &str, media_type: &str, bytes: &[u8]) {
        let entry = (media_type.to_owned(), bytes.to_owned());
        self.state.lock().unwrap().manifests.insert(name.to_owned(), entry);
    }

    pub fn hold_blob(&self, name: &str, bytes: &[u8]) {
        self.state.lock().unwrap().blobs.insert(name.to_owned(), bytes.to_owned());
    }

    pub fn manifest(&self, name: &str) -> Option<Vec<u8>> {
        self.state.lock().unwrap().manifests.get(name).map(|(_, bytes)| bytes.clone())
    }

    pub fn has_blob(&self, name: &str) -> bool {
        self.state.lock().unwrap().blobs.contains_key(name)
    }

    pub fn auth(&self, auth: Auth) {
        self.state.lock().unwrap().auth = Some(auth);
    }

    /// Asked for each request (behind authentication) what to answer instead of the truth.
    pub fn script(&self, script: impl FnMut(&Request) -> Option<Fault> + Send + 'static) {
        self.state.lock().unwrap().script = Some(Box::new(script));
    }

    /// Faults for the first requests whose path contains `part`; the truth afterwards.
    pub fn fail(&self, part: impl Into<String>, mut faults: Vec<Fault>) {
        let part = part.into();
        faults.reverse();
        self.script(move |request| if request.path.contains(&part) { faults.pop() } else { None });
    }

    /// The same fault for ever.
    pub fn always(&self, part: impl Into<String>, fault: Fault) {
        let part = part.into();
        self.script(move |request| request.path.contains(&part).then(|| fault.clone()));
    }

    pub fn log(&self) -> Vec<Request> {
        self.state.lock().unwrap().log.clone()
    }

    /// Forgets the log.
    pub fn clear(&self) {
        self.state.lock().unwrap().log.clear();
    }

    /// How many requests had this method and a path that contains `part`.
    pub fn count(&self, method: &str, part: &str) -> usize {
        self.log().iter().filter(|r| r.method == method && r.path.contains(part)).count()
    }

    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = read_request(&mut reader) {
            let (answer, fault) = {
                let mut state = self.state.lock().unwrap();
                state.log.push(request.clone());
                match self.challenge(&state, &request) {
                    Some(refusal) => (refusal, None),
                    None => {
                        let fault = state.script.as_mut().and_then(|script| script(&request));
                        let range = !matches!(fault, Some(Fault::IgnoreRange));
                        (answer(&mut state, &request, range), fault)
                    }
                }
            };
            if send(&stream, &request, answer, fault).is_none() {
                return;
            }
        }
    }

    fn challenge(&self, state: &State, request: &Request) -> Option<Answer> {
        let auth = state.auth.as_ref()?;
        let given = request.headers.get("authorization").map(String::as_str);
        let basic = |user: &str, password: &str| {
            let text = format!("{user}:{password}");
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text))
        };
        if request.path.starts_with("/token") {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let granted = match auth {
                Auth::AnonymousToken => true,
                Auth::PasswordToken { user, password } => {
                    given == Some(basic(user, password).as_str())
                }
                Auth::IdentityToken(token) => {
                    request.method == "POST"
                        && body.contains("grant_type=refresh_token")
                        && body.contains(&format!("refresh_token={token}"))
                }
                Auth::Basic { .. } | Auth::TokenFrom(_) => false,
            };
            return Some(if granted {
                Answer::new(200).body("application/json", format!(r#"{{"token":"{TOKEN}"}}"#))
            } else {
                Answer::new(401)
            });
        }
        let (expected, challenge) = match auth {
            Auth::Basic { user, password } => {
                (basic(user, password), r#"Basic realm="test""#.to_owned())
            }
            _ => {
                let realm = match auth {
                    Auth::TokenFrom(realm) => realm.clone(),
                    _ => format!("http://{}/token", self.host),
                };
                (format!("Bearer {TOKEN}"), format!(r#"Bearer realm="{realm}",service="test""#))
            }
        };
        (given != Some(expected.as_str())).then(|| {
            Answer::new(401).header("WWW-Authenticate", &challenge).body(
                "application/json",
                r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
            )
        })
    }
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn body(self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self.header("Content-Type", media_type) }
    }
}

fn unknown(code: &str) -> Answer {
    Answer::new(404).body(
        "application/json",
        format!(r#"{{"errors":[{{"code":"{code}","message":"unknown"}}]}}"#),
    )
}

fn answer(state: &mut State, request: &Request, range: bool) -> Answer {
    let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
    let parameter = |name: &str| {
        let prefix = format!("{name}=");
        let found = query.split('&').find_map(|pair| pair.strip_prefix(&prefix));
        found.map(|value| value.replace("%3A", ":").replace("%2F", "/"))
    };
    if path == "/v2/" {
        return Answer::new(200);
    }
    let path = path.strip_prefix("/v2/").unwrap_or(path);
    if let Some((repository, reference)) = path.split_once("/manifests/") {
        let key = format!("{repository}/{reference}");
        if request.method == "PUT" {
            let media_type = request.headers["content-type"].clone();
            let digest = digest_of(&request.body).to_string();
            let entry = (media_type, request.body.clone());
            state.manifests.insert(format!("{repository}/{digest}"), entry.clone());
            state.manifests.insert(key, entry);
            return Answer::new(201).header("Docker-Content-Digest", &digest);
        }
        return match state.manifests.get(&key) {
            Some((media_type, bytes)) => Answer::new(200).body(media_type, bytes.clone()),
            None => unknown("MANIFEST_UNKNOWN"),
        };
    }
    let Some((repository, rest)) = path.split_once("/blobs/") else { return Answer::new(404) };
    if let Some(upload) = rest.strip_prefix("uploads/") {
        if request.method == "POST" {
            if let (Some(digest), Some(from)) = (parameter("mount"), parameter("from"))
                && let Some(bytes) = state.blobs.get(&format!("{from}/{digest}")).cloned()
            {
                state.blobs.insert(format!("{repository}/{digest}"), bytes);
                return Answer::new(201);
            }
            let location = format!("/v2/{repository}/blobs/uploads/1?state=x");
            return Answer::new(202).header("Location", &location);
        }
        let digest = parameter("digest").unwrap();
        assert_eq!((upload, parameter("state").as_deref()), ("1", Some("x")));
        if digest_of(&request.body).to_string() != digest {
            return Answer::new(400);
        }
        state.blobs.insert(format!("{repository}/{digest}"), request.body.clone());
        return Answer::new(201);
    }
    let Some(bytes) = state.blobs.get(&format!("{repository}/{rest}")) else {
        return unknown("BLOB_UNKNOWN");
    };
    let start: Option<usize> = request
        .headers
        .get("range")
        .and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let octets = "application/octet-stream";
    match start.filter(|_| range) {
        None => Answer::new(200).body(octets, bytes.clone()),
        Some(start) if start >= bytes.len() => Answer::new(416),
        Some(start) => {
            let content_range = format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len());
            Answer::new(206).header("Content-Range", &content_range).body(octets, &bytes[start..])
        }
    }
}

/// `None` ends the connection.
fn send(
    mut stream: &TcpStream,
    request: &Request,
    mut answer: Answer,
    fault: Option<Fault>,
) -> Option<()> {
    let (mut cut, mut hang) = (None, false);
    match fault {
        None | Some(Fault::IgnoreRange) => {}
        Some(Fault::Hang) => (cut, hang) = (Some(usize::MAX), true),
        Some(Fault::HangAfter(n)) => (cut, hang) = (Some(n), true),
        Some(Fault::BreakAfter(n)) => cut = Some(n),
        Some(Fault::Drop) => return None,
        Some(Fault::Status(status, message)) => {
            answer = Answer::new(status).body("application/json", message);
        }
        Some(Fault::Body(media_type, body)) => answer = Answer::new(200).body(media_type, body),
        Some(Fault::Redirect(to)) => answer = Answer::new(307).header("Location", &to),
        Some(Fault::Upload(to)) => answer = Answer::new(202).header("Location", &to),
    }
    if cut == Some(usize::MAX) {
        wait_for_end(stream);
        return None;
    }
    let mut head =
        format!("HTTP/1.1 {} x\r\nContent-Length: {}\r\n", answer.status, answer.body.len());
    for (name, value) in &answer.headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += "\r\n";
    stream.write_all(head.as_bytes()).ok()?;
    if request.method == "HEAD" {
        return Some(());
    }
    let end = cut.unwrap_or(usize::MAX).min(answer.body.len());
    stream.write_all(&answer.body[..end]).ok()?;
    if hang {
        wait_for_end(stream);
    }
    cut.is_none().then_some(())
}

/// Until the client has had enough.
fn wait_for_end(mut stream: &TcpStream) {
    let mut rest = [0; 64];
    while matches!(stream.read(&mut rest), Ok(n) if n > 0) {}
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => {
                headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
            }
            None => break,
        }
    }
    let length = headers.get("content-length").map_or(0, |l: &String| l.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { method, path, headers, body })
}
