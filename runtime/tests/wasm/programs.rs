//! Programs: what they see, what they say, how they end.

use super::Test;
use super::container::{Container, Outcome};
use knarr_core::hint::Hint;

pub const TESTS: &[Test] = &[
    ("programs::arguments_and_environment", arguments_and_environment),
    ("programs::proposals_are_there_or_named", proposals),
    ("programs::streams", streams),
    ("programs::an_interactive_program_answers_each_line", interactive),
    ("programs::clocks_and_randomness", clocks_and_randomness),
    ("programs::exit_codes", exit_codes),
    ("programs::traps_are_explained", traps_are_explained),
    ("programs::memory_limit", memory_limit),
    ("programs::wasi_0_3", wasi_0_3),
    ("programs::text_modules", text_modules),
    ("programs::named_functions", named_functions),
    ("programs::found_in_path_and_working_directory", found),
    ("programs::what_cannot_run_says_why", what_cannot_run),
    ("programs::missing_imports_are_named", missing_imports),
    ("programs::guests_are_built_from_their_sources", guests),
    ("programs::hello", hello),
];

/// As a core module and as a component.
const KITS: [&str; 2] = ["kit.p1.wasm", "kit.p2.wasm"];

pub fn kit(kit: &str, args: &[&str]) -> Outcome {
    Container::with(kit, args).run()
}

/// A container whose `/app.wasm` is this text.
pub fn text(module: &str, args: &[&str]) -> Container {
    let container = Container::empty(&[&["/app.wasm"], args].concat());
    std::fs::write(container.rootfs().join("app.wasm"), module).unwrap();
    container
}

fn arguments_and_environment() {
    for guest in KITS {
        let out = kit(guest, &["args", "one", "two words", ""]).stdout();
        assert_eq!(out, "Some(\"/app.wasm\") [\"one\", \"two words\", \"\"]\n");
        let mut container = Container::with(guest, &["env"]);
        container.spec.process.env = vec!["A=1".into(), "B=two=2".into(), "EMPTY=".into()];
        container.spec.hostname = Some("me".into());
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let expected = format!("{path}\nHOSTNAME=me\nA=1\nB=two=2\nEMPTY=\nHOME=/\n");
        assert_eq!(container.run().stdout(), expected);
        // the user's own directory, and what the image or the user says instead
        let root = container.rootfs();
        std::fs::create_dir(root.join("etc")).unwrap();
        let passwd = "root:x:0:0::/root:/bin/sh\napp:x:7:7::/home/app:/bin/sh\n";
        std::fs::write(root.join("etc/passwd"), passwd).unwrap();
        for (user, given, home) in
            [("", "X=1", "/root"), ("app", "X=1", "/home/app"), ("app", "HOME=/x", "/x")]
        {
            container.spec.process.user = user.into();
            container.spec.process.env = vec![given.into()];
            let out = container.run().stdout();
            assert!(out.lines().any(|line| line == format!("HOME={home}")), "{user}: {out}");
        }
    }
}

/// WebAssembly 3.0 and what wasmtime has finished; of the rest the name is told.
fn proposals() {
    let start = "(func (export \"_start\"))";
    for has in [
        "(func (param i64 i64 i64 i64) (result i64 i64) local.get 0 local.get 1 local.get 2 local.get 3 i64.add128)",
        "(memory i64 1)",
        "(memory 1) (memory 1)",
        "(tag) (func (throw 0))",
        "(type (struct (field i32)))",
    ] {
        let out = text(&format!("(module {has} {start})"), &[]).run();
        assert_eq!(out.code(), 0, "{has}: {out:?}");
    }
    for (lacks, name) in [
        ("(memory 1 1 shared)", "threads"),
        ("(import \"env\" \"memory\" (memory 1 1 shared))", "threads"),
        ("(memory 1 (pagesize 1))", "custom-page-sizes"),
        ("(func try catch_all end)", "legacy-exceptions"),
    ] {
        let error =
            text(&format!("(module {lacks} {start})"), &[]).start().map(|_| ()).unwrap_err();
        let said = error.to_string();
        assert!(said.contains(&format!("the proposal {name} of")), "{said}");
        assert!(said.contains("wasmtime 48.") && error.exit_code() == 126, "{said}");
        assert!(
            error.hint().is_some_and(|hint| hint.contains("wasm-opt") || hint.contains("build"))
        );
    }
}

fn streams() {
    for guest in KITS {
        assert_eq!(Container::with(guest, &["cat"]).run_with("in and out").stdout(), "in and out");
        assert_eq!(kit(guest, &["stdin"]).stdout(), "0 bytes\n");
        let out = kit(guest, &["log", "2", "0"]);
        assert_eq!((&*out.stdout, &*out.stderr), ("out 0\nout 1\n", "err 0\nerr 1\n"));
        assert_eq!(kit(guest, &["tty"]).stdout(), "stdin=false stdout=false stderr=false\n");
    }
}

