//! Requests to one repository of one registry: authentication, timeouts, retries (OCI distribution-spec).
//!
//! Credentials go to the registry itself and to the token server that it names, to nobody else: neither to
//! where a request is redirected ([`super::follow`]), whatever that answers, nor to an upload location on another
//! host (CVE-2020-15157).

use super::Error;
use super::auth::{self, Authorization};
use super::config::{Config, Endpoint, Timing};
use crate::lookup;
use bytes::Bytes;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode, Url, redirect};
use serde::Deserialize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A manifest above this is refused (OCI distribution-spec, "Pushing Manifests").
pub(super) const DOCUMENT_LIMIT: u64 = 4 << 20;
/// What of an error's text is read.
const MESSAGE_LIMIT: u64 = 16 << 10;

/// What a session may do with its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Pull,
    Push,
}

pub(super) struct Session<'a> {
    pub(super) http: reqwest::Client,
    pub(super) config: &'a Config,
    endpoint: Endpoint,
    /// For messages, and the key of the credentials: `docker.io`.
    pub(super) registry: String,
    pub(super) reference: String,
    repository: String,
    access: Access,
    /// Other repositories of which a push may mount blobs.
    sources: Vec<String>,
    authorization: Mutex<Option<Authorization>>,
}

/// A request that can be sent again.
#[derive(Clone)]
pub(super) struct Call {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Bytes>,
}

impl Call {
    pub fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: None }
    }

    pub fn header(mut self, name: header::HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    pub fn body(self, body: Bytes) -> Self {
        Self { body: Some(body), ..self }
    }
}

/// One pool of connections. `HTTP_PROXY` and its like are honoured, except for this machine itself (as Go
/// does).
fn http_client(timing: &Timing, loopback: bool) -> Result<reqwest::Client, Error> {
    let builder = crate::http::client().redirect(redirect::Policy::none());
    let builder = if loopback { builder.no_proxy() } else { builder };
    builder.connect_timeout(timing.connect).build().map_err(Error::Client)
}

impl<'a> Session<'a> {
    pub fn new(
        config: &'a Config,
        endpoint: Endpoint,
        reference: &knarr_core::image::Reference,
        access: Access,
    ) -> Result<Self, Error> {
        Ok(Self {
            http: http_client(&config.timing, endpoint.loopback)?,
            config,
            endpoint,
            registry: reference.domain().to_owned(),
            reference: reference.familiar(),
            repository: reference.path().to_owned(),
            access,
            sources: Vec::new(),
            authorization: Mutex::new(None),
        })
    }

    /// Lets blobs be mounted from other repositories of the registry.
    pub fn with_sources(self, sources: Vec<String>) -> Self {
        Self { sources, ..self }
    }

    /// `https://host/v2/<repository>/<rest>`
    pub fn url(&self, rest: &str) -> Result<Url, Error> {
        let text = format!("{}/v2/{}/{rest}", self.endpoint.base(), self.repository);
        Url::parse(&text).map_err(|e| self.protocol(format!("{text}: {e}")))
    }

    /// Resolves an upload location, which may be relative.
    pub fn resolve(&self, base: &Url, location: &str) -> Result<Url, Error> {
        let url = base
            .join(location)
            .map_err(|e| self.protocol(format!("upload location {location:?}: {e}")))?;
        if base.scheme() == "https" && url.scheme() != "https" && url.host() == base.host() {
            // registries behind a proxy that ends TLS get their own scheme wrong
            let mut secure = url.clone();
            if secure.set_scheme("https").is_ok() {
                return Ok(secure);
            }
        }
        if base.scheme() == "https" && url.scheme() != "https" {
            return Err(self.protocol(format!("upload location {location:?}: it is no https")));
        }
        Ok(url)
    }

