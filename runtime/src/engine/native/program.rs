//! The guest's program, and how a process of ours becomes it.

use super::capabilities::Capabilities;
use super::error::{Doing, Error};
use super::launcher::Launcher;
use super::user::User;
use super::{apparmor, init, sys};
use knarr_core::spec::Ulimit;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr;

/// Everything about the process to be, worked out before the fork.
pub struct Program {
    /// As the user knows it, for messages.
    pub command: String,
    /// Where to look for it, in order.
    pub candidates: Vec<CString>,
    pub arguments: Vec<CString>,
    pub environment: Vec<CString>,
    pub directory: String,
    pub user: User,
    pub capabilities: Capabilities,
    pub no_new_privileges: bool,
    pub seccomp: Vec<super::seccomp::Filter>,
    /// Of AppArmor.
    pub profile: Option<String>,
    pub limits: Vec<ResourceLimit>,
    pub launcher: Launcher,
    /// Under an init that reaps.
    pub init: bool,
    /// Whether knarr is the superuser of the host.
    pub superuser: bool,
}

/// The guest's ends of its standard streams.
pub enum Streams {
    /// Without standard input: the null device.
    Pipes { stdin: Option<OwnedFd>, stdout: OwnedFd, stderr: OwnedFd },
    /// The terminal's slave side, which becomes the controlling terminal.
    Terminal(OwnedFd),
}

impl Streams {
    fn descriptors(&self) -> impl Iterator<Item = &OwnedFd> {
        match self {
            Self::Pipes { stdin, stdout, stderr } => [stdin.as_ref(), Some(stdout), Some(stderr)],
            Self::Terminal(slave) => [Some(slave), None, None],
        }
        .into_iter()
        .flatten()
    }
}

/// A checked `--ulimit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceLimit {
    resource: u32,
    soft: u64,
    hard: u64,
}

/// Docker's PATH for images that have none.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Checks `--ulimit`s: raising a hard limit takes `SYS_RESOURCE`, which not even every superuser has.
pub fn resource_limits(ulimits: &[Ulimit]) -> Result<Vec<ResourceLimit>, Error> {
    let mut limits = Vec::new();
    for ulimit in ulimits {
        let resource = resource(&ulimit.name)
            .ok_or_else(|| Error::UnknownLimit { name: ulimit.name.clone() })?;
        let number = |limit: Option<u64>| limit.unwrap_or(libc::RLIM_INFINITY);
        let limit =
            ResourceLimit { resource, soft: number(ulimit.soft), hard: number(ulimit.hard) };
        let own = sys::hard_limit(resource).doing("read the limit", &ulimit.name)?;
        if limit.hard > own && !Capabilities::effective_has("SYS_RESOURCE") {
            let asked = ulimit.hard.map_or("unlimited".into(), |hard| hard.to_string());
            return Err(Error::LimitAboveHard { name: ulimit.name.clone(), asked, hard: own });
        }
        limits.push(limit);
    }
    Ok(limits)
}

fn resource(name: &str) -> Option<u32> {
    let resource = match name {
        "as" => libc::RLIMIT_AS,
        "core" => libc::RLIMIT_CORE,
        "cpu" => libc::RLIMIT_CPU,
        "data" => libc::RLIMIT_DATA,
        "fsize" => libc::RLIMIT_FSIZE,
        "locks" => libc::RLIMIT_LOCKS,
        "memlock" => libc::RLIMIT_MEMLOCK,
        "msgqueue" => libc::RLIMIT_MSGQUEUE,
        "nice" => libc::RLIMIT_NICE,
        "nofile" => libc::RLIMIT_NOFILE,
        "nproc" => libc::RLIMIT_NPROC,
        "rss" => libc::RLIMIT_RSS,
        "rtprio" => libc::RLIMIT_RTPRIO,
        "rttime" => libc::RLIMIT_RTTIME,
        "sigpending" => libc::RLIMIT_SIGPENDING,
        "stack" => libc::RLIMIT_STACK,
        _ => return None,
    };
    Some(resource)
}

