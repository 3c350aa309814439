//! `-v`, `--mount` and `--tmpfs`.

use knarr_core::hint::Hint;
use knarr_core::spec::limits::{self, InvalidLimit};
use knarr_core::spec::{Mount, MountKind};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum InvalidMount {
    #[error("{text:?} is not a volume")]
    Volume { text: String },
    #[error("{text:?}: {option:?} is not an option of a volume")]
    VolumeOption { text: String, option: String },
    #[error("{text:?}: {field:?} is not a field of a {kind} mount")]
    Field { text: String, kind: &'static str, field: String },
    #[error("{text:?}: the value of {field} is not valid")]
    Value { text: String, field: String },
    #[error("{text:?} lacks {field}")]
    Missing { text: String, field: &'static str },
    #[error("{text:?}: {target:?} is not an absolute path in the container")]
    Target { text: String, target: String },
    #[error("{text:?}: {kind:?} is not a kind of mount")]
    Kind { text: String, kind: String },
    #[error("{text:?}: the source is not an absolute path")]
    RelativeSource { text: String },
    #[error("{text:?}")]
    Size { text: String, source: InvalidLimit },
}

impl Hint for InvalidMount {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Volume { .. } | Self::VolumeOption { .. } => {
                "write [SOURCE:]TARGET[:ro], where SOURCE is a path of the host or a volume's name"
                    .into()
            }
            Self::Kind { .. } => "the kinds are bind, volume and tmpfs".into(),
            Self::Target { .. } => "the target begins with '/', and is not '/' alone".into(),
            Self::RelativeSource { .. } => "write the path from the root on".into(),
            Self::Size { source, .. } => return source.hint(),
            _ => "write for example type=bind,source=/srv/data,target=/data,readonly".into(),
        })
    }
}

/// `-v [SOURCE:]TARGET[:OPTIONS]`. A source with a slash or a leading dot is a path of the host, relative to
/// `directory`; anything else is the name of a volume.
pub fn parse_volume(text: &str, directory: &Path) -> Result<Mount, InvalidMount> {
    let invalid = || InvalidMount::Volume { text: text.to_owned() };
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match *parts.as_slice() {
        [target] => (None, target, ""),
        [source, target] if target.starts_with('/') => (Some(source), target, ""),
        // `/data:ro`: an anonymous volume with options
        [target, options] if target.starts_with('/') => (None, target, options),
        [source, target, options] => (Some(source), target, options),
        _ => return Err(invalid()),
    };
    let target = check_target(text, target)?;
    let mut read_only = false;
    let mut no_copy = false;
    let mut propagation = None;
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option {
            "ro" | "readonly" => read_only = true,
            "rw" => read_only = false,
            "nocopy" => no_copy = true,
            "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared" => {
                propagation = Some(option.to_owned());
            }
            // SELinux labels and hints for file sharing of virtual machines: there is nothing to do
            "z" | "Z" | "cached" | "delegated" | "consistent" => {}
            _ => {
                let (text, option) = (text.to_owned(), option.to_owned());
                return Err(InvalidMount::VolumeOption { text, option });
            }
        }
    }
    let kind = match source {
        None => anonymous(no_copy),
        Some("") => return Err(invalid()),
        Some(source) if is_path(source) => {
            MountKind::Bind { source: lexical(&directory.join(source)), create: true, propagation }
        }
        Some(name) => MountKind::Volume { name: name.to_owned(), anonymous: false, no_copy },
    };
    Ok(Mount { kind, target, read_only })
}

/// `--mount key=value,…`, CSV as Docker's: a field that contains a comma is put in double quotes.
pub fn parse_mount(text: &str) -> Result<Mount, InvalidMount> {
    let mut given = Fields::default();
    for field in csv(text) {
        let (name, value) =
            field.split_once('=').map_or((field.as_str(), None), |(n, v)| (n, Some(v)));
        given.set(text, &name.to_ascii_lowercase(), value)?;
    }
    let target = given.target.as_deref().filter(|t| !t.is_empty());
    let target = target.ok_or(InvalidMount::Missing { text: text.to_owned(), field: "target" })?;
    let target = check_target(text, target)?;
    let kind = given.kind.as_deref().unwrap_or("volume");
    let misplaced =
        |fields: &[(&str, bool)], kind| match fields.iter().find(|(_, present)| *present) {
            Some((field, _)) => {
                let field = (*field).to_owned();
                Err(InvalidMount::Field { text: text.to_owned(), kind, field })
            }
            None => Ok(()),
        };
    let propagation = ("bind-propagation", given.propagation.is_some());
    let no_copy = ("volume-nocopy", given.no_copy);
    let size = ("tmpfs-size", given.size.is_some());
    let mode = ("tmpfs-mode", given.mode.is_some());
    let kind = match kind {
        "bind" => {
            misplaced(&[no_copy, size, mode], "bind")?;
            let source = given.source.filter(|s| !s.is_empty());
            let source =
                source.ok_or(InvalidMount::Missing { text: text.to_owned(), field: "source" })?;
            if !source.starts_with('/') {
                return Err(InvalidMount::RelativeSource { text: text.to_owned() });
            }
            let source = lexical(Path::new(&source));
            MountKind::Bind { source, create: given.create, propagation: given.propagation }
        }
        "volume" => {
            misplaced(&[propagation, size, mode], "volume")?;
            match given.source.filter(|s| !s.is_empty()) {
                Some(name) => MountKind::Volume { name, anonymous: false, no_copy: given.no_copy },
                None => anonymous(given.no_copy),
            }
        }
        "tmpfs" => {
            misplaced(&[("source", given.source.is_some()), propagation, no_copy], "tmpfs")?;
            MountKind::Tmpfs { size: given.size, mode: given.mode, options: Vec::new() }
        }
        other => {
            let kind = other.to_owned();
            return Err(InvalidMount::Kind { text: text.to_owned(), kind });
        }
    };
    Ok(Mount { kind, target, read_only: given.read_only })
}

