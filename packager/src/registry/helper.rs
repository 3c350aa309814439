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

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Helper {
    /// Looked for in `PATH`.
    program: String,
}

impl Helper {
    /// `docker-credential-<name>`
    pub fn named(name: &str) -> Self {
        Self { program: format!("docker-credential-{name}") }
    }

    pub fn get(&self, server: &str) -> Result<Option<Credential>, Error> {
        let Some(output) = self.run("get", server, server)? else { return Ok(None) };
        let Entry { username, secret, .. } = serde_json::from_slice(&output)
            .map_err(|source| Error::Malformed { program: self.program.clone(), source })?;
        Ok(Some(match username.as_str() {
            TOKEN => Credential::IdentityToken(secret),
            _ => Credential::Password { user: username, password: secret },
        }))
    }

    pub fn store(&self, server: &str, credential: &Credential) -> Result<(), Error> {
        let (username, secret) = match credential {
            Credential::Password { user, password } => (user.as_str(), password),
            Credential::IdentityToken(token) | Credential::RegistryToken(token) => (TOKEN, token),
        };
        let (server, username) = (server.to_owned(), username.to_owned());
        let entry = Entry { server, username, secret: secret.clone() };
        let input = serde_json::to_string(&entry)
            .map_err(|source| Error::Malformed { program: self.program.clone(), source })?;
        self.run("store", &entry.server, &input).map(drop)
    }

    pub fn erase(&self, server: &str) -> Result<(), Error> {
        self.run("erase", server, server).map(drop)
    }

    /// The helper's output; `None` if it has nothing for the server.
    fn run(&self, verb: &'static str, server: &str, input: &str) -> Result<Option<Vec<u8>>, Error> {
        let start = |source| Error::Start { program: self.program.clone(), source };
        let mut child = Command::new(&self.program)
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
        let program = self.program.clone();
        Err(Error::Failed { program, verb, server: server.to_owned(), message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use knarr_core::fsx;
    use std::os::unix::fs::PermissionsExt;

    /// Keeps one secret in a file beside itself.
    const SCRIPT: &str = r#"#!/bin/sh
kept="$0.kept"
case $1 in
store) cat > "$kept" ;;
get) [ -s "$kept" ] && cat "$kept" || { echo "credentials not found in native keychain"; exit 1; } ;;
erase) read -r server; grep -q "$server" "$kept" && rm "$kept" ;;
esac
"#;

    fn helper(directory: &tempfile::TempDir, script: &str) -> Helper {
        let path = directory.path().join("docker-credential-test");
        fsx::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Helper { program: path.to_str().unwrap().to_owned() }
    }

    #[test]
    fn speaks_the_protocol() {
        let directory = tempfile::tempdir().unwrap();
        let helper = helper(&directory, SCRIPT);
        assert_eq!(helper.get("ghcr.io").unwrap(), None);
        for credential in [
            Credential::Password { user: "me".into(), password: "a \"b\"".into() },
            Credential::IdentityToken("t".into()),
        ] {
            helper.store("ghcr.io", &credential).unwrap();
            assert_eq!(helper.get("ghcr.io").unwrap(), Some(credential));
        }
        helper.erase("ghcr.io").unwrap();
        assert_eq!(helper.get("ghcr.io").unwrap(), None);
    }

    #[test]
    fn failures_say_which_helper() {
        let directory = tempfile::tempdir().unwrap();
        let broken = helper(&directory, "#!/bin/sh\necho the keychain is locked; exit 3\n");
        let message = broken.get("ghcr.io").unwrap_err().to_string();
        assert!(message.ends_with("get the credentials of ghcr.io: the keychain is locked"));
        let absent = Helper::named("of-nobody").get("ghcr.io").unwrap_err();
        let hint = knarr_core::hint::Hint::hint(&absent).unwrap();
        assert!(hint.starts_with("install docker-credential-of-nobody"), "{hint}");
    }
}
