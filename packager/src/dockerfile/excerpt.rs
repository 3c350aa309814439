//! A place in a Dockerfile, shown as a compiler shows it.

use super::source::{Source, Span};
use std::fmt;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns that are shown of a long line, around the place.
const WINDOW: usize = 120;

/// One line of the source with a stretch of it marked. [`fmt::Display`] gives
///
/// ```text
///  --> Dockerfile:3:5
///   |
/// 3 | RUN --mout=type=cache,target=/c make
///   |     ^^^^^^
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    /// The source's name.
    pub name: String,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line as it is written, without its end.
    pub text: String,
    /// Byte offsets of the marked part in `text`.
    marked: Span,
}

impl Excerpt {
    /// Marks a span; of one that goes over several lines, the part on the first.
    pub fn new(source: &Source, span: Span) -> Self {
        let text = source.text();
        let start = floor(text, span.start);
        let (line, column) = source.position(start);
        let from = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let to = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let shown = text[from..to].trim_end_matches('\r');
        let marked = Span {
            start: (start - from).min(shown.len()),
            end: floor(shown, span.end.max(start).saturating_sub(from)),
        };
        Self { name: source.name().into(), line, column, text: shown.into(), marked }
    }
}

/// The nearest boundary of a character at or before an offset.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// What a terminal may see of a source that nobody has to trust: tabs as blanks, no other control character.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\t' => shown.push_str("    "),
            _ if character.is_control() => shown.push(char::REPLACEMENT_CHARACTER),
            _ => shown.push(character),
        }
    }
    shown
}

/// As much of the end of a text as fits into some columns.
fn last_columns(text: &str, columns: usize) -> &str {
    let mut width = 0;
    for (offset, character) in text.char_indices().rev() {
        width += character.width().unwrap_or(0);
        if width > columns {
            return &text[offset + character.len_utf8()..];
        }
    }
    text
}

/// As much of the start of a text as fits into some columns.
fn first_columns(text: &str, columns: usize) -> &str {
    let mut width = 0;
    for (offset, character) in text.char_indices() {
        width += character.width().unwrap_or(0);
        if width > columns {
            return &text[..offset];
        }
    }
    text
}

impl fmt::Display for Excerpt {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = visible(&self.text[..self.marked.start]);
        let marked = visible(&self.text[self.marked.start..self.marked.end.max(self.marked.start)]);
        let after = visible(&self.text[self.marked.end.max(self.marked.start)..]);
        let (mut head, mut tail) = ("", "");
        let mut shown_before = before.as_str();
        if before.width() > WINDOW / 2 {
            (head, shown_before) = ("…", last_columns(&before, WINDOW / 2));
        }
        let mut shown_marked = marked.as_str();
        let mut shown_after = after.as_str();
        let left = WINDOW.saturating_sub(shown_before.width());
        if marked.width() + after.width() > left {
            tail = "…";
            shown_marked = first_columns(&marked, left);
            shown_after = first_columns(&after, left - shown_marked.width());
        }
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(head.width() + shown_before.width());
        let carets = "^".repeat(shown_marked.width().max(1));
        writeln!(out, "{margin}--> {}:{}:{}", visible(&self.name), self.line, self.column)?;
        writeln!(out, "{margin} |")?;
        let line = format!("{head}{shown_before}{shown_marked}{shown_after}{tail}");
        writeln!(out, "{number} | {}", line.trim_end())?;
        write!(out, "{margin} | {indent}{carets}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, start: usize, end: usize) -> String {
        Excerpt::new(&Source::new("Dockerfile", text), Span::new(start, end)).to_string()
    }

    #[test]
    fn marks_the_place() {
        let text = "FROM a\r\nRUN --mout=x make\r\n";
        let expected = " --> Dockerfile:2:5\n  |\n2 | RUN --mout=x make\n  |     ^^^^^^^^";
        assert_eq!(shown(text, 12, 20), expected);
    }

    #[test]
    fn columns_are_those_of_the_terminal() {
        let text = "ENV\t名前=$x";
        let at = text.find('$').unwrap();
        let expected = " --> Dockerfile:1:8\n  |\n1 | ENV    名前=$x\n  |             ^^";
        assert_eq!(shown(text, at, at + 2), expected);
    }

    #[test]
    fn a_place_at_the_end_and_one_over_several_lines() {
        assert!(shown("RUN a", 5, 5).ends_with("1 | RUN a\n  |      ^"));
        assert!(shown("RUN a \\\n b", 0, 10).ends_with("1 | RUN a \\\n  | ^^^^^^^"));
        assert!(
            shown("", 9, 4).ends_with("1 | \n  | ^") || shown("", 9, 4).ends_with("1 |\n  | ^")
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_place_and_controls_are_not_passed_on() {
        let text = format!("RUN {}\u{1b}[31m $bad {}", "x".repeat(500), "y".repeat(500));
        let at = text.find('$').unwrap();
        let shown = shown(&text, at, at + 4);
        assert!(shown.lines().all(|line| line.width() < 140), "{shown}");
        assert!(shown.contains("$bad") && shown.contains("^^^^") && !shown.contains('\u{1b}'));
    }
}
