//! `RUN`.

use super::super::ast::{Command, Run, RunNetwork, Security};
use super::super::error::{Problem, Result};
use super::mount;
use super::{Reader, command_of};

pub fn run(reader: &Reader<'_>) -> Result<Run> {
    let flags = reader.flags("RUN", &["mount", "network", "security", "device"])?;
    let command = command_of(&reader.node.arguments);
    if command == Command::Exec(Vec::new()) {
        return reader.fail(reader.all(), Problem::EmptyCommand);
    }
    let mut mounts = Vec::new();
    for text in flags.list("mount")? {
        mounts.push(mount::flag(reader.source, text)?);
    }
    let network = match flags.choice("network", &["default", "none", "host"])? {
        Some("none") => RunNetwork::None,
        Some("host") => RunNetwork::Host,
        _ => RunNetwork::Default,
    };
    let security = match flags.choice("security", &["sandbox", "insecure"])? {
        Some("insecure") => Security::Insecure,
        _ => Security::Sandbox,
    };
    Ok(Run {
        command,
        heredocs: reader.node.heredocs.clone(),
        mounts,
        network,
        security,
        devices: flags.list("device")?,
    })
}
