//! Fields of documents that Docker has and Knarr has nothing to say in: Go's slices and maps that were never made. In JSON
//! they are `null`, in templates an empty list and an empty map.

use serde::{Serialize, Serializer};

/// The names under which whoever serializes a document can tell them from other nothings.
pub const SLICE: &str = "nil slice";
pub const MAP: &str = "nil map";
pub const OMITEMPTY: &str = "omitempty";

/// A slice that is never made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Slice;

/// A map that is never made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Map;

impl Serialize for Slice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit_struct(SLICE)
    }
}

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit_struct(MAP)
    }
}

/// Go's `omitempty`, for `serialize_with`: a field that templates have, and JSON only while there is something in it.
pub fn omitempty<T: Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_struct(OMITEMPTY, value)
}

/// A list that is `null` while it is empty; for `serialize_with`.
pub fn slice<T: Serialize, S: Serializer>(list: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    match list {
        [] => Slice.serialize(serializer),
        list => list.serialize(serializer),
    }
}

/// [`slice`] and [`omitempty`].
pub fn omitempty_slice<T: Serialize, S: Serializer>(
    list: &[T],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match list {
        [] => omitempty(&Slice, serializer),
        list => omitempty(&list, serializer),
    }
}

/// A map that is `null` while it is empty; for `serialize_with`.
pub fn map<K: Serialize, V: Serialize, S: Serializer>(
    map: &std::collections::BTreeMap<K, V>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match map.is_empty() {
        true => Map.serialize(serializer),
        false => map.serialize(serializer),
    }
}

/// [`map`] and [`omitempty`].
pub fn omitempty_map<K: Serialize, V: Serialize, S: Serializer>(
    map: &std::collections::BTreeMap<K, V>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match map.is_empty() {
        true => omitempty(&Map, serializer),
        false => omitempty(map, serializer),
    }
}
