//! Which registry is spoken to how: plain HTTP, mirrors, credentials, timeouts.
//!
//! `registries.json` in Knarr's configuration directory (`$KNARR_CONFIG`, else `$XDG_CONFIG_HOME/knarr`, else
//! `~/.config/knarr`) names what is not the default:
//!
//! ```json
//! {
//!   "insecure": ["registry.lan:5000"],
//!   "mirrors": { "docker.io": ["mirror.lan:5000"] }
//! }
//! ```
//!
//! A registry in `insecure` is spoken to by plain HTTP; one on the loopback interface always is. The mirrors of
//! a registry are asked first, in their order, when something is pulled from it.

use super::credentials::CredentialStore;
use knarr_core::fsx;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How registries are reached.
#[derive(Debug, Clone)]
pub struct Config {
    pub(super) credentials: CredentialStore,
    registries: Registries,
    file: Option<PathBuf>,
    pub timing: Timing,
}

/// How long to wait, and how often to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// For a TCP connection and its TLS handshake.
    pub connect: Duration,
    /// For the next byte in either direction.
    pub idle: Duration,
    /// Attempts in a row without progress before a transfer fails.
    pub attempts: u32,
    /// Before the second attempt; doubled before each further one.
    pub pause: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            attempts: 5,
            pause: Duration::from_millis(250),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Registries {
    insecure: Vec<String>,
    mirrors: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    File(#[from] fsx::Error),
    #[error("{} is not a valid registries.json", path.display())]
    Malformed { path: PathBuf, source: serde_json::Error },
}

impl knarr_core::hint::Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Malformed { .. } => Some(
                r#"write it as {"insecure": ["host:port"], "mirrors": {"docker.io": ["host:port"]}}"#
                    .into(),
            ),
            Self::File(_) => None,
        }
    }
}

/// One server that may hold a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Endpoint {
    /// `host[:port]`
    pub host: String,
    pub plain_http: bool,
    pub loopback: bool,
}

impl Endpoint {
    pub fn base(&self) -> String {
        let scheme = if self.plain_http { "http" } else { "https" };
        format!("{scheme}://{}", self.host)
    }
}

impl Config {
    /// Reads the configuration of the user whose environment this is.
    pub fn load() -> Result<Self, Error> {
        Self::from_variables(|name| std::env::var_os(name).map(PathBuf::from))
    }

    /// [`Self::load`] with the environment given: `KNARR_CONFIG`, `XDG_CONFIG_HOME`, `HOME`, `DOCKER_CONFIG`.
    pub fn from_variables(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<Self, Error> {
        let home = variable("HOME");
        let path = variable("KNARR_CONFIG")
            .or_else(|| Some(variable("XDG_CONFIG_HOME")?.join("knarr")))
            .or_else(|| Some(home.as_ref()?.join(".config/knarr")))
            .map(|directory| directory.join("registries.json"));
        let registries = match &path {
            Some(path) => read(path)?,
            None => Registries::default(),
        };
        let docker = variable("DOCKER_CONFIG").or_else(|| Some(home?.join(".docker")));
        let credentials = CredentialStore::new(docker.map(|d| d.join("config.json")));
        Ok(Self { credentials, registries, file: path, timing: Timing::default() })
    }

    /// The registries of which `registries.json` says something.
    pub fn registries(&self) -> impl Iterator<Item = &str> {
        let Registries { insecure, mirrors } = &self.registries;
        insecure.iter().chain(mirrors.keys()).map(String::as_str)
    }

    /// Whether it says that a registry speaks plain HTTP.
    pub fn is_insecure(&self, registry: &str) -> bool {
        self.registries.insecure.iter().any(|name| name == registry)
    }

    /// The mirrors that it names for a registry.
    pub fn mirrors_of(&self, registry: &str) -> &[String] {
        self.registries.mirrors.get(registry).map_or(&[], Vec::as_slice)
    }

    /// Where `registries.json` is or would be.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.file.clone()
    }

