//! Projects of compose files: what there is on the machine after each command.

mod faults;
mod many;
mod mixed;
mod options;
mod watch;

use crate::harness::image::{Tar, guest};
use crate::harness::proc::until;
use crate::harness::{Ended, Knarr, NewUser};
use crate::publish::get;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A folder `app` with a compose file, and images: busybox, and `web`, a Wasm server that asks others for its clients.
struct Project(Knarr);

impl Project {
    fn new(file: &str) -> Self {
        Self::on(Knarr::new(), file)
    }

    fn on(knarr: Knarr, file: &str) -> Self {
        let knarr = knarr.with_busybox();
        let mut tar = Tar::new();
        tar.file("app.wasm", 0o755, &guest("httpd.p2.wasm"));
        knarr.import(
            "web",
            "wasi/wasm",
            &[r#"ENTRYPOINT ["/app.wasm"]"#, "EXPOSE 80"],
            &tar.finish(),
        );
        std::fs::create_dir(knarr.files().join("app")).unwrap();
        std::fs::set_permissions(knarr.files().join("app"), PermissionsExt::from_mode(0o777))
            .unwrap();
        let project = Self(knarr);
        project.write("compose.yaml", file);
        project
    }

    fn folder(&self) -> std::path::PathBuf {
        self.0.files().join("app")
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder().join(name), text).unwrap();
    }

    #[track_caller]
    fn run(&self, words: &[&str]) -> Ended {
        self.0.run_with(&self.words(words), |command| {
            command.current_dir(self.folder());
        })
    }

    /// The command with what it is about.
    fn words(&self, words: &[&str]) -> Vec<String> {
        let folder = self.folder();
        let mut all = vec!["compose".to_owned()];
        // the way to another user and to another host leads through the root directory
        if self.0.is_apart() {
            all.push(format!("--project-directory={}", folder.display()));
            all.push(format!("--file={}", folder.join("compose.yaml").display()));
        }
        all.extend(words.iter().copied().map(str::to_owned));
        all
    }

    #[track_caller]
    fn ok(&self, words: &[&str]) -> String {
        self.run(words).ok()
    }

    /// What it says on standard error when it fails.
    #[track_caller]
    fn fails(&self, words: &[&str]) -> String {
        self.run(words).error(1)
    }

    /// The ids of all containers of the project, by name.
    fn ids(&self) -> Vec<(String, String)> {
        let listed = self.0.ok(&["ps", "-a", "--no-trunc", "--format", "{{.Names}} {{.ID}}"]);
        let mut all: Vec<_> = listed
            .lines()
            .map(|line| line.split_once(' ').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap())
            .collect();
        all.sort();
        all
    }

    fn names(&self) -> Vec<String> {
        self.ids().into_iter().map(|(name, _)| name).collect()
    }

    /// The containers, networks and volumes that carry a project's label.
    fn left(&self) -> String {
        let label = "label=com.docker.compose.project";
        let containers = self.0.ok(&["ps", "-aq", "-f", label]);
        let networks = self.0.ok(&["network", "ls", "-q", "-f", label]);
        let volumes = self.0.ok(&["volume", "ls", "-q", "-f", label]);
        format!("{containers}{networks}{volumes}")
    }
}

const MIXED: &str = r#"
services:
  worker:
    image: busybox
    command: sh -c 'while ! nc web 80 < /dev/null; do :; done; sleep 1000'
    environment: { A: "1" }
    volumes: ["data:/data"]
    stop_grace_period: 0s
    depends_on: [db, web]
  web:
    image: web
    ports: ["127.0.0.1::80"]
    depends_on: { db: { condition: service_started } }
  db:
    image: busybox
    command: sh -c 'mkdir /www; echo of-the-database > /www/index.html; exec httpd -f -p 80 -h /www'
    stop_grace_period: 0s
    networks: { default: { aliases: [store] } }
volumes:
  data:
"#;

