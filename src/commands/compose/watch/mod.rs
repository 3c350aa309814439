//! Services follow the files that they are made from.

mod rules;

use super::options::Global;
use super::session::Session;
use crate::commands::{Context, Outcome};
use crate::error::Failure;
use crate::ui;
use crate::wiring::compose::build::{self, Build};
use crate::wiring::compose::images::Prepare;
use crate::wiring::compose::sync;
use crate::wiring::usages;
use knarr_compose::plan::{self, Recreate, Up};
use knarr_packager::registry::PullPolicy;
use knarr_runtime::container;
use knarr_runtime::sys::interrupt::Interrupts;
use notify::{EventKind, RecursiveMode, Watcher};
use rules::{Rule, Work};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not build and start the services first
    #[arg(long)]
    no_up: bool,
    /// Remove images that a rebuild takes the place of: true or false
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", default_value = "true", hide_default_value = true, action = clap::ArgAction::Set, value_parser = crate::args::usage::parse_switch)]
    prune: bool,
    /// Show nothing while building
    #[arg(long)]
    quiet: bool,
    /// Services; all that have a develop section, if none is named
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

pub fn run(args: &Args, global: &Global, context: &Context) -> Outcome {
    let mut session = Session::open(global, context, &args.services)?;
    session.select(&args.services, false)?;
    let rules = rules::of(&session.project, &args.services)?;
    if rules.is_empty() {
        return Err(nothing());
    }
    if !args.no_up {
        let mut machine = session.machine(Default::default(), None);
        let quiet = args.quiet;
        let prepare =
            Prepare { build: true, quiet_build: quiet, quiet_pull: quiet, ..Default::default() };
        if !global.dry_run {
            machine.prepare(prepare)?;
        }
        let options = Up { services: args.services.clone(), start: true, ..Up::default() };
        let plan = plan::up(&session.wanted(&machine.images), &session.observe()?, &options)?;
        session.carry_out(&plan, &machine)?;
    }
    if global.dry_run {
        return Ok(0);
    }
    let (tell, told) = channel();
    let stop = tell.clone();
    let (heard, signals) = channel();
    let _interrupts = Interrupts::listen(move |signal| {
        let _ = heard.send(signal.number());
        let _ = stop.send(Told::Stop);
    })
    .map_err(|error| Failure::new("cannot listen for interrupts").cause(&error))?;
    let watching = Watching { session: &session, rules, quiet: args.quiet, prune: args.prune };
    watching.run((tell, told), &|text| ui::note(text), &|_| {})?;
    Ok(signals.try_recv().map_or(0, |signal| u8::try_from(128 + signal).unwrap_or(130)))
}

/// There is no rule to go by.
pub fn nothing() -> Failure {
    Failure::new("none of the services says what to watch")
        .hint("give one a 'develop' section with 'watch'")
}

/// What whoever watches hears.
#[derive(Debug)]
pub enum Told {
    Event(notify::Result<notify::Event>),
    Stop,
}

/// Files, and what is done when they change.
pub struct Watching<'a> {
    session: &'a Session<'a>,
    rules: Vec<Rule>,
    quiet: bool,
    prune: bool,
}

/// So long nothing must change before something is done: programs write several files at once.
const QUIET: Duration = Duration::from_millis(200);
/// But it is not put off any longer.
const PATIENCE: Duration = Duration::from_secs(3);

impl<'a> Watching<'a> {
    /// For `up`; `None` if no service says what to watch.
    pub fn of(session: &'a Session<'a>, services: &[String]) -> Result<Option<Self>, Failure> {
        let rules = rules::of(&session.project, services)?;
        Ok((!rules.is_empty()).then_some(Self { session, rules, quiet: true, prune: true }))
    }

    /// Until it is told to stop. `say` tells people, `busy` that containers are about to be changed, and that they have been.
    pub fn run(
        &self,
        (tell, told): (Sender<Told>, Receiver<Told>),
        say: &dyn Fn(&str),
        busy: &dyn Fn(bool),
    ) -> Result<(), Failure> {
        let failed = |error: notify::Error| Failure::of(&error, None).context("cannot watch files");
        let mut watcher = notify::recommended_watcher(move |event| {
            let _ = tell.send(Told::Event(event));
        })
        .map_err(failed)?;
        for (path, mode) in self.places() {
            watcher.watch(&path, mode).map_err(failed)?;
        }
        let act = |work: BTreeMap<String, Work>| {
            busy(true);
            if let Err(failure) = self.act(work, say) {
                say(&format!("error: {}", failure.messages.join(": ")));
            }
            busy(false);
        };
        let initial = rules::initial(&self.rules);
        if !initial.is_empty() {
            act(initial);
        }
        say("Watch enabled");
        while let Ok(Told::Event(first)) = told.recv() {
            let mut paths = BTreeSet::new();
            self.note(first, &mut paths);
            let end = Instant::now() + PATIENCE;
            while Instant::now() < end {
                match told.recv_timeout(QUIET) {
                    Ok(Told::Event(next)) => self.note(next, &mut paths),
                    Ok(Told::Stop) => return Ok(()),
                    Err(_) => break,
                }
            }
            let work = rules::work(&self.rules, &paths);
            if !work.is_empty() {
                act(work);
            }
        }
        Ok(())
    }

