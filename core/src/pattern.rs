//! Regular expressions of filters: Docker takes them for names and ids in every listing.

use crate::hint::Hint;
use regex::{Regex, RegexBuilder};

/// A value of a filter that matches what contains it.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not a regular expression")]
pub struct InvalidPattern {
    text: String,
    source: Box<regex::Error>,
}

impl Hint for InvalidPattern {
    fn hint(&self) -> Option<String> {
        Some(r"write a part of the name, or for example '^web-[0-9]+$'; a special character itself is written with '\' before it".into())
    }
}

/// More than any name takes, and little for this machine: an expression may come from elsewhere.
const LIMIT: usize = 1 << 20;

impl std::str::FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let built = RegexBuilder::new(text).size_limit(LIMIT).dfa_size_limit(LIMIT).build();
        let invalid = |source| InvalidPattern { text: text.to_owned(), source: Box::new(source) };
        built.map(Self).map_err(invalid)
    }
}

impl Pattern {
    pub fn matches(&self, text: &str) -> bool {
        self.0.as_str() == text || self.0.is_match(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_expressions() {
        for (pattern, text, matches) in [
            ("eb", "web", true),
            ("^eb", "web", false),
            ("^(web|db)$", "db", true),
            ("w.b-[0-9]$", "web-1", true),
            ("w.b-[0-9]$", "web-11", false),
            ("a.b", "a.b", true),
        ] {
            assert_eq!(pattern.parse::<Pattern>().unwrap().matches(text), matches, "{pattern}");
        }
        for text in ["[", "a{1000000}", "(?P<x", r"(\w{100}){1000}"] {
            assert!(text.parse::<Pattern>().unwrap_err().hint().is_some(), "{text}");
        }
    }
}
