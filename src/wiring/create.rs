//! From an image's name to a container's record: ensure the image, choose the variant, make it ready.

use super::{builtin, compile, variant};
use crate::args::container::{Options, Pull};
use crate::commands::Context;
use crate::error::Failure;
use crate::ui::{self, progress};
use knarr_core::id::ContainerId;
use knarr_core::spec::{EngineKind, SpecImage};
use knarr_core::store::Store;
use knarr_packager::registry::{self, Config, Ensured, PullOptions, PullPolicy};
use knarr_runtime::container;
use knarr_runtime::container::options::{self, ImageOptions, RunOptions, resolve};

/// Makes the container that the options ask for.
///
/// `for_run`: this process is about to start it.
pub fn create(
    given: &Options,
    context: &Context,
    for_run: bool,
) -> Result<(Store, ContainerId), Failure> {
    make(given, given.run_options()?, context, for_run)
}

/// [`create`], with more than options can say: `asked` is what they say and more.
pub fn make(
    given: &Options,
    mut asked: RunOptions,
    context: &Context,
    for_run: bool,
) -> Result<(Store, ContainerId), Failure> {
    let wanted = given.wanted_platform()?;
    let network = given.network.options()?;
    options::check_network(&network.parse()?, &asked)?;
    let isolation = given.isolation.options()?;
    let cidfile = given.cidfile.as_deref();
    if let Some(path) = cidfile.filter(|path| path.exists()) {
        return Err(Failure::usage(format!("the file {} exists already", path.display()))
            .hint("remove it, or name another one with --cidfile"));
    }
    let store = context.store()?;
    asked.isolation = isolation.resolve(&store)?;
    asked.inherited = container::volumes_from(&store, &given.volumes_from)?;
    // until the record is written nothing tells the collector that the image is needed
    let _hold = store.hold()?;
    let pull = PullOptions {
        platform: wanted.clone(),
        runnable: variant::runnable(),
        all_platforms: false,
    };
    let policy = match given.pull {
        Pull::Always => PullPolicy::Always,
        Pull::Missing => PullPolicy::Missing,
        Pull::Never => PullPolicy::Never,
    };
    let ensured = ensure(&store, given.image(), policy, &pull, given.quiet, context)?;
    if given.explain {
        explain(&ensured);
    }
    if ensured.choice.assumed {
        let (name, platform) = (given.image(), &ensured.choice.variant.platform);
        ui::warning(format_args!(
            "{name} does not say what platform it is for, and is taken for {platform}"
        ));
    }
    let Ensured { image, choice, .. } = ensured;
    let manifest = store.manifest(&choice.variant.manifest)?;
    let config = store.config(&manifest)?;
    let layers = store.unpack_after(&manifest, &config, || context.among_owners_for_start())?;
    let spec = SpecImage {
        reference: given.image().to_owned(),
        id: image.id().clone(),
        manifest: choice.variant.manifest.clone(),
        platform: choice.variant.platform.clone(),
        reason: choice.reason.to_string(),
        layers,
    };
    let engine = EngineKind::of(&spec.platform);
    asked.network = Some(container::network_mode(&store, engine, &network)?);
    asked.links = container::links(&store, &network, asked.network.as_ref())?;
    let mut new = resolve(ImageOptions { image: &spec, config: &config }, &asked)?;
    container::share_names(&store, &mut new.spec)?;
    for told in options::without_effect(&context.root, &new.spec, &asked) {
        ui::warning(told);
    }
    new.for_run = for_run;
    let id = container::create(&store, new)?;
    if let Some(path) = cidfile {
        knarr_core::fsx::create_new(path, id.as_str().as_bytes())?;
    }
    Ok((store, id))
}

/// Makes sure that there is an image, also one that comes with the program, and that its modules are compiled.
pub fn ensure(
    store: &Store,
    text: &str,
    policy: PullPolicy,
    pull: &PullOptions,
    quiet: bool,
    context: &Context,
) -> Result<Ensured, Failure> {
    let loaded = policy != PullPolicy::Always && builtin::provide(store, text)?;
    let progress = progress::choose(quiet);
    let load = || {
        context.among_owners_for_start();
        Config::load()
    };
    let ensured = registry::ensure_with(store, text, policy, pull, load, &*progress)?;
    if loaded || ensured.pulled {
        compile::image(store, &ensured.image, quiet);
    }
    Ok(ensured)
}

/// `--explain`
fn explain(ensured: &Ensured) {
    let Ensured { image, choice, variants, .. } = ensured;
    let all: Vec<_> = variants.iter().map(ToString::to_string).collect();
    ui::note(format_args!("image:    {} ({})", image.display_name(), image.id()));
    ui::note(format_args!("variants: {}", all.join(", ")));
    ui::note(format_args!("machine:  {}", variant::runnable()));
    ui::note(format_args!("chosen:   {}", choice.variant.platform));
    ui::note(format_args!("reason:   {}", choice.reason));
}
