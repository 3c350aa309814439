//! The functions: Go's predefined ones and the docker CLI's.

use super::{Error, Value};
use std::cmp::Ordering;

pub const NAMES: &[&str] = &[
    "and", "eq", "ge", "gt", "html", "index", "join", "js", "json", "le", "len", "lower", "lt",
    "ne", "not", "or", "pad", "print", "printf", "println", "slice", "split", "title", "truncate",
    "upper", "urlquery",
];

/// Functions of one text that a table's heading must not go through.
pub const CHANGE_TEXT: &[&str] =
    &["json", "join", "lower", "pad", "split", "title", "truncate", "upper"];

pub fn exists(name: &str) -> bool {
    NAMES.contains(&name)
}

pub fn call(name: &str, arguments: &[Value]) -> Result<Value, Error> {
    let fail = |message: String| Error::Call { function: name.to_owned(), message };
    let mismatch = || {
        let given: Vec<_> = arguments.iter().map(Value::kind).collect();
        let given = if given.is_empty() { "nothing".into() } else { given.join(", ") };
        fail(format!("it cannot be called with {given}"))
    };
    Ok(match (name, arguments) {
        ("not", [value]) => Value::Bool(!value.is_true()),
        ("len", [value]) => Value::Int(length(value).ok_or_else(mismatch)? as i64),
        ("index", [value, keys @ ..]) => {
            keys.iter().try_fold(value.clone(), |value, key| index(&value, key)).map_err(fail)?
        }
        ("slice", [value, bounds @ ..]) if bounds.len() <= 2 => {
            slice(value, bounds).ok_or_else(mismatch)?
        }
        ("eq", [first, others @ ..]) if !others.is_empty() => {
            let mut equal = false;
            for other in others {
                equal |= compare(first, other).ok_or_else(mismatch)? == Ordering::Equal;
            }
            Value::Bool(equal)
        }
        ("ne", [a, b]) => Value::Bool(compare(a, b).ok_or_else(mismatch)? != Ordering::Equal),
        ("lt", [a, b]) => Value::Bool(order(a, b).ok_or_else(mismatch)?.is_lt()),
        ("le", [a, b]) => Value::Bool(order(a, b).ok_or_else(mismatch)?.is_le()),
        ("gt", [a, b]) => Value::Bool(order(a, b).ok_or_else(mismatch)?.is_gt()),
        ("ge", [a, b]) => Value::Bool(order(a, b).ok_or_else(mismatch)?.is_ge()),
        ("print", values) => Value::Text(print(values)),
        ("println", values) => {
            let words: Vec<_> = values.iter().map(Value::to_string).collect();
            Value::Text(words.join(" ") + "\n")
        }
        ("printf", [Value::Text(format), values @ ..]) => Value::Text(printf(format, values)),
        ("json", [value]) => {
            Value::Text(serde_json::to_string(value).map_err(|e| fail(e.to_string()))?)
        }
        ("join", [Value::List(items), Value::Text(separator)]) => {
            let items: Vec<_> = items.iter().map(Value::to_string).collect();
            Value::Text(items.join(separator))
        }
        (
            "join",
            [Value::Nil | Value::NilList | Value::Missing | Value::Omitted, Value::Text(_)],
        ) => Value::text(""),
        ("html", values) => Value::Text(html(&print(values))),
        ("js", values) => Value::Text(js(&print(values))),
        ("urlquery", values) => Value::Text(urlquery(&print(values))),
        ("split", [Value::Text(text), Value::Text(separator)]) => {
            let parts: Vec<_> = if separator.is_empty() {
                text.chars().map(Value::text).collect()
            } else {
                text.split(separator.as_str()).map(Value::text).collect()
            };
            Value::List(parts)
        }
        ("lower", [Value::Text(text)]) => Value::Text(text.to_lowercase()),
        ("upper", [Value::Text(text)]) => Value::Text(text.to_uppercase()),
        ("title", [Value::Text(text)]) => Value::Text(title(text)),
        ("pad", [Value::Text(text), Value::Int(before), Value::Int(after)]) => {
            // Docker leaves an empty text alone
            let spaces =
                |n: i64| " ".repeat(if text.is_empty() { 0 } else { n.clamp(0, 4096) } as usize);
            Value::Text(format!("{}{text}{}", spaces(*before), spaces(*after)))
        }
        ("truncate", [Value::Text(text), Value::Int(length)]) => {
            Value::Text(text.chars().take(usize::try_from(*length).unwrap_or(0)).collect())
        }
        _ => return Err(mismatch()),
    })
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::Text(text) => Some(text.len()),
        Value::NilList | Value::NilMap => Some(0),
        Value::List(items) => Some(items.len()),
        Value::Map(entries) => Some(entries.len()),
        _ => None,
    }
}

