//! How much memory and time the compiler may take for a module.
//!
//! Ordinary modules of all toolchains take 10 to 30 times their size and a second or two for each megabyte, on slow machines
//! ten; the allowance is a multiple of that. What takes more was made to, or is so unusual that its user is asked.

use super::super::cause::Cause;
use super::super::error::Error;
use knarr_core::spec::limits::parse_size;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The environment's way to allow more (or less): bytes, as `--memory` has them.
const MEMORY: &str = "KNARR_COMPILE_MEMORY";
/// The same for seconds.
const TIME: &str = "KNARR_COMPILE_TIME";

/// For any module, however small.
const LEAST_MEMORY: u64 = 256 << 20;
const LEAST_SECONDS: u64 = 20;
/// For each byte of it.
const MEMORY_RATIO: u64 = 64;
/// For each of its megabytes.
const SECONDS_RATIO: u64 = 20;

/// What has a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Resource {
    /// Bytes.
    Memory(u64),
    /// Seconds of processor time.
    Time(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowance {
    /// Bytes of private memory.
    pub memory: u64,
    /// Of processor time.
    pub seconds: u64,
}

impl Allowance {
    /// For a module of this many bytes. `container` is the memory that its container may have, which its compiler may have
    /// in any case.
    pub fn of(size: u64, container: Option<u64>) -> Result<Self, Error> {
        let ordinary = Self {
            memory: LEAST_MEMORY.saturating_add(size.saturating_mul(MEMORY_RATIO)),
            seconds: LEAST_SECONDS.saturating_add((size >> 20).saturating_mul(SECONDS_RATIO)),
        };
        let memory = chosen(MEMORY, |text| parse_size(text).ok())?;
        let seconds = chosen(TIME, |text| text.trim().parse().ok())?;
        Ok(Self {
            memory: memory.unwrap_or(ordinary.memory).max(container.unwrap_or(0)),
            seconds: seconds.unwrap_or(ordinary.seconds),
        })
    }
}

fn chosen(name: &str, parse: impl Fn(&str) -> Option<u64>) -> Result<Option<u64>, Error> {
    let Some(text) = std::env::var_os(name).filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let value = text.to_str().and_then(parse).filter(|value| *value > 0);
    let wanted =
        if name == MEMORY { "a number of bytes, such as 2g" } else { "a number of seconds" };
    let wrong = || Cause::new(format!("{} is not {wanted}", text.display()));
    value.map(Some).ok_or_else(|| Error::system(format!("read {name}"), wrong()))
}

impl Resource {
    /// How a user allows more.
    pub fn remedy(self) -> String {
        match self {
            Self::Memory(bytes) => {
                let more = bytes.saturating_mul(4).div_ceil(1 << 20);
                format!(
                    "ordinary modules of this size need far less; if you trust it, allow more: {MEMORY}={more}m in Knarr's \
                     environment, or run it with --memory {more}m"
                )
            }
            Self::Time(seconds) => format!(
                "ordinary modules of this size need far less; if you trust it, allow more: {TIME}={} in Knarr's environment",
                seconds.saturating_mul(4)
            ),
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => write!(f, "{} MiB of memory", bytes.div_ceil(1 << 20)),
            Self::Time(seconds) => write!(f, "{seconds} s of processor time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_with_the_module_and_is_never_below_the_containers() {
        let of = |size, container| Allowance::of(size, container).unwrap();
        assert_eq!(of(0, None), Allowance { memory: 256 << 20, seconds: 20 });
        assert_eq!(of(3 << 20, Some(64 << 20)), Allowance { memory: 448 << 20, seconds: 80 });
        assert_eq!(of(3 << 20, Some(4 << 30)).memory, 4 << 30);
        assert_eq!(of(u64::MAX, None).memory, u64::MAX);
    }
}
