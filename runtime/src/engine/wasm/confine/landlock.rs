//! Landlock: the kernel refuses this process every file outside the guest's tree, whatever it has been tricked into.

use super::super::cause::Cause;
use super::super::error::Error;
use super::super::files::Tree;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::fs::{Mode, OFlags, open};
use std::os::fd::OwnedFd;

/// The newest generation of Landlock whose rights we name; an older kernel enforces what it knows.
const KNOWN: ABI = ABI::V6;

/// Directories of the host, opened before the root is changed, and whether they may be written.
pub(super) struct Rules(Vec<(OwnedFd, bool)>);

impl Rules {
    /// The tree of the guest.
    pub fn open(tree: &Tree) -> Result<Self, Error> {
        let mut rules = Vec::new();
        for (path, writable) in tree.host_directories() {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let directory = open(path, flags, Mode::empty())
                .map_err(|e| Error::confine(format!("opening {}", path.display()), e))?;
            rules.push((directory, writable));
        }
        Ok(Self(rules))
    }

    /// No file at all.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Enforces the rules from now on; tells what the kernel cannot do.
    pub fn enforce(self, network: bool) -> Result<Option<String>, Error> {
        let failed = |e: landlock::RulesetError| Error::confine("Landlock", Cause::of(&e));
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(KNOWN))
            .and_then(|r| r.scope(Scope::from_all(KNOWN)))
            .map_err(failed)?;
        if !network {
            ruleset = ruleset.handle_access(AccessNet::from_all(KNOWN)).map_err(failed)?;
        }
        let mut created = ruleset.create().map_err(failed)?;
        for (directory, writable) in self.0 {
            created =
                created.add_rule(PathBeneath::new(directory, rights(writable))).map_err(failed)?;
        }
        let status = created.no_new_privs(true).restrict_self().map_err(failed)?;
        Ok(match status.ruleset {
            RulesetStatus::NotEnforced => Some(
                "this kernel has no Landlock: the guest's process is confined by everything else"
                    .to_owned(),
            ),
            RulesetStatus::PartiallyEnforced | RulesetStatus::FullyEnforced => None,
        })
    }
}

/// What WASI can ask for, and no more: no device nodes, sockets or pipes, and nothing is ever executed.
fn rights(writable: bool) -> BitFlags<AccessFs> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    if !writable {
        return read;
    }
    read | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::MakeSym
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer
}
