//! Seccomp profiles in Docker's format: which system calls a container may make.
//!
//! A profile's conditions (`includes`, `excludes`: capabilities, architectures, kernel versions) are evaluated here,
//! before the container exists; what the kernel gets is a program (see [`bpf`](crate::sys::seccomp)).

mod syscalls;
#[cfg(test)]
mod tests;

use super::capabilities::Capabilities;
use super::error::Error;
use crate::sys::seccomp::{
    self as bpf, Architecture, Comparison, Condition, Instruction, NATIVE, Rule, Section, Verdict,
};
use knarr_core::spec::{Seccomp, Security};
use serde::Deserialize;

/// The profile that containers get by default. It allows what the default profile of Moby allows (Apache-2.0,
/// github.com/moby/profiles, version of 2025).
const DEFAULT: &str = include_str!("default.json");

/// Of a container that may connect to some places only: no socket of a family that its packet filter does not see (packets
/// of the link, the machine's host, other buses). It holds where the container is otherwise unconfined, too.
const OUTBOUND: &str = include_str!("outbound.json");

/// A compiled profile.
#[derive(Debug, PartialEq, Eq)]
pub struct Filter {
    program: Vec<Instruction>,
    flags: u64,
}

impl Filter {
    /// The filters for a container with these capabilities; the strictest verdict holds. None if it is unconfined.
    /// `outbound`: it may connect to some places only.
    pub fn of(
        security: &Security,
        capabilities: Capabilities,
        outbound: bool,
    ) -> Result<Vec<Self>, Error> {
        let own = match &security.seccomp {
            _ if security.privileged => None,
            Seccomp::Unconfined => None,
            Seccomp::Default => Some(DEFAULT),
            Seccomp::Profile(text) => Some(text.as_str()),
        };
        // the container's own last: it may forbid to install more
        let outbound = outbound.then_some(OUTBOUND);
        let texts = outbound.into_iter().chain(own);
        texts.map(|text| Self::compile(text, capabilities)).collect()
    }

    fn compile(text: &str, capabilities: Capabilities) -> Result<Self, Error> {
        let profile: Profile =
            serde_json::from_str(text).map_err(|source| Error::SeccompSyntax { source })?;
        let flags =
            profile.flags.iter().try_fold(0, |all, flag| Ok::<_, Error>(all | flag_bit(flag)?))?;
        Ok(Self { program: bpf::compile(&profile.sections(capabilities)?), flags })
    }

    pub fn install(&self) -> rustix::io::Result<()> {
        bpf::install(&self.program, self.flags)
    }
}

