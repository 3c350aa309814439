//! Identifiers of containers: 64 hexadecimal digits, as Docker's.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A container's identifier: 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

/// Text that is not 64 lower-case hexadecimal digits.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a container id (64 lower-case hexadecimal digits)")]
pub struct InvalidId(pub String);

impl ContainerId {
    /// A new random identifier, never one that starts like a number only (a hostname must not be one).
    pub fn random() -> Self {
        loop {
            let mut bytes = [0u8; 32];
            // getrandom on a seeded pool neither blocks nor comes back short for 32 bytes
            let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
            if filled != Ok(bytes.len()) {
                continue;
            }
            let text = hex::encode(bytes);
            if text[..12].bytes().any(|b| b.is_ascii_alphabetic()) {
                return Self(text);
            }
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, as listings show it.
    pub fn short(&self) -> &str {
        &self.0[..12]
    }
}

impl FromStr for ContainerId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let valid = text.len() == 64
            && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidId(text.to_owned())) }
    }
}

impl TryFrom<String> for ContainerId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> Self {
        id.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_ids_parse_back() {
        let id = ContainerId::random();
        assert_eq!(id.as_str().parse::<ContainerId>().unwrap(), id);
        assert_eq!(id.short().len(), 12);
        assert!("../../etc".parse::<ContainerId>().is_err());
    }
}
