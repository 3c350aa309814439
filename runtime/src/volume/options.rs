//! Where a volume's files are: `volume create -o type=…,device=…,o=…`, as Docker's driver `local` has them.

use knarr_core::hint::Hint;
use knarr_core::spec::limits;
use knarr_core::spec::mode::parse_mode;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backing {
    /// In a folder of Knarr's own.
    Folder,
    /// In a directory of the host, which stays when the volume goes.
    Directory(PathBuf),
    /// In memory, until the volume is removed or the machine restarts.
    Memory { size: Option<u64>, mode: Option<u32>, words: Vec<String> },
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidOption {
    #[error("{name:?} is not an option of a volume")]
    Unknown { name: String },
    #[error("a volume cannot be of type {kind:?}")]
    Type { kind: String },
    #[error("a volume that is a directory of the host needs its absolute path, not {device:?}")]
    Device { device: String },
    #[error("o={words:?} means nothing for a volume without a type")]
    Words { words: String },
    #[error("o={word}: the value is not valid")]
    Value { word: String },
}

impl Hint for InvalidOption {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown { .. } => "the options are type, device and o".into(),
            Self::Type { .. } => {
                "write type=tmpfs, or type=none with o=bind and device=PATH; to use another file system, mount it on \
                 the host and give its path"
                    .into()
            }
            Self::Device { .. } | Self::Words { .. } => {
                "for example: -o type=none -o o=bind -o device=/srv/data".into()
            }
            Self::Value { .. } => "for example: -o type=tmpfs -o o=size=64m,mode=1777,uid=1000".into(),
        })
    }
}

impl Backing {
    pub fn parse(options: &BTreeMap<String, String>) -> Result<Self, InvalidOption> {
        if let Some(name) = options.keys().find(|k| !["type", "device", "o"].contains(&k.as_str()))
        {
            return Err(InvalidOption::Unknown { name: name.clone() });
        }
        let get = |key| options.get(key).map_or("", String::as_str);
        let words: Vec<&str> = get("o").split(',').filter(|word| !word.is_empty()).collect();
        let is_bind = words.iter().any(|word| ["bind", "rbind"].contains(word));
        match get("type") {
            "" | "none" | "bind" if is_bind || get("type") == "bind" => {
                let device = get("device");
                if !device.starts_with('/') {
                    return Err(InvalidOption::Device { device: device.to_owned() });
                }
                Ok(Self::Directory(device.into()))
            }
            "" if words.is_empty() => Ok(Self::Folder),
            "" | "none" => Err(InvalidOption::Words { words: get("o").to_owned() }),
            "tmpfs" => memory(&words),
            kind => Err(InvalidOption::Type { kind: kind.to_owned() }),
        }
    }
}

fn memory(words: &[&str]) -> Result<Backing, InvalidOption> {
    let (mut size, mut mode, mut rest) = (None, None, Vec::new());
    for word in words {
        let invalid = || InvalidOption::Value { word: (*word).to_owned() };
        match word.split_once('=') {
            // a part of the memory, which the kernel knows how to take
            Some(("size", value)) if value.ends_with('%') => rest.push((*word).to_owned()),
            Some(("size", value)) => {
                size = Some(limits::parse_size(value).map_err(|_| invalid())?);
            }
            Some(("mode", value)) => {
                mode = Some(parse_mode(value).ok_or_else(invalid)?);
            }
            _ => rest.push((*word).to_owned()),
        }
    }
    Ok(Backing::Memory { size, mode, words: rest })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(options: &[(&str, &str)]) -> Result<Backing, String> {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Backing::parse(&options).map_err(|e| e.to_string())
    }

    #[test]
    fn as_docker_s_local_driver_takes_them() {
        assert_eq!(parsed(&[]), Ok(Backing::Folder));
        assert_eq!(
            parsed(&[("type", "none"), ("o", "bind"), ("device", "/srv")]),
            Ok(Backing::Directory("/srv".into()))
        );
        let memory = Backing::Memory {
            size: Some(100 << 20),
            mode: None,
            words: vec!["uid=1000".to_owned()],
        };
        let tmpfs = [("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=100m,uid=1000")];
        assert_eq!(parsed(&tmpfs), Ok(memory));
        for wrong in [
            &[("size", "1g")][..],
            &[("type", "nfs"), ("device", ":/x")],
            &[("o", "bind"), ("device", "srv")],
            &[("o", "addr=1.2.3.4")],
            &[("type", "tmpfs"), ("o", "size=x")],
            &[("type", "none")],
        ] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }
}
