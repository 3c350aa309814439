//! YAML text to trees with places: anchors, aliases, merge keys, and Compose's tags `!reset` and `!override`.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

use super::error::Error;
use super::limits::{Budget, DEPTH};
use super::scalar;
use super::trail::Trail;
use crate::node::{Kind, Map, Node, Place};

/// One document of a file.
pub(crate) struct Document {
    pub root: Node,
    /// What `!reset` and `!override` take away from the files before.
    pub taken: Vec<Trail>,
}

/// Reads all documents of a text. `file` is how errors name it.
pub(crate) fn read(
    text: &str,
    file: &Arc<str>,
    budget: &mut Budget,
) -> Result<Vec<Document>, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(bad) = text.find(is_control) {
        let line = text[..bad].matches('\n').count();
        let start = text[..bad].rfind('\n').map_or(0, |at| at + 1);
        let column = text[start..bad].chars().count();
        let place = Place { file: file.clone(), line: line as u32 + 1, column: column as u32 + 1 };
        let message = "a control character".into();
        return Err(Error::Yaml { place, message });
    }
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        file,
        budget,
        anchors: HashMap::new(),
        taken: Vec::new(),
        trail: Trail::default(),
        depth: 0,
    };
    let mut documents = Vec::new();
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            Event::StreamEnd => break,
            event => {
                let place = reader.place(span);
                let root = reader.value(event, span)?;
                let root = root.unwrap_or_else(|| Node::new(place, Kind::Null));
                documents.push(Document { root, taken: std::mem::take(&mut reader.taken) });
                reader.anchors.clear();
            }
        }
    }
    Ok(documents)
}

/// What no YAML file may hold as it is.
fn is_control(c: char) -> bool {
    matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\x7f' | '\u{fffe}' | '\u{ffff}')
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    file: &'a Arc<str>,
    budget: &'a mut Budget,
    anchors: HashMap<usize, Anchor>,
    taken: Vec<Trail>,
    trail: Trail,
    depth: usize,
}

enum Anchor {
    /// The node that it names is being read.
    Open,
    /// The node, and where in it `!override` stands. Nothing for `!reset`.
    Done(Option<Node>, Vec<Trail>),
}

/// The words between `!` marks that change how values are merged.
#[derive(PartialEq)]
enum Merging {
    Usual,
    Reset,
    Override,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Error> {
        self.parser.next_event().transpose().map_err(|error| self.scan_error(&error))
    }

    fn scan_error(&self, error: &ScanError) -> Error {
        let mark = error.marker();
        let place = self.at(mark.line(), mark.col());
        let mut message = error.info().to_owned();
        if message.contains("recursion limit") {
            return Error::TooDeep { place };
        }
        if message.contains("unknown anchor") {
            message = "this alias has no anchor".into();
        }
        Error::Yaml { place, message }
    }

    fn place(&self, span: Span) -> Place {
        self.at(span.start.line(), span.start.col())
    }

    fn at(&self, line: usize, column: usize) -> Place {
        let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        Place { file: self.file.clone(), line: number(line), column: number(column + 1) }
    }

    /// The value that an event begins; nothing for one that is reset.
    fn value(&mut self, event: Event<'a>, span: Span) -> Result<Option<Node>, Error> {
        let place = self.place(span);
        if self.depth >= DEPTH {
            return Err(Error::TooDeep { place });
        }
        let (anchor, tag) = match &event {
            Event::Alias(anchor) => return self.alias(*anchor, place),
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(anchor, tag)
            | Event::MappingStart(anchor, tag) => (*anchor, tag.as_deref().cloned()),
            other => {
                let message = format!("unexpected {other:?}");
                return Err(Error::Yaml { place, message });
            }
        };
        let merging = match tag.as_ref().filter(|tag| tag.handle == "!") {
            Some(tag) if tag.suffix == "reset" => Merging::Reset,
            Some(tag) if tag.suffix == "override" => Merging::Override,
            _ => Merging::Usual,
        };
        if anchor > 0 {
            self.anchors.insert(anchor, Anchor::Open);
        }
        let before = self.taken.len();
        if merging != Merging::Usual {
            self.taken.push(self.trail.clone().merged());
        }
        self.budget.take(1, 0, &place)?;
        self.depth += 1;
        let kind = match event {
            Event::Scalar(text, style, ..) => {
                self.budget.take(0, text.len(), &place)?;
                scalar_kind(&text, style, tag.as_ref(), &place)?
            }
            Event::SequenceStart(..) => Kind::List(self.list()?),
            _ => Kind::Map(self.map()?),
        };
        self.depth -= 1;
        let node = (merging != Merging::Reset).then(|| Node::new(place, kind));
        if anchor > 0 {
            let inside = self.taken[before..].iter().filter_map(|taken| taken.below(&self.trail));
            let overrides = inside.collect();
            self.anchors.insert(anchor, Anchor::Done(node.clone(), overrides));
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<Option<Node>, Error> {
        let (node, overrides) = match self.anchors.get(&anchor) {
            None | Some(Anchor::Open) => return Err(Error::AliasCycle { place }),
            Some(Anchor::Done(node, overrides)) => (node, overrides),
        };
        let Some(node) = node else {
            self.taken.push(self.trail.clone().merged());
            return Ok(None);
        };
        self.budget.copy(node, &place)?;
        if self.depth + depth(node) > DEPTH {
            return Err(Error::TooDeep { place });
        }
        let overrides = overrides.iter().map(|inner| inner.after(&self.trail).merged());
        self.taken.extend(overrides);
        Ok(Some(node.clone()))
    }

    fn list(&mut self) -> Result<Vec<Node>, Error> {
        let mut items = Vec::new();
        let mut index = 0;
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::SequenceEnd) {
                break;
            }
            let item = self.within(&index.to_string(), event, span)?;
            items.extend(item);
            index += 1;
        }
        Ok(items)
    }

