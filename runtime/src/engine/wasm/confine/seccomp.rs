//! The system calls that a guest's process needs, and nothing else.
//!
//! An allow-list: what is not named fails with EPERM, as a guest that is fine would survive it and one that is not
//! gains nothing. There is no way to a new program (execve), another process (ptrace, kill, process_vm_*), new
//! rights (set*id, unshare, setns, mount, bpf, io_uring), new executable memory, or another kind of socket than TCP
//! and UDP; none at all without a network. Threads yes, processes no.

use super::super::cause::Cause;
use super::super::error::Error;
use crate::sys::seccomp::{
    ALLOW, Architecture, Comparison, Condition, ERRNO, Instruction, NATIVE, Rule, Section, compile,
    install,
};

/// Allowed with any arguments.
const ALWAYS: &[i64] = &[
    // memory
    libc::SYS_brk,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mremap,
    libc::SYS_munmap,
    // open files
    libc::SYS_close,
    libc::SYS_copy_file_range,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_fadvise64,
    libc::SYS_fallocate,
    libc::SYS_fcntl,
    libc::SYS_fdatasync,
    libc::SYS_fstat,
    libc::SYS_fsync,
    libc::SYS_ftruncate,
    libc::SYS_getdents64,
    libc::SYS_lseek,
    libc::SYS_pread64,
    libc::SYS_preadv,
    libc::SYS_preadv2,
    libc::SYS_pwrite64,
    libc::SYS_pwritev,
    libc::SYS_pwritev2,
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    // paths
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_linkat,
    libc::SYS_mkdirat,
    libc::SYS_newfstatat,
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_readlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_statx,
    libc::SYS_symlinkat,
    libc::SYS_unlinkat,
    libc::SYS_utimensat,
    // waiting
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
    libc::SYS_eventfd2,
    libc::SYS_futex,
    libc::SYS_ppoll,
    // time
    libc::SYS_clock_getres,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_nanosleep,
    // the process itself
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_getcpu,
    libc::SYS_getegid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
];

/// The older calls that libraries still make on x86-64; newer architectures never had them.
#[cfg(target_arch = "x86_64")]
const OLD: &[i64] = &[libc::SYS_epoll_wait, libc::SYS_poll, libc::SYS_time];
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[i64] = &[];

/// With a network.
const NETWORK: &[i64] = &[
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_connect,
    libc::SYS_getpeername,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_listen,
    libc::SYS_recvfrom,
    libc::SYS_recvmmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_sendmsg,
    libc::SYS_sendto,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
];

/// What is not named.
const DENIED: u32 = ERRNO | libc::EPERM as u32;

/// Confines this thread and all that it will start.
pub(super) fn guest(network: bool) -> Result<(), Error> {
    let architecture = NATIVE.ok_or_else(|| {
        Error::confine("seccomp", Cause::new("this processor's system calls are unknown"))
    })?;
    install(&filter(architecture, network), 0).map_err(|e| Error::confine("seccomp", e))
}

fn filter(architecture: Architecture, network: bool) -> Vec<Instruction> {
    let mut rules = Rules::default();
    rules.allow(ALWAYS);
    rules.allow(OLD);
    // no new executable memory: compiled code is mapped before this
    rules.allow_if(libc::SYS_mmap, &[masked(2, libc::PROT_EXEC, 0)]);
    rules.allow_if(libc::SYS_mprotect, &[masked(2, libc::PROT_EXEC, 0)]);
    // threads, not processes
    let thread = libc::CLONE_THREAD | libc::CLONE_VM;
    rules.allow_if(libc::SYS_clone, &[masked(0, thread, thread)]);
    // the flags of clone3 lie in memory, where no filter sees them: told that it is absent, libc uses clone
    rules.add(libc::SYS_clone3, Vec::new(), ERRNO | libc::ENOSYS as u32);
    // a signal to a thread of this process (abort), never to another process
    rules.allow_if(libc::SYS_tgkill, &[int(0, std::process::id())]);
    // reading limits, not setting them
    let null = Condition { argument: 2, comparison: Comparison::Equal, value: 0 };
    rules.allow_if(libc::SYS_prlimit64, &[null]);
    // names of threads and of memory
    let names = [libc::PR_SET_NAME, libc::PR_SET_VMA];
    rules.allow_if(libc::SYS_prctl, &names.map(|name| int(0, name as u32)));
    // what is the terminal, how large, how much can be read
    let requests = [libc::TCGETS, libc::TIOCGWINSZ, libc::FIONREAD, libc::FIONBIO, libc::FIOCLEX];
    rules.allow_if(libc::SYS_ioctl, &requests.map(|request| int(1, request as u32)));
    if network {
        rules.allow(NETWORK);
        let families = [libc::AF_INET, libc::AF_INET6];
        rules.allow_if(libc::SYS_socket, &families.map(|family| int(0, family as u32)));
    }
    compile(&[Section { architecture, rules: rules.0, default: DENIED, unknown: DENIED }])
}

