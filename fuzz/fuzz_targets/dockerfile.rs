//! Any bytes: parsed, linted and expanded without a panic, and what was parsed keeps its promises.

#![no_main]

use knarr_core::hint::Hint;
use knarr_packager::dockerfile::ast::{Healthcheck, Program};
use knarr_packager::dockerfile::lint::{Base, Facts, enforce, lint};
use knarr_packager::dockerfile::{self, Dockerfile, Error, Instruction, Scope, ignore::Ignore};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    match dockerfile::parse(data, "Dockerfile") {
        Ok(parsed) => exercise(&parsed),
        Err(error) => show(&error),
    }
});

/// Every error can be shown, and has one line of source and one of carets.
fn show(error: &Error) {
    let text = error.to_string();
    assert!(text.contains("--> "), "{text}");
    assert!(text.ends_with('^'), "{text}");
    assert!(error.hint().is_none_or(|hint| !hint.is_empty()));
}

fn exercise(parsed: &Dockerfile) {
    let ignore = Ignore::new(["*.md", "a/**/b", "[a-c]*"]).unwrap();
    let mut facts = Facts { ignore: Some(&ignore), ..Facts::default() };
    let few = lint(parsed, &facts);
    let base = Base { env: vec![("HOME".into(), "/root".into())], shell: false };
    facts.bases = (0..parsed.stages.len()).map(|stage| (stage, base.clone())).collect();
    for warning in few.iter().chain(&lint(parsed, &facts)) {
        assert!(warning.to_string().starts_with(warning.rule.name));
    }
    let _ = enforce(parsed, &few);

    let mut scope = Scope::new(parsed);
    for (name, value) in [("A", "a"), ("B", ""), ("PATH", "/usr/bin:/bin"), ("V", "1.2.3-*?\\/x\n y")] {
        scope.set(name, value);
    }
    for stage in &parsed.stages {
        inside(parsed, stage.span.start, stage.span.end);
        for word in [Some(&stage.base), stage.platform.as_ref()].into_iter().flatten() {
            check(dockerfile::expand(word, &scope).map(|_| ()));
        }
        for instruction in &stage.instructions {
            inside(parsed, instruction.span.start, instruction.span.end);
            expand(parsed, instruction, &scope);
        }
    }
}

fn inside(parsed: &Dockerfile, start: usize, end: usize) {
    assert!(start < end && end <= parsed.source.text().len());
}

fn check(result: Result<(), Error>) {
    if let Err(error) = result {
        show(&error);
    }
}

fn expand(parsed: &Dockerfile, instruction: &Instruction, scope: &Scope) {
    match instruction.expanded(scope) {
        Ok(Instruction::Expose(words)) => check(dockerfile::expose::ports(&words, scope).map(|_| ())),
        Ok(_) => {}
        Err(error) => show(&error),
    }
    check(instruction.undefined(scope).map(|_| ()));
    match instruction {
        Instruction::Arg(args) => {
            for default in args.iter().filter_map(|arg| arg.default.as_ref()) {
                check(dockerfile::expand(default, scope).map(|_| ()));
            }
        }
        Instruction::Run(run) => {
            for mount in &run.mounts {
                check(mount.resolve(scope).map(|_| ()));
            }
            if let Program::Script { text, .. } = run.program() {
                assert!(text.starts_with("#!"));
            }
        }
        Instruction::Healthcheck(Healthcheck::Command { options, .. }) => {
            assert!(options.retries.is_none_or(|retries| retries <= i32::MAX as u32));
        }
        // what an image carries is read again when another one is built from it
        Instruction::Onbuild(onbuild) if parsed.directives.escape == '\\' => {
            let again = dockerfile::parse_trigger(&onbuild.trigger, "ONBUILD").unwrap();
            assert_eq!(again.instruction, *onbuild.instruction);
        }
        _ => {}
    }
}
