//! The HTTP client of registries and of `ADD`.

use rustls::crypto::ring;

/// A client's beginning. TLS is computed by ring, as in the Wasm engine: reqwest's own choice would bring a second
/// library, whose set-up costs every start of the program.
pub fn client() -> reqwest::ClientBuilder {
    // whoever came first has installed the same
    let _ = ring::default_provider().install_default();
    reqwest::Client::builder()
        .user_agent(concat!("knarr/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(std::sync::Arc::new(crate::lookup::System))
}
