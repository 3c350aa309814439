//! Bytes to logical lines: continuations joined, comments taken out, each character still knowing where it stands.

use super::ast::Directives;
use super::directives::{self, Phase};
use super::error::{Error, Problem, Result};
use super::source::{Source, Span, Word};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::ops::Range;

/// An instruction as one line.
#[derive(Debug)]
pub struct Line {
    /// Continued lines joined without what continued them.
    text: String,
    /// Which stretch of the source each stretch of `text` is: (offset in `text`, offset in the source), ascending.
    pieces: Vec<(usize, usize)>,
    /// From the first character to the last, comments and continuations in between included.
    pub span: Span,
    /// The comments right above, without `#` and blanks around them.
    pub comments: Vec<Word>,
    /// The first blank line among the continued ones.
    pub blank_line: Option<Span>,
}

impl Line {
    /// All of it, without blanks around it.
    pub fn text(&self) -> Text<'_> {
        Text { line: self, range: 0..self.text.len() }.trim()
    }

    fn offset(&self, offset: usize) -> usize {
        let piece = self.pieces.partition_point(|(text, _)| *text <= offset).saturating_sub(1);
        self.pieces.get(piece).map_or(self.span.start, |(text, source)| source + (offset - text))
    }
}

/// A part of a logical line.
#[derive(Debug, Clone)]
pub struct Text<'a> {
    line: &'a Line,
    range: Range<usize>,
}

impl<'a> Text<'a> {
    pub fn as_str(&self) -> &'a str {
        &self.line.text[self.range.clone()]
    }

    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// A part of this part.
    pub fn part(&self, range: Range<usize>) -> Self {
        let start = self.range.start + range.start;
        Self { line: self.line, range: start..self.range.start + range.end }
    }

    pub fn from(&self, start: usize) -> Self {
        self.part(start..self.range.len())
    }

    pub fn trim(&self) -> Self {
        let text = self.as_str();
        let start = text.len() - text.trim_start().len();
        self.part(start..start + text.trim().len())
    }

    /// Where it stands in the source.
    pub fn span(&self) -> Span {
        let start = self.line.offset(self.range.start);
        match self.range.is_empty() {
            true => Span::new(start, start),
            false => Span::new(start, self.line.offset(self.range.end - 1) + 1),
        }
    }

    pub fn word(&self) -> Word {
        Word::new(self.as_str().to_owned(), self.span())
    }

    /// Splits at the first run of blanks. Without one, the second part is empty.
    pub fn split_blank(&self) -> (Self, Self) {
        let text = self.as_str();
        let Some(end) = text.find(is_blank) else { return (self.clone(), self.from(text.len())) };
        let rest = &text[end..];
        let next = end + (rest.len() - rest.trim_start_matches(is_blank).len());
        (self.part(0..end), self.from(next))
    }
}

/// What separates words. Other white space of Unicode doesn't.
pub fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\u{b}' | '\u{c}' | '\r')
}

/// Reads a source line by line.
pub struct Lines<'a> {
    source: &'a Source,
    at: usize,
    phase: Phase,
    pub directives: Directives,
    /// Where each line of the source stands last; made when it is first asked for.
    last: OnceCell<HashMap<&'a str, usize>>,
}

impl<'a> Lines<'a> {
    /// From the top of a file, where directives may stand.
    pub fn new(source: &'a Source) -> Self {
        let (phase, directives) = (Phase::default(), Directives::default());
        Self { source, at: 0, phase, directives, last: OnceCell::new() }
    }

    /// For the text of an `ONBUILD`, which has no directives.
    pub fn without_directives(source: &'a Source) -> Self {
        Self { phase: Phase::over(), ..Self::new(source) }
    }

    /// The next physical line: where it starts, its text without the line end, and where the next one starts.
    fn physical(&mut self) -> Option<(usize, &'a str)> {
        let rest = &self.source.text()[self.at..];
        if rest.is_empty() {
            return None;
        }
        let start = self.at;
        let length = rest.find('\n').map_or(rest.len(), |newline| newline + 1);
        self.at += length;
        Some((start, rest[..length].trim_end_matches(['\r', '\n'])))
    }

    /// The next instruction, `None` at the end.
    pub fn next_line(&mut self) -> Result<Option<Line>> {
        let mut comments = Vec::new();
        while let Some((start, raw)) = self.physical() {
            let first = raw.trim_start();
            let start = start + (raw.len() - first.len());
            if first.is_empty() {
                comments.clear();
                self.phase.end();
                continue;
            }
            let Some(comment) = first.strip_prefix('#') else {
                self.phase.end();
                match self.joined(start, first, std::mem::take(&mut comments))? {
                    Some(line) => return Ok(Some(line)),
                    None => continue,
                }
            };
            if directives::read(self.source, start, first, &mut self.phase, &mut self.directives)? {
                continue;
            }
            let text = comment.trim();
            match text.is_empty() {
                true => comments.clear(),
                false => {
                    let at = start + 1 + (comment.len() - comment.trim_start().len());
                    comments.push(Word::new(text.into(), Span::new(at, at + text.len())));
                }
            }
        }
        Ok(None)
    }

