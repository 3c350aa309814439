//! Digests (OCI image-spec, descriptor.md "Digests"): sha256 and sha512, the registered algorithms.

use super::{Error, Result};
use crate::image::Digest;
use oci_spec::image::DigestAlgorithm;
use sha2::digest::Update;
use sha2::{Digest as _, Sha256, Sha512};

/// Computes the digest of content as it passes.
#[derive(Clone)]
pub struct Hasher(Algorithm);

#[derive(Clone)]
enum Algorithm {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    pub fn sha256() -> Self {
        Self(Algorithm::Sha256(Sha256::new()))
    }

    /// A hasher of the algorithm that `expected` uses.
    pub fn like(expected: &Digest) -> Result<Self> {
        match expected.algorithm() {
            DigestAlgorithm::Sha256 => Ok(Self::sha256()),
            DigestAlgorithm::Sha512 => Ok(Self(Algorithm::Sha512(Sha512::new()))),
            _ => Err(Error::UnsupportedAlgorithm { digest: expected.clone() }),
        }
    }

    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Algorithm::Sha256(hash) => Update::update(hash, bytes),
            Algorithm::Sha512(hash) => Update::update(hash, bytes),
        }
    }

    pub fn finish(self) -> Digest {
        let text = match self.0 {
            Algorithm::Sha256(hash) => format!("sha256:{}", hex::encode(hash.finalize())),
            Algorithm::Sha512(hash) => format!("sha512:{}", hex::encode(hash.finalize())),
        };
        text.parse().expect("a hash in hexadecimal is a digest")
    }
}

/// The sha256 digest of `bytes`.
pub fn digest_of(bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::sha256();
    hasher.update(bytes);
    hasher.finish()
}
