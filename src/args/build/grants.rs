//! What a build is trusted with: secrets, agents; and the names it is told.

use super::fields::Fields;
use crate::error::Failure;
use knarr_core::spec::network::extra_host;
use knarr_packager::build::options::Secret;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// `--secret`. Files and variables must be there, but are not read yet.
pub fn secrets(
    texts: &[String],
    environment: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Secret>, Failure> {
    let mut secrets = BTreeMap::new();
    for text in texts {
        let mut fields = Fields::parse("--secret", text)?;
        let id = match fields.bare() {
            Some(word) => {
                return Err(Failure::usage(format!("--secret {word:?} lacks id=…"))
                    .hint(format!("write id={word}, and src=FILE or env=VARIABLE")));
            }
            None => fields.need(&["id"])?,
        };
        let kind = fields.take(&["type"]);
        let (file, variable) = (fields.take(&["src", "source"]), fields.take(&["env"]));
        let secret = match (kind.as_deref(), file, variable) {
            (None | Some("file"), Some(path), None) => Secret::File(PathBuf::from(path)),
            // as with buildx, src names the variable then
            (Some("env"), Some(name), None) | (None | Some("env"), None, Some(name)) => {
                Secret::Variable(name)
            }
            (Some("env"), None, None) => Secret::Variable(id.clone()),
            (None, None, None) if environment(&id).is_some() => Secret::Variable(id.clone()),
            (None | Some("file"), None, None) => Secret::File(PathBuf::from(&id)),
            (Some(other), ..) if !["file", "env"].contains(&other) => {
                return Err(fields
                    .wrong(format!("type={other}"))
                    .hint("write type=file or type=env"));
            }
            _ => {
                return Err(Failure::usage(format!("--secret {text:?} names two sources"))
                    .hint("give src=FILE or env=VARIABLE"));
            }
        };
        fields.end("id, src, env, type")?;
        match &secret {
            Secret::File(path) if !path.is_file() => {
                return Err(Failure::usage(format!(
                    "the secret {id:?} is to come from {}, which is no file",
                    path.display()
                ))
                .hint("name its file with src=FILE, or a variable with env=VARIABLE"));
            }
            Secret::Variable(name) if environment(name).is_none() => {
                return Err(Failure::usage(format!(
                    "the secret {id:?} is to come from ${name}, which is not set"
                ))
                .hint(format!("export {name}, or name a file with src=FILE")));
            }
            _ => {}
        }
        secrets.insert(id, secret);
    }
    Ok(secrets)
}

/// `--ssh`: `default`, `NAME=SOCKET`, `NAME=KEY,KEY`.
pub fn agents(
    texts: &[String],
    environment: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Vec<PathBuf>>, Failure> {
    let mut agents = BTreeMap::new();
    for text in texts {
        let (id, paths) = match text.split_once('=') {
            Some((id, paths)) => (id, paths.split(',').map(PathBuf::from).collect()),
            None => {
                let socket = environment("SSH_AUTH_SOCK").filter(|socket| !socket.is_empty());
                let socket = socket.ok_or_else(|| {
                    Failure::usage(format!("--ssh {text} needs an agent, and SSH_AUTH_SOCK is not set"))
                        .hint(format!("start one (eval $(ssh-agent)), or give a key: --ssh {text}=~/.ssh/id_ed25519"))
                })?;
                (text.as_str(), vec![PathBuf::from(socket)])
            }
        };
        agents.insert(if id.is_empty() { "default" } else { id }.to_owned(), paths);
    }
    Ok(agents)
}

/// `--add-host HOST:IP` or `HOST=IP`
pub fn hosts(texts: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let parse = |text: &String| {
        extra_host(text).ok_or_else(|| {
            Failure::usage(format!("--add-host {text:?} is not HOST:IP"))
                .hint("for example db:10.0.0.5")
        })
    };
    texts.iter().map(parse).collect()
}
