//! The choice of a variant on this machine.

use crate::error::Failure;
use knarr_core::image::variant::{self, Runnable};
use knarr_core::image::{Platform, Variant};
use knarr_core::store::{Image, Store};

/// What this machine runs: Wasm everywhere, native programs on Linux.
pub fn runnable() -> Runnable {
    let native = if cfg!(target_os = "linux") { vec![Platform::host()] } else { Vec::new() };
    Runnable { wasm: true, native }
}

/// The variant whose configuration `inspect` and `history` show: the one that would run, else one that is
/// there.
pub fn shown(store: &Store, image: &Image, wanted: Option<&Platform>) -> Result<Variant, Failure> {
    let variants = store.variants(image)?;
    match variant::choose(&variants, wanted, &runnable()) {
        Ok(choice) if choice.variant.present || wanted.is_some() => Ok(choice.variant),
        Err(error) if wanted.is_some() => Err(error.into()),
        _ => variants.into_iter().find(|v| v.present).ok_or_else(|| {
            Failure::new(format!("no variant of {} is in the store", image.display_name()))
                .hint("pull it again")
        }),
    }
}