/// Merges environments: later values win, a name without `=` removes the variable (Docker's `-e NAME-`less form).
pub fn environment<'a>(layers: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut merged: Vec<String> = Vec::new();
    for variable in layers {
        let (name, has_value) = match variable.split_once('=') {
            Some((name, _)) => (name, true),
            None => (variable, false),
        };
        let same = |known: &String| known.split_once('=').is_some_and(|(known, _)| known == name);
        match (merged.iter().position(same), has_value) {
            (Some(at), true) => merged[at] = variable.to_owned(),
            (Some(at), false) => {
                merged.remove(at);
            }
            (None, true) => merged.push(variable.to_owned()),
            (None, false) => {}
        }
    }
    merged
}

/// The value of a variable.
pub fn variable<'e>(environment: &'e [String], name: &str) -> Option<&'e str> {
    environment.iter().find_map(|v| v.strip_prefix(name)?.strip_prefix('='))
}

/// The files that a command may mean: itself with a slash, else one for each directory of PATH.
pub fn candidates(command: &str, environment: &[String]) -> Result<Vec<CString>, Error> {
    if command.is_empty() {
        return Ok(Vec::new());
    }
    if command.contains('/') {
        return Ok(vec![c_string(command, "the command")?]);
    }
    let path = variable(environment, "PATH").unwrap_or("");
    path.split(':')
        .filter(|directory| directory.starts_with('/'))
        .map(|directory| {
            c_string(&format!("{}/{command}", directory.trim_end_matches('/')), "PATH")
        })
        .collect()
}

pub fn c_string(text: &str, what: &'static str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| Error::ZeroByte { what })
}

pub fn c_strings(list: &[String], what: &'static str) -> Result<Vec<CString>, Error> {
    list.iter().map(|text| c_string(text, what)).collect()
}

impl Program {
    /// Turns this process, which is inside the container already, into the guest. Returns only errors.
    ///
    /// `report` is where errors go; it closes by itself when the program starts. `null` is the container's null device.
    pub fn exec(&self, streams: &Streams, null: OwnedFd, report: OwnedFd) -> (Error, OwnedFd) {
        let replaced: Result<(), Error> = self.prepare(streams, null, &report).and_then(|()| {
            let present = self.present()?;
            // an init must not miss the end of a short command
            let signals = self.init.then(sys::block_signals);
            let error = self.launch(&report, &present);
            if !matches!(error, Errno::NOSYS | Errno::PERM | Errno::ACCESS) {
                return Err(self.refusal(error));
            }
            // no launcher here, or a seccomp profile without execveat
            if let Some(signals) = signals {
                // SAFETY: this process came from a fork and has one thread
                match unsafe { sys::fork_plain() }.doing("create", "the container's command")? {
                    0 => init::own_process_group(matches!(streams, Streams::Terminal(_))),
                    command => init::run(command, &signals),
                }
                sys::reset_signals();
            }
            Err(self.replace(&present))
        });
        // it returns only errors
        (replaced.err().unwrap_or(Error::Vanished), report)
    }

    /// What this process, just forked, needs to become the guest.
    pub fn descriptors(&self, streams: &Streams) -> impl Iterator<Item = RawFd> {
        streams.descriptors().map(AsRawFd::as_raw_fd).chain(self.launcher.descriptor())
    }

