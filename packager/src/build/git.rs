//! The git program. Whatever a context's own repository configures is never executed: git reads the configuration of the
//! user, and of repositories that were made here.

use super::Error;
use knarr_core::fsx;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// What git may talk; no `file`, nor whatever `ext` would run.
const PROTOCOLS: &str = "https:http:ssh:git";

/// Of a repository's configuration what decides whether a file was changed: words, no programs.
const HARMLESS: &[&str] = &["core.autocrlf", "core.eol", "core.fileMode", "core.symlinks"];

/// Runs git without ever asking anybody anything, and returns what it printed. Without a folder it is in no repository,
/// wherever the build was started: a repository says what to run for a connection.
pub fn git(folder: Option<&Path>, arguments: &[&str]) -> Result<String, Error> {
    run(folder.unwrap_or(Path::new("/")), &[], arguments)
}

fn run(folder: &Path, variables: &[(&str, &Path)], arguments: &[&str]) -> Result<String, Error> {
    let mut command = Command::new("git");
    command
        .args(["-c", "protocol.ext.allow=never", "-c", "core.hooksPath=/dev/null"])
        .args(["-c", "advice.detachedHead=false", "-c", "core.fsmonitor=false"])
        .args(arguments)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ALLOW_PROTOCOL", PROTOCOLS)
        .env("GIT_SSH_COMMAND", "ssh -o BatchMode=yes")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .current_dir(folder);
    // what a hook of git's sets, from which a build may be started
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_COMMON_DIR",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_PREFIX",
    ] {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    let output = command.output().map_err(Error::NoGit)?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(Error::Git { arguments: arguments.join(" "), message });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Commit and address of the repository that a folder is in, for labels; `None` without one.
pub fn describe(folder: &Path) -> Option<(String, Option<String>)> {
    let commit = git(Some(folder), &["rev-parse", "--verify", "HEAD"]).ok()?.trim().to_owned();
    let commit = match is_changed(folder, &commit).ok()? {
        true => format!("{commit}-dirty"),
        false => commit,
    };
    let origin = git(Some(folder), &["config", "--get", "remote.origin.url"]).ok();
    // a password in an address is nobody's business
    let origin = origin.map(|url| match url::Url::parse(url.trim()) {
        Ok(mut parsed) => {
            let _ = parsed.set_password(None);
            let _ = parsed.set_username("");
            parsed.to_string()
        }
        Err(_) => url.trim().to_owned(),
    });
    Some((commit, origin))
}

/// Whether files of a commit were changed. To compare them git runs the filters that a repository configures, and may
/// fetch what it lacks by other programs of its; so this is asked in a repository of our own that borrows the objects and
/// the index. What is changed inside a submodule, which has a configuration as well, is not looked at.
fn is_changed(folder: &Path, commit: &str) -> Result<bool, Error> {
    let failed = |source: io::Error| Error::Write { what: "a git directory".into(), source };
    let ask = |arguments: &[&str]| Ok::<_, Error>(git(Some(folder), arguments)?.trim().to_owned());
    let path = |what| ask(&["rev-parse", "--path-format=absolute", "--git-path", what]);
    let (objects, index) = (path("objects")?, path("index")?);
    let top = ask(&["rev-parse", "--path-format=absolute", "--show-toplevel"])?;
    let format = format!("--object-format={}", ask(&["rev-parse", "--show-object-format"])?);

    let own = tempfile::tempdir().map_err(failed)?;
    git(Some(own.path()), &["init", "--quiet", "--template=", &format, "."])?;
    for name in HARMLESS {
        if let Ok(value) = ask(&["config", "--get", name]) {
            git(Some(own.path()), &["config", name, &value])?;
        }
    }
    let directory = own.path().join(".git");
    fsx::write(&directory.join("HEAD"), format!("{commit}\n"))?;
    let variables = [
        ("GIT_DIR", directory.as_path()),
        ("GIT_WORK_TREE", Path::new(&top)),
        ("GIT_INDEX_FILE", Path::new(&index)),
        ("GIT_OBJECT_DIRECTORY", Path::new(&objects)),
    ];
    let status = ["status", "--porcelain", "--untracked-files=no", "--ignore-submodules=dirty"];
    Ok(!run(Path::new(&top), &variables, &status)?.trim().is_empty())
}