    pub(super) fn scopes(&self) -> Vec<String> {
        let actions = match self.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
        };
        let own = format!("repository:{}:{actions}", self.repository);
        let sources = self.sources.iter().map(|source| format!("repository:{source}:pull"));
        std::iter::once(own).chain(sources).collect()
    }

    /// Sends until there is an answer that is no failure of the server: see [`Timing`]. `4xx` other than a
    /// challenge is an answer; `what` is for messages.
    pub async fn call(&self, call: &Call, what: &str) -> Result<Response, Error> {
        let mut attempt = 1;
        loop {
            let error = match self.call_once(call).await {
                Ok(response) if response.status().is_server_error() => {
                    self.refusal(response, what).await
                }
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if !error.is_transient() || attempt >= self.timing().attempts {
                return Err(error);
            }
            tokio::time::sleep(self.pause(attempt)).await;
            attempt += 1;
        }
    }

    /// Sends once, and once more with a proof of identity where the registry wants one.
    pub async fn call_once(&self, call: &Call) -> Result<Response, Error> {
        let reached = self.follow(call, self.proof(&call.url).as_ref()).await?;
        let is_asked = reached.at_home && self.is_own(&call.url);
        if reached.response.status() != StatusCode::UNAUTHORIZED || !is_asked {
            return Ok(reached.response);
        }
        let authorization = auth::answer(self, reached.response.headers()).await?;
        *self.authorization.lock().unwrap_or_else(PoisonError::into_inner) = Some(authorization);
        Ok(self.follow(call, self.proof(&call.url).as_ref()).await?.response)
    }

    /// One request, not followed further.
    pub fn request(&self, call: &Call, proof: Option<&HeaderValue>) -> reqwest::RequestBuilder {
        let mut request =
            self.http.request(call.method.clone(), call.url.clone()).headers(call.headers.clone());
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        match proof {
            Some(proof) => request.header(header::AUTHORIZATION, proof.clone()),
            None => request,
        }
    }

    /// This session's proof of identity, for an address of the registry itself.
    pub fn proof(&self, url: &Url) -> Option<HeaderValue> {
        self.authorization().filter(|_| self.is_own(url)).map(|authorization| authorization.value)
    }

    /// Waits for the response's head, as long as the server may be silent.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Result<Response, Error> {
        match tokio::time::timeout(self.timing().connect + self.timing().idle, request.send()).await
        {
            Ok(result) => result.map_err(|e| self.transport(e)),
            Err(_) => Err(self.silent()),
        }
    }

    /// The next piece of a body; `None` at its end.
    pub async fn chunk(&self, response: &mut Response) -> Result<Option<Bytes>, Error> {
        match tokio::time::timeout(self.timing().idle, response.chunk()).await {
            Ok(result) => result.map_err(|e| self.transport(e)),
            Err(_) => Err(self.silent()),
        }
    }

    /// A whole body of at most `limit` bytes.
    pub async fn body(
        &self,
        mut response: Response,
        limit: u64,
        what: &str,
    ) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunk(&mut response).await? {
            if bytes.len() as u64 + chunk.len() as u64 > limit {
                return Err(self.too_large(what, limit));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// The error that a response with an unwanted status is.
    pub async fn refusal(&self, response: Response, what: &str) -> Error {
        let status = response.status();
        let is_head_or_empty = response.content_length() == Some(0);
        let message = if is_head_or_empty {
            String::new()
        } else {
            self.read_message(response).await.unwrap_or_default()
        };
        let (registry, reference) = (self.registry.clone(), self.reference.clone());
        let authenticated = self.authorization().is_some_and(|a| a.identified);
        match status {
            StatusCode::NOT_FOUND => Error::NotFound { registry, reference, what: what.to_owned() },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Error::Denied { registry, reference, authenticated, message }
            }
            StatusCode::TOO_MANY_REQUESTS => {
                Error::RateLimited { registry, reference, authenticated, message }
            }
            _ => Error::Status {
                registry,
                reference,
                what: what.to_owned(),
                status: status.as_u16(),
                message,
            },
        }
    }

    pub fn timing(&self) -> &Timing {
        &self.config.timing
    }

    pub fn pause(&self, attempt: u32) -> Duration {
        self.timing().pause * 2u32.saturating_pow(attempt.saturating_sub(1).min(6))
    }

    pub fn protocol(&self, what: impl Into<String>) -> Error {
        Error::Protocol {
            registry: self.registry.clone(),
            reference: self.reference.clone(),
            what: what.into(),
        }
    }

    pub fn too_large(&self, what: &str, limit: u64) -> Error {
        Error::TooLarge {
            registry: self.registry.clone(),
            reference: self.reference.clone(),
            what: what.to_owned(),
            limit,
        }
    }

    pub fn silent(&self) -> Error {
        Error::Timeout {
            registry: self.registry.clone(),
            reference: self.reference.clone(),
            after: self.timing().idle,
        }
    }

    pub fn store(&self, source: knarr_core::store::Error) -> Error {
        Error::Store { reference: self.reference.clone(), source }
    }

    pub fn transport(&self, source: reqwest::Error) -> Error {
        let (registry, reference) = (self.registry.clone(), self.reference.clone());
        // a signed URL in a message would be a leaked secret
        let source = source.without_url();
        if let Some(host) = lookup::unknown_host(&source) {
            return Error::UnknownHost { host };
        }
        if source.is_connect() && source.is_timeout() {
            let after = self.timing().connect;
            return Error::Timeout { registry, reference, after };
        }
        // the layers of the HTTP library say nothing
        let reason = lookup::innermost(&source).to_string();
        if source.is_connect() || source.is_builder() {
            let list = if self.endpoint.plain_http { None } else { self.config.file() };
            return Error::Unreachable { registry, reference, list, reason };
        }
        Error::Broken { registry, reference, reason }
    }

    pub(super) fn is_plain_http(&self) -> bool {
        self.endpoint.plain_http
    }

    /// The name that credentials are kept under: a mirror has its own.
    pub(super) fn credential_key(&self) -> &str {
        if self.config.endpoint(&self.registry) == self.endpoint {
            &self.registry
        } else {
            &self.endpoint.host
        }
    }

    fn authorization(&self) -> Option<Authorization> {
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Same scheme, host and port as the registry.
    fn is_own(&self, url: &Url) -> bool {
        Url::parse(&self.endpoint.base()).is_ok_and(|own| own.origin() == url.origin())
    }

    /// The messages of an OCI error document, or the text itself.
    async fn read_message(&self, response: Response) -> Option<String> {
        let body = self.body(response, MESSAGE_LIMIT, "error message").await.ok()?;
        if let Ok(Failures { errors }) = serde_json::from_slice(&body) {
            let texts: Vec<String> = errors.into_iter().map(Failure::text).collect();
            return Some(texts.join("; "));
        }
        let text = String::from_utf8(body).ok()?;
        let line = text.lines().find(|line| !line.trim().is_empty())?.trim();
        // an HTML page says nothing
        (!line.starts_with('<')).then(|| short(line))
    }
}

/// OCI distribution-spec, "Error Codes".
#[derive(Deserialize)]
struct Failures {
    errors: Vec<Failure>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Failure {
    code: String,
    message: String,
}

impl Failure {
    fn text(self) -> String {
        short(if self.message.is_empty() { &self.code } else { &self.message })
    }
}

/// What is quoted of somebody else's words.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
