//! Assembling a system call filter (seccomp(2), classic BPF).
//!
//! One instruction for each call that is always allowed, a few for each that depends on an argument: a start installs
//! this filter, and the kernel compiles it, so its length is time. The crate that also loads it makes five times as many.

use seccompiler::{BpfProgram, sock_filter};

// linux/bpf_common.h
const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const JUMP_AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

// linux/seccomp.h
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
const KILL_PROCESS: u32 = 0x8000_0000;
/// Offsets in `struct seccomp_data`.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

/// linux/audit.h: calls by another numbering (32-bit ones) are never ours.
const NATIVE: u32 = if cfg!(target_arch = "x86_64") {
    0xc000_003e
} else if cfg!(target_arch = "aarch64") {
    0xc000_00b7
} else {
    0xc000_00f3 // riscv64
};
/// x86-64's second set of numbers (x32) starts here.
const SECOND_SET: u32 = 0x4000_0000;

/// What an argument must be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Check {
    /// The lower half, as far as the mask goes.
    Masked { argument: u32, mask: u32, value: u32 },
    /// A null pointer.
    Null { argument: u32 },
}

impl Check {
    pub fn equal(argument: u32, value: u32) -> Self {
        Self::Masked { argument, mask: u32::MAX, value }
    }
}

/// A filter under construction: what is not named fails with EPERM.
#[derive(Debug)]
pub(super) struct Filter(BpfProgram);

/// Where a jump leads that is not known yet; replaced by [`Filter::assemble`].
const TO_ALLOW: u8 = 0xff;

impl Filter {
    pub fn new() -> Self {
        let mut program = vec![
            statement(LOAD, ARCHITECTURE),
            jump(JUMP_EQUAL, NATIVE, 1, 0),
            statement(RETURN, KILL_PROCESS),
            statement(LOAD, NUMBER),
        ];
        if cfg!(target_arch = "x86_64") {
            program.push(jump(JUMP_AT_LEAST, SECOND_SET, 0, 1));
            program.push(statement(RETURN, ERRNO | libc::EPERM as u32));
        }
        Self(program)
    }

    /// Allows these calls, whatever their arguments.
    pub fn allow(&mut self, calls: &[i64]) -> &mut Self {
        self.0.extend(calls.iter().map(|call| jump(JUMP_EQUAL, *call as u32, TO_ALLOW, 0)));
        self
    }

    /// Allows a call if any of the checks holds.
    pub fn allow_if(&mut self, call: i64, checks: &[Check]) {
        let mut body = Vec::new();
        for check in checks {
            match *check {
                Check::Masked { argument, mask, value } => {
                    body.push(statement(LOAD, lower(argument)));
                    if mask != u32::MAX {
                        body.push(statement(AND, mask));
                    }
                    body.push(jump(JUMP_EQUAL, value, TO_ALLOW, 0));
                }
                Check::Null { argument } => {
                    body.push(statement(LOAD, lower(argument)));
                    body.push(jump(JUMP_EQUAL, 0, 0, 2));
                    body.push(statement(LOAD, upper(argument)));
                    body.push(jump(JUMP_EQUAL, 0, TO_ALLOW, 0));
                }
            }
        }
        body.push(statement(RETURN, ERRNO | libc::EPERM as u32));
        self.0.push(jump(JUMP_EQUAL, call as u32, 0, body.len() as u8));
        self.0.extend(body);
    }

    /// Lets a call fail with this error.
    pub fn fail(&mut self, call: i64, errno: i32) {
        self.0.push(jump(JUMP_EQUAL, call as u32, 0, 1));
        self.0.push(statement(RETURN, ERRNO | errno as u32));
    }

    /// The program. Jumps reach 255 instructions far, so there is an end to go to within each stretch.
    pub fn assemble(self) -> BpfProgram {
        let mut program = self.0;
        program.push(statement(RETURN, ERRNO | libc::EPERM as u32));
        program.push(statement(RETURN, ALLOW));
        let end = program.len() - 1;
        for (i, instruction) in program.iter_mut().enumerate() {
            if instruction.code == JUMP_EQUAL && instruction.jt == TO_ALLOW {
                // a program that outgrows this fails closed, and every test with it
                instruction.jt = (end - i - 1).min(TO_ALLOW.into()) as u8;
            }
        }
        program
    }
}

fn lower(argument: u32) -> u32 {
    ARGUMENTS + 8 * argument + if cfg!(target_endian = "big") { 4 } else { 0 }
}

fn upper(argument: u32) -> u32 {
    ARGUMENTS + 8 * argument + if cfg!(target_endian = "big") { 0 } else { 4 }
}

fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel would answer.
    fn run(program: &[sock_filter], number: i64, arguments: [u64; 6]) -> u32 {
        let mut data = [0; 64];
        data[..4].copy_from_slice(&(number as u32).to_ne_bytes());
        data[4..8].copy_from_slice(&NATIVE.to_ne_bytes());
        for (i, argument) in arguments.iter().enumerate() {
            data[16 + 8 * i..24 + 8 * i].copy_from_slice(&argument.to_ne_bytes());
        }
        let (mut a, mut at) = (0, 0);
        loop {
            let sock_filter { code, jt, jf, k } = program[at].clone();
            at += 1;
            let mut branch = |taken: bool| at += usize::from(if taken { jt } else { jf });
            match code {
                LOAD => {
                    let bytes = data[k as usize..k as usize + 4].try_into().unwrap();
                    a = u32::from_ne_bytes(bytes);
                }
                AND => a &= k,
                JUMP_EQUAL => branch(a == k),
                JUMP_AT_LEAST => branch(a >= k),
                RETURN => return k,
                other => panic!("{other:#x}"),
            }
        }
    }

    #[test]
    fn decides_by_number_and_arguments() {
        let mut filter = Filter::new();
        filter.allow(&[1, 2, 3]);
        filter.allow_if(10, &[Check::Masked { argument: 2, mask: 4, value: 0 }]);
        filter.allow_if(11, &[Check::equal(0, 5), Check::equal(0, 6)]);
        filter.allow_if(12, &[Check::Null { argument: 1 }]);
        filter.fail(13, libc::ENOSYS);
        let program = filter.assemble();
        let denied = ERRNO | libc::EPERM as u32;
        let with = |i: usize, value| {
            let mut arguments = [0; 6];
            arguments[i] = value;
            arguments
        };
        assert_eq!(run(&program, 2, [9; 6]), ALLOW);
        assert_eq!(run(&program, 4, [0; 6]), denied);
        assert_eq!(run(&program, 10, with(2, 3)), ALLOW);
        assert_eq!(run(&program, 10, with(2, 7)), denied);
        assert_eq!(run(&program, 11, with(0, 6)), ALLOW);
        assert_eq!(run(&program, 11, with(0, 7)), denied);
        assert_eq!(run(&program, 12, with(0, 1)), ALLOW);
        assert_eq!(run(&program, 12, with(1, 1)), denied);
        assert_eq!(run(&program, 12, with(1, 1 << 32)), denied);
        assert_eq!(run(&program, 13, [0; 6]), ERRNO | libc::ENOSYS as u32);
        assert_eq!(run(&program, 0x4000_0001, [0; 6]), denied);
    }
}
