//! Splits what follows a keyword: flags, words, lists in JSON form.

use super::lines::{Text, is_blank};
use super::source::{Span, Word};

/// Words between blanks.
pub fn blank_separated<'a>(text: &Text<'a>) -> Vec<Text<'a>> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (word, next) = rest.split_blank();
        words.push(word);
        rest = next;
    }
    words
}

/// Words between blanks that are neither quoted nor escaped. Quotes and escapes stay in the words.
pub fn quoted<'a>(text: &Text<'a>, escape: char) -> Vec<Text<'a>> {
    let source = text.as_str();
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        at += source[at..].len() - source[at..].trim_start().len();
        if at == source.len() {
            return words;
        }
        let start = at;
        let mut end = source.len();
        let mut quote = None;
        let mut characters = source[at..].char_indices();
        at = source.len();
        while let Some((offset, character)) = characters.next() {
            match quote {
                None if character.is_whitespace() => {
                    (at, end) = (start + offset, start + offset);
                    break;
                }
                None if matches!(character, '\'' | '"') => quote = Some(character),
                Some(open) if character == open => quote = None,
                Some('\'') => {}
                // one at the very end escapes nothing and is dropped
                _ if character == escape && characters.next().is_none() => end = start + offset,
                _ => {}
            }
        }
        if end > start {
            words.push(text.part(start..end));
        }
    }
}

/// Takes the leading words that start with `--`, without their quotes and escapes. `--` alone ends them.
pub fn flags<'a>(text: &Text<'a>, escape: char) -> (Vec<Word>, Text<'a>) {
    let source = text.as_str();
    let mut flags = Vec::new();
    let mut at = 0;
    loop {
        at += source[at..].len() - source[at..].trim_start().len();
        if !source[at..].starts_with("--") {
            return (flags, text.from(at).trim());
        }
        let start = at;
        let mut flag = String::new();
        let mut quote = None;
        let mut characters = source[at..].char_indices();
        at = source.len();
        while let Some((offset, character)) = characters.next() {
            match quote {
                None if character.is_whitespace() => {
                    at = start + offset;
                    break;
                }
                None if matches!(character, '\'' | '"') => quote = Some(character),
                Some(open) if character == open => quote = None,
                _ if character == escape => {
                    flag.extend(characters.next().map(|(_, escaped)| escaped))
                }
                _ => flag.push(character),
            }
        }
        if flag == "--" {
            return (flags, text.from(at).trim());
        }
        flags.push(Word::new(flag, text.part(start..at).span()));
    }
}

/// What looks like a list in JSON form.
#[derive(Debug)]
pub enum Json {
    /// It is no JSON: the text is meant for a shell, or as plain words.
    No,
    /// JSON, but with other things than strings in it.
    NotStrings(Span),
    Strings(Vec<Word>),
}

pub fn json(text: &Text<'_>) -> Json {
    if !text.as_str().starts_with('[') {
        return Json::No;
    }
    let Ok(values) = serde_json::from_str::<Vec<serde_json::Value>>(text.as_str()) else {
        return Json::No;
    };
    let mut strings = Vec::with_capacity(values.len());
    let mut places = json_strings(text).into_iter();
    for value in values {
        let (serde_json::Value::String(value), Some(span)) = (value, places.next()) else {
            return Json::NotStrings(text.span());
        };
        strings.push(Word::new(value, span));
    }
    Json::Strings(strings)
}

/// Where the strings of a valid JSON list stand, without their quotes.
fn json_strings(text: &Text<'_>) -> Vec<Span> {
    let bytes = text.as_str().as_bytes();
    let mut places = Vec::new();
    let mut open = None;
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], open) {
            (b'\\', Some(_)) => at += 1,
            (b'"', Some(start)) => {
                places.push(text.part(start..at).span());
                open = None;
            }
            (b'"', None) => open = Some(at + 1),
            _ => {}
        }
        at += 1;
    }
    places
}

