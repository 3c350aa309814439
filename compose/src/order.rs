//! The order of keys in YAML: `a2` before `a10`.

use std::cmp::Ordering;

use serde_json::Value;

/// Compares keys as Go's YAML writer does: letters after other characters, numbers by their value.
pub(crate) fn natural(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut digits = false;
    for at in 0..a.len().min(b.len()) {
        let (x, y) = (a[at], b[at]);
        if x == y {
            digits = x.is_numeric();
            continue;
        }
        match (x.is_alphabetic(), y.is_alphabetic()) {
            (true, true) => return x.cmp(&y),
            (true, false) => return if digits { Ordering::Less } else { Ordering::Greater },
            (false, true) => return if digits { Ordering::Greater } else { Ordering::Less },
            (false, false) => {}
        }
        let zero = x == '0' || y == '0';
        let before = a[..at].iter().rev().take_while(|c| c.is_ascii_digit());
        let start = u64::from(zero && before.into_iter().any(|c| *c != '0'));
        let number = |text: &[char]| {
            let digits = text[at..].iter().map_while(|c| c.to_digit(10));
            let (mut value, mut count) = (start, 0);
            for digit in digits {
                value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
                count += 1;
            }
            (value, count)
        };
        return number(&a).cmp(&number(&b)).then(x.cmp(&y));
    }
    a.len().cmp(&b.len())
}

/// A value with all its mappings in this order.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(k, v)| (k, sorted(v))).collect();
            entries.sort_by(|(a, _), (b, _)| natural(a, b));
            Value::Object(entries.into_iter().collect())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::natural;

    #[test]
    fn numbers_are_compared_by_value() {
        let mut keys = ["a10", "a2", "b", "_", "a", "A", "a02", "10", "9"];
        keys.sort_by(|a, b| natural(a, b));
        assert_eq!(keys, ["_", "9", "10", "A", "a", "a2", "a02", "a10", "b"]);
    }
}
