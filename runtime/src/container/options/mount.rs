//! `--mount KEY=VALUE,…`

use super::ids;
use super::mounts::{
    InvalidMount, anonymous, check_target, is_propagation, lexical, parse_mode, parse_size,
};
use knarr_core::spec::{Mount, MountKind, Origin, Ownership, Submounts, VolumeMount};
use std::collections::BTreeMap;
use std::path::Path;

/// CSV as Docker's: a field that contains a comma is put in double quotes. A source that begins with a dot is relative
/// to `directory`.
pub fn parse_mount(text: &str, directory: &Path) -> Result<Mount, InvalidMount> {
    let fields: Vec<(String, Option<String>)> = csv(text)
        .into_iter()
        .map(|field| match field.split_once('=') {
            Some((name, value)) => (name.trim().to_ascii_lowercase(), Some(value.to_owned())),
            None => (field.trim().to_ascii_lowercase(), None),
        })
        .collect();
    let kind = fields.iter().rev().find(|(name, _)| name == "type").and_then(|(_, v)| v.clone());
    let kind = match kind.as_deref().unwrap_or("volume").to_ascii_lowercase().as_str() {
        "bind" => "bind",
        "volume" => "volume",
        "tmpfs" => "tmpfs",
        other => {
            let kind = other.to_owned();
            return Err(InvalidMount::Kind { text: text.to_owned(), kind });
        }
    };
    let mut given = Fields::default();
    for (name, value) in &fields {
        if !is_field(kind, name) {
            let (text, field) = (text.to_owned(), name.clone());
            return Err(InvalidMount::Field { text, kind, field });
        }
        given.set(text, name, value.as_deref())?;
    }
    let missing = |field| InvalidMount::Missing { text: text.to_owned(), field };
    let target = given.target.as_deref().filter(|t| !t.is_empty());
    let target = check_target(text, target.ok_or_else(|| missing("target"))?)?;
    let source = given.source.filter(|s| !s.is_empty());
    let read_only = given.read_only;
    let ownership = given.ownership;
    let kind = match kind {
        "bind" => {
            let source = source.ok_or_else(|| missing("source"))?;
            if !source.starts_with('/') && !source.starts_with('.') {
                return Err(InvalidMount::NoPath { text: text.to_owned() });
            }
            MountKind::Bind {
                source: lexical(&directory.join(source)),
                create: given.create,
                propagation: given.propagation,
                submounts: given.submounts,
            }
        }
        "volume" => {
            let mut volume = match source {
                Some(name) => VolumeMount { name, ..VolumeMount::default() },
                None => match anonymous(false) {
                    MountKind::Volume(volume) => volume,
                    _ => VolumeMount::default(),
                },
            };
            volume.no_copy = given.no_copy;
            volume.subpath = given.subpath;
            volume.options = given.options;
            volume.labels = given.labels;
            MountKind::Volume(volume)
        }
        _ => MountKind::Tmpfs { size: given.size, mode: given.mode, options: given.words },
    };
    Ok(Mount { kind, target, read_only, ownership, origin: Origin::Long })
}

const COMMON: &str = "type, target, readonly, consistency";

/// The fields of a kind, for hints.
pub(super) fn fields_of(kind: &str) -> String {
    let own = match kind {
        "bind" => {
            "source, bind-propagation, bind-recursive, bind-nonrecursive, bind-create-src, relabel, U, idmap"
        }
        "tmpfs" => "tmpfs-size, tmpfs-mode, tmpfs-options",
        _ => {
            "source, volume-nocopy, volume-subpath, volume-label, volume-opt, volume-driver, relabel, U, idmap"
        }
    };
    format!("{COMMON}, {own}")
}

/// Docker's, and those of podman that mean something here.
fn is_field(kind: &str, name: &str) -> bool {
    let common = ["type", "target", "destination", "dst", "readonly", "ro", "rw", "consistency"];
    let files = ["source", "src", "u", "chown", "idmap", "relabel", "z"];
    let own: &[&str] = match kind {
        "bind" => &["bind-propagation", "bind-recursive", "bind-nonrecursive", "bind-create-src"],
        "tmpfs" => &["tmpfs-size", "tmpfs-mode", "tmpfs-options"],
        _ => &["volume-nocopy", "volume-subpath", "volume-label", "volume-opt", "volume-driver"],
    };
    common.contains(&name) || own.contains(&name) || (kind != "tmpfs" && files.contains(&name))
}