#[test]
fn wasm_and_native_services_find_each_other() {
    let project = Project::new(MIXED);
    project.ok(&["up", "-d"]);
    assert_eq!(project.names(), ["app-db-1", "app-web-1", "app-worker-1"]);
    // the Wasm one asks a native one by both of its names, for a client outside
    let address = project.ok(&["port", "web", "80"]);
    for name in ["db", "store"] {
        until("it answers", || {
            let answer = get(&address, &format!("/fetch?url=http://{name}/"));
            answer.is_some_and(|answer| answer.contains("of-the-database"))
        });
    }
    // and a native one the Wasm one
    let ask = ["exec", "-T", "worker", "wget", "-qO-", "http://web/"];
    assert!(project.ok(&ask).contains("hello"), "{}", project.ok(&ask));
    let labels = |label: &str| {
        let template = format!("{{{{index .Config.Labels \"com.docker.compose.{label}\"}}}}");
        project.0.inspect("app-web-1", &template)
    };
    assert_eq!(labels("project"), "app");
    assert_eq!(labels("service"), "web");
    assert_eq!(labels("container-number"), "1");
    assert_eq!(labels("oneoff"), "False");
    assert_eq!(labels("depends_on"), "db:service_started:false");
    assert_eq!(
        labels("project.config_files"),
        project.folder().join("compose.yaml").to_str().unwrap()
    );
    assert_eq!(labels("image"), project.0.inspect("app-web-1", "{{.Image}}"));
    project.ok(&["down", "-v"]);
    assert_eq!(project.left(), "");
}

#[test]
fn only_what_changed_is_made_anew() {
    let project = Project::new(MIXED);
    project.ok(&["up", "-d"]);
    let before = project.ids();
    assert_eq!(project.ok(&["--dry-run", "up", "-d"]), "");
    project.ok(&["up", "-d"]);
    assert_eq!(project.ids(), before);
    project.ok(&["exec", "-T", "worker", "sh", "-c", "echo kept > /data/file"]);
    project.write("compose.yaml", &MIXED.replace("A: \"1\"", "A: \"2\""));
    let plan = project.ok(&["--dry-run", "up", "-d"]);
    assert!(plan.contains("for app-worker-1") && !plan.contains("app-db-1"), "{plan}");
    project.ok(&["up", "-d"]);
    let after = project.ids();
    let same: Vec<bool> = before.iter().zip(&after).map(|(a, b)| a == b).collect();
    assert_eq!(
        (same, project.names()),
        (vec![true, true, false], before.iter().map(|(n, _)| n.clone()).collect())
    );
    assert_eq!(
        project.ok(&["exec", "-T", "worker", "sh", "-c", "echo $A; cat /data/file"]),
        "2\nkept"
    );
    // data outlives the containers
    project.ok(&["down"]);
    project.ok(&["up", "-d"]);
    assert_eq!(project.ok(&["exec", "-T", "worker", "cat", "/data/file"]), "kept");
    project.ok(&["down", "--volumes"]);
    assert_eq!(project.left(), "");
}

#[test]
fn services_scale() {
    let project = Project::new("services: { web: { image: web } }");
    project.ok(&["up", "-d", "--scale", "web=3"]);
    assert_eq!(project.names(), ["app-web-1", "app-web-2", "app-web-3"]);
    let first = project.ids()[0].clone();
    project.ok(&["scale", "web=1"]);
    assert_eq!(project.ids(), [first]);
    project.ok(&["down"]);
    assert_eq!(project.left(), "");
    let said = project.fails(&["up", "-d", "--scale", "nope=1"]);
    assert!(said.contains("nope"), "{said}");
}