fn interactive() {
    use std::io::Write;
    for guest in KITS {
        let mut running = Container::with(guest, &["lines"]).start().unwrap();
        running.expect("> ");
        for word in ["one", "two"] {
            writeln!(running.stdin.as_mut().unwrap(), "{word}").unwrap();
            assert_eq!(running.expect("> "), format!("{}\n> ", word.to_uppercase()));
        }
        assert_eq!(running.finish().stdout(), "bye\n");
    }
}

fn clocks_and_randomness() {
    for guest in KITS {
        let out = kit(guest, &["clocks"]).stdout();
        let (seconds, passed) = out.trim().split_once(' ').unwrap();
        assert!(seconds.parse::<u64>().unwrap() > 1_700_000_000, "{out}");
        assert_eq!(passed, "true");
        assert_ne!(kit(guest, &["random"]).stdout(), kit(guest, &["random"]).stdout());
    }
}

fn exit_codes() {
    for guest in KITS {
        for code in [0, 1, 42, 255] {
            // the adapter of a 0.2 component knows success and failure only
            let seen = if guest == KITS[0] { code } else { code.min(1) };
            assert_eq!(kit(guest, &["exit", &code.to_string()]).code(), seen, "{guest} {code}");
        }
        assert_ne!(kit(guest, &["unknown"]).code(), 0);
        assert_eq!(kit(guest, &["cat", "/absent"]).code(), 1);
    }
}

fn traps_are_explained() {
    for guest in KITS {
        for (command, says) in [
            ("panic", "unreachable code reached"),
            ("abort", "unreachable code reached"),
            ("overflow", "stack overflow"),
            ("outside", "out of bounds memory access"),
        ] {
            let out = kit(guest, &[command]);
            assert_eq!(out.code(), 134, "{guest} {command}: {out:?}");
            let line = out.stderr.lines().find(|l| l.starts_with("error: ")).unwrap();
            assert!(line.contains(says), "{guest} {command}: {line}");
            // the backtrace names functions in a readable form
            let frames = out.stderr.lines().filter(|l| l.starts_with("  ")).count();
            assert!((1..=17).contains(&frames), "{out:?}");
            assert!(out.stderr.contains("kit::"), "{out:?}");
            // and only the guest's own
            for foreign in ["std::", "core::", "_start", "::h"] {
                assert!(!out.stderr.contains(&format!(": {foreign}")), "{foreign}: {out:?}");
            }
            assert!(frames < 8 || command == "overflow", "{out:?}");
        }
    }
    let out =
        text("(module (func (export \"_start\") i32.const 1 i32.const 0 i32.div_s drop))", &[]);
    let out = out.run();
    assert_eq!(
        (out.code(), out.stderr.lines().next()),
        (134, Some("error: the guest trapped: integer divide by zero"))
    );
}

fn memory_limit() {
    for guest in KITS {
        let mut container = Container::with(guest, &["alloc", "64"]);
        assert_eq!(container.run().stdout(), "holding 64 MiB\n");
        container.spec.limits.memory = Some(32 << 20);
        let out = container.run();
        assert_eq!(out.code(), 137, "{out:?}");
        let line = out.stderr.lines().find(|l| l.starts_with("error: ")).unwrap();
        assert!(line.contains("refused memory"), "{out:?}");
    }
}

fn wasi_0_3() {
    let out = kit("p3cli.p3.wasm", &["a", "b"]).stdout();
    assert_eq!(out, "hello from WASI 0.3, args=[\"a\", \"b\"]\n");
    assert_eq!(kit("p3cli.p3.wasm", &["exit"]).code(), 1);
}

fn text_modules() {
    let module = r#";; a comment first
        (module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (func (export "_start") (call $exit (i32.const 7)))
            (memory (export "memory") 1))"#;
    assert_eq!(text(module, &[]).run().code(), 7);
    let broken = text("(module (func (export \"_start\") (nonsense)))", &[]);
    let error = broken.start().map(|_| ()).unwrap_err();
    assert_eq!(error.exit_code(), 126);
    assert!(format!("{error:?}").contains("nonsense"), "{error:?}");
}

fn named_functions() {
    let module = r#"(module
        (func (export "none") unreachable)
        (func (export "add") (param i32 i64) (result i64)
            (i64.add (i64.extend_i32_s (local.get 0)) (local.get 1)))
        (memory (export "memory") 1))"#;
    let mut container = text(module, &["40", "2"]);
    container.spec.process.entrypoint[0] = "/app.wasm#add".into();
    assert_eq!(container.run().stdout(), "42\n");
    container.spec.process.entrypoint.truncate(1);
    let error = container.start().map(|_| ()).unwrap_err();
    assert_eq!(error.exit_code(), 126);
    assert!(error.to_string().contains("2 arguments"), "{error}");
    container.spec.process.entrypoint[0] = "/app.wasm#missing".into();
    let error = container.start().map(|_| ()).unwrap_err();
    assert_eq!(error.exit_code(), 126);
    assert!(hint(&error).contains("none, add"), "{error:?}");
    container.spec.process.entrypoint[0] = "/app.wasm".into();
    assert!(hint(&container.start().map(|_| ()).unwrap_err()).contains("add"));
}

