//! The data of a template: any `Serialize`, with Go's difference between structs and maps kept.
//!
//! A field that a struct lacks is an error, a key that a map lacks is "no value"; `serde_json::Value`
//! forgets which is which.

use knarr_core::nil;
use serde::ser::{self, Serialize, SerializeMap, SerializeSeq, Serializer};
use std::fmt;

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// What a map does not have; printed as `<no value>`.
    Missing,
    /// A field of a struct that JSON leaves out where it is empty.
    Omitted,
    Nil,
    /// A slice or a map that was never made: empty, and `null` in JSON.
    NilList,
    NilMap,
    /// The same, where it has a value all the same for templates ([`nil::omitempty`]).
    Hidden(Box<Value>),
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Value>),
    /// Sorted by key, as Go ranges over maps.
    Map(Vec<(String, Value)>),
    Struct(Vec<(String, Value)>),
    /// A method of one argument, such as `.Label "name"`; not part of the JSON form.
    Lookup(Vec<(String, String)>),
}

impl Value {
    pub fn of(data: &impl Serialize) -> Result<Self, Unsupported> {
        data.serialize(Builder)
    }

    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Go's truth: empty is false, a struct is true.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Missing | Self::Omitted | Self::Nil | Self::NilList | Self::NilMap => false,
            Self::Hidden(_) => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            Self::Map(entries) => !entries.is_empty(),
            Self::Struct(_) | Self::Lookup(_) => true,
        }
    }

    /// What it is, for error messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "no value",
            Self::Omitted | Self::Nil => "nil",
            Self::Hidden(value) => value.kind(),
            Self::Bool(_) => "a bool",
            Self::Int(_) => "a number",
            Self::Float(_) => "a float",
            Self::Text(_) => "a string",
            Self::List(_) | Self::NilList => "a list",
            Self::Map(_) | Self::NilMap => "a map",
            Self::Struct(_) => "an object",
            Self::Lookup(_) => "a method",
        }
    }
}

/// `%v` of Go's fmt.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("<no value>"),
            Self::Omitted => Ok(()),
            Self::Nil => f.write_str("<nil>"),
            Self::NilList => f.write_str("[]"),
            Self::NilMap => f.write_str("map[]"),
            Self::Hidden(value) => value.fmt(f),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value}"),
            Self::Text(text) => f.write_str(text),
            Self::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { " " })?;
                }
                f.write_str("]")
            }
            Self::Map(entries) => {
                f.write_str("map[")?;
                for (i, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key}:{value}", if i == 0 { "" } else { " " })?;
                }
                f.write_str("]")
            }
            Self::Struct(fields) => {
                f.write_str("{")?;
                for (i, (_, value)) in fields.iter().enumerate() {
                    write!(f, "{}{value}", if i == 0 { "" } else { " " })?;
                }
                f.write_str("}")
            }
            Self::Lookup(_) => f.write_str("<method>"),
        }
    }
}

/// As JSON.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Missing
            | Self::Omitted
            | Self::Nil
            | Self::NilList
            | Self::NilMap
            | Self::Lookup(_) => serializer.serialize_unit(),
            Self::Hidden(value) => value.serialize(serializer),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Float(value) => serializer.serialize_f64(*value),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(items) => serializer.collect_seq(items),
            Self::Map(entries) | Self::Struct(entries) => serializer.collect_map(
                entries
                    .iter()
                    .filter(|(_, v)| {
                        !matches!(v, Self::Lookup(_) | Self::Omitted | Self::Hidden(_))
                    })
                    .map(|(k, v)| (k, v)),
            ),
        }
    }
}

/// A type that has no meaning in a template.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unsupported(String);

impl ser::Error for Unsupported {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Builds a [`Value`] from what serde says.
struct Builder;

/// A list, map or struct under construction.
struct Compound {
    variant: Option<&'static str>,
    is_struct: bool,
    items: Vec<Value>,
    keys: Vec<String>,
}

impl Compound {
    fn new(is_struct: bool) -> Result<Self, Unsupported> {
        Ok(Self { variant: None, is_struct, items: Vec::new(), keys: Vec::new() })
    }

    fn push(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Unsupported> {
        self.items.push(value.serialize(Builder)?);
        Ok(())
    }

    fn field(&mut self, key: &str, value: &(impl Serialize + ?Sized)) -> Result<(), Unsupported> {
        self.keys.push(key.to_owned());
        self.push(value)
    }

    fn list(self) -> Result<Value, Unsupported> {
        let variant = self.variant;
        Ok(in_variant(variant, Value::List(self.items)))
    }

    fn entries(self) -> Result<Value, Unsupported> {
        let mut entries: Vec<_> = self.keys.into_iter().zip(self.items).collect();
        if self.is_struct {
            return Ok(in_variant(self.variant, Value::Struct(entries)));
        }
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Value::Map(entries))
    }
}

fn in_variant(variant: Option<&'static str>, value: Value) -> Value {
    match variant {
        Some(name) => Value::Struct(vec![(name.to_owned(), value)]),
        None => value,
    }
}

macro_rules! integers {
    ($($name:ident: $type:ty),*) => {
        $(fn $name(self, v: $type) -> Result<Value, Unsupported> {
            // beyond 2^63 only "unlimited" occurs
            Ok(Value::Int(i64::try_from(v).unwrap_or(i64::MAX)))
        })*
    };
}

impl Serializer for Builder {
    type Ok = Value;
    type Error = Unsupported;
    type SerializeSeq = Compound;
    type SerializeTuple = Compound;
    type SerializeTupleStruct = Compound;
    type SerializeTupleVariant = Compound;
    type SerializeMap = Compound;
    type SerializeStruct = Compound;
    type SerializeStructVariant = Compound;

