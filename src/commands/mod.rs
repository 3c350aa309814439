//! What the verbs do: one file each, named like the verb, holding its options and `run`.

pub mod attach;
pub mod build;
pub mod builder;
pub mod commit;
pub mod completion;
pub mod compose;
pub mod container;
pub mod cp;
pub mod create;
pub mod diff;
pub mod events;
pub mod exec;
pub mod export;
pub mod healthcheck;
pub mod history;
pub mod image;
pub mod images;
pub mod import;
pub mod info;
pub mod inspect;
pub mod internal;
pub mod kill;
pub mod load;
pub mod login;
pub mod logout;
pub mod logs;
pub mod network;
pub mod package;
pub mod pause;
pub mod port;
pub mod ps;
pub mod pull;
pub mod push;
pub mod rename;
pub mod restart;
pub mod rm;
pub mod rmi;
pub mod run;
pub mod save;
pub mod start;
pub mod stats;
pub mod stop;
pub mod system;
pub mod tag;
pub mod top;
pub mod unpause;
pub mod version;
pub mod volume;
pub mod wait;

use crate::args::Verb;
use crate::error::Failure;
use crate::ui;
use knarr_core::root::Root;
use knarr_core::store::Store;
use knarr_runtime::net::rootless;

/// What every command works on.
#[derive(Debug)]
pub struct Context {
    pub root: Root,
}

/// The exit code of a command that did what it was asked to do, or a container's.
pub type Outcome = Result<u8, Failure>;

impl Context {
    pub fn store(&self) -> Result<Store, Failure> {
        Ok(Store::open(&self.root)?)
    }

    /// For what makes, changes or measures files of images, containers and volumes: an ordinary user's may belong to
    /// subordinate ids. Before there is any thread.
    pub fn among_owners(&self) {
        rootless::among_owners(&self.root, false);
    }

    /// [`Self::among_owners`] for what starts containers as well.
    pub fn among_owners_for_start(&self) {
        rootless::among_owners(&self.root, true);
    }
}

pub fn dispatch(verb: Verb, context: &Context) -> Outcome {
    match verb {
        Verb::Attach(args) => attach::run(&args, context),
        Verb::Build(args) => build::run(&args, context),
        Verb::Builder(verb) => builder::run(verb, context),
        Verb::Buildx(verb) => builder::buildx(verb, context),
        Verb::Commit(args) => commit::run(&args, context),
        Verb::Completion(args) => completion::run(&args),
        Verb::Compose(args) => compose::run(&args, context),
        Verb::Container(verb) => container::run(verb, context),
        Verb::Cp(args) => cp::run(&args, context),
        Verb::Create(args) => create::run(&args, context),
        Verb::Diff(args) => diff::run(&args, context),
        Verb::Events(args) => events::run(&args, context),
        Verb::Exec(args) => exec::run(&args, context),
        Verb::Export(args) => export::run(&args, context),
        Verb::Healthcheck(verb) => healthcheck::run(verb, context),
        Verb::History(args) => history::run(&args, context),
        Verb::Image(verb) => image::run(verb, context),
        Verb::Images(args) => images::run(&args, context),
        Verb::Import(args) => import::run(&args, context),
        Verb::Info(args) => info::run(&args, context),
        Verb::Inspect(args) => inspect::run(&args, context),
        Verb::Kill(args) => kill::run(&args, context),
        Verb::Load(args) => load::run(&args, context),
        Verb::Login(args) => login::run(&args),
        Verb::Logout(args) => logout::run(&args),
        Verb::Logs(args) => logs::run(&args, context),
        Verb::Network(verb) => network::run(verb, context),
        Verb::Package(args) => package::run(&args, context),
        Verb::Pause(args) => pause::run(&args, context),
        Verb::Port(args) => port::run(&args, context),
        Verb::Ps(args) => ps::run(&args, context),
        Verb::Pull(args) => pull::run(&args, context),
        Verb::Push(args) => push::run(&args, context),
        Verb::Rename(args) => rename::run(&args, context),
        Verb::Restart(args) => restart::run(&args, context),
        Verb::Rm(args) => rm::run(&args, context),
        Verb::Rmi(args) => rmi::run(&args, context),
        Verb::Run(args) => run::run(&args, context),
        Verb::Save(args) => save::run(&args, context),
        Verb::Start(args) => start::run(&args, context),
        Verb::Stats(args) => stats::run(&args, context),
        Verb::Stop(args) => stop::run(&args, context),
        Verb::System(verb) => system::run(verb, context),
        Verb::Tag(args) => tag::run(&args, context),
        Verb::Top(args) => top::run(&args, context),
        Verb::Unpause(args) => unpause::run(&args, context),
        Verb::Version(args) => version::run(&args),
        Verb::Volume(verb) => volume::run(verb, context),
        Verb::Wait(args) => wait::run(&args, context),
    }
}

/// Does the same to each name, as Docker does: the ones that succeed are printed, the ones that fail are
/// reported, and one failure makes the command fail.
fn each<T: AsRef<str>>(
    names: &[T],
    mut act: impl FnMut(&str) -> Result<Option<String>, Failure>,
) -> Outcome {
    let mut status = 0;
    for name in names {
        tell(act(name.as_ref()), &mut status)?;
    }
    Ok(status)
}

/// [`each`] for what takes its time, such as a grace period: several at once.
fn each_at_once<T: AsRef<str> + Sync>(
    names: &[T],
    act: impl Fn(&str) -> Result<Option<String>, Failure> + Sync,
) -> Outcome {
    const AT_ONCE: usize = 32;
    let mut status = 0;
    for some in names.chunks(AT_ONCE) {
        if let [name] = some {
            tell(act(name.as_ref()), &mut status)?;
            continue;
        }
        let results: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                some.iter().map(|name| scope.spawn(|| act(name.as_ref()))).collect();
            threads.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
        });
        for result in results {
            tell(result.unwrap_or_else(|panic| std::panic::resume_unwind(panic)), &mut status)?;
        }
    }
    Ok(status)
}

fn tell(result: Result<Option<String>, Failure>, status: &mut u8) -> Result<(), Failure> {
    match result {
        Ok(Some(done)) => ui::line(done)?,
        Ok(None) => {}
        Err(failure) => {
            *status = failure.status;
            ui::failure(&failure);
        }
    }
    Ok(())
}