fn index(value: &Value, key: &Value) -> Result<Value, String> {
    match (value, key) {
        (Value::List(items), Value::Int(at)) => usize::try_from(*at)
            .ok()
            .and_then(|at| items.get(at).cloned())
            .ok_or_else(|| format!("index out of range: {at}")),
        (Value::Map(entries), Value::Text(key)) => {
            let found = entries.iter().find(|(k, _)| k == key);
            // Go gives the zero value of the map's type: for text it is empty, else nil
            let of_text = entries.iter().all(|(_, v)| matches!(v, Value::Text(_)));
            let zero = if of_text { Value::text("") } else { Value::Missing };
            Ok(found.map_or(zero, |(_, v)| v.clone()))
        }
        (Value::NilMap, Value::Text(_)) => Ok(Value::Missing),
        (Value::NilList, Value::Int(at)) => Err(format!("index out of range: {at}")),
        (Value::Missing | Value::Omitted | Value::Nil, _) => Err("index of nil".into()),
        (value, key) => Err(format!("cannot index {} with {}", value.kind(), key.kind())),
    }
}

fn slice(value: &Value, bounds: &[Value]) -> Option<Value> {
    let length = length(value)?;
    let bound = |at: usize, default: usize| match bounds.get(at) {
        Some(Value::Int(n)) => usize::try_from(*n).ok().filter(|n| *n <= length),
        Some(_) => None,
        None => Some(default),
    };
    let (from, to) = (bound(0, 0)?, bound(1, length)?);
    match value {
        Value::Text(text) => Some(Value::text(text.get(from..to)?)),
        Value::NilList => Some(Value::NilList),
        Value::List(items) => Some(Value::List(items.get(from..to)?.to_vec())),
        _ => None,
    }
}

