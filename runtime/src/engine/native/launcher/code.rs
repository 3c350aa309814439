//! What the launcher is made of, for each processor.

#[cfg(target_arch = "x86_64")]
pub(super) const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
pub(super) const MACHINE: u16 = 183;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) const MACHINE: u16 = 0;

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn code() -> Option<&'static [u8]> {
    None
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(super) fn code() -> Option<&'static [u8]> {
    unsafe extern "C" {
        static knarr_launcher_start: u8;
        static knarr_launcher_end: u8;
    }
    let (start, end) = (&raw const knarr_launcher_start, &raw const knarr_launcher_end);
    // SAFETY: both are symbols of one section below, the second after the first; what is between them is constant
    Some(unsafe { std::slice::from_raw_parts(start, end.offset_from(start) as usize) })
}

// On entry the stack holds: argument count, arguments, null, environment, null.
// Registers kept: the next file to try, the program's arguments, its environment, the error to report, and whether this
// is an init; in its parent: the child. (The assembler takes labels of zeros and ones for binary numbers.)
#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".pushsection .rodata.knarr_launcher, \"a\"",
    ".globl knarr_launcher_start",
    ".globl knarr_launcher_end",
    "knarr_launcher_start:",
    "    lea rbx, [rsp + 8]",
    "    xor ebp, ebp",
    "    mov rax, [rbx]",
    "    test rax, rax",
    "    je 6f",                          // started by nobody of ours
    "    movabs rcx, 0x0074696e692d6e6b", // INIT
    "    cmp [rax], rcx",
    "    jne 7f",
    "    inc ebp",
    "    add rbx, 8",
    "7:  mov r12, rbx",
    "2:  mov rax, [r12]", // look for the empty argument
    "    test rax, rax",
    "    je 6f", // started by nobody of ours
    "    add r12, 8",
    "    cmp byte ptr [rax], 0",
    "    jne 2b",
    "    mov r13, r12",
    "3:  mov rax, [r13]", // look for the end of the arguments
    "    add r13, 8",
    "    test rax, rax",
    "    jne 3b",
    "    test ebp, ebp",
    "    je 8f",
    "    mov eax, 57", // fork()
    "    syscall",
    "    mov r14d, eax",
    "    neg r14d",
    "    test eax, eax",
    "    js 5f",
    "    jne 20f",
    "    xor edi, edi", // setpgid(0, 0)
    "    xor esi, esi",
    "    mov eax, 109",
    "    syscall",
    "    mov eax, 39", // getpid()
    "    syscall",
    "    push rax",
    "    mov rdx, rsp", // ioctl(0, TIOCSPGRP, &pid): in the foreground, if that is a terminal
    "    mov esi, 0x5410",
    "    xor edi, edi",
    "    mov eax, 16",
    "    syscall",
    "    mov qword ptr [rsp], 0", // rt_sigprocmask(SIG_SETMASK, none, null, 8)
    "    mov edi, 2",
    "    mov rsi, rsp",
    "    xor edx, edx",
    "    mov r10d, 8",
    "    mov eax, 14",
    "    syscall",
    "8:  mov edi, 3", // fcntl(REPORT, F_SETFD, FD_CLOEXEC)
    "    mov esi, 2",
    "    mov edx, 1",
    "    mov eax, 72",
    "    syscall",
    "    mov r14d, 2", // ENOENT
    "4:  mov rdi, [rbx]",
    "    cmp byte ptr [rdi], 0",
    "    je 5f",
    "    add rbx, 8",
    "    mov rsi, r12", // execve(file, arguments, environment)
    "    mov rdx, r13",
    "    mov eax, 59",
    "    syscall",
    "    neg eax",
    "    cmp eax, 2", // ENOENT, ENOTDIR: the next one
    "    je 4b",
    "    cmp eax, 20",
    "    je 4b",
    "    mov r14d, eax",
    "    cmp eax, 13", // EACCES: the next one, but not forgotten
    "    je 4b",
    "5:  push r14", // write(REPORT, &error, 4)
    "    mov edi, 3",
    "    mov rsi, rsp",
    "    mov edx, 4",
    "    mov eax, 1",
    "    syscall",
    "6:  mov edi, 126", // exit_group(126)
    "26: mov eax, 231",
    "    syscall",
    "20: mov ebp, eax", // the init
    "    xor ebx, ebx",
    "22: mov edi, ebx", // close(0), …, close(REPORT): their readers see the end when the program closes them
    "    mov eax, 3",
    "    syscall",
    "    inc ebx",
    "    cmp ebx, 4",
    "    jne 22b",
    "    sub rsp, 16",
    "23: mov rdi, -1", // wait4(-1, &status, WNOHANG, null)
    "    lea rsi, [rsp + 8]",
    "    mov edx, 1",
    "    xor r10d, r10d",
    "    mov eax, 61",
    "    syscall",
    "    test eax, eax",
    "    jle 25f",
    "    cmp eax, ebp",
    "    jne 23b",
    "    mov eax, [rsp + 8]", // the status: a signal below, an exit code above
    "    mov edi, eax",
    "    and edi, 127",
    "    je 24f",
    "    add edi, 128",
    "    jmp 26b",
    "24: mov edi, eax",
    "    shr edi, 8",
    "    and edi, 255",
    "    jmp 26b",
    "25: mov qword ptr [rsp], -1", // rt_sigtimedwait(all, null, null, 8)
    "    mov rdi, rsp",
    "    xor esi, esi",
    "    xor edx, edx",
    "    mov r10d, 8",
    "    mov eax, 128",
    "    syscall",
    "    test eax, eax",
    "    jle 23b",
    "    cmp eax, 17", // SIGCHLD
    "    je 23b",
    "    mov edi, ebp", // kill(program, signal)
    "    mov esi, eax",
    "    mov eax, 62",
    "    syscall",
    "    jmp 23b",
    "knarr_launcher_end:",
    ".popsection",
);

