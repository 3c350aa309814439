//! Credentials where Docker keeps them: `config.json` with `auths`, `credHelpers` and `credsStore`.
//!
//! `docker login` and `knarr login` see each other's. Fields that we do not know stay as they are.

use super::helper::{self, Helper};
use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use knarr_core::fsx::{self, Durability};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What proves to a registry who asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    Password {
        user: String,
        password: String,
    },
    /// An OAuth2 refresh token, exchanged for access tokens at the registry's token server.
    IdentityToken(String),
    /// A bearer token for the registry itself.
    RegistryToken(String),
}

/// Never shows the secret.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "Password({user}, …)"),
            Self::IdentityToken(_) => f.write_str("IdentityToken(…)"),
            Self::RegistryToken(_) => f.write_str("RegistryToken(…)"),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    File(#[from] fsx::Error),
    #[error("{} is not valid JSON", path.display())]
    Malformed { path: PathBuf, source: serde_json::Error },
    #[error("{} has a field {field:?} of the wrong type", path.display())]
    Field { path: PathBuf, field: String },
    #[error("the credentials of {registry} in {} cannot be decoded", path.display())]
    Undecodable { path: PathBuf, registry: String },
    #[error("neither DOCKER_CONFIG nor HOME says where to keep credentials")]
    NoHome,
    #[error("cannot use the credential helper that {} names", path.display())]
    Helper { path: PathBuf, source: helper::Error },
}

impl knarr_core::hint::Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Undecodable { registry, .. } => {
                Some(format!("run 'knarr login {registry}' to write them anew"))
            }
            Self::Helper { source, .. } => source.hint(),
            _ => None,
        }
    }
}

/// The key under which Docker keeps Docker Hub's credentials.
const DOCKER_HUB: &str = "https://index.docker.io/v1/";

/// Docker's `config.json`, read anew at every use; what was found for a registry is remembered.
#[derive(Debug, Clone)]
pub(super) struct CredentialStore {
    path: Option<PathBuf>,
    /// A helper may ask its user, who answers once. Shared by copies.
    found: Arc<Mutex<HashMap<String, Option<Credential>>>>,
}

impl CredentialStore {
    pub fn new(path: Option<PathBuf>) -> Self {
        Self { path, found: Arc::default() }
    }

    fn found(&self) -> MutexGuard<'_, HashMap<String, Option<Credential>>> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The credentials for a registry: from its helper, the file, or the default helper, as Docker looks.
    pub fn get(&self, registry: &str) -> Result<Option<Credential>, Error> {
        if let Some(known) = self.found().get(registry) {
            return Ok(known.clone());
        }
        let found = self.look(registry)?;
        self.found().insert(registry.to_owned(), found.clone());
        Ok(found)
    }

    fn look(&self, registry: &str) -> Result<Option<Credential>, Error> {
        let Some(path) = &self.path else { return Ok(None) };
        let Some(document) = read(path)? else { return Ok(None) };
        let key = server_key(registry);
        if let Some(helper) = document.helper_of(registry) {
            let failed = |source| Error::Helper { path: path.clone(), source };
            return helper.get(key).map_err(failed);
        }
        let Some(entry) = document.entry(registry)? else { return Ok(None) };
        decode(entry)
            .ok_or_else(|| Error::Undecodable { path: path.clone(), registry: registry.to_owned() })
    }

    /// Keeps credentials: by the helper that is configured for the registry, else in the file (mode 0600).
    ///
    /// The file is replaced atomically, but two logins at the same moment may lose one of them.
    pub fn store(&self, registry: &str, credential: &Credential) -> Result<(), Error> {
        let path = self.path.as_ref().ok_or(Error::NoHome)?;
        self.found().remove(registry);
        let failed = |source| Error::Helper { path: path.clone(), source };
        let mut document = read(path)?.unwrap_or_else(|| Document::empty(path));
        let key = server_key(registry);
        let helper = document.helper_of(registry);
        let entry = match (&helper, credential) {
            (Some(_), _) => Map::new(),
            (None, Credential::Password { user, password }) => {
                let encoded = STANDARD.encode(format!("{user}:{password}"));
                Map::from_iter([("auth".to_owned(), encoded.into())])
            }
            (None, Credential::IdentityToken(token)) => Map::from_iter([
                (
                    "auth".to_owned(),
                    STANDARD.encode("00000000-0000-0000-0000-000000000000:").into(),
                ),
                ("identitytoken".to_owned(), token.clone().into()),
            ]),
            (None, Credential::RegistryToken(token)) => {
                Map::from_iter([("registrytoken".to_owned(), token.clone().into())])
            }
        };
        if let Some(helper) = helper {
            helper.store(key, credential).map_err(failed)?;
        }
        // with a helper, an empty entry remembers that somebody is logged in, as Docker does
        document.auths_mut()?.insert(key.to_owned(), Value::Object(entry));
        document.write()
    }

