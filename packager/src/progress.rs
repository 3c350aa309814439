//! What moving an image tells about itself while it goes on.

use knarr_core::image::Digest;

/// Where one layer (or another blob) is in its journey.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayerEvent {
    /// In the queue.
    Waiting,
    /// Nothing to transfer: it is in the store (pull) or in the registry (push) already.
    Present,
    Downloading {
        done: u64,
        total: u64,
    },
    /// The connection broke or the registry failed; the transfer goes on after a pause.
    Retrying {
        attempt: u32,
        of: u32,
    },
    /// All bytes are here; digest and size are compared.
    Verifying,
    Extracting,
    Pushing {
        done: u64,
        total: u64,
    },
    /// The registry took it over from another of its repositories.
    Mounted {
        from: String,
    },
    Done,
}

/// Receives events, possibly from several threads at once.
pub trait Progress: Sync {
    /// A layer moved on. `Downloading` and `Pushing` come for every chunk: thin them out when drawing.
    fn layer(&self, digest: &Digest, event: LayerEvent);

    /// One line about the whole: `Digest: sha256:…`.
    fn status(&self, text: &str);

    /// Something that goes on otherwise than somebody may expect; told also where nothing else is.
    fn warning(&self, text: &str) {
        self.status(&format!("warning: {text}"));
    }
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn layer(&self, _: &Digest, _: LayerEvent) {}
    fn status(&self, _: &str) {}
}
