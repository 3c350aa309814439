//! Checks of stages and what they start from.

use super::super::expand::{Scope, expand};
use super::super::predefined::PLATFORM_ARGS;
use super::super::source::Word;
use super::super::typed::Statement;
use super::{Entry, Report, Subject};
use knarr_core::image::{Platform, Reference};
use knarr_core::suggest::nearest;
use std::collections::BTreeMap;

/// The arguments that every `FROM` sees.
pub fn global_scope(subject: &Subject<'_>, build_args: &BTreeMap<String, String>) -> Scope {
    let mut scope = Scope::new(subject.dockerfile);
    for name in PLATFORM_ARGS {
        // for a check any platform will do
        let value = match *name {
            "BUILDPLATFORM" | "TARGETPLATFORM" => "linux/amd64",
            "BUILDOS" | "TARGETOS" => "linux",
            "BUILDARCH" | "TARGETARCH" => "amd64",
            "TARGETSTAGE" => "default",
            _ => "",
        };
        let known = subject.facts.platform_args.get(*name).map_or(value, String::as_str);
        scope.set(*name, build_args.get(*name).map_or(known, String::as_str));
    }
    for arg in &subject.dockerfile.args {
        let given = build_args.get(arg.name.as_str()).cloned();
        let default = || expand(arg.default.as_ref()?, &scope).ok().map(|expansion| expansion.text);
        if let Some(value) = given.or_else(default) {
            scope.set(arg.name.value.clone(), value);
        }
    }
    scope
}

pub fn duplicates(subject: &Subject<'_>, report: &mut Report<'_>) {
    let mut seen = Vec::new();
    for (entry, stage) in subject.stages() {
        let Some(name) = &stage.name else { continue };
        if seen.contains(&name.as_str()) {
            let message =
                format!("Duplicate stage name \"{}\", stage names should be unique", name.value);
            report.warn(entry, name.span, message);
        }
        seen.push(name.as_str());
    }
}

pub fn reserved(subject: &Subject<'_>, report: &mut Report<'_>) {
    for (entry, stage) in subject.stages() {
        let Some(name) = &stage.name else { continue };
        if ["context", "scratch"].contains(&name.as_str()) {
            let message = format!(
                "Stage name should not use the same name as reserved stage \"{}\"",
                name.value
            );
            report.warn(entry, name.span, message);
        }
    }
}

pub fn undefined(subject: &Subject<'_>, report: &mut Report<'_>) {
    let scope = global_scope(subject, &subject.facts.build_args);
    let declared: Vec<_> = subject.dockerfile.args.iter().map(|arg| arg.name.as_str()).collect();
    for (entry, stage) in subject.stages() {
        for word in [Some(&stage.base), stage.platform.as_ref()].into_iter().flatten() {
            let Ok(expansion) = expand(word, &scope) else { continue };
            for name in expansion.undefined.iter().filter(|name| !declared.contains(&name.as_str()))
            {
                let known = declared.iter().copied().chain(PLATFORM_ARGS.iter().copied());
                let mut message = format!("FROM argument '{name}' is not declared");
                if let Some(nearest) = nearest(name, known) {
                    message.push_str(&format!(" (did you mean {nearest}?)"));
                }
                report.warn(entry, word.span, message);
            }
        }
    }
}

/// The file alone must name images, whatever the command line may add.
pub fn invalid_default(subject: &Subject<'_>, report: &mut Report<'_>) {
    let scope = global_scope(subject, &BTreeMap::new());
    for (entry, stage) in subject.stages() {
        let Ok(expansion) = expand(&stage.base, &scope) else { continue };
        let varies = !expansion.used.is_empty() || !expansion.undefined.is_empty();
        if varies && expansion.text.parse::<Reference>().is_err() {
            let message = format!(
                "Default value for ARG {} results in empty or invalid base image name",
                stage.base.value
            );
            report.warn(entry, stage.base.span, message);
        }
    }
}

pub fn redundant_platform(subject: &Subject<'_>, report: &mut Report<'_>) {
    let mut scope = Scope::new(subject.dockerfile);
    scope.set("TARGETPLATFORM", "\u{1}");
    for (entry, word) in platforms(subject) {
        if expand(word, &scope).is_ok_and(|expansion| expansion.text == "\u{1}") {
            let message = format!(
                "Setting platform to predefined {} in FROM is redundant as this is the default behavior",
                word.value
            );
            report.warn(entry, word.span, message);
        }
    }
}

pub fn constant_platform(subject: &Subject<'_>, report: &mut Report<'_>) {
    let scope = Scope::new(subject.dockerfile);
    for (entry, word) in platforms(subject) {
        let Ok(expansion) = expand(word, &scope) else { continue };
        let Ok(platform) = expansion.text.parse::<Platform>() else { continue };
        let Statement::From(stage) = &entry.statement else { continue };
        // a stage that is named after the platform is made for it
        let name = stage.name.as_ref().map_or("", |name| name.as_str());
        let named = name.contains(&platform.os) || name.contains(&platform.architecture);
        if expansion.undefined.is_empty() && !named {
            let message = format!(
                "FROM --platform flag should not use constant value \"{}\"",
                expansion.text
            );
            report.warn(entry, word.span, message);
        }
    }
}

fn platforms<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = (&'a Entry, &'a Word)> {
    subject.stages().filter_map(|(entry, stage)| Some((entry, stage.platform.as_ref()?)))
}
