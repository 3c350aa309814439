//! HTTP servers: components that export `wasi:http/incoming-handler@0.2` or `wasi:http/handler@0.3`.
//!
//! The component has no sockets for this; the engine listens on its behalf, where the container's ports are
//! published, and calls it for each request. Instances are reused, within limits: a container is one long-lived program.
//!
//! One thread accepts connections and serves the first of them; another thread is started for each further
//! processor when there is a connection for it. Every thread has its own event loop and instances, so that nothing
//! is shared between processors but the compiled code.

mod accept;
mod concurrent;
mod connection;
mod exclusive;
mod instance;
mod linger;
pub(super) mod listen;
mod request;
mod response;
mod reuse;
mod spare;
mod threads;
mod wire;

use super::config::Needs;
use super::error::Error;
use super::guest::View;
use super::host::Host;
use super::host::limits::{Account, Limits};
use super::kinds::World;
use super::link::{Subject, end, imports, unlinkable};
use accept::Accepting;
use connection::Connections;
use knarr_core::spec::InstanceRequests;
use listen::Listeners;
use reuse::Reuse;
use spare::Spare;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use threads::Threads;
use wasmtime::component::Component;
use wasmtime::{Engine, PoolConcurrencyLimitError, Store};

/// How long an instance beyond the first stays without work.
const IDLE: Duration = Duration::from_secs(30);

/// How a server is to run.
pub(super) struct Settings {
    pub listeners: Listeners,
    /// `--wasm-instance-requests`
    pub requests: InstanceRequests,
    /// From the stop signal to the end.
    pub grace: Duration,
    /// Processors that may be used.
    pub processors: usize,
}

/// What instances are made of.
struct Blueprint {
    engine: Engine,
    view: View,
    account: Arc<Account>,
    reuse: Reuse,
    spare: Arc<Spare>,
    /// Instances that one thread may have.
    share: usize,
}

impl Blueprint {
    fn store(&self) -> wasmtime::Result<Store<Host>> {
        let host = Host::new(&self.view, Limits::new(&self.account))?;
        let mut store = Store::new(&self.engine, host);
        store.limiter(|host| &mut host.limits);
        // a guest that computes for long lets the thread's other requests run
        store.set_epoch_deadline(1);
        store.epoch_deadline_async_yield_and_update(1);
        Ok(store)
    }

    /// Whether this error, with which an instance could not be made, means that it can be when others have ended.
    fn lacks_room(&self, mut store: Store<Host>, error: &wasmtime::Error) -> bool {
        let limits = &mut store.data_mut().limits;
        limits.in_vain();
        limits.denied.is_some() || error.is::<PoolConcurrencyLimitError>()
    }

    /// Waits for room after an attempt in vain; false if there is nobody who could leave any. `freed` began before that attempt.
    async fn wait_for_room(&self, freed: impl Future<Output = ()>, alone: &mut bool) -> bool {
        if self.spare.give_up() {
            return true;
        }
        if self.account.stores() > 0 {
            freed.await;
            return true;
        }
        // others may have failed because of this attempt, as it did because of theirs
        self.account.tell();
        !std::mem::replace(alone, true)
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
    account: Arc<Account>,
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
    let instances = Needs::of(component).instances() / settings.processors.max(1) as u32;
    let spare = Arc::new(Spare::default());
    let of_account = spare.clone();
    account.spare(move || {
        of_account.give_up();
    });
    let blueprint = Arc::new(Blueprint {
        engine: subject.engine.clone(),
        view: subject.view.clone(),
        account,
        reuse: Reuse::new(settings.requests),
        spare,
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
