//! `--env` and `--env-file`.

use knarr_core::fsx;
use knarr_core::hint::Hint;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    #[error("{text:?} is not an environment variable: it has no name")]
    NoName { text: String },
    #[error("{} line {line}: the name {name:?} contains white space", path.display())]
    WhiteSpace { path: PathBuf, line: usize, name: String },
    #[error("{} line {line}: there is no name before '='", path.display())]
    NoNameInFile { path: PathBuf, line: usize },
    #[error(transparent)]
    File(#[from] fsx::Error),
}

impl Hint for EnvironmentError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::File(_) => None,
            _ => Some("write NAME=value, or NAME to pass this shell's own value on".into()),
        }
    }
}

/// The variables of the files, the given ones, and then those of the image's that are not among them: Docker's order.
pub fn resolve(
    image: &[String],
    files: &[PathBuf],
    given: &[String],
) -> Result<Vec<String>, EnvironmentError> {
    let mut asked = Vec::new();
    for path in files {
        asked.extend(read_file(path)?);
    }
    asked.extend_from_slice(given);
    let mut env = Vec::new();
    merge(&mut env, &asked, own_value)?;
    let asked: HashSet<&str> = asked.iter().map(|variable| name_of(variable)).collect();
    env.extend(image.iter().filter(|variable| !asked.contains(name_of(variable))).cloned());
    Ok(env)
}

fn name_of(variable: &str) -> &str {
    variable.split_once('=').map_or(variable, |(name, _)| name)
}

fn own_value(name: &str) -> Option<String> {
    // a value that is not UTF-8 cannot be kept in the record
    std::env::var(name).ok()
}

/// Sets or replaces each of `given`; a lone `NAME` takes the value that `own` has, or takes the variable away.
pub fn merge(
    env: &mut Vec<String>,
    given: &[String],
    own: impl Fn(&str) -> Option<String>,
) -> Result<(), EnvironmentError> {
    for text in given {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (text.as_str(), own(text)),
        };
        if name.is_empty() {
            return Err(EnvironmentError::NoName { text: text.clone() });
        }
        let at = env.iter().position(|v| name_of(v) == name);
        match (value, at) {
            (Some(value), Some(at)) => env[at] = format!("{name}={value}"),
            (Some(value), None) => env.push(format!("{name}={value}")),
            (None, Some(at)) => {
                env.remove(at);
            }
            (None, None) => {}
        }
    }
    Ok(())
}

/// Docker's format: one variable a line, no quoting, `#` begins a comment line; a lone name that this process
/// lacks is left out rather than taken away.
fn read_file(path: &Path) -> Result<Vec<String>, EnvironmentError> {
    let text = fsx::read_to_string(path)?;
    let mut variables = Vec::new();
    for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, has_value) =
            line.split_once('=').map_or((line.trim_end(), false), |(name, _)| (name, true));
        let (path, number) = (path.to_owned(), at + 1);
        if name.is_empty() {
            return Err(EnvironmentError::NoNameInFile { path, line: number });
        }
        if name.contains(char::is_whitespace) {
            let name = name.to_owned();
            return Err(EnvironmentError::WhiteSpace { path, line: number, name });
        }
        match has_value {
            true => variables.push(line.to_owned()),
            false => variables.extend(own_value(name).map(|value| format!("{name}={value}"))),
        }
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ones_win() {
        let mut env = vec!["PATH=/bin".to_owned(), "A=1".into(), "B=1".into()];
        let given = ["A=2", "C=", "B", "HOME", "D=x=y"].map(String::from);
        merge(&mut env, &given, |name| (name == "HOME").then(|| "/root".into())).unwrap();
        assert_eq!(env, ["PATH=/bin", "A=2", "C=", "HOME=/root", "D=x=y"]);
        assert!(merge(&mut env, &["=x".into()], |_| None).is_err());
    }

    #[test]
    fn files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("env");
        fsx::write(&path, "\u{feff}# note\n\n  A=1 # kept\nB=\"q\"\nKNARR_SURELY_UNSET\n").unwrap();
        assert_eq!(read_file(&path).unwrap(), ["A=1 # kept", "B=\"q\""]);
        fsx::write(&path, "A B=1\n").unwrap();
        let error = read_file(&path).unwrap_err().to_string();
        assert!(error.ends_with("line 1: the name \"A B\" contains white space"), "{error}");
    }
}
