//! What the verbs do: one file each, named like the verb, holding its options and `run`.

pub mod history;
pub mod image;
pub mod images;
pub mod import;
pub mod inspect;
pub mod load;
pub mod login;
pub mod logout;
pub mod pull;
pub mod push;
pub mod rmi;
pub mod save;
pub mod tag;
pub mod version;

use crate::args::Verb;
use crate::error::Failure;
use crate::ui;
use knarr_core::root::Root;
use knarr_core::store::Store;

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
}

pub fn run(verb: Verb, context: &Context) -> Outcome {
    match verb {
        Verb::Images(args) => images::run(&args, context),
        Verb::Pull(args) => pull::run(&args, context),
        Verb::Push(args) => push::run(&args, context),
        Verb::Login(args) => login::run(&args),
        Verb::Logout(args) => logout::run(&args),
        Verb::Inspect(args) => inspect::run(&args, context),
        Verb::Save(args) => save::run(&args, context),
        Verb::Load(args) => load::run(&args, context),
        Verb::Import(args) => import::run(&args, context),
        Verb::Rmi(args) => rmi::run(&args, context),
        Verb::Tag(args) => tag::run(&args, context),
        Verb::History(args) => history::run(&args, context),
        Verb::Image(verb) => image::run(verb, context),
        Verb::Version(args) => version::run(&args),
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
        match act(name.as_ref()) {
            Ok(Some(done)) => ui::line(done)?,
            Ok(None) => {}
            Err(failure) => {
                status = failure.status;
                ui::failure(&failure);
            }
        }
    }
    Ok(status)
}
