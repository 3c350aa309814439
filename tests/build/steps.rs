//! What `RUN` sees and leaves.

use crate::harness::{Knarr, NewUser};

#[test]
fn a_dockerfile_of_several_stages() {
    let knarr = Knarr::new().with_busybox();
    knarr.context(&[
        ("src/main.txt", "hello\n"),
        ("src/notes.md", "no\n"),
        (".dockerignore", "**/*.md\n"),
    ]);
    let said = knarr.built(
        "FROM busybox AS build
         WORKDIR /work
         COPY src/ ./
         ARG WHO=world
         RUN sed s/hello/\"hello $WHO\"/ main.txt >out && ls >list
         FROM busybox
         COPY --from=build --chown=1000:2000 --chmod=640 /work/out /work/list /data/
         ENV GREETING=ahoy
         USER ana
         WORKDIR /data
         CMD [\"sh\", \"-c\", \"echo $GREETING; stat -c '%a %u %g' out\"]",
        &["--build-arg", "WHO=there", "--label", "made=here"],
    );
    assert!(said.contains("RUN sed"), "{said}");
    assert_eq!(knarr.ok(&["run", "--rm", "app"]), "ahoy\n640 1000 2000");
    assert_eq!(
        knarr.ok(&["run", "--rm", "-u", "0", "app", "cat", "out", "list"]),
        "hello there\nlist\nmain.txt\nout"
    );
    assert_eq!(knarr.inspect("app", "{{.Config.Labels.made}} {{.Config.User}}"), "here ana");
    knarr.assert_no_step_left();
}

#[test]
fn a_layer_has_what_the_step_changed_and_nothing_else() {
    let knarr = Knarr::new().with_busybox();
    knarr.built(
        "FROM busybox
         RUN --mount=type=cache,target=/cache --mount=type=tmpfs,target=/mem \
             echo x >/cache/x && echo x >/mem/x && echo new >/etc/new && rm /etc/group",
        &["-o", knarr.files().join("out").to_str().unwrap()],
    );
    let out = knarr.files().join("out");
    assert_eq!(std::fs::read_to_string(out.join("etc/new")).unwrap(), "new\n");
    for absent in ["etc/group", "etc/hosts", "etc/resolv.conf", "cache", "mem", "dev/null"] {
        assert!(!out.join(absent).exists(), "{absent}");
    }
}

#[test]
fn a_secret_is_seen_by_its_step_only() {
    let knarr = Knarr::new().with_busybox();
    let secret = knarr.file("token", "s3cr3t-of-this-test");
    let dockerfile = "FROM busybox
        RUN --mount=type=secret,id=token,mode=0400,required=true wc -c </run/secrets/token >/size
        RUN --mount=type=secret,id=token,env=TOKEN test \"$TOKEN\" = s3cr3t-of-this-test
        RUN test ! -s /run/secrets/token";
    let option = format!("id=token,src={}", secret.display());
    knarr.built(dockerfile, &["--secret", &option]);
    assert_eq!(knarr.ok(&["run", "--rm", "app", "cat", "/size"]), "19");
    std::fs::remove_file(&secret).unwrap();
    // neither in a layer, nor in the cache, nor in a record
    let found = std::process::Command::new("grep")
        .args(["-rlaF", "s3cr3t-of-this-test", "--exclude-dir=context"])
        .arg(knarr.root())
        .output()
        .unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    // the one that compares it names it itself
    assert!(found.lines().all(|path| !path.contains("/layers/")), "{found}");
    let error = knarr.build(dockerfile, &["--no-cache"]).error(1);
    assert!(error.contains("\"token\"") && error.contains("hint: "), "{error}");
}

#[test]
fn a_step_is_confined_as_a_container_is() {
    let knarr = Knarr::new().with_busybox();
    let said = knarr.built(
        "FROM busybox
         RUN grep -E '^(CapEff|Seccomp):' /proc/self/status
         RUN --network=none grep -c : /proc/net/dev
         RUN ! echo x >/proc/sys/kernel/core_pattern",
        &["--no-cache"],
    );
    assert!(said.contains("CapEff:\t00000000a80425fb"), "{said}");
    assert!(said.contains("Seccomp:\t2"), "{said}");
}

#[test]
fn limits_and_names() {
    let knarr = Knarr::new().with_busybox();
    let said = knarr.built(
        "FROM busybox
         RUN ulimit -n; df -k /dev/shm | tail -1; grep harbour /etc/hosts",
        &["--ulimit", "nofile=77:88", "--shm-size", "2m", "--add-host", "harbour:10.9.8.7"],
    );
    for expected in [" 77\n", " 2048 ", "10.9.8.7\tharbour"] {
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn the_network_of_a_step() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["network", "create", "shipyard"]);
    let dockerfile = "FROM busybox
        RUN grep nameserver /etc/resolv.conf; grep -c eth0: /proc/net/dev";
    let said = knarr.built(dockerfile, &[]);
    assert!(said.contains("nameserver 127.0.0.11"), "a network of its own: {said}");
    let said = knarr.built(dockerfile, &["--no-cache", "--network", "shipyard"]);
    assert!(said.contains("nameserver 127.0.0.11"), "{said}");
    let error = knarr.build(dockerfile, &["--no-cache", "--network", "nowhere"]).error(1);
    assert!(error.contains("nowhere") && error.contains("hint: "), "{error}");
    // the steps have left
    let endpoints = knarr.root().join("networks/shipyard/endpoints");
    assert!(endpoints.read_dir().is_ok_and(|mut entries| entries.next().is_none()));
}

#[test]
fn an_ordinary_user_builds() {
    let user = NewUser::new();
    let knarr = Knarr::of_user(user.0.clone()).with_busybox();
    let context = knarr.context(&[(
        "Dockerfile",
        "FROM busybox\nRUN id -u >/id; rm /etc/group\nCMD [\"cat\", \"/id\"]\n",
    )]);
    knarr.ok(&["build", "-q", "-t", "app", context.to_str().unwrap()]);
    assert_eq!(knarr.ok(&["run", "--rm", "app"]), "0");
    knarr.assert_no_step_left();
}

#[test]
fn a_module_runs_in_a_stage_of_its_image() {
    let knarr = Knarr::new().with_kit();
    let said = knarr.built(
        "FROM kit
         RUN [\"/kit.wasm\", \"write\", \"/made\", \"by the module\"]
         RUN [\"/kit.wasm\", \"cat\", \"/made\"]
         CMD [\"cat\", \"/made\"]",
        &["--platform", "wasi/wasm"],
    );
    assert!(said.contains("by the module"), "{said}");
    assert_eq!(knarr.ok(&["run", "--rm", "app"]).trim(), "by the module");
}