    fn map(&mut self) -> Result<Map, Error> {
        let mut map = Map::new();
        let mut seen: HashMap<String, Place> = HashMap::new();
        let mut merged = None;
        while let Some((event, span)) = self.next()? {
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let place = self.place(span);
            let is_merge =
                matches!(&event, Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<");
            let key = self.key(event, span)?;
            if let Some(first) = seen.insert(key.clone(), place.clone()) {
                return Err(Error::DuplicateKey { place, key, first });
            }
            let Some((event, span)) = self.next()? else { break };
            let value = self.within(&key, event, span)?;
            match value {
                Some(node) if is_merge => merged = Some((place, node)),
                Some(node) => map.insert(key, place, node),
                None => {}
            }
        }
        if let Some((place, node)) = merged {
            merge(&mut map, node, &place)?;
        }
        Ok(map)
    }

    fn key(&mut self, event: Event<'a>, span: Span) -> Result<String, Error> {
        let place = self.place(span);
        let found = match self.value(event, span)?.map(|node| node.kind) {
            Some(Kind::Text(text)) => return Ok(text),
            Some(kind) => Node::new(place.clone(), kind).kind_name(),
            None => "reset",
        };
        Err(Error::KeyKind { place, found })
    }

    fn within(&mut self, key: &str, event: Event<'a>, span: Span) -> Result<Option<Node>, Error> {
        let mut trail = std::mem::take(&mut self.trail);
        let value = trail.within(key, |trail| {
            self.trail = std::mem::take(trail);
            let value = self.value(event, span);
            *trail = std::mem::take(&mut self.trail);
            value
        });
        self.trail = trail;
        value
    }
}

fn depth(node: &Node) -> usize {
    let below = match &node.kind {
        Kind::List(list) => list.iter().map(depth).max(),
        Kind::Map(map) => map.iter().map(|(_, entry)| depth(&entry.node)).max(),
        _ => None,
    };
    1 + below.unwrap_or(0)
}

fn scalar_kind(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    place: &Place,
) -> Result<Kind, Error> {
    const CORE: &str = "tag:yaml.org,2002:";
    match tag {
        Some(tag) if tag.handle == CORE || tag.suffix.starts_with(CORE) => {
            let name = tag.suffix.strip_prefix(CORE).unwrap_or(&tag.suffix);
            scalar::tagged(name, text).ok_or_else(|| Error::Tag {
                place: place.clone(),
                text: text.to_owned(),
                tag: format!("!!{name}"),
            })
        }
        // '!' alone asks for nothing that text in quotes is not already
        Some(tag) if !tag.suffix.is_empty() => Ok(Kind::Text(text.to_owned())),
        _ if style == ScalarStyle::Plain => Ok(scalar::plain(text)),
        _ => Ok(Kind::Text(text.to_owned())),
    }
}

/// Adds what `<<` stands for; keys that are there, and earlier mappings of a list, win.
fn merge(map: &mut Map, source: Node, place: &Place) -> Result<(), Error> {
    let sources = match source.kind {
        Kind::Map(source) => vec![source],
        Kind::List(list) => list
            .into_iter()
            .map(|node| match node.kind {
                Kind::Map(map) => Ok(map),
                _ => Err(Error::MergeKind { place: node.place }),
            })
            .collect::<Result<_, _>>()?,
        _ => return Err(Error::MergeKind { place: place.clone() }),
    };
    for (key, entry) in sources.into_iter().flatten() {
        if !map.contains(&key) {
            map.insert(key, entry.key, entry.node);
        }
    }
    Ok(())
}