    /// What keeps the credentials for a registry and its mirrors from being read, a sentence each: whoever works
    /// without them is to be told. Asks the credential helper where there is one; its answer is kept.
    pub fn complaints(&self, registry: &str) -> Vec<String> {
        let mirrors = self.mirrors(registry).into_iter().map(|mirror| mirror.host);
        let mut complaints: Vec<String> = mirrors
            .chain([registry.to_owned()])
            .filter_map(|key| self.credentials.get(&key).err())
            .map(|error| sentence(&error))
            .collect();
        complaints.dedup();
        complaints
    }

    /// The servers to pull from before the registry itself.
    pub(super) fn mirrors(&self, registry: &str) -> Vec<Endpoint> {
        let mirrors = self.registries.mirrors.get(registry).into_iter().flatten();
        mirrors.map(|host| self.endpoint_at(host)).collect()
    }

    /// The server of a registry itself.
    pub(super) fn endpoint(&self, registry: &str) -> Endpoint {
        // Docker Hub's name and its host differ for historical reasons
        let host = if registry == "docker.io" { "registry-1.docker.io" } else { registry };
        self.endpoint_at(host)
    }

    fn endpoint_at(&self, host: &str) -> Endpoint {
        let listed = self.registries.insecure.iter().any(|entry| entry == host);
        let loopback = is_loopback(host);
        Endpoint { host: host.to_owned(), plain_http: listed || loopback, loopback }
    }
}

/// An error with its causes and what helps against it, in one line.
fn sentence(error: &super::credentials::Error) -> String {
    use knarr_core::hint::Hint;
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    match error.hint() {
        Some(hint) => format!("{text}; {hint}"),
        None => text,
    }
}

fn read(path: &Path) -> Result<Registries, Error> {
    let Some(bytes) = fsx::read_optional(path)? else { return Ok(Registries::default()) };
    parse(path, &bytes)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Registries, Error> {
    serde_json::from_slice(bytes)
        .map_err(|source| Error::Malformed { path: path.to_owned(), source })
}

/// Reads a `registries.json` and asks it for a registry.
#[cfg(fuzzing)]
pub fn exercise(bytes: &[u8], registry: &str) {
    use knarr_core::hint::Hint;
    let registries = match parse(Path::new("registries.json"), bytes) {
        Ok(registries) => registries,
        Err(error) => return assert!(error.hint().is_some()),
    };
    let (credentials, timing) = (CredentialStore::new(None), Timing::default());
    let config = Config { credentials, registries, file: None, timing };
    let own = config.endpoint(registry);
    // plain HTTP only where it was asked for, or on this machine
    assert!(!own.plain_http || own.loopback || config.registries.insecure.contains(&own.host));
    for mirror in config.mirrors(registry) {
        assert!(mirror.base().ends_with(&mirror.host));
    }
}

/// `localhost`, 127.0.0.0/8 and `[::1]`, with or without a port.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_file(text: &str) -> Result<Config, Error> {
        let directory = tempfile::tempdir().unwrap();
        fsx::write(&directory.path().join("registries.json"), text).unwrap();
        let path = directory.path().to_owned();
        Config::from_variables(|name| (name == "KNARR_CONFIG").then(|| path.clone()))
    }

    #[test]
    fn loopback_is_plain_http_without_configuration() {
        let config = Config::from_variables(|_| None).unwrap();
        for host in ["localhost", "localhost:5000", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000"] {
            assert!(config.endpoint(host).plain_http, "{host}");
        }
        for host in ["ghcr.io", "localhost.example.com", "10.0.0.1:5000", "[fe80::1]:5000"] {
            assert!(!config.endpoint(host).plain_http, "{host}");
        }
        assert_eq!(config.endpoint("docker.io").base(), "https://registry-1.docker.io");
    }

    #[test]
    fn mirrors_come_first() {
        let config = with_file(
            r#"{"insecure": ["mirror.lan:5000"], "mirrors": {"docker.io": ["mirror.lan:5000"]}}"#,
        )
        .unwrap();
        let bases: Vec<_> = config.mirrors("docker.io").iter().map(Endpoint::base).collect();
        assert_eq!(bases, ["http://mirror.lan:5000"]);
        assert!(config.mirrors("ghcr.io").is_empty());
    }

    #[test]
    fn a_misspelt_key_is_an_error() {
        assert!(matches!(with_file(r#"{"unsafe": []}"#), Err(Error::Malformed { .. })));
    }
}