#[test]
fn a_service_waits_for_what_it_needs() {
    let file = |code: &str| {
        format!(
            "services:\n  job: {{ image: busybox, command: sh -c 'exit {code}' }}\n  \
             app: {{ image: busybox, command: echo done, depends_on: {{ job: {{ condition: service_completed_successfully }} }} }}\n"
        )
    };
    let project = Project::new(&file("0"));
    project.ok(&["up", "-d"]);
    until("it has run", || project.0.inspect("app-app-1", "{{.State.Status}}") == "exited");
    project.ok(&["down"]);
    project.write("compose.yaml", &file("7"));
    let said = project.fails(&["up", "-d"]);
    assert!(said.contains("job") && said.contains("exited with 7"), "{said}");
    assert_eq!(project.0.inspect("app-app-1", "{{.State.Status}}"), "created");
    project.ok(&["down"]);
}

#[test]
fn healthy_services_are_waited_for() {
    let file = |test: &str| {
        format!(
            "services:\n  db: {{ image: busybox, command: sh -c 'touch /ready; sleep 1000', stop_grace_period: 0s, \
             healthcheck: {{ test: '{test}', interval: 20ms, retries: 50 }} }}\n  \
             app: {{ image: busybox, command: sleep 1000, stop_grace_period: 0s, depends_on: {{ db: {{ condition: service_healthy }} }} }}\n"
        )
    };
    let project = Project::new(&file("test -e /ready"));
    project.ok(&["up", "--wait", "--wait-timeout", "60"]);
    assert_eq!(project.ok(&["ps", "--format", "{{.Service}} {{.Health}}"]), "app \ndb healthy");
    project.ok(&["down"]);
    project.write(
        "compose.yaml",
        &file("echo it is broken; false").replace("retries: 50", "retries: 2"),
    );
    let said = project.fails(&["up", "-d"]);
    assert!(said.contains("app-db-1 is unhealthy") && said.contains("it is broken"), "{said}");
    assert_eq!(project.0.inspect("app-app-1", "{{.State.Status}}"), "created");
    project.ok(&["down"]);
    project.write("compose.yaml", &file("false").replace("retries: 50", "retries: 1000000"));
    let said = project.fails(&["up", "--wait", "--wait-timeout", "1"]);
    assert!(said.contains("took too long"), "{said}");
    project.ok(&["down"]);
}

#[test]
fn in_the_foreground_lines_have_names_and_a_code_comes_back() {
    let project = Project::new(
        "services:\n  a: { image: busybox, command: sh -c 'echo one; exit 3' }\n  \
         long: { image: busybox, command: sleep 1000, stop_grace_period: 0s }\n",
    );
    let ended = project.run(&["up", "--exit-code-from", "a"]).code(3);
    assert!(ended.stdout.contains("app-a-1     | one\n"), "{}", ended.stdout);
    assert!(project.0.ok(&["ps", "-q"]).is_empty());
    let logs = project.ok(&["logs", "--no-log-prefix", "a"]);
    assert_eq!(logs, "one");
    project.ok(&["down"]);
}

