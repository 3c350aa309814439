use super::*;

/// Runs a program on a call, as the kernel would.
pub fn run(
    program: &[Instruction],
    architecture: Architecture,
    number: u32,
    arguments: &[u64],
) -> Verdict {
    let load = |offset: u32| match offset {
        NUMBER => number,
        ARCHITECTURE => audit_number(architecture),
        offset => {
            let argument = arguments.get((offset - ARGUMENTS) as usize / 8).copied().unwrap_or(0);
            if offset % 8 == 0 { argument as u32 } else { (argument >> 32) as u32 }
        }
    };
    let (mut at, mut a) = (0usize, 0u32);
    loop {
        let i = program[at];
        at += 1;
        let holds = match i.code {
            LOAD => {
                a = load(i.k);
                continue;
            }
            AND => {
                a &= i.k;
                continue;
            }
            JUMP => {
                at += i.k as usize;
                continue;
            }
            RETURN => return i.k,
            JUMP_EQUAL => a == i.k,
            JUMP_GREATER => a > i.k,
            JUMP_GREATER_OR_EQUAL => a >= i.k,
            other => panic!("{other:x}"),
        };
        at += usize::from(if holds { i.jump_true } else { i.jump_false });
    }
}

fn section(rules: Vec<Rule>) -> Section {
    Section { architecture: Architecture::X86_64, rules, default: ERRNO | 1, unknown: ERRNO | 38 }
}

#[test]
fn every_number_gets_its_verdict() {
    let numbers = [0, 1, 2, 5, 6, 9, 400, 401, 450];
    let rules = numbers.map(|number| Rule { number, conditions: Vec::new(), verdict: ALLOW });
    let program = compile(&[section(rules.to_vec())]);
    for number in 0..600 {
        let expected = match number {
            n if numbers.contains(&n) => ALLOW,
            451.. => ERRNO | 38,
            _ => ERRNO | 1,
        };
        assert_eq!(run(&program, Architecture::X86_64, number, &[]), expected, "{number}");
    }
    assert_eq!(run(&program, Architecture::X86, 0, &[]), KILL_PROCESS);
    assert_eq!(run(&program, Architecture::X86_64, X32_BIT, &[]), ERRNO | 38);
}

#[test]
fn long_programs_jump_far() {
    let rule =
        |number| Rule { number: 2 * number, conditions: Vec::new(), verdict: TRACE | number };
    let program = compile(&[section((0..400).map(rule).collect())]);
    for number in 0..400 {
        assert_eq!(run(&program, Architecture::X86_64, 2 * number, &[]), TRACE | number);
        let odd = if number == 399 { ERRNO | 38 } else { ERRNO | 1 };
        assert_eq!(run(&program, Architecture::X86_64, 2 * number + 1, &[]), odd);
    }
}

#[test]
fn comparisons_use_all_64_bits() {
    const V: u64 = 0x5_0000_0007;
    let values = [0, 6, 7, 8, V - 1, V, V + 1, 0x4_0000_0009, 0x6_0000_0000, u64::MAX];
    type Holds = fn(u64) -> bool;
    let cases: [(Comparison, Holds); 7] = [
        (Comparison::Equal, |a| a == V),
        (Comparison::NotEqual, |a| a != V),
        (Comparison::Less, |a| a < V),
        (Comparison::LessOrEqual, |a| a <= V),
        (Comparison::Greater, |a| a > V),
        (Comparison::GreaterOrEqual, |a| a >= V),
        (Comparison::Masked { mask: 0xf_0000_000f }, |a| a & 0xf_0000_000f == V),
    ];
    for (comparison, holds) in cases {
        let condition = Condition { argument: 1, comparison, value: V };
        let also = Condition { argument: 0, comparison: Comparison::Equal, value: 3 };
        let rules = vec![
            Rule { number: 7, conditions: vec![condition, also], verdict: ALLOW },
            Rule { number: 7, conditions: vec![also], verdict: LOG },
        ];
        let program = compile(&[section(rules)]);
        for value in values {
            let verdict = run(&program, Architecture::X86_64, 7, &[3, value]);
            assert_eq!(verdict, if holds(value) { ALLOW } else { LOG }, "{comparison:?} {value:x}");
            assert_eq!(run(&program, Architecture::X86_64, 7, &[4, value]), ERRNO | 1);
        }
    }
}
