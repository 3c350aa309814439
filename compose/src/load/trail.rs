//! The keys that lead to a value.

use std::fmt;

/// The way from the top of a file to a value: keys of mappings, and positions in lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trail(Vec<String>);

impl Trail {
    pub fn of(parts: &[&str]) -> Self {
        Self(parts.iter().map(|part| (*part).to_owned()).collect())
    }

    /// Runs something one level further down.
    pub fn within<T>(&mut self, key: &str, run: impl FnOnce(&mut Self) -> T) -> T {
        self.0.push(key.to_owned());
        let result = run(self);
        self.0.pop();
        result
    }

    /// Whether this is such a way: `services.*.ports.*`, where `*` is any key or position.
    pub fn is(&self, pattern: &str) -> bool {
        let mut parts = self.0.iter();
        pattern.split('.').all(|wanted| parts.next().is_some_and(|p| wanted == "*" || wanted == p))
            && parts.next().is_none()
    }

    /// Whether it is one of these ways, given with what is to be done there.
    pub fn find<T: Copy>(&self, table: &[(&str, T)]) -> Option<T> {
        /// The keys of the longest way in any table.
        const LONGEST: usize = 7;
        if self.0.len() > LONGEST {
            return None;
        }
        table.iter().find(|(pattern, _)| self.is(pattern)).map(|(_, found)| *found)
    }

    /// The same way with another beginning.
    pub fn after(&self, beginning: &Self) -> Self {
        Self(beginning.0.iter().chain(&self.0).cloned().collect())
    }

    /// What is left of this way below another one, if it leads through there.
    pub fn below(&self, other: &Self) -> Option<Self> {
        self.0.strip_prefix(other.0.as_slice()).map(|rest| Self(rest.to_vec()))
    }

    /// The way without the first merge key (`<<`), which is no key of its own.
    pub fn merged(mut self) -> Self {
        if let Some(at) = self.0.iter().position(|part| part == "<<") {
            self.0.remove(at);
        }
        self
    }

    pub fn parts(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}
