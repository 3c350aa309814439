//! BuildKit's checks of the Dockerfile, told before the build begins.

use super::plan::{Base, Plan};
use super::progress::Event;
use super::report::Report;
use super::{Error, Options};
use crate::dockerfile::Dockerfile;
use crate::dockerfile::ignore::Ignore;
use crate::dockerfile::lint::{self, Facts, Warning};
use knarr_core::image::ImageConfig;
use std::collections::BTreeMap;

/// Warns; fails if the Dockerfile wants warnings to be errors.
pub fn tell(
    dockerfile: &Dockerfile,
    options: &Options,
    ignore: Option<&Ignore>,
    plan: &Plan,
    report: &Report,
) -> Result<(), Error> {
    let warnings = warnings(dockerfile, options, ignore, plan);
    for warning in &warnings {
        let message = format!("{}: {}", warning.rule.name, warning.message);
        let line = Some(dockerfile.source.line(warning.span.start));
        report.event(Event::Warning { message: &message, line, url: Some(&warning.rule.url()) });
    }
    Ok(lint::enforce(dockerfile, &warnings)?)
}

fn warnings(
    dockerfile: &Dockerfile,
    options: &Options,
    ignore: Option<&Ignore>,
    plan: &Plan,
) -> Vec<Warning> {
    let stages = || plan.variants.iter().flat_map(|variant| &variant.stages);
    let mut bases = BTreeMap::new();
    let mut platforms = Vec::new();
    for stage in stages() {
        let Base::Image(image) = &stage.base else { continue };
        bases.entry(stage.number).or_insert_with(|| base(&image.config));
        if !image.platform.satisfies(&stage.platform) {
            let (expected, found) = (stage.platform.to_string(), image.platform.to_string());
            platforms.extend(lint::base_image_platform(
                dockerfile,
                stage.number,
                &image.reference,
                &expected,
                &found,
            ));
        }
    }
    let facts = Facts { build_args: options.args.clone(), bases, ignore, ..Facts::default() };
    let mut warnings = lint::lint(dockerfile, &facts);
    warnings.extend(platforms);
    warnings.sort_by_key(|warning| warning.span.start);
    warnings
}

fn base(config: &ImageConfig) -> lint::Base {
    let pair = |text: &String| {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        (name.to_owned(), value.to_owned())
    };
    lint::Base {
        env: config.config.env.iter().map(pair).collect(),
        shell: config.config.shell.is_some(),
    }
}
