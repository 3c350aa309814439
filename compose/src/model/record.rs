//! How the types of the model are read from a tree and written out.

use std::collections::BTreeMap;

use serde_json::Value;

use super::invalid::{Invalid, Problem};
use crate::node::{Kind, Node, float};
use crate::order::{natural, sorted};

/// What `x-…` keys hold: kept as they are, in the order of their names.
pub type Extensions = BTreeMap<String, Value>;

/// In which form a model is written; Compose's two differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Without `x-…` keys below the top level.
    Json,
    /// With them.
    Yaml,
}

/// A value of the model.
pub trait Field: Sized {
    fn read(node: &Node) -> Result<Self, Invalid>;

    fn write(&self, form: Form) -> Value;

    /// Whether the key of such a value is left out.
    fn is_left_out(&self, form: Form) -> bool {
        let _ = form;
        false
    }
}

/// Defines a type of the model: its fields in the order in which Compose writes them (hashes depend on it), each with
/// the key that it has in files, and the `x-…` keys. `always` fields are written even if they hold nothing, `unwritten`
/// ones never: Compose reads these, and forgets them.
macro_rules! record {
    ($(
        $(#[$outer:meta])*
        pub struct $name:ident {
            $(
                $(#[$inner:meta])*
                pub $field:ident: $type:ty => $($always:ident)? $key:literal,
            )*
        }
    )*) => {$(
        $(#[$outer])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $(
                $(#[$inner])*
                pub $field: $type,
            )*
            /// The `x-…` keys.
            pub extensions: $crate::model::Extensions,
        }

        impl $crate::model::record::Field for $name {
            fn read(
                node: &$crate::node::Node,
            ) -> Result<Self, $crate::model::Invalid> {
                let mut record = Self::default();
                let Some(map) = node.as_map() else {
                    return match node.is_null() {
                        true => Ok(record),
                        false => Err($crate::model::record::wrong_kind(node, "a mapping")),
                    };
                };
                for (key, entry) in map.iter() {
                    match key {
                        $($key if entry.node.is_null() => {})*
                        $($key => {
                            record.$field = $crate::model::record::Field::read(&entry.node)
                                .map_err(|invalid| invalid.inside($key))?;
                        })*
                        _ if key.starts_with("x-") => {
                            let value = $crate::model::record::plain(&entry.node);
                            record.extensions.insert(key.to_owned(), value);
                        }
                        // the schema has refused what nobody knows
                        _ => {}
                    }
                }
                Ok(record)
            }

            fn write(&self, form: $crate::model::Form) -> serde_json::Value {
                let mut map = serde_json::Map::new();
                $($crate::model::record::put(
                    &mut map,
                    $key,
                    &self.$field,
                    form,
                    concat!($(stringify!($always))?),
                );)*
                if form == $crate::model::Form::Yaml {
                    map.extend($crate::model::record::inlined(&self.extensions));
                }
                serde_json::Value::Object(map)
            }

            fn is_left_out(&self, form: $crate::model::Form) -> bool {
                form == $crate::model::Form::Yaml && *self == Self::default()
            }
        }
    )*};
}
pub(crate) use record;

/// The `x-…` keys as they follow the other ones.
pub(crate) fn inlined(extensions: &Extensions) -> serde_json::Map<String, Value> {
    let all = Value::Object(extensions.iter().map(|(k, v)| (k.clone(), v.clone())).collect());
    match sorted(all) {
        Value::Object(map) => map,
        _ => serde_json::Map::new(),
    }
}

/// Writes one field of a record.
pub(crate) fn put<T: Field>(
    map: &mut serde_json::Map<String, Value>,
    key: &str,
    field: &T,
    form: Form,
    rule: &str,
) {
    let written = match rule {
        "always" => true,
        "unwritten" => false,
        _ => !field.is_left_out(form),
    };
    if written {
        map.insert(key.to_owned(), field.write(form));
    }
}

pub(crate) fn wrong_kind(node: &Node, expected: &'static str) -> Invalid {
    Invalid::new(node, Problem::Kind { expected, found: node.kind_name() })
}

/// A tree without its places, with the keys of its mappings in order.
pub fn plain(node: &Node) -> Value {
    match &node.kind {
        Kind::Null => Value::Null,
        Kind::Bool(value) => Value::Bool(*value),
        Kind::Int(value) => integer(*value),
        Kind::Float(value) => number(*value),
        Kind::Time(text) | Kind::Text(text) => Value::String(text.clone()),
        Kind::List(list) => Value::Array(list.iter().map(plain).collect()),
        Kind::Map(map) => {
            let mut entries: Vec<_> =
                map.iter().map(|(k, e)| (k.to_owned(), plain(&e.node))).collect();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(entries.into_iter().collect())
        }
    }
}

fn integer(value: i128) -> Value {
    match (i64::try_from(value), u64::try_from(value)) {
        (Ok(value), _) => Value::from(value),
        (_, Ok(value)) => Value::from(value),
        _ => Value::from(value as f64),
    }
}

/// A number; whole ones without a fraction, as Go writes them. What is none (`.inf`) is kept as text.
pub(crate) fn number(value: f64) -> Value {
    if value == value.trunc() && value.abs() < 1e15 && !(value == 0.0 && value.is_sign_negative()) {
        return Value::from(value as i64);
    }
    serde_json::Number::from_f64(value).map_or_else(|| Value::String(float(value)), Value::Number)
}

impl Field for String {
    fn read(node: &Node) -> Result<Self, Invalid> {
        match &node.kind {
            Kind::Text(text) | Kind::Time(text) => Ok(text.clone()),
            Kind::Int(value) => Ok(value.to_string()),
            _ => Err(wrong_kind(node, "a string")),
        }
    }

    fn write(&self, _: Form) -> Value {
        Value::String(self.clone())
    }

    fn is_left_out(&self, _: Form) -> bool {
        self.is_empty()
    }
}

impl Field for bool {
    fn read(node: &Node) -> Result<Self, Invalid> {
        match &node.kind {
            Kind::Bool(value) => Ok(*value),
            Kind::Text(text) => super::scalar::boolean(text)
                .ok_or_else(|| Invalid::new(node, Problem::Boolean { text: text.clone() })),
            _ => Err(wrong_kind(node, "a boolean")),
        }
    }

    fn write(&self, _: Form) -> Value {
        Value::Bool(*self)
    }

    fn is_left_out(&self, _: Form) -> bool {
        !self
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn read(node: &Node) -> Result<Self, Invalid> {
                let value = match &node.kind {
                    Kind::Int(value) => *value,
                    Kind::Float(value) if value.is_finite() => *value as i128,
                    Kind::Text(text) => text.parse().map_err(|_| {
                        Invalid::new(node, Problem::Integer { text: text.clone() })
                    })?,
                    _ => return Err(wrong_kind(node, "an integer")),
                };
                value.try_into().map_err(|_| {
                    Invalid::new(node, Problem::Range { text: value.to_string() })
                })
            }

            fn write(&self, _: Form) -> Value {
                Value::from(*self)
            }

            fn is_left_out(&self, _: Form) -> bool {
                *self == 0
            }
        }
    )*};
}
integers!(i64, u64, u32, u16);