fn found() {
    let mut container = Container::empty(&["kit.wasm", "hello"]);
    let place = |directory: &str| {
        std::fs::create_dir_all(container.rootfs().join(directory)).unwrap();
        let to = container.rootfs().join(directory).join("kit.wasm");
        std::fs::copy(super::container::built("kit.p1.wasm"), to).unwrap();
    };
    place("opt/bin");
    place("work");
    container.spec.process.env = vec!["PATH=/bin:/opt/bin".into()];
    assert_eq!(container.run().stdout(), "hello from wasm32\n");
    container.spec.process.env = vec!["PATH=/bin".into()];
    let error = container.start().map(|_| ()).unwrap_err();
    assert_eq!(error.exit_code(), 127);
    assert!(hint(&error).contains("/bin/kit.wasm, /kit.wasm"), "{}", hint(&error));
    container.spec.process.cwd = "/work".into();
    assert_eq!(container.run().stdout(), "hello from wasm32\n");
    container.spec.process.entrypoint[0] = "../opt/bin/kit.wasm".into();
    assert_eq!(container.run().stdout(), "hello from wasm32\n");
}

fn hint(error: &knarr_runtime::engine::wasm::Error) -> String {
    Hint::hint(error).unwrap_or_default()
}

fn what_cannot_run() {
    let container = Container::empty(&["/thing"]);
    let path = container.rootfs().join("thing");
    let failure = || container.start().map(|_| ()).unwrap_err();
    assert_eq!(failure().exit_code(), 127);
    for (content, says) in [
        (&b"\x7fELF\x02\x01\x01\0more"[..], "an ELF program"),
        (b"#!/bin/sh\n", "a script"),
        (b"", "an empty file"),
        (b"\0asm\x01\0\0\0broken", "not a valid WebAssembly module"),
        (b"\0asm\x07\0\0\0", "unknown version"),
    ] {
        std::fs::write(&path, content).unwrap();
        let error = failure();
        assert_eq!(error.exit_code(), 126, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    // machine code from elsewhere is never trusted
    let engine = wasmtime::Engine::default();
    std::fs::write(&path, engine.precompile_module(b"(module)").unwrap()).unwrap();
    let error = failure();
    assert_eq!(error.exit_code(), 126);
    assert!(error.to_string().contains("cannot be trusted"), "{error}");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert_eq!(failure().exit_code(), 126);
    assert_eq!(Container::empty(&[]).start().map(|_| ()).unwrap_err().exit_code(), 125);
}

fn missing_imports() {
    let module = |import: &str| {
        let module = format!("(module (import {import} (func)) (func (export \"_start\")))");
        text(&module, &[]).start().map(|_| ()).unwrap_err()
    };
    let error = module("\"env\" \"emscripten_sleep\"");
    assert_eq!(error.exit_code(), 126);
    assert!(error.to_string().contains("env::emscripten_sleep"), "{error}");
    assert!(hint(&error).contains("Emscripten"), "{}", hint(&error));
    let error = module("\"wasi_snapshot_preview1\" \"fd_wirte\"");
    assert!(hint(&error).contains("fd_write"), "{}", hint(&error));
    // there, but of another type
    let error = module("\"wasi_snapshot_preview1\" \"fd_write\"");
    assert!(format!("{error:?}").contains("fd_write"), "{error:?}");
    let component = r#"(component
        (import "wasi:keyvalue/store@0.2.0" (instance (export "get" (func))))
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func (export "f") (canon lift (core func $i "f"))))"#;
    let mut container = text(component, &[]);
    container.spec.process.entrypoint[0] = "/app.wasm#f".into();
    let error = container.start().map(|_| ()).unwrap_err();
    assert_eq!(error.exit_code(), 126);
    assert!(format!("{error:?}").contains("wasi:keyvalue/store@0.2.0"), "{error:?}");
}

fn guests() {
    let script = super::container::built("../build.sh");
    let check = std::process::Command::new("bash").arg(script).arg("--check").output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}

fn hello() {
    let mut container = Container::with("hello.wasm", &["you"]);
    container.spec.process.env = vec!["GREETING=Ahoy".into()];
    let out = container.run().stdout();
    assert!(
        out.starts_with(
            "Ahoy from Knarr! You are running the wasi/wasm variant.\nArguments: you\n"
        ),
        "{out}"
    );
}
