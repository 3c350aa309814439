//! Large projects, and many at once.

use super::Project;
use std::fmt::Write;
use std::process::Stdio;

#[test]
fn fifty_services_that_need_each_other() {
    let mut file = String::from("services:\n");
    for number in 0..50 {
        let service = "image: busybox, command: sleep 1000, stop_grace_period: 0s";
        let mut needs: Vec<String> = [number / 2, number / 3].map(|n| format!("s{n}")).to_vec();
        needs.dedup();
        needs.retain(|_| number > 0);
        let needs = needs.join(", ");
        writeln!(file, "  s{number}: {{ {service}, depends_on: [{needs}] }}").unwrap();
    }
    let project = Project::new(&file);
    project.ok(&["up", "-d"]);
    assert_eq!(project.ok(&["ps", "-q"]).lines().count(), 50);
    // each has begun after what it needs
    let begun =
        |number: usize| project.0.inspect(&format!("app-s{number}-1"), "{{.State.StartedAt}}");
    for number in [1, 7, 20, 49] {
        assert!(begun(number / 2) < begun(number), "s{number}");
    }
    assert_eq!(project.ok(&["--dry-run", "up", "-d"]), "");
    project.ok(&["down"]);
    assert_eq!(project.left(), "");
}

#[test]
fn twenty_projects_at_once() {
    let project = Project::new(
        "services:\n  native: { image: busybox, command: sleep 1000, stop_grace_period: 0s, depends_on: [web] }\n  \
         web: { image: web }\n",
    );
    let names: Vec<String> = (0..20).map(|number| format!("p{number}")).collect();
    let all = |words: &[&str]| {
        let begun: Vec<_> = names
            .iter()
            .map(|name| {
                let line = [&["compose", "--progress", "quiet", "-p", name], words].concat();
                let mut command = project.0.command(&line);
                command.current_dir(project.folder()).stdout(Stdio::null());
                command.spawn().unwrap()
            })
            .collect();
        for mut child in begun {
            assert!(child.wait().unwrap().success(), "{words:?}");
        }
    };
    all(&["up", "-d"]);
    for name in &names {
        let running = project.ok(&["-p", name, "ps", "--services", "--status", "running"]);
        assert_eq!(running, "native\nweb", "{name}");
        let ask = ["-p", name, "exec", "-T", "native", "wget", "-qO-", "http://web/"];
        crate::harness::proc::until("the neighbour answers", || {
            project.run(&ask).stdout.contains("hello")
        });
    }
    assert_eq!(project.ok(&["ls", "-q"]).lines().count(), 20);
    all(&["down"]);
    assert_eq!(project.left(), "");
}
