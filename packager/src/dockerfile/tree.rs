//! Lines to nodes: a keyword, its flags, and its arguments in the form that the keyword's grammar gives them.

use super::ast::Heredoc;
use super::error::{Error, Problem, Result};
use super::heredoc;
use super::lines::{Lines, Text};
use super::source::{Source, Span, Word};
use super::words::{self, Json};

/// One instruction, its arguments split but not judged.
#[derive(Debug)]
pub struct Node {
    /// As written.
    pub keyword: Word,
    /// `--name` or `--name=value`, unquoted.
    pub flags: Vec<Word>,
    pub arguments: Arguments,
    pub heredocs: Vec<Heredoc>,
    /// The comments right above.
    pub comments: Vec<Word>,
    /// The logical line.
    pub text: String,
    pub span: Span,
    /// The first blank line inside it.
    pub blank_line: Option<Span>,
}

#[derive(Debug)]
pub enum Arguments {
    None,
    /// One string, blanks and all.
    Text(Word),
    Words(Vec<Word>),
    Json(Vec<Word>),
    /// `name=value …`, or the old form with one `name value`.
    Pairs {
        pairs: Vec<(Word, Word)>,
        legacy: bool,
    },
    /// `HEALTHCHECK KIND …`
    Kind(Word, Box<Arguments>),
    /// `ONBUILD INSTRUCTION …`
    Trigger(Box<Node>),
}

/// The grammar of a keyword's arguments.
#[derive(Clone, Copy)]
enum Grammar {
    Text,
    Words,
    /// Like words, but a quoted blank separates nothing.
    Quoted,
    Pairs(&'static str),
    JsonOrText,
    JsonOrWords,
    Healthcheck,
    Onbuild,
}

/// Every keyword, and its grammar.
const KEYWORDS: [(&str, Grammar); 18] = [
    ("ADD", Grammar::JsonOrWords),
    ("ARG", Grammar::Quoted),
    ("CMD", Grammar::JsonOrText),
    ("COPY", Grammar::JsonOrWords),
    ("ENTRYPOINT", Grammar::JsonOrText),
    ("ENV", Grammar::Pairs("ENV")),
    ("EXPOSE", Grammar::Words),
    ("FROM", Grammar::Words),
    ("HEALTHCHECK", Grammar::Healthcheck),
    ("LABEL", Grammar::Pairs("LABEL")),
    ("MAINTAINER", Grammar::Text),
    ("ONBUILD", Grammar::Onbuild),
    ("RUN", Grammar::JsonOrText),
    ("SHELL", Grammar::JsonOrText),
    ("STOPSIGNAL", Grammar::Text),
    ("USER", Grammar::Text),
    ("VOLUME", Grammar::JsonOrWords),
    ("WORKDIR", Grammar::Text),
];

/// The keywords in upper case.
pub fn keywords() -> impl Iterator<Item = &'static str> {
    KEYWORDS.iter().map(|(keyword, _)| *keyword)
}

/// Reads all nodes of a source.
pub fn read(source: &Source, lines: &mut Lines<'_>) -> Result<Vec<Node>> {
    let mut nodes = Vec::new();
    while let Some(line) = lines.next_line()? {
        let mut node = node(source, &line.text(), lines.directives.escape)?;
        let mut at = 0;
        if let Some((documents, for_shell)) = node.documents() {
            for operator in heredoc::operators(line.text().as_str(), for_shell) {
                if operator.apart && !(for_shell && lines.is_followed_by(&operator.name)) {
                    continue;
                }
                let place;
                (place, at) = heredoc::place(&line, &operator, at);
                let content = lines.document(place, &operator.name, operator.strip_tabs)?;
                documents.push(operator.with(place, content));
            }
        }
        node.span = line.span;
        node.comments = line.comments;
        node.blank_line = line.blank_line;
        nodes.push(node);
    }
    Ok(nodes)
}

