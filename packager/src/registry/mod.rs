//! Registries: pull, push, login (OCI distribution-spec 1.1).
//!
//! The functions here block. Each has its own tokio runtime, and every thread it started has ended when it
//! returns: the caller may fork afterwards.
//!
//! The protocol is written directly on `reqwest`: the existing client crates hash every download a second
//! time, follow foreign URLs, read manifests without a limit, and know no identity tokens.
//!
//! ```text
//! pull ─► manifest ─┐           push ─► manifest ─┐
//!   └──► transfer ──┴► blob ─► session ─► auth    └► …the same
//! ```

mod auth;
mod blob;
pub(crate) mod challenge;
pub mod config;
mod content;
pub mod credentials;
mod ensure;
mod error;
mod follow;
pub mod helper;
mod login;
mod manifest;
mod pull;
mod push;
mod session;
mod transfer;

pub use config::{Config, Timing};
pub(crate) use content::{fetch_blob, fetch_documents};
pub use ensure::{Ensured, InvalidPolicy, PullPolicy, ensure, ensure_with};
pub use error::Error;
pub use login::{login, logout, user};
pub use pull::{PullOptions, pull};
pub(crate) use push::push_descriptor;
pub use push::{PushOptions, push};

pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Error> {
    tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(Error::Runtime)
}
