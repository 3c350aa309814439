//! The images of a project's services: built, pulled, or there already.

use super::build;
use super::machine::Machine;
use super::words;
use crate::error::Failure;
use crate::wiring::{create, variant};
use jiff::Timestamp;
use knarr_compose::model::{PullPolicy, Service};
use knarr_core::store::Store;
use knarr_packager::registry::{self, PullOptions};
use std::collections::HashMap;
use std::time::Duration;

/// What is done about images before containers are made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Prepare {
    /// `--build`
    pub build: bool,
    /// `--no-build`
    pub no_build: bool,
    pub quiet_pull: bool,
    pub quiet_build: bool,
    /// `--pull`, which goes before what the file says.
    pub pull: Option<registry::PullPolicy>,
}

impl Machine<'_> {
    /// Makes sure that every enabled service has its image, and notes their ids. Builds come one after the other, in the
    /// order in which they need each other; each is parallel in itself.
    pub fn prepare(&mut self, prepare: Prepare) -> Result<(), Failure> {
        for service in self.project.services.values() {
            words::refuse(self.project, service)?;
        }
        let store = self.context.store()?;
        let names: Vec<String> = self.project.services.keys().cloned().collect();
        let mut to_build = Vec::new();
        for name in &names {
            let service = self.service(name)?;
            if service.build.is_some() && self.must_build(&store, service, prepare)? {
                to_build.push(name.clone());
            }
        }
        build::all(
            self,
            &to_build,
            &build::Build { quiet: prepare.quiet_build, ..Default::default() },
        )?;
        // what several services run is looked for, and pulled, once
        let mut ready = HashMap::new();
        for name in names {
            let service = self.service(&name)?;
            let built = service.build.is_some();
            let policy = match built {
                true => registry::PullPolicy::Never,
                false => prepare.pull.unwrap_or(self.policy(&store, service)?),
            };
            let image = (self.image(service), service.platform.clone());
            let id = match ready.get(&image) {
                Some((asked, id)) if *asked == policy => String::clone(id),
                _ => self.ensure(&store, service, policy, prepare.quiet_pull)?,
            };
            ready.insert(image, (policy, id.clone()));
            self.images.insert(name, id);
        }
        Ok(())
    }

    fn must_build(
        &self,
        store: &Store,
        service: &Service,
        prepare: Prepare,
    ) -> Result<bool, Failure> {
        let always = prepare.build || matches!(service.pull_policy(), Some(PullPolicy::Build));
        Ok(!prepare.no_build && (always || store.find(&self.image(service)).is_err()))
    }

    fn policy(&self, store: &Store, service: &Service) -> Result<registry::PullPolicy, Failure> {
        Ok(match service.pull_policy() {
            Some(PullPolicy::Always) => registry::PullPolicy::Always,
            Some(PullPolicy::Never) => registry::PullPolicy::Never,
            Some(PullPolicy::Missing | PullPolicy::Build) => registry::PullPolicy::Missing,
            Some(PullPolicy::After(age)) => match self.is_older(store, service, age.to_std()) {
                true => registry::PullPolicy::Always,
                false => registry::PullPolicy::Missing,
            },
            None => {
                let what = format!(
                    "services.{}.pull_policy: {:?} is no policy",
                    service.name, service.pull_policy
                );
                return Err(Failure::usage(what).hint(
                    "write always, never, missing, build, daily, weekly or every_ with a length of time (every_12h)",
                ));
            }
        })
    }

    fn is_older(&self, store: &Store, service: &Service, age: Option<Duration>) -> bool {
        let (Ok(image), Some(age)) = (store.find(&self.image(service)), age) else { return true };
        let seconds = i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        let now = Timestamp::now().as_second();
        store.arrived(&image).is_none_or(|arrived| now.saturating_sub(arrived) >= seconds)
    }

    /// Pulls a service's image if it must be; its id.
    pub fn ensure(
        &self,
        store: &Store,
        service: &Service,
        policy: registry::PullPolicy,
        quiet: bool,
    ) -> Result<String, Failure> {
        let line = super::parse::<crate::args::container::Options>(
            [format!("--platform={}", service.platform), "x".into()]
                .into_iter()
                .filter(|word| word != "--platform="),
        )?;
        let options = PullOptions {
            platform: line.wanted_platform()?,
            runnable: variant::runnable(),
            all_platforms: false,
        };
        let text = self.image(service);
        let ensured = create::ensure(store, &text, policy, &options, quiet, self.context);
        let ensured = ensured.map_err(|failure| {
            failure.context(format!("the service {} has no image", service.name))
        })?;
        Ok(ensured.image.id().to_string())
    }
}