impl Node {
    /// Where the documents that its line announces belong, and whether a shell reads that line. `None` if it takes none.
    fn documents(&mut self) -> Option<(&mut Vec<Heredoc>, bool)> {
        let for_shell = self.keyword.eq_ignore_ascii_case("RUN");
        let takes = ["ADD", "COPY"].iter().any(|name| self.keyword.eq_ignore_ascii_case(name));
        match &mut self.arguments {
            Arguments::Trigger(node) => node.documents(),
            Arguments::Json(_) => None,
            _ => (takes || for_shell).then_some((&mut self.heredocs, for_shell)),
        }
    }
}

fn node(source: &Source, line: &Text<'_>, escape: char) -> Result<Node> {
    let (keyword, rest) = line.split_blank();
    let (flags, rest) = words::flags(&rest, escape);
    let known = KEYWORDS.iter().find(|(name, _)| keyword.as_str().eq_ignore_ascii_case(name));
    let arguments = match known {
        Some((_, grammar)) => arguments(source, &keyword, &rest, *grammar, escape)?,
        // unknown keywords are found when nodes become instructions
        None => Arguments::None,
    };
    Ok(Node {
        keyword: keyword.word(),
        flags,
        arguments,
        heredocs: Vec::new(),
        comments: Vec::new(),
        text: line.as_str().to_owned(),
        span: line.span(),
        blank_line: None,
    })
}

fn arguments(
    source: &Source,
    keyword: &Text<'_>,
    rest: &Text<'_>,
    grammar: Grammar,
    escape: char,
) -> Result<Arguments> {
    if rest.is_empty() {
        return Ok(Arguments::None);
    }
    let words = |texts: Vec<Text<'_>>| Arguments::Words(texts.iter().map(Text::word).collect());
    Ok(match grammar {
        Grammar::Text => Arguments::Text(rest.word()),
        Grammar::Words => words(words::blank_separated(rest)),
        Grammar::Quoted => words(words::quoted(rest, escape)),
        Grammar::Pairs(name) => pairs(source, rest, name, escape)?,
        Grammar::JsonOrText => {
            list(source, keyword, rest)?.unwrap_or_else(|| Arguments::Text(rest.word()))
        }
        Grammar::JsonOrWords => {
            list(source, keyword, rest)?.unwrap_or_else(|| words(words::blank_separated(rest)))
        }
        Grammar::Healthcheck => {
            let (kind, command) = rest.split_blank();
            let command = arguments(source, keyword, &command, Grammar::JsonOrText, escape)?;
            Arguments::Kind(kind.word(), Box::new(command))
        }
        Grammar::Onbuild => {
            let (inner, _) = rest.split_blank();
            if inner.as_str().eq_ignore_ascii_case("ONBUILD") {
                return Err(Error::new(
                    source,
                    inner.span(),
                    Problem::Onbuild { keyword: "ONBUILD" },
                ));
            }
            Arguments::Trigger(Box::new(node(source, rest, escape)?))
        }
    })
}

/// A list in JSON form. What only looks like one is no list, but one of other things than strings is an error.
fn list(source: &Source, keyword: &Text<'_>, rest: &Text<'_>) -> Result<Option<Arguments>> {
    match words::json(rest) {
        Json::No => Ok(None),
        Json::Strings(strings) => Ok(Some(Arguments::Json(strings))),
        Json::NotStrings(span) => {
            let keyword = keyword.as_str().to_ascii_uppercase();
            Err(Error::new(source, span, Problem::NotStrings { keyword }))
        }
    }
}

fn pairs(
    source: &Source,
    rest: &Text<'_>,
    keyword: &'static str,
    escape: char,
) -> Result<Arguments> {
    let words = words::quoted(rest, escape);
    let Some(first) = words.first() else { return Ok(Arguments::None) };
    if words::pair(first).is_none() {
        let Some((key, value)) = words::legacy_pair(rest) else {
            return Err(Error::new(source, rest.span(), Problem::NoValue { keyword }));
        };
        return Ok(Arguments::Pairs { pairs: vec![(key.word(), value.word())], legacy: true });
    }
    let mut pairs = Vec::with_capacity(words.len());
    for word in words {
        let Some((key, value)) = words::pair(&word) else {
            let problem = Problem::NoEquals { keyword, word: word.as_str().to_owned() };
            return Err(Error::new(source, word.span(), problem));
        };
        pairs.push((key.word(), value.word()));
    }
    Ok(Arguments::Pairs { pairs, legacy: false })
}
