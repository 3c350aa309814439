//! Which words of which instruction are expanded.

use super::super::ast::{CopyOptions, CopySource, Heredoc, Instruction};
use super::super::error::Result;
use super::super::source::Word;

/// A place where variables are expanded.
pub enum Place<'a> {
    Word(&'a mut Word),
    Document(&'a mut Heredoc),
    /// Words of which each may become several.
    Split(&'a mut Vec<Word>),
}

/// Calls `visit` with every such place, in the order in which they are written.
pub fn words(
    instruction: &mut Instruction,
    visit: &mut dyn FnMut(Place<'_>) -> Result<()>,
) -> Result<()> {
    match instruction {
        Instruction::Env(pairs) | Instruction::Label(pairs) => {
            for pair in pairs {
                visit(Place::Word(&mut pair.key))?;
                visit(Place::Word(&mut pair.value))?;
            }
        }
        Instruction::Copy(copy) => {
            options(&mut copy.options, visit)?;
            sources(&mut copy.sources, visit)?;
            visit(Place::Word(&mut copy.destination))?;
        }
        Instruction::Add(add) => {
            options(&mut add.options, visit)?;
            if let Some(checksum) = &mut add.checksum {
                visit(Place::Word(checksum))?;
            }
            sources(&mut add.sources, visit)?;
            visit(Place::Word(&mut add.destination))?;
        }
        Instruction::Stopsignal(word) | Instruction::User(word) | Instruction::Workdir(word) => {
            visit(Place::Word(word))?;
        }
        Instruction::Volume(paths) => {
            for path in paths {
                visit(Place::Word(path))?;
            }
        }
        Instruction::Expose(ports) => visit(Place::Split(ports))?,
        // a shell's affair, plain text, or (ARG, mounts) a matter of more than a scope
        Instruction::Arg(_)
        | Instruction::Cmd(_)
        | Instruction::Entrypoint(_)
        | Instruction::Healthcheck(_)
        | Instruction::Maintainer(_)
        | Instruction::Onbuild(_)
        | Instruction::Run(_)
        | Instruction::Shell(_) => {}
    }
    Ok(())
}

fn options(
    options: &mut CopyOptions,
    visit: &mut dyn FnMut(Place<'_>) -> Result<()>,
) -> Result<()> {
    for option in [&mut options.chown, &mut options.chmod].into_iter().flatten() {
        visit(Place::Word(option))?;
    }
    Ok(())
}

fn sources(
    sources: &mut [CopySource],
    visit: &mut dyn FnMut(Place<'_>) -> Result<()>,
) -> Result<()> {
    for source in sources {
        match source {
            CopySource::Path(path) => visit(Place::Word(path))?,
            CopySource::Document(document) => visit(Place::Document(document))?,
        }
    }
    Ok(())
}
