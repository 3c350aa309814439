//! Durations, sizes, modes, commands: values that files write as text.

use std::fmt;

use serde_json::Value;

use super::invalid::{Invalid, Problem};
use super::record::{Field, Form, wrong_kind};
use crate::node::{Kind, Node, float};

/// A length of time in nanoseconds; may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(pub i64);

/// A number of bytes. -1 stands for "no limit" where there is such a thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub i64);

/// The permissions of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode(pub i64);

/// How many devices; -1 stands for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count(pub i64);

/// A command and its arguments, or nothing; an empty list takes away what the image has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command(pub Option<Vec<String>>);

/// The command of a health check, with its first word: `NONE`, `CMD` or `CMD-SHELL`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Test(pub Vec<String>);

/// A switch that is on unless the file says no. Written only where the file (or a short form) says yes, as Compose does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OptOut(pub Option<bool>);

impl OptOut {
    pub fn is_on(self) -> bool {
        self.0.unwrap_or(true)
    }
}

impl Field for OptOut {
    fn read(node: &Node) -> Result<Self, Invalid> {
        bool::read(node).map(|value| Self(Some(value)))
    }

    fn write(&self, _: Form) -> Value {
        self.is_on().into()
    }

    fn is_left_out(&self, _: Form) -> bool {
        self.0 != Some(true)
    }
}

impl Duration {
    /// For clocks; nothing for negative lengths.
    pub fn to_std(self) -> Option<std::time::Duration> {
        u64::try_from(self.0).ok().map(std::time::Duration::from_nanos)
    }

    /// Reads `1h2m3.5s`, with `w` and `d` as well.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, mut rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        if rest == "0" {
            return Some(Self(0));
        }
        if rest.is_empty() {
            return None;
        }
        let mut total: i64 = 0;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
            let (amount, tail) = rest.split_at(digits);
            let length = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(length);
            rest = tail;
            let unit: i64 = match unit {
                "ns" => 1,
                "us" | "µs" | "μs" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                "d" => 86_400_000_000_000,
                "w" => 604_800_000_000_000,
                _ => return None,
            };
            let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
            if whole.len() + fraction.len() == 0 || fraction.contains('.') {
                return None;
            }
            let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
            total = total.checked_add(whole.checked_mul(unit)?)?;
            if !fraction.is_empty() {
                let part: f64 = format!("0.{fraction}").parse().ok()?;
                total = total.checked_add((part * unit as f64) as i64)?;
            }
        }
        Some(Self(if negative { -total } else { total }))
    }
}

/// As Go prints it: `1h30m0s`, `1.5s`, `300ms`.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, nanos) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        let decimal = |amount: u64, unit: u64| {
            let fraction = format!("{:0width$}", amount % unit, width = unit.ilog10() as usize);
            match fraction.trim_end_matches('0') {
                "" => (amount / unit).to_string(),
                fraction => format!("{}.{fraction}", amount / unit),
            }
        };
        match nanos {
            0 => write!(f, "0s"),
            1..1_000 => write!(f, "{sign}{nanos}ns"),
            1_000..1_000_000 => write!(f, "{sign}{}µs", decimal(nanos, 1_000)),
            1_000_000..1_000_000_000 => write!(f, "{sign}{}ms", decimal(nanos, 1_000_000)),
            _ => {
                let minutes = nanos / 60_000_000_000;
                let seconds = decimal(nanos % 60_000_000_000, 1_000_000_000);
                match (minutes / 60, minutes % 60) {
                    (0, 0) => write!(f, "{sign}{seconds}s"),
                    (0, minutes) => write!(f, "{sign}{minutes}m{seconds}s"),
                    (hours, minutes) => write!(f, "{sign}{hours}h{minutes}m{seconds}s"),
                }
            }
        }
    }
}

impl Field for Duration {
    fn read(node: &Node) -> Result<Self, Invalid> {
        let text = node.scalar().ok_or_else(|| wrong_kind(node, "a string"))?;
        Self::parse(&text).ok_or_else(|| Invalid::new(node, Problem::Duration { text }))
    }

    fn write(&self, _: Form) -> Value {
        Value::String(self.to_string())
    }

    fn is_left_out(&self, _: Form) -> bool {
        self.0 == 0
    }
}

