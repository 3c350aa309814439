//! One command on one project: its files, what there is of it, and a plan carried out.

use super::options::Global;
use crate::commands::Context;
use crate::error::{FAILED, Failure};
use crate::ui;
use crate::ui::compose::Shown;
use crate::wiring::compose::machine::{Hashes, Machine};
use crate::wiring::compose::observe;
use crate::wiring::compose::wait::Waiting;
use knarr_compose::execute::execute;
use knarr_compose::model::{Project, Service};
use knarr_compose::observe::{Container, Observed};
use knarr_compose::plan::{Facts, Plan, Wanted};
use knarr_runtime::sys::interrupt::Interrupts;
use knarr_runtime::sys::signal::Signal;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::Instant;

/// A project and this machine.
pub struct Session<'a> {
    pub context: &'a Context,
    pub global: &'a Global,
    pub project: Project,
    pub hashes: Hashes,
    cancelled: Arc<AtomicBool>,
    signal: Arc<AtomicI32>,
}

impl<'a> Session<'a> {
    /// Reads the files. For what changes containers: before there is any thread.
    pub fn open(
        global: &'a Global,
        context: &'a Context,
        services: &[String],
    ) -> Result<Self, Failure> {
        context.among_owners_for_start();
        Ok(Self::of(global, context, global.project(services)?))
    }

    fn of(global: &'a Global, context: &'a Context, project: Project) -> Self {
        let (cancelled, signal) = (Arc::default(), Arc::default());
        let mut session =
            Self { context, global, project, hashes: Hashes::default(), cancelled, signal };
        session.rehash();
        session
    }

    /// [`Self::open`], or where there are no files but a name (`-p`), a project that has nothing but that: what there is of it is
    /// found by its labels. `false` without files.
    pub fn open_or_named(
        global: &'a Global,
        context: &'a Context,
        services: &[String],
    ) -> Result<(Self, bool), Failure> {
        context.among_owners_for_start();
        let name = match global.project_or_name(services)? {
            Ok(project) => return Ok((Self::of(global, context, project), true)),
            Err(name) => name,
        };
        let all = observe::project(context, &context.store()?, &name, None)?;
        let mut project = Project { name, ..Project::default() };
        for container in all.containers.iter().filter(|one| !one.service().is_empty()) {
            let service = Service { name: container.service().to_owned(), ..Service::default() };
            project.services.insert(service.name.clone(), service);
        }
        Ok((Self::of(global, context, project), false))
    }

    /// The containers of these services, or of all, by name; of each only the one with this number, if there is one.
    pub fn chosen(
        &self,
        services: &[String],
        number: Option<u32>,
    ) -> Result<Vec<Container>, Failure> {
        for name in services {
            self.project.service(name)?;
        }
        let observed = self.observe()?;
        let is_meant = |container: &&Container| {
            let service = container.service();
            (services.is_empty() || services.iter().any(|name| name == service))
                && number.is_none_or(|number| number == container.number())
                && !container.is_one_off()
        };
        let mut chosen: Vec<Container> =
            observed.containers.iter().filter(is_meant).cloned().collect();
        chosen.sort_by(|a, b| (a.service(), a.number()).cmp(&(b.service(), b.number())));
        Ok(chosen)
    }

    /// One container of a service, the first if no number is given.
    pub fn one(&self, service: &str, number: Option<u32>) -> Result<Container, Failure> {
        let all = self.chosen(&[service.to_owned()], number)?;
        all.into_iter().next().ok_or_else(|| {
            let which =
                number.map(|number| format!(" with the number {number}")).unwrap_or_default();
            Failure::new(format!("the service {service} has no container{which}"))
                .hint(format!("knarr compose up -d {service}"))
        })
    }

    /// One that runs.
    pub fn running(&self, service: &str, number: Option<u32>) -> Result<Container, Failure> {
        let all = self.chosen(&[service.to_owned()], number)?;
        all.into_iter().find(Container::is_running).ok_or_else(|| {
            Failure::new(format!("service {service:?} is not running"))
                .hint(format!("knarr compose up -d {service}"))
        })
    }

