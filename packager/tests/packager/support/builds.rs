//! Builds without a kernel's help: steps act on directories.

use super::{Place, images, options};
use knarr_core::image::{Descriptor, ImageConfig};
use knarr_core::store::{Image, Store};
use knarr_packager::build::{
    self, BuildProgress, Built, Cancellation, Error, Event, Exit, Options, RunStep, Services,
    StepError, StepMountKind, StepRunner, Stream, VertexId,
};
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Understands a few words instead of a shell's: they act on the layer's directory.
///
/// `write PATH TEXT`, `mkdir PATH`, `remove PATH`, `env NAME PATH`, `cat MOUNT PATH`, `store MOUNT TEXT`, `exit CODE`,
/// `sleepless` (waits until it is cancelled), `fail`; several are separated by `&&`.
#[derive(Default)]
pub struct Runner {
    pub steps: Mutex<Vec<RunStep>>,
}

impl Runner {
    pub fn count(&self) -> usize {
        self.steps.lock().unwrap().len()
    }

    fn one(
        &self,
        step: &RunStep,
        words: &[&str],
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Exit, StepError> {
        let upper = |path: &str| step.rootfs.upper.join(path.trim_start_matches('/'));
        match words {
            ["write", path, text] => {
                std::fs::create_dir_all(upper(path).parent().unwrap())?;
                std::fs::write(upper(path), text)?;
            }
            ["mkdir", path] => std::fs::create_dir_all(upper(path))?,
            ["remove", path] => {
                std::fs::create_dir_all(upper(path).parent().unwrap())?;
                rustix::fs::mknodat(
                    rustix::fs::CWD,
                    upper(path),
                    rustix::fs::FileType::CharacterDevice,
                    rustix::fs::Mode::empty(),
                    0,
                )?;
            }
            ["env", name, path] => {
                let prefix = format!("{name}=");
                let value = step.env.iter().find_map(|entry| entry.strip_prefix(&prefix));
                std::fs::write(upper(path), value.unwrap_or("unset"))?;
            }
            ["cat", mount, path] => std::fs::write(upper(path), read_mount(step, mount)?)?,
            ["length", mount, path] => {
                std::fs::write(upper(path), read_mount(step, mount)?.len().to_string())?;
            }
            ["store", mount, text] => std::fs::write(mount_source(step, mount)?, text)?,
            ["say", text] => output(Stream::Stdout, format!("{text}\n").as_bytes()),
            ["exit", code] => return Ok(Exit::Code(code.parse()?)),
            ["fail"] => return Err("the engine failed".into()),
            ["sleepless"] => {
                let (tell, told) = std::sync::mpsc::channel();
                let _listening = step.cancellation.on_cancel(move || tell.send(()).unwrap());
                told.recv()?;
                return Ok(Exit::Signal(9));
            }
            other => return Err(format!("{other:?} is no command").into()),
        }
        Ok(Exit::Code(0))
    }
}

/// Splits `/mount/path` into the mount that has it and its place on the host.
fn mount_source(step: &RunStep, path: &str) -> Result<PathBuf, StepError> {
    for mount in &step.mounts {
        let Some(rest) = path.strip_prefix(&mount.target) else { continue };
        let rest = rest.trim_start_matches('/');
        return Ok(match &mount.kind {
            StepMountKind::Bind { source, .. } if rest.is_empty() => source.clone(),
            StepMountKind::Bind { source, .. } => source.join(rest),
            StepMountKind::Overlay { rootfs, sub, .. } => {
                let place = Path::new(sub).join(rest);
                let layers = rootfs.lower.iter().map(|layer| layer.join(&place));
                layers.into_iter().find(|path| path.exists()).ok_or("not in the layers")?
            }
            other => return Err(format!("{other:?} has no path").into()),
        });
    }
    Err(format!("no mount at {path}").into())
}

fn read_mount(step: &RunStep, path: &str) -> Result<Vec<u8>, StepError> {
    for mount in &step.mounts {
        if let (true, StepMountKind::Secret { content, .. }) = (mount.target == path, &mount.kind) {
            return Ok(content.to_vec());
        }
    }
    Ok(std::fs::read(mount_source(step, path)?)?)
}

impl StepRunner for Runner {
    fn run(
        &self,
        step: &RunStep,
        output: &mut dyn FnMut(Stream, &[u8]),
    ) -> Result<Exit, StepError> {
        self.steps.lock().unwrap().push(step.clone());
        std::fs::create_dir_all(&step.rootfs.upper)?;
        // what an engine leaves behind: the places it mounted on
        for stub in ["proc", "dev", "etc"] {
            std::fs::create_dir_all(step.rootfs.upper.join(stub))?;
        }
        std::fs::write(step.rootfs.upper.join("etc/resolv.conf"), "")?;
        let text = match step.args.as_slice() {
            [shell, _, text] if shell == "/bin/sh" => text.clone(),
            args => args.join(" "),
        };
        for command in text.split("&&") {
            let words = command.split_whitespace().collect::<Vec<_>>();
            let exit = self.one(step, &words, output)?;
            if !exit.is_success() {
                return Ok(exit);
            }
        }
        Ok(Exit::Code(0))
    }
}

/// Remembers what happened to each vertex.
#[derive(Default)]
pub struct Log {
    pub names: Mutex<HashMap<VertexId, String>>,
    /// `CACHED`, `DONE`, `ERROR …`, `CANCELED`, in the order of events, with names.
    pub lines: Mutex<Vec<String>>,
    pub output: Mutex<Vec<u8>>,
}

impl BuildProgress for Log {
    fn event(&self, event: Event) {
        let line = |what: &str, id: VertexId| {
            let names = self.names.lock().unwrap();
            self.lines.lock().unwrap().push(format!("{what} {}", names[&id]));
        };
        match event {
            Event::Vertexes(vertexes) => {
                let mut names = self.names.lock().unwrap();
                names.extend(vertexes.iter().map(|v| (v.id, v.name.clone())));
            }
            Event::Cached(id) => line("CACHED", id),
            Event::Done { vertex, .. } => line("DONE", vertex),
            Event::Failed { vertex, error } => line(&format!("ERROR {error}:"), vertex),
            Event::Cancelled(id) => line("CANCELED", id),
            Event::Output { bytes, .. } => self.output.lock().unwrap().extend(bytes),
            Event::Warning { message, .. } => {
                self.lines.lock().unwrap().push(format!("WARNING {message}"));
            }
            _ => {}
        }
    }
}

impl Log {
    /// What happened to the vertexes whose names contain a text.
    pub fn of(&self, text: &str) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        let found = lines.iter().filter(|line| line.contains(text));
        found.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
    }

