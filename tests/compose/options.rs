//! The options of the verbs of `compose`.

use super::Project;
use crate::harness::proc::until;
use crate::harness::{Knarr, NewUser};

const TWO: &str = r#"
services:
  app:
    image: busybox
    command: sh -c 'echo of-app; exec sleep 1000'
    stop_grace_period: 0s
    volumes: [/kept]
    depends_on: [db]
  db:
    image: busybox
    command: sh -c 'echo of-db; exec sleep 1000'
    stop_grace_period: 0s
    expose: ["53/udp"]
    ports: ["127.0.0.1::53/udp"]
"#;

fn renewed(before: &[(String, String)], after: &[(String, String)]) -> Vec<bool> {
    before.iter().zip(after).map(|(before, after)| before != after).collect()
}

#[test]
fn what_up_makes_anew() {
    let project = Project::new(TWO);
    project.ok(&["--parallel", "1", "up", "--no-start", "--quiet-pull", "--quiet-build"]);
    assert!(project.ok(&["ps", "-q"]).is_empty());
    project.ok(&["up", "-d", "--no-build"]);
    project.ok(&["exec", "app", "touch", "/kept/file"]);
    let kept = || project.run(&["exec", "-T", "app", "ls", "/kept"]).stdout;
    for (options, expected) in [
        (&["--no-recreate"][..], [false, false]),
        (&["--force-recreate"], [true, true]),
        (&["--always-recreate-deps", "app"], [false, true]),
        (&["--force-recreate", "--no-deps", "app"], [true, false]),
    ] {
        let before = project.ids();
        project.ok(&[&["up", "-d"], options].concat());
        assert_eq!(renewed(&before, &project.ids()), expected, "{options:?}");
        assert_eq!(kept(), "file\n", "{options:?}: its anonymous volume is another one");
    }
    project.ok(&["up", "-d", "--force-recreate", "--renew-anon-volumes", "app"]);
    assert_eq!(kept(), "");
    let before = project.ids();
    project.ok(&["create", "--no-recreate", "--no-build", "--quiet-pull"]);
    assert_eq!(renewed(&before, &project.ids()), [false, false]);
    project.ok(&["create", "--force-recreate"]);
    assert_eq!(renewed(&before, &project.ids()), [true, true]);
    project.ok(&["down", "-v"]);
    assert_eq!(project.left(), "");
}

#[test]
fn what_up_shows_and_when_it_ends() {
    let project = Project::new(
        "services:\n  good: { image: busybox, command: echo of-good }\n  \
         bad: { image: busybox, command: sh -c 'echo of-bad; exit 3', depends_on: { good: { condition: service_completed_successfully } } }\n  \
         long: { image: busybox, command: sleep 1000, stop_grace_period: 0s }\n",
    );
    let failing = ["up", "--abort-on-container-failure", "--menu", "--no-color"];
    let shown = |options: &[&str]| {
        let ended = project.run(&[&failing[..], options].concat()).code(3);
        assert!(project.0.ok(&["ps", "-q"]).is_empty());
        (ended.stdout.contains("of-good"), ended.stdout.contains("of-bad"), ended.stdout)
    };
    let (good, bad, _) = shown(&["--attach", "good"]);
    assert_eq!((good, bad), (true, false));
    let (good, bad, _) = shown(&["--no-attach", "good"]);
    assert_eq!((good, bad), (false, true));
    let (good, bad, _) = shown(&["bad", "long"]);
    assert_eq!((good, bad), (false, true));
    let (good, bad, text) = shown(&["--attach-dependencies", "--timestamps", "bad", "long"]);
    assert_eq!((good, bad), (true, true));
    let stamped = text.lines().filter(|line| line.contains("  | 20") && line.contains("Z of-"));
    assert_eq!(stamped.count(), 2, "{text}");
    let first = project.run(&["up", "--abort-on-container-exit", "good", "long"]).code(0);
    assert!(first.stderr.contains("app-good-1 exited with code 0"), "{}", first.stderr);
    project.ok(&["down"]);
}

#[test]
fn one_of_several_containers() {
    let project = Project::new(TWO);
    project.ok(&["up", "-d", "--scale", "db=2"]);
    let second = project.0.inspect("app-db-2", "{{.Id}}");
    let name = project.ok(&["exec", "-T", "--index", "2", "db", "hostname"]);
    assert_eq!(name, second[..12]);
    project.write("file", "text");
    project.ok(&["cp", "--index", "2", "file", "db:/only"]);
    assert!(project.ok(&["exec", "-T", "--index=2", "db", "ls", "/"]).contains("only"));
    assert!(!project.ok(&["exec", "-T", "--index=1", "db", "ls", "/"]).contains("only"));
    let lines = project.ok(&["logs", "--index", "2", "--no-color", "db"]);
    assert_eq!(lines, "app-db-2  | of-db");
    let port = project.ok(&["port", "--index", "2", "--protocol", "udp", "db", "53"]);
    assert_eq!(port, project.0.ok(&["port", "app-db-2", "53/udp"]));
    project.ok(&["export", "--index", "2", "-o", "db.tar", "db"]);
    let listed = std::fs::read(project.folder().join("db.tar")).unwrap();
    assert!(
        tar::Archive::new(&listed[..])
            .entries()
            .unwrap()
            .any(|entry| { entry.unwrap().path().unwrap().to_str() == Some("only") })
    );
    let said = project.fails(&["exec", "--index", "7", "db", "true"]);
    assert!(said.contains("is not running"), "{said}");
    let said = project.fails(&["attach", "--index", "7", "db"]);
    assert!(said.contains("is not running"), "{said}");
    project.ok(&["down", "-v"]);
}

