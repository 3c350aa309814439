//! System call filters: from rules to the classic BPF that the kernel runs at every system call (seccomp(2)).
//!
//! The number is found by binary search over ranges with the same verdict, so that an allowed call costs the guest
//! some ten instructions, and the kernel's own precomputation at installation stays short.

use rustix::io::{Errno, Result};

/// Whose system calls: each has its own numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    X86_64,
    X86,
    /// 32-bit pointers on x86-64: the same `AUDIT_ARCH`, told apart by a bit of the number.
    X32,
    Aarch64,
    Arm,
    Riscv64,
}

/// Set in the number of every system call of [`Architecture::X32`].
pub const X32_BIT: u32 = 0x4000_0000;

/// The architecture of this program, where its system calls are known.
pub const NATIVE: Option<Architecture> = if cfg!(target_arch = "x86_64") {
    Some(Architecture::X86_64)
} else if cfg!(target_arch = "aarch64") {
    Some(Architecture::Aarch64)
} else if cfg!(target_arch = "riscv64") {
    Some(Architecture::Riscv64)
} else {
    None
};

/// One instruction of classic BPF.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    k: u32,
}

/// Confines this thread, and all that it starts, by a filter (`SECCOMP_FILTER_FLAG_*` in `flags`). Without privileges
/// it must have no_new_privs.
pub fn install(program: &[Instruction], flags: u64) -> Result<()> {
    #[repr(C)]
    struct Program {
        length: u16,
        instructions: *const Instruction,
    }
    let length = u16::try_from(program.len()).map_err(|_| Errno::INVAL)?;
    let program = Program { length, instructions: program.as_ptr() };
    // SAFETY: the kernel copies the program, which outlives the call
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    match result {
        -1 => {
            let error = std::io::Error::last_os_error();
            Err(Errno::from_io_error(&error).unwrap_or(Errno::INVAL))
        }
        _ => Ok(()),
    }
}

/// The value a filter returns (`SECCOMP_RET_*`, linux/seccomp.h).
pub type Verdict = u32;

pub const KILL_PROCESS: Verdict = 0x8000_0000;
pub const KILL_THREAD: Verdict = 0;
pub const TRAP: Verdict = 0x0003_0000;
pub const ERRNO: Verdict = 0x0005_0000;
pub const TRACE: Verdict = 0x7ff0_0000;
pub const LOG: Verdict = 0x7ffc_0000;
pub const ALLOW: Verdict = 0x7fff_0000;

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    NotEqual,
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
    /// `argument & mask == value`
    Masked {
        mask: u64,
    },
}

/// A test of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// 0 to 5
    pub argument: u32,
    pub comparison: Comparison,
    pub value: u64,
}

/// What happens to one system call: the first rule whose conditions all hold decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub number: u32,
    pub conditions: Vec<Condition>,
    pub verdict: Verdict,
}

/// The rules of one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    pub architecture: Architecture,
    pub rules: Vec<Rule>,
    pub default: Verdict,
    /// For calls above the highest number that the profile knows: `ENOSYS` lets a C library that tries a newer call
    /// fall back, where "permission denied" would be taken for an answer.
    pub unknown: Verdict,
}

const LOAD: u16 = 0x20;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;

/// Offsets in `struct seccomp_data`, all words little-endian.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;

const fn plain(code: u16, k: u32) -> Instruction {
    Instruction { code, jump_true: 0, jump_false: 0, k }
}

const fn branch(code: u16, k: u32, jump_true: u8, jump_false: u8) -> Instruction {
    Instruction { code, jump_true, jump_false, k }
}

/// linux/audit.h
fn audit_number(architecture: Architecture) -> u32 {
    match architecture {
        Architecture::X86_64 | Architecture::X32 => 0xc000_003e,
        Architecture::X86 => 0x4000_0003,
        Architecture::Aarch64 => 0xc000_00b7,
        Architecture::Arm => 0x4000_0028,
        Architecture::Riscv64 => 0xc000_00f3,
    }
}

/// The whole program. A call by way of an architecture without a section ends the process.
pub fn compile(sections: &[Section]) -> Vec<Instruction> {
    let mut program = vec![plain(LOAD, ARCHITECTURE)];
    let mut done = Vec::new();
    for section in sections {
        let audit = audit_number(section.architecture);
        if done.contains(&audit) {
            continue;
        }
        done.push(audit);
        let of = |wanted| sections.iter().find(|section| section.architecture == wanted);
        let mut body = vec![plain(LOAD, NUMBER)];
        if audit == audit_number(Architecture::X86_64) {
            // no system call of x86-64 itself has this bit
            let long = of(Architecture::X86_64).map_or(vec![plain(RETURN, KILL_PROCESS)], search);
            // without a section, x32 is as good as absent from the kernel
            let x32 = of(Architecture::X32).map_or(vec![plain(RETURN, section.unknown)], search);
            body.extend(choose(X32_BIT, long, x32));
        } else {
            body.extend(search(section));
        }
        // the accumulator holds the architecture until a section matches
        program.push(branch(JUMP_EQUAL, audit, 1, 0));
        program.push(plain(JUMP, body.len() as u32));
        program.extend(body);
    }
    program.push(plain(RETURN, KILL_PROCESS));
    program
}

/// `if number >= pivot { above } else { below }`
fn choose(pivot: u32, below: Vec<Instruction>, above: Vec<Instruction>) -> Vec<Instruction> {
    let mut program = match u8::try_from(below.len()) {
        Ok(distance) => vec![branch(JUMP_GREATER_OR_EQUAL, pivot, distance, 0)],
        // a conditional jump reaches 255 instructions, an unconditional one any number
        Err(_) => vec![branch(JUMP_GREATER_OR_EQUAL, pivot, 0, 1), plain(JUMP, below.len() as u32)],
    };
    program.extend(below);
    program.extend(above);
    program
}