#[cfg(target_arch = "aarch64")]
std::arch::global_asm!(
    ".pushsection .rodata.knarr_launcher, \"a\"",
    ".balign 4",
    ".globl knarr_launcher_start",
    ".globl knarr_launcher_end",
    "knarr_launcher_start:",
    "    add x19, sp, #8",
    "    mov x23, xzr",
    "    ldr x0, [x19]",
    "    cbz x0, 6f", // started by nobody of ours
    "    ldr x1, [x0]",
    "    movz x2, #0x6e6b", // INIT
    "    movk x2, #0x692d, lsl #16",
    "    movk x2, #0x696e, lsl #32",
    "    movk x2, #0x0074, lsl #48",
    "    cmp x1, x2",
    "    b.ne 7f",
    "    mov x23, #1",
    "    add x19, x19, #8",
    "7:  mov x20, x19",
    "2:  ldr x0, [x20]", // look for the empty argument
    "    cbz x0, 6f",    // started by nobody of ours
    "    add x20, x20, #8",
    "    ldrb w1, [x0]",
    "    cbnz w1, 2b",
    "    mov x21, x20",
    "3:  ldr x0, [x21], #8", // look for the end of the arguments
    "    cbnz x0, 3b",
    "    cbz x23, 8f",
    "    mov x0, #17", // clone(SIGCHLD, 0, 0, 0, 0)
    "    mov x1, xzr",
    "    mov x2, xzr",
    "    mov x3, xzr",
    "    mov x4, xzr",
    "    mov x8, #220",
    "    svc #0",
    "    neg w22, w0",
    "    tbnz w0, #31, 5f",
    "    cbnz w0, 20f",
    "    mov x0, xzr", // setpgid(0, 0)
    "    mov x1, xzr",
    "    mov x8, #154",
    "    svc #0",
    "    mov x8, #172", // getpid()
    "    svc #0",
    "    str x0, [sp, #-16]!",
    "    mov x0, xzr", // ioctl(0, TIOCSPGRP, &pid): in the foreground, if that is a terminal
    "    mov x1, #0x5410",
    "    mov x2, sp",
    "    mov x8, #29",
    "    svc #0",
    "    str xzr, [sp]", // rt_sigprocmask(SIG_SETMASK, none, null, 8)
    "    mov x0, #2",
    "    mov x1, sp",
    "    mov x2, xzr",
    "    mov x3, #8",
    "    mov x8, #135",
    "    svc #0",
    "8:  mov x0, #3", // fcntl(REPORT, F_SETFD, FD_CLOEXEC)
    "    mov x1, #2",
    "    mov x2, #1",
    "    mov x8, #25",
    "    svc #0",
    "    mov w22, #2", // ENOENT
    "4:  ldr x0, [x19], #8",
    "    ldrb w1, [x0]",
    "    cbz w1, 5f",
    "    mov x1, x20", // execve(file, arguments, environment)
    "    mov x2, x21",
    "    mov x8, #221",
    "    svc #0",
    "    neg w0, w0",
    "    cmp w0, #2", // ENOENT, ENOTDIR: the next one
    "    b.eq 4b",
    "    cmp w0, #20",
    "    b.eq 4b",
    "    mov w22, w0",
    "    cmp w0, #13", // EACCES: the next one, but not forgotten
    "    b.eq 4b",
    "5:  str w22, [sp, #-16]!", // write(REPORT, &error, 4)
    "    mov x0, #3",
    "    mov x1, sp",
    "    mov x2, #4",
    "    mov x8, #64",
    "    svc #0",
    "6:  mov x0, #126", // exit_group(126)
    "26: mov x8, #94",
    "    svc #0",
    "20: mov w23, w0", // the init
    "    mov x19, xzr",
    "22: mov x0, x19", // close(0), …, close(REPORT): their readers see the end when the program closes them
    "    mov x8, #57",
    "    svc #0",
    "    add x19, x19, #1",
    "    cmp x19, #4",
    "    b.ne 22b",
    "    sub sp, sp, #16",
    "23: mov x0, #-1", // wait4(-1, &status, WNOHANG, null)
    "    add x1, sp, #8",
    "    mov x2, #1",
    "    mov x3, xzr",
    "    mov x8, #260",
    "    svc #0",
    "    cmp w0, #0",
    "    b.le 25f",
    "    cmp w0, w23",
    "    b.ne 23b",
    "    ldr w1, [sp, #8]", // the status: a signal below, an exit code above
    "    ands w0, w1, #127",
    "    b.eq 24f",
    "    add w0, w0, #128",
    "    b 26b",
    "24: ubfx w0, w1, #8, #8",
    "    b 26b",
    "25: mov x0, #-1", // rt_sigtimedwait(all, null, null, 8)
    "    str x0, [sp]",
    "    mov x0, sp",
    "    mov x1, xzr",
    "    mov x2, xzr",
    "    mov x3, #8",
    "    mov x8, #137",
    "    svc #0",
    "    cmp w0, #0",
    "    b.le 23b",
    "    cmp w0, #17", // SIGCHLD
    "    b.eq 23b",
    "    mov w1, w0", // kill(program, signal)
    "    mov w0, w23",
    "    mov x8, #129",
    "    svc #0",
    "    b 23b",
    "knarr_launcher_end:",
    ".popsection",
);
