//! Checks of how things are written.

use super::super::ast::{Instruction, Stage};
use super::super::source::{Located, Word};
use super::super::tree::Arguments;
use super::super::typed::Statement;
use super::{Entry, Report, Subject};

fn words(entry: &Entry) -> &[Word] {
    match &entry.node.arguments {
        Arguments::Words(words) => words,
        _ => &[],
    }
}

pub fn stage_names(subject: &Subject<'_>, report: &mut Report<'_>) {
    for (entry, _) in subject.stages() {
        let Some(name) = words(entry).get(2) else { continue };
        if name.to_lowercase() != name.value {
            report.warn(
                entry,
                name.span,
                format!("Stage name '{}' should be lowercase", name.value),
            );
        }
    }
}

pub fn from_as(subject: &Subject<'_>, report: &mut Report<'_>) {
    for (entry, _) in subject.stages() {
        let Some(word) = words(entry).get(1) else { continue };
        let from = entry.node.keyword.as_str();
        let expected = match case(from) {
            Some(Case::Lower) => word.to_lowercase(),
            Some(Case::Upper) => word.to_uppercase(),
            // another rule has it
            None => continue,
        };
        if expected != word.value {
            let message = format!("'{}' and '{from}' keywords' casing do not match", word.value);
            report.warn(entry, word.span, message);
        }
    }
}

pub fn continuations(subject: &Subject<'_>, report: &mut Report<'_>) {
    for entry in &subject.entries {
        if let Some(span) = entry.node.blank_line {
            report.warn(entry, span, "Empty continuation line");
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Case {
    Lower,
    Upper,
}

fn case(keyword: &str) -> Option<Case> {
    if keyword == keyword.to_lowercase() {
        Some(Case::Lower)
    } else if keyword == keyword.to_uppercase() {
        Some(Case::Upper)
    } else {
        None
    }
}

pub fn keywords(subject: &Subject<'_>, report: &mut Report<'_>) {
    let entries = || subject.entries.iter().filter(|entry| entry.stage.is_some());
    let count =
        |wanted| entries().filter(|entry| case(&entry.node.keyword) == Some(wanted)).count();
    let (majority, name) = match count(Case::Lower) > count(Case::Upper) {
        true => (Case::Lower, "lowercase"),
        false => (Case::Upper, "uppercase"),
    };
    for entry in entries() {
        let keyword = &entry.node.keyword;
        if case(keyword) != Some(majority) {
            let message = format!(
                "Command '{}' should match the case of the command majority ({name})",
                keyword.value
            );
            report.warn(entry, keyword.span, message);
        }
    }
}

pub fn maintainer(subject: &Subject<'_>, report: &mut Report<'_>) {
    for entry in &subject.entries {
        if let Statement::Instruction(Located { value: Instruction::Maintainer(_), .. }) =
            &entry.statement
        {
            let message = "Maintainer instruction is deprecated in favor of using label";
            report.warn(entry, entry.node.keyword.span, message);
        }
    }
}

pub fn legacy_pairs(subject: &Subject<'_>, report: &mut Report<'_>) {
    for entry in &subject.entries {
        if let Arguments::Pairs { legacy: true, .. } = entry.node.arguments {
            let keyword = entry.node.keyword.as_str();
            let message = format!(
                "\"{keyword} key=value\" should be used instead of legacy \"{keyword} key value\" format"
            );
            report.warn(entry, entry.node.span, message);
        }
    }
}

pub fn descriptions(subject: &Subject<'_>, report: &mut Report<'_>) {
    for entry in &subject.entries {
        let (keyword, names): (_, Vec<&str>) = match &entry.statement {
            Statement::From(Stage { name: Some(name), .. }) => ("FROM", vec![name.as_str()]),
            Statement::Instruction(Located { value: Instruction::Arg(args), .. }) => {
                ("ARG", args.iter().map(|arg| arg.name.as_str()).collect())
            }
            _ => continue,
        };
        let Some(comment) = entry.node.comments.last() else { continue };
        let first = comment.split(' ').next().unwrap_or_default();
        if names.contains(&first) {
            continue;
        }
        let name = if let [name] = names[..] { name } else { "<arg_key>" };
        let message =
            format!("Comment for {keyword} should follow the format: `# {name} <description>`");
        report.warn(entry, comment.span, message);
    }
}
