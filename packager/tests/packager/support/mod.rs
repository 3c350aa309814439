pub mod builds;
pub mod images;
pub mod registry;
pub mod tools;

use knarr_core::image::variant::Runnable;
use knarr_core::image::{Digest, Platform};
use knarr_core::root::Root;
use knarr_core::store::Store;
use knarr_packager::registry::{Config, PullOptions, Timing};
use knarr_packager::{LayerEvent, Progress};
use std::sync::Mutex;
use std::time::Duration;
use tempfile::TempDir;

/// A store and a configuration directory of its own.
pub struct Place {
    pub directory: TempDir,
    pub store: Store,
}

impl Place {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&Root::at(directory.path().join("root"))).unwrap();
        Self { directory, store }
    }

    /// Reads configuration only from this place, and loses patience soon.
    pub fn config(&self) -> Config {
        let directory = self.directory.path().to_owned();
        let mut config = Config::from_variables(|name| match name {
            "KNARR_CONFIG" => Some(directory.join("knarr")),
            "DOCKER_CONFIG" => Some(directory.join("docker")),
            _ => None,
        })
        .unwrap();
        config.timing = Timing {
            connect: Duration::from_secs(5),
            idle: Duration::from_millis(300),
            attempts: 3,
            pause: Duration::from_millis(1),
        };
        config
    }

    pub fn write(&self, path: &str, text: &str) {
        let path = self.directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(path)).unwrap()
    }

    /// Nothing in the store: no image, no blob, no layer.
    pub fn is_empty(&self) -> bool {
        let root = self.store.root();
        self.store.images().unwrap().is_empty()
            && std::fs::read_dir(root.layers()).unwrap().next().is_none()
    }
}

pub fn options() -> PullOptions {
    PullOptions {
        platform: None,
        runnable: Runnable { wasm: true, native: vec!["linux/amd64".parse().unwrap()] },
        all_platforms: false,
    }
}

pub fn for_platform(platform: &str) -> PullOptions {
    PullOptions { platform: Some(platform.parse::<Platform>().unwrap()), ..options() }
}

/// Remembers what it is told.
#[derive(Default)]
pub struct Recorder {
    pub events: Mutex<Vec<(Digest, LayerEvent)>>,
    pub lines: Mutex<Vec<String>>,
}

impl Progress for Recorder {
    fn layer(&self, digest: &Digest, event: LayerEvent) {
        self.events.lock().unwrap().push((digest.clone(), event));
    }

    fn status(&self, text: &str) {
        self.lines.lock().unwrap().push(text.to_owned());
    }
}

impl Recorder {
    pub fn of(&self, digest: &Digest) -> Vec<LayerEvent> {
        let events = self.events.lock().unwrap();
        events.iter().filter(|(d, _)| d == digest).map(|(_, event)| event.clone()).collect()
    }
}

/// All of an error's messages and its hint, one a line.
pub fn story<E: std::error::Error + knarr_core::hint::Hint>(error: &E) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!("\n{cause}");
        source = cause.source();
    }
    if let Some(hint) = error.hint() {
        text += &format!("\nhint: {hint}");
    }
    text
}
