//! `commit`: an image of a container.

use crate::harness::Knarr;
use serde_json::Value;

#[test]
fn of_both_kinds_of_container() {
    let knarr = Knarr::new().with_busybox().with_kit();
    for (image, command, write, read, platform) in [
        (
            "busybox",
            &["sleep", "1000"][..],
            &["sh", "-c", "echo new > /new; rm -f /bin/wget"][..],
            &["cat", "/new"][..],
            "linux",
        ),
        (
            "kit",
            &["log", "100000", "100"],
            &["/kit.wasm", "write", "/new", "new"],
            &["cat", "/new"],
            "wasi",
        ),
    ] {
        let options = ["run", "-d", "--name", image, "-e", "A=1", "--label", "l=v", image];
        let id = knarr.ok(&[&options[..], command].concat());
        knarr.ok(&[&["exec", image], write].concat());
        let name = format!("committed-{image}:1");
        let words = ["commit", "-a", "somebody", "-m", "why", "-c", "ENV B=2", "-c", "LABEL k=w"];
        let made = knarr.ok(&[&words[..], &[image, &name]].concat());
        // it goes on
        assert_eq!(knarr.inspect(image, "{{.State.Status}}"), "running");
        let read = knarr.ok(&[&["run", "--rm", &name], read].concat());
        assert_eq!(read.trim_end(), "new", "{image}");
        let document: Value = serde_json::from_str(&knarr.ok(&["inspect", &name])).unwrap();
        let (document, config) = (&document[0], &document[0]["Config"]);
        assert_eq!(document["Id"], made);
        assert_eq!((&document["Os"], &document["Author"]), (&platform.into(), &"somebody".into()));
        assert_eq!(config["Cmd"], Value::from(command.to_vec()), "{config}");
        let env = config["Env"].as_array().unwrap();
        assert!(env.contains(&"A=1".into()) && env.contains(&"B=2".into()), "{env:?}");
        assert_eq!((&config["Labels"]["l"], &config["Labels"]["k"]), (&"v".into(), &"w".into()));
        let layers = |name: &str| {
            let shown = knarr.ok(&["inspect", "-f", "{{len .RootFS.Layers}}", name]);
            shown.parse::<u32>().unwrap()
        };
        assert_eq!(layers(&name), layers(&format!("{image}:latest")) + 1);
        let history =
            knarr.ok(&["history", "--no-trunc", "--format", "{{.Comment}}|{{.CreatedBy}}", &name]);
        let newest = history.lines().next().unwrap();
        assert!(newest.starts_with("why|") && newest.ends_with(&command.join(" ")), "{newest}");
        let filter = format!("container={id}");
        let words =
            ["events", "--since", "0", "--until", "0s", "-f", "event=commit", "-f", &filter];
        let format = ["--format", "{{.Actor.Attributes.imageID}} {{.Actor.Attributes.comment}}"];
        assert_eq!(knarr.ok(&[&words[..], &format].concat()), format!("{made} why"));
        // nothing new makes no layer
        knarr.ok(&["create", "--name", &format!("{image}2"), image]);
        let same = knarr.ok(&["commit", "--pause=false", &format!("{image}2")]);
        assert_eq!(layers(&same), layers(&format!("{image}:latest")));
    }
    // what was removed is not there
    let gone = knarr.run(&["run", "--rm", "committed-busybox:1", "ls", "/bin/wget"]);
    assert_ne!(gone.code, 0, "{}", gone.stdout);
    let said = knarr.fails(1, &["commit", "-c", "RUN x", "busybox"]);
    assert!(said.contains("no such instruction"), "{said}");
    assert_eq!(knarr.inspect("busybox", "{{.State.Status}}"), "running");
}
