//! What a file says, as a tree in which every value and key knows its place.

use std::fmt;
use std::sync::Arc;

use indexmap::IndexMap;

/// Where something stands: a file, as the user named it, and the line and column in it, both from 1.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Place {
    pub file: Arc<str>,
    pub line: u32,
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    pub place: Place,
    pub kind: Kind,
}

/// The kinds of value that Compose tells apart.
#[derive(Clone, Debug)]
pub enum Kind {
    Null,
    Bool(bool),
    /// Wide enough for what YAML readers take as a 64-bit number, signed or not.
    Int(i128),
    Float(f64),
    /// A date or time that is not in quotes: Compose takes it only where any value may stand. Holds RFC 3339.
    Time(String),
    Text(String),
    List(Vec<Node>),
    Map(Map),
}

/// A mapping, in the order of the file; each key has a place of its own.
#[derive(Clone, Debug, Default)]
pub struct Map(IndexMap<String, Entry>);

/// What a key of a [`Map`] leads to.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where the key stands.
    pub key: Place,
    pub node: Node,
}

impl Node {
    pub fn new(place: Place, kind: Kind) -> Self {
        Self { place, kind }
    }

    pub fn text(place: Place, text: impl Into<String>) -> Self {
        Self::new(place, Kind::Text(text.into()))
    }

    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    pub fn as_str(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_map(&self) -> Option<&Map> {
        match &self.kind {
            Kind::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.kind {
            Kind::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_list(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::List(list) => Some(list),
            _ => None,
        }
    }

    /// What a key of this mapping leads to.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.as_map_mut()?.get_mut(key)
    }

    /// The text under a key of this mapping.
    pub fn str_at(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    /// The kind in words: `an integer`.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) => "an integer",
            Kind::Float(_) => "a number",
            Kind::Time(_) => "a date",
            Kind::Text(_) => "a string",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// A scalar as Compose writes it where it wants text: `true`, `8080`, `1e+06`; nothing for null.
    pub fn scalar(&self) -> Option<String> {
        Some(match &self.kind {
            Kind::Null => String::new(),
            Kind::Bool(value) => value.to_string(),
            Kind::Int(value) => value.to_string(),
            Kind::Float(value) => float(*value),
            Kind::Time(text) | Kind::Text(text) => text.clone(),
            Kind::List(_) | Kind::Map(_) => return None,
        })
    }

    /// The same value, whatever the places and the order of keys.
    pub fn same(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Null, Kind::Null) => true,
            (Kind::Bool(a), Kind::Bool(b)) => a == b,
            (Kind::Int(a), Kind::Int(b)) => a == b,
            (Kind::Float(a), Kind::Float(b)) => a == b,
            (Kind::Time(a), Kind::Time(b)) | (Kind::Text(a), Kind::Text(b)) => a == b,
            (Kind::List(a), Kind::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b))
            }
            (Kind::Map(a), Kind::Map(b)) => {
                a.len() == b.len()
                    && a.iter().all(|(key, entry)| b.get(key).is_some_and(|n| entry.node.same(n)))
            }
            _ => false,
        }
    }

    /// How many values there are here and below, and how many bytes of text.
    pub fn weight(&self) -> (usize, usize) {
        let (mut nodes, mut bytes) = (1, 0);
        match &self.kind {
            Kind::Text(text) | Kind::Time(text) => bytes += text.len(),
            Kind::List(list) => {
                for node in list {
                    let (more, text) = node.weight();
                    nodes += more;
                    bytes += text;
                }
            }
            Kind::Map(map) => {
                for (key, entry) in map.iter() {
                    let (more, text) = entry.node.weight();
                    nodes += more;
                    bytes += text + key.len();
                }
            }
            _ => {}
        }
        (nodes, bytes)
    }
}

impl Map {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.0.get(key).map(|entry| &entry.node)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.0.get_mut(key).map(|entry| &mut entry.node)
    }

    /// A key with its own place.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.0.get(key)
    }

    /// Sets a key, which keeps its position if it is there already.
    pub fn insert(&mut self, key: impl Into<String>, place: Place, node: Node) {
        self.0.insert(key.into(), Entry { key: place, node });
    }

    /// Sets a key that stands where its value does.
    pub fn set(&mut self, key: impl Into<String>, node: Node) {
        self.insert(key, node.place.clone(), node);
    }

    /// Removes a key, in constant time: the last one takes its position.
    pub fn remove(&mut self, key: &str) -> Option<Node> {
        self.0.swap_remove(key).map(|entry| entry.node)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.iter().map(|(key, entry)| (key.as_str(), entry))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Entry)> {
        self.0.iter_mut().map(|(key, entry)| (key.as_str(), entry))
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Entry) -> bool) {
        self.0.retain(|key, entry| keep(key, entry));
    }
}

impl IntoIterator for Map {
    type Item = (String, Entry);
    type IntoIter = indexmap::map::IntoIter<String, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// A number as Go's `%v` shows it, which is what Compose does with numbers that stand for text: the shortest digits that
/// read back as the same number, with an exponent below 1e-04 and from 1e+06 on.
pub fn float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf".into() } else { "-Inf".into() };
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0".into() } else { "0".into() };
    }
    // Rust's {:e} gives the shortest digits that read back as the same number: d.ddde±x
    let shortest = format!("{value:e}");
    let Some((digits, exponent)) = shortest.split_once('e') else { return shortest };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if !(-4..6).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{digits}e{sign}{:02}", exponent.abs());
    }
    format!("{value}")
}

#[cfg(test)]
mod tests {
    use super::float;

    #[test]
    fn numbers_are_shown_as_go_does() {
        let rows = [
            (0.5, "0.5"),
            (12.5, "12.5"),
            (1000.0, "1000"),
            (1e11, "1e+11"),
            (123456789.0, "1.23456789e+08"),
            (1e300, "1e+300"),
            (1e-7, "1e-07"),
            (0.0001, "0.0001"),
            (-0.0, "-0"),
            (100000.0, "100000"),
            (1e6, "1e+06"),
        ];
        for (number, shown) in rows {
            assert_eq!(float(number), shown);
        }
    }
}
