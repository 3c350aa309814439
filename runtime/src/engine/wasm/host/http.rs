//! Requests that the guest sends (`wasi:http/outgoing-handler`, `wasi:http/client`).

use knarr_core::spec::NetworkMode;
use std::future::Future;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// Sends requests as the container's network allows.
#[derive(Debug)]
pub(in crate::engine::wasm) struct Requests {
    network: NetworkMode,
}

impl Requests {
    pub fn new(network: &NetworkMode) -> Self {
        Self { network: network.clone() }
    }
}

type Answer = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Requests {
    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _body_sent: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Answer, Error>> + Send> {
        let network = self.network.clone();
        Box::new(async move {
            use http_body_util::BodyExt;
            if network == NetworkMode::None {
                return Err(Error::HttpRequestDenied);
            }
            let (response, io) = wasmtime_wasi_http::default_send_request(request, options).await?;
            Ok((response.map(BodyExt::boxed_unsync), Box::new(io) as Box<_>))
        })
    }
}
