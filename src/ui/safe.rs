//! Text for a terminal: what came from outside (an image, an archive, a registry, a guest's name for something) must not
//! move the cursor, change colours, or show itself in another order than it has.

use std::borrow::Cow;

/// The text with everything that a terminal would obey written out (`\u001b`, as JSON has it). Line feeds and tabs stay.
pub fn safe(text: &str) -> Cow<'_, str> {
    escape(text, &['\n', '\t'])
}

/// For what is to stay in one line.
pub fn safe_line(text: &str) -> Cow<'_, str> {
    escape(text, &['\t'])
}

fn escape<'a>(text: &'a str, kept: &[char]) -> Cow<'a, str> {
    let is_obeyed = |c: char| (c.is_control() || is_direction(c)) && !kept.contains(&c);
    if !text.contains(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_obeyed(c) {
            true => safe.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// Marks that turn the direction of what follows.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_written_out() {
        for (text, shown) in [
            ("plain ünïcode ✓\n\tx", "plain ünïcode ✓\n\tx"),
            ("\u{1b}[2Jgone\r", "\\u001b[2Jgone\\u000d"),
            ("a\u{9b}31m\u{7f}\0", "a\\u009b31m\\u007f\\u0000"),
            ("\u{202e}txt.exe", "\\u202etxt.exe"),
        ] {
            assert_eq!(safe(text), shown);
        }
        assert_eq!(safe_line("a\nb"), "a\\u000ab");
        // what is JSON stays so
        let json = serde_json::to_string("\u{9b}").unwrap();
        assert_eq!(serde_json::from_str::<String>(&safe(&json)).unwrap(), "\u{9b}");
    }
}
