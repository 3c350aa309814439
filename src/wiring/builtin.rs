//! The image `hello` that comes with Knarr, so that a first run needs no registry.

use crate::error::Failure;
use knarr_core::image::Reference;
use knarr_core::store::Store;
use knarr_packager::archive;

/// Made by `tests/builtin`.
static HELLO: &[u8] = include_bytes!("../builtin/hello.tar");
const NAME: &str = "hello";

/// Puts it into the store if it is what is asked for and there is none of that name.
pub fn provide(store: &Store, text: &str) -> Result<(), Failure> {
    let hello: Reference = NAME.parse()?;
    if text.parse::<Reference>().ok().as_ref() == Some(&hello) && store.find(text).is_err() {
        archive::load(store, &mut &HELLO[..])?;
    }
    Ok(())
}
