//! Wasm servers: how often an instance answers, and what they may hold.

use crate::harness::Knarr;
use crate::harness::image::Tar;
use crate::harness::proc::until;
use crate::publish::{get, server};

const TEMPLATE: &str = "{{.Knarr.InstanceRequests}}";

/// What the instance says, request after request, of how many it has met.
fn counts(knarr: &Knarr, id: &str) -> Vec<String> {
    let address = knarr.ok(&["port", id, "8080/tcp"]);
    let count = |_| {
        let answer = get(&address, "/count").unwrap();
        answer.rsplit("\r\n\r\n").next().unwrap().trim().to_owned()
    };
    (0..4).map(count).collect()
}

#[test]
fn an_instance_answers_as_often_as_option_or_label_say() {
    let knarr = server("odd.p2.wasm", "LABEL knarr.wasm.instance-requests=2");
    let one_processor = ["run", "-d", "--cpus", "1", "-p", "127.0.0.1::8080"];
    let cases: [(&[&str], &str, [&str; 4]); 6] = [
        (&[], "2", ["1", "2", "1", "2"]),
        (&["--wasm-instance-requests", "3"], "3", ["1", "2", "3", "1"]),
        (&["--wasm-instance-requests=unlimited"], "unlimited", ["1", "2", "3", "4"]),
        (&["--wasm-isolate-requests"], "1", ["1", "1", "1", "1"]),
        (&["--label", "knarr.wasm.instance-requests=1"], "1", ["1", "1", "1", "1"]),
        (&["--label", "knarr.wasm.instance-requests=1000"], "1000", ["1", "2", "3", "4"]),
    ];
    for (options, shown, answers) in cases {
        let id = knarr.ok(&[&one_processor, options, &["server"]].concat());
        assert_eq!(knarr.inspect(&id, TEMPLATE), shown, "{options:?}");
        assert_eq!(counts(&knarr, &id), answers, "{options:?}");
        knarr.ok(&["rm", "-f", &id]);
    }
    for wrong in ["0", "-1", "many", ""] {
        let option = format!("--wasm-instance-requests={wrong}");
        let said = knarr.fails(125, &["run", "--rm", &option, "server"]);
        assert!(said.contains("unlimited"), "{wrong}: {said}");
        let label = format!("knarr.wasm.instance-requests={wrong}");
        let said = knarr.fails(125, &["run", "--rm", "--label", &label, "server"]);
        assert!(said.contains("knarr.wasm.instance-requests"), "{wrong}: {said}");
    }
    let both = ["--wasm-isolate-requests", "--wasm-instance-requests=2"];
    knarr.fails(1, &[&["run", "--rm"], &both[..], &["server"]].concat());
}

#[test]
fn without_a_word_an_instance_answers_a_thousand_requests() {
    let knarr = server("odd.p2.wasm", "EXPOSE 8080");
    let id = knarr.ok(&["create", "server"]);
    assert_eq!(knarr.inspect(&id, TEMPLATE), "1000");
}

/// A program that lets a table grow until it is refused.
const STARVES: &str = r#"(module (table $t 0 funcref)
    (func (export "_start") (loop $more
        (if (i32.eq (table.grow $t (ref.null func) (i32.const 100000)) (i32.const -1))
            (then unreachable))
        (br $more))))"#;

#[test]
fn a_wasm_container_without_memory_is_said_to_be_so() {
    let knarr = Knarr::new();
    let mut tar = Tar::new();
    tar.file("starves.wat", 0o755, STARVES.as_bytes());
    knarr.import("starves", "wasi/wasm", &[r#"ENTRYPOINT ["/starves.wat"]"#], &tar.finish());
    knarr.run(&["run", "--name", "starved", "--memory", "32m", "starves"]).code(137);
    assert_eq!(knarr.inspect("starved", "{{.State.OOMKilled}} {{.State.ExitCode}}"), "true 137");
    let shown = knarr.ok(&["ps", "-a", "--format", "{{.Status}}"]);
    assert!(shown.starts_with("Exited (137)"), "{shown}");
    // one that was killed for another reason is not
    let knarr = knarr.with_kit();
    let id = knarr.ok(&["run", "-d", "--memory", "64m", "kit", "log", "100000", "10"]);
    knarr.ok(&["kill", &id]);
    assert_eq!(knarr.ok(&["wait", &id]), "137");
    assert_eq!(knarr.inspect(&id, "{{.State.OOMKilled}}"), "false");
}

/// The second line: the container's cgroup, where there is one.
#[test]
fn the_kernel_bounds_a_wasm_container_as_well() {
    let knarr = server("odd.p2.wasm", "EXPOSE 8080");
    let id = knarr.ok(&["run", "-d", "--memory", "48m", "-p", "127.0.0.1::8080", "server"]);
    let cgroups = std::collections::BTreeSet::from([id.clone()]);
    let limit = || {
        crate::harness::proc::cgroups_of(&cgroups).iter().find_map(|path| {
            ["memory.max", "memory.limit_in_bytes"]
                .iter()
                .find_map(|name| std::fs::read_to_string(path.join(name)).ok())
        })
    };
    until("there is a limit", || limit().is_some_and(|limit| limit.trim() != "max"));
    let limit: u64 = limit().unwrap().trim().parse().unwrap();
    assert!(limit > 48 << 20 && limit <= 96 << 20, "{limit}");
    assert!(get(&knarr.ok(&["port", &id, "8080/tcp"]), "/count").is_some());
}
