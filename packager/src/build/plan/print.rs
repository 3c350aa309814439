//! A plan as text: for golden tests and for whoever wants to see what would be done.

use super::{Base, Copy, CopySource, Operation, Origin, Plan, RunMount, StagePlan, VariantPlan};
use std::fmt::{self, Display, Formatter};

impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for variant in &self.variants {
            writeln!(f, "variant {}", variant.platform)?;
            for stage in &variant.stages {
                write_stage(f, variant, stage)?;
            }
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}

fn write_stage(f: &mut Formatter<'_>, variant: &VariantPlan, stage: &StagePlan) -> fmt::Result {
    write!(f, "  stage {} ({})", stage.label(), stage.platform)?;
    match &stage.base {
        Base::Scratch => writeln!(f, " from scratch")?,
        Base::Stage(at) => writeln!(f, " from stage {}", variant.stages[*at].label())?,
        Base::Image(image) => writeln!(f, " from image {}", image.reference)?,
    }
    for step in &stage.steps {
        writeln!(f, "    {}: {}", step.line(), step.name)?;
        match &step.operation {
            Operation::Workdir { path, user } => match user.as_str() {
                "" => writeln!(f, "      make {path}")?,
                user => writeln!(f, "      make {path} for {user}")?,
            },
            Operation::Copy(copy) => write_copy(f, variant, copy)?,
            Operation::Run(run) => {
                writeln!(f, "      args {:?}", run.args)?;
                let env: Vec<String> = run.env.iter().map(|(n, v)| format!("{n}={v}")).collect();
                writeln!(f, "      env {env:?}")?;
                writeln!(f, "      in {} as {:?}, network {:?}", run.cwd, run.user, run.network)?;
                for mount in &run.mounts {
                    write_mount(f, variant, mount)?;
                }
            }
        }
    }
    for history in &stage.history {
        let mark = if history.step.is_some() { '+' } else { '-' };
        writeln!(f, "    {mark} {}", history.created_by.replace('\n', "\\n"))?;
    }
    Ok(())
}

fn write_copy(f: &mut Formatter<'_>, variant: &VariantPlan, copy: &Copy) -> fmt::Result {
    for source in &copy.sources {
        match source {
            CopySource::Path(path) => {
                write!(f, "      {path} of {}", origin(variant, &copy.origin))?;
            }
            CopySource::Document { name, text } => write!(f, "      document {name} {text:?}")?,
            CopySource::Url { url, .. } => write!(f, "      download {url}")?,
            CopySource::Git { url, .. } => write!(f, "      repository {url}")?,
        }
        let slash = if copy.into_directory && copy.destination != "/" { "/" } else { "" };
        writeln!(f, " to {}{slash}", copy.destination)?;
    }
    if let Some(mode) = &copy.chmod {
        writeln!(f, "      mode {mode:?}")?;
    }
    if !copy.exclude.is_empty() {
        writeln!(f, "      without {:?}", copy.exclude)?;
    }
    Ok(())
}

fn write_mount(f: &mut Formatter<'_>, variant: &VariantPlan, mount: &RunMount) -> fmt::Result {
    match mount {
        RunMount::Bind { origin: from, source, target, read_only } => {
            let how = if *read_only { "read-only" } else { "writable" };
            writeln!(f, "      mount {source} of {} at {target}, {how}", origin(variant, from))
        }
        RunMount::Cache { id, target, sharing, .. } => {
            writeln!(f, "      mount cache {id} at {target}, {sharing:?}")
        }
        RunMount::Tmpfs { target, .. } => writeln!(f, "      mount tmpfs at {target}"),
        RunMount::Secret { id, target, env, .. } => {
            writeln!(f, "      secret {id} at {target:?} as {env:?}")
        }
        RunMount::Ssh { id, target, .. } => writeln!(f, "      agent {id} at {target}"),
    }
}

/// Where files come from, in words.
pub fn origin(variant: &VariantPlan, origin: &Origin) -> String {
    match origin {
        Origin::Context => "the context".into(),
        Origin::Named(name) => format!("the context {name}"),
        Origin::Stage(at) => format!("the stage {}", variant.stages[*at].label()),
        Origin::Image(at) => format!("the image {}", variant.images[*at].reference),
    }
}
