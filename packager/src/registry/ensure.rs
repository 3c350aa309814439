//! Making sure that an image can be run: `--pull`.

use super::Error;
use super::config::Config;
use super::pull::{PullOptions, Purpose, pull_for};
use crate::progress::Progress;
use knarr_core::image::Reference;
use knarr_core::image::Variant;
use knarr_core::image::variant::{Choice, choose};
use knarr_core::store::{self, Image, Store};
use std::str::FromStr;

/// When to ask the registry for an image that shall run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PullPolicy {
    Always,
    /// Only if the wanted variant is not in the store.
    #[default]
    Missing,
    Never,
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no pull policy; it is one of always, missing, never")]
pub struct InvalidPolicy(String);

impl knarr_core::hint::Hint for InvalidPolicy {}

impl FromStr for PullPolicy {
    type Err = InvalidPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidPolicy> {
        match text {
            "always" => Ok(Self::Always),
            // compose's word as well
            "missing" | "if_not_present" => Ok(Self::Missing),
            "never" => Ok(Self::Never),
            _ => Err(InvalidPolicy(text.to_owned())),
        }
    }
}

/// The image that `text` (a reference or an id) names, pulled if the policy says so. Costs no thread and no
/// connection when nothing is to be pulled.
///
/// What this machine cannot run is not pulled: [`Error::NoVariant`].
pub fn ensure(
    store: &Store,
    text: &str,
    policy: PullPolicy,
    options: &PullOptions,
    config: &Config,
    progress: &dyn Progress,
) -> Result<Image, Error> {
    let ensured = ensure_with(store, text, policy, options, || Ok(config.clone()), progress)?;
    Ok(ensured.image)
}

/// An image that can be run.
#[derive(Debug, Clone, PartialEq)]
pub struct Ensured {
    pub image: Image,
    /// The variant to run, and why.
    pub choice: Choice,
    /// Every variant of the image.
    pub variants: Vec<Variant>,
    /// Whether the registry was asked.
    pub pulled: bool,
}

/// [`ensure`] that reads the configuration only if it pulls, and tells which variant was chosen.
pub fn ensure_with(
    store: &Store,
    text: &str,
    policy: PullPolicy,
    options: &PullOptions,
    config: impl FnOnce() -> Result<Config, super::config::Error>,
    progress: &dyn Progress,
) -> Result<Ensured, Error> {
    let keep = |source| Error::Store { reference: text.to_owned(), source };
    let chosen = |image: Image, pulled| {
        let variants = store.variants(&image).map_err(keep)?;
        let choice = choose(&variants, options.platform.as_ref(), &options.runnable)
            .map_err(|source| Error::NoVariant { reference: text.to_owned(), source })?;
        Ok(Ensured { image, choice, variants, pulled })
    };
    let found = match store.find(text) {
        Ok(image) => Some(image),
        Err(store::Error::NotFound { .. }) => None,
        Err(error) => return Err(keep(error)),
    };
    if let Some(image) = &found
        && (policy != PullPolicy::Always || !is_named(image, text))
    {
        let ensured = chosen(image.clone(), false)?;
        if ensured.choice.variant.present {
            return Ok(ensured);
        }
        if policy == PullPolicy::Never {
            return Err(Error::NotPresent { reference: text.to_owned() });
        }
    } else if policy == PullPolicy::Never {
        return Err(Error::NotPresent { reference: text.to_owned() });
    }
    // an id that lacks the wanted variant is fetched by the name it has
    let reference = match found.and_then(|image| image.reference) {
        Some(reference) => reference,
        None => Reference::from_str(text).map_err(|e| Error::NotAReference(text.to_owned(), e))?,
    };
    let config = config()?;
    progress.status(&format!(
        "{}: Pulling from {}",
        reference.tag().unwrap_or("latest"),
        reference.familiar_name()
    ));
    let image = pull_for(Purpose::Run, store, &reference, options, &config, progress)?;
    chosen(image, true)
}

/// Whether `text` is the image's name, not its id: an id cannot be pulled.
fn is_named(image: &Image, text: &str) -> bool {
    let reference = Reference::from_str(text).ok();
    reference.is_some() && reference == image.reference
}