#[test]
fn verbs() {
    let project = Project::new(MIXED);
    project.ok(&["create"]);
    let state = || project.ok(&["ps", "-a", "--format", "{{.Service}} {{.State}}"]);
    assert_eq!(state(), "db created\nweb created\nworker created");
    project.ok(&["start"]);
    assert_eq!(state(), "db running\nweb running\nworker running");
    project.ok(&["pause", "db"]);
    assert_eq!(project.ok(&["ps", "--status", "paused", "--services"]), "db");
    project.ok(&["unpause"]);
    let pid = || project.0.inspect("app-db-1", "{{.State.Pid}}");
    let before = pid();
    project.ok(&["restart", "db"]);
    assert_ne!(pid(), before);
    project.ok(&["kill", "-s", "KILL", "db"]);
    until("it has ended", || project.ok(&["ps", "-q", "db"]).is_empty());
    assert_eq!(project.0.inspect("app-db-1", "{{.State.ExitCode}}"), "137");
    let json = project.ok(&["ps", "--format", "json", "worker"]);
    let object: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&object["Service"], &object["State"]), (&"worker".into(), &"running".into()));
    let listed = project.ok(&["ls", "--format", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed[0]["Name"], &listed[0]["Status"]), (&"app".into(), &"running(2)".into()));
    project.write("here", "text\n");
    project.ok(&["cp", "here", "worker:/tmp/there"]);
    assert_eq!(project.ok(&["exec", "-T", "worker", "cat", "/tmp/there"]), "text");
    assert!(project.ok(&["top", "worker"]).contains("sleep 1000"));
    let stats = project.ok(&["stats", "--no-stream", "--format", "{{.Name}}", "worker"]);
    assert_eq!(stats, "app-worker-1");
    assert_eq!(project.ok(&["volumes", "-q"]), "app_data");
    assert!(project.ok(&["images"]).contains("busybox"));
    let once = project.ok(&[
        "run",
        "--rm",
        "-T",
        "--no-deps",
        "-e",
        "B=2",
        "worker",
        "sh",
        "-c",
        "echo $A$B",
    ]);
    assert_eq!(once, "12");
    assert_eq!(
        project.run(&["run", "--rm", "-T", "--no-deps", "worker", "false"]).code(1).stdout,
        ""
    );
    project.ok(&["stop", "-t", "0"]);
    assert!(project.ok(&["ps", "-q"]).is_empty());
    project.ok(&["rm", "-f", "worker"]);
    assert_eq!(project.names(), ["app-db-1", "app-web-1"]);
    project.ok(&["down", "-v"]);
    assert_eq!(project.left(), "");
}

#[test]
fn configs_and_secrets_have_their_owners_and_modes() {
    let project = Project::new(
        r#"
services:
  app:
    image: busybox
    command: sleep 1000
    stop_grace_period: 0s
    configs:
      - plain
      - { source: text, target: /etc/own.conf, uid: "7", gid: "8", mode: 0o440 }
    secrets:
      - from_file
      - { source: from_file, target: owned, uid: "9", gid: "9", mode: 0o400 }
      - from_variable
configs:
  plain: { file: plain.conf }
  text: { content: "hello ${WHO:-nobody}" }
secrets:
  from_file: { file: secret.txt }
  from_variable: { environment: TOKEN }
"#,
    );
    project.write("plain.conf", "plain");
    project.write("secret.txt", "hidden");
    let folder = project.folder();
    project
        .0
        .run_with(&["compose", "up", "-d"], |command| {
            command.current_dir(folder).env("TOKEN", "token").env("WHO", "you");
        })
        .ok();
    let script = "cat /plain; echo; cat /etc/own.conf; echo; cat /run/secrets/from_file; echo; cat /run/secrets/owned; echo;
        cat /run/secrets/from_variable; echo; stat -c %u:%g:%a /etc/own.conf /run/secrets/owned /run/secrets/from_variable";
    let text = project.ok(&["exec", "-T", "app", "sh", "-c", script]);
    assert_eq!(text, "plain\nhello you\nhidden\nhidden\ntoken\n7:8:440\n9:9:400\n0:0:444");
    let inspected = project.0.ok(&["inspect", "app-app-1"]);
    assert!(!inspected.contains("token"), "a secret is shown");
    project.ok(&["down"]);
}

#[test]
fn what_only_knarr_has_is_said_in_the_file() {
    let project = Project::new(
        "services:\n  web:\n    image: web\n    x-knarr: { variant: wasm, outbound: ['db:5432'], instance_requests: 2 }\n",
    );
    project.ok(&["up", "-d"]);
    let shown =
        project.0.inspect("app-web-1", "{{.Knarr.AllowOutbound}} {{.Knarr.InstanceRequests}}");
    assert_eq!(shown, "[db:5432] 2");
    project.ok(&["down"]);
}

