//! The one timestamp that goes into what we make: `SOURCE_DATE_EPOCH`, else the Unix epoch.
//!
//! The same input gives the same digest on every machine and every day
//! (<https://reproducible-builds.org/specs/source-date-epoch/>).

/// RFC 3339.
pub(crate) fn created() -> String {
    let seconds = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.trim().parse().ok());
    format(seconds.unwrap_or(0))
}

/// The same, or what time it is.
pub(crate) fn now() -> String {
    match std::env::var_os("SOURCE_DATE_EPOCH") {
        Some(_) => created(),
        None => format(jiff::Timestamp::now().as_second()),
    }
}

fn format(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_in_utc() {
        assert_eq!(format(0), "1970-01-01T00:00:00Z");
        assert_eq!(format(1_700_000_000), "2023-11-14T22:13:20Z");
        assert_eq!(format(i64::MAX), "1970-01-01T00:00:00Z");
    }
}
