//! `COPY` and `ADD`: what is taken from where.

use super::instruction::{Stager, refused};
use super::{Copy, CopySource, Operation, Origin};
use crate::build::Error;
use crate::build::steps::mode::ChangeMode;
use crate::dockerfile::Span;
use crate::dockerfile::ast::{self, Add, CopyOptions};

impl Stager<'_, '_> {
    pub(super) fn copy(&mut self, copy: &ast::Copy, span: Span) -> Result<(), Error> {
        let platform = self.plan.platform.clone();
        let origin = match &copy.from {
            None => Origin::Context,
            Some(name) => self.planner.origin(name, &platform)?,
        };
        let sources = copy.sources.iter().map(plain_source).collect();
        let flags = copy.from.as_ref().map(|from| format!("--from={}", from.value));
        let planned = self.planned_copy(sources, origin, &copy.destination, &copy.options)?;
        let planned = Copy { parents: copy.parents, ..planned };
        self.copy_step("COPY", flags, planned, &copy.destination, &copy.options, span);
        Ok(())
    }

    pub(super) fn add(&mut self, add: &Add, span: Span) -> Result<(), Error> {
        let checksum = add.checksum.as_ref().map(|word| word.value.clone());
        let mut sources = Vec::new();
        for source in &add.sources {
            sources.push(match plain_source(source) {
                CopySource::Path(text) if crate::build::remote::is_git(&text) => CopySource::Git {
                    url: text,
                    keep_git_dir: add.keep_git_dir.unwrap_or(false),
                    checksum: checksum.clone(),
                },
                CopySource::Path(text) if crate::build::remote::is_url(&text) => {
                    CopySource::Url { url: text, checksum: checksum.clone() }
                }
                other => other,
            });
        }
        let is_remote =
            |s: &CopySource| matches!(s, CopySource::Git { .. } | CopySource::Url { .. });
        if checksum.is_some() && (sources.len() != 1 || !is_remote(&sources[0])) {
            return Err(refused("ADD --checksum", "it is about one URL or one git repository"));
        }
        let planned =
            self.planned_copy(sources, Origin::Context, &add.destination, &add.options)?;
        let planned = Copy {
            unpack: add.unpack.unwrap_or(true),
            unpack_downloads: add.unpack.unwrap_or(false),
            ..planned
        };
        self.copy_step("ADD", None, planned, &add.destination, &add.options, span);
        Ok(())
    }

    /// All files of a named context: what `FROM` of one means.
    pub fn whole_context(&mut self, name: &str, span: Span) {
        let copy = Copy {
            sources: vec![CopySource::Path("/".into())],
            origin: Origin::Named(name.to_owned()),
            destination: "/".into(),
            into_directory: true,
            chown: None,
            chmod: None,
            exclude: Vec::new(),
            parents: false,
            link: false,
            unpack: false,
            unpack_downloads: false,
        };
        let text = format!("COPY --from={name} / /");
        let created_by = format!("{text} # buildkit");
        self.step(text, span, created_by, Operation::Copy(Box::new(copy)));
    }

    fn planned_copy(
        &self,
        sources: Vec<CopySource>,
        origin: Origin,
        destination: &str,
        options: &CopyOptions,
    ) -> Result<Copy, Error> {
        let last = destination.rsplit('/').next().unwrap_or_default();
        let into_directory = matches!(last, "" | "." | "..");
        if sources.len() > 1 && !into_directory {
            return Err(Error::NotAFolder { destination: destination.to_owned() });
        }
        Ok(Copy {
            sources,
            origin,
            destination: self.absolute(destination),
            into_directory,
            chown: options.chown.as_ref().map(|w| w.value.clone()).filter(|w| !w.is_empty()),
            chmod: match &options.chmod {
                Some(mode) if !mode.is_empty() => Some(ChangeMode::parse(mode)?),
                _ => None,
            },
            exclude: options.exclude.iter().map(|word| word.value.clone()).collect(),
            parents: false,
            link: options.link,
            unpack: false,
            unpack_downloads: false,
        })
    }

    fn copy_step(
        &mut self,
        keyword: &str,
        flags: Option<String>,
        copy: Copy,
        destination: &str,
        options: &CopyOptions,
        span: Span,
    ) {
        // the history has what changes the files, and not where they come from or how the layer is made
        let mut changes = Vec::new();
        if copy.parents {
            changes.push("--parents".to_owned());
        }
        if let Some(owner) = &copy.chown {
            changes.push(format!("--chown={owner}"));
        }
        if let Some(mode) = options.chmod.as_ref().filter(|_| copy.chmod.is_some()) {
            changes.push(format!("--chmod={}", mode.value));
        }
        let mut paths: Vec<String> = copy
            .sources
            .iter()
            .map(|source| match source {
                CopySource::Path(text) => text.clone(),
                CopySource::Document { name, .. } => format!("<<{name}"),
                CopySource::Url { url, .. } | CopySource::Git { url, .. } => url.clone(),
            })
            .collect();
        paths.push(destination.to_owned());
        let (changes, paths) = (changes.join(" "), paths.join(" "));
        let flags = flags.unwrap_or_default();
        let link = if copy.link { "--link" } else { "" };
        let line = |words: &[&str]| {
            let words: Vec<&str> = words.iter().copied().filter(|word| !word.is_empty()).collect();
            words.join(" ")
        };
        let created_by = line(&[keyword, &changes, &paths, "# buildkit"]);
        let shown = line(&[keyword, &flags, &changes, link, &paths]);
        self.step(shown, span, created_by, Operation::Copy(Box::new(copy)));
    }
}

fn plain_source(source: &ast::CopySource) -> CopySource {
    match source {
        ast::CopySource::Path(word) => CopySource::Path(word.value.clone()),
        ast::CopySource::Document(document) => {
            CopySource::Document { name: document.name.clone(), text: document.text() }
        }
    }
}
