//! A writer of YAML that decides about quotes as the one of Docker Compose does.

use serde_json::Value;

use crate::load::scalar;
use crate::node::{Kind, float};

/// Writes a document: two spaces a level, lists deeper than their keys.
pub(super) fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(map) if !map.is_empty() => mapping(&mut out, map, 0),
        Value::Array(list) if !list.is_empty() => sequence(&mut out, list, 0),
        other => {
            leaf(&mut out, other, 0);
            out.push('\n');
        }
    }
    out
}

/// Writes entries, the first of them where the writer stands.
fn mapping(out: &mut String, map: &serde_json::Map<String, Value>, indent: usize) {
    for (index, (key, value)) in map.iter().enumerate() {
        if index > 0 {
            spaces(out, indent);
        }
        let simple = key.len() <= 128 && !key.contains('\n');
        if !simple {
            out.push_str("? ");
        }
        out.push_str(&string(key, true));
        if !simple {
            out.push('\n');
            spaces(out, indent);
        }
        out.push(':');
        match value {
            Value::Object(map) if !map.is_empty() => {
                out.push('\n');
                spaces(out, indent + 2);
                mapping(out, map, indent + 2);
            }
            Value::Array(list) if !list.is_empty() => {
                out.push('\n');
                spaces(out, indent + 2);
                sequence(out, list, indent + 2);
            }
            other => {
                out.push(' ');
                leaf(out, other, indent);
                out.push('\n');
            }
        }
    }
}

/// Writes items, the first of them where the writer stands.
fn sequence(out: &mut String, list: &[Value], indent: usize) {
    for (index, value) in list.iter().enumerate() {
        if index > 0 {
            spaces(out, indent);
        }
        out.push_str("- ");
        match value {
            Value::Object(map) if !map.is_empty() => mapping(out, map, indent + 2),
            Value::Array(list) if !list.is_empty() => sequence(out, list, indent + 2),
            other => {
                leaf(out, other, indent);
                out.push('\n');
            }
        }
    }
}

fn spaces(out: &mut String, count: usize) {
    out.extend(std::iter::repeat_n(' ', count));
}

/// A scalar, or something empty. What has lines goes below, deeper than `indent`.
fn leaf(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(value) => out.push_str(&float(value)),
            None => out.push_str(&number.to_string()),
        },
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
        Value::String(text) => match block(text, indent + 2) {
            Some(block) => out.push_str(&block),
            None => out.push_str(&string(text, false)),
        },
    }
}

/// A text of several lines as a literal block, without the line feed at its end; nothing if it cannot be one.
fn block(text: &str, indent: usize) -> Option<String> {
    let facts = Facts::of(text);
    if !text.contains('\n') || facts.trailing_space || facts.space_break || facts.special {
        return None;
    }
    let mut out = String::from("|");
    if text.starts_with([' ', '\n']) {
        out.push('2');
    }
    if !text.ends_with('\n') {
        out.push('-');
    } else if text == "\n" || text.ends_with("\n\n") {
        out.push('+');
    }
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            spaces(&mut out, indent);
            out.push_str(line);
        }
    }
    Some(out)
}

/// A text on one line.
fn string(text: &str, is_key: bool) -> String {
    let facts = Facts::of(text);
    let reads_back =
        matches!(scalar::plain(text), Kind::Text(_)) && !is_old_boolean(text) && !is_base_60(text);
    let one_line = !text.contains('\n');
    if one_line && reads_back && facts.plain && !(text.is_empty() && is_key) {
        return text.to_owned();
    }
    if one_line && reads_back && facts.single {
        return format!("'{}'", text.replace('\'', "''"));
    }
    double(text)
}

/// What YAML 1.1 took for booleans.
fn is_old_boolean(text: &str) -> bool {
    const WORDS: [&str; 16] = [
        "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off",
        "OFF",
    ];
    WORDS.contains(&text)
}

/// What YAML 1.1 took for numbers of base 60: `12:30`.
fn is_base_60(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let Some((first, rest)) = digits.split_once(':') else { return false };
    let (rest, fraction) = rest.split_once('.').unwrap_or((rest, ""));
    let is_digit = |c: char| c.is_ascii_digit() || c == '_';
    first.starts_with(|c: char| c.is_ascii_digit())
        && first.chars().all(is_digit)
        && fraction.chars().all(is_digit)
        && rest
            .split(':')
            .all(|part| part.len() <= 2 && part.parse::<u8>().is_ok_and(|number| number < 60))
}

/// What decides how a text may be written.
struct Facts {
    plain: bool,
    single: bool,
    trailing_space: bool,
    /// A space before a line feed.
    space_break: bool,
    /// Characters that must be escaped.
    special: bool,
}

impl Facts {
    fn of(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let blank = |c: Option<&char>| c.is_none_or(|c| matches!(c, ' ' | '\t' | '\n' | '\r'));
        let mut indicator = text.starts_with("---") || text.starts_with("...");
        let (mut space_break, mut break_space, mut special, mut tab) = (false, false, false, false);
        for (at, &c) in chars.iter().enumerate() {
            let before = at.checked_sub(1).map(|at| chars[at]);
            let ends_word = blank(chars.get(at + 1));
            indicator |= match (before, c) {
                (None, '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|') => true,
                (None, '>' | '\'' | '"' | '%' | '@' | '`') => true,
                (None, '?' | ':' | '-') | (Some(_), ':') => ends_word,
                (Some(before), '#') => blank(Some(&before)),
                _ => false,
            };
            tab |= c == '\t';
            special |= c != '\t' && !is_printable(c);
            space_break |= c == '\n' && before == Some(' ');
            break_space |= c == ' ' && before == Some('\n');
        }
        let trailing_space = text.ends_with(' ');
        let edges = text.starts_with([' ', '\n']) || text.ends_with([' ', '\n']);
        let single = !(space_break || break_space || special || tab);
        let plain = single && !edges && !text.contains('\n') && !indicator;
        Self { plain, single, trailing_space, space_break, special }
    }
}

/// What stands in YAML as it is; not what is beyond the basic plane, as the writer has it, nor what turns the direction of
/// a text on a terminal.
fn is_printable(c: char) -> bool {
    if matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    {
        return false;
    }
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}')
        && c != '\u{feff}'
}

fn double(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\0' => out.push_str("\\0"),
            '\x07' => out.push_str("\\a"),
            '\x08' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\x0b' => out.push_str("\\v"),
            '\x0c' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            '\x1b' => out.push_str("\\e"),
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{85}' => out.push_str("\\N"),
            '\u{2028}' => out.push_str("\\L"),
            '\u{2029}' => out.push_str("\\P"),
            c if is_printable(c) => out.push(c),
            c if u32::from(c) <= 0xff => out.push_str(&format!("\\x{:02X}", u32::from(c))),
            c if u32::from(c) <= 0xffff => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push_str(&format!("\\U{:08X}", u32::from(c))),
        }
    }
    out.push('"');
    out
}