/// The halves of `name=value`, if there is a `=`.
pub fn pair<'a>(text: &Text<'a>) -> Option<(Text<'a>, Text<'a>)> {
    let at = text.as_str().find('=')?;
    Some((text.part(0..at), text.from(at + 1)))
}

/// The old form `name value`: all after the first blanks is the value.
pub fn legacy_pair<'a>(text: &Text<'a>) -> Option<(Text<'a>, Text<'a>)> {
    text.as_str().contains(is_blank).then(|| text.split_blank())
}

#[cfg(test)]
mod tests {
    use super::super::lines::Lines;
    use super::super::source::Source;
    use super::*;

    fn with<T>(text: &str, then: impl FnOnce(Text<'_>) -> T) -> T {
        let source = Source::new("Dockerfile", text);
        let line = Lines::without_directives(&source).next_line().unwrap().unwrap();
        then(line.text())
    }

    fn split(text: &str) -> Vec<String> {
        with(text, |text| quoted(&text, '\\').iter().map(|word| word.as_str().to_owned()).collect())
    }

    #[test]
    fn words_keep_their_quotes_and_escapes() {
        assert_eq!(split("foo"), ["foo"]);
        assert_eq!(split("foo  bar\tbaz"), ["foo", "bar", "baz"]);
        assert_eq!(split("foo\\ bar"), ["foo\\ bar"]);
        assert_eq!(split("a='b c' d"), ["a='b c'", "d"]);
        assert_eq!(split(r#"foo bar "abc xyz""#), ["foo", "bar", r#""abc xyz""#]);
        assert_eq!(split(r#"a="b\" c" d"#), [r#"a="b\" c""#, "d"]);
        assert_eq!(split(r"a='b\' c"), [r"a='b\'", "c"]);
        assert_eq!(split(r#"föo bàr "âbc xÿz""#), ["föo", "bàr", r#""âbc xÿz""#]);
        assert_eq!(split(r#"a="never closed b"#), [r#"a="never closed b"#]);
        assert_eq!(split(r"a \\\"), ["a", r"\\"]);
    }

    #[test]
    fn flags_lose_their_quotes_and_end_at_a_double_dash() {
        let parsed = |text: &str| {
            with(text, |text| {
                let (flags, rest) = flags(&text, '\\');
                let flags: Vec<_> = flags.into_iter().map(|flag| flag.value).collect();
                (flags, rest.as_str().to_owned())
            })
        };
        let expect = |flags: &[&str], rest: &str| {
            (flags.iter().map(|flag| (*flag).to_owned()).collect(), rest.to_owned())
        };
        assert_eq!(parsed("--a --b=c  d --e"), expect(&["--a", "--b=c"], "d --e"));
        assert_eq!(parsed("--a -- --b"), expect(&["--a"], "--b"));
        assert_eq!(
            parsed(r#"--a="b c" --'d' --e\ f g"#),
            expect(&["--a=b c", "--d", "--e f"], "g")
        );
        assert_eq!(parsed("--größe=ü x"), expect(&["--größe=ü"], "x"));
        assert_eq!(parsed("- --a"), expect(&[], "- --a"));
        assert_eq!(parsed("--a"), expect(&["--a"], ""));
    }

    #[test]
    fn strings_in_json_know_their_places() {
        with(r#"[ "a\"b" , "c" ]"#, |text| {
            let Json::Strings(strings) = json(&text) else { panic!() };
            assert_eq!(strings.iter().map(|word| word.as_str()).collect::<Vec<_>>(), ["a\"b", "c"]);
            assert_eq!(strings[0].span, Span::new(3, 7));
            assert_eq!(strings[1].span, Span::new(12, 13));
        });
        assert!(with("['a']", |text| matches!(json(&text), Json::No)));
        assert!(with("[1]", |text| matches!(json(&text), Json::NotStrings(_))));
        assert!(with("[\"a\"] b", |text| matches!(json(&text), Json::No)));
    }
}
