//! The functions: Go's predefined ones and the docker CLI's.

use super::printf::printf;
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
        (Value::Struct(entries), Value::Text(key)) => {
            let found = entries.iter().find(|(name, _)| name == key);
            Ok(found.map_or(Value::Missing, |(_, value)| value.clone()))
        }
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

fn is_nil(value: &Value) -> bool {
    matches!(value, Value::Missing | Value::Omitted | Value::Nil)
}
