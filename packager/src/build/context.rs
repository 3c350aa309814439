//! Contexts: where `COPY` without `--from` reads, and where the Dockerfile is.

use super::cache::hashes::Hashes;
use super::files::Files;
use super::git;
use super::options::{Context, DockerfileSource};
use super::remote::Repository;
use super::walk::{Ignored, Source};
use super::{Error, Options};
use crate::dockerfile::ignore::Ignore;
use knarr_core::fsx::{self, Context as _};
use knarr_core::root::Root;
use knarr_core::store::unpack_archive;
use knarr_core::sys;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// A Dockerfile larger than this is none.
const DOCKERFILE_LIMIT: u64 = 4 << 20;

/// A context that is ready to be read.
pub struct Opened {
    pub files: Files,
    pub label: String,
    ignore: Option<Rules>,
    pub hashes: Option<Hashes>,
    /// The folder of the host, for the labels of its repository.
    pub folder: Option<PathBuf>,
    /// The commit of a git context.
    pub commit: Option<String>,
    /// Holds what was unpacked for this build.
    _temporary: Option<tempfile::TempDir>,
}

struct Rules(Ignore);

impl Ignored for Rules {
    fn is_ignored(&self, path: &[u8]) -> bool {
        self.0.is_ignored(&String::from_utf8_lossy(path))
    }

    fn may_keep_below(&self, directory: &[u8]) -> bool {
        self.0.may_contain_exceptions(&String::from_utf8_lossy(directory))
    }
}

/// `--exclude`
pub fn excluding(patterns: &[String]) -> Result<Option<Box<dyn Ignored>>, Error> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let rules = Ignore::new(patterns.iter().map(String::as_str))
        .map_err(|_| Error::Pattern { pattern: patterns.join(" ") })?;
    Ok(Some(Box::new(Rules(rules))))
}

