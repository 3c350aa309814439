use super::*;
use crate::sys::seccomp::tests::run;

fn capabilities(add: &[&str]) -> Capabilities {
    let cap_add = add.iter().map(|s| (*s).to_owned()).collect();
    Capabilities::of(&Security { cap_add, ..Security::default() }).unwrap()
}

fn verdict_of(filter: &Filter, name: &str, arguments: &[u64]) -> Verdict {
    let native = NATIVE.unwrap();
    run(&filter.program, native, syscalls::numbers(name).unwrap().on(native).unwrap(), arguments)
}

const EPERM: Verdict = bpf::ERRNO | 1;
const ENOSYS: Verdict = bpf::ERRNO | 38;

#[test]
fn the_default_profile() {
    let filter = Filter::compile(DEFAULT, capabilities(&[])).unwrap();
    let verdict = |name, arguments: &[u64]| verdict_of(&filter, name, arguments);
    for allowed in
        ["read", "execve", "openat2", "ptrace", "chroot", "mseal", "landlock_restrict_self"]
    {
        assert_eq!(verdict(allowed, &[]), bpf::ALLOW, "{allowed}");
    }
    for denied in [
        "mount",
        "unshare",
        "setns",
        "bpf",
        "keyctl",
        "add_key",
        "kexec_load",
        "init_module",
        "reboot",
        "open_by_handle_at",
        "userfaultfd",
        "io_uring_setup",
        "move_mount",
        "perf_event_open",
        "acct",
    ] {
        assert_eq!(verdict(denied, &[]), EPERM, "{denied}");
    }
    const NEWUSER: u64 = 0x1000_0000;
    assert_eq!(verdict("clone", &[0x11]), bpf::ALLOW);
    assert_eq!(verdict("clone", &[NEWUSER | 0x11]), EPERM);
    assert_eq!(verdict("clone3", &[]), ENOSYS);
    assert_eq!(verdict("personality", &[0xffff_ffff]), bpf::ALLOW);
    assert_eq!(verdict("personality", &[0x20000 | 1]), EPERM);
    const AF_VSOCK: u64 = 40;
    const AF_ALG: u64 = 38;
    assert_eq!(verdict("socket", &[2]), bpf::ALLOW);
    assert_eq!((verdict("socket", &[AF_VSOCK]), verdict("socket", &[AF_ALG])), (EPERM, EPERM));
    assert_eq!(run(&filter.program, NATIVE.unwrap(), 900, &[]), ENOSYS);
}

#[test]
fn capabilities_open_their_system_calls() {
    let filter = Filter::compile(DEFAULT, capabilities(&["SYS_ADMIN"])).unwrap();
    for name in ["mount", "unshare", "clone3", "clone"] {
        assert_eq!(verdict_of(&filter, name, &[u64::MAX]), bpf::ALLOW, "{name}");
    }
    assert_eq!(verdict_of(&filter, "reboot", &[]), EPERM);
}

#[cfg(target_arch = "x86_64")]
#[test]
fn thirty_two_bit_programs_are_filtered_too() {
    let filter = Filter::compile(DEFAULT, capabilities(&[])).unwrap();
    let verdict = |filter: &Filter, name, architecture| {
        let number = syscalls::numbers(name).unwrap().on(architecture).unwrap();
        let bit = if architecture == Architecture::X32 { bpf::X32_BIT } else { 0 };
        run(&filter.program, architecture, number | bit, &[])
    };
    assert_eq!(verdict(&filter, "open", Architecture::X86), bpf::ALLOW);
    assert_eq!(verdict(&filter, "mount", Architecture::X86), EPERM);
    assert_eq!(verdict(&filter, "open", Architecture::X32), ENOSYS);
    let text = DEFAULT.replace("\"SCMP_ARCH_X86\"", "\"SCMP_ARCH_X32\"");
    let filter = Filter::compile(&text, capabilities(&[])).unwrap();
    assert_eq!(verdict(&filter, "open", Architecture::X32), bpf::ALLOW);
    assert_eq!(verdict(&filter, "mount", Architecture::X32), EPERM);
    assert_eq!(verdict(&filter, "open", Architecture::X86), bpf::KILL_PROCESS);
}

#[test]
fn a_profile_of_the_user() {
    let text = r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[
        {"name":"mkdir","action":"SCMP_ACT_ERRNO"},
        {"names":["rmdir"],"action":"SCMP_ACT_KILL_PROCESS","includes":{"minKernel":"2.6"}},
        {"names":["chmod"],"action":"SCMP_ACT_ERRNO","errnoRet":13,"excludes":{"minKernel":"2.6"}},
        {"names":["kill"],"action":"SCMP_ACT_ERRNO","args":[
            {"index":0,"value":1,"op":"SCMP_CMP_EQ"},{"index":0,"value":2,"op":"SCMP_CMP_EQ"}]}]}"#;
    let filter = Filter::compile(text, capabilities(&[])).unwrap();
    assert_eq!(verdict_of(&filter, "mkdir", &[]), EPERM);
    assert_eq!(verdict_of(&filter, "rmdir", &[]), bpf::KILL_PROCESS);
    assert_eq!(verdict_of(&filter, "chmod", &[]), bpf::ALLOW);
    let kill = |pid| verdict_of(&filter, "kill", &[pid]);
    assert_eq!((kill(1), kill(2), kill(3)), (EPERM, EPERM, bpf::ALLOW));
    assert_eq!(run(&filter.program, NATIVE.unwrap(), 900, &[]), bpf::ALLOW);
}

#[test]
fn a_wrong_profile_is_an_error() {
    let compile = |text| Filter::compile(text, capabilities(&[]));
    assert!(matches!(compile("{"), Err(Error::SeccompSyntax { .. })));
    for text in [
        r#"{"defaultAction":"SCMP_ACT_MAYBE"}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_NOTIFY"}]}"#,
        r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_LOG","args":[{"index":9,"value":0,"op":"SCMP_CMP_EQ"}]}]}"#,
    ] {
        assert!(matches!(compile(text), Err(Error::SeccompProfile { .. })), "{text}");
    }
}

#[test]
fn sockets_that_no_packet_filter_sees() {
    let (security, own) = (Security::default(), capabilities(&[]));
    let unconfined = Security { seccomp: Seccomp::Unconfined, ..Security::default() };
    assert_eq!(Filter::of(&security, own, true).unwrap().len(), 2);
    assert!(Filter::of(&unconfined, own, false).unwrap().is_empty());
    let filters = Filter::of(&unconfined, own, true).unwrap();
    let verdict = |name, arguments: &[u64]| verdict_of(&filters[0], name, arguments);
    for family in 0..64 {
        let allowed = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
        let is_allowed = allowed.contains(&(family as i32));
        assert_eq!(verdict("socket", &[family]) == bpf::ALLOW, is_allowed, "{family}");
        // the kernel looks at half of it only
        assert_ne!(verdict("socket", &[family | 1 << 32]), bpf::ALLOW, "{family}");
    }
    assert_eq!(verdict("socketpair", &[1]), bpf::ALLOW);
    assert_eq!(verdict("io_uring_setup", &[]), ENOSYS);
    assert_eq!(verdict("mount", &[]), bpf::ALLOW);
}