/// From a number on (to the next entry), what is done.
type Range = (u32, Vec<Instruction>);

fn search(section: &Section) -> Vec<Instruction> {
    let bit = if section.architecture == Architecture::X32 { X32_BIT } else { 0 };
    // stable: rules for one number keep their order
    let mut rules: Vec<&Rule> = section.rules.iter().collect();
    rules.sort_by_key(|rule| rule.number);
    let highest = rules.last().map(|rule| rule.number);
    let mut ranges: Vec<Range> = vec![(0, vec![plain(RETURN, section.default)])];
    let push = |ranges: &mut Vec<Range>, from: u32, body: Vec<Instruction>| match ranges.last_mut()
    {
        Some(last) if last.0 == from => last.1 = body,
        Some(last) if last.1 == body => {}
        _ => ranges.push((from, body)),
    };
    for rules in rules.chunk_by(|a, b| a.number == b.number) {
        let number = rules[0].number;
        push(&mut ranges, number | bit, decide(rules, section.default));
        let after = if highest == Some(number) { section.unknown } else { section.default };
        push(&mut ranges, (number + 1) | bit, vec![plain(RETURN, after)]);
    }
    // ranges that came to the same verdict after a replacement
    ranges.dedup_by(|next, previous| next.1 == previous.1);
    tree(ranges)
}

fn tree(mut ranges: Vec<Range>) -> Vec<Instruction> {
    if ranges.len() == 1 {
        return ranges.remove(0).1;
    }
    let above = ranges.split_off(ranges.len() / 2);
    let pivot = above[0].0;
    choose(pivot, tree(ranges), tree(above))
}

/// The decision about one system call.
fn decide(rules: &[&Rule], default: Verdict) -> Vec<Instruction> {
    let mut program = Vec::new();
    for rule in rules {
        if rule.conditions.is_empty() {
            program.push(plain(RETURN, rule.verdict));
            return program;
        }
        let mut tests: Vec<Test> = rule.conditions.iter().flat_map(tests).collect();
        let length = tests.len() + 1;
        let mut block_end = 0;
        for (at, test) in tests.iter_mut().enumerate() {
            if at >= block_end {
                block_end = at + test.rest;
            }
            let resolve = |target| match target {
                Target::Next => 0,
                Target::Pass => (block_end - at - 1) as u8,
                Target::Fail => (length - at - 1) as u8,
            };
            test.instruction.jump_true = resolve(test.when_true);
            test.instruction.jump_false = resolve(test.when_false);
        }
        program.extend(tests.iter().map(|test| test.instruction));
        program.push(plain(RETURN, rule.verdict));
    }
    program.push(plain(RETURN, default));
    program
}

/// Where a test leads: to the next instruction, to the next condition, to the next rule.
#[derive(Clone, Copy)]
enum Target {
    Next,
    Pass,
    Fail,
}

/// An instruction whose jumps are not resolved yet.
#[derive(Clone, Copy)]
struct Test {
    instruction: Instruction,
    when_true: Target,
    when_false: Target,
    /// Instructions from here to the end of the condition.
    rest: usize,
}

/// Compares 64 bits in two halves.
fn tests(condition: &Condition) -> Vec<Test> {
    use Target::{Fail, Next, Pass};
    let low = ARGUMENTS + 8 * condition.argument;
    let (high_value, low_value) = ((condition.value >> 32) as u32, condition.value as u32);
    let jump = |code, k, when_true, when_false| (branch(code, k, 0, 0), when_true, when_false);
    let other = |code, k| (plain(code, k), Next, Next);
    let ordered = |code, holds, fails| {
        vec![
            other(LOAD, low + 4),
            jump(JUMP_GREATER, high_value, holds, Next),
            jump(JUMP_EQUAL, high_value, Next, fails),
            other(LOAD, low),
            jump(code, low_value, holds, fails),
        ]
    };
    let list = match condition.comparison {
        Comparison::Equal => vec![
            other(LOAD, low + 4),
            jump(JUMP_EQUAL, high_value, Next, Fail),
            other(LOAD, low),
            jump(JUMP_EQUAL, low_value, Next, Fail),
        ],
        Comparison::NotEqual => vec![
            other(LOAD, low + 4),
            jump(JUMP_EQUAL, high_value, Next, Pass),
            other(LOAD, low),
            jump(JUMP_EQUAL, low_value, Fail, Next),
        ],
        // an `int`, of which the kernel ignores the upper half
        Comparison::Masked { mask } if mask == u64::from(u32::MAX) && high_value == 0 => {
            vec![other(LOAD, low), jump(JUMP_EQUAL, low_value, Next, Fail)]
        }
        Comparison::Masked { mask } => vec![
            other(LOAD, low + 4),
            other(AND, (mask >> 32) as u32),
            jump(JUMP_EQUAL, high_value, Next, Fail),
            other(LOAD, low),
            other(AND, mask as u32),
            jump(JUMP_EQUAL, low_value, Next, Fail),
        ],
        Comparison::GreaterOrEqual => ordered(JUMP_GREATER_OR_EQUAL, Pass, Fail),
        Comparison::Greater => ordered(JUMP_GREATER, Pass, Fail),
        Comparison::Less => ordered(JUMP_GREATER_OR_EQUAL, Fail, Pass),
        Comparison::LessOrEqual => ordered(JUMP_GREATER, Fail, Pass),
    };
    let length = list.len();
    let finish = |(at, (instruction, when_true, when_false))| Test {
        instruction,
        when_true,
        when_false,
        rest: length - at,
    };
    list.into_iter().enumerate().map(finish).collect()
}

#[cfg(test)]
pub(crate) mod tests;
