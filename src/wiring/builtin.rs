//! The image `hello` that comes with Knarr, so that a first run needs no registry.

use crate::error::Failure;
use knarr_core::image::Reference;
use knarr_core::store::Store;
use knarr_packager::archive;

/// Made by `tests/builtin`.
static HELLO: &[u8] = include_bytes!("../builtin/hello.tar");
const NAME: &str = "hello";

/// Puts it into the store if it is what is asked for and there is none of that name; whether it did.
pub fn provide(store: &Store, text: &str) -> Result<bool, Failure> {
    let hello: Reference = NAME.parse()?;
    let wanted = text.parse::<Reference>().is_ok_and(|reference| reference == hello);
    if !wanted || store.find(text).is_ok() {
        return Ok(false);
    }
    archive::load(store, &mut &HELLO[..])?;
    Ok(true)
}