    /// Leaves the services that are named and those they need; or them alone.
    pub fn select(&mut self, services: &[String], alone: bool) -> Result<(), Failure> {
        self.project.select(services)?;
        if alone && !services.is_empty() {
            let all = std::mem::take(&mut self.project.services);
            for (name, mut service) in all {
                // the others are still the project's
                match services.contains(&name) {
                    true => {
                        service.depends_on.clear();
                        self.project.services.insert(name, service);
                    }
                    false => drop(self.project.disabled.insert(name, service)),
                }
            }
        }
        Ok(())
    }

    /// What everything is made from, after a change of the project.
    pub fn rehash(&mut self) {
        let services = self.project.services.iter();
        self.hashes.services = services
            .map(|(name, service)| {
                let links = crate::wiring::compose::words::links_to(&self.project, service);
                let hash = knarr_compose::render::service_hash(service);
                // a name that others give it is a part of it as well
                (
                    name.clone(),
                    if links.is_empty() { hash } else { format!("{hash}+{}", links.join("+")) },
                )
            })
            .collect();
        let networks = self.project.networks.iter();
        self.hashes.networks = networks
            .map(|(key, network)| (key.clone(), knarr_compose::render::network_hash(network)))
            .collect();
        let volumes = self.project.volumes.iter();
        self.hashes.volumes = volumes
            .map(|(key, volume)| (key.clone(), knarr_compose::render::volume_hash(volume)))
            .collect();
    }

    pub fn machine(&self, images: BTreeMap<String, String>, until: Option<Instant>) -> Machine<'_> {
        Machine {
            context: self.context,
            project: &self.project,
            separator: self.global.separator(),
            images,
            hashes: self.hashes.clone(),
            waiting: Waiting { until, cancelled: self.cancelled.clone() },
        }
    }

    pub fn wanted(&self, images: &BTreeMap<String, String>) -> Wanted {
        let Hashes { services, networks, volumes } = &self.hashes;
        let separator = self.global.separator();
        Wanted::of(&self.project, Facts { separator, images, services, networks, volumes })
    }

    pub fn observe(&self) -> Result<Observed, Failure> {
        observe::project(
            self.context,
            &self.context.store()?,
            &self.project.name,
            Some(&self.project),
        )
    }

    /// Carries out a plan, or prints it (`--dry-run`). Ctrl-C lets what has begun end, and begins nothing more.
    pub fn carry_out(&self, plan: &Plan, machine: &Machine<'_>) -> Result<(), Failure> {
        plan.warnings.iter().for_each(ui::warning);
        if self.global.dry_run {
            return ui::data(plan.to_string().as_bytes());
        }
        if plan.steps.is_empty() {
            return Ok(());
        }
        let _interrupts = self.listen()?;
        self.perform(plan, machine)
    }

    /// [`Self::carry_out`] where somebody else listens to signals already, which may [`Self::cancel`] it.
    pub fn perform(&self, plan: &Plan, machine: &Machine<'_>) -> Result<(), Failure> {
        let shown = Shown::new(self.global.progress());
        let report = execute(plan, machine, &shown, self.global.parallel(), &self.cancelled);
        shown.finish();
        let signal = self.signal.load(Ordering::Relaxed);
        let mut failed = report.failed.into_iter();
        let told = |(step, failure): (usize, Failure)| {
            failure.context(format!("cannot {}", plan.steps[step].action)).status(FAILED)
        };
        match (failed.next(), signal) {
            (Some(first), _) => {
                failed.map(told).for_each(|failure| ui::failure(&failure));
                Err(told(first))
            }
            (None, signal) if signal != 0 && !report.left.is_empty() => {
                let (left, all) = (report.left.len(), plan.steps.len());
                Err(Failure::new(format!("interrupted with {left} of {all} steps left"))
                    .hint("the same command goes on from here")
                    .status(u8::try_from(128 + signal).unwrap_or(FAILED)))
            }
            (None, _) => Ok(()),
        }
    }

    /// Begins no further step.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    fn listen(&self) -> Result<Interrupts, Failure> {
        let (cancelled, number) = (self.cancelled.clone(), self.signal.clone());
        let act = move |signal: Signal| {
            number.store(signal.number(), Ordering::Relaxed);
            cancelled.store(true, Ordering::Relaxed);
        };
        Interrupts::listen(act)
            .map_err(|error| Failure::new("cannot listen for interrupts").cause(&error))
    }
}