    pub fn warnings(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter_map(|line| line.strip_prefix("WARNING ").map(str::to_owned)).collect()
    }
}

/// A context and a store of their own.
pub struct Project {
    pub place: Place,
    pub runner: Runner,
    pub options: Options,
}

impl Project {
    pub fn new(dockerfile: &str) -> Self {
        let place = Place::new();
        let context = place.directory.path().join("context");
        std::fs::create_dir(&context).unwrap();
        let options = Options::of_folder(&context, options().runnable);
        let project = Self { place, runner: Runner::default(), options };
        project.file("Dockerfile", dockerfile);
        project
    }

    pub fn context(&self) -> PathBuf {
        self.place.directory.path().join("context")
    }

    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.context().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        path
    }

    pub fn store(&self) -> &Store {
        &self.place.store
    }

    pub fn build_with(&self, log: &Log) -> Result<Built, Error> {
        let config = || Ok(self.place.config());
        let services = Services {
            runner: &self.runner,
            progress: log,
            registry: &config,
            cancellation: Cancellation::default(),
        };
        build::build(self.store(), &self.options, &services)
    }

    /// Builds, and returns what happened.
    pub fn build(&self) -> (Built, Log) {
        let log = Log::default();
        let built = self.build_with(&log).unwrap_or_else(|e| panic!("{}", super::story(&e)));
        (built, log)
    }

    /// The error of a build that fails, with its causes.
    pub fn fails(&self) -> String {
        let error = self.build_with(&Log::default()).unwrap_err();
        super::story(&error)
    }

    pub fn config(&self, built: &Built) -> ImageConfig {
        config(self.store(), &built.variants[0].manifest)
    }

    /// Mode, owner and content of every file in the image, one a line.
    pub fn files(&self, built: &Built) -> Vec<String> {
        let manifest = self.store().manifest(built.variants[0].manifest.digest()).unwrap();
        let config = self.store().config(&manifest).unwrap();
        let chains = self.store().unpack(&manifest, &config).unwrap();
        let layers: Vec<PathBuf> =
            chains.iter().rev().map(|chain| self.store().layer_path(chain)).collect();
        let merged = tempfile::tempdir().unwrap();
        if !layers.is_empty() {
            knarr_core::store::copy_merged(&layers, merged.path(), None).unwrap();
        }
        let mut lines = Vec::new();
        list(merged.path(), Path::new(""), &mut lines);
        lines
    }
}

pub fn config(store: &Store, manifest: &Descriptor) -> ImageConfig {
    store.config(&store.manifest(manifest.digest()).unwrap()).unwrap()
}

fn list(root: &Path, path: &Path, lines: &mut Vec<String>) {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let mut names: Vec<_> =
        std::fs::read_dir(root.join(path)).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    for name in names {
        let here = path.join(name);
        let whole = root.join(&here);
        let metadata = whole.symlink_metadata().unwrap();
        let owner = format!("{}:{}", metadata.uid(), metadata.gid());
        let mode = metadata.mode() & 0o7777;
        if metadata.is_dir() {
            lines.push(format!("{}/ {mode:o} {owner}", here.display()));
            list(root, &here, lines);
        } else if metadata.is_symlink() {
            let target = std::fs::read_link(&whole).unwrap();
            lines.push(format!("{} -> {}", here.display(), target.display()));
        } else if metadata.file_type().is_fifo() {
            lines.push(format!("{} fifo", here.display()));
        } else if metadata.file_type().is_char_device() {
            lines.push(format!("{} device", here.display()));
        } else {
            let text = std::fs::read(&whole).unwrap();
            let text = String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned();
            lines.push(format!("{} {mode:o} {owner} {text:?}", here.display()));
        }
    }
}

/// A base image of these files, under a name.
pub fn base(store: &Store, name: &str, platform: &str, files: &[(&str, &[u8])]) -> Image {
    let descriptor = images::manifest(store, platform, &[images::tar(files)]);
    let reference: knarr_core::image::Reference = name.parse().unwrap();
    store.tag(&reference, descriptor.clone()).unwrap();
    Image { reference: Some(reference), descriptor }
}
