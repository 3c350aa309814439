//! What a scalar of YAML stands for, decided as Compose's reader decides it.

use base64::Engine;

use crate::node::Kind;

/// What a scalar without quotes stands for.
///
/// Numbers may have `_`, a sign, and a base: `0x`, `0b`, `0o`, and a bare leading `0` for octal. Only the spellings of
/// YAML 1.2 are booleans: `yes` and `on` are text.
pub(crate) fn plain(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        ".nan" | ".NaN" | ".NAN" => return Kind::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Kind::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Kind::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match text.as_bytes().first() {
        Some(b'.') => float(text).map(Kind::Float),
        Some(b'+' | b'-' | b'0'..=b'9') => time(text).map(Kind::Time).or_else(|| {
            let digits = text.replace('_', "");
            integer(&digits).map(Kind::Int).or_else(|| float(&digits).map(Kind::Float))
        }),
        _ => None,
    };
    number.unwrap_or_else(|| Kind::Text(text.to_owned()))
}

/// What a scalar with a tag of YAML's own (`!!int`) stands for; nothing if it cannot be that.
pub(crate) fn tagged(tag: &str, text: &str) -> Option<Kind> {
    match (tag, plain(text)) {
        ("str", _) => Some(Kind::Text(text.to_owned())),
        ("binary", _) => {
            let clean: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            let bytes = base64::engine::general_purpose::STANDARD.decode(clean).ok()?;
            String::from_utf8(bytes).ok().map(Kind::Text)
        }
        ("float", Kind::Int(value)) => Some(Kind::Float(value as f64)),
        ("int", kind @ Kind::Int(_))
        | ("float", kind @ Kind::Float(_))
        | ("bool", kind @ Kind::Bool(_))
        | ("null", kind @ Kind::Null)
        | ("timestamp", kind @ Kind::Time(_)) => Some(kind),
        ("int" | "float" | "bool" | "null" | "timestamp", _) => None,
        // a tag that nobody knows leaves the text
        _ => Some(Kind::Text(text.to_owned())),
    }
}

/// A whole number of at most 64 bits, with the base in front.
fn integer(text: &str) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.get(..2) {
        Some("0x") => (16, &lower[2..]),
        Some("0b") => (2, &lower[2..]),
        Some("0o") => (8, &lower[2..]),
        _ if lower.len() > 1 && lower.starts_with('0') => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let value = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let value = if negative { -value } else { value };
    (value >= i128::from(i64::MIN)).then_some(value)
}

/// `12`, `1.5`, `.5`, `1.`, `1e3`: digits with one point at most, and an exponent.
fn float(text: &str) -> Option<f64> {
    let body = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match body.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (body, None),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let well_formed = digits(whole) && digits(fraction) && whole.len() + fraction.len() > 0;
    let exponent = exponent.is_none_or(|text| {
        let text = text.strip_prefix(['+', '-']).unwrap_or(text);
        !text.is_empty() && digits(text)
    });
    if !(well_formed && exponent) {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// A date, or a date and a time, in RFC 3339; nothing if the text is neither.
fn time(text: &str) -> Option<String> {
    let (date, clock) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some((text.as_bytes()[at], &text[at + 1..]))),
        None => (text, None),
    };
    let mut parts = date.split('-');
    let year = parts.next().filter(|year| year.len() == 4)?;
    let year: u32 = number(year, 4)?;
    let (month, day) = (number(parts.next()?, 2)?, number(parts.next()?, 2)?);
    let leap = (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        1..=12 => 31,
        _ => return None,
    };
    if parts.next().is_some() || !(1..=days).contains(&day) {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    let Some((separator, clock)) = clock else { return Some(format!("{date}T00:00:00Z")) };
    let (clock, zone) = match (separator, clock.find(['Z', '+', '-'])) {
        (b' ', None) => (clock, "Z"),
        (b'T' | b't', Some(at)) => clock.split_at(at),
        _ => return None,
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.split(':');
    let mut next = |limit: u32| number(parts.next()?, 2).filter(|value| *value < limit);
    let (hour, minute, second) = (next(24)?, next(60)?, next(60)?);
    let zone_is_good = zone == "Z"
        || (zone.len() == 6
            && zone.as_bytes()[3] == b':'
            && number(&zone[1..3], 2).is_some_and(|hours| hours < 24)
            && number(&zone[4..], 2).is_some_and(|minutes| minutes < 60));
    if parts.next().is_some() || !zone_is_good || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction: String = fraction.chars().take(9).collect();
    let fraction = match fraction.trim_end_matches('0') {
        "" => String::new(),
        digits => format!(".{digits}"),
    };
    Some(format!("{date}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}"))
}

fn number(text: &str, most: usize) -> Option<u32> {
    let good = (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    good.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::plain;
    use crate::node::Kind;

    #[test]
    fn scalars_stand_for_what_compose_takes_them_for() {
        let rows = [
            ("0123", "Int(83)"),
            ("099", "Float(99.0)"),
            ("0o17", "Int(15)"),
            ("0x1F", "Int(31)"),
            ("-0b11", "Int(-3)"),
            ("1_000", "Int(1000)"),
            ("18446744073709551615", "Int(18446744073709551615)"),
            ("1.", "Float(1.0)"),
            ("1e3", "Float(1000.0)"),
            ("-0", "Int(0)"),
            ("-0.0", "Float(-0.0)"),
            ("yes", "Text(\"yes\")"),
            ("~", "Null"),
            ("True", "Bool(true)"),
            ("12:30:45", "Text(\"12:30:45\")"),
            ("2024-01-01", "Time(\"2024-01-01T00:00:00Z\")"),
            ("2024-1-2T3:4:5.600Z", "Time(\"2024-01-02T03:04:05.6Z\")"),
            ("2024-02-30", "Text(\"2024-02-30\")"),
            ("1.2.3", "Text(\"1.2.3\")"),
            ("+", "Text(\"+\")"),
            ("e", "Text(\"e\")"),
        ];
        for (text, kind) in rows {
            assert_eq!(format!("{:?}", plain(text)), kind, "{text}");
        }
        assert!(matches!(plain(".inf"), Kind::Float(value) if value.is_infinite()));
    }
}
