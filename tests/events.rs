//! `events`: what happens to containers, images, networks and volumes, told by whoever does it.

use crate::harness::Knarr;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

/// What was told of one kind of thing, as JSON lines.
fn told(knarr: &Knarr, filters: &[&str]) -> Vec<Value> {
    let mut words = vec!["events", "--since", "0", "--until", "0s", "--format", "json"];
    words.extend(filters.iter().flat_map(|filter| ["--filter", filter]));
    knarr.ok(&words).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn actions(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["Action"].as_str().unwrap()).collect()
}

#[test]
fn the_life_of_both_kinds_of_container() {
    let knarr = Knarr::new().with_busybox().with_kit();
    knarr.ok(&["network", "create", "n"]);
    for (image, command, exec) in [
        ("busybox", &["sleep", "1000"][..], &["echo", "a"][..]),
        ("kit", &["log", "100000", "100"], &["/kit.wasm", "echo", "a"]),
    ] {
        let options = ["run", "-d", "--name", image, "--label", "l=v", "--network", "n"];
        let volume = format!("v-{image}:/v");
        let id = knarr.ok(&[&options[..], &["-v", &volume, image], command].concat());
        knarr.ok(&[&["exec", image], exec].concat());
        let name = format!("{image}2");
        for words in [
            &["pause", image][..],
            &["unpause", image],
            &["rename", image, &name],
            &["top", &name],
            &["kill", "-s", "CONT", &name],
            &["restart", "-t", "0", &name],
            &["stop", "-t", "0", &name],
            &["rm", &name],
        ] {
            knarr.ok(words);
        }
        let events = told(&knarr, &[&format!("container={id}")]);
        let executed = exec.join(" ");
        let (made, begun) = (format!("exec_create: {executed}"), format!("exec_start: {executed}"));
        let life = ["kill", "die", "stop"];
        let expected = [
            &["create", "start", &made, &begun, "exec_die", "pause", "unpause"][..],
            &["rename", "top", "kill"],
            &life,
            &["start", "restart"],
            &life,
            &["destroy"],
        ];
        assert_eq!(actions(&events), expected.concat(), "{image}");
        for event in &events {
            assert_eq!(event["Type"], "container");
            assert_eq!((&event["id"], &event["Actor"]["ID"]), (&Value::from(&*id), &event["id"]));
            assert_eq!(event["status"], event["Action"]);
            assert_eq!(event["from"], image);
            assert_eq!(event["scope"], "local");
            let (seconds, nanoseconds) = (&event["time"], &event["timeNano"]);
            assert_eq!(seconds.as_i64().unwrap(), nanoseconds.as_i64().unwrap() / 1_000_000_000);
            let attributes = &event["Actor"]["Attributes"];
            assert_eq!((&attributes["image"], &attributes["l"]), (&image.into(), &"v".into()));
        }
        let of = |action: &str, name: &str| {
            let event = events.iter().rfind(|event| event["Action"] == action).unwrap();
            event["Actor"]["Attributes"][name].as_str().unwrap().to_owned()
        };
        assert_eq!(of("exec_die", "exitCode"), "0");
        assert_eq!(of("die", "exitCode"), "137");
        assert_eq!(of("kill", "signal"), "9");
        assert_eq!(of("rename", "oldName"), format!("/{image}"));
        assert_eq!((of("create", "name"), of("destroy", "name")), (image.into(), name));
        let places = told(&knarr, &["type=network", "event=connect", "event=disconnect"]);
        let own = |event: &&Value| event["Actor"]["Attributes"]["container"] == id;
        let places: Vec<Value> = places.iter().filter(own).cloned().collect();
        let once = ["connect", "disconnect"];
        assert_eq!(actions(&places), [once, once].concat());
        knarr.ok(&["volume", "rm", &format!("v-{image}")]);
        let volume = told(&knarr, &[&format!("volume=v-{image}")]);
        let once = ["mount", "unmount"];
        let expected = [&["create"][..], &once, &once, &["destroy"]].concat();
        assert_eq!(actions(&volume), expected);
        // what was executed need not be said to be found
        let found =
            told(&knarr, &["event=exec_create", "event=oom", &format!("container={image}")]);
        assert_eq!(actions(&found), [made.as_str()]);
        let none = told(&knarr, &["label=l=other"]);
        assert_eq!(none, Vec::<Value>::new());
    }
    knarr.ok(&["network", "rm", "n"]);
    let network = told(&knarr, &["network=n", "event=create", "event=destroy"]);
    assert_eq!(actions(&network), ["create", "destroy"]);
}

