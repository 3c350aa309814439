//! Files of this machine that a container follows. They are handed over by a process of its own: looking into a container
//! may take other namespaces, which a process with several threads cannot enter.

use crate::error::Failure;
use knarr_core::root::Root;
use knarr_core::store::Store;
use knarr_runtime::container;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io::{self, BufRead, Seek, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What has changed, by paths below a folder of a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changed {
    /// Files, folders and links, with where they are on this machine.
    pub there: BTreeMap<PathBuf, PathBuf>,
    pub gone: BTreeSet<PathBuf>,
}

/// Makes the folder `to` of a container follow what has changed.
pub fn send(root: &Root, container: &str, to: &str, changed: &Changed) -> Result<(), Failure> {
    let said = |error: io::Error| Failure::new("cannot read what has changed").cause(&error);
    let mut input = tempfile::tempfile().map_err(said)?;
    let gone: Vec<_> = changed.gone.iter().map(|path| path.to_string_lossy()).collect();
    writeln!(input, "{}", serde_json::json!(gone)).map_err(said)?;
    let mut archive = tar::Builder::new(&mut input);
    archive.follow_symlinks(false);
    for (path, from) in &changed.there {
        match archive.append_path_with_name(from, path) {
            // it is gone again: this will be told as well
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other.map_err(said)?,
        }
    }
    archive.finish().map_err(said)?;
    drop(archive);
    input.rewind().map_err(said)?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("knarr").args(["internal", "sync"]).arg(root.data()).arg(root.run());
    command.args([container, to]).stdin(Stdio::from(input)).stdout(Stdio::null());
    let ended = command.stderr(Stdio::piped()).output().map_err(said)?;
    match ended.status.success() {
        true => Ok(()),
        false => {
            let text = String::from_utf8_lossy(&ended.stderr);
            let text = text.trim().trim_start_matches("error: ").replace('\n', " ");
            Err(Failure::new(text).context(format!("cannot copy to {container}:{to}")))
        }
    }
}

/// The other end of [`send`].
pub fn receive(arguments: &[OsString]) -> Result<(), Failure> {
    let [data, run, container, to] = arguments else {
        return Err(Failure::usage("four arguments are needed"));
    };
    let store = Store::open(&Root::new(PathBuf::from(data), PathBuf::from(run)))?;
    let id = container::find(&store, &container.to_string_lossy())?;
    let mut input = io::stdin().lock();
    let mut gone = String::new();
    let read = input.read_line(&mut gone);
    read.map_err(|error| Failure::new("cannot read what has changed").cause(&error))?;
    let gone: Vec<String> = serde_json::from_str(&gone)
        .map_err(|error| Failure::of(&error, None).context("cannot read what has changed"))?;
    Ok(container::copy::sync(&store, &id, &to.to_string_lossy(), &gone, &mut input)?)
}
