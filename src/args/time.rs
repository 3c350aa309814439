//! Points in time as Docker takes them: RFC 3339, a date, Unix seconds, or how long ago (`1h30m`).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

pub fn parse(text: &str) -> Result<Timestamp, String> {
    let invalid = || "write a time (2026-01-02T15:04:05Z, 1767366245) or how long ago (10m, 1h30m)";
    let now = Timestamp::now();
    if let Some(ago) = duration(text) {
        return now.checked_sub(ago).map_err(|_| invalid().into());
    }
    if let Some(time) = unix(text) {
        return Ok(time);
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let local: DateTime = text.parse().map_err(|_| invalid())?;
    let zoned = local.to_zoned_datetime(TimeZone::system()).map_err(|_| invalid())?;
    Ok(zoned.timestamp())
}

/// `1767366245.123`
fn unix(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.len() <= 18 && t.bytes().all(|b| b.is_ascii_digit());
    if seconds.is_empty() || !digits(seconds) || !digits(fraction) {
        return None;
    }
    let nanoseconds = format!("{fraction:0<9}")[..9].parse().ok()?;
    Timestamp::new(seconds.parse().ok()?, nanoseconds).ok()
}

/// Go's notation: numbers with units, at least one of each.
pub fn duration(text: &str) -> Option<SignedDuration> {
    let mut rest = text;
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
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = after;
    }
    let usable = !text.is_empty() && total < 1e11;
    usable.then(|| SignedDuration::from_nanos((total * 1e9) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation() {
        let second = |text: &str| parse(text).unwrap().as_second();
        assert_eq!(second("2026-01-02T15:04:05Z"), 1_767_366_245);
        assert_eq!(second("2026-01-02T16:04:05+01:00"), 1_767_366_245);
        assert_eq!(second("1767366245"), 1_767_366_245);
        assert_eq!(parse("1767366245.5").unwrap().subsec_nanosecond(), 500_000_000);
        assert!(parse("2026-01-02T15:04:05").is_ok());
        assert!(parse("2026-01-02").is_ok());
        let ago = Timestamp::now().as_second() - second("1h30m");
        assert!((5400..5410).contains(&ago));
        for text in ["", "banana", "1x", "h", "1h2"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
