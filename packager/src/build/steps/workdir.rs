//! `WORKDIR`: the directory is there afterwards. What is made of it belongs to the image's user, as in BuildKit; what was
//! there stays as it is.

use super::owner;
use super::target::{Target, directory};
use crate::build::Error;
use crate::build::execute::State;
use crate::build::files::clean;
use crate::build::plan::Step;
use crate::build::progress::VertexId;
use crate::build::stage::{Made, StageBuilder, StepKey};

pub fn run(
    stage: &StageBuilder,
    step: &Step,
    vertex: VertexId,
    (path, user): (&str, &str),
    state: &mut State,
) -> Result<(), Error> {
    let mut key = stage.key("workdir");
    key.text(path).text(user);
    let key = StepKey { independent: None, full: stage.on_top(key, state) };
    stage.cached(step, vertex, &key, state, &mut |layer, state| {
        let trees = stage.build.trees(state)?;
        let mut target = Target::new(layer, &trees)?;
        let owner = owner::resolve_or_root(user, target.view())?;
        let made = directory(0o755, owner, stage.build.clock.made());
        target.directory(&clean(path.as_bytes()), &made)?;
        Ok(if target.is_changed() { Made::Changes } else { Made::Nothing })
    })
}
