//! The image store, seen from outside.
#![allow(clippy::unwrap_used)] // the lint spares tests, but not what they share

mod blobs;
mod building;
mod collect;
mod export;
mod hostile;
mod images;
mod layers;
mod limits;
mod ordinary_user;
mod snapshot;
mod support;
mod unpack;
