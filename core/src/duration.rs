//! Lengths of time as Go writes them.

/// `1m30s`, `500ms`, `0s`
pub fn show(nanoseconds: u64) -> String {
    const SECOND: u64 = 1_000_000_000;
    if nanoseconds == 0 {
        return "0s".into();
    }
    if nanoseconds < SECOND {
        let milliseconds = nanoseconds as f64 / 1e6;
        return format!("{milliseconds}ms");
    }
    let seconds = (nanoseconds % (60 * SECOND)) as f64 / 1e9;
    let minutes = nanoseconds / (60 * SECOND);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_go_has_them() {
        for (nanoseconds, text) in [
            (0, "0s"),
            (500_000_000, "500ms"),
            (30_000_000_000, "30s"),
            (1_500_000_000, "1.5s"),
            (90_000_000_000, "1m30s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(show(nanoseconds), text);
        }
    }
}