    /// Forgets the credentials of a registry; whether there were any.
    pub fn erase(&self, registry: &str) -> Result<bool, Error> {
        let Some(path) = &self.path else { return Ok(false) };
        self.found().remove(registry);
        let failed = |source| Error::Helper { path: path.clone(), source };
        let Some(mut document) = read(path)? else { return Ok(false) };
        let mut erased = false;
        if let Some(helper) = document.helper_of(registry) {
            let key = server_key(registry);
            erased = helper.get(key).map_err(failed)?.is_some();
            if erased {
                helper.erase(key).map_err(failed)?;
            }
        }
        if document.fields.contains_key("auths") {
            let auths = document.auths_mut()?;
            let before = auths.len();
            auths.retain(|key, _| host_of(key) != host_of(server_key(registry)));
            if auths.len() != before {
                erased = true;
                document.write()?;
            }
        }
        Ok(erased)
    }
}

struct Document {
    path: PathBuf,
    fields: Map<String, Value>,
}

impl Document {
    fn empty(path: &Path) -> Self {
        Self { path: path.to_owned(), fields: Map::new() }
    }

    fn helper_of(&self, registry: &str) -> Option<Helper> {
        let own = self.fields.get("credHelpers").and_then(|helpers| {
            helpers.get(registry).or_else(|| helpers.get(server_key(registry)))
        });
        let helper = own.or_else(|| self.fields.get("credsStore"))?.as_str()?;
        (!helper.is_empty()).then(|| Helper::named(helper))
    }

    fn entry(&self, registry: &str) -> Result<Option<&Map<String, Value>>, Error> {
        let Some(auths) = self.fields.get("auths") else { return Ok(None) };
        let auths = auths.as_object().ok_or_else(|| self.wrong_type("auths"))?;
        let key = server_key(registry);
        let exact = auths.get(key).or_else(|| auths.get(registry));
        // older tools wrote `https://host/v1/` and the like
        let similar = || auths.iter().find(|(k, _)| host_of(k) == host_of(key)).map(|(_, v)| v);
        match exact.or_else(similar) {
            None | Some(Value::Null) => Ok(None),
            Some(entry) => entry.as_object().map(Some).ok_or_else(|| self.wrong_type("auths")),
        }
    }

    fn auths_mut(&mut self) -> Result<&mut Map<String, Value>, Error> {
        let wrong_type = self.wrong_type("auths");
        let auths = self.fields.entry("auths").or_insert_with(|| Value::Object(Map::new()));
        auths.as_object_mut().ok_or(wrong_type)
    }

    fn wrong_type(&self, field: &str) -> Error {
        Error::Field { path: self.path.clone(), field: field.to_owned() }
    }

    fn write(&self) -> Result<(), Error> {
        let malformed = |source| Error::Malformed { path: self.path.clone(), source };
        let mut text = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
        serde::Serialize::serialize(&self.fields, &mut serializer).map_err(malformed)?;
        if let Some(directory) = self.path.parent() {
            fsx::create_dir_all(directory)?;
        }
        // a link to the file stays a link; the temporary file behind `replace` has mode 0600
        let target = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        Ok(fsx::replace(&target, &text, Durability::Disk)?)
    }
}

fn read(path: &Path) -> Result<Option<Document>, Error> {
    let Some(bytes) = fsx::read_optional(path)? else { return Ok(None) };
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Some(Document::empty(path)));
    }
    let fields = serde_json::from_slice(&bytes)
        .map_err(|source| Error::Malformed { path: path.to_owned(), source })?;
    Ok(Some(Document { path: path.to_owned(), fields }))
}

