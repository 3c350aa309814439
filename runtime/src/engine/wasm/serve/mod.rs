//! HTTP servers: components that export `wasi:http/incoming-handler@0.2` or `wasi:http/handler@0.3`.
//!
//! The component has no sockets for this; the engine listens on its behalf, where the container's ports are
//! published, and calls it for each request. Instances are reused: a container is one long-lived program.
//!
//! One thread accepts connections and serves the first of them; another thread is started for each further
//! processor when there is a connection for it. Every thread has its own event loop and instances, so that nothing
//! is shared between processors but the compiled code.

mod connection;
mod instances;
pub(super) mod listen;
mod threads;

use super::error::Error;
use super::host::Host;
use super::host::limits::Limits;
use super::kinds::World;
use super::link::{Subject, end, imports, unlinkable};
use connection::Connections;
use instances::Blueprint;
use listen::Listeners;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use threads::Threads;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use wasmtime::component::Component;
use wasmtime_wasi_http::handler::ProxyPre;

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

/// Serves until the container is told to stop: 0 when all requests were answered, 128 + the signal when some were cut
/// off.
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
    // both: a check that the export has the type that its name promises
    let pre = match world {
        World::Http3 => ProxyPre::<Host>::P3(
            wasmtime_wasi_http::p3::bindings::ServicePre::new(pre).map_err(unlinkable)?,
        ),
        _ => {
            ProxyPre::P2(wasmtime_wasi_http::p2::bindings::ProxyPre::new(pre).map_err(unlinkable)?)
        }
    };
    let blueprint = Arc::new(Blueprint {
        pre,
        engine: subject.engine.clone(),
        view: subject.view.clone(),
        limits,
        isolate: settings.isolate,
        concurrent: world == World::Http3,
        share: listen::INSTANCES / settings.processors.max(1) as u32,
    });
    let listeners = settings.listeners.into_async().map_err(|e| Error::system("listen", e))?;
    let connections = Connections::new();
    let threads = Arc::new(Threads::new(blueprint, settings.processors, connections.clone()));
    announce();
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, threads.clone()));
    }
    let signal = subject.stop.wait().await;
    accepting.shutdown().await;
    drop(threads);
    let drained = tokio::time::timeout(settings.grace, connections.drain()).await.is_ok();
    end(if drained { 0 } else { 128 + signal })
}

async fn accept(listener: TcpListener, threads: Arc<Threads>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => threads.take(stream),
            // out of descriptors or memory, or a connection that was gone before it was taken: it may get better
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}