impl Field for f32 {
    fn read(node: &Node) -> Result<Self, Invalid> {
        match &node.kind {
            Kind::Int(value) => Ok(*value as f32),
            Kind::Float(value) => Ok(*value as f32),
            Kind::Text(text) => super::scalar::decimal(text)
                .map(|value| value as f32)
                .ok_or_else(|| Invalid::new(node, Problem::Number { text: text.clone() })),
            _ => Err(wrong_kind(node, "a number")),
        }
    }

    fn write(&self, _: Form) -> Value {
        // the shortest digits of the narrow number, not those of its exact value
        number(self.to_string().parse().unwrap_or(f64::from(*self)))
    }

    fn is_left_out(&self, _: Form) -> bool {
        *self == 0.0
    }
}

impl<T: Field> Field for Option<T> {
    fn read(node: &Node) -> Result<Self, Invalid> {
        if node.is_null() { Ok(None) } else { T::read(node).map(Some) }
    }

    fn write(&self, form: Form) -> Value {
        self.as_ref().map_or(Value::Null, |value| value.write(form))
    }

    fn is_left_out(&self, _: Form) -> bool {
        self.is_none()
    }
}

impl<T: Field> Field for Vec<T> {
    fn read(node: &Node) -> Result<Self, Invalid> {
        match &node.kind {
            Kind::List(list) => list
                .iter()
                .enumerate()
                .map(|(index, item)| T::read(item).map_err(|e| e.inside(&index.to_string())))
                .collect(),
            // where a list may be one value
            Kind::Text(_) => Ok(vec![T::read(node)?]),
            _ => Err(wrong_kind(node, "a list")),
        }
    }

    fn write(&self, form: Form) -> Value {
        Value::Array(self.iter().map(|value| value.write(form)).collect())
    }

    fn is_left_out(&self, _: Form) -> bool {
        self.is_empty()
    }
}

impl<T: Field> Field for BTreeMap<String, T> {
    fn read(node: &Node) -> Result<Self, Invalid> {
        let Some(map) = node.as_map() else { return Err(wrong_kind(node, "a mapping")) };
        map.iter()
            .map(|(key, entry)| match T::read(&entry.node) {
                Ok(value) => Ok((key.to_owned(), value)),
                Err(invalid) => Err(invalid.inside(key)),
            })
            .collect()
    }

    fn write(&self, form: Form) -> Value {
        let mut entries: Vec<_> = self.iter().map(|(k, v)| (k.clone(), v.write(form))).collect();
        if form == Form::Yaml {
            entries.sort_by(|(a, _), (b, _)| natural(a, b));
        }
        Value::Object(entries.into_iter().collect())
    }

    fn is_left_out(&self, _: Form) -> bool {
        self.is_empty()
    }
}
