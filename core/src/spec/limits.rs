//! Resource limits and how the command line writes them.

use serde::{Deserialize, Serialize};

/// Limits of one container; `None` is unlimited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes.
    pub memory: Option<u64>,
    /// Memory plus swap, bytes; -1 is unlimited swap. Docker's default with `memory` set is twice as much.
    pub memory_swap: Option<i64>,
    /// Bytes.
    pub memory_reservation: Option<u64>,
    /// Billionths of a processor.
    pub nano_cpus: Option<u64>,
    /// Relative weight, Docker's scale: 1024 is normal.
    pub cpu_shares: Option<u64>,
    /// `0-2,7`
    pub cpuset_cpus: Option<String>,
    /// Nodes of memory, in the same notation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpuset_mems: Option<String>,
    /// µs; the kernel's default is 100000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_period: Option<u64>,
    /// µs of processor time for each period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<u64>,
    /// 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_swappiness: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub oom_kill_disable: bool,
    /// Relative weight of input and output, Docker's scale: 10 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blkio_weight: Option<u64>,
    /// Of block devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub block: Vec<BlockLimit>,
    pub pids: Option<u64>,
    pub ulimits: Vec<Ulimit>,
    /// Bytes of `/dev/shm`; Docker's default is 64 MiB.
    pub shm_size: Option<u64>,
}

/// One `--device-read-bps` or the like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockLimit {
    /// The node of a block device of the host.
    pub path: String,
    pub what: BlockQuantity,
    pub value: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BlockQuantity {
    /// As [`Limits::blkio_weight`].
    Weight,
    /// Bytes a second.
    ReadBps,
    WriteBps,
    /// Operations a second.
    ReadIops,
    WriteIops,
}

impl BlockQuantity {
    /// The option that asks for it.
    pub fn option(self) -> &'static str {
        match self {
            Self::Weight => "--blkio-weight-device",
            Self::ReadBps => "--device-read-bps",
            Self::WriteBps => "--device-write-bps",
            Self::ReadIops => "--device-read-iops",
            Self::WriteIops => "--device-write-iops",
        }
    }

    /// `PATH:VALUE`; bytes in the notation of [`parse_size`].
    pub fn parse(self, text: &str) -> Result<BlockLimit, InvalidLimit> {
        let invalid = || InvalidLimit::Block { option: self.option(), text: text.to_owned() };
        let (path, value) = text.rsplit_once(':').ok_or_else(invalid)?;
        let value = match self {
            Self::ReadBps | Self::WriteBps => parse_size(value).ok(),
            _ => value.parse().ok(),
        };
        let value = value.filter(|value| *value > 0).ok_or_else(invalid)?;
        let in_range = self != Self::Weight || (10..=1000).contains(&value);
        match path.starts_with("/dev/") && in_range {
            true => Ok(BlockLimit { path: path.to_owned(), what: self, value }),
            false => Err(invalid()),
        }
    }
}

/// One `--ulimit`: `setrlimit` values, `None` is unlimited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// Lower case, without `RLIMIT_`: `nofile`.
    pub name: String,
    pub soft: Option<u64>,
    pub hard: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidLimit {
    #[error("{0:?} is not a size")]
    Size(String),
    #[error("{0:?} is not a number of processors")]
    Cpus(String),
    #[error("{0:?} is not a ulimit")]
    Ulimit(String),
    #[error("{text:?} is not a value of {option}")]
    Block { option: &'static str, text: String },
    #[error("ulimit {name}: the soft limit {soft} is above the hard limit {hard}")]
    SoftAboveHard { name: String, soft: String, hard: String },
}

impl crate::hint::Hint for InvalidLimit {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Size(_) => "write a number with an optional unit: 512m, 1g, 1073741824".into(),
            Self::Block { option: "--blkio-weight-device", .. } => {
                "write DEVICE:WEIGHT with a weight from 10 to 1000: /dev/sda:500".into()
            }
            Self::Block { option, .. } if option.ends_with("bps") => {
                "write DEVICE:BYTES, a second: /dev/sda:10mb".into()
            }
            Self::Block { .. } => "write DEVICE:OPERATIONS, a second: /dev/sda:1000".into(),
            Self::Cpus(_) => "write a positive number such as 0.5 or 2".into(),
            Self::Ulimit(_) | Self::SoftAboveHard { .. } => {
                format!("write NAME=SOFT[:HARD] with a name out of {}", ULIMITS.join(", "))
            }
        })
    }
}

