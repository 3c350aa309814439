//! What only Wasm containers have.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WasmOptions {
    /// `--wasm-instance-requests`, or the image's label; `None`: the default.
    #[serde(default)]
    pub instance_requests: Option<InstanceRequests>,
}

/// How many HTTP requests an instance of a guest answers before a fresh one takes its place.
///
/// The default is a thousand: making an instance anew takes about as long as some requests of a small guest, so this
/// costs nothing, and what a guest loses with each request (memory, handles) does not add up for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum InstanceRequests {
    /// So many; with one, no request meets anything that another has left.
    AtMost(NonZeroU32),
    Unlimited,
}

impl InstanceRequests {
    /// The label by which an image says it.
    pub const LABEL: &'static str = "knarr.wasm.instance-requests";
    /// A fresh instance for each request.
    pub const ONE: Self = Self::AtMost(NonZeroU32::MIN);

    /// As a number that is never exceeded.
    pub fn most(self) -> u32 {
        match self {
            Self::AtMost(number) => number.get(),
            Self::Unlimited => u32::MAX,
        }
    }
}

impl Default for InstanceRequests {
    fn default() -> Self {
        const USUAL: NonZeroU32 = NonZeroU32::new(1000).expect("is not zero");
        Self::AtMost(USUAL)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is neither a number of requests, from 1 on, nor 'unlimited'")]
pub struct InvalidInstanceRequests {
    pub text: String,
}

impl FromStr for InstanceRequests {
    type Err = InvalidInstanceRequests;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "unlimited" => Ok(Self::Unlimited),
            _ => text
                .parse()
                .map(Self::AtMost)
                .map_err(|_| InvalidInstanceRequests { text: text.to_owned() }),
        }
    }
}

impl TryFrom<String> for InstanceRequests {
    type Error = InvalidInstanceRequests;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<InstanceRequests> for String {
    fn from(requests: InstanceRequests) -> Self {
        requests.to_string()
    }
}

impl fmt::Display for InstanceRequests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(number) => number.fmt(f),
            Self::Unlimited => f.write_str("unlimited"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notations() {
        for text in ["1", "1000", "4294967295", "unlimited"] {
            assert_eq!(text.parse::<InstanceRequests>().unwrap().to_string(), text);
        }
        for text in ["", "0", "-1", "1.5", "4294967296", "many"] {
            assert!(text.parse::<InstanceRequests>().is_err(), "{text}");
        }
        assert_eq!(InstanceRequests::default().most(), 1000);
        assert_eq!("1".parse(), Ok(InstanceRequests::ONE));
    }
}
