//! Documents inside a Dockerfile: which words of a line announce one.

use super::ast::Heredoc;
use super::expand::raw_words;
use super::lines::{Line, is_blank};
use super::source::{Span, Word};

/// `<<EOF`, `<<-EOF`, `<<"EOF"`, with a file descriptor's number before it or blanks after `<<`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    written: String,
    /// Blanks stand before the name. Some versions of BuildKit take that for an operator and others don't, so it is one
    /// if a document follows: `$(expr 1 << 2)` has none.
    pub apart: bool,
    pub name: String,
    expand: bool,
    pub strip_tabs: bool,
}

impl Operator {
    /// Reads one word; anything but an operator with one name is `None`.
    pub fn parse(word: &str) -> Option<Self> {
        let after = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
        let (rest, strip_tabs) = match after.strip_prefix('-') {
            Some(rest) => (rest, true),
            None => (after, false),
        };
        let apart = rest.starts_with(is_blank);
        let rest = rest.trim_start();
        if rest.is_empty() || rest.contains('<') {
            return None;
        }
        let [name] = <[String; 1]>::try_from(raw_words(rest, false, false)?).ok()?;
        let quotes = |text: &str| text.matches(['\'', '"']).count();
        let quoted: usize = raw_words(rest, true, false)?.iter().map(|word| quotes(word)).sum();
        let expand = quotes(&name) == quoted;
        Some(Self { written: word.to_owned(), apart, expand, name, strip_tabs })
    }

    /// The document that it announced.
    pub fn with(self, place: Span, content: Word) -> Heredoc {
        Heredoc {
            operator: Word::new(self.written, place),
            name: self.name,
            expand: self.expand,
            strip_tabs: self.strip_tabs,
            content,
        }
    }
}

/// The operators in a line, in the order in which their documents follow it. In a line for a shell, what a shell
/// calculates with is none, nor what is in its comment.
pub fn operators(line: &str, for_shell: bool) -> Vec<Operator> {
    if !line.contains("<<") {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut calculates = false;
    for word in raw_words(line, true, true).unwrap_or_default() {
        if for_shell && word.starts_with('#') {
            break;
        }
        calculates |= for_shell && word.contains("((");
        if !calculates {
            found.extend(Operator::parse(&word));
        }
        calculates &= !word.contains("))");
    }
    found
}

/// Where an operator stands, searching from an offset of the line's text; and the offset behind it.
pub fn place(line: &Line, operator: &Operator, from: usize) -> (Span, usize) {
    let text = line.text();
    let rest = text.from(from.min(text.as_str().len()));
    match rest.as_str().find(&operator.written) {
        Some(at) => {
            let end = at + operator.written.len();
            (rest.part(at..end).span(), from + end)
        }
        None => (line.span, from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(word: &str) -> Option<(String, bool, bool)> {
        Operator::parse(word).map(|found| (found.name, found.expand, found.strip_tabs))
    }

    #[test]
    fn operators_are_told_from_other_words() {
        let found = |name: &str, expand, strip| Some((name.to_owned(), expand, strip));
        assert_eq!(parsed("<<EOF"), found("EOF", true, false));
        assert_eq!(parsed("<<-EOF"), found("EOF", true, true));
        assert_eq!(parsed("<<'EOF'"), found("EOF", false, false));
        assert_eq!(parsed("<<\"E O F\""), found("E O F", false, false));
        assert_eq!(parsed("3<<EOF"), found("EOF", true, false));
        assert_eq!(parsed("<< EOF"), found("EOF", true, false));
        assert_eq!(parsed("<<"), None);
        assert_eq!(parsed("<<<EOF"), None);
        assert_eq!(parsed("x<<EOF"), None);
        assert_eq!(parsed("<<EOF<<EOF"), None);
    }

    #[test]
    fn operators_are_found_in_a_line() {
        let names = |line: &str| {
            operators(line, true).into_iter().map(|found| found.name).collect::<Vec<_>>()
        };
        assert_eq!(names("RUN cat <<A 3<<-'B' > x"), ["A", "B"]);
        assert_eq!(names("RUN cat << A"), ["A"]);
        assert_eq!(names("RUN echo '<<A' \\<<B"), [""; 0]);
        assert_eq!(names("RUN wc <<<A"), [""; 0]);
        assert_eq!(names("RUN echo $((1 << 2)) $((1 <<2)) $((1<<2)) <<A"), ["A"]);
        assert_eq!(names("RUN ((x = 1 <<2)); cat <<A # <<B"), ["A"]);
        assert_eq!(names("RUN echo a#b <<A '#' <<B"), ["A", "B"]);
        assert_eq!(names("RUN echo 'open <<A"), [""; 0]);
        assert_eq!(names("COPY <<a.txt <<b.txt /x/"), ["a.txt", "b.txt"]);
    }
}
