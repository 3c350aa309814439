use super::*;
use clap::Parser;
use knarr_packager::build::options::{
    Annotation, AnnotationLevel, CacheMode, CacheSource, CacheTarget, Destination, Provenance,
    Secret,
};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    options: Options,
}

fn asked(words: &[&str]) -> Result<Asked, Failure> {
    let environment = |name: &str| match name {
        "TOKEN" => Some("t".to_owned()),
        "SOURCE_DATE_EPOCH" => Some("12".to_owned()),
        _ => None,
    };
    let words = ["build"].iter().chain(words).chain(&["."]);
    Line::try_parse_from(words).unwrap().options.asked(environment)
}

fn options(words: &[&str]) -> BuildOptions {
    asked(words).unwrap_or_else(|f| panic!("{words:?}: {f:?}")).options
}

fn refused(words: &[&str]) -> String {
    let failure = asked(words).err().unwrap_or_else(|| panic!("{words:?}"));
    assert_eq!(failure.status, crate::error::FAILED, "{words:?}");
    format!("{} | {}", failure.messages.join(": "), failure.hint.unwrap_or_default())
}

#[test]
fn outputs() {
    let path = |text: &str| Destination::Path(PathBuf::from(text));
    for (text, output) in [
        ("out", Output::Local("out".into())),
        ("-", Output::Tar(Destination::Stdout)),
        ("type=local,dest=a b", Output::Local("a b".into())),
        ("type=tar,dest=x.tar", Output::Tar(path("x.tar"))),
        ("type=oci,dest=-", Output::Oci { to: Destination::Stdout, tar: true }),
        ("type=oci,tar=false,dest=d", Output::Oci { to: path("d"), tar: false }),
        ("\"type=oci\",\"dest=a,b\"", Output::Oci { to: path("a,b"), tar: true }),
        ("type=docker", Output::Image),
        ("type=docker,dest=-", Output::Docker(Destination::Stdout)),
        ("type=image,name=x", Output::Image),
        ("type=wasm-artifact", Output::WasmArtifact),
    ] {
        assert_eq!(options(&["-o", text]).outputs, [output], "{text}");
    }
    let pushed = asked(&["-o", "type=registry,name=localhost:5000/a"]).unwrap();
    assert!(pushed.push);
    assert_eq!(pushed.options.tags[0].to_string(), "localhost:5000/a:latest");
    assert_eq!(options(&["-o", "x", "--load"]).outputs.len(), 2);
    for (words, said) in [
        (&["-o", "type=ipfs"][..], "there is no output of type \"ipfs\" | the types are image"),
        (&["-o", "type=local"], "--output \"type=local\" lacks dest=…"),
        (&["-o", "type=tar,color=red"], "color has no meaning here"),
        (&["-o", "-", "-o", "type=oci"], "two outputs cannot both"),
        (&["-o", "type=oci,tar=false"], "an OCI layout is a folder"),
        (&["--push"], "there is no name to push the image under"),
        (
            &["-t", "a@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
            "by its digest",
        ),
    ] {
        let refused = refused(words);
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn secrets() {
    let of = |text: &str| options(&["--secret", text]).secrets;
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let secret = |id: &str, secret| BTreeMap::from([(id.to_owned(), secret)]);
    assert_eq!(of(&format!("id=a,src={file}")), secret("a", Secret::File(file.into())));
    assert_eq!(of("id=a,env=TOKEN"), secret("a", Secret::Variable("TOKEN".into())));
    assert_eq!(of("type=env,id=a,src=TOKEN"), secret("a", Secret::Variable("TOKEN".into())));
    assert_eq!(of("id=TOKEN"), secret("TOKEN", Secret::Variable("TOKEN".into())));
    for (text, said) in [
        ("a", "lacks id=…"),
        ("id=a", "is to come from a, which is no file"),
        ("id=a,env=NONE", "$NONE, which is not set"),
        ("id=a,env=TOKEN,src=x", "names two sources"),
        ("id=a,type=vault", "type=vault"),
    ] {
        let refused = refused(&["--secret", text]);
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn caches_and_attestations() {
    let options = options(&[
        "--cache-from=localhost:5000/a",
        "--cache-from=type=local,src=c",
        "--cache-to=type=local,dest=c,mode=max",
        "--cache-to=type=inline",
        "--attest=type=provenance,mode=max,version=v1",
        "--sbom=true",
        "--annotation=a=b=c",
        "--annotation=index,manifest[wasi/wasm]:x.y=z",
    ]);
    assert!(
        matches!(&options.cache_from[0], CacheSource::Registry(r) if r.domain() == "localhost:5000")
    );
    assert_eq!(options.cache_from[1], CacheSource::Local("c".into()));
    let local = CacheTarget::Local { folder: "c".into(), mode: CacheMode::Max };
    assert_eq!(options.cache_to, [local, CacheTarget::Inline]);
    assert_eq!(options.attestations.provenance, Some(Provenance { max: true, slsa_v1: true }));
    assert!(options.attestations.sbom);
    let annotation = |level, platform: Option<&str>, name: &str, value: &str| Annotation {
        level,
        platform: platform.map(|p| p.parse().unwrap()),
        name: name.into(),
        value: value.into(),
    };
    let expected = [
        annotation(AnnotationLevel::Manifest, None, "a", "b=c"),
        annotation(AnnotationLevel::Index, None, "x.y", "z"),
        annotation(AnnotationLevel::Manifest, Some("wasi/wasm"), "x.y", "z"),
    ];
    assert_eq!(options.annotations, expected);
    let off = ["--attest=type=provenance", "--provenance=false", "--sbom=false"];
    assert_eq!(self::options(&off).attestations, Default::default());
    for (words, said) in [
        (&["--cache-to=type=gha"][..], "--cache-to knows no type \"gha\""),
        (&["--cache-to=type=local,dest=x,mode=mid"], "the modes are min and max"),
        (&["--attest=type=vuln"], "no attestation of type"),
        (&["--annotation=x"], "is not [LEVEL:]NAME=VALUE"),
        (&["--annotation=layer:x=y"], "the levels are"),
        (&["--sbom=maybe"], "write true or false"),
    ] {
        let refused = refused(words);
        assert!(refused.contains(said), "{refused}");
    }
}

#[test]
fn the_rest() {
    let options = options(&[
        "--build-arg=A=1",
        "--build-arg=TOKEN",
        "--build-arg=NONE",
        "--label=l",
        "--label=m=n=o",
        "--platform=wasi/wasm,linux/amd64",
        "--network=none",
        "--add-host=db:10.0.0.1",
        "--add-host=six=[::1]",
        "--ulimit=nofile=10:20",
        "--shm-size=1m",
        "--target=",
    ]);
    let map = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    };
    assert_eq!(options.args, map(&[("A", "1"), ("TOKEN", "t")]));
    assert_eq!(options.labels, map(&[("l", ""), ("m", "n=o")]));
    assert_eq!(options.platforms.len(), 2);
    assert_eq!(options.network, StepNetwork::None);
    assert_eq!(options.hosts, [("db".into(), "10.0.0.1".into()), ("six".into(), "::1".to_owned())]);
    assert_eq!((options.limits.shm_size, options.limits.ulimits.len()), (Some(1 << 20), 1));
    assert_eq!((options.target, options.source_date_epoch), (None, Some(12)));
    for (words, said) in [
        (&["--network=container:x"][..], "a container's network"),
        (&["--add-host=db"], "is not HOST:IP"),
        (&["--build-arg=SOURCE_DATE_EPOCH=now"], "which is no number"),
        (&["--allow=security.insecure"], "cannot be given"),
        (&["-f", "/no/such"], "there is no file /no/such"),
        (&["--build-context=x"], "is not NAME=SOURCE"),
        (&["--build-context=x=ftp://x"], "cannot be used"),
    ] {
        let refused = refused(words);
        assert!(refused.contains(said), "{refused}");
    }
}