#[derive(Default)]
struct Fields {
    source: Option<String>,
    target: Option<String>,
    read_only: bool,
    propagation: Option<String>,
    submounts: Submounts,
    create: bool,
    ownership: Option<Ownership>,
    no_copy: bool,
    subpath: Option<String>,
    options: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    size: Option<u64>,
    mode: Option<u32>,
    words: Vec<String>,
}

impl Fields {
    fn set(&mut self, text: &str, name: &str, value: Option<&str>) -> Result<(), InvalidMount> {
        let invalid = || InvalidMount::Value { text: text.to_owned(), field: name.to_owned() };
        let given = || value.map(str::to_owned).ok_or_else(invalid);
        let flag = || match value {
            None | Some("true" | "1") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(invalid()),
        };
        match name {
            // looked for before
            "type" => {
                given()?;
            }
            "source" | "src" => self.source = Some(given()?),
            "target" | "destination" | "dst" => self.target = Some(given()?),
            "readonly" | "ro" => self.read_only = flag()?,
            "rw" => self.read_only = !flag()?,
            "bind-propagation" => {
                self.propagation = Some(given()?).filter(|word| is_propagation(word));
                if self.propagation.is_none() {
                    return Err(invalid());
                }
            }
            "bind-nonrecursive" => {
                self.submounts = if flag()? { Submounts::Leave } else { Submounts::Follow };
            }
            "bind-recursive" => {
                self.submounts = match given()?.as_str() {
                    "enabled" | "readonly" => Submounts::Follow,
                    "writable" => Submounts::Writable,
                    "disabled" => Submounts::Leave,
                    _ => return Err(invalid()),
                }
            }
            "bind-create-src" => self.create = flag()?,
            "u" | "chown" => self.ownership = flag()?.then_some(Ownership::Give),
            "idmap" => {
                let ids = value.unwrap_or_default();
                let parsed = ids::parse(ids).ok_or_else(|| InvalidMount::Ids {
                    text: text.to_owned(),
                    ids: ids.to_owned(),
                })?;
                self.ownership = Some(parsed);
            }
            "volume-nocopy" => self.no_copy = flag()?,
            "volume-subpath" => self.subpath = Some(subpath(text, &given()?)?),
            "volume-label" => {
                let (name, value) = pair(&given()?);
                self.labels.insert(name, value);
            }
            "volume-opt" => {
                let (name, value) = pair(&given()?);
                self.options.insert(name, value);
            }
            "volume-driver" if value == Some("local") => {}
            "volume-driver" => return Err(invalid()),
            "tmpfs-size" => self.size = Some(parse_size(text, &given()?)?),
            "tmpfs-mode" => self.mode = Some(parse_mode(text, name, &given()?)?),
            "tmpfs-options" => self.words = given()?.split(',').map(str::to_owned).collect(),
            // SELinux labels and hints for file sharing of virtual machines: there is nothing to do
            _ => {}
        }
        Ok(())
    }
}

fn pair(text: &str) -> (String, String) {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    (name.to_owned(), value.to_owned())
}

/// Relative, and without a way out by its own words. (What links in the volume say is seen when it is mounted.)
fn subpath(text: &str, path: &str) -> Result<String, InvalidMount> {
    use std::path::Component;
    let is_local =
        Path::new(path).components().all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
    match is_local && !path.is_empty() {
        true => Ok(path.to_owned()),
        false => {
            let (text, subpath) = (text.to_owned(), path.to_owned());
            Err(InvalidMount::Subpath { text, subpath })
        }
    }
}

/// One line of CSV (RFC 4180).
fn csv(text: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        let last = fields.len() - 1;
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                fields[last].push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields[last].push(c),
        }
    }
    fields
}
