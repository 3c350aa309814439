//! Agents for `--ssh`: the user's own, or one started for the keys that are named.

use crate::error::Failure;
use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// Sockets by id; agents that were started end with this value.
#[derive(Default)]
pub struct Agents {
    pub sockets: BTreeMap<String, PathBuf>,
    started: Vec<Started>,
}

struct Started {
    agent: Child,
    _folder: TempDir,
}

impl Agents {
    pub fn start(asked: BTreeMap<String, Vec<PathBuf>>) -> Result<Self, Failure> {
        let mut agents = Self::default();
        for (id, paths) in asked {
            let socket = match paths.as_slice() {
                [path] if is_socket(path) => path.clone(),
                keys => agents.with_keys(&id, keys)?,
            };
            agents.sockets.insert(id, socket);
        }
        Ok(agents)
    }

    fn with_keys(&mut self, id: &str, keys: &[PathBuf]) -> Result<PathBuf, Failure> {
        for key in keys {
            if !key.is_file() {
                return Err(Failure::usage(format!(
                    "--ssh {id}: {} is neither an agent's socket nor a key",
                    key.display()
                ))
                .hint("name the private key's file, or the socket in $SSH_AUTH_SOCK"));
            }
        }
        let failed = |error: std::io::Error| {
            Failure::new("cannot start an agent for the keys")
                .cause(&error)
                .hint("install openssh-client, or start ssh-agent yourself and use --ssh default")
        };
        let folder = tempfile::Builder::new().prefix("knarr-agent-").tempdir().map_err(failed)?;
        let socket = folder.path().join("socket");
        let agent = Command::new("ssh-agent")
            .arg("-D")
            .arg("-a")
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        self.started.push(Started { agent, _folder: folder });
        let agent = self.started.last_mut().and_then(|s| s.agent.stdout.as_mut());
        if let Some(said) = agent {
            // it listens before it says where
            let mut line = String::new();
            std::io::BufRead::read_line(&mut std::io::BufReader::new(said), &mut line)
                .map_err(failed)?;
        }
        // it asks for a passphrase on the terminal, if there is one
        let added = Command::new("ssh-add").args(keys).env("SSH_AUTH_SOCK", &socket).output();
        let added = added.map_err(failed)?;
        if !added.status.success() {
            let said = String::from_utf8_lossy(&added.stderr).trim().to_owned();
            return Err(Failure::new(said).context(format!("cannot use the keys of --ssh {id}")));
        }
        Ok(socket)
    }
}

fn is_socket(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.file_type().is_socket())
}

impl Drop for Started {
    fn drop(&mut self) {
        // it may have ended by itself
        let _ = self.agent.kill();
        let _ = self.agent.wait();
    }
}