#[derive(Default)]
struct Rules(Vec<Rule>);

impl Rules {
    fn add(&mut self, call: i64, conditions: Vec<Condition>, verdict: u32) {
        self.0.push(Rule { number: call as u32, conditions, verdict });
    }

    /// Whatever their arguments.
    fn allow(&mut self, calls: &[i64]) {
        calls.iter().for_each(|call| self.add(*call, Vec::new(), ALLOW));
    }

    /// If any of the conditions holds.
    fn allow_if(&mut self, call: i64, any: &[Condition]) {
        any.iter().for_each(|condition| self.add(call, vec![*condition], ALLOW));
    }
}

/// A 32-bit argument has this value.
fn int(argument: u32, value: u32) -> Condition {
    let comparison = Comparison::Masked { mask: u32::MAX.into() };
    Condition { argument, comparison, value: value.into() }
}

/// These bits of an argument have this value.
fn masked(argument: u32, mask: i32, value: i32) -> Condition {
    let comparison = Comparison::Masked { mask: mask as u64 };
    Condition { argument, comparison, value: value as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::seccomp::tests::run;

    #[test]
    fn decides_by_number_and_arguments() {
        let native = NATIVE.unwrap();
        let program = filter(native, true);
        let verdict = |call: i64, arguments: &[u64]| run(&program, native, call as u32, arguments);
        let exec = libc::PROT_EXEC as u64;
        let thread = (libc::CLONE_THREAD | libc::CLONE_VM) as u64;
        for (call, arguments, expected) in [
            (libc::SYS_read, &[9, 9, 9][..], ALLOW),
            (libc::SYS_execve, &[], DENIED),
            (libc::SYS_ptrace, &[], DENIED),
            (libc::SYS_io_uring_setup, &[], DENIED),
            (libc::SYS_mmap, &[0, 0, 3], ALLOW),
            (libc::SYS_mmap, &[0, 0, 3 | exec], DENIED),
            (libc::SYS_mprotect, &[0, 0, exec], DENIED),
            (libc::SYS_clone, &[thread | libc::CLONE_FS as u64], ALLOW),
            (libc::SYS_clone, &[libc::SIGCHLD as u64], DENIED),
            (libc::SYS_clone, &[libc::CLONE_VM as u64], DENIED),
            (libc::SYS_clone3, &[], ERRNO | libc::ENOSYS as u32),
            (libc::SYS_tgkill, &[std::process::id().into(), 5, 6], ALLOW),
            (libc::SYS_tgkill, &[1, 1, 9], DENIED),
            (libc::SYS_prlimit64, &[0, 7, 0], ALLOW),
            (libc::SYS_prlimit64, &[0, 7, 1 << 32], DENIED),
            (libc::SYS_ioctl, &[0, libc::TIOCGWINSZ], ALLOW),
            (libc::SYS_ioctl, &[0, libc::TIOCSTI], DENIED),
            (libc::SYS_socket, &[libc::AF_INET6 as u64], ALLOW),
            (libc::SYS_socket, &[libc::AF_UNIX as u64], DENIED),
            (100_000, &[], DENIED),
        ] {
            assert_eq!(verdict(call, arguments), expected, "{call} {arguments:x?}");
        }
        let alone = filter(native, false);
        assert_eq!(run(&alone, native, libc::SYS_socket as u32, &[2]), DENIED);
    }
}