    fn prepare(&self, streams: &Streams, null: OwnedFd, report: &OwnedFd) -> Result<(), Error> {
        rustix::process::setsid().doing("start a session of", "the container")?;
        self.install(streams, null)?;
        sys::close_on_exec_from(3).doing("close the files of", "knarr")?;
        sys::new_session_keyring().doing("make a keyring for", "the container")?;
        for limit in &self.limits {
            sys::set_limit(limit.resource, limit.soft, limit.hard)
                .doing("set the limits of", "the container")?;
        }
        if self.no_new_privileges {
            sys::no_new_privileges().doing("set no_new_privs of", "the container")?;
        } else {
            // without no_new_privs the kernel takes a filter from a privileged process only
            self.confine()?;
        }
        self.capabilities.bound()?;
        self.assume_user()?;
        self.enter_directory()?;
        self.profile.as_deref().map_or(Ok(()), apparmor::apply)?;
        if self.no_new_privileges {
            self.confine()?;
        }
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        sys::reset_signals();
        // setuid and capset reset this, so it comes late; then the parent may be dead already
        sys::parent_death_signal(libc::SIGKILL).doing("tie to its monitor", "the container")?;
        let mut monitor = [PollFd::new(report, PollFlags::OUT)];
        let _ = rustix::event::poll(&mut monitor, Some(&Default::default()));
        if monitor[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
            sys::exit_now(1);
        }
        // from here on, silence means success
        let _ = rustix::io::write(report, super::spawn::READY);
        Ok(())
    }

    fn confine(&self) -> Result<(), Error> {
        let mut filters = self.seccomp.iter();
        filters.try_for_each(|f| f.install().doing("confine by seccomp", "the container"))
    }

    fn install(&self, streams: &Streams, null: OwnedFd) -> Result<(), Error> {
        let copy = |from: BorrowedFd<'_>, to| {
            sys::install_stdio(from, to).doing("set up the streams of", "the container")
        };
        match streams {
            Streams::Terminal(slave) => {
                rustix::process::ioctl_tiocsctty(slave).doing("take", "the terminal")?;
                for to in 0..=2 {
                    copy(slave.as_fd(), to)?;
                }
                let tty = rustix::fs::fstat(slave).doing("look at", "the terminal")?;
                sys::chown(slave, self.user.uid, tty.st_gid).doing("hand over", "the terminal")?;
            }
            Streams::Pipes { stdin, stdout, stderr } => {
                // a pipe among 0 to 2 would be overwritten before it is copied
                let mut sources: Vec<OwnedFd> = Vec::new();
                for pipe in [stdin.as_ref().unwrap_or(&null), stdout, stderr] {
                    let above = rustix::io::fcntl_dupfd_cloexec(pipe, 3);
                    sources.push(above.doing("copy the streams of", "the container")?);
                }
                for (to, from) in sources.iter().enumerate() {
                    copy(from.as_fd(), to as i32)?;
                    self.hand_over_pipe(from.as_fd());
                }
            }
        }
        Ok(())
    }

    /// Lets an unprivileged guest open `/dev/stdout` by name. Only pipes: anything else may be a file of the host.
    fn hand_over_pipe(&self, pipe: BorrowedFd<'_>) {
        let is_pipe = rustix::fs::fstat(pipe).is_ok_and(|s| {
            rustix::fs::FileType::from_raw_mode(s.st_mode) == rustix::fs::FileType::Fifo
        });
        if is_pipe && self.user.uid != 0 {
            let _ = sys::chown(pipe, self.user.uid, self.user.gid);
        }
    }

    fn assume_user(&self) -> Result<(), Error> {
        use rustix::process::{Gid, Uid};
        let gid = Gid::from_raw(self.user.gid);
        let uid = Uid::from_raw(self.user.uid);
        let groups: Vec<Gid> = self.user.groups.iter().map(|g| Gid::from_raw(*g)).collect();
        match rustix::thread::set_thread_groups(&groups) {
            // a user namespace of one user forbids it (user_namespaces(7), "setgroups"): the groups stay the user's own
            Err(Errno::PERM) if !self.superuser => {}
            other => other.doing("set the groups of", "the container")?,
        }
        rustix::thread::set_thread_res_gid(gid, gid, gid)
            .doing("set the group of", "the container")?;
        // keeps the permitted set, for entering the working directory and for `assume`
        sys::keep_capabilities(true).doing("keep the capabilities of", "the container")?;
        rustix::thread::set_thread_res_uid(uid, uid, uid)
            .doing("set the user of", "the container")?;
        sys::keep_capabilities(false).doing("keep the capabilities of", "the container")?;
        // exec takes them from a user other than root, unless the file has them
        self.capabilities.assume()
    }

    fn enter_directory(&self) -> Result<(), Error> {
        let failed =
            |source: io::Error| Error::WorkingDirectory { path: self.directory.clone(), source };
        rustix::process::chdir(self.directory.as_str()).map_err(|error| failed(error.into()))?;
        // no way back to the host through a descriptor that leaked (CVE-2024-21626)
        let inside =
            rustix::process::getcwd(Vec::new()).is_ok_and(|cwd| cwd.to_bytes().starts_with(b"/"));
        if inside { Ok(()) } else { Err(failed(Errno::NOTDIR.into())) }
    }

    /// The files that the command may mean and that are there.
    fn present(&self) -> Result<Vec<&CStr>, Error> {
        let command = || self.command.clone();
        let mut present = Vec::new();
        let mut refused = None;
        for candidate in &self.candidates {
            match rustix::fs::access(candidate.as_c_str(), rustix::fs::Access::EXISTS) {
                Ok(()) => present.push(candidate.as_c_str()),
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(error) => refused = Some(error),
            }
        }
        match (present.is_empty(), refused) {
            (false, _) => Ok(present),
            (true, Some(error)) => {
                Err(Error::NotExecutable { command: command(), source: error.into() })
            }
            (true, None) if self.command.contains('/') => {
                Err(Error::PathNotFound { command: command() })
            }
            (true, None) => Err(Error::CommandNotFound { command: command() }),
        }
    }

    /// Becomes the program, or its init, by way of the launcher.
    fn launch(&self, report: &OwnedFd, present: &[&CStr]) -> Errno {
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        self.launcher.exec(report.as_fd(), self.init, present, &arguments, &environment)
    }

    /// Becomes the program itself.
    fn replace(&self, present: &[&CStr]) -> Error {
        let (arguments, environment) = (pointers(&self.arguments), pointers(&self.environment));
        let mut last = Errno::NOENT;
        for candidate in present {
            match sys::execve(candidate, &arguments, &environment) {
                Errno::NOENT | Errno::NOTDIR => {}
                error @ Errno::ACCESS => last = error,
                error => return self.refusal(error),
            }
        }
        self.refusal(last)
    }

    /// What it means that a file which exists was not executed.
    pub fn refusal(&self, error: Errno) -> Error {
        let command = self.command.clone();
        match error {
            Errno::NOENT | Errno::NOTDIR => Error::NoInterpreter { command },
            error => Error::NotExecutable { command, source: error.into() },
        }
    }
}

