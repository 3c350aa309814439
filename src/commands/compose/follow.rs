//! `up` in the foreground: what containers print, until they end or ctrl-C stops them.

use super::session::Session;
use crate::commands::Outcome;
use crate::error::Failure;
use crate::ui;
use crate::ui::compose::Prefixed;
use knarr_compose::observe::{Container, Observed};
use knarr_compose::plan;
use knarr_core::store::Store;
use knarr_runtime::container;
use knarr_runtime::container::logs::LogOptions;
use knarr_runtime::sys::interrupt::Interrupts;
use std::sync::mpsc::{Receiver, Sender, channel};

pub struct Following {
    /// The services that are shown.
    pub shown: Vec<String>,
    pub abort_on_exit: bool,
    pub abort_on_failure: bool,
    pub exit_code_from: Option<String>,
    pub timeout: Option<i64>,
    pub colour: bool,
    pub prefix: bool,
    pub timestamps: bool,
}

/// What there is to act on.
enum Event {
    /// A container, by its place in the list, has ended for good.
    Ended(usize, u8),
    Signal(i32),
}

/// Returns when all containers have ended, with the exit code that was asked for.
pub fn follow(session: &Session<'_>, options: &Following) -> Outcome {
    let observed = session.observe()?;
    let containers = of_project(session, &observed);
    let names = containers.iter().map(|c| c.name.clone()).collect();
    let out = Prefixed::new(names, options.colour, options.prefix);
    let (tell, events) = channel();
    let signals = tell.clone();
    let interrupts = Interrupts::listen(move |signal| {
        let _ = signals.send(Event::Signal(signal.number()));
    });
    let interrupts =
        interrupts.map_err(|error| Failure::new("cannot listen for interrupts").cause(&error))?;
    let store = session.context.store()?;
    std::thread::scope(|scope| {
        for (at, container) in containers.iter().enumerate() {
            let (store, out, tell) = (&store, &out, tell.clone());
            let shown = options.shown.iter().any(|name| name == container.service());
            scope.spawn(move || {
                one(store, container, at, shown.then_some((out, options.timestamps)), &tell)
            });
        }
        drop(tell);
        let result = until_the_end(session, options, &containers, &events);
        // from here on ctrl-C ends this process, and with it what still follows
        drop(interrupts);
        result
    })
}

/// The containers of the enabled services, in the order of their names.
fn of_project<'a>(session: &Session<'_>, observed: &'a Observed) -> Vec<&'a Container> {
    session
        .project
        .services
        .keys()
        .flat_map(|name| {
            let own =
                observed.containers.iter().filter(move |c| c.service() == name && !c.is_one_off());
            let mut own: Vec<&Container> = own.collect();
            own.sort_by_key(|container| container.number());
            own
        })
        .collect()
}

/// Shows what one container prints, and tells when it has ended.
fn one(
    store: &Store,
    container: &Container,
    at: usize,
    shown: Option<(&Prefixed, bool)>,
    tell: &Sender<Event>,
) {
    let Ok(id) = container::find(store, &container.name) else { return };
    if let Some((out, timestamps)) = shown {
        let options =
            LogOptions { follow: true, since: started(store, &id), ..LogOptions::default() };
        let shown = container::logs(store, &id, &options, &mut |entry| {
            let before = if timestamps { format!("{:.9} ", entry.time) } else { String::new() };
            let is_error = entry.stream == knarr_runtime::monitor::Stream::Stderr;
            out.write(at, is_error, &before, entry.text.as_bytes())
        });
        let _ = shown.is_ok() && out.finish(at).is_ok();
    }
    let code = container::wait(store, &id).unwrap_or(0);
    let _ = tell.send(Event::Ended(at, code));
}

/// When its last life began: what it printed before was shown before.
fn started(store: &Store, id: &knarr_core::id::ContainerId) -> Option<jiff::Timestamp> {
    knarr_runtime::state::load(store.root(), id).ok().and_then(|container| container.state.started)
}

fn until_the_end(
    session: &Session<'_>,
    options: &Following,
    containers: &[&Container],
    events: &Receiver<Event>,
) -> Outcome {
    let mut left = containers.len();
    let mut code = None;
    let mut stopping = false;
    let stop = |stopping: &mut bool| match std::mem::replace(stopping, true) {
        true => Ok(()),
        false => {
            ui::note("Gracefully stopping... (press ctrl-C again to force)");
            stop_all(session, options.timeout)
        }
    };
    while left > 0 {
        let Ok(event) = events.recv() else { break };
        match event {
            Event::Signal(signal) => {
                stop(&mut stopping)?;
                code.get_or_insert(u8::try_from(128 + signal).unwrap_or(130));
            }
            Event::Ended(at, ended) => {
                left -= 1;
                let container = containers[at];
                ui::note(format_args!("{} exited with code {ended}", container.name));
                if options.exit_code_from.as_deref() == Some(container.service()) {
                    code.get_or_insert(ended);
                }
                if options.abort_on_exit || (options.abort_on_failure && ended != 0) {
                    if options.exit_code_from.is_none() {
                        code.get_or_insert(ended);
                    }
                    stop(&mut stopping)?;
                }
            }
        }
    }
    Ok(code.unwrap_or(0))
}

fn stop_all(session: &Session<'_>, timeout: Option<i64>) -> Result<(), Failure> {
    let plan = plan::stop(&session.wanted(&Default::default()), &session.observe()?, &[], timeout)?;
    session.carry_out(&plan, &session.machine(Default::default(), None))
}
