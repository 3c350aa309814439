//! `HEALTHCHECK`, and how Go writes durations.

use super::super::ast::{Command, HealthOptions, Healthcheck};
use super::super::error::{Problem, Result};
use super::super::tree::Arguments;
use super::flags::Flags;
use super::{Reader, command_of};
use std::time::Duration;

const DURATION: &str = "a duration such as 30s, 1m30s or 500ms";

pub fn healthcheck(reader: &Reader<'_>) -> Result<Healthcheck> {
    const KNOWN: &[&str] = &["interval", "timeout", "start-period", "start-interval", "retries"];
    let flags = reader.flags("HEALTHCHECK", KNOWN)?;
    let Arguments::Kind(kind, arguments) = &reader.node.arguments else {
        return reader.fail(reader.all(), Problem::NoArgument { keyword: "HEALTHCHECK" });
    };
    if kind.eq_ignore_ascii_case("NONE") {
        return match &**arguments {
            Arguments::None => Ok(Healthcheck::None),
            Arguments::Text(word) => reader.fail(word.span, Problem::HealthcheckNone),
            _ => reader.fail(reader.all(), Problem::HealthcheckNone),
        };
    }
    if !kind.eq_ignore_ascii_case("CMD") {
        let kind_text = kind.value.clone();
        return reader.fail(kind.span, Problem::HealthcheckKind { kind: kind_text });
    }
    let command = command_of(arguments);
    if command == Command::Shell(String::new()) || command == Command::Exec(Vec::new()) {
        return reader.fail(reader.all(), Problem::HealthcheckCommand);
    }
    let options = HealthOptions {
        interval: duration(reader, &flags, "interval")?,
        timeout: duration(reader, &flags, "timeout")?,
        start_period: duration(reader, &flags, "start-period")?,
        start_interval: duration(reader, &flags, "start-interval")?,
        retries: retries(reader, &flags)?,
    };
    Ok(Healthcheck::Command { command, options })
}

fn retries(reader: &Reader<'_>, flags: &Flags<'_>) -> Result<Option<u32>> {
    let Some(text) = flags.text("retries")? else { return Ok(None) };
    match text.parse::<i32>().ok().and_then(|number| u32::try_from(number).ok()) {
        Some(number) => Ok(Some(number)),
        None => {
            let (option, value) = ("--retries".into(), text.value.clone());
            reader.fail(text.span, Problem::Value { option, value, expected: "a number from 0" })
        }
    }
}

fn duration(reader: &Reader<'_>, flags: &Flags<'_>, name: &str) -> Result<Option<Duration>> {
    let Some(text) = flags.text(name)? else { return Ok(None) };
    match parse_duration(&text) {
        // Docker's API takes none between
        Some(duration) if duration.is_zero() || duration >= Duration::from_millis(1) => {
            Ok(Some(duration))
        }
        found => {
            let expected = if found.is_some() { "a duration of 1ms or more" } else { DURATION };
            let (option, value) = (format!("--{name}"), text.value.clone());
            reader.fail(text.span, Problem::Value { option, value, expected })
        }
    }
}

/// Reads what Go's `time.ParseDuration` reads, but for negative durations: `1h2m3.5s`, `.5s`, `0`.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u128 = 0;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (whole, fraction) = rest[..number].split_once('.').unwrap_or((&rest[..number], ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        let after = &rest[number..];
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let nanoseconds: u128 = match &after[..unit] {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60 * 1_000_000_000,
            "h" => 3600 * 1_000_000_000,
            _ => return None,
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total += u128::from(whole) * nanoseconds;
        // beyond the eighteenth digit nothing can matter
        let fraction = &fraction[..fraction.len().min(18)];
        if !fraction.is_empty() {
            let digits: u128 = fraction.parse().ok()?;
            total += digits * nanoseconds / 10u128.pow(fraction.len() as u32);
        }
        rest = &after[unit..];
    }
    // Go counts nanoseconds in 63 bits
    i64::try_from(total).ok().map(|total| Duration::from_nanos(total.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::parse_duration;
    use std::time::Duration;

    #[test]
    fn durations_are_read_as_go_does() {
        let nanoseconds = |text| parse_duration(text).map(|duration| duration.as_nanos());
        assert_eq!(nanoseconds("0"), Some(0));
        assert_eq!(nanoseconds("5s"), Some(5_000_000_000));
        assert_eq!(nanoseconds("1h2m3.5s"), Some(3_723_500_000_000));
        assert_eq!(nanoseconds(".5ms"), Some(500_000));
        assert_eq!(nanoseconds("1.s"), Some(1_000_000_000));
        assert_eq!(nanoseconds("+3us"), Some(3_000));
        assert_eq!(nanoseconds("3µs"), Some(3_000));
        assert_eq!(nanoseconds("0.000000000000000000000001s"), Some(0));
        assert_eq!(parse_duration("9223372036s"), Some(Duration::from_secs(9_223_372_036)));
        for bad in ["", "5", "s", ".s", "-1s", "1x", "1.2.3s", "9223372037s", "1 s", "１s"] {
            assert_eq!(parse_duration(bad), None, "{bad}");
        }
    }
}
