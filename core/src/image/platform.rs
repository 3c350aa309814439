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

    /// Whether an image made for `self` is what somebody who asks for `wanted` means: any two Wasm
    /// spellings match, and a wanted platform without a variant matches every variant.
    pub fn satisfies(&self, wanted: &Self) -> bool {
        if self.is_wasm() && wanted.is_wasm() {
            return true;
        }
        self.os == wanted.os
            && self.architecture == wanted.architecture
            && (wanted.variant.is_none() || self.variant == wanted.variant)
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
        write!(f, "{}/{}", self.os, self.architecture)?;
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