impl Opened {
    pub fn source(&self) -> Source<'_> {
        Source {
            files: &self.files,
            ignored: self.ignore.as_ref().map(|rules| rules as &dyn Ignored),
            label: &self.label,
            is_context: true,
        }
    }

    pub fn ignore(&self) -> Option<&Ignore> {
        self.ignore.as_ref().map(|rules| &rules.0)
    }

    /// Opens a context; what has to be fetched or unpacked first goes into a temporary folder of the cache.
    pub fn open(root: &Root, context: &Context, label: &str) -> Result<Self, Error> {
        let failed = |path: &Path| {
            let path = path.display().to_string();
            let place = "as a context".to_owned();
            move |source| Error::Content { operation: "open", path, place, source }
        };
        let mut temporary = None;
        let mut commit = None;
        let mut folder_of_host = None;
        let mut make_temporary = || -> Result<PathBuf, Error> {
            let folder = root.build_cache();
            fsx::create_dir_all(&folder)?;
            let made = tempfile::Builder::new()
                .prefix("context-")
                .tempdir_in(&folder)
                .at("create a directory in", &folder)?;
            let path = made.path().to_owned();
            temporary = Some(made);
            Ok(path)
        };
        let files = match context {
            Context::Folder(folder) => {
                folder_of_host = Some(folder.clone());
                Files::of_folder(folder).map_err(failed(folder))?
            }
            Context::Tar(path) => {
                let into = make_temporary()?;
                let what = path.display().to_string();
                let archive = fsx::open(path)?;
                let folder = into.join("files");
                fsx::create_dir(&folder)?;
                unpack_archive(archive, &folder, None)
                    .map_err(|e| Error::Unpack { what: what.clone(), source: e.into() })?;
                Files::of_folder(&folder).map_err(failed(&folder))?
            }
            Context::Git(text) => {
                let folder = make_temporary()?;
                let repository = Repository::parse(text)?;
                let resolved = repository.commit()?;
                repository.check_out(&resolved, &folder, false)?;
                commit = Some(resolved);
                let inner = match &repository.folder {
                    None => folder,
                    Some(inner) => {
                        let clean = super::files::clean(inner.as_bytes());
                        let files = Files::of_folder(&folder).map_err(failed(&folder))?;
                        let found = files.resolve(&clean, true).map_err(failed(&folder))?;
                        let found = found.filter(|found| found.is_directory);
                        let found = found.ok_or_else(|| Error::NotFound {
                            path: inner.clone(),
                            place: repository.url.clone(),
                        })?;
                        folder.join(super::files::to_path(&found.path))
                    }
                };
                Files::of_folder(&inner).map_err(failed(&inner))?
            }
            // files of an image are no context; a plan copies from the image
            Context::Image(_) | Context::Empty => Files::Layers(Vec::new()),
        };
        let hashes = match context {
            Context::Folder(folder) => {
                let absolute = std::path::absolute(folder).map_err(failed(folder))?;
                Some(Hashes::open(root, &absolute)?)
            }
            _ => None,
        };
        Ok(Self {
            files,
            label: label.to_owned(),
            ignore: None,
            hashes,
            folder: folder_of_host,
            commit,
            _temporary: temporary,
        })
    }

    /// Reads the rules that belong to a Dockerfile: `NAME.dockerignore` beside it, wherever that is, else the context's
    /// own `.dockerignore`.
    pub fn read_ignore(&mut self, dockerfile: Option<&DockerfileSource>) -> Result<(), Error> {
        let beside = match dockerfile {
            None | Some(DockerfileSource::Text(_)) => None,
            Some(DockerfileSource::Default) => {
                self.ignore_at(&self.files, "Dockerfile".as_ref())?
            }
            Some(DockerfileSource::InContext(path)) => self.ignore_at(&self.files, path)?,
            Some(DockerfileSource::File(path)) => {
                // how the path is spelled, and whether it is in the context, does not matter
                let (folder, name) = (path.parent(), path.file_name().unwrap_or_default());
                let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
                let folder = folder.unwrap_or(Path::new("."));
                let files = Files::of_folder(folder).map_err(|source| Error::Content {
                    operation: "open",
                    path: folder.display().to_string(),
                    place: "where the Dockerfile is".into(),
                    source,
                })?;
                self.ignore_at(&files, name.as_ref())?
            }
        };
        let found = match beside {
            Some(found) => Some(found),
            None => {
                let own = self.read(&self.files, Path::new(".dockerignore"))?;
                own.map(|bytes| (".dockerignore".to_owned(), bytes))
            }
        };
        if let Some((name, bytes)) = found {
            let rules = Ignore::parse(&bytes, &name)?;
            self.ignore = (!rules.is_empty()).then_some(Rules(rules));
        }
        Ok(())
    }

    /// The ignore file that belongs to one Dockerfile, with its name.
    fn ignore_at(
        &self,
        files: &Files,
        dockerfile: &Path,
    ) -> Result<Option<(String, Vec<u8>)>, Error> {
        let mut name = dockerfile.as_os_str().to_owned();
        name.push(".dockerignore");
        let bytes = self.read(files, Path::new(&name))?;
        Ok(bytes.map(|bytes| (Path::new(&name).display().to_string(), bytes)))
    }

    /// Reads a small file, whatever is ignored. Links end at the root of the files.
    fn read(&self, files: &Files, path: &Path) -> Result<Option<Vec<u8>>, Error> {
        let name = path.as_os_str().as_encoded_bytes();
        let failed = |source| Error::Content {
            operation: "read",
            path: path.display().to_string(),
            place: format!("in {}", self.label),
            source,
        };
        let Some(found) = files.resolve(name, true).map_err(failed)? else { return Ok(None) };
        let Some((_place, entry)) = files.entry(&found.path).map_err(failed)? else {
            return Ok(None);
        };
        if found.is_directory || sys::look(&entry.real).map_err(failed)?.0.special.is_some() {
            return Err(failed(ErrorKind::InvalidInput.into()));
        }
        let mut bytes = Vec::new();
        let file = sys::open_itself(&entry.real).map_err(failed)?;
        file.take(DOCKERFILE_LIMIT).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some(bytes))
    }

    /// The Dockerfile, and what messages call it.
    pub fn dockerfile(&self, options: &Options) -> Result<(Vec<u8>, String), Error> {
        let in_context = |path: &Path| match self.read(&self.files, path)? {
            Some(bytes) => Ok((bytes, path.display().to_string())),
            None => Err(Error::NoDockerfile { path: path.to_owned() }),
        };
        match &options.dockerfile {
            DockerfileSource::Default => in_context(Path::new("Dockerfile")),
            DockerfileSource::InContext(path) => in_context(path),
            DockerfileSource::File(path) => Ok((fsx::read(path)?, path.display().to_string())),
            DockerfileSource::Text(text) => Ok((text.clone(), "Dockerfile".into())),
        }
    }
}

/// Labels of the repository that a context is.
pub fn git_labels(context: &Opened) -> Vec<(String, String)> {
    let Some(folder) = &context.folder else {
        let commit = context.commit.clone();
        return commit
            .map(|commit| ("org.opencontainers.image.revision".to_owned(), commit))
            .into_iter()
            .collect();
    };
    let Some((commit, origin)) = git::describe(folder) else { return Vec::new() };
    let mut labels = vec![("org.opencontainers.image.revision".to_owned(), commit)];
    labels.extend(origin.map(|url| ("org.opencontainers.image.source".to_owned(), url)));
    labels
}