#[test]
fn runs_have_their_own_options() {
    let project = Project::new(TWO);
    project.write("variables", "FROM_FILE=yes\n");
    let once = ["run", "--rm", "-T", "--no-deps", "--quiet-pull", "--quiet-build"];
    let script = ["app", "sh", "-c", "echo $FROM_FILE; wget -q http://app:1/ 2>&1 | grep -c bad"];
    let said = project.run(&[&once, &["--env-from-file", "variables"][..], &script].concat());
    assert_eq!(said.stdout, "yes\n1\n", "nobody is called app");
    let said = project.run(&[&once, &["--use-aliases"][..], &script].concat());
    assert_eq!(said.stdout, "\n0\n", "it is called app itself");
    project.ok(&["down", "-v"]);
}

#[test]
fn pull_push_build_and_wait() {
    let project = Project::new(
        "services:\n  a: { image: 127.0.0.1:1/none, depends_on: [b] }\n  b: { build: ., image: 127.0.0.1:1/built }\n  \
         short: { image: busybox, command: sh -c 'exit 4' }\n",
    );
    project.write("Dockerfile", "FROM busybox\n");
    project.ok(&["build", "--builder", "default", "--with-dependencies", "a"]);
    assert!(project.0.ok(&["images", "--format", "{{.Repository}}"]).contains("127.0.0.1:1/built"));
    let said = project.fails(&["pull", "--policy", "missing", "a"]);
    assert!(said.contains("the service a has no image"), "{said}");
    let options = ["pull", "--ignore-pull-failures", "--ignore-buildable", "--include-deps", "a"];
    let said = project.run(&options).code(0).stderr;
    assert!(said.contains("127.0.0.1:1/none") && !said.contains("built"), "{said}");
    assert_ne!(project.run(&["push", "b"]).code, 0);
    let said = project.run(&["push", "--ignore-push-failures", "--include-deps", "a"]).code(0);
    assert!(said.stderr.contains("warning: "), "{}", said.stderr);
    project.ok(&["up", "-d", "short"]);
    project.run(&["wait", "--down-project", "short"]).code(4);
    until("the project is gone", || project.left().is_empty());
}

#[test]
fn orphans_are_listed_unless_they_are_not_wanted() {
    let project = Project::new(TWO);
    project.ok(&["up", "-d"]);
    project.write("compose.yaml", "services: { db: { image: busybox } }");
    assert_eq!(project.ok(&["ps", "--services"]), "app\ndb");
    assert_eq!(project.ok(&["ps", "--services", "--orphans=false"]), "db");
    project.ok(&["down", "--remove-orphans", "-v"]);
}

#[test]
fn what_is_named_is_whole_and_what_is_not_stays() {
    let project = Project::new(
        r"
services:
  web: {image: busybox, command: sleep 1000, depends_on: [db]}
  db: {image: busybox, command: sleep 1000}
  job: {image: busybox, profiles: [jobs], env_file: job.env, command: env}
",
    );
    project.write("job.env", "JOB=done\n");
    assert!(project.ok(&["run", "--rm", "job"]).contains("JOB=done"));
    project.ok(&["up", "-d"]);
    let before = project.ids();
    let said = project.run(&["up", "-d", "--no-deps", "--remove-orphans", "web"]).code(0).stderr;
    assert!(!said.contains("no longer has"), "{said}");
    assert_eq!(project.ids(), before);
}

#[test]
fn hooks_run_after_the_start_and_before_the_end() {
    let user = NewUser::new();
    for knarr in [Knarr::new(), Knarr::of_user(user.0.clone())] {
        let project = Project::on(
            knarr,
            r#"
services:
  web:
    image: busybox
    command: sleep 1000
    stop_grace_period: 0s
    volumes: [data:/data]
    post_start: [{command: [sh, -c, "echo $$A > /data/began"], environment: [A=b]}]
    pre_stop: [{command: touch /data/ending}]
volumes:
  data:
"#,
        );
        project.ok(&["up", "-d"]);
        assert_eq!(project.ok(&["exec", "-T", "web", "cat", "/data/began"]), "b");
        project.ok(&["stop"]);
        let run = ["run", "--rm", "-v", "app_data:/data", "busybox", "ls", "/data"];
        assert_eq!(project.0.ok(&run), "began\nending");
        project.ok(&["down", "-v"]);
    }
}

#[test]
fn a_mount_has_an_absolute_target() {
    for volume in ["v:/data", "{type: tmpfs, target: rel}"] {
        let text = format!("services: {{web: {{image: busybox, volumes: [{volume}]}}}}\n");
        let project = Project::new(&text);
        let said = project.run(&["up", "-d"]).stderr;
        assert!(said.contains("not an absolute path"), "{volume}: {said}");
        assert!(project.names().is_empty());
    }
}
