//! Platforms (`os/architecture[/variant]`) and the many spellings of Wasm.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A platform in normal form: lower case, `x86_64` spelt `amd64`, `aarch64` spelt `arm64`, every spelling
/// of Wasm with `wasi` or `wasip1`… as os and `wasm` as architecture.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Platform {
    pub os: String,
    pub architecture: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a platform")]
pub struct InvalidPlatform(String);

impl crate::hint::Hint for InvalidPlatform {
    fn hint(&self) -> Option<String> {
        Some("write it as os/architecture, for example wasi/wasm or linux/amd64".into())
    }
}

impl Platform {
    /// Normalises what an image says about itself.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let os = os.to_ascii_lowercase();
        let (architecture, implied) = match architecture.to_ascii_lowercase().as_str() {
            "x86_64" | "x86-64" => ("amd64".to_owned(), None),
            "aarch64" => ("arm64".to_owned(), None),
            "armhf" => ("arm".to_owned(), Some("v7")),
            "armel" => ("arm".to_owned(), Some("v6")),
            "i386" | "i686" | "x86" => ("386".to_owned(), None),
            "wasm32" => ("wasm".to_owned(), None),
            other => (other.to_owned(), None),
        };
        let variant = variant.filter(|v| !v.is_empty()).or(implied).map(str::to_ascii_lowercase);
        // containerd's platforms package: arm64 without a variant is v8, arm without one is v7
        let variant = match (architecture.as_str(), variant.as_deref()) {
            ("arm64", Some("v8" | "8")) | ("amd64", Some("v1")) => None,
            ("arm", None) => Some("v7".to_owned()),
            ("arm", Some(v @ ("5" | "6" | "7" | "8"))) => Some(format!("v{v}")),
            _ => variant,
        };
        // an empty os with a Wasm architecture, or the reverse, is Wasm all the same
        let is_wasm = is_wasi(&os) || is_wasm_architecture(&architecture);
        if is_wasm {
            let os = if is_wasi(&os) { os } else { "wasi".to_owned() };
            let architecture =
                if architecture == "wasm64" { architecture } else { "wasm".to_owned() };
            return Self { os, architecture, variant: None };
        }
        Self { os, architecture, variant }
    }

    /// `wasi/wasm`, what Docker and containerd call Wasm.
    pub fn wasm() -> Self {
        Self { os: "wasi".into(), architecture: "wasm".into(), variant: None }
    }

    /// The platform whose native programs this machine runs.
    pub fn host() -> Self {
        Self::new(std::env::consts::OS, std::env::consts::ARCH, None)
    }

    /// Any of the spellings: os `wasi`, `wasip1`, `wasip2`, `wasip3`; architecture `wasm`, `wasm32`, `wasm64`.
    pub fn is_wasm(&self) -> bool {
        is_wasi(&self.os) || is_wasm_architecture(&self.architecture)
    }

    /// Whether an image made for `self` is what somebody who asks for `wanted` means: see [`Self::distance`].
    pub fn satisfies(&self, wanted: &Self) -> bool {
        self.distance(wanted).is_some()
    }

    /// How far an image made for `self` is from what somebody who asks for `wanted` means; 0 is the very same, `None`
    /// something else. Any two Wasm spellings match, a machine runs what is made for older ones of its kind, and a
    /// wanted platform without a variant matches every variant. What an image leaves open stands for this machine.
    pub fn distance(&self, wanted: &Self) -> Option<u32> {
        if self.is_wasm() && wanted.is_wasm() {
            return Some(u32::from(self != wanted));
        }
        if self.is_unknown() {
            return Some(self.or_host().distance(wanted)? + 1);
        }
        if self.os != wanted.os {
            return None;
        }
        match (self.architecture.as_str(), wanted.architecture.as_str()) {
            (own, other) if own == other => self.distance_of_variants(wanted),
            // processors of 64 bits run programs of 32, where the system has not done away with them
            ("386", "amd64") | ("arm", "arm64") => Some(u32::MAX - self.level().unwrap_or(0)),
            _ => None,
        }
    }

    fn distance_of_variants(&self, wanted: &Self) -> Option<u32> {
        if self.variant == wanted.variant {
            return Some(0);
        }
        match (self.level(), wanted.level()) {
            (Some(own), Some(limit)) if own <= limit => Some(limit - own),
            // the oldest first: it runs on most
            (own, _) if wanted.variant.is_none() => Some(1 + own.unwrap_or(u32::MAX / 2)),
            _ => None,
        }
    }

    /// Variants of an architecture in their order, each of which runs what is made for those before it (containerd's
    /// `platforms`).
    fn level(&self) -> Option<u32> {
        let variant = match (self.architecture.as_str(), &self.variant) {
            ("amd64", None) => "v1",
            ("arm64", None) => "v8",
            ("amd64" | "arm64" | "arm", Some(variant)) => variant,
            _ => return None,
        };
        let number = variant.strip_prefix('v')?;
        let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
        let (major, minor): (u16, u16) = (major.parse().ok()?, minor.parse().ok()?);
        // Armv9.x has all of Armv8.(x+5)
        let (major, minor) = if major == 9 { (8, minor.checked_add(5)?) } else { (major, minor) };
        Some(u32::from(major) * 100_000 + u32::from(minor))
    }

    /// Whether an image leaves open what it is for, or a part of it.
    pub fn is_unknown(&self) -> bool {
        self.os.is_empty() || self.architecture.is_empty()
    }

    /// What is left open taken from another description.
    pub fn or(&self, other: &Self) -> Self {
        let either =
            |own: &String, other: &String| if own.is_empty() { other } else { own }.clone();
        if !self.is_unknown() {
            return self.clone();
        }
        let variant = match self.architecture.is_empty() {
            true => other.variant.clone(),
            false => self.variant.clone(),
        };
        Self::new(
            &either(&self.os, &other.os),
            &either(&self.architecture, &other.architecture),
            variant.as_deref(),
        )
    }

    /// What is left open is this machine's.
    pub fn or_host(&self) -> Self {
        self.or(&Self::host())
    }
}

