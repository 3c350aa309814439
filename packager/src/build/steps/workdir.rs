//! `WORKDIR`: the directory is there afterwards, owned by root as in BuildKit.

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
    path: &str,
    state: &mut State,
) -> Result<(), Error> {
    let mut key = stage.key("workdir");
    key.text(path);
    let key = StepKey { independent: None, full: stage.on_top(key, state) };
    stage.cached(step, vertex, &key, state, &mut |layer, state| {
        let trees = stage.build.trees(state)?;
        let mut target = Target::new(layer, &trees)?;
        let made = directory(0o755, (0, 0), stage.build.clock.made());
        target.directory(&clean(path.as_bytes()), &made)?;
        Ok(if target.is_changed() { Made::Changes } else { Made::Nothing })
    })
}
