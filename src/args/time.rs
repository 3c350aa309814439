//! Points in time as Docker takes them: RFC 3339 and parts of it, Unix seconds, or how long ago (`1h30m`).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// As Docker takes it: an empty text is no limit.
pub fn since(text: &str) -> Result<Timestamp, String> {
    if text.is_empty() { Ok(Timestamp::MIN) } else { parse(text) }
}

/// [`since`] for the other end.
pub fn until(text: &str) -> Result<Timestamp, String> {
    if text.is_empty() { Ok(Timestamp::MAX) } else { parse(text) }
}

pub fn parse(text: &str) -> Result<Timestamp, String> {
    let invalid = || "write a time (2026-01-02T15:04:05Z, 1767366245) or how long ago (10m, 1h30m)";
    let now = Timestamp::now();
    if let Some(ago) = duration(text) {
        return now.checked_sub(ago).map_err(|_| invalid().into());
    }
    if let Some(time) = unix(text) {
        return Ok(time);
    }
    calendar(text).ok_or_else(|| invalid().into())
}

/// A date, perhaps with hours, minutes, seconds and fractions of these, each only with the one before it, and perhaps with
/// a zone; else it is this machine's.
fn calendar(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked("2026-01-02".len())?;
    let is_zone = |c: char| matches!(c, 'z' | 'Z' | '+' | '-');
    let (clock, zone) = rest.split_at(rest.find(is_zone).unwrap_or(rest.len()));
    let clock = match clock.strip_prefix(['T', 't']) {
        Some(clock) => clock,
        None if clock.is_empty() => "00",
        None => return None,
    };
    let missing = [":00:00", ":00", ""].get(clock.matches(':').count())?;
    let time: DateTime = format!("{date}T{clock}{missing}").parse().ok()?;
    match zone {
        "" => Some(time.to_zoned_datetime(TimeZone::system()).ok()?.timestamp()),
        "z" | "Z" => Some(time.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp()),
        zone => format!("{time}{zone}").parse().ok(),
    }
}

/// `1767366245.123`
fn unix(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (sign, digits_of) = match seconds.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, seconds),
    };
    let digits = |t: &str| t.len() <= 18 && t.bytes().all(|b| b.is_ascii_digit());
    if digits_of.is_empty() || !digits(digits_of) || !digits(fraction) {
        return None;
    }
    let nanoseconds: i32 = format!("{fraction:0<9}")[..9].parse().ok()?;
    let seconds: i64 = digits_of.parse().ok()?;
    Timestamp::new(sign * seconds, i32::try_from(sign).ok()? * nanoseconds).ok()
}

/// Go's notation: numbers with units, at least one of each, and perhaps a sign.
pub fn duration(text: &str) -> Option<SignedDuration> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1.0, &text[1..]),
        b'+' => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let mut rest = digits;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = after;
    }
    let usable = !digits.is_empty() && total < 1e11;
    usable.then(|| SignedDuration::from_secs_f64(sign * total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation() {
        for (text, second) in [
            ("2026-01-02T15:04:05Z", 1_767_366_245),
            ("2026-01-02T15:04:05z", 1_767_366_245),
            ("2026-01-02T16:04:05+01:00", 1_767_366_245),
            ("2026-01-02T10:04:05-05:00", 1_767_366_245),
            ("1767366245", 1_767_366_245),
            ("2026-01-02T15:04Z", 1_767_366_240),
            ("2026-01-02T15:04+00:00", 1_767_366_240),
            ("2026-01-02T15Z", 1_767_366_000),
            ("2026-01-02T16+01:00", 1_767_366_000),
            ("2026-01-02Z", 1_767_312_000),
            ("2026-01-02+01:00", 1_767_308_400),
            ("2026-01-02-05:00", 1_767_330_000),
            ("2026-01-02T15:04:05.9Z", 1_767_366_245),
            ("0", 0),
        ] {
            assert_eq!(parse(text).map(|time| time.as_second()), Ok(second), "{text}");
        }
        assert_eq!(parse("1767366245.5").unwrap().subsec_nanosecond(), 500_000_000);
        assert_eq!(parse("2026-01-02T15:04:05.25Z").unwrap().subsec_nanosecond(), 250_000_000);
        for local in ["2026-01-02T15:04:05.5", "2026-01-02T15:04:05", "2026-01-02T15:04"] {
            assert!(parse(local).is_ok(), "{local}");
        }
        for local in ["2026-01-02T15", "2026-01-02"] {
            assert!(parse(local).is_ok(), "{local}");
        }
        for (text, seconds) in [("1h30m", 5400), ("+10m", 600), ("-10m", -600), ("1.5h", 5400)] {
            let ago = Timestamp::now().as_second() - parse(text).unwrap().as_second();
            assert!((seconds - 1..seconds + 10).contains(&ago), "{text}");
        }
        for text in [
            "",
            "banana",
            "1x",
            "h",
            "1h2",
            "2026-01",
            "2026-01-02X",
            "2026-01-02T",
            "2026-13-02Z",
            "2026-01-02T15:04:05:06Z",
            "ééééééé",
            "-",
            "+",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
