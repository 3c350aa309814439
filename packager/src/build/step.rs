//! The one thing that a build cannot do itself: run a process in a root file system.

use super::options::StepNetwork;
use knarr_core::image::Platform;
use knarr_core::spec::limits::Limits;
use knarr_core::store::snapshot::Snapshot;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// Runs one `RUN`. Called from several threads at once.
pub trait StepRunner: Sync {
    /// Runs the step to its end, whatever its exit code is. What it prints goes to `output` as it comes.
    ///
    /// What it changes in its root file system is in [`Snapshot::upper`] afterwards, in overlayfs's form; nothing else of
    /// it is left: no process, no mount. When [`RunStep::cancellation`] is used, the step is killed.
    fn run(&self, step: &RunStep, output: &mut dyn FnMut(Stream, &[u8]))
    -> Result<Exit, StepError>;
}

/// Why a step did not run at all.
pub type StepError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
    /// Killed by the kernel for want of memory.
    OutOfMemory,
}

impl Exit {
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }

    /// As shells count: 128 + signal.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
            Self::OutOfMemory => 137,
        }
    }
}

/// A process to run.
#[derive(Debug, Clone)]
pub struct RunStep {
    /// The layers below and the directory that takes the changes; all four paths are private to this step.
    pub rootfs: Snapshot,
    /// Wasm: `args[0]` is the module, in the root file system.
    pub platform: Platform,
    pub args: Vec<String>,
    /// `NAME=value`, secrets included.
    pub env: Vec<String>,
    /// Absolute; exists.
    pub cwd: String,
    /// As in an image: `user[:group]`, names or numbers, `""` is root.
    pub user: String,
    /// In this order. Targets that do not exist are made, and removed from the layer by the build afterwards, as are
    /// those of `/etc/hosts`, `/etc/resolv.conf`, `/dev`, `/proc` and `/sys`.
    pub mounts: Vec<StepMount>,
    pub network: StepNetwork,
    /// For `/etc/hosts`: name and address.
    pub hosts: Vec<(String, String)>,
    pub hostname: String,
    pub limits: Limits,
    pub cancellation: Cancellation,
}

/// One mount of a step; `target` is an absolute path in the root file system.
#[derive(Debug, Clone)]
pub struct StepMount {
    pub target: String,
    pub kind: StepMountKind,
}

#[derive(Clone)]
pub enum StepMountKind {
    /// A folder or file of the host. `read_only: false` with what shall not be kept comes as [`Self::Overlay`].
    Bind { source: PathBuf, read_only: bool },
    /// The files of layers, writable, changes thrown away: `rw` binds, and read-only ones of several layers. `sub` is the
    /// path in it to show at the target.
    Overlay { rootfs: Snapshot, sub: String, read_only: bool },
    /// `size` in bytes.
    Tmpfs { size: Option<u64> },
    /// A file with this content, on a file system in memory; never on disk.
    Secret { content: Arc<[u8]>, uid: u32, gid: u32, mode: u32 },
    /// The socket of an agent. `mode` and owner as the user of the step needs them.
    Ssh { socket: PathBuf, uid: u32, gid: u32, mode: u32 },
}

impl std::fmt::Debug for StepMountKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bind { source, read_only } => f
                .debug_struct("Bind")
                .field("source", source)
                .field("read_only", read_only)
                .finish(),
            Self::Overlay { rootfs, sub, read_only } => f
                .debug_struct("Overlay")
                .field("rootfs", rootfs)
                .field("sub", sub)
                .field("read_only", read_only)
                .finish(),
            Self::Tmpfs { size } => f.debug_struct("Tmpfs").field("size", size).finish(),
            // no secret gets into a message
            Self::Secret { .. } => f.debug_struct("Secret").finish_non_exhaustive(),
            Self::Ssh { socket, .. } => f.debug_struct("Ssh").field("socket", socket).finish(),
        }
    }
}

/// Stops what is under way: the user gave up, or another step failed.
#[derive(Clone, Default)]
pub struct Cancellation {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    cancelled: bool,
    next: u64,
    listeners: HashMap<u64, Box<dyn FnOnce() + Send>>,
}

impl Cancellation {
    pub fn cancel(&self) {
        let listeners = {
            let mut state = self.lock();
            state.cancelled = true;
            std::mem::take(&mut state.listeners)
        };
        for listener in listeners.into_values() {
            listener();
        }
    }

    pub fn is_cancelled(&self) -> bool {
        self.lock().cancelled
    }

    /// Calls `act` (a kill, a write to a pipe) when it is cancelled, at once if it is already, never once the returned
    /// value is dropped.
    pub fn on_cancel(&self, act: impl FnOnce() + Send + 'static) -> Listening {
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        if state.cancelled {
            drop(state);
            act();
        } else {
            state.listeners.insert(id, Box::new(act));
        }
        Listening { of: self.clone(), id }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl std::fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Cancellation").field(&self.is_cancelled()).finish()
    }
}

/// See [`Cancellation::on_cancel`].
#[derive(Debug)]
#[must_use = "dropping it ends the listening"]
pub struct Listening {
    of: Cancellation,
    id: u64,
}

impl Drop for Listening {
    fn drop(&mut self) {
        let listener = self.of.lock().listeners.remove(&self.id);
        // what it captured may be dropped only outside the lock
        drop(listener);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn listeners_hear_of_it_once() {
        let count = Arc::new(AtomicUsize::new(0));
        let act = |count: &Arc<AtomicUsize>| {
            let count = count.clone();
            move || {
                count.fetch_add(1, Ordering::Relaxed);
            }
        };
        let cancellation = Cancellation::default();
        let kept = cancellation.on_cancel(act(&count));
        drop(cancellation.on_cancel(act(&count)));
        cancellation.cancel();
        cancellation.cancel();
        assert_eq!(count.load(Ordering::Relaxed), 1);
        drop(kept);
        let _late = cancellation.on_cancel(act(&count));
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }
}