/// A profile file (moby/profiles, seccomp/seccomp.go).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: String,
    #[serde(default)]
    default_errno_ret: Option<u32>,
    #[serde(default)]
    architectures: Option<Vec<String>>,
    #[serde(default)]
    arch_map: Option<Vec<ArchitectureMap>>,
    #[serde(default)]
    flags: Vec<String>,
    #[serde(default)]
    syscalls: Option<Vec<Calls>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchitectureMap {
    architecture: String,
    #[serde(default)]
    sub_architectures: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Calls {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    names: Option<Vec<String>>,
    action: String,
    #[serde(default)]
    errno_ret: Option<u32>,
    #[serde(default)]
    args: Option<Vec<Argument>>,
    #[serde(default)]
    includes: Option<Filters>,
    #[serde(default)]
    excludes: Option<Filters>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Argument {
    index: u32,
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filters {
    #[serde(default)]
    caps: Option<Vec<String>>,
    #[serde(default)]
    arches: Option<Vec<String>>,
    #[serde(default)]
    min_kernel: Option<String>,
}

fn invalid(what: impl Into<String>) -> Error {
    Error::SeccompProfile { what: what.into() }
}

impl Profile {
    fn sections(&self, capabilities: Capabilities) -> Result<Vec<Section>, Error> {
        let default = verdict(&self.default_action, self.default_errno_ret)?;
        let is_errno = default & 0xffff_0000 == bpf::ERRNO;
        let unknown = if is_errno { bpf::ERRNO | libc::ENOSYS as u32 } else { default };
        let mut sections: Vec<Section> = self
            .architectures()?
            .into_iter()
            .map(|architecture| Section { architecture, rules: Vec::new(), default, unknown })
            .collect();
        for calls in self.syscalls.iter().flatten() {
            if !calls.applies(capabilities)? {
                continue;
            }
            let verdict = verdict(&calls.action, calls.errno_ret)?;
            let alternatives = calls.alternatives()?;
            for name in calls.name.iter().chain(calls.names.iter().flatten()) {
                // names of other architectures and of newer kernels are no mistake
                let Some(numbers) = syscalls::numbers(name) else { continue };
                for section in &mut sections {
                    let Some(number) = numbers.on(section.architecture) else { continue };
                    section.rules.extend(alternatives.iter().map(|conditions| Rule {
                        number,
                        conditions: conditions.clone(),
                        verdict,
                    }));
                }
            }
        }
        Ok(sections)
    }

    fn architectures(&self) -> Result<Vec<Architecture>, Error> {
        let native = NATIVE.ok_or_else(|| invalid("this processor's system calls are unknown"))?;
        let mut names: Vec<&str> = Vec::new();
        match (&self.architectures, &self.arch_map) {
            (Some(list), Some(map)) if !list.is_empty() && !map.is_empty() => {
                return Err(invalid("it has both 'architectures' and 'archMap'"));
            }
            (list, map) => {
                names.extend(list.iter().flatten().map(String::as_str));
                let own = map.iter().flatten();
                for map in own.filter(|map| architecture(&map.architecture) == Some(native)) {
                    names.extend(map.sub_architectures.iter().flatten().map(String::as_str));
                }
            }
        }
        let mut architectures = vec![native];
        for known in names.into_iter().filter_map(architecture) {
            if !architectures.contains(&known) {
                architectures.push(known);
            }
        }
        Ok(architectures)
    }
}

impl Calls {
    /// Whether the conditions of this entry hold here.
    fn applies(&self, capabilities: Capabilities) -> Result<bool, Error> {
        let none = Filters::default();
        let (includes, excludes) =
            (self.includes.as_ref().unwrap_or(&none), self.excludes.as_ref().unwrap_or(&none));
        let here = |arches: &Vec<String>| arches.iter().any(|name| name == go_architecture());
        let newer =
            |version: &Option<String>| version.as_deref().map(kernel_is_at_least).transpose();
        let excluded = excludes.caps.iter().flatten().any(|name| capabilities.has(name))
            || excludes.arches.as_ref().is_some_and(here)
            || newer(&excludes.min_kernel)?.unwrap_or(false);
        let included = includes.caps.iter().flatten().all(|name| capabilities.has(name))
            && includes.arches.as_ref().is_none_or(|arches| arches.is_empty() || here(arches))
            && newer(&includes.min_kernel)?.unwrap_or(true);
        Ok(included && !excluded)
    }

    /// The conditions on arguments: all of one list must hold. Tests of the same argument are alternatives, as in
    /// runc.
    fn alternatives(&self) -> Result<Vec<Vec<Condition>>, Error> {
        let mut conditions = Vec::new();
        for argument in self.args.iter().flatten() {
            if argument.index > 5 {
                return Err(invalid(format!("a system call has no argument {}", argument.index)));
            }
            let (comparison, value) = match argument.op.as_str() {
                "SCMP_CMP_NE" => (Comparison::NotEqual, argument.value),
                "SCMP_CMP_LT" => (Comparison::Less, argument.value),
                "SCMP_CMP_LE" => (Comparison::LessOrEqual, argument.value),
                "SCMP_CMP_EQ" => (Comparison::Equal, argument.value),
                "SCMP_CMP_GE" => (Comparison::GreaterOrEqual, argument.value),
                "SCMP_CMP_GT" => (Comparison::Greater, argument.value),
                "SCMP_CMP_MASKED_EQ" => {
                    (Comparison::Masked { mask: argument.value }, argument.value_two)
                }
                other => return Err(invalid(format!("{other:?} is not a comparison"))),
            };
            conditions.push(Condition { argument: argument.index, comparison, value });
        }
        let repeated = (0..6).any(|i| conditions.iter().filter(|c| c.argument == i).count() > 1);
        Ok(if repeated {
            conditions.into_iter().map(|condition| vec![condition]).collect()
        } else {
            vec![conditions]
        })
    }
}

fn verdict(action: &str, errno: Option<u32>) -> Result<Verdict, Error> {
    let errno = errno.unwrap_or(libc::EPERM as u32) & 0xffff;
    Ok(match action {
        "SCMP_ACT_ALLOW" => bpf::ALLOW,
        "SCMP_ACT_ERRNO" => bpf::ERRNO | errno,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => bpf::KILL_THREAD,
        "SCMP_ACT_KILL_PROCESS" => bpf::KILL_PROCESS,
        "SCMP_ACT_TRAP" => bpf::TRAP,
        "SCMP_ACT_TRACE" => bpf::TRACE | errno,
        "SCMP_ACT_LOG" => bpf::LOG,
        "SCMP_ACT_NOTIFY" => {
            return Err(invalid("SCMP_ACT_NOTIFY needs an agent that answers, and there is none"));
        }
        other => return Err(invalid(format!("{other:?} is not an action"))),
    })
}

fn flag_bit(flag: &str) -> Result<u64, Error> {
    match flag {
        // only other threads could need it, and there are none
        "SECCOMP_FILTER_FLAG_TSYNC" => Ok(0),
        "SECCOMP_FILTER_FLAG_LOG" => Ok(libc::SECCOMP_FILTER_FLAG_LOG),
        "SECCOMP_FILTER_FLAG_SPEC_ALLOW" => Ok(libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW),
        other => Err(invalid(format!("{other:?} is not a known flag"))),
    }
}

fn architecture(name: &str) -> Option<Architecture> {
    Some(match name {
        "SCMP_ARCH_X86_64" => Architecture::X86_64,
        "SCMP_ARCH_X86" => Architecture::X86,
        "SCMP_ARCH_X32" => Architecture::X32,
        "SCMP_ARCH_AARCH64" => Architecture::Aarch64,
        "SCMP_ARCH_ARM" => Architecture::Arm,
        "SCMP_ARCH_RISCV64" => Architecture::Riscv64,
        _ => return None,
    })
}

/// As profiles write this machine's architecture.
fn go_architecture() -> &'static str {
    match NATIVE {
        Some(Architecture::X86_64) => "amd64",
        Some(Architecture::Aarch64) => "arm64",
        Some(Architecture::Riscv64) => "riscv64",
        _ => "",
    }
}

/// Compares the first two numbers of the running kernel's version.
fn kernel_is_at_least(wanted: &str) -> Result<bool, Error> {
    let version = |text: &str| {
        let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    let wanted =
        version(wanted).ok_or_else(|| invalid(format!("{wanted:?} is not a kernel version")))?;
    let running = rustix::system::uname();
    Ok(version(&running.release().to_string_lossy()).is_some_and(|running| running >= wanted))
}
