//! `--filter KEY=VALUE`

use super::time;
use super::usage::switch_value;
use crate::error::Failure;
use jiff::Timestamp;
use knarr_core::pattern::Pattern;
use std::collections::BTreeMap;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub key: String,
    pub value: String,
}

pub fn parse(text: &str) -> Result<Filter, String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE, for example status=exited")?;
    Ok(Filter { key: key.trim().to_ascii_lowercase(), value: value.trim().to_owned() })
}

impl Filter {
    /// As it was written.
    pub fn text(&self) -> String {
        format!("{}={}", self.key, self.value)
    }
}

/// Refuses keys that the listing does not know.
pub fn check(filters: &[Filter], known: &[&str]) -> Result<(), Failure> {
    match filters.iter().find(|f| !known.contains(&f.key.as_str())) {
        Some(unknown) => Err(Failure::usage(format!("there is no filter {:?}", unknown.key))
            .hint(format!("the filters are {}", known.join(", ")))),
        None => Ok(()),
    }
}

/// The values given for a key: alternatives, except for labels.
pub fn values<'a>(filters: &'a [Filter], key: &str) -> Vec<&'a str> {
    filters.iter().filter(|f| f.key == key).map(|f| f.value.as_str()).collect()
}

/// Whether one of the values given for a key matches what any of the texts has: names and ids are regular expressions, as in
/// Docker. Where no value is given everything matches.
pub fn patterns<'a>(
    filters: &[Filter],
    key: &'a str,
) -> Result<impl Fn(&str) -> bool + use<'a>, Failure> {
    let patterns: Result<Vec<Pattern>, _> =
        values(filters, key).iter().map(|v| v.parse()).collect();
    let patterns = patterns?;
    Ok(move |text: &str| patterns.is_empty() || patterns.iter().any(|p| p.matches(text)))
}

/// Whether something was made early enough for `until`; the last one given counts.
pub fn until(filters: &[Filter]) -> Result<impl Fn(Option<Timestamp>) -> bool + use<>, Failure> {
    let wanted = match values(filters, "until").last() {
        None => None,
        Some(text) => Some(time::parse(text).map_err(|hint| {
            Failure::usage(format!("the filter until has the value {text:?}")).hint(hint)
        })?),
    };
    Ok(move |made: Option<Timestamp>| {
        wanted.is_none_or(|until| made.is_some_and(|made| made <= until))
    })
}

pub fn switch(key: &str, value: &str) -> Result<bool, Failure> {
    switch_value(value).ok_or_else(|| {
        Failure::usage(format!("the filter {key} has the value {value:?}"))
            .hint(format!("write {key}=true or {key}=false"))
    })
}

/// `NAME` or `NAME=VALUE`
pub fn has_label(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|v| v == value),
        None => labels.contains_key(wanted),
    }
}

/// Whether labels are what `label=` and `label!=` (whose key ends in `!` here) ask for, as prune commands have it.
pub fn is_chosen(filters: &[Filter], labels: &BTreeMap<String, String>) -> bool {
    values(filters, "label").iter().all(|wanted| has_label(labels, wanted))
        && !values(filters, "label!").iter().any(|unwanted| has_label(labels, unwanted))
}

/// Refuses what Go's `path.Match` does not take: a class without an end, and a backslash before nothing.
pub fn check_glob(pattern: &str) -> Result<(), Failure> {
    let mut rest = pattern.chars();
    let mut is_valid = true;
    while let Some(c) = rest.next() {
        is_valid &= match c {
            '\\' => rest.next().is_some(),
            '[' => {
                rest.by_ref().find(|c| *c != '^').is_some_and(|c| c != ']')
                    && rest.any(|c| c == ']')
            }
            _ => true,
        };
    }
    match is_valid {
        true => Ok(()),
        false => Err(Failure::new(format!("{pattern:?} is not a valid pattern"))
            .hint("close each '[' with a ']', and write '\\[' for a bracket itself")),
    }
}

/// Go's `path.Match`: `*` and `?` do not cross a slash, `[a-z]` is a class, a backslash takes the next one as it is.
pub fn glob(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    glob_at(&pattern, &text)
}

fn glob_at(pattern: &[char], text: &[char]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return text.is_empty() };
    match first {
        '*' => {
            let reach = text.iter().take_while(|c| **c != '/').count();
            (0..=reach).any(|skipped| glob_at(rest, &text[skipped..]))
        }
        '?' => text.first().is_some_and(|c| *c != '/') && glob_at(rest, &text[1..]),
        '[' => {
            let Some(end) = rest.iter().position(|c| *c == ']') else { return false };
            let (class, after) = (&rest[..end], &rest[end + 1..]);
            let (negated, class) = match class.split_first() {
                Some(('^', class)) => (true, class),
                _ => (false, class),
            };
            let Some((c, text)) = text.split_first() else { return false };
            in_class(class, *c) != negated && *c != '/' && glob_at(after, text)
        }
        '\\' if !rest.is_empty() => text.first() == rest.first() && glob_at(&rest[1..], &text[1..]),
        literal => text.first() == Some(literal) && glob_at(rest, &text[1..]),
    }
}

fn in_class(mut class: &[char], c: char) -> bool {
    loop {
        match class {
            [] => return false,
            [from, '-', to, rest @ ..] => {
                if (*from..=*to).contains(&c) {
                    return true;
                }
                class = rest;
            }
            [one, rest @ ..] => {
                if *one == c {
                    return true;
                }
                class = rest;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_as_go_matches_paths() {
        for (pattern, text, matches) in [
            ("app", "app", true),
            ("a*", "app:1", true),
            ("a*", "app/b", false),
            ("*/b", "app/b", true),
            ("a?p", "app", true),
            ("[a-c]pp:[^2]", "app:1", true),
            ("[a-c]pp:[^1]", "app:1", false),
            ("app", "apple", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
        ] {
            assert_eq!(glob(pattern, text), matches, "{pattern} {text}");
        }
    }
}
