//! Containers of services.

use super::machine::Machine;
use super::{mounts, words};
use crate::args::container::Options;
use crate::error::Failure;
use crate::wiring::create::make;
use knarr_compose::model::{Healthcheck, Project, Service};
use knarr_compose::observe::label;
use knarr_core::id::ContainerId;
use knarr_core::image::config;
use knarr_core::spec::{Mount, MountKind};
use knarr_runtime::container::copy::{CopyOptions, from_archive};
use knarr_runtime::container::options::RunOptions;
use knarr_runtime::{container, state};
use std::collections::BTreeMap;

/// One container that is to be made.
#[derive(Debug, Clone, Copy)]
pub struct New<'a> {
    pub service: &'a Service,
    pub name: &'a str,
    pub number: u32,
    /// The container whose place it takes.
    pub replaces: Option<&'a str>,
    /// With its anonymous volumes.
    pub keeps_volumes: bool,
    /// Of `run`.
    pub one_off: bool,
    /// Others find it by the service's name.
    pub named: bool,
    /// Further options of `knarr create`.
    pub more: &'a [String],
}

impl Machine<'_> {
    /// Makes a container, with its files of configs and secrets.
    pub fn create(&self, new: New<'_>) -> Result<ContainerId, Failure> {
        let service = new.service;
        let words =
            words::of(self.project, service, &|other| self.first_container(other), new.named)?;
        let image = self.image(service);
        let command = service.command.0.clone().unwrap_or_default();
        let mut line = vec!["--pull=never".to_owned(), format!("--name={}", new.name)];
        line.extend(new.more.iter().cloned());
        line.extend(words.rest(["--".into(), image].into_iter().chain(command)));
        let given: Options = super::parse(line)?;
        let mut asked = given.run_options()?;
        asked.entrypoint.clone_from(&service.entrypoint.0);
        asked.healthcheck = service.healthcheck.as_ref().map(healthcheck);
        // a mount of the command line takes the place of the file's
        let own = mounts::of(self.project, service)?.into_iter();
        let own = own.filter(|own| !asked.mounts.iter().any(|more| more.target == own.target));
        asked.mounts.extend(own.collect::<Vec<_>>());
        asked.labels =
            self.labels(new).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        if let Some(old) = new.replaces.filter(|_| new.keeps_volumes) {
            self.take_over_volumes(&mut asked, old)?;
        }
        let (store, id) = make(&given, asked, self.context, false)?;
        let written = mounts::archive(&mounts::files(self.project, service)?);
        let written =
            written.map_err(|error| Failure::new("cannot write its files").cause(&error))?;
        if let Some(archive) = written {
            let options = CopyOptions { archive: true, follow_link: false };
            if let Err(error) = from_archive(&store, &id, &mut archive.as_slice(), "/", options) {
                let everything = container::remove::Remove { force: true, volumes: true };
                let failure = Failure::from(error).context("cannot write its configs and secrets");
                return match container::remove(&store, &id, everything) {
                    Ok(()) => Err(failure),
                    Err(also) => Err(failure.also(also)),
                };
            }
        }
        Ok(id)
    }

    /// The anonymous volumes of a container go on in the one that takes its place.
    fn take_over_volumes(&self, asked: &mut RunOptions, old: &str) -> Result<(), Failure> {
        let store = self.context.store()?;
        let id = container::find(&store, old)?;
        let spec = state::load_spec(store.root(), &id).map_err(container::Error::from)?;
        let taken = |mount: &Mount| {
            asked.mounts.iter().any(|own| own.target == mount.target && !is_anonymous(own))
        };
        let old: Vec<Mount> =
            spec.mounts.into_iter().filter(|mount| is_anonymous(mount) && !taken(mount)).collect();
        asked.mounts.retain(|own| !old.iter().any(|mount| mount.target == own.target));
        asked.mounts.extend(old);
        Ok(())
    }

    fn labels(&self, new: New<'_>) -> BTreeMap<String, String> {
        let (project, service) = (self.project, new.service);
        let depends_on = service.depends_on.iter().map(|(name, dependency)| {
            format!("{name}:{}:{}", dependency.condition, dependency.restart)
        });
        let mut labels = service.labels.0.clone();
        let mut set = |name: &str, value: String| {
            labels.insert(name.to_owned(), value);
        };
        set(label::PROJECT, project.name.clone());
        set(label::SERVICE, service.name.clone());
        set(label::NUMBER, new.number.to_string());
        set(label::ONE_OFF, if new.one_off { "True" } else { "False" }.to_owned());
        set(label::CONFIG_HASH, self.hash(&service.name));
        set(label::IMAGE, self.images.get(&service.name).cloned().unwrap_or_default());
        set(label::CONFIG_FILES, project.files.join(","));
        set(label::WORKING_DIR, project.directory.display().to_string());
        set(label::DEPENDS_ON, depends_on.collect::<Vec<_>>().join(","));
        set(label::VERSION, env!("CARGO_PKG_VERSION").to_owned());
        if let Some(old) = new.replaces {
            set(label::REPLACE, old.to_owned());
        }
        labels
    }
}

fn is_anonymous(mount: &Mount) -> bool {
    matches!(&mount.kind, MountKind::Volume(volume) if volume.anonymous)
}

/// The check of a service; what it leaves open comes from the image.
fn healthcheck(own: &Healthcheck) -> config::Healthcheck {
    let nanoseconds = |duration: Option<knarr_compose::model::Duration>| {
        duration.and_then(|duration| u64::try_from(duration.0).ok()).unwrap_or(0)
    };
    let test = match own.disable {
        true => vec!["NONE".to_owned()],
        false => own.test.0.clone(),
    };
    config::Healthcheck {
        test,
        interval: nanoseconds(own.interval),
        timeout: nanoseconds(own.timeout),
        start_period: nanoseconds(own.start_period),
        start_interval: nanoseconds(own.start_interval),
        retries: own.retries.unwrap_or(0),
    }
}

/// The name under which a project's container goes.
pub fn container_name(
    project: &Project,
    service: &Service,
    number: u32,
    separator: char,
) -> String {
    match service.container_name.as_str() {
        "" => format!("{}{separator}{}{separator}{number}", project.name, service.name),
        name => name.to_owned(),
    }
}
