//! `COPY` and `ADD`.

use super::super::ast::{Add, Copy, CopyOptions, CopySource};
use super::super::error::{Problem, Result};
use super::super::expand::is_plain;
use super::super::heredoc::Operator;
use super::super::source::Word;
use super::Reader;
use super::flags::Flags;

pub fn copy(reader: &Reader<'_>) -> Result<Copy> {
    const KNOWN: &[&str] = &["from", "chown", "chmod", "link", "exclude", "parents"];
    let flags = reader.flags("COPY", KNOWN)?;
    let (sources, destination) = sources(reader, "COPY")?;
    let from = flags.text("from")?;
    if let Some(from) = from.as_ref().filter(|from| !is_plain(from)) {
        return reader.fail(from.span, Problem::FixedName { option: "--from" });
    }
    Ok(Copy {
        sources,
        destination,
        from,
        options: options(&flags)?,
        parents: flags.boolean("parents")?.unwrap_or(false),
    })
}

pub fn add(reader: &Reader<'_>) -> Result<Add> {
    const KNOWN: &[&str] =
        &["chown", "chmod", "link", "exclude", "checksum", "keep-git-dir", "unpack"];
    let flags = reader.flags("ADD", KNOWN)?;
    let (sources, destination) = sources(reader, "ADD")?;
    Ok(Add {
        sources,
        destination,
        options: options(&flags)?,
        checksum: flags.text("checksum")?,
        keep_git_dir: flags.boolean("keep-git-dir")?,
        unpack: flags.boolean("unpack")?,
    })
}

fn options(flags: &Flags<'_>) -> Result<CopyOptions> {
    Ok(CopyOptions {
        chown: flags.text("chown")?,
        chmod: flags.text("chmod")?,
        link: flags.boolean("link")?.unwrap_or(false),
        exclude: flags.list("exclude")?,
    })
}

fn sources(reader: &Reader<'_>, keyword: &'static str) -> Result<(Vec<CopySource>, Word)> {
    let [words @ .., destination] = reader.words() else {
        return reader.fail(reader.all(), Problem::NoDestination { keyword });
    };
    if words.is_empty() {
        return reader.fail(reader.all(), Problem::NoDestination { keyword });
    }
    if Operator::parse(destination).is_some() {
        return reader.fail(destination.span, Problem::HeredocDestination { keyword });
    }
    let source = |word: &Word| {
        // of two documents with one name the last counts, as in BuildKit
        let named =
            |name: &str| reader.node.heredocs.iter().rfind(|document| document.name == name);
        match Operator::parse(word).and_then(|operator| named(&operator.name)) {
            Some(document) => CopySource::Document(document.clone()),
            None => CopySource::Path(word.clone()),
        }
    };
    Ok((words.iter().map(source).collect(), destination.clone()))
}
