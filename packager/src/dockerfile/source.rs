//! The text a Dockerfile came from, and places in it.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A stretch of the source: byte offsets into [`Source::text`], the end exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The smallest span that holds both.
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A value and where it was written. It dereferences to the value, and two of them are equal when their values are.
#[derive(Clone)]
pub struct Located<T> {
    pub value: T,
    pub span: Span,
}

impl<T> Located<T> {
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }

    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: change(self.value), span: self.span }
    }
}

impl<T> Deref for Located<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Located<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Located<T> {}

impl<T: fmt::Debug> fmt::Debug for Located<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(out)
    }
}

/// Text as it is written: quotes, escapes and variables are still in it. `expand` gives what it means.
pub type Word = Located<String>;

/// The text of a Dockerfile and the name it goes by in messages. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Source {
    name: Arc<str>,
    text: Arc<str>,
    damaged: bool,
}

impl Source {
    pub fn new(name: &str, text: &str) -> Self {
        Self { name: name.into(), text: text.into(), damaged: false }
    }

    /// Takes the bytes of a file: a byte order mark is dropped, and bytes that are no UTF-8 become U+FFFD. They are an
    /// error only where they matter, which is not in a comment. UTF-16, as Windows editors like to write it, is `None`.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return None;
        }
        let text = String::from_utf8_lossy(bytes);
        let damaged = matches!(text, std::borrow::Cow::Owned(_));
        Some(Self { damaged, ..Self::new(name, &text) })
    }

    /// Whether some U+FFFD of the text stand for bytes that are no UTF-8.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged
    }

    /// What messages call it: the path as the user gave it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All of it, without a byte order mark.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What was written at a place; empty if the span isn't of this source.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.range()).unwrap_or_default()
    }

    /// Line and column of an offset, both from 1, the column in characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text[..offset];
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        (line, before[start..].chars().count() + 1)
    }

    /// The number of the line an offset is in, from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.position(offset).0
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Source({:?}, {} bytes)", self.name, self.text.len())
    }
}
