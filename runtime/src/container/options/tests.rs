use super::*;
use knarr_core::spec::{MountKind, Protocol, Submounts, VolumeMount, port};
use std::path::Path;

fn image() -> SpecImage {
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    SpecImage {
        reference: "app".into(),
        id: digest.parse().unwrap(),
        manifest: digest.parse().unwrap(),
        platform: "linux/amd64".parse().unwrap(),
        reason: String::new(),
        layers: Vec::new(),
    }
}

fn resolved(config: &str, options: RunOptions) -> Result<ContainerSpec, Error> {
    let config: ImageConfig = serde_json::from_str(&format!(r#"{{"config":{config}}}"#)).unwrap();
    Ok(resolve(ImageOptions { image: &image(), config: &config }, &options)?.spec)
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

/// Docker's documentation, "Understand how CMD and ENTRYPOINT interact", and what `run` overrides.
#[test]
fn entrypoint_and_command() {
    let both = r#"{"Entrypoint":["/entry","e"],"Cmd":["c1","c2"]}"#;
    let args = |config, entrypoint: Option<&str>, command: &[&str]| {
        let options = RunOptions {
            entrypoint: entrypoint.map(|text| text.split_whitespace().map(String::from).collect()),
            command: strings(command),
            ..Default::default()
        };
        resolved(config, options).map(|s| s.process.args())
    };
    assert_eq!(args(both, None, &[]).unwrap(), ["/entry", "e", "c1", "c2"]);
    assert_eq!(args(both, None, &["x"]).unwrap(), ["/entry", "e", "x"]);
    assert_eq!(args(both, Some("sh"), &[]).unwrap(), ["sh"]);
    assert_eq!(args(both, Some("sh"), &["-c", "x"]).unwrap(), ["sh", "-c", "x"]);
    assert_eq!(args(both, Some(""), &["x"]).unwrap(), ["x"]);
    assert_eq!(args(r#"{"Cmd":["c"]}"#, None, &[]).unwrap(), ["c"]);
    assert!(matches!(args("{}", None, &[]), Err(Error::NoCommand)));
    assert!(matches!(args(both, Some(""), &[]), Err(Error::NoCommand)));
}

#[test]
fn the_rest_of_the_image() {
    let config = r#"{"Cmd":["c"],"Env":["PATH=/bin","A=1"],"User":"www","WorkingDir":"srv","StopSignal":"SIGQUIT",
        "Labels":{"a":"1","b":"2"},"ExposedPorts":{"80/tcp":{}},"Volumes":{"/data/":{},"/cache":{}}}"#;
    let options = RunOptions {
        env: strings(&["A=2"]),
        labels: strings(&["b=3", "c"]),
        expose: strings(&["90-91/udp"]),
        mounts: vec![parse_volume("named:/data", Path::new("/")).unwrap()],
        ports: port::parse("8080:80").unwrap(),
        ..Default::default()
    };
    let spec = resolved(config, options).unwrap();
    assert_eq!(spec.process.env, ["A=2", "PATH=/bin"], "the image's come last, as in Docker");
    assert_eq!((spec.process.user.as_str(), spec.process.cwd.as_str()), ("www", "/srv"));
    assert_eq!(spec.process.stop_signal.as_deref(), Some("SIGQUIT"));
    let labels: Vec<String> = spec.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(labels, ["a=1", "b=3", "c="]);
    assert_eq!(spec.exposed, [(80, Protocol::Tcp), (90, Protocol::Udp), (91, Protocol::Udp)]);
    let targets: Vec<&str> = spec.mounts.iter().map(|m| m.target.as_str()).collect();
    assert_eq!(targets, ["/data", "/cache"], "the user's mount replaces the image's volume");
}

#[test]
fn volumes() {
    let parse = |text| parse_volume(text, Path::new("/home/u")).map(|m| format!("{m:?}"));
    assert!(parse("/srv/x:/data:ro").unwrap().contains(r#"Bind { source: "/srv/x", create: true"#));
    assert!(parse("./x:/data").unwrap().contains(r#"source: "/home/u/x""#));
    assert!(parse("name:/data/../d").unwrap().contains(r#"target: "/d""#));
    assert!(parse("/data").unwrap().contains("anonymous: true"));
    assert!(parse("/data:ro").unwrap().contains("read_only: true"));
    assert!(parse("./x:/y:U,Z").unwrap().contains("ownership: Some(Give)"));
    assert!(parse("name:/y:idmap").unwrap().contains("ownership: Some(Swap)"));
    assert!(parse("/x:/y:bind,rslave").unwrap().contains("submounts: Leave"));
    let wrong = [
        "",
        "x",
        "x:y",
        "a:/b:zz",
        "/a:/",
        ":/a",
        "a:/b:ro:x",
        "a:/b:shared",
        "/a:/b:nocopy",
        "/a:/b:idmap=uids=1",
    ];
    for text in wrong {
        assert!(parse(text).is_err(), "{text:?}");
    }
}

fn mount(text: &str) -> Result<Mount, InvalidMount> {
    parse_mount(text, Path::new("/home/u"))
}

#[test]
fn mounts() {
    let bind = |source: &str, submounts| MountKind::Bind {
        source: source.into(),
        create: false,
        propagation: None,
        submounts,
    };
    let read_only = mount("type=bind,src=/a,dst=/b,readonly").unwrap();
    assert_eq!(read_only.kind, bind("/a", Submounts::Follow));
    assert!(read_only.read_only && read_only.target == "/b");
    let leave = mount("type=bind,source=./a,target=/b,bind-nonrecursive").unwrap();
    assert_eq!(leave.kind, bind("/home/u/a", Submounts::Leave));
    let tmpfs = mount("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770").unwrap();
    assert_eq!(
        tmpfs.kind,
        MountKind::Tmpfs { size: Some(1 << 20), mode: Some(0o1770), options: Vec::new() }
    );
    let comma = mount(r#"type=bind,"source=/a,b",target=/c"#).unwrap();
    assert_eq!(comma.kind, bind("/a,b", Submounts::Follow));
    let volume = mount(
        "src=v1,dst=/x,volume-subpath=a/b,volume-nocopy,volume-label=x=1,volume-opt=type=tmpfs,volume-driver=local",
    );
    let pair = |name: &str, value: &str| [(name.to_owned(), value.to_owned())].into();
    let wanted = VolumeMount {
        name: "v1".into(),
        anonymous: false,
        no_copy: true,
        subpath: Some("a/b".into()),
        options: pair("type", "tmpfs"),
        labels: pair("x", "1"),
    };
    assert_eq!(volume.unwrap().volume(), Some(&wanted));
    for text in [
        "type=bind,src=/a",
        "type=bind,dst=/a",
        "type=bind,src=a,dst=/b",
        "type=floppy,dst=/a",
        "type=tmpfs,dst=/a,volume-nocopy",
        "type=tmpfs,dst=/a,src=/b",
        "type=bind,src=/a,dst=/b,bind-propagation=loud",
        "type=bind,src=/a,dst=/b,bind-recursive=maybe",
        "src=v1,dst=/a,volume-subpath=../b",
        "src=v1,dst=/a,volume-driver=nfs",
        "dst=/a,what=1",
    ] {
        assert!(mount(text).is_err(), "{text:?}");
    }
    let tmpfs = parse_tmpfs("/run:size=64k,noexec,ro").unwrap();
    assert!(tmpfs.read_only);
    assert!(parse_tmpfs("/run:size=64k,quick").is_err());
}

#[test]
fn whose_mount_wins() {
    let volume = |text| parse_volume(text, Path::new("/")).unwrap();
    let options = RunOptions {
        mounts: vec![volume("mine:/one")],
        inherited: ["first:/one", "first:/two", "second:/two", "second:/three"].map(volume).into(),
        ..Default::default()
    };
    let spec = resolved(r#"{"Cmd":["c"],"Volumes":{"/three":{},"/four":{}}}"#, options).unwrap();
    let name = |target: &str| {
        let mount = spec.mounts.iter().find(|mount| mount.target == target).unwrap();
        let volume = mount.volume().unwrap();
        if volume.anonymous { "anonymous" } else { &volume.name }
    };
    let names = ["/one", "/two", "/three", "/four"].map(name);
    assert_eq!(names, ["mine", "second", "second", "anonymous"]);
}

#[test]
fn what_is_wrong_is_named() {
    let mount = parse_volume("a1:/x", Path::new("/")).unwrap();
    let twice = RunOptions { mounts: vec![mount.clone(), mount], ..Default::default() };
    let error = resolved(r#"{"Cmd":["c"]}"#, twice).unwrap_err();
    assert_eq!(error.to_string(), "/x is mounted twice");
    let relative = RunOptions { workdir: Some("x".into()), ..Default::default() };
    assert!(matches!(resolved(r#"{"Cmd":["c"]}"#, relative), Err(Error::RelativeWorkdir { .. })));
    let hosts = RunOptions { extra_hosts: strings(&["db:nowhere"]), ..Default::default() };
    assert!(matches!(resolved(r#"{"Cmd":["c"]}"#, hosts), Err(Error::ExtraHost { .. })));
}