fn server_key(registry: &str) -> &str {
    if registry == "docker.io" { DOCKER_HUB } else { registry }
}

/// `https://host:port/v1/` → `host:port`
fn host_of(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// Outer `None`: the entry cannot be decoded; inner: it holds nothing.
fn decode(entry: &Map<String, Value>) -> Option<Option<Credential>> {
    let text = |name| entry.get(name).and_then(Value::as_str).filter(|t: &&str| !t.is_empty());
    if let Some(token) = text("registrytoken") {
        return Some(Some(Credential::RegistryToken(token.to_owned())));
    }
    if let Some(token) = text("identitytoken") {
        return Some(Some(Credential::IdentityToken(token.to_owned())));
    }
    let (user, password) = match (text("auth"), text("username"), text("password")) {
        (Some(encoded), _, _) => {
            // some tools leave the padding out
            let lenient = GeneralPurposeConfig::new()
                .with_decode_padding_mode(DecodePaddingMode::Indifferent);
            let engine = GeneralPurpose::new(&alphabet::STANDARD, lenient);
            let decoded = String::from_utf8(engine.decode(encoded).ok()?).ok()?;
            let (user, password) = decoded.split_once(':')?;
            (user.to_owned(), password.trim_end_matches('\0').to_owned())
        }
        (None, Some(user), Some(password)) => (user.to_owned(), password.to_owned()),
        _ => return Some(None),
    };
    Some(Some(Credential::Password { user, password }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn password(user: &str, password: &str) -> Credential {
        Credential::Password { user: user.into(), password: password.into() }
    }

    fn store_with(text: &str) -> (tempfile::TempDir, CredentialStore) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.json");
        if !text.is_empty() {
            fsx::write(&path, text).unwrap();
        }
        (directory, CredentialStore::new(Some(path)))
    }

    #[test]
    fn reads_what_docker_writes() {
        let (_directory, store) = store_with(
            r#"{"auths": {"https://index.docker.io/v1/": {"auth": "YTpiOmM="}, "https://old.example/v1/": {"auth": "eDp5"},
                "ghcr.io": {"auth": "eDp5", "identitytoken": "t"}, "empty.example": {}}}"#,
        );
        assert_eq!(store.get("docker.io").unwrap(), Some(password("a", "b:c")));
        assert_eq!(store.get("old.example").unwrap(), Some(password("x", "y")));
        assert_eq!(store.get("ghcr.io").unwrap(), Some(Credential::IdentityToken("t".into())));
        assert_eq!(store.get("empty.example").unwrap(), None);
        assert_eq!(store.get("other.example").unwrap(), None);
    }

    #[test]
    fn keeps_unknown_fields_and_is_private() {
        let (directory, store) = store_with(r#"{"HttpHeaders": {"a": "b"}, "detachKeys": "x"}"#);
        store.store("localhost:5000", &password("me", "secret")).unwrap();
        let path = directory.path().join("config.json");
        let mode = path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = fsx::read_to_string(&path).unwrap();
        assert!(text.contains("detachKeys") && text.contains("HttpHeaders"), "{text}");
        assert!(!text.contains("secret"));
        assert_eq!(store.get("localhost:5000").unwrap(), Some(password("me", "secret")));
        assert!(store.erase("localhost:5000").unwrap());
        assert!(!store.erase("localhost:5000").unwrap());
        assert_eq!(store.get("localhost:5000").unwrap(), None);
        assert!(fsx::read_to_string(&path).unwrap().contains("detachKeys"));
    }

    #[test]
    fn a_link_stays_a_link() {
        let (directory, store) = store_with("");
        let real = directory.path().join("real.json");
        fsx::write(&real, "{}").unwrap();
        std::os::unix::fs::symlink(&real, directory.path().join("config.json")).unwrap();
        store.store("ghcr.io", &password("a", "b")).unwrap();
        assert!(fsx::read_to_string(&real).unwrap().contains("ghcr.io"));
        assert!(directory.path().join("config.json").is_symlink());
    }

    #[test]
    fn secrets_are_not_shown() {
        assert!(!format!("{:?}", password("a", "hunter2")).contains("hunter2"));
    }
}
