//! The system calls that a guest's process needs, and nothing else.
//!
//! An allow-list: what is not named fails with EPERM, as a guest that is fine would survive it and one that is not
//! gains nothing. There is no way to a new program (execve), another process (ptrace, kill, process_vm_*), new
//! rights (set*id, unshare, setns, mount, bpf, io_uring), new executable memory, or another kind of socket than TCP
//! and UDP; none at all without a network. Threads yes, processes no.

use super::super::cause::Cause;
use super::super::error::Error;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};
use std::collections::BTreeMap;

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

/// Confines this thread and all that it will start.
pub(super) fn guest(network: bool) -> Result<(), Error> {
    let failed = |e: seccompiler::Error| Error::confine("seccomp", Cause::of(&e));
    let built = |e: seccompiler::BackendError| Error::confine("seccomp", Cause::of(&e));
    let clone3 = no_clone3().map_err(built)?;
    let calls = allowed(network).map_err(built)?;
    // the stricter answer of the two counts
    apply_filter(&clone3).map_err(failed)?;
    apply_filter(&calls).map_err(failed)
}

type Built<T> = Result<T, seccompiler::BackendError>;

fn allowed(network: bool) -> Built<BpfProgram> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALWAYS.iter().chain(OLD).map(|call| (*call, Vec::new())).collect();
    // no new executable memory: compiled code is mapped before this
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![masked(2, libc::PROT_EXEC as u64, 0)?]);
    }
    // threads, not processes
    let thread = (libc::CLONE_THREAD | libc::CLONE_VM) as u64;
    rules.insert(libc::SYS_clone, vec![masked(0, thread, thread)?]);
    rules.insert(libc::SYS_clone3, Vec::new()); // left to the other filter
    // a signal to a thread of this process (abort), never to another process
    let itself = u64::from(std::process::id());
    rules.insert(libc::SYS_tgkill, vec![equal(0, itself)?]);
    // reading limits, not setting them
    let reading = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)?;
    rules.insert(libc::SYS_prlimit64, vec![SeccompRule::new(vec![reading])?]);
    // names of threads and of memory
    let names = [libc::PR_SET_NAME, libc::PR_SET_VMA];
    rules.insert(libc::SYS_prctl, each(0, &names.map(|name| name as u64))?);
    // what is the terminal, how large, how much can be read
    let requests = [libc::TCGETS, libc::TIOCGWINSZ, libc::FIONREAD, libc::FIONBIO, libc::FIOCLEX];
    rules.insert(libc::SYS_ioctl, each(1, &requests)?);
    if network {
        rules.extend(NETWORK.iter().map(|call| (*call, Vec::new())));
        let families = [libc::AF_INET as u64, libc::AF_INET6 as u64];
        rules.insert(libc::SYS_socket, each(0, &families)?);
    }
    let denied = SeccompAction::Errno(libc::EPERM as u32);
    SeccompFilter::new(rules, denied, SeccompAction::Allow, architecture()?)?.try_into()
}

/// The flags of clone3 lie in memory, where no filter sees them. Told that it does not exist, libc uses clone.
fn no_clone3() -> Built<BpfProgram> {
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let absent = SeccompAction::Errno(libc::ENOSYS as u32);
    SeccompFilter::new(rules, SeccompAction::Allow, absent, architecture()?)?.try_into()
}

fn architecture() -> Built<TargetArch> {
    std::env::consts::ARCH.try_into()
}

fn masked(argument: u8, mask: u64, value: u64) -> Built<SeccompRule> {
    let operation = SeccompCmpOp::MaskedEq(mask);
    SeccompRule::new(vec![SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Dword,
        operation,
        value,
    )?])
}

fn equal(argument: u8, value: u64) -> Built<SeccompRule> {
    SeccompRule::new(vec![SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        value,
    )?])
}

fn each(argument: u8, values: &[u64]) -> Built<Vec<SeccompRule>> {
    values.iter().map(|value| equal(argument, *value)).collect()
}
