//! The system calls that a guest's process needs, and nothing else.
//!
//! An allow-list: what is not named fails with EPERM, as a guest that is fine would survive it and one that is not
//! gains nothing. There is no way to a new program (execve), another process (ptrace, kill, process_vm_*), new
//! rights (set*id, unshare, setns, mount, bpf, io_uring), new executable memory, or another kind of socket than TCP
//! and UDP; none at all without a network. Threads yes, processes no.

use super::super::cause::Cause;
use super::super::error::Error;
use super::bpf::{Check, Filter};
use seccompiler::apply_filter;

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
    apply_filter(&filter(network).assemble()).map_err(failed)
}

fn filter(network: bool) -> Filter {
    let mut filter = Filter::new();
    // the usual ones first: the kernel goes through them in order where it cannot remember the answer
    filter.allow(ALWAYS).allow(OLD);
    // no new executable memory: compiled code is mapped before this
    let not_executable = Check::Masked { argument: 2, mask: libc::PROT_EXEC as u32, value: 0 };
    filter.allow_if(libc::SYS_mmap, &[not_executable]);
    filter.allow_if(libc::SYS_mprotect, &[not_executable]);
    // threads, not processes
    let thread = (libc::CLONE_THREAD | libc::CLONE_VM) as u32;
    let is_thread = Check::Masked { argument: 0, mask: thread, value: thread };
    filter.allow_if(libc::SYS_clone, &[is_thread]);
    // the flags of clone3 lie in memory, where no filter sees them: told that it is absent, libc uses clone
    filter.fail(libc::SYS_clone3, libc::ENOSYS);
    // a signal to a thread of this process (abort), never to another process
    filter.allow_if(libc::SYS_tgkill, &[Check::equal(0, std::process::id())]);
    // reading limits, not setting them
    filter.allow_if(libc::SYS_prlimit64, &[Check::Null { argument: 2 }]);
    // names of threads and of memory
    let names = [libc::PR_SET_NAME, libc::PR_SET_VMA];
    filter.allow_if(libc::SYS_prctl, &names.map(|name| Check::equal(0, name as u32)));
    // what is the terminal, how large, how much can be read
    let requests = [libc::TCGETS, libc::TIOCGWINSZ, libc::FIONREAD, libc::FIONBIO, libc::FIOCLEX];
    filter.allow_if(libc::SYS_ioctl, &requests.map(|request| Check::equal(1, request as u32)));
    if network {
        filter.allow(NETWORK);
        let families = [libc::AF_INET, libc::AF_INET6];
        filter.allow_if(libc::SYS_socket, &families.map(|f| Check::equal(0, f as u32)));
    }
    filter
}
