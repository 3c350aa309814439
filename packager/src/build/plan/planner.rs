//! Stages: which are needed, what they start from, and which variables they see.

use super::args::{DEFAULT_PATH, build_platform, platform_args};
use super::instruction::Stager;
use super::{Base, BaseImage, Images, Origin, Plan, StagePlan, VariantPlan};
use crate::build::options::Context;
use crate::build::{Error, Options};
use crate::dockerfile::predefined::is_proxy_arg;
use crate::dockerfile::{Dockerfile, Scope, Word, expand, parse_trigger};
use crate::registry;
use knarr_core::image::{ImageConfig, Platform, Reference};
use std::collections::{BTreeMap, BTreeSet};

/// Plans a build.
pub fn plan(
    dockerfile: &Dockerfile,
    options: &Options,
    images: &dyn Images,
) -> Result<Plan, Error> {
    let target = match &options.target {
        None => dockerfile.stages.len() - 1,
        Some(name) => dockerfile
            .stage(name)
            .ok_or_else(|| Error::NoStage { name: name.clone(), stages: names(dockerfile) })?,
    };
    let mut plan = Plan { variants: Vec::new(), warnings: Vec::new() };
    let mut used = BTreeSet::new();
    let mut warnings = BTreeSet::new();
    for platform in platforms(dockerfile, options)? {
        let mut planner = Planner {
            dockerfile,
            options,
            images,
            platform: platform.clone(),
            globals: Vec::new(),
            planned: BTreeMap::new(),
            inherited: BTreeMap::new(),
            variant: VariantPlan { platform, stages: Vec::new(), images: Vec::new() },
            used: BTreeSet::new(),
            warnings: BTreeSet::new(),
        };
        planner.globals()?;
        planner.stage(target)?;
        let last = planner.variant.stages.len() - 1;
        planner.variant.stages[last].config.config.labels.extend(options.labels.clone());
        used.append(&mut planner.used);
        warnings.append(&mut planner.warnings);
        plan.variants.push(planner.variant);
    }
    plan.warnings.extend(warnings);
    let unused: Vec<&str> = options
        .args
        .keys()
        .filter(|name| !used.contains(*name) && !is_proxy_arg(name))
        .map(String::as_str)
        .collect();
    if !unused.is_empty() {
        plan.warnings.push(format!("one or more build-args {unused:?} were not consumed"));
    }
    Ok(plan)
}

fn names(dockerfile: &Dockerfile) -> Vec<String> {
    dockerfile
        .stages
        .iter()
        .filter_map(|s| s.name.as_ref())
        .map(|name| name.value.clone())
        .collect()
}

/// Asked for, else what the Dockerfile's comment says, else this machine's own.
fn platforms(dockerfile: &Dockerfile, options: &Options) -> Result<Vec<Platform>, Error> {
    let mut platforms = options.platforms.clone();
    if platforms.is_empty() {
        for word in &dockerfile.directives.platforms {
            platforms.push(word.parse().map_err(|source| Error::Platform {
                word: word.value.clone(),
                expanded: word.value.clone(),
                source,
            })?);
        }
    }
    if platforms.is_empty() {
        platforms.push(build_platform(options));
    }
    let mut seen = BTreeSet::new();
    platforms.retain(|platform| seen.insert(platform.to_string()));
    Ok(platforms)
}

pub(super) struct Planner<'a> {
    pub dockerfile: &'a Dockerfile,
    pub options: &'a Options,
    images: &'a dyn Images,
    pub platform: Platform,
    /// `ARG`s before the first `FROM`, with their values.
    globals: Vec<(String, Option<String>)>,
    /// By number; `None` while the stage is being planned.
    planned: BTreeMap<usize, Option<usize>>,
    /// Arguments that each planned stage declared, for those that start from it.
    inherited: BTreeMap<usize, Declared>,
    pub variant: VariantPlan,
    /// Build arguments that somebody declared.
    pub used: BTreeSet<String>,
    pub warnings: BTreeSet<String>,
}

/// What a child of a stage inherits besides the plan: declared arguments in order.
pub(super) type Declared = Vec<(String, Option<String>)>;