/// What a word alone may mean: values of Go's GOOS that have images.
const SYSTEMS: &[&str] = &[
    "linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "solaris", "illumos", "android",
];

/// And of GOARCH.
const ARCHITECTURES: &[&str] = &[
    "386", "amd64", "arm", "arm64", "loong64", "mips", "mipsle", "mips64", "mips64le", "ppc64",
    "ppc64le", "riscv64", "s390x",
];

fn is_wasi(os: &str) -> bool {
    matches!(os, "wasi" | "wasip1" | "wasip2" | "wasip3")
}

fn is_wasm_architecture(architecture: &str) -> bool {
    matches!(architecture, "wasm" | "wasm32" | "wasm64")
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let invalid = || InvalidPlatform(text.to_owned());
        let parts: Vec<&str> = text.split('/').collect();
        let well_formed = parts.iter().all(|p| {
            p.starts_with(|c: char| c.is_ascii_alphanumeric())
                && p.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b))
        });
        if !well_formed {
            return Err(invalid());
        }
        match parts.as_slice() {
            // Docker accepts a lone os or a lone architecture
            [one]
                if is_wasi(&one.to_ascii_lowercase())
                    || is_wasm_architecture(&one.to_ascii_lowercase()) =>
            {
                Ok(Self::new(one, one, None))
            }
            [one] => {
                let host = Self::host();
                let (as_os, as_architecture) =
                    (Self::new(one, &host.architecture, None), Self::new(&host.os, one, None));
                if SYSTEMS.contains(&as_os.os.as_str()) {
                    Ok(as_os)
                } else if ARCHITECTURES.contains(&as_architecture.architecture.as_str()) {
                    Ok(as_architecture)
                } else {
                    Err(invalid())
                }
            }
            [os, architecture] => Ok(Self::new(os, architecture, None)),
            [os, architecture, variant] => Ok(Self::new(os, architecture, Some(variant))),
            _ => Err(invalid()),
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.os.is_empty() && self.architecture.is_empty() {
            return f.write_str("unknown");
        }
        let word =
            |text: &'_ str| if text.is_empty() { "unknown".to_owned() } else { text.to_owned() };
        write!(f, "{}/{}", word(&self.os), word(&self.architecture))?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl From<&oci_spec::image::Platform> for Platform {
    fn from(platform: &oci_spec::image::Platform) -> Self {
        Self::new(
            &platform.os().to_string(),
            &platform.architecture().to_string(),
            platform.variant().as_deref(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_wasm() {
        for text in
            ["wasi/wasm", "wasi/wasm32", "Wasip1/wasm", "wasip2/wasm", "wasip3/wasm64", "wasm"]
        {
            let platform: Platform = text.parse().unwrap();
            assert!(platform.is_wasm(), "{text}");
            assert!(platform.satisfies(&Platform::wasm()), "{text}");
        }
        assert!(!"linux/amd64".parse::<Platform>().unwrap().is_wasm());
    }

    #[test]
    fn older_variants_stand_in_and_newer_ones_never() {
        let order = |wanted: &str, offered: &[&str]| {
            let wanted: Platform = wanted.parse().unwrap();
            let mut found: Vec<_> = offered
                .iter()
                .filter_map(|text| {
                    Some((text.parse::<Platform>().unwrap().distance(&wanted)?, *text))
                })
                .collect();
            found.sort();
            found.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(" ")
        };
        let arm = ["linux/arm/v5", "linux/arm/v8", "linux/arm/v7", "linux/arm/v6", "linux/arm64"];
        for (wanted, found) in [
            ("linux/arm/v7", "linux/arm/v7 linux/arm/v6 linux/arm/v5"),
            ("linux/arm", "linux/arm/v7 linux/arm/v6 linux/arm/v5"),
            ("linux/arm/v6", "linux/arm/v6 linux/arm/v5"),
            ("linux/arm/v5", "linux/arm/v5"),
            ("linux/arm64", "linux/arm64 linux/arm/v8 linux/arm/v7 linux/arm/v6 linux/arm/v5"),
        ] {
            assert_eq!(order(wanted, &arm), found, "{wanted}");
        }
        let amd = ["linux/amd64/v3", "linux/amd64/v2", "linux/amd64", "linux/386", "windows/amd64"];
        assert_eq!(order("linux/amd64/v2", &amd), "linux/amd64/v2 linux/amd64 linux/386");
        assert_eq!(order("linux/386", &amd), "linux/386");
        let arm64 = ["linux/arm64/v9", "linux/arm64/v8.2"];
        assert_eq!(order("linux/arm64/v8.5", &arm64), "linux/arm64/v9 linux/arm64/v8.2");
        assert_eq!(order("linux/arm64/v8.4", &arm64), "linux/arm64/v8.2");
    }

    #[test]
    fn what_is_left_open_is_this_machine() {
        let (unknown, host) = (Platform::new("", "", None), Platform::host());
        assert_eq!(unknown.to_string(), "unknown");
        assert!(unknown.satisfies(&host) && unknown.is_unknown());
        assert_eq!(unknown.or_host(), host);
        let half = Platform::new("linux", "", None);
        assert_eq!(half.to_string(), "linux/unknown");
        assert!(half.satisfies(&Platform::new("linux", &host.architecture, None)));
        assert!(!Platform::new("windows", "", None).satisfies(&host));
        assert!(!unknown.satisfies(&"linux/s390x".parse().unwrap()));
        // what is missing in one place is taken from the other
        let config = Platform::new("linux", "arm", Some("v6"));
        assert_eq!(half.or(&config), config);
        assert!(Platform::new("", "wasm", None).is_wasm());
    }

    #[test]
    fn architectures_have_one_spelling() {
        assert_eq!("linux/x86_64".parse::<Platform>().unwrap().to_string(), "linux/amd64");
        assert_eq!("linux/arm64/v8".parse::<Platform>().unwrap().to_string(), "linux/arm64");
        assert_eq!("linux/arm".parse::<Platform>().unwrap().to_string(), "linux/arm/v7");
        let host = Platform::host();
        assert_eq!("linux".parse::<Platform>().unwrap().architecture, host.architecture);
        assert_eq!("aarch64".parse::<Platform>().unwrap().architecture, "arm64");
        assert!("amd46".parse::<Platform>().is_err());
        assert!("linux//x".parse::<Platform>().is_err());
        assert!("a/b/c/d".parse::<Platform>().is_err());
        assert!("linux/../etc".parse::<Platform>().is_err());
    }
}
