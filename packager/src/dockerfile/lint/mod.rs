//! What is no error but asks for trouble: BuildKit's build checks, under their names.
//! <https://docs.docker.com/reference/build-checks/>

mod from;
mod state;
mod style;
mod values;

use super::ast::{Checks, Dockerfile, Rules, Stage};
use super::directives;
use super::excerpt::Excerpt;
use super::ignore::Ignore;
use super::lines::Lines;
use super::source::Span;
use super::tree::{self, Node};
use super::typed::{self, Statement};
use std::collections::BTreeMap;
use std::fmt;

/// A check.
pub struct Rule {
    /// What `# check=skip=` calls it.
    pub name: &'static str,
    pub description: &'static str,
    /// Off unless `# check=experimental=` names it.
    pub experimental: bool,
    check: fn(&Subject<'_>, &mut Report<'_>),
}

impl Rule {
    /// The page that explains it.
    pub fn url(&self) -> String {
        let mut words = String::new();
        let characters: Vec<_> = self.name.chars().collect();
        for (at, character) in characters.iter().enumerate() {
            // JSONArgs → json-args
            let starts = character.is_uppercase()
                && at > 0
                && (characters[at - 1].is_lowercase()
                    || characters.get(at + 1).is_some_and(|next| next.is_lowercase()));
            if starts {
                words.push('-');
            }
            words.extend(character.to_lowercase());
        }
        format!("https://docs.docker.com/go/dockerfile/rule/{words}/")
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name)
    }
}

/// All checks.
pub static RULES: &[Rule] = &[
    rule("StageNameCasing", "Stage names should be lowercase", style::stage_names),
    rule(
        "FromAsCasing",
        "The 'as' keyword should match the case of the 'from' keyword",
        style::from_as,
    ),
    rule(
        "NoEmptyContinuation",
        "Empty continuation lines will become errors in a future release",
        style::continuations,
    ),
    rule(
        "ConsistentInstructionCasing",
        "All commands within the Dockerfile should use the same casing (either upper or lower)",
        style::keywords,
    ),
    rule("DuplicateStageName", "Stage names should be unique", from::duplicates),
    rule("ReservedStageName", "Reserved words should not be used as stage names", from::reserved),
    rule(
        "JSONArgsRecommended",
        "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior related to OS signals",
        values::json_arguments,
    ),
    rule(
        "MaintainerDeprecated",
        "The MAINTAINER instruction is deprecated, use a label instead to define an image author",
        style::maintainer,
    ),
    rule("UndefinedArgInFrom", "FROM command must use declared ARGs", from::undefined),
    rule(
        "WorkdirRelativePath",
        "Relative workdir without an absolute workdir declared within the build can have unexpected results if the base \
         image changes",
        values::workdir,
    ),
    rule("UndefinedVar", "Variables should be defined before their use", values::undefined),
    rule(
        "MultipleInstructionsDisallowed",
        "Multiple instructions of the same type should not be used in the same stage",
        values::repeated,
    ),
    rule(
        "LegacyKeyValueFormat",
        "Legacy key/value format with whitespace separator should not be used",
        style::legacy_pairs,
    ),
    rule(
        "InvalidBaseImagePlatform",
        "Base image platform does not match expected target platform",
        base_platform_later,
    ),
    rule(
        "RedundantTargetPlatform",
        "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior",
        from::redundant_platform,
    ),
    rule(
        "SecretsUsedInArgOrEnv",
        "Sensitive data should not be used in the ARG or ENV commands",
        values::secrets,
    ),
    rule(
        "InvalidDefaultArgInFrom",
        "Default value for global ARG results in an empty or invalid base image name",
        from::invalid_default,
    ),
    rule(
        "FromPlatformFlagConstDisallowed",
        "FROM --platform flag should not use a constant value",
        from::constant_platform,
    ),
    rule(
        "CopyIgnoredFile",
        "Attempting to Copy file that is excluded by .dockerignore",
        values::ignored,
    ),
    Rule {
        experimental: true,
        ..rule(
            "InvalidDefinitionDescription",
            "Comment for build stage or argument should follow the format: `# <arg/stage name> <description>`. If this is \
             not intended to be a description comment, add an empty line or comment between the instruction and the \
             comment.",
            style::descriptions,
        )
    },
    rule(
        "ExposeProtoCasing",
        "Protocol in EXPOSE instruction should be lowercase",
        values::protocols,
    ),
    rule(
        "ExposeInvalidFormat",
        "IP address and host-port mapping should not be used in EXPOSE instruction. This will become an error in a future \
         release",
        values::port_mappings,
    ),
];

const fn rule(
    name: &'static str,
    description: &'static str,
    check: fn(&Subject<'_>, &mut Report<'_>),
) -> Rule {
    Rule { name, description, experimental: false, check }
}

/// What only the pulled image can tell: [`base_image_platform`].
fn base_platform_later(_: &Subject<'_>, _: &mut Report<'_>) {}

/// What is known besides the file. The less is known, the fewer rules can speak; none then speaks wrongly.
#[derive(Debug, Clone, Default)]
pub struct Facts<'a> {
    /// `--build-arg`.
    pub build_args: BTreeMap<String, String>,
    /// The values of [`super::predefined::PLATFORM_ARGS`].
    pub platform_args: BTreeMap<String, String>,
    /// The images that stages start from, by the stage's number, where they have been looked at.
    pub bases: BTreeMap<usize, Base>,
    pub ignore: Option<&'a Ignore>,
}