impl Planner<'_> {
    fn globals(&mut self) -> Result<(), Error> {
        let mut scope = self.base_scope();
        for arg in &self.dockerfile.args {
            let name = expand(&arg.name, &scope)?.text;
            let value = match self.options.args.get(&name) {
                Some(value) => {
                    self.used.insert(name.clone());
                    Some(value.clone())
                }
                None => match &arg.default {
                    Some(word) => Some(expand(word, &scope)?.text),
                    // a predefined one keeps its value
                    None => scope.get(&name).map(str::to_owned),
                },
            };
            if let Some(value) = &value {
                scope.set(name.clone(), value.clone());
            }
            self.globals.push((name, value));
        }
        Ok(())
    }

    fn platform_args(&self) -> Vec<(String, String)> {
        let last = || self.dockerfile.stages.last()?.name.as_ref().map(|name| name.value.as_str());
        let stage = self.options.target.as_deref().or_else(last).unwrap_or("default");
        platform_args(self.options, &self.platform, stage)
    }

    /// What a `FROM` may name.
    fn base_scope(&self) -> Scope {
        let mut scope = Scope::new(self.dockerfile);
        for (name, value) in self.platform_args() {
            let value = self.options.args.get(&name).cloned().unwrap_or(value);
            scope.set(name, value);
        }
        for (name, value) in &self.globals {
            if let Some(value) = value {
                scope.set(name.clone(), value.clone());
            }
        }
        scope
    }

    /// The value that an `ARG` without a default has from outside the stage.
    pub fn outer(&self, name: &str) -> Option<String> {
        let global = self.globals.iter().rev().find(|(own, _)| own == name);
        let global = global.and_then(|(_, value)| value.clone());
        global.or_else(|| {
            let args = self.platform_args();
            args.into_iter().find(|(own, _)| own == name).map(|(_, value)| value)
        })
    }

    /// Plans a stage and what it needs; returns its place in the plan.
    pub fn stage(&mut self, number: usize) -> Result<usize, Error> {
        match self.planned.get(&number) {
            Some(Some(at)) => return Ok(*at),
            Some(None) => {
                let name = self.dockerfile.stages[number].name.as_ref();
                let name = name.map_or_else(|| number.to_string(), |name| name.value.clone());
                return Err(Error::Circle { name });
            }
            None => {}
        }
        self.planned.insert(number, None);
        let dockerfile = self.dockerfile;
        let stage = &dockerfile.stages[number];
        let scope = self.base_scope();
        let word = |word: &Word| Ok::<_, Error>(expand(word, &scope)?.text);
        let platform = match &stage.platform {
            None => self.platform.clone(),
            Some(flag) => {
                let expanded = word(flag)?;
                if expanded.is_empty() {
                    return Err(Error::EmptyPlatform { word: flag.value.clone() });
                }
                expanded.parse().map_err(|source| Error::Platform {
                    word: flag.value.clone(),
                    expanded: expanded.clone(),
                    source,
                })?
            }
        };
        let name = word(&stage.base)?;
        if name.is_empty() {
            return Err(Error::EmptyBase { word: stage.base.value.clone() });
        }
        let mut copied = None;
        let (base, config, declared, from_scratch) = if let Some(context) = self.context(&name) {
            match context {
                Context::Image(reference) => self.image_base(&reference, &stage.base, &platform)?,
                _ => {
                    copied = Some(name.clone());
                    scratch(&platform)
                }
            }
        } else if let Some(parent) = self.dockerfile.named_stage(&name, number) {
            let at = self.stage(parent)?;
            let parent = &self.variant.stages[at];
            let scratch = parent.from_scratch;
            (
                Base::Stage(at),
                parent.config.clone(),
                self.inherited.get(&parent.number).cloned().unwrap_or_default(),
                scratch,
            )
        } else if name == "scratch" {
            scratch(&platform)
        } else {
            self.image_base(&name, &stage.base, &platform)?
        };
        let line = dockerfile.source.line(stage.span.start);
        let mut plan = StagePlan {
            number,
            name: stage.name.as_ref().map(|name| name.value.clone()),
            platform: match &base {
                Base::Stage(at) => self.variant.stages[*at].platform.clone(),
                _ => platform,
            },
            base,
            steps: Vec::new(),
            history: Vec::new(),
            config,
            no_cache: self.is_uncached(number),
            from_scratch,
            line,
        };
        let triggers = std::mem::take(&mut plan.config.config.on_build);
        let mut stager = Stager::new(self, &mut plan, declared);
        if let Some(name) = copied {
            stager.whole_context(&name, stage.span);
        }
        for trigger in triggers {
            let parsed = parse_trigger(&trigger, "ONBUILD").map_err(|source| Error::Trigger {
                trigger: trigger.clone(),
                source: source.into(),
            })?;
            stager.trigger(&parsed)?;
        }
        for instruction in &stage.instructions {
            stager.instruction(instruction)?;
        }
        let declared = stager.declared();
        self.inherited.insert(number, declared);
        self.variant.stages.push(plan);
        let at = self.variant.stages.len() - 1;
        self.planned.insert(number, Some(at));
        Ok(at)
    }

    fn image_base(
        &mut self,
        name: &str,
        word: &Word,
        platform: &Platform,
    ) -> Result<(Base, ImageConfig, Declared, bool), Error> {
        let image = self
            .image(name, &word.value, platform)
            .map_err(|error| native_only(error, platform, true))?;
        let mut config = image.config.clone();
        config.history.clear();
        config.rootfs = Default::default();
        Ok((Base::Image(Box::new(image)), config, Vec::new(), false))
    }

    fn image(&self, name: &str, word: &str, platform: &Platform) -> Result<BaseImage, Error> {
        let reference: Reference = name.parse().map_err(|source| Error::Base {
            word: word.to_owned(),
            expanded: name.to_owned(),
            source,
        })?;
        self.images.get(&reference.to_string(), platform)
    }

    /// A named context, by the name as it is written or as images are known in full.
    fn context(&self, name: &str) -> Option<Context> {
        let contexts = &self.options.contexts;
        let found = contexts.get(name).or_else(|| contexts.get(&name.to_lowercase()));
        found.cloned().or_else(|| {
            let wanted: Reference = name.parse().ok()?;
            let is_same = |own: &str| own.parse::<Reference>().is_ok_and(|own| own == wanted);
            contexts.iter().find(|(own, _)| is_same(own)).map(|(_, context)| context.clone())
        })
    }

    /// What `--from` and `from=` name.
    pub fn origin(&mut self, name: &str, platform: &Platform) -> Result<Origin, Error> {
        match self.context(name) {
            Some(Context::Image(reference)) => return self.image_origin(&reference, platform),
            Some(_) => return Ok(Origin::Named(name.to_owned())),
            None => {}
        }
        match self.dockerfile.stage(name) {
            Some(number) => Ok(Origin::Stage(self.stage(number)?)),
            None => self.image_origin(name, platform),
        }
    }

    fn image_origin(&mut self, name: &str, platform: &Platform) -> Result<Origin, Error> {
        let image = self
            .image(name, name, platform)
            .map_err(|error| native_only(error, platform, false))?;
        let images = &mut self.variant.images;
        let at = images.iter().position(|known| known.manifest == image.manifest);
        Ok(Origin::Image(at.unwrap_or_else(|| {
            images.push(image);
            images.len() - 1
        })))
    }

    fn is_uncached(&self, number: usize) -> bool {
        let no_cache = &self.options.no_cache;
        let name = self.dockerfile.stages[number].name.as_ref();
        no_cache.all
            || no_cache.stages.iter().any(|filter| {
                name.is_some_and(|name| name.eq_ignore_ascii_case(filter))
                    || *filter == number.to_string()
            })
    }
}

/// An ordinary image for a Wasm variant: what can be done about that is another thing than for the platforms of Linux.
fn native_only(error: Error, platform: &Platform, is_base: bool) -> Error {
    match error {
        Error::Pull { reference, source }
            if platform.is_wasm() && matches!(*source, registry::Error::NoVariant { .. }) =>
        {
            let familiar = reference.parse().map(|reference: Reference| reference.familiar());
            Error::NativeOnly { reference: familiar.unwrap_or(reference), is_base, source }
        }
        other => other,
    }
}

fn scratch(platform: &Platform) -> (Base, ImageConfig, Declared, bool) {
    let mut config = ImageConfig {
        os: platform.os.clone(),
        architecture: platform.architecture.clone(),
        variant: platform.variant.clone(),
        ..ImageConfig::default()
    };
    config.config.working_dir = "/".into();
    if !platform.is_wasm() {
        config.config.env = vec![format!("PATH={DEFAULT_PATH}")];
    }
    (Base::Scratch, config, Vec::new(), true)
}
