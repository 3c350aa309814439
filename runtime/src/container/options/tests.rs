use super::*;
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
            entrypoint: entrypoint.map(String::from),
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
    assert_eq!(spec.process.env, ["PATH=/bin", "A=2"]);
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
    for text in ["", "x", "x:y", "a:/b:zz", "/a:/", ":/a", "a:/b:ro:x"] {
        assert!(parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn mounts() {
    let bind = parse_mount("type=bind,src=/a,dst=/b,readonly").unwrap();
    assert_eq!(
        bind,
        Mount {
            kind: MountKind::Bind { source: "/a".into(), create: false, propagation: None },
            target: "/b".into(),
            read_only: true,
        }
    );
    let tmpfs = parse_mount("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770").unwrap();
    assert_eq!(
        tmpfs.kind,
        MountKind::Tmpfs { size: Some(1 << 20), mode: Some(0o1770), options: Vec::new() }
    );
    assert_eq!(
        parse_mount(r#"type=bind,"source=/a,b",target=/c"#).unwrap().kind,
        MountKind::Bind { source: "/a,b".into(), create: false, propagation: None }
    );
    for text in [
        "type=bind,src=/a",
        "type=bind,dst=/a",
        "type=bind,src=a,dst=/b",
        "type=floppy,dst=/a",
        "type=tmpfs,dst=/a,volume-nocopy",
        "dst=/a,what=1",
    ] {
        assert!(parse_mount(text).is_err(), "{text:?}");
    }
    let tmpfs = parse_tmpfs("/run:size=64k,noexec,ro").unwrap();
    assert!(tmpfs.read_only);
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