/// The names that `setrlimit` knows (Linux).
pub const ULIMITS: &[&str] = &[
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Bytes in the notation of [`parse_size`], as short as it is exact: `100m`.
pub fn show_size(bytes: u64) -> String {
    let fits = |shift: u32| bytes > 0 && bytes.is_multiple_of(1 << shift);
    match [(40, 't'), (30, 'g'), (20, 'm'), (10, 'k')].into_iter().find(|(shift, _)| fits(*shift)) {
        Some((shift, unit)) => format!("{}{unit}", bytes >> shift),
        None => format!("{bytes}b"),
    }
}

/// Billionths of a processor as a number of processors: `0.5`.
pub fn show_cpus(nano_cpus: u64) -> String {
    (nano_cpus as f64 / 1e9).to_string()
}

/// Bytes from Docker's notation: a number and `b`, `k`, `m`, `g`, `t` (with or without `b`/`ib`), powers of 1024.
pub fn parse_size(text: &str) -> Result<u64, InvalidLimit> {
    let invalid = || InvalidLimit::Size(text.to_owned());
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let unit = lower[digits.len()..].trim();
    let shift = match unit.trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return Err(invalid()),
    };
    let number: f64 = digits.parse().map_err(|_| invalid())?;
    let bytes = number * (1u64 << shift) as f64;
    if number.is_finite() && bytes >= 0.0 && bytes < u64::MAX as f64 {
        Ok(bytes as u64)
    } else {
        Err(invalid())
    }
}

/// Billionths of a processor from `--cpus 1.5`; 0 is unlimited, as in Docker.
pub fn parse_cpus(text: &str) -> Result<u64, InvalidLimit> {
    match text.parse::<f64>() {
        Ok(cpus) if (0.0..1e6).contains(&cpus) => Ok((cpus * 1e9) as u64),
        _ => Err(InvalidLimit::Cpus(text.to_owned())),
    }
}

impl std::str::FromStr for Ulimit {
    type Err = InvalidLimit;

    fn from_str(text: &str) -> Result<Self, InvalidLimit> {
        let invalid = || InvalidLimit::Ulimit(text.to_owned());
        let (name, values) = text.split_once('=').ok_or_else(invalid)?;
        let name = name.to_ascii_lowercase();
        if !ULIMITS.contains(&name.as_str()) {
            return Err(invalid());
        }
        let value = |v: &str| match v {
            "-1" | "unlimited" => Ok(None),
            v => v.parse().map(Some).map_err(|_| invalid()),
        };
        let (soft, hard) = match values.split_once(':') {
            Some((soft, hard)) => (value(soft)?, value(hard)?),
            None => (value(values)?, value(values)?),
        };
        let above = match (soft, hard) {
            (Some(soft), Some(hard)) => soft > hard,
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if above {
            let show = |v: Option<u64>| v.map_or("unlimited".to_owned(), |v| v.to_string());
            return Err(InvalidLimit::SoftAboveHard { name, soft: show(soft), hard: show(hard) });
        }
        Ok(Self { name, soft, hard })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_docker_writes_them() {
        for (text, bytes) in [
            ("32", 32),
            ("32b", 32),
            ("32K", 32 << 10),
            ("1.5m", 3 << 19),
            ("2 GiB", 2 << 30),
            ("1tb", 1 << 40),
        ] {
            assert_eq!(parse_size(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "m", "-1", "1x", "1mm", "nan", "inf", "99999999999999t"] {
            assert!(parse_size(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn ulimits() {
        let both: Ulimit = "nofile=1024:2048".parse().unwrap();
        assert_eq!((both.soft, both.hard), (Some(1024), Some(2048)));
        let one: Ulimit = "NPROC=-1".parse().unwrap();
        assert_eq!((one.name.as_str(), one.soft, one.hard), ("nproc", None, None));
        assert!("nofile=2:1".parse::<Ulimit>().is_err());
        assert!("files=2".parse::<Ulimit>().is_err());
    }
}
