//! A command that is killed, or that cannot do one of its steps: what is good stays, and the next one goes on from there.

use super::{MIXED, Project};
use crate::harness::Knarr;
use crate::harness::proc::until;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Starts a command, kills it with its `lines`th line about what it does, and says whether there was such a line.
fn killed_at(project: &Project, lines: usize, words: &[&str]) -> bool {
    let words = project.words(&[&["--progress", "json"], words].concat());
    let mut command = project.0.command(&words);
    command.current_dir(project.folder()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    let reached = said.nth(lines).is_some();
    child.kill().unwrap();
    child.wait().unwrap();
    reached
}

/// The interfaces of the host that a project's commands see.
fn links(project: &Project) -> String {
    let list = || Command::new("ip").args(["-br", "link"]).output().unwrap();
    String::from_utf8(project.0.host().inside(list).stdout).unwrap()
}

#[test]
fn up_and_down_may_be_killed_at_each_step() {
    let project = Project::on(Knarr::new().on_host_with(&[]), MIXED);
    // a listing of networks makes the default one
    assert_eq!(project.left(), "");
    let before = links(&project);
    let all = ["app-db-1", "app-web-1", "app-worker-1"];
    let mut round = 0;
    loop {
        let up = killed_at(&project, round, &["up", "-d"]);
        // half of them are taken down as they are
        if round % 2 == 0 {
            project.ok(&["up", "-d"]);
            assert_eq!(project.names(), all, "killed at line {round}");
            let running = project.ok(&["ps", "--status", "running", "--services"]);
            assert_eq!(running, "db\nweb\nworker", "killed at line {round}");
            assert_eq!(project.ok(&["--dry-run", "up", "-d"]), "", "killed at line {round}");
        }
        let down = killed_at(&project, round, &["down", "-v"]);
        project.ok(&["down", "-v"]);
        assert_eq!(project.left(), "", "killed at line {round}");
        assert_eq!(links(&project), before, "killed at line {round}");
        if !up && !down {
            break;
        }
        round += 1;
    }
    assert!(round > 8, "only {round} lines");
}

#[test]
fn a_replacement_may_be_killed_at_each_step() {
    let file = |value: usize| MIXED.replace("A: \"1\"", &format!("A: \"{value}\""));
    let project = Project::new(&file(0));
    project.ok(&["up", "-d"]);
    project.ok(&["exec", "-T", "worker", "sh", "-c", "echo kept > /data/file"]);
    for round in 0.. {
        let same = project.0.inspect("app-db-1", "{{.State.Pid}}");
        let value = round + 1;
        project.write("compose.yaml", &file(value));
        let reached = killed_at(&project, round, &["up", "-d"]);
        project.ok(&["up", "-d"]);
        assert_eq!(project.names(), ["app-db-1", "app-web-1", "app-worker-1"]);
        let told = project.ok(&["exec", "-T", "worker", "sh", "-c", "echo $A; cat /data/file"]);
        assert_eq!(told, format!("{value}\nkept"));
        assert_eq!(project.0.inspect("app-db-1", "{{.State.Pid}}"), same);
        if !reached {
            break;
        }
    }
    project.ok(&["down", "-v"]);
    assert_eq!(project.left(), "");
}

#[test]
fn a_step_that_cannot_be_done_is_named_and_what_is_good_stays() {
    let service = "image: busybox, command: sleep 1000, stop_grace_period: 0s";
    let good = format!(
        "services:\n  a: {{ {service} }}\n  b: {{ {service}, depends_on: [a], networks: [own, default], volumes: ['data:/d'] }}\n\
         volumes: {{ data: {{}} }}\nnetworks: {{ own: {{}} }}\n"
    );
    for (wrong, expected) in [
        (good.replace("own: {}", "own: { driver: nope }"), "cannot create network app_own"),
        (good.replace("data: {}", "data: { driver: nope }"), "cannot create volume app_data"),
        (good.replace("depends_on", "user: nobody-knows, depends_on"), "app-b-1"),
        (good.replace("depends_on", "entrypoint: /nope, depends_on"), "cannot start app-b-1"),
        (
            good.replace("depends_on", "post_start: [{ command: 'false' }], depends_on"),
            "cannot start app-b-1",
        ),
    ] {
        let project = Project::new(&good);
        project.ok(&["up", "-d", "a"]);
        let same = project.0.inspect("app-a-1", "{{.State.Pid}}");
        project.write("compose.yaml", &wrong);
        let said = project.fails(&["up", "-d"]);
        assert!(said.contains(expected), "{wrong}: {said}");
        assert_eq!(project.0.inspect("app-a-1", "{{.State.Pid}}"), same, "{wrong}");
        project.write("compose.yaml", &good);
        project.ok(&["up", "-d"]);
        assert_eq!(project.0.inspect("app-a-1", "{{.State.Pid}}"), same, "{wrong}");
        assert_eq!(project.ok(&["ps", "--status", "running", "--services"]), "a\nb", "{wrong}");
        project.ok(&["down", "-v"]);
        assert_eq!(project.left(), "", "{wrong}");
    }
}

#[test]
fn what_was_taken_off_its_network_is_on_it_again() {
    let project = Project::new(MIXED);
    project.ok(&["up", "-d"]);
    let before = project.ids();
    project.0.ok(&["network", "disconnect", "app_default", "app-db-1"]);
    project.ok(&["up", "-d"]);
    until("they find each other", || {
        let ask = ["exec", "-T", "worker", "wget", "-qO-", "http://db/"];
        project.run(&ask).stdout.contains("of-the-database")
    });
    let after = project.ids();
    assert_eq!((after[0] == before[0], &after[1..]), (false, &before[1..]));
    project.ok(&["down", "-v"]);
    assert_eq!(project.left(), "");
}
