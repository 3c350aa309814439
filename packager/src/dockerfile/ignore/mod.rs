//! `.dockerignore`, and `--exclude` of `COPY` and `ADD`: which files of a folder are left out.
//!
//! What decides is what moby/patternmatcher decides, with the results of the parent folders handed down as Docker and
//! BuildKit do when they walk a context: Go's `filepath.Match`, `**` for any number of folders, `!` for exceptions, and
//! the last rule that matches wins.

mod pattern;

use super::error::{Error, Problem, Result};
use super::source::{Source, Span};
use pattern::Pattern;

/// The rules of one `.dockerignore`.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    exception: bool,
    pattern: Pattern,
}

/// A pattern that Go's `filepath.Match` refuses, or a lone `!`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no pattern for file names")]
pub struct InvalidPattern(pub String);

impl knarr_core::hint::Hint for InvalidPattern {
    fn hint(&self) -> Option<String> {
        Some("close brackets, and write \\[ for a bracket of the name".into())
    }
}

/// What the rules say about a folder, for what is below it.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    /// Which rules match it or a folder above; none for the root.
    matched: Vec<bool>,
}

impl Ignore {
    /// Reads a `.dockerignore`. `name` is what messages call it.
    pub fn parse(bytes: &[u8], name: &str) -> Result<Self> {
        let Some(source) = Source::from_bytes(name, bytes) else {
            let source = Source::new(name, "");
            return Err(Error::new(&source, Span::default(), Problem::Encoding { utf16: true }));
        };
        let mut rules = Vec::new();
        let mut start = 0;
        for line in source.text().split_inclusive('\n') {
            let text = line.trim();
            if !line.starts_with('#') && !text.is_empty() {
                let at = start + (line.len() - line.trim_start().len());
                let span = Span::new(at, at + text.len());
                let problem = |InvalidPattern(pattern)| Problem::Pattern { pattern };
                rules.push(
                    Rule::new(text)
                        .map_err(|invalid| Error::new(&source, span, problem(invalid)))?,
                );
            }
            start += line.len();
        }
        Ok(Self { rules })
    }

    /// Rules from a list, as `--exclude` gives them: each as a line of the file, but none is a comment.
    pub fn new<'a>(
        patterns: impl IntoIterator<Item = &'a str>,
    ) -> std::result::Result<Self, InvalidPattern> {
        let patterns = patterns.into_iter().map(str::trim).filter(|pattern| !pattern.is_empty());
        Ok(Self { rules: patterns.map(Rule::new).collect::<std::result::Result<_, _>>()? })
    }

    /// Without a rule everything is taken.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether there is a rule with `!`.
    pub fn has_exceptions(&self) -> bool {
        self.rules.iter().any(|rule| rule.exception)
    }

    /// Whether a path is left out. It is relative to the root, with `/` between names and no `.` or `..` in it.
    pub fn is_ignored(&self, path: &str) -> bool {
        let path = path.trim_matches('/');
        let mut folder = Folder::default();
        for (end, _) in path.match_indices('/') {
            folder = self.check(&folder, &path[..end]).1;
        }
        self.check(&folder, path).0
    }

    /// [`Self::is_ignored`] for a walk: takes what was said about the folder the path is in ([`Folder::default`] at the
    /// root), and says the same about the path.
    pub fn check(&self, parent: &Folder, path: &str) -> (bool, Folder) {
        let mut ignored = false;
        let mut matched = vec![false; self.rules.len()];
        for (index, rule) in self.rules.iter().enumerate() {
            let inherited = parent.matched.get(index).copied().unwrap_or(false);
            // a rule that could change nothing isn't asked, and isn't handed down either
            if inherited || (rule.exception == ignored && rule.pattern.matches(path)) {
                matched[index] = true;
                ignored = !rule.exception;
            }
        }
        (ignored, Folder { matched })
    }

    /// Whether an exception may bring back something below an ignored folder. If not, there is no need to look into it.
    pub fn may_contain_exceptions(&self, folder: &str) -> bool {
        let folder = folder.trim_matches('/');
        self.rules.iter().any(|rule| rule.exception && rule.pattern.may_match_below(folder))
    }

    /// Whether a rule leaves out everything at the root: `*`, `**`.
    pub(super) fn ignores_root(&self) -> bool {
        self.rules.iter().any(|rule| !rule.exception && rule.pattern.is_everything())
    }
}

impl Rule {
    /// Reads a line that is neither blank nor a comment.
    fn new(line: &str) -> std::result::Result<Self, InvalidPattern> {
        let invalid = || InvalidPattern(line.to_owned());
        let (exception, text) = match line.strip_prefix('!') {
            Some(rest) => (true, rest.trim()),
            None => (false, line),
        };
        if text.is_empty() {
            return Err(invalid());
        }
        let cleaned = clean(text);
        // an absolute path is relative to the context all the same
        let relative =
            cleaned.strip_prefix('/').filter(|rest| !rest.is_empty()).unwrap_or(&cleaned);
        Ok(Self { exception, pattern: Pattern::parse(relative).ok_or_else(invalid)? })
    }
}

/// Go's `filepath.Clean`: no empty names, no `.`, and `..` takes the name before it away.
pub(super) fn clean(path: &str) -> String {
    let absolute = path.starts_with('/');
    let mut names: Vec<&str> = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." if names.last().is_some_and(|last| *last != "..") => {
                names.pop();
            }
            ".." if absolute => {}
            name => names.push(name),
        }
    }
    match (absolute, names.join("/")) {
        (true, rest) => format!("/{rest}"),
        (false, rest) if rest.is_empty() => ".".to_owned(),
        (false, rest) => rest,
    }
}

#[cfg(test)]
mod tests;
