//! The words in which the schema is written.

use crate::node::{Kind, Node};

/// What a value may be.
pub(super) enum Shape {
    Kinds(Kinds),
    /// As [`Shape::Kinds`], and whole numbers from the one to the other.
    Range(Kinds, i64, Option<i64>),
    /// One of these texts.
    Words(&'static [&'static str]),
    /// A text of this form, with a name for what it is.
    Form(fn(&str) -> bool, &'static str),
    /// A list of such items; `true` if none may be there twice.
    List(&'static Shape, bool),
    Map(&'static Object),
    /// The first of these that takes values of the kind.
    Either(&'static [Shape]),
}

/// A mapping.
pub(super) struct Object {
    pub keys: &'static [(&'static str, Shape)],
    pub others: Others,
    pub required: &'static [&'static str],
    /// Whether there may be `x-…` keys.
    pub extensible: bool,
}

/// The keys of a mapping that its author names.
pub(super) enum Others {
    Refused,
    Free,
    /// Those of this form; others are refused.
    Named(fn(&str) -> bool, &'static Shape),
    /// Those of this form; others may hold anything.
    Loose(fn(&str) -> bool, &'static Shape),
}

/// A set of kinds of scalar.
#[derive(Clone, Copy)]
pub(super) struct Kinds(u8);

pub(super) const NULL: Kinds = Kinds(1);
pub(super) const BOOL: Kinds = Kinds(2);
pub(super) const INT: Kinds = Kinds(4);
/// Whole numbers as well.
pub(super) const NUMBER: Kinds = Kinds(4 | 8);
pub(super) const TEXT: Kinds = Kinds(16);

impl Kinds {
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub fn have(self, node: &Node) -> bool {
        let bit = match &node.kind {
            Kind::Null => 1,
            Kind::Bool(_) => 2,
            Kind::Int(_) => 4,
            Kind::Float(value) if value.fract() == 0.0 => 4 | 8,
            Kind::Float(_) => 8,
            Kind::Text(_) => 16,
            Kind::Time(_) | Kind::List(_) | Kind::Map(_) => 0,
        };
        self.0 & bit != 0
    }

    fn words(self, words: &mut Vec<&'static str>) {
        let number = if self.0 & 8 != 0 { "a number" } else { "an integer" };
        for (bit, word) in [(1, "null"), (2, "a boolean"), (4, number), (16, "a string")] {
            if self.0 & bit != 0 {
                words.push(word);
            }
        }
    }
}

impl Shape {
    /// Whether values of this kind may be of this shape.
    pub fn fits(&self, node: &Node) -> bool {
        match self {
            Self::Kinds(kinds) | Self::Range(kinds, ..) => kinds.have(node),
            Self::Words(_) | Self::Form(..) => node.as_str().is_some(),
            Self::List(..) => node.as_list().is_some(),
            Self::Map(_) => node.as_map().is_some(),
            Self::Either(shapes) => shapes.iter().any(|shape| shape.fits(node)),
        }
    }

    /// `a string, a list or a mapping`.
    pub fn words(&self) -> String {
        let mut words = Vec::new();
        self.collect(&mut words);
        words.dedup();
        match words.split_last() {
            Some((last, [])) => (*last).to_owned(),
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
            None => "a value".to_owned(),
        }
    }

    fn collect(&self, words: &mut Vec<&'static str>) {
        match self {
            Self::Kinds(kinds) | Self::Range(kinds, ..) => kinds.words(words),
            Self::Words(_) | Self::Form(..) => words.push("a string"),
            Self::List(..) => words.push("a list"),
            Self::Map(_) => words.push("a mapping"),
            Self::Either(shapes) => shapes.iter().for_each(|shape| shape.collect(words)),
        }
    }
}

/// A mapping of known keys, and `x-…`.
pub(super) const fn known(keys: &'static [(&'static str, Shape)]) -> Object {
    Object { keys, others: Others::Refused, required: &[], extensible: true }
}

/// A mapping of known keys only.
pub(super) const fn closed(keys: &'static [(&'static str, Shape)]) -> Object {
    Object { keys, others: Others::Refused, required: &[], extensible: false }
}

/// A mapping of keys that the author chooses.
pub(super) const fn chosen(others: Others) -> Object {
    Object { keys: &[], others, required: &[], extensible: false }
}

impl Object {
    pub const fn with(self, required: &'static [&'static str]) -> Self {
        Self { required, ..self }
    }
}

/// The names of services, volumes and the like.
pub(super) fn is_name(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

/// The names of limits.
pub(super) fn is_lower_case(key: &str) -> bool {
    !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase())
}

/// Any key but an empty one.
pub(super) fn is_something(key: &str) -> bool {
    !key.is_empty()
}

pub(super) const STRING: Shape = Shape::Kinds(TEXT);
pub(super) const SWITCH: Shape = Shape::Kinds(BOOL.or(TEXT));
pub(super) const WHOLE: Shape = Shape::Kinds(INT.or(TEXT));
pub(super) const AMOUNT: Shape = Shape::Kinds(NUMBER.or(TEXT));
pub(super) const STRINGS: Shape = Shape::List(&STRING, false);
pub(super) const UNIQUE_STRINGS: Shape = Shape::List(&STRING, true);
pub(super) const STRING_OR_LIST: Shape = Shape::Either(&[STRING, UNIQUE_STRINGS]);

static PAIRS_MAP: Object =
    chosen(Others::Named(is_something, &Shape::Kinds(TEXT.or(NUMBER).or(BOOL).or(NULL))));
/// `NAME=value` as a mapping or a list.
pub(super) const PAIRS: Shape = Shape::Either(&[Shape::Map(&PAIRS_MAP), UNIQUE_STRINGS]);

static HOSTS_MAP: Object = chosen(Others::Named(is_something, &Shape::Either(&[STRING, STRINGS])));
/// Hosts and addresses as a mapping or a list.
pub(super) const HOSTS: Shape = Shape::Either(&[Shape::Map(&HOSTS_MAP), UNIQUE_STRINGS]);

static OPTIONS_MAP: Object = chosen(Others::Loose(is_something, &Shape::Kinds(TEXT.or(NUMBER))));
/// Options of drivers.
pub(super) const OPTIONS: Shape = Shape::Map(&OPTIONS_MAP);

/// A command as one text or as words; `null` takes nothing away.
pub(super) const COMMAND: Shape = Shape::Either(&[Shape::Kinds(NULL.or(TEXT)), STRINGS]);
