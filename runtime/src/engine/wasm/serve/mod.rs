//! HTTP servers: components that export `wasi:http/incoming-handler@0.2` or `wasi:http/handler@0.3`.
//!
//! The component has no sockets for this; the engine listens on its behalf, where the container's ports are
//! published, and calls it for each request. Instances are reused: a container is one long-lived program.
//!
//! One thread accepts connections and serves the first of them; another thread is started for each further
//! processor when there is a connection for it. Every thread has its own event loop and instances, so that nothing
//! is shared between processors but the compiled code.

mod accept;
mod concurrent;
mod connection;
mod exclusive;
mod linger;
pub(super) mod listen;
mod response;
mod threads;

use super::error::Error;
use super::guest::View;
use super::host::Host;
use super::host::limits::Limits;
use super::kinds::World;
use super::link::{Subject, end, imports, unlinkable};
use accept::Accepting;
use connection::Connections;
use listen::Listeners;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use threads::Threads;
use wasmtime::component::Component;
use wasmtime::{Engine, Store};

/// How long an instance beyond the first stays without work.
const IDLE: Duration = Duration::from_secs(30);

/// How a server is to run.
pub(super) struct Settings {
    pub listeners: Listeners,
    /// `--wasm-isolate-requests`
    pub isolate: bool,
    /// From the stop signal to the end.
    pub grace: Duration,
    /// Processors that may be used.
    pub processors: usize,
}

/// What instances are made of.
struct Blueprint {
    engine: Engine,
    view: View,
    limits: Limits,
    isolate: bool,
    /// Instances that one thread may have.
    share: usize,
}

impl Blueprint {
    fn store(&self) -> wasmtime::Result<Store<Host>> {
        let host = Host::new(&self.view, self.limits.clone())?;
        let mut store = Store::new(&self.engine, host);
        store.limiter(|host| &mut host.limits);
        // a guest that computes for long lets the thread's other requests run
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        Ok(store)
    }
}

/// The linked component.
#[derive(Clone)]
enum Pre {
    Exclusive(wasmtime_wasi_http::p2::bindings::ProxyPre<Host>),
    Concurrent(wasmtime_wasi_http::p3::bindings::ServicePre<Host>),
}

/// Serves until the container is told to stop. Then what has arrived is answered, and the process ends: with 0 when that
/// was all, as servers end that were asked to; with 128 + the signal when the time was over before.
pub(super) async fn run(
    subject: &Subject<'_>,
    component: &Component,
    world: World,
    limits: Limits,
    settings: Settings,
    announce: &mut dyn FnMut(),
) -> Result<Infallible, Error> {
    let linker = imports::of_component(subject, component)?;
    let unlinkable = |e| unlinkable::component(subject, component, e);
    let pre = linker.instantiate_pre(component).map_err(unlinkable)?;
    // both check that the export has the type that its name promises
    let pre = match world {
        World::Http3 => Pre::Concurrent(
            wasmtime_wasi_http::p3::bindings::ServicePre::new(pre).map_err(unlinkable)?,
        ),
        _ => Pre::Exclusive(
            wasmtime_wasi_http::p2::bindings::ProxyPre::new(pre).map_err(unlinkable)?,
        ),
    };
    let memories = component.resources_required().map_or(1, |required| required.num_memories);
    let instances = listen::INSTANCES / memories.max(1) / settings.processors.max(1) as u32;
    let blueprint = Arc::new(Blueprint {
        engine: subject.engine.clone(),
        view: subject.view.clone(),
        limits,
        isolate: settings.isolate,
        share: instances.max(1) as usize,
    });
    let connections = Connections::new();
    let threads = Arc::new(Threads::new(blueprint, pre, settings.processors, connections.clone()));
    let mut accepting = Accepting::new(threads.clone(), subject.view.place.clone());
    accepting.extend(settings.listeners.sockets).map_err(|e| Error::system("listen", e))?;
    announce();
    let signal = tokio::select! {
        signal = subject.stop.wait() => signal,
        never = accepting.follow() => match never {},
    };
    accepting.finish().await;
    drop(threads);
    let drained = tokio::time::timeout(settings.grace, connections.drain()).await.is_ok();
    end(if drained { 0 } else { 128 + signal })
}
