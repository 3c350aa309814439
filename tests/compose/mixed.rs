//! Native and Wasm services of one project: a front, three of a Wasm service that asks two stores by name, and a worker.

use super::Project;
use crate::harness::proc::{Process, until};
use crate::harness::{Knarr, NewUser};
use crate::publish::get;

fn file() -> String {
    let native = |name: &str, script: &str, more: &str| {
        format!(
            "  {name}: {{ image: busybox, stop_grace_period: 0s{more}, command: [sh, -c, \"{script}\"] }}\n"
        )
    };
    let store = |name: &str| {
        let script =
            format!("mkdir /www; echo of-{name} > /www/index.html; exec httpd -f -p 80 -h /www");
        native(name, &script, "")
    };
    let front = "mkdir -p /www/cgi-bin; cd /www/cgi-bin; echo '#!/bin/sh' > api; echo 'echo; wget -qO- http://web/' >> api; \
         chmod 755 api; exec httpd -f -p 80 -h /www";
    [
        "services:\n".to_owned(),
        native("front", front, ", ports: ['127.0.0.1::80'], depends_on: [web]"),
        "  web: { image: web, restart: always, depends_on: [db, cache] }\n".to_owned(),
        store("db"),
        store("cache"),
        native("worker", "sleep 1000", ", depends_on: [web]"),
    ]
    .concat()
}

fn answers_and_comes_back(project: &Project, ask_front: impl Fn(&str) -> Option<String>) {
    project.ok(&["up", "-d", "--scale", "web=3"]);
    let front = project.ok(&["port", "front", "80"]);
    until("the front asks the Wasm service", || {
        ask_front(&front).is_some_and(|answer| answer.contains("hello"))
    });
    let asked = |number: u32, store: &str| {
        let template = "{{(index .NetworkSettings.Networks \"app_default\").IPAddress}}";
        let address = project.0.inspect(&format!("app-web-{number}"), template);
        let url = format!("http://{address}/fetch?url=http://{store}/");
        project.run(&["exec", "-T", "worker", "wget", "-qO-", &url]).stdout
    };
    let all_answer = || {
        for (number, store) in (1..=3).flat_map(|number| [(number, "db"), (number, "cache")]) {
            until("each asks both stores", || {
                asked(number, store).contains(&format!("of-{store}"))
            });
        }
    };
    all_answer();
    let pid = || project.0.inspect("app-web-2", "{{.State.Pid}}").parse::<i32>().unwrap();
    let before = pid();
    Process::open(before).unwrap().kill();
    until("it is there again", || ![0, before].contains(&pid()));
    all_answer();
    let ask = ["exec", "-T", "worker", "wget", "-qO-", "http://web/"];
    assert!(project.ok(&ask).contains("hello"));
    project.ok(&["down", "-v"]);
    assert_eq!(project.left(), "");
}

#[test]
fn three_of_a_wasm_service_answer_and_one_that_is_killed_comes_back() {
    let project = Project::new(&file());
    answers_and_comes_back(&project, |address| get(address, "/cgi-bin/api"));
}

#[test]
fn the_same_of_an_ordinary_user() {
    let user = NewUser::new();
    let knarr = Knarr::of_user(user.0.clone()).on_host_with(&["pasta"]);
    let project = Project::on(knarr, &file());
    answers_and_comes_back(&project, |address| {
        project.0.host().inside(|| get(address, "/cgi-bin/api"))
    });
}

#[test]
fn a_project_of_wasm_alone_needs_no_bridge() {
    let project = Project::new(
        "services:\n  a: { image: web, ports: ['127.0.0.1::80'], depends_on: [b] }\n  b: { image: web }\n\
         networks: { default: { driver: loopback } }\n",
    );
    project.ok(&["up", "-d"]);
    let address = project.ok(&["port", "a", "80"]);
    until("they find each other", || {
        get(&address, "/fetch?url=http://b/").is_some_and(|answer| answer.contains("hello"))
    });
    assert_eq!(
        project.0.ok(&["network", "inspect", "-f", "{{.Driver}}", "app_default"]),
        "loopback"
    );
    project.ok(&["down"]);
    assert_eq!(project.left(), "");
}
