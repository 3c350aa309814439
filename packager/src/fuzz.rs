//! What the fuzz targets reach and nobody else does. Compiled only with `--cfg fuzzing`.

use crate::registry::{challenge, config};

/// A `WWW-Authenticate` header, as a registry sends it.
pub fn challenge(header: &str) {
    for challenge in challenge::parse(header) {
        if let challenge::Challenge::Bearer { realm, .. } = challenge {
            // what is asked for a token is taken out of the header, never made up
            assert!(header.replace('\\', "").contains(&realm.replace('\\', "")));
        }
    }
}

/// A `registries.json`, and the server that it makes of a name.
pub fn registries(bytes: &[u8], name: &str) {
    config::exercise(bytes, name);
}
