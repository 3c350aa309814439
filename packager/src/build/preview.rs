//! A build as it would be, without building: `--check`, `--explain`.

use super::plan::{self, Plan};
use super::report::Report;
use super::{Error, Options, Services, images, open_contexts, read_dockerfile};
use crate::dockerfile::lint::{self, Facts, Warning};
use knarr_core::store::Store;
use std::collections::HashMap;
use std::sync::Mutex;

/// What would be done. Base images are looked at, and pulled if they are not in the store.
pub fn explain(store: &Store, options: &Options, services: &Services) -> Result<Plan, Error> {
    let _hold = store.hold()?;
    let report = Report::new(services.progress);
    let (context, _) = open_contexts(store, options, &report)?;
    let (dockerfile, _) = read_dockerfile(options, &context, &report)?;
    let found = Mutex::new(HashMap::new());
    let finder = images::Finder { store, options, services, report: &report, found };
    plan::plan(&dockerfile, options, &finder)
}

/// What BuildKit's checks say of the Dockerfile. No image is looked at, so that rules about base images are silent.
pub fn check(store: &Store, options: &Options, services: &Services) -> Result<Vec<Warning>, Error> {
    let report = Report::new(services.progress);
    let (context, _) = open_contexts(store, options, &report)?;
    let (dockerfile, _) = read_dockerfile(options, &context, &report)?;
    let facts =
        Facts { build_args: options.args.clone(), ignore: context.ignore(), ..Facts::default() };
    Ok(lint::lint(&dockerfile, &facts))
}