#[test]
fn ends_that_nobody_asked_for() {
    let knarr = Knarr::new().with_busybox().with_kit();
    for (image, command, code) in [
        ("busybox", &["sh", "-c", "exit 3"][..], 3),
        ("kit", &["exit", "3"], 3),
        ("busybox", &["no-such-program"], 127),
    ] {
        knarr.run(&[&["run", "--rm", "--name", "once", image], command].concat()).code(code);
    }
    let events = told(&knarr, &["container=once"]);
    let whole = ["create", "attach", "start", "die", "destroy"];
    assert_eq!(actions(&events), [&whole[..], &whole, &["create", "destroy"]].concat());
    assert_eq!(events[3]["Actor"]["Attributes"]["exitCode"], "3");
    // a monitor that was killed cannot tell: whoever finds that does
    knarr.ok(&["run", "-d", "--name", "dies", "busybox", "sleep", "1000"]);
    for process in crate::harness::proc::of_root(knarr.root()) {
        process.kill();
        process.ended();
    }
    knarr.ok(&["ps", "-a"]);
    assert_eq!(actions(&told(&knarr, &["container=dies"])), ["create", "start", "die"]);
}

#[test]
fn what_happens_to_images() {
    let knarr = Knarr::new().with_busybox();
    let archive = knarr.files().join("archive.tar");
    let archive = archive.to_str().unwrap();
    knarr.ok(&["tag", "busybox", "other:1"]);
    knarr.ok(&["save", "-o", archive, "other:1"]);
    knarr.ok(&["rmi", "other:1"]);
    knarr.ok(&["load", "-i", archive]);
    let dockerfile = knarr.file("Dockerfile", "FROM busybox\nLABEL of=image\n");
    let folder = dockerfile.parent().unwrap().to_str().unwrap();
    knarr.ok(&["build", "-q", "-t", "built", folder]);
    knarr.ok(&["rmi", "built"]);
    let events = told(&knarr, &["image=other"]);
    assert_eq!(actions(&events), ["tag", "save", "untag", "load"]);
    let built = told(&knarr, &["image=built"]);
    assert_eq!(actions(&built), ["tag", "untag"]);
    assert_eq!(built[0]["Actor"]["Attributes"]["of"], "image");
    let id = built[0]["id"].as_str().unwrap();
    let of_id = told(&knarr, &[&format!("image={id}"), "type=image"]);
    assert_eq!(actions(&of_id), ["tag", "create", "untag", "delete"]);
}

#[test]
fn a_follower_hears_at_once_and_in_every_format() {
    let knarr = Knarr::new();
    knarr.ok(&["volume", "create", "before"]);
    let mut follower = knarr.start(&["system", "events", "--since", "1h"], Stdio::null());
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.ends_with("volume create before (driver=local)"), "{first}");
    knarr.ok(&["volume", "create", "after"]);
    let next = lines.next().unwrap().unwrap();
    assert!(next.ends_with("volume create after (driver=local)"), "{next}");
    follower.kill().unwrap();
    follower.wait().unwrap();
    let format = "{{.Type}}/{{.Action}} {{.Actor.ID}} {{.Actor.Attributes.driver}} {{.Scope}}";
    let words = ["events", "--since", "1h", "--until", "0s", "-f", "volume=af", "--format", format];
    assert_eq!(knarr.ok(&words), "volume/create after local local");
    // the end of a span may lie ahead
    let mut waits = knarr.start(&["events", "--until", "-1s"], Stdio::null());
    let mut heard = String::new();
    waits.stdout.take().unwrap().read_to_string(&mut heard).unwrap();
    assert_eq!((waits.wait().unwrap().code(), heard), (Some(0), String::new()));
    for (words, said) in [
        (["-f", "colour=red"], "there is no filter \"colour\""),
        (["-f", "type=ship"], "there are no events of the type \"ship\""),
        (["--format", "{{.Ship}}"], "there is no field .Ship"),
    ] {
        let span = ["events", "--since", "1h", "--until", "0s"];
        let failed = knarr.run(&[&span[..], &words].concat());
        assert!(failed.code != 0 && failed.stderr.contains(said), "{}", failed.stderr);
    }
}
