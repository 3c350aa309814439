//! Sizes, durations and times as Docker prints them (`docker/go-units`).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use knarr_runtime::container::list::human_duration;
use std::time::Duration;

/// `12.3MB`: powers of 1000, three digits.
pub fn size(bytes: u64) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], 3)
}

/// `1.952GiB`: powers of 1024, four digits.
pub fn memory(bytes: u64) -> String {
    scaled(bytes, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], 4)
}

fn scaled(bytes: u64, base: f64, units: &[&str], digits: usize) -> String {
    let mut number = bytes as f64;
    let mut unit = 0;
    // what would round up to the next unit is written in that unit
    let limit = base - 0.5 * 10f64.powi(4 - digits as i32 - 1);
    while number >= limit && unit + 1 < units.len() {
        number /= base;
        unit += 1;
    }
    let before_point = if number >= 1000.0 {
        4
    } else if number >= 100.0 {
        3
    } else if number >= 10.0 {
        2
    } else {
        1
    };
    let mut text = format!("{number:.*}", digits.saturating_sub(before_point));
    if text.contains('.') {
        text.truncate(text.trim_end_matches('0').trim_end_matches('.').len());
    }
    text + units[unit]
}

/// `2 hours ago`; `N/A` for what was never.
pub fn ago(then: Option<Timestamp>, now: Timestamp) -> String {
    match then {
        Some(then) if then.as_second() > 0 => {
            let seconds = (now.as_second() - then.as_second()).unsigned_abs();
            format!("{} ago", human_duration(Duration::from_secs(seconds)))
        }
        _ => "N/A".into(),
    }
}

/// `2026-01-02 15:04:05 +0100 CET`
pub fn local_time(time: Timestamp) -> String {
    time.to_zoned_datetime(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S %z %Z").to_string()
}

/// Cuts to `length` characters, the last one being `…`, as Docker's listings do.
pub fn ellipsis(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(length.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_as_go_units() {
        for (bytes, text) in [
            (0, "0B"),
            (999, "999B"),
            (1000, "1kB"),
            (1234, "1.23kB"),
            (12_345_678, "12.3MB"),
            (123_456_789, "123MB"),
            (1_000_000_000, "1GB"),
            (999_999, "1MB"),
            (5_000_000, "5MB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(memory(25_208_725_504), "23.48GiB");
        assert_eq!(memory(1 << 20), "1MiB");
        assert_eq!(memory(1_072_693_248), "1023MiB");
    }

    #[test]
    fn ellipsis_counts_characters() {
        assert_eq!(ellipsis("\"sleep 1000\"", 20), "\"sleep 1000\"");
        assert_eq!(ellipsis("äöüäöü", 4), "äöü…");
    }
}
