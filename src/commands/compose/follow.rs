//! `up` in the foreground: what containers print, until they end, ctrl-C stops them, or somebody detaches.

use super::session::Session;
use super::watch::{self, Told, Watching};
use crate::commands::Outcome;
use crate::error::Failure;
use crate::ui;
use crate::ui::compose::Prefixed;
use crate::ui::terminal::Keys;
use knarr_compose::observe::{Container, Observed};
use knarr_compose::plan;
use knarr_core::store::Store;
use knarr_runtime::container;
use knarr_runtime::container::logs::LogOptions;
use knarr_runtime::sys::interrupt::Interrupts;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::Scope;

pub struct Following {
    /// The services that were named; empty: all.
    pub services: Vec<String>,
    /// The services that are shown.
    pub shown: Vec<String>,
    pub abort_on_exit: bool,
    pub abort_on_failure: bool,
    pub exit_code_from: Option<String>,
    pub timeout: Option<i64>,
    pub colour: bool,
    pub prefix: bool,
    pub timestamps: bool,
    /// Keys are listened to, and shown below everything, if somebody sits there.
    pub menu: bool,
    /// Watch files from the beginning.
    pub watch: bool,
}

/// What there is to act on.
enum Event {
    /// A container, by its place in the list, has ended for good.
    Ended(usize, u8),
    Signal(i32),
    Key(u8),
    /// Whoever watches files begins to change containers, or has done so.
    Busy(bool),
    /// All are stopped, or it has failed.
    Stopped(Result<(), Failure>),
}

/// Returns when all containers have ended, with the exit code that was asked for; or when somebody detaches.
pub fn follow(session: &Session<'_>, options: &Following) -> Outcome {
    let observed = session.observe()?;
    let containers = of_project(session, &observed);
    let names = containers.iter().map(|c| c.name.clone()).collect();
    let out = Arc::new(Prefixed::new(names, options.colour, options.prefix));
    let watching = Watching::of(session, &options.services)?;
    if options.watch && watching.is_none() {
        return Err(watch::nothing());
    }
    let (tell, events) = channel();
    let signals = tell.clone();
    // the first stops the containers, the second kills them
    let _interrupts = Interrupts::listen_to(2, move |signal| {
        let _ = signals.send(Event::Signal(signal.number()));
    })
    .map_err(|error| Failure::new("cannot listen for interrupts").cause(&error))?;
    let keys = tell.clone();
    let keys = options.menu.then(|| {
        Keys::listen(move |key| {
            let _ = keys.send(Event::Key(key));
        })
    });
    let keys = keys.flatten();
    let mut followed = Followed {
        session,
        options,
        store: session.context.store()?,
        ends: vec![None; containers.len()],
        containers,
        out,
        tell,
        watching: watching.as_ref(),
        watch: None,
        busy: false,
        has_menu: keys.is_some(),
        stopping: false,
        code: None,
    };
    let result = std::thread::scope(|scope| followed.until_the_end(scope, &events));
    followed.out.set_menu(None);
    result
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
    name: &str,
    at: usize,
    shown: Option<(&Prefixed, bool)>,
    tell: &Sender<Event>,
) {
    let Ok(id) = container::find(store, name) else { return };
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

struct Followed<'a> {
    session: &'a Session<'a>,
    options: &'a Following,
    store: Store,
    containers: Vec<&'a Container>,
    /// How each container has ended.
    ends: Vec<Option<u8>>,
    out: Arc<Prefixed>,
    tell: Sender<Event>,
    watching: Option<&'a Watching<'a>>,
    /// To whoever watches just now.
    watch: Option<Sender<Told>>,
    busy: bool,
    has_menu: bool,
    stopping: bool,
    code: Option<u8>,
}

