//! The mode of a file, as options spell it.

/// Reads an octal number up to `7777`: `755`, `0755`, `0o755`.
pub fn parse_mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").or_else(|| text.strip_prefix("0O")).unwrap_or(text);
    // a sign is nothing that a mode has
    let digits = Some(digits).filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit()))?;
    u32::from_str_radix(digits, 8).ok().filter(|mode| *mode <= 0o7777)
}

#[cfg(test)]
mod tests {
    use super::parse_mode;

    #[test]
    fn octal_in_three_spellings() {
        for text in ["755", "0755", "00755", "0o755", "0O755", "0o0755"] {
            assert_eq!(parse_mode(text), Some(0o755), "{text}");
        }
        for text in
            ["", "0o", "o755", "0x1ed", "0b111", "+755", "0o+755", "-1", "7_5_5", "8", "10000"]
        {
            assert_eq!(parse_mode(text), None, "{text}");
        }
    }
}