    /// The folders to watch. A file is seen in its folder, as most programs put a new one in its place.
    fn places(&self) -> Vec<(PathBuf, RecursiveMode)> {
        let folders: BTreeSet<_> =
            self.rules.iter().map(|rule| rule.path.clone()).filter(|path| path.is_dir()).collect();
        let is_in = |path: &PathBuf| folders.iter().any(|folder| path.starts_with(folder));
        let files = self.rules.iter().map(|rule| &rule.path).filter(|path| !is_in(path));
        let parents: BTreeSet<_> =
            files.filter_map(|path| path.parent()).map(PathBuf::from).collect();
        let parents: Vec<_> = parents.into_iter().filter(|path| !is_in(path)).collect();
        let whole = folders.into_iter().map(|path| (path, RecursiveMode::Recursive));
        // a folder of files that has watched ones in it keeps them watched
        let flat = parents.into_iter().map(|path| (path, RecursiveMode::NonRecursive));
        flat.chain(whole).collect()
    }

    fn note(&self, event: notify::Result<notify::Event>, paths: &mut BTreeSet<PathBuf>) {
        match event {
            Ok(event) if event.need_rescan() => {
                paths.extend(self.rules.iter().map(|rule| rule.path.clone()));
            }
            // what we read ourselves would be heard as well
            Ok(event) if !matches!(event.kind, EventKind::Access(_)) => paths.extend(event.paths),
            _ => {}
        }
    }

    fn act(&self, work: BTreeMap<String, Work>, say: &dyn Fn(&str)) -> Result<(), Failure> {
        let (rebuilt, others): (BTreeMap<_, _>, BTreeMap<_, _>) =
            work.into_iter().partition(|(_, work)| work.rebuild);
        if !rebuilt.is_empty() {
            let names: Vec<String> = rebuilt.into_keys().collect();
            let shown = names.join(", ");
            say(&format!("Rebuilding {shown} after a change"));
            self.rebuild(&names)?;
            say(&format!("{shown} rebuilt"));
        }
        let mut restarted = Vec::new();
        for (service, work) in others {
            self.sync(&service, &work, say)?;
            if work.restart {
                restarted.push(service);
            }
        }
        if !restarted.is_empty() {
            let session = self.session;
            let (wanted, observed) = (session.wanted(&Default::default()), session.observe()?);
            let plan = plan::restart(&wanted, &observed, &restarted, None, false)?;
            session.perform(&plan, &session.machine(Default::default(), None))?;
            say(&format!("{} restarted", restarted.join(", ")));
        }
        Ok(())
    }

    fn sync(&self, service: &str, work: &Work, say: &dyn Fn(&str)) -> Result<(), Failure> {
        if work.sync.is_empty() {
            return Ok(());
        }
        let (session, store) = (self.session, self.session.context.store()?);
        let machine = session.machine(Default::default(), None);
        let running = session.chosen(&[service.to_owned()], None)?;
        for container in running.iter().filter(|container| container.is_running()) {
            for (folder, changed) in &work.sync {
                sync::send(store.root(), &container.name, folder, changed)?;
            }
            if !work.exec.is_empty() {
                let id = container::find(&store, &container.name)?;
                machine.hooks(&store, &id, "watch", &work.exec)?;
            }
        }
        let count: usize = work.sync.values().map(|c| c.there.len() + c.gone.len()).sum();
        say(&format!("{service}: {count} change{} synced", if count == 1 { "" } else { "s" }));
        Ok(())
    }

    fn rebuild(&self, names: &[String]) -> Result<(), Failure> {
        let session = self.session;
        let observed = session.observe()?;
        let of_them =
            observed.containers.iter().filter(|c| names.contains(&c.service().to_owned()));
        let before: BTreeSet<String> =
            of_them.filter_map(|c| c.image().map(str::to_owned)).collect();
        let mut machine = session.machine(Default::default(), None);
        build::all(&machine, names, &Build { quiet: self.quiet, ..Build::default() })?;
        machine.prepare(Prepare {
            no_build: true,
            quiet_pull: true,
            pull: Some(PullPolicy::Missing),
            ..Prepare::default()
        })?;
        let options = Up {
            services: names.to_vec(),
            recreate_dependencies: Recreate::Never,
            start: true,
            ..Up::default()
        };
        let plan = plan::up(&session.wanted(&machine.images), &observed, &options)?;
        session.perform(&plan, &machine)?;
        if self.prune {
            self.remove_nameless(&before)?;
        }
        Ok(())
    }

    /// Removes those of the images that have lost their names to others, unless something else uses them.
    fn remove_nameless(&self, images: &BTreeSet<String>) -> Result<(), Failure> {
        let store = self.session.context.store()?;
        let named: BTreeSet<String> = store
            .images()?
            .iter()
            .filter(|image| image.reference.is_some())
            .map(|image| image.id().to_string())
            .collect();
        for image in images.difference(&named) {
            // one that somebody uses stays
            let _ = store.remove(image, false, &usages(store.root()));
        }
        Ok(())
    }
}