    /// Appends the lines that continue one. `None` if there was nothing but an escape character.
    fn joined(&mut self, start: usize, first: &str, comments: Vec<Word>) -> Result<Option<Line>> {
        let mut line = Line {
            text: String::new(),
            pieces: Vec::new(),
            span: Span::new(start, start),
            comments,
            blank_line: None,
        };
        let mut continued = self.append(&mut line, start, first);
        while continued {
            let Some((start, raw)) = self.physical() else { break };
            let text = raw.trim_start();
            if text.starts_with('#') {
                continue;
            }
            if text.is_empty() {
                line.blank_line.get_or_insert(Span::new(start, start));
                continue;
            }
            continued = self.append(&mut line, start, raw);
        }
        if line.text.trim().is_empty() {
            return Ok(None);
        }
        if let Some(bad) = line.text.find(char::REPLACEMENT_CHARACTER).map(|at| line.offset(at)) {
            self.refuse_bad_encoding(bad)?;
        }
        Ok(Some(line))
    }

    /// Appends a physical line; true if it ends with the escape character and so goes on.
    fn append(&self, line: &mut Line, start: usize, text: &str) -> bool {
        let kept = continued(text, self.directives.escape);
        let text = kept.unwrap_or(text);
        if !text.is_empty() {
            line.pieces.push((line.text.len(), start));
            line.text.push_str(text);
            line.span.end = start + text.trim_end().len().max(1);
        }
        kept.is_some()
    }

    /// Bytes that are no UTF-8 came in as U+FFFD. In a comment that is no matter.
    fn refuse_bad_encoding(&self, at: usize) -> Result<()> {
        if !self.source.is_damaged() {
            return Ok(());
        }
        let span = Span::new(at, at + char::REPLACEMENT_CHARACTER.len_utf8());
        Err(Error::new(self.source, span, Problem::Encoding { utf16: false }))
    }

    /// Whether one of the lines to come is exactly `name`.
    pub fn is_followed_by(&self, name: &str) -> bool {
        let last = self.last.get_or_init(|| {
            let mut start = 0;
            let lines = self.source.text().split_inclusive('\n').map(|line| {
                start += line.len();
                (line.trim_end_matches(['\r', '\n']), start - line.len())
            });
            lines.collect()
        });
        last.get(name).is_some_and(|at| *at >= self.at)
    }

    /// Reads lines up to one that is exactly `name`; leading tabs of that line don't count if `strip_tabs`.
    pub fn document(&mut self, operator: Span, name: &str, strip_tabs: bool) -> Result<Word> {
        let start = self.at;
        while let Some((at, line)) = self.physical() {
            let line = if strip_tabs { line.trim_start_matches('\t') } else { line };
            if line == name {
                let content = &self.source.text()[start..at];
                if let Some(bad) = content.find(char::REPLACEMENT_CHARACTER) {
                    self.refuse_bad_encoding(start + bad)?;
                }
                return Ok(Word::new(content.to_owned(), Span::new(start, at)));
            }
        }
        Err(Error::new(
            self.source,
            operator,
            Problem::UnterminatedHeredoc { name: name.to_owned() },
        ))
    }
}

/// The line without the escape character that continues it: one at the end, blanks after it allowed, that is not
/// itself escaped. `foo \\` doesn't go on; neither does `foo \\\`, a quirk that BuildKit keeps.
fn continued(text: &str, escape: char) -> Option<&str> {
    let kept = text.trim_end_matches([' ', '\t']).strip_suffix(escape)?;
    (!kept.ends_with(escape)).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(String, String)> {
        let source = Source::new("Dockerfile", text);
        let mut reader = Lines::new(&source);
        let mut found = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            found.push((line.text().as_str().to_owned(), source.slice(line.span).to_owned()));
        }
        found
    }

    #[test]
    fn continuations_are_joined_and_spans_are_of_the_source() {
        let text = "RUN a \\\n# no\n\n  b\\  \n\tc  \r\nCMD d";
        let expected = [("RUN a   b\tc", "RUN a \\\n# no\n\n  b\\  \n\tc"), ("CMD d", "CMD d")];
        assert_eq!(lines(text), expected.map(|(text, span)| (text.into(), span.into())));
    }

    #[test]
    fn an_escaped_escape_continues_nothing() {
        assert_eq!(continued("a\\", '\\'), Some("a"));
        assert_eq!(continued("\\", '\\'), Some(""));
        assert_eq!(continued("a\\\\", '\\'), None);
        assert_eq!(continued("a\\\\\\", '\\'), None);
        assert_eq!(continued("a`\t ", '`'), Some("a"));
        assert_eq!(continued("a\\", '`'), None);
    }

    #[test]
    fn every_part_of_a_joined_line_knows_its_place() {
        let source = Source::new("Dockerfile", "RUN one\\\ntwo three");
        let line = Lines::new(&source).next_line().unwrap().unwrap();
        let (_, rest) = line.text().split_blank();
        let (joined, last) = rest.split_blank();
        assert_eq!((joined.as_str(), source.slice(joined.span())), ("onetwo", "one\\\ntwo"));
        assert_eq!((last.as_str(), source.slice(last.span())), ("three", "three"));
    }

    #[test]
    fn comments_belong_to_the_instruction_right_below() {
        let source = Source::new("Dockerfile", "# a\n\n# b\n#\n# c d \nFROM x");
        let line = Lines::new(&source).next_line().unwrap().unwrap();
        assert_eq!(line.comments.iter().map(|word| word.as_str()).collect::<Vec<_>>(), ["c d"]);
    }
}
