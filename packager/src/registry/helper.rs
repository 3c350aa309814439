//! Docker's credential helpers: programs `docker-credential-NAME` with the verbs `get`, `store` and `erase`
//! (docker-credential-helpers, "Development").

use super::credentials::Credential;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use std::process::{Command, Stdio};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot start the credential helper {program}")]
    Start { program: String, source: io::Error },
    #[error(
        "the credential helper {program} failed to {verb} the credentials of {server}: {message}"
    )]
    Failed { program: String, verb: &'static str, server: String, message: String },
    #[error("the credential helper {program} answered with something else than JSON")]
    Malformed { program: String, source: serde_json::Error },
}

impl knarr_core::hint::Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Start { program, source } if source.kind() == io::ErrorKind::NotFound => {
                Some(format!(
                    "install {program}, or remove it from credsStore and credHelpers in Docker's config.json"
                ))
            }
            _ => None,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    #[serde(rename = "ServerURL", default)]
    server: String,
    username: String,
    secret: String,
}

/// The user name that marks an identity token.
const TOKEN: &str = "<token>";

pub(super) fn get(helper: &str, server: &str) -> Result<Option<Credential>, Error> {
    let Some(output) = run(helper, "get", server, server)? else { return Ok(None) };
    let Entry { username, secret, .. } = serde_json::from_slice(&output)
        .map_err(|source| Error::Malformed { program: program(helper), source })?;
    Ok(Some(match username.as_str() {
        TOKEN => Credential::IdentityToken(secret),
        _ => Credential::Password { user: username, password: secret },
    }))
}

pub(super) fn store(helper: &str, server: &str, credential: &Credential) -> Result<(), Error> {
    let (username, secret) = match credential {
        Credential::Password { user, password } => (user.as_str(), password),
        Credential::IdentityToken(token) | Credential::RegistryToken(token) => (TOKEN, token),
    };
    let entry =
        Entry { server: server.to_owned(), username: username.to_owned(), secret: secret.clone() };
    let input = serde_json::to_string(&entry)
        .map_err(|source| Error::Malformed { program: program(helper), source })?;
    run(helper, "store", server, &input).map(drop)
}

pub(super) fn erase(helper: &str, server: &str) -> Result<(), Error> {
    run(helper, "erase", server, server).map(drop)
}

fn program(helper: &str) -> String {
    format!("docker-credential-{helper}")
}

/// The helper's output; `None` if it has nothing for the server.
fn run(
    helper: &str,
    verb: &'static str,
    server: &str,
    input: &str,
) -> Result<Option<Vec<u8>>, Error> {
    let program = program(helper);
    let start = |source| Error::Start { program: program.clone(), source };
    let mut child = Command::new(&program)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(start)?;
    if let Some(mut stdin) = child.stdin.take() {
        // a helper that does not read its input says why by its exit code
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(start)?;
    if output.status.success() {
        return Ok(Some(output.stdout));
    }
    // helpers print errors to stdout; this is the protocol's message for "nothing there"
    let text = String::from_utf8_lossy(&output.stdout);
    if text.to_ascii_lowercase().contains("credentials not found") {
        return Ok(None);
    }
    let message = if text.trim().is_empty() {
        String::from_utf8_lossy(&output.stderr).trim().to_owned()
    } else {
        text.trim().to_owned()
    };
    Err(Error::Failed { program, verb, server: server.to_owned(), message })
}