/// `--tmpfs TARGET[:OPTIONS]`
pub fn parse_tmpfs(text: &str) -> Result<Mount, InvalidMount> {
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let target = check_target(text, target)?;
    let (mut size, mut mode, mut rest, mut read_only) = (None, None, Vec::new(), false);
    for option in options.split(',').filter(|o| !o.is_empty()) {
        match option.split_once('=') {
            Some(("size", value)) => size = Some(parse_size(text, value)?),
            Some(("mode", value)) => mode = Some(parse_mode(text, "mode", value)?),
            None if option == "ro" => read_only = true,
            None if option == "rw" => read_only = false,
            _ => rest.push(option.to_owned()),
        }
    }
    Ok(Mount { kind: MountKind::Tmpfs { size, mode, options: rest }, target, read_only })
}

/// A volume without a name: one is made up, as long as an id.
pub(super) fn anonymous(no_copy: bool) -> MountKind {
    let name = knarr_core::id::ContainerId::random().to_string();
    MountKind::Volume { name, anonymous: true, no_copy }
}

#[derive(Default)]
struct Fields {
    kind: Option<String>,
    source: Option<String>,
    target: Option<String>,
    read_only: bool,
    propagation: Option<String>,
    no_copy: bool,
    create: bool,
    size: Option<u64>,
    mode: Option<u32>,
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
            "type" => self.kind = Some(given()?.to_ascii_lowercase()),
            "source" | "src" => self.source = Some(given()?),
            "target" | "destination" | "dst" => self.target = Some(given()?),
            "readonly" | "ro" => self.read_only = flag()?,
            "bind-propagation" => match given()? {
                p if ["private", "rprivate", "slave", "rslave", "shared", "rshared"]
                    .contains(&p.as_str()) =>
                {
                    self.propagation = Some(p);
                }
                _ => return Err(invalid()),
            },
            "bind-create-src" => self.create = flag()?,
            "volume-nocopy" => self.no_copy = flag()?,
            "tmpfs-size" => self.size = Some(parse_size(text, &given()?)?),
            "tmpfs-mode" => self.mode = Some(parse_mode(text, name, &given()?)?),
            "consistency" => {}
            _ => {
                let kind = match self.kind.as_deref() {
                    Some("bind") => "bind",
                    Some("tmpfs") => "tmpfs",
                    _ => "volume",
                };
                return Err(InvalidMount::Field {
                    text: text.to_owned(),
                    kind,
                    field: name.to_owned(),
                });
            }
        }
        Ok(())
    }
}

fn parse_size(text: &str, value: &str) -> Result<u64, InvalidMount> {
    limits::parse_size(value).map_err(|source| InvalidMount::Size { text: text.to_owned(), source })
}

fn parse_mode(text: &str, field: &str, value: &str) -> Result<u32, InvalidMount> {
    let mode = u32::from_str_radix(value, 8).ok().filter(|mode| *mode <= 0o7777);
    mode.ok_or_else(|| InvalidMount::Value { text: text.to_owned(), field: field.to_owned() })
}

fn check_target(text: &str, target: &str) -> Result<String, InvalidMount> {
    let cleaned = clean(target);
    if target.starts_with('/') && cleaned != "/" {
        return Ok(cleaned);
    }
    Err(InvalidMount::Target { text: text.to_owned(), target: target.to_owned() })
}

/// An absolute path without `.`, `..` and doubled slashes: what Docker compares and shows. (Where it leads is decided
/// when it is mounted.)
pub(super) fn clean(target: &str) -> String {
    let cleaned = lexical(Path::new(target));
    cleaned.to_string_lossy().into_owned()
}

fn lexical(path: &Path) -> PathBuf {
    use std::path::Component;
    let mut cleaned = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                cleaned.pop();
            }
            _ => {}
        }
    }
    cleaned
}

fn is_path(source: &str) -> bool {
    source.contains('/') || source.starts_with('.')
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
