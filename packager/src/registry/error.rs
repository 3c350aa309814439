use super::{config, credentials};
use knarr_core::hint::Hint;
use knarr_core::image::variant::NoVariant;
use knarr_core::image::{Digest, Platform};
use knarr_core::store;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What went wrong between Knarr and a registry. `registry` is the name in the reference (`docker.io`),
/// `reference` the image that was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot look up {host}; is there a network?")]
    UnknownHost { host: String },
    /// `list`: where a registry that speaks plain HTTP is to be listed, if it was spoken to by TLS.
    #[error("cannot reach the registry {registry} for {reference}: {reason}")]
    Unreachable { registry: String, reference: String, list: Option<PathBuf>, reason: String },
    #[error("the registry {registry} was silent for {} ({reference})", seconds(.after))]
    Timeout { registry: String, reference: String, after: Duration },
    #[error("the connection to the registry {registry} broke ({reference}): {reason}")]
    Broken { registry: String, reference: String, reason: String },
    #[error("the registry {registry} has no {what} of {reference}")]
    NotFound { registry: String, reference: String, what: String },
    #[error("the registry {registry} denies access to {reference}{}", detail(.message))]
    Denied { registry: String, reference: String, authenticated: bool, message: String },
    #[error("the registry {registry} does not accept this user name and password")]
    WrongCredentials { registry: String },
    #[error("the registry {registry} limits how often it is asked ({reference}){}", detail(.message))]
    RateLimited { registry: String, reference: String, authenticated: bool, message: String },
    #[error("the registry {registry} answered {status} for {what} of {reference}{}", detail(.message))]
    Status { registry: String, reference: String, what: String, status: u16, message: String },
    #[error(
        "the registry {registry} wants a proof of identity that knarr cannot give ({reference}): {reason}"
    )]
    Challenge { registry: String, reference: String, reason: String },
    #[error(
        "the registry {registry} sent a wrong {what} of {reference}: {found} instead of {expected}"
    )]
    DigestMismatch {
        registry: String,
        reference: String,
        what: String,
        expected: Digest,
        found: Digest,
    },
    #[error(
        "the registry {registry} sent {found} bytes as {what} of {reference}, which has {expected}"
    )]
    SizeMismatch { registry: String, reference: String, what: String, expected: u64, found: u64 },
    #[error("{what} of {reference} in the registry {registry} is larger than {limit} bytes")]
    TooLarge { registry: String, reference: String, what: String, limit: u64 },
    #[error("{reference} in the registry {registry} has a manifest of Docker's old schema 1")]
    Schema1 { registry: String, reference: String },
    #[error(
        "the registry {registry} sent something else than a manifest for {reference}: {media_type}"
    )]
    NotAManifest { registry: String, reference: String, media_type: String },
    #[error("the registry {registry} answered nonsense for {reference}: {what}")]
    Protocol { registry: String, reference: String, what: String },
    #[error("{reference} cannot be pushed as a whole: its {} not in the store", missing(.platforms))]
    Incomplete { reference: String, platforms: Vec<Platform> },
    #[error("no image {reference} in the store, and it must not be pulled")]
    NotPresent { reference: String },
    #[error("{0} is not a reference that can be pulled")]
    NotAReference(String, #[source] knarr_core::image::reference::InvalidReference),
    #[error("cannot choose a variant of {reference}")]
    NoVariant { reference: String, source: NoVariant },
    #[error("cannot keep {reference}")]
    Store { reference: String, source: store::Error },
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
    #[error(transparent)]
    Config(#[from] config::Error),
    #[error("cannot prepare connections to registries")]
    Client(#[source] reqwest::Error),
    #[error("cannot start the I/O of registry connections")]
    Runtime(#[source] io::Error),
    /// Another layer failed first; never reaches the caller.
    #[error("given up because another layer failed")]
    Cancelled,
}

impl Error {
    /// Whether a mirror's failure lets the next endpoint be asked: everything that is about that endpoint.
    pub(super) fn is_about_endpoint(&self) -> bool {
        !matches!(
            self,
            Self::Store { .. }
                | Self::NoVariant { .. }
                | Self::Credentials(_)
                | Self::Config(_)
                | Self::Client(_)
                | Self::Runtime(_)
                | Self::Cancelled
        )
    }

    /// Whether trying again may help: the registry failed or the connection broke, and nobody is to blame.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Broken { .. } | Self::Timeout { .. } => true,
            Self::Status { status, .. } => *status >= 500 && *status != 501,
            _ => false,
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unreachable { registry, list: Some(list), .. } => format!(
                "check the name and the network; if {registry} speaks plain HTTP, list it under \
                 \"insecure\" in {}",
                list.display()
            ),
            Self::Unreachable { .. } => {
                "check the name, the port, and that the registry runs".into()
            }
            Self::Timeout { .. } | Self::Broken { .. } => {
                "try again: what has arrived is kept".into()
            }
            Self::NotFound { .. } => {
                "check the name and the tag; private images also need 'knarr login'".into()
            }
            Self::Denied { registry, authenticated: false, .. } => {
                format!(
                    "run 'knarr login {registry}', or check the name: many registries say so of \
                         images that do not exist"
                )
            }
            Self::Denied { registry, .. } => {
                format!(
                    "the account of 'knarr login {registry}' may lack the right, or the image may not exist"
                )
            }
            Self::RateLimited { registry, authenticated: false, .. } => {
                format!("wait, or run 'knarr login {registry}' for a higher limit")
            }
            Self::RateLimited { .. } => "wait, and try again".into(),
            Self::DigestMismatch { .. } | Self::SizeMismatch { .. } => {
                "nothing of it was kept; a proxy or mirror on the way may alter what it passes on"
                    .into()
            }
            Self::Schema1 { .. } => {
                "push the image again with a tool of this decade: docker ≥ 1.10, skopeo, knarr"
                    .into()
            }
            Self::Incomplete { reference, platforms } => format!(
                "run 'knarr pull --all-platforms {reference}' first, or push one variant with --platform{}",
                if platforms.is_empty() { "" } else { " of those that are" }
            ),
            Self::NotPresent { reference } => format!("run 'knarr pull {reference}' first"),
            Self::NotAReference(_, source) => return source.hint(),
            Self::NoVariant { source, .. } => return source.hint(),
            Self::Store { source, .. } => return source.hint(),
            Self::Credentials(source) => return source.hint(),
            Self::Config(source) => return source.hint(),
            _ => return None,
        })
    }
}

fn seconds(duration: &Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

fn detail(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn missing(platforms: &[Platform]) -> String {
    match platforms {
        [] => "content is".into(),
        [one] => format!("variant {one} is"),
        many => {
            let list: Vec<String> = many.iter().map(Platform::to_string).collect();
            format!("variants {} are", list.join(", "))
        }
    }
}