/// What matters of a base image's config.
#[derive(Debug, Clone, Default)]
pub struct Base {
    /// Names and values.
    pub env: Vec<(String, String)>,
    /// It has a `SHELL`.
    pub shell: bool,
}

/// A rule that speaks up about a place.
#[derive(Debug, Clone)]
pub struct Warning {
    pub rule: &'static Rule,
    pub message: String,
    pub span: Span,
    pub excerpt: Box<Excerpt>,
}

impl fmt::Display for Warning {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}\n{}", self.rule.name, self.message, self.excerpt)
    }
}

/// `# check=error=true` and a warning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'# check=error=true' does not allow these warnings: {}", .rules.join(", "))]
pub struct Refused {
    pub rules: Vec<&'static str>,
}

impl knarr_core::hint::Hint for Refused {}

/// Runs all checks that the file doesn't skip. The warnings come in the order of the lines.
pub fn lint(dockerfile: &Dockerfile, facts: &Facts<'_>) -> Vec<Warning> {
    let Some(subject) = Subject::new(dockerfile, facts) else { return Vec::new() };
    let mut report = Report { subject: &subject, rule: &RULES[0], warnings: Vec::new() };
    for rule in RULES {
        report.rule = rule;
        (rule.check)(&subject, &mut report);
    }
    let mut warnings = report.warnings;
    warnings.sort_by_key(|warning| warning.span.start);
    warnings
}

/// Fails if the file wants warnings to be errors and there are some.
pub fn enforce(dockerfile: &Dockerfile, warnings: &[Warning]) -> Result<(), Refused> {
    if !dockerfile.directives.check.error || warnings.is_empty() {
        return Ok(());
    }
    let mut rules: Vec<_> = warnings.iter().map(|warning| warning.rule.name).collect();
    rules.sort_unstable();
    rules.dedup();
    Err(Refused { rules })
}

/// The warning that a stage's base image is of another platform than the one that is built; nothing if it is skipped.
pub fn base_image_platform(
    dockerfile: &Dockerfile,
    stage: usize,
    image: &str,
    expected: &str,
    found: &str,
) -> Option<Warning> {
    let rule = RULES.iter().find(|rule| rule.name == "InvalidBaseImagePlatform")?;
    let stage = dockerfile.stages.get(stage)?;
    if !is_on(rule, &dockerfile.directives.check) {
        return None;
    }
    let message = format!(
        "Base image {image} was pulled with platform \"{found}\", expected \"{expected}\" for current build"
    );
    let excerpt = Box::new(Excerpt::new(&dockerfile.source, stage.base.span));
    Some(Warning { rule, message, span: stage.base.span, excerpt })
}

fn is_on(rule: &Rule, checks: &Checks) -> bool {
    match rule.experimental {
        true => checks.experimental.contains(rule.name),
        false => !checks.skip.contains(rule.name),
    }
}

/// The file as the checks see it.
struct Subject<'a> {
    dockerfile: &'a Dockerfile,
    facts: &'a Facts<'a>,
    /// The instructions in order, both as written and as read.
    entries: Vec<Entry>,
}

struct Entry {
    node: Node,
    statement: Statement,
    /// The number of the stage that it starts or stands in; `None` before the first.
    stage: Option<usize>,
    /// The file's checks and those of the comment above.
    checks: Checks,
}

impl<'a> Subject<'a> {
    fn new(dockerfile: &'a Dockerfile, facts: &'a Facts<'a>) -> Option<Self> {
        let source = &dockerfile.source;
        let mut entries = Vec::new();
        let mut stage = None;
        // it has been read before, so that it can be read again
        for node in tree::read(source, &mut Lines::new(source)).ok()? {
            let statement = typed::statement(source, &node).ok()?;
            if matches!(statement, Statement::From(_)) {
                stage = Some(stage.map_or(0, |number: usize| number + 1));
            }
            let checks = checks_above(&dockerfile.directives.check, &node);
            entries.push(Entry { node, statement, stage, checks });
        }
        Some(Self { dockerfile, facts, entries })
    }

    fn stages(&self) -> impl Iterator<Item = (&Entry, &Stage)> {
        self.entries.iter().filter_map(|entry| match &entry.statement {
            Statement::From(stage) => Some((entry, stage)),
            Statement::Instruction(_) => None,
        })
    }
}

/// `# check=skip=…` above an instruction holds for it alone.
fn checks_above(file: &Checks, node: &Node) -> Checks {
    let mut checks = file.clone();
    let own = node.comments.iter().find_map(|comment| {
        let (name, value) = comment.split_once('=')?;
        let value = value.trim().split(' ').next()?;
        name.trim().eq_ignore_ascii_case("check").then(|| directives::checks(value).ok())?
    });
    if let Some(own) = own {
        add(&mut checks.skip, own.skip);
        add(&mut checks.experimental, own.experimental);
    }
    checks
}

fn add(rules: &mut Rules, more: Rules) {
    match (rules, more) {
        (Rules::All, _) => {}
        (Rules::Named(names), Rules::Named(more)) => names.extend(more),
        (rules, Rules::All) => *rules = Rules::All,
    }
}

/// Where the checks put what they find.
struct Report<'a> {
    subject: &'a Subject<'a>,
    rule: &'static Rule,
    warnings: Vec<Warning>,
}

impl Report<'_> {
    fn warn(&mut self, entry: &Entry, span: Span, message: impl Into<String>) {
        if is_on(self.rule, &entry.checks) {
            let excerpt = Box::new(Excerpt::new(&self.subject.dockerfile.source, span));
            self.warnings.push(Warning { rule: self.rule, message: message.into(), span, excerpt });
        }
    }
}

#[cfg(test)]
mod tests;