    integers!(serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
              serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64);

    fn serialize_bool(self, v: bool) -> Result<Value, Unsupported> {
        Ok(Value::Bool(v))
    }
    fn serialize_f32(self, v: f32) -> Result<Value, Unsupported> {
        Ok(Value::Float(v.into()))
    }
    fn serialize_f64(self, v: f64) -> Result<Value, Unsupported> {
        Ok(Value::Float(v))
    }
    fn serialize_char(self, v: char) -> Result<Value, Unsupported> {
        Ok(Value::text(v))
    }
    fn serialize_str(self, v: &str) -> Result<Value, Unsupported> {
        Ok(Value::text(v))
    }
    fn serialize_bytes(self, v: &[u8]) -> Result<Value, Unsupported> {
        Ok(Value::text(String::from_utf8_lossy(v)))
    }
    fn serialize_none(self) -> Result<Value, Unsupported> {
        Ok(Value::Nil)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, v: &T) -> Result<Value, Unsupported> {
        v.serialize(self)
    }
    fn serialize_unit(self) -> Result<Value, Unsupported> {
        Ok(Value::Nil)
    }
    fn serialize_unit_struct(self, name: &'static str) -> Result<Value, Unsupported> {
        Ok(match name {
            nil::SLICE => Value::NilList,
            nil::MAP => Value::NilMap,
            _ => Value::Struct(Vec::new()),
        })
    }
    fn serialize_unit_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
    ) -> Result<Value, Unsupported> {
        Ok(Value::text(variant))
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        v: &T,
    ) -> Result<Value, Unsupported> {
        let value = v.serialize(self)?;
        Ok(match name == nil::OMITEMPTY && !value.is_true() {
            true => Value::Hidden(value.into()),
            false => value,
        })
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        v: &T,
    ) -> Result<Value, Unsupported> {
        Ok(in_variant(Some(variant), v.serialize(self)?))
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Compound, Unsupported> {
        Compound::new(false)
    }
    fn serialize_tuple(self, _: usize) -> Result<Compound, Unsupported> {
        Compound::new(false)
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Compound, Unsupported> {
        Compound::new(false)
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound, Unsupported> {
        Ok(Compound { variant: Some(variant), ..Compound::new(false)? })
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Compound, Unsupported> {
        Compound::new(false)
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound, Unsupported> {
        Compound::new(true)
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Compound, Unsupported> {
        Ok(Compound { variant: Some(variant), ..Compound::new(true)? })
    }
}

impl SerializeSeq for Compound {
    type Ok = Value;
    type Error = Unsupported;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, v: &T) -> Result<(), Unsupported> {
        self.push(v)
    }
    fn end(self) -> Result<Value, Unsupported> {
        self.list()
    }
}

impl SerializeMap for Compound {
    type Ok = Value;
    type Error = Unsupported;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unsupported> {
        self.keys.push(key.serialize(Builder)?.to_string());
        Ok(())
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, v: &T) -> Result<(), Unsupported> {
        self.push(v)
    }
    fn end(self) -> Result<Value, Unsupported> {
        self.entries()
    }
}

impl ser::SerializeTuple for Compound {
    type Ok = Value;
    type Error = Unsupported;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, v: &T) -> Result<(), Unsupported> {
        self.push(v)
    }
    fn end(self) -> Result<Value, Unsupported> {
        self.list()
    }
}

macro_rules! tuples_and_structs {
    ($($tuple:ident),*; $($fields:ident),*) => {
        $(impl ser::$tuple for Compound {
            type Ok = Value;
            type Error = Unsupported;
            fn serialize_field<T: Serialize + ?Sized>(&mut self, v: &T) -> Result<(), Unsupported> {
                self.push(v)
            }
            fn end(self) -> Result<Value, Unsupported> {
                self.list()
            }
        })*
        $(impl ser::$fields for Compound {
            type Ok = Value;
            type Error = Unsupported;
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                key: &'static str,
                v: &T,
            ) -> Result<(), Unsupported> {
                self.field(key, v)
            }
            fn skip_field(&mut self, key: &'static str) -> Result<(), Unsupported> {
                self.keys.push(key.to_owned());
                self.items.push(Value::Omitted);
                Ok(())
            }
            fn end(self) -> Result<Value, Unsupported> {
                self.entries()
            }
        })*
    };
}

tuples_and_structs!(SerializeTupleStruct, SerializeTupleVariant; SerializeStruct, SerializeStructVariant);