impl<'a> Followed<'a> {
    fn until_the_end<'scope>(
        &mut self,
        scope: &'scope Scope<'scope, 'a>,
        events: &Receiver<Event>,
    ) -> Outcome
    where
        'a: 'scope,
    {
        (0..self.containers.len()).for_each(|at| self.show(at));
        if self.options.watch {
            self.toggle(scope);
        }
        self.draw();
        while !self.is_over() {
            let Ok(event) = events.recv() else { break };
            match event {
                Event::Signal(signal) => {
                    self.code = Some(u8::try_from(128 + signal).unwrap_or(130));
                    match self.stopping {
                        false => self.stop(scope),
                        true => self.kill(),
                    }
                }
                // the containers go on, and what follows them ends with this process
                Event::Key(b'd' | b'D') if !self.stopping => {
                    self.stop_watching();
                    return Ok(0);
                }
                Event::Key(b'w' | b'W') if !self.stopping => self.toggle(scope),
                Event::Key(b'\n' | b'\r') => self.out.note(""),
                Event::Key(_) => {}
                Event::Busy(true) => self.busy = true,
                Event::Busy(false) => {
                    self.busy = false;
                    for at in 0..self.ends.len() {
                        self.show_again(at);
                    }
                }
                Event::Stopped(result) => result?,
                Event::Ended(at, code) => self.ended(scope, at, code),
            }
        }
        self.stop_watching();
        Ok(self.code.unwrap_or(0))
    }

    /// While files are watched, a container that has ended may be made anew.
    fn is_over(&self) -> bool {
        self.ends.iter().all(Option::is_some) && (self.watch.is_none() || self.stopping)
    }

    /// Follows a container in a thread of its own, which is left behind when somebody detaches.
    fn show(&self, at: usize) {
        let container = self.containers[at];
        let shown = self.options.shown.iter().any(|name| name == container.service());
        let shown = shown.then(|| (self.out.clone(), self.options.timestamps));
        let (store, name, tell) = (self.store.clone(), container.name.clone(), self.tell.clone());
        std::thread::spawn(move || {
            let shown = shown.as_ref().map(|(out, timestamps)| (&**out, *timestamps));
            one(&store, &name, at, shown, &tell);
        });
    }

    /// Follows a container again that runs again; `false` if it does not.
    fn show_again(&mut self, at: usize) -> bool {
        let runs = container::find(&self.store, &self.containers[at].name)
            .ok()
            .and_then(|id| knarr_runtime::state::load(self.store.root(), &id).ok())
            .is_some_and(|container| container.state.is_alive());
        if runs && self.ends[at].take().is_some() {
            self.show(at);
        }
        runs
    }

    fn ended<'scope>(&mut self, scope: &'scope Scope<'scope, 'a>, at: usize, code: u8)
    where
        'a: 'scope,
    {
        self.ends[at] = Some(code);
        if self.busy || (!self.stopping && self.show_again(at)) {
            return;
        }
        let (container, options) = (self.containers[at], self.options);
        self.out.note(format_args!("{} exited with code {code}", container.name));
        if options.exit_code_from.as_deref() == Some(container.service()) {
            self.code.get_or_insert(code);
        }
        if options.abort_on_exit || (options.abort_on_failure && code != 0) {
            if options.exit_code_from.is_none() {
                self.code.get_or_insert(code);
            }
            self.stop(scope);
        }
    }

    fn stop<'scope>(&mut self, scope: &'scope Scope<'scope, 'a>)
    where
        'a: 'scope,
    {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        self.stop_watching();
        self.has_menu = false;
        self.out.set_menu(None);
        ui::note("Gracefully stopping... (press ctrl-C again to force)");
        let (session, timeout, tell) = (self.session, self.options.timeout, self.tell.clone());
        scope.spawn(move || {
            let _ = tell.send(Event::Stopped(stop_all(session, timeout)));
        });
    }

    /// No more waiting for those that are being stopped.
    fn kill(&self) {
        self.session.cancel();
        for container in &self.containers {
            // one that has just ended is what was wanted
            let _ = container::find(&self.store, &container.name)
                .and_then(|id| container::kill(&self.store, &id, "KILL"));
        }
    }

    fn toggle<'scope>(&mut self, scope: &'scope Scope<'scope, 'a>)
    where
        'a: 'scope,
    {
        let Some(watching) = self.watching else {
            return self.out.note("none of the services says what to watch (develop.watch)");
        };
        if self.watch.is_some() {
            self.stop_watching();
            self.out.note("Watch disabled");
        } else {
            let channel = channel();
            self.watch = Some(channel.0.clone());
            let (out, tell) = (self.out.clone(), self.tell.clone());
            scope.spawn(move || {
                let busy = |busy| drop(tell.send(Event::Busy(busy)));
                if let Err(failure) = watching.run(channel, &|text| out.note(text), &busy) {
                    out.note(format_args!("error: {}", failure.messages.join(": ")));
                }
            });
        }
        self.draw();
    }

    fn stop_watching(&mut self) {
        if let Some(watch) = self.watch.take() {
            let _ = watch.send(Told::Stop);
        }
    }

    fn draw(&self) {
        let menu = match (self.watching, &self.watch) {
            (None, _) => "d Detach",
            (Some(_), None) => "w Enable Watch   d Detach",
            (Some(_), Some(_)) => "w Disable Watch   d Detach",
        };
        if self.has_menu {
            self.out.set_menu(Some(menu));
        }
    }
}

fn stop_all(session: &Session<'_>, timeout: Option<i64>) -> Result<(), Failure> {
    let plan = plan::stop(&session.wanted(&Default::default()), &session.observe()?, &[], timeout)?;
    session.perform(&plan, &session.machine(Default::default(), None))
}