impl Bytes {
    /// Reads `512m`, `1.5 GiB`, `100b`; units are powers of 1024.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = match text.split_once(' ') {
            Some(parts) => parts,
            None => text.split_at(text.rfind(|c: char| c.is_ascii_digit() || c == '.')? + 1),
        };
        let amount = decimal(number)?;
        if amount < 0.0 || amount.is_nan() {
            return None;
        }
        let unit = unit.to_ascii_lowercase();
        let factor: f64 = match unit.as_str() {
            "" | "b" => 1.0,
            "k" | "kb" | "kib" => 1024.0,
            "m" | "mb" | "mib" => 1_048_576.0,
            "g" | "gb" | "gib" => 1_073_741_824.0,
            "t" | "tb" | "tib" => 1_099_511_627_776.0,
            "p" | "pb" | "pib" => 1_125_899_906_842_624.0,
            _ => return None,
        };
        Some(Self((amount * factor) as i64))
    }
}

impl Field for Bytes {
    fn read(node: &Node) -> Result<Self, Invalid> {
        match &node.kind {
            Kind::Int(value) => i64::try_from(*value)
                .map(Self)
                .map_err(|_| Invalid::new(node, Problem::Range { text: value.to_string() })),
            Kind::Text(text) => Self::parse(text)
                .ok_or_else(|| Invalid::new(node, Problem::Size { text: text.clone() })),
            Kind::Float(value) => Err(Invalid::new(node, Problem::Size { text: float(*value) })),
            _ => Err(wrong_kind(node, "a size")),
        }
    }

    fn write(&self, _: Form) -> Value {
        Value::String(self.0.to_string())
    }

    fn is_left_out(&self, _: Form) -> bool {
        self.0 == 0
    }
}

impl Field for Mode {
    fn read(node: &Node) -> Result<Self, Invalid> {
        match &node.kind {
            Kind::Int(value) => i64::try_from(*value)
                .map(Self)
                .map_err(|_| Invalid::new(node, Problem::Range { text: value.to_string() })),
            Kind::Text(text) => i64::from_str_radix(text, 8)
                .map(Self)
                .map_err(|_| Invalid::new(node, Problem::Mode { text: text.clone() })),
            _ => Err(wrong_kind(node, "a file mode")),
        }
    }

    fn write(&self, _: Form) -> Value {
        Value::String(format!("0{:o}", self.0))
    }
}

impl Field for Count {
    fn read(node: &Node) -> Result<Self, Invalid> {
        match &node.kind {
            Kind::Text(text) if text.eq_ignore_ascii_case("all") => Ok(Self(-1)),
            Kind::Text(text) => text
                .parse()
                .map(Self)
                .map_err(|_| Invalid::new(node, Problem::Count { text: text.clone() })),
            _ => i64::read(node).map(Self),
        }
    }

    fn write(&self, _: Form) -> Value {
        Value::from(self.0)
    }

    fn is_left_out(&self, _: Form) -> bool {
        self.0 == 0
    }
}

impl Field for Command {
    fn read(node: &Node) -> Result<Self, Invalid> {
        match &node.kind {
            Kind::Text(text) => super::words::split(text)
                .map(|words| Self(Some(words)))
                .ok_or_else(|| Invalid::new(node, Problem::Words { text: text.clone() })),
            _ => Vec::read(node).map(|words| Self(Some(words))),
        }
    }

    fn write(&self, form: Form) -> Value {
        self.0.write(form)
    }

    /// JSON has `null` here, as an empty list means something else than none.
    fn is_left_out(&self, form: Form) -> bool {
        form == Form::Yaml && self.0.is_none()
    }
}

impl Field for Test {
    fn read(node: &Node) -> Result<Self, Invalid> {
        match &node.kind {
            Kind::Text(text) => Ok(Self(vec!["CMD-SHELL".into(), text.clone()])),
            _ => Vec::read(node).map(Self),
        }
    }

    fn write(&self, form: Form) -> Value {
        self.0.write(form)
    }

    fn is_left_out(&self, _: Form) -> bool {
        self.0.is_empty()
    }
}

/// What Compose takes as a boolean in quotes.
pub(crate) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "y" | "yes" | "on" => Some(true),
        "false" | "n" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A decimal number as Go reads it; Rust's names for infinity are none.
pub(crate) fn decimal(text: &str) -> Option<f64> {
    let digits = text.trim_start_matches(['+', '-']);
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    text.parse().ok()
}
