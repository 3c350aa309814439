//! Fields of documents that Docker has and Knarr has nothing to say in: Go's slices and maps that were never made. In JSON
//! they are `null`, in templates an empty list and an empty map.

use serde::{Serialize, Serializer};

/// The names under which whoever serializes a document can tell them from other nothings.
pub const SLICE: &str = "nil slice";
pub const MAP: &str = "nil map";

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

/// A list that is `null` while it is empty; for `serialize_with`.
pub fn slice<T: Serialize, S: Serializer>(list: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    match list {
        [] => Slice.serialize(serializer),
        list => list.serialize(serializer),
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