#[test]
fn the_image_that_comes_with_the_program_is_there_for_projects_too() {
    let project = Project::new("services: { a: { image: hello } }");
    project.ok(&["up"]);
    assert!(project.ok(&["logs", "a"]).contains("Hello from Knarr!"));
    project.ok(&["down"]);
}

#[test]
fn images_are_built() {
    let project = Project::new(
        "services:\n  app: { build: { context: ., args: { WORD: hi } }, command: cat /word }\n  \
         inline: { build: { dockerfile_inline: \"FROM busybox\\nRUN echo inline > /word\\n\" }, image: mine, command: cat /word }\n",
    );
    project.write("Dockerfile", "FROM busybox\nARG WORD\nRUN echo $WORD > /word\n");
    project.ok(&["up", "-d"]);
    assert_eq!(project.ok(&["logs", "--no-log-prefix", "app"]), "hi");
    assert_eq!(project.ok(&["logs", "--no-log-prefix", "inline"]), "inline");
    let images = project.0.ok(&["images", "--format", "{{.Repository}}"]);
    assert!(
        images.lines().any(|name| name == "app-app") && images.lines().any(|name| name == "mine"),
        "{images}"
    );
    // an image that is another one makes its containers anew
    let before = project.ids();
    project.write("Dockerfile", "FROM busybox\nARG WORD\nRUN echo new > /word\n");
    project.ok(&["up", "-d", "--build"]);
    let after = project.ids();
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1], after[1]);
    project.ok(&["down", "--rmi", "local"]);
    let images = project.0.ok(&["images", "--format", "{{.Repository}}"]);
    assert!(!images.contains("app-app") && images.contains("mine"), "{images}");
}

#[test]
fn what_shares_a_network_follows_it() {
    let file = |word: &str| {
        format!(
            "services:\n  net: {{ image: busybox, command: sleep 1000, stop_grace_period: 0s, environment: [A={word}] }}\n  \
             side: {{ image: busybox, command: sleep 1000, stop_grace_period: 0s, network_mode: 'service:net' }}\n"
        )
    };
    let project = Project::new(&file("1"));
    let same = || {
        let of = |name: &str| {
            let pid = project.0.inspect(name, "{{.State.Pid}}");
            std::fs::read_link(Path::new("/proc").join(pid).join("ns/net")).unwrap()
        };
        of("app-net-1") == of("app-side-1")
    };
    project.ok(&["up", "-d"]);
    assert!(same());
    assert_eq!(project.ok(&["--dry-run", "up", "-d"]), "");
    project.write("compose.yaml", &file("2"));
    project.ok(&["up", "-d"]);
    assert!(same());
    // as after a command that was killed between the two
    project.write("compose.yaml", &file("3"));
    project.ok(&["up", "-d", "--no-deps", "net"]);
    assert!(!same());
    project.ok(&["up", "-d"]);
    assert!(same());
    assert_eq!(project.ok(&["--dry-run", "up", "-d"]), "");
    project.ok(&["down"]);
}

#[test]
fn orphans_and_projects_without_files() {
    let project = Project::new(
        "services:\n  a: { image: busybox, command: sleep 1000, stop_grace_period: 0s }\n  b: { image: web }\n",
    );
    project.ok(&["up", "-d"]);
    project.write("compose.yaml", "services: { b: { image: web } }");
    let said = project.run(&["up", "-d"]).code(0).stderr;
    assert!(said.contains("app-a-1") && said.contains("--remove-orphans"), "{said}");
    project.ok(&["up", "-d", "--remove-orphans"]);
    assert_eq!(project.names(), ["app-b-1"]);
    // by name alone, from elsewhere
    project.0.ok(&["compose", "-p", "app", "stop"]);
    assert_eq!(project.0.inspect("app-b-1", "{{.State.Status}}"), "exited");
    project.0.ok(&["compose", "-p", "app", "down"]);
    assert_eq!(project.left(), "");
}