fn pointers(list: &[CString]) -> Vec<*const c_char> {
    list.iter().map(|text| text.as_ptr()).chain([ptr::null()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_variables_win() {
        let merged = environment(["PATH=/bin", "A=1", "B=2", "A=3", "B", "C"]);
        assert_eq!(merged, ["PATH=/bin", "A=3"]);
        assert_eq!(variable(&merged, "A"), Some("3"));
        assert_eq!(variable(&merged, "PAT"), None);
    }

    #[test]
    fn a_command_without_a_slash_is_searched_in_path() {
        let environment = ["PATH=/a:relative::/b/".to_owned()];
        let found = candidates("sh", &environment).unwrap();
        assert_eq!(found, [c"/a/sh".to_owned(), c"/b/sh".to_owned()]);
        assert_eq!(candidates("./sh", &environment).unwrap(), [c"./sh".to_owned()]);
    }

    #[test]
    fn a_hard_limit_above_ours_is_refused_in_time() {
        let own = sys::hard_limit(libc::RLIMIT_NOFILE).unwrap();
        let ulimit = |hard| Ulimit { name: "nofile".into(), soft: Some(10), hard: Some(hard) };
        assert_eq!(resource_limits(&[ulimit(own)]).unwrap().len(), 1);
        if !Capabilities::effective_has("SYS_RESOURCE") {
            let error = resource_limits(&[ulimit(own + 1)]).unwrap_err();
            assert!(matches!(error, Error::LimitAboveHard { .. }), "{error}");
        }
    }
}
