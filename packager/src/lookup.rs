//! Names of hosts, looked up as the system does; a failure can be told from others.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error as StdError;
use std::net::ToSocketAddrs;

/// The system has no address for a host.
#[derive(Debug, thiserror::Error)]
#[error("cannot look up {host}; is there a network?")]
pub(crate) struct Unknown {
    pub host: String,
}

/// The system's resolver. Its threads end with the runtime.
pub(crate) struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let unknown = Unknown { host: host.clone() };
            // the port is the caller's to add
            let found = tokio::task::spawn_blocking(move || (host.as_str(), 0).to_socket_addrs());
            match found.await {
                Ok(Ok(addresses)) => Ok(Box::new(addresses) as Addrs),
                _ => Err(unknown.into()),
            }
        })
    }
}

/// The host that could not be found, if that is why a request failed.
pub(crate) fn unknown_host(error: &(dyn StdError + 'static)) -> Option<String> {
    causes(error).find_map(|cause| Some(cause.downcast_ref::<Unknown>()?.host.clone()))
}

/// The innermost cause: what happened, without the layers it came through.
pub(crate) fn innermost<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    causes(error).last().unwrap_or(error)
}

fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}