#[test]
fn mistakes_are_named() {
    let project = Project::new("services: { a: { image: busybox } }");
    for (file, words, expected) in [
        (
            "services: { a: { image: busybox, comand: x } }",
            &["up", "-d"][..],
            &["compose.yaml:1:", "comand", "command"][..],
        ),
        (
            "services: { a: { image: nothere } }",
            &["up", "-d", "--pull", "never"],
            &["the service a has no image", "nothere"],
        ),
        (
            "services: { a: { image: busybox, networks: [x] } }\nnetworks: { x: { external: true } }",
            &["up", "-d"],
            &["x", "knarr network create"],
        ),
        (
            "services: { a: { image: busybox, volumes: ['/var/run/docker.sock:/s'] } }",
            &["up", "-d"],
            &["Docker's socket"],
        ),
        ("services: { a: { image: busybox, ports: ['80:80:80:80'] } }", &["up", "-d"], &["ports"]),
        (
            "services:\n  a:\n    image: busybox\n    pre_start: [{ command: x }]",
            &["up", "-d"],
            &["compose.yaml:4:", "services.a.pre_start", "service_completed_successfully"],
        ),
        (
            "services:\n  a: { image: busybox, ports: ['7:7'] }\n  b: { image: busybox, ports: ['7:9'] }",
            &["up", "-d"],
            &["compose.yaml:2:", "compose.yaml:3:", "another port"],
        ),
        (
            "services: { a: { image: busybox, x-knarr: { nope: 1 } } }",
            &["up", "-d"],
            &["x-knarr", "nope"],
        ),
        (
            "services: { a: { image: busybox } }",
            &["exec", "a", "true"],
            &["is not running", "knarr compose up"],
        ),
        ("services: { a: { image: busybox } }", &["exec", "b", "true"], &["no such service: b"]),
    ] {
        project.write("compose.yaml", file);
        let said = project.fails(words);
        for text in expected {
            assert!(said.contains(text), "{file}: {said}");
        }
        project.run(&["down"]);
    }
}

#[test]
fn an_ordinary_user_has_projects() {
    let user = NewUser::new();
    let project = Project::on(Knarr::of_user(user.0.clone()).on_host_with(&["pasta"]), MIXED);
    project.ok(&["up", "-d"]);
    let ask = ["exec", "-T", "worker", "wget", "-qO-", "http://web/fetch?url=http://db/"];
    until("all find each other", || project.run(&ask).stdout.contains("of-the-database"));
    project.ok(&["down", "-v"]);
    assert_eq!(project.left(), "");
}

#[test]
fn commands_at_points_of_a_life_are_carried_out() {
    let service =
        "image: busybox, command: sleep 1000, stop_grace_period: 0s, volumes: ['data:/data']";
    let hooks = |name: &str| {
        format!(
            "post_start: [{{ command: sh -c 'echo $$WORD >> /data/{name}', environment: [WORD=begins] }}], \
             pre_stop: [{{ command: sh -c 'echo ends >> /data/{name}; echo of-{name}' }}]"
        )
    };
    // several at once, so that the command has threads
    let file = format!(
        "services:\n  a: {{ {service}, {} }}\n  b: {{ {service}, {} }}\n  c: {{ {service}, depends_on: [a] }}\nvolumes: {{ data: {{}} }}\n",
        hooks("a"),
        hooks("b"),
    );
    let project = Project::new(&file);
    let seen = || project.ok(&["exec", "-T", "c", "sh", "-c", "cat /data/a /data/b"]);
    project.ok(&["up", "-d"]);
    assert_eq!(seen(), "begins\nbegins");
    let said = project.ok(&["stop", "a", "b"]);
    assert!(said.contains("of-a") && said.contains("of-b"), "{said}");
    assert_eq!(seen(), "begins\nends\nbegins\nends");
    project.ok(&["start", "a"]);
    assert_eq!(seen(), "begins\nends\nbegins\nbegins\nends");
    project.ok(&["down", "-v"]);
    assert_eq!(project.left(), "");
}
