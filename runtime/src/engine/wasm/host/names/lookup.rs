//! `wasi:sockets/ip-name-lookup`, 0.2 and 0.3.

use super::super::Host;
use super::{Failure, Names};
use std::net::IpAddr;
use std::sync::Arc;
use std::vec;
use tokio::sync::oneshot;
use wasmtime::component::{Accessor, HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup as p2;
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddress, Network};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketError, SocketResult, subscribe};
use wasmtime_wasi::p3::bindings::sockets::ip_name_lookup as p3;

/// Knarr's names, for the linker.
pub(in crate::engine::wasm) struct Lookup;

impl HasData for Lookup {
    type Data<'a> = View<'a>;
}

/// What the functions work on.
pub(in crate::engine::wasm) struct View<'a> {
    pub table: &'a mut ResourceTable,
    pub names: &'a Arc<Names>,
}

/// A lookup under way, or its result.
enum Addresses {
    Pending(oneshot::Receiver<Result<Vec<IpAddr>, Failure>>),
    Known(Result<vec::IntoIter<IpAddr>, Failure>),
}

impl Addresses {
    fn settle(&mut self, result: Result<Vec<IpAddr>, Failure>) {
        *self = Self::Known(result.map(Vec::into_iter));
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Addresses {
    async fn ready(&mut self) {
        if let Self::Pending(receiver) = self {
            let result = receiver.await.unwrap_or(Err(Failure::Unanswered));
            self.settle(result);
        }
    }
}

/// wasmtime-wasi's type for the stream; what the table holds under its number is ours.
type Stream = Resource<p2::ResolveAddressStream>;

fn ours(stream: &Stream) -> Resource<Addresses> {
    Resource::new_borrow(stream.rep())
}

impl p2::Host for View<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<Network>,
        name: String,
    ) -> SocketResult<Stream> {
        self.table.get(&network)?; // the right to look up
        let (sender, receiver) = oneshot::channel();
        let names = self.names.clone();
        tokio::spawn(async move {
            let _ = sender.send(names.resolve(&name).await);
        });
        let stream = self.table.push(Addresses::Pending(receiver))?;
        Ok(Resource::new_own(stream.rep()))
    }
}

impl p2::HostResolveAddressStream for View<'_> {
    fn resolve_next_address(&mut self, stream: Stream) -> SocketResult<Option<IpAddress>> {
        let addresses = self.table.get_mut(&ours(&stream))?;
        if let Addresses::Pending(receiver) = addresses {
            match receiver.try_recv() {
                Ok(result) => addresses.settle(result),
                Err(oneshot::error::TryRecvError::Empty) => {
                    return Err(ErrorCode::WouldBlock.into());
                }
                Err(oneshot::error::TryRecvError::Closed) => {
                    addresses.settle(Err(Failure::Unanswered));
                }
            }
        }
        match addresses {
            Addresses::Known(Ok(addresses)) => Ok(addresses.next().map(Into::into)),
            Addresses::Known(Err(failure)) => Err(code(*failure).into()),
            Addresses::Pending(_) => Err(ErrorCode::WouldBlock.into()),
        }
    }

    fn subscribe(&mut self, stream: Stream) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, ours(&stream))
    }

    fn drop(&mut self, stream: Stream) -> wasmtime::Result<()> {
        self.table.delete(Resource::<Addresses>::new_own(stream.rep()))?;
        Ok(())
    }
}

/// Only for its error codes: the interface itself stays wasmtime-wasi's.
impl network::Host for View<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(
        &mut self,
        _: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(None)
    }
}

impl network::HostNetwork for View<'_> {
    fn drop(&mut self, network: Resource<Network>) -> wasmtime::Result<()> {
        self.table.delete(network)?;
        Ok(())
    }
}

fn code(failure: Failure) -> ErrorCode {
    match failure {
        Failure::Invalid => ErrorCode::InvalidArgument,
        Failure::Unknown => ErrorCode::NameUnresolvable,
        Failure::Unanswered => ErrorCode::TemporaryResolverFailure,
        Failure::Denied => ErrorCode::AccessDenied,
    }
}

impl p3::Host for View<'_> {}

impl p3::HostWithStore<Host> for Lookup {
    async fn resolve_addresses(
        store: &Accessor<Host, Self>,
        name: String,
    ) -> wasmtime::Result<Result<Vec<p3::IpAddress>, p3::ErrorCode>> {
        let names = store.with(|mut access| access.get().names.clone());
        Ok(match names.resolve(&name).await {
            Ok(addresses) => Ok(addresses.into_iter().map(Into::into).collect()),
            Err(Failure::Invalid) => Err(p3::ErrorCode::InvalidArgument),
            Err(Failure::Unknown) => Err(p3::ErrorCode::NameUnresolvable),
            Err(Failure::Unanswered) => Err(p3::ErrorCode::TemporaryResolverFailure),
            Err(Failure::Denied) => Err(p3::ErrorCode::AccessDenied),
        })
    }
}