/// Equality as an ordering, where the two are comparable.
fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (a, b) if is_nil(a) && is_nil(b) => Some(Ordering::Equal),
        (a, _) if is_nil(a) => Some(Ordering::Less),
        (_, b) if is_nil(b) => Some(Ordering::Greater),
        _ => order(a, b),
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Some(a.cmp(b)),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
        (Value::Int(a), Value::Float(b)) => (*a as f64).partial_cmp(b),
        (Value::Float(a), Value::Int(b)) => a.partial_cmp(&(*b as f64)),
        (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Go's Sprint: a space between two operands when neither is a string.
fn print(values: &[Value]) -> String {
    let mut out = String::new();
    for (i, value) in values.iter().enumerate() {
        let is_text = |v: &Value| matches!(v, Value::Text(_));
        if i > 0 && !is_text(value) && !is_text(&values[i - 1]) {
            out.push(' ');
        }
        out.push_str(&value.to_string());
    }
    out
}

/// Go's `HTMLEscapeString`.
fn html(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Go's `JSEscapeString`.
fn js(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' | '\0'..='\x1f' => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out
}

/// Go's `url.QueryEscape`.
fn urlquery(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

fn title(text: &str) -> String {
    let mut starts = true;
    let mut out = String::new();
    for c in text.chars() {
        if starts {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        starts = !(c.is_alphanumeric() || c == '_' || c == '\'');
    }
    out
}

/// Go's Sprintf with the verbs `v T s d q t x X o b f e g c %`, and flags, width and precision.
fn printf(format: &str, values: &[Value]) -> String {
    let mut out = String::new();
    let mut values = values.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = String::new();
        while let Some(c) = chars.next_if(|c| "+-# 0123456789.".contains(*c)) {
            spec.push(c);
        }
        match chars.next() {
            Some('%') => out.push('%'),
            None => out.push_str("%!(NOVERB)"),
            Some(verb) => match values.next() {
                Some(value) => out.push_str(&pad(&spec, verb, value)),
                None => out.push_str(&format!("%!{verb}(MISSING)")),
            },
        }
    }
    let extra: Vec<_> = values.map(|v| format!("{}={v}", go_type(v))).collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

fn pad(spec: &str, verb: char, value: &Value) -> String {
    let digits = spec.trim_start_matches(['+', '-', '#', ' ', '0']);
    let flags = &spec[..spec.len() - digits.len()];
    let (width, precision) = match digits.split_once('.') {
        Some((width, precision)) => (width, Some(precision.parse().unwrap_or(0).min(4096))),
        None => (digits, None),
    };
    let width = width.parse().unwrap_or(0).min(4096);
    let text = verb_text(verb, value, precision);
    let signed = flags.contains('+') && matches!(value, Value::Int(0..)) && verb == 'd';
    let text = if signed { format!("+{text}") } else { text };
    let is_number = matches!(value, Value::Int(_) | Value::Float(_));
    if flags.contains('-') {
        format!("{text:<width$}")
    } else if flags.contains('0') && is_number {
        let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |d| ("-", d));
        format!("{sign}{digits:0>width$}", width = width.saturating_sub(sign.len()))
    } else {
        format!("{text:>width$}")
    }
}

fn verb_text(verb: char, value: &Value, precision: Option<usize>) -> String {
    match (verb, value) {
        ('v' | 's', Value::Text(text)) => {
            text.chars().take(precision.unwrap_or(usize::MAX)).collect()
        }
        ('q', Value::Text(text)) => format!("{text:?}"),
        ('x', Value::Text(text)) => text.bytes().map(|b| format!("{b:02x}")).collect(),
        ('v' | 'd', Value::Int(n)) => n.to_string(),
        ('x', Value::Int(n)) => format!("{n:x}"),
        ('X', Value::Int(n)) => format!("{n:X}"),
        ('o', Value::Int(n)) => format!("{n:o}"),
        ('b', Value::Int(n)) => format!("{n:b}"),
        ('T', value) => go_type(value).to_owned(),
        ('c', Value::Int(n)) => {
            u32::try_from(*n).ok().and_then(char::from_u32).unwrap_or('\u{fffd}').to_string()
        }
        ('f', Value::Float(n)) => format!("{n:.*}", precision.unwrap_or(6)),
        ('e', Value::Float(n)) => format!("{n:e}"),
        ('v' | 'g', Value::Float(n)) => n.to_string(),
        ('t', Value::Bool(value)) => value.to_string(),
        ('s' | 'd' | 'q', Value::NilList) => "[]".to_owned(),
        ('s' | 'd' | 'q', Value::List(items)) => {
            let items: Vec<_> = items.iter().map(|v| verb_text(verb, v, precision)).collect();
            format!("[{}]", items.join(" "))
        }
        ('v', value) | ('s', value @ (Value::Map(_) | Value::Struct(_))) => value.to_string(),
        (verb, value) => format!("%!{verb}({}={value})", go_type(value)),
    }
}

fn is_nil(value: &Value) -> bool {
    matches!(value, Value::Missing | Value::Omitted | Value::Nil)
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Missing | Value::Omitted | Value::Nil => "<nil>",
        Value::Hidden(value) => go_type(value),
        Value::Bool(_) => "bool",
        Value::Int(_) => "int",
        Value::Float(_) => "float64",
        Value::Text(_) => "string",
        Value::List(_) | Value::NilList => "[]interface {}",
        Value::NilMap | Value::Map(_) | Value::Struct(_) => "map[string]interface {}",
        Value::Lookup(_) => "func",
    }
}
