//! What comes out: variants, attestations, archives, folders; and that it is the same every time.

use crate::support::builds::{Project, base, config};
use knarr_core::image::{Digest, Platform};
use knarr_packager::build::Built;
use knarr_packager::build::options::{
    Annotation, AnnotationLevel, Destination, Output, Provenance,
};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const BOTH: &str = "FROM scratch AS wasi\nCOPY app.wasm /app.wasm\nENTRYPOINT [\"/app.wasm\"]\n\
                    FROM base AS linux\nCOPY app.sh /app\nENTRYPOINT [\"/app\"]\nFROM ${TARGETOS}\n\
                    ARG TARGETARCH\nLABEL arch=$TARGETARCH\n";

fn module() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests/built/kit.p1.wasm");
    std::fs::read(path).unwrap()
}

fn both() -> Project {
    let mut project = Project::new(BOTH);
    base(project.store(), "base", "linux/amd64", &[("bin/sh", b"#!")]);
    project.file("app.wasm", module());
    project.file("app.sh", "#!/bin/sh\n");
    project.options.tags = vec!["both".parse().unwrap()];
    project
}

fn platforms(project: &Project, name: &str) -> Vec<String> {
    let image = project.store().find(name).unwrap();
    let variants = project.store().variants(&image).unwrap();
    variants.iter().map(|variant| variant.platform.to_string()).collect()
}

#[test]
fn two_variants_under_one_name() {
    let mut project = both();
    project.options.platforms = vec!["wasi/wasm".parse().unwrap(), "linux/amd64".parse().unwrap()];
    let (built, log) = project.build();
    assert_eq!(platforms(&project, "both"), ["wasi/wasm", "linux/amd64"]);
    let wasm = config(project.store(), &built.variants[0].manifest);
    assert_eq!(wasm.config.labels["arch"], "wasm");
    assert_eq!(wasm.config.entrypoint.unwrap(), ["/app.wasm"]);
    assert!(wasm.config.env.is_empty());
    let native = config(project.store(), &built.variants[1].manifest);
    assert_eq!(native.config.labels["arch"], "amd64");
    assert!(built.variants[0].module.as_ref().unwrap().imports[0].contains("preview1"));
    assert_eq!(log.of("[wasi/wasm wasi 2/2] COPY"), ["DONE"]);
    assert!(
        log.of("linux 2/2] COPY app.wasm").is_empty(),
        "stages that are not needed are not built"
    );
    project.file("Dockerfile", format!("# platforms=wasi/wasm,linux/amd64\n{BOTH}"));
    project.options.platforms.clear();
    let (again, _) = project.build();
    assert_eq!(again.image, built.image, "the comment says the same as --platform");
}

#[test]
fn a_module_makes_its_image_a_wasm_image() {
    let mut project = Project::new("FROM scratch\nCOPY app.wasm /app\nENTRYPOINT [\"/app\"]\n");
    project.file("app.wasm", module());
    project.options.tags = vec!["tool".parse().unwrap()];
    project.build();
    assert_eq!(platforms(&project, "tool"), ["wasi/wasm"]);
    project.file("app.wasm", b"\0asm\x01\0\0\0\x01");
    let story = project.fails();
    assert!(story.contains("app is not a valid Wasm binary"), "{story}");
    project.file("app.wasm", b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x02\x09\x01\x03env\x01f\0\0");
    let (built, _) = project.build();
    assert_eq!(built.variants[0].module.as_ref().unwrap().missing, ["env"]);
}

#[test]
fn the_same_inputs_give_the_same_image() {
    const EPOCH: i64 = 1_700_000_000;
    let dockerfile =
        "FROM base\nWORKDIR /w\nCOPY . .\nRUN write /r text && mkdir /empty\nADD x.tar /t/\n";
    let build = |reverse: bool| -> (Built, Project) {
        let mut project = Project::new(dockerfile);
        base(project.store(), "base", "linux/amd64", &[("bin/sh", b"#!")]);
        let mut names: Vec<String> = (0..20).map(|n| format!("d/file{n}")).collect();
        if reverse {
            // other inodes, another order in the directory, other times
            names.reverse();
        }
        for name in &names {
            let path = project.file(name, name);
            let file = std::fs::File::options().write(true).open(path).unwrap();
            let time = std::time::UNIX_EPOCH
                + std::time::Duration::from_secs(if reverse { 1 } else { 1_800_000_000 });
            file.set_modified(time).unwrap();
        }
        project.file("x.tar", crate::support::images::tar(&[("in", b"tar")]));
        project.options.source_date_epoch = Some(EPOCH);
        project.options.attestations.provenance = Some(Provenance { max: true, slsa_v1: true });
        project.options.attestations.sbom = true;
        project.options.tags = vec!["same".parse().unwrap()];
        let (built, _) = project.build();
        (built, project)
    };
    let (first, project) = build(false);
    let (second, _) = build(true);
    assert_eq!(first.image, second.image);
    let config = project.config(&first);
    assert_eq!(config.created.as_deref(), Some("2023-11-14T22:13:20Z"));
    let manifest = project.store().manifest(first.variants[0].manifest.digest()).unwrap();
    for layer in &manifest.layers()[1..] {
        let blob = crate::support::images::bytes(project.store(), layer.digest());
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&blob[..]));
        for entry in archive.entries().unwrap() {
            let entry = entry.unwrap();
            let time = entry.header().mtime().unwrap();
            assert!(time <= EPOCH as u64, "{:?} {time}", entry.path());
        }
    }
}

#[test]
fn attestations_stand_beside_the_variants() {
    let mut project = both();
    let status =
        "Package: libc6\nStatus: install ok installed\nVersion: 2.36\nArchitecture: amd64\n";
    base(
        project.store(),
        "base",
        "linux/amd64",
        &[
            ("var/lib/dpkg/status", status.as_bytes()),
            ("etc/os-release", b"ID=debian\n"),
            (
                "usr/lib/python3/site-packages/flask-3.0.dist-info/METADATA",
                b"Name: Flask\nVersion: 3.0\n\n",
            ),
            ("srv/node_modules/x/package.json", b"{\"name\":\"x\",\"version\":\"1.2.3\"}"),
        ],
    );
    project.options.platforms = vec!["linux/amd64".parse().unwrap(), "wasi/wasm".parse().unwrap()];
    project.options.attestations.provenance = Some(Provenance::default());
    project.options.attestations.sbom = true;
    project.options.args.insert("SECRET".into(), "swordfish".into());
    let (built, _) = project.build();
    assert_eq!(platforms(&project, "both"), ["linux/amd64", "wasi/wasm"], "they are no variants");
    let top = built.image.unwrap();
    let index = project.store().index(top.digest()).unwrap();
    assert_eq!(index.manifests().len(), 4);
    for (variant, attestation) in built.variants.iter().zip(&index.manifests()[2..]) {
        let annotations = attestation.annotations().clone().unwrap();
        assert_eq!(annotations["vnd.docker.reference.type"], "attestation-manifest");
        assert_eq!(
            annotations["vnd.docker.reference.digest"],
            variant.manifest.digest().to_string()
        );
        assert_eq!(
            Platform::from(attestation.platform().as_ref().unwrap()).to_string(),
            "unknown/unknown"
        );
        let manifest = project.store().manifest(attestation.digest()).unwrap();
        let statement = |at: usize| -> serde_json::Value {
            let layer = &manifest.layers()[at];
            assert_eq!(layer.media_type().to_string(), "application/vnd.in-toto+json");
            serde_json::from_slice(&crate::support::images::bytes(project.store(), layer.digest()))
                .unwrap()
        };
        let (sbom, provenance) = (statement(0), statement(1));
        for statement in [&sbom, &provenance] {
            let digest = &statement["subject"][0]["digest"]["sha256"];
            assert_eq!(*digest, variant.manifest.digest().digest());
        }
        assert_eq!(sbom["predicateType"], "https://spdx.dev/Document");
        assert_eq!(provenance["predicateType"], "https://slsa.dev/provenance/v0.2");
        assert!(!provenance.to_string().contains("swordfish"), "mode=min tells no values");
        let urls: Vec<String> = sbom["predicate"]["packages"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|p| Some(p["externalRefs"][0]["referenceLocator"].as_str()?.to_owned()))
            .collect();
        match variant.platform.is_wasm() {
            true => {
                assert!(urls.iter().any(|url| url.starts_with("pkg:generic/rustc@1.")), "{urls:?}")
            }
            false => {
                assert_eq!(
                    urls,
                    [
                        "pkg:deb/debian/libc6@2.36?arch=amd64",
                        "pkg:pypi/flask@3.0",
                        "pkg:npm/x@1.2.3"
                    ]
                );
                let material = &provenance["predicate"]["materials"][0];
                assert_eq!(material["uri"], "pkg:docker/base@latest?platform=linux%2Famd64");
            }
        }
    }
}

#[test]
fn annotations_and_labels() {
    let mut project = Project::new("FROM scratch\nLABEL a=1 b=2\nCOPY Dockerfile /\n");
    project.options.labels.insert("b".into(), "3".into());
    let annotation = |level, name: &str| Annotation {
        level,
        platform: None,
        name: name.into(),
        value: "v".into(),
    };
    project.options.annotations =
        vec![annotation(AnnotationLevel::Manifest, "m"), annotation(AnnotationLevel::Index, "i")];
    let (built, _) = project.build();
    let labels = project.config(&built).config.labels;
    assert_eq!((labels["a"].as_str(), labels["b"].as_str()), ("1", "3"));
    let manifest = project.store().manifest(built.variants[0].manifest.digest()).unwrap();
    assert_eq!(manifest.annotations().as_ref().unwrap()["m"], "v");
    let index = project.store().index(built.image.unwrap().digest()).unwrap();
    assert_eq!(index.annotations().as_ref().unwrap()["i"], "v");
}

#[test]
fn folders_and_archives() {
    let mut project = both();
    let out = project.place.directory.path().join("out");
    let path = |name: &str| out.join(name);
    project.options.platforms = vec!["wasi/wasm".parse().unwrap(), "linux/amd64".parse().unwrap()];
    project.options.outputs = vec![
        Output::Local(path("folder")),
        Output::Tar(Destination::Path(path("files.tar"))),
        Output::Oci { to: Destination::Path(path("oci.tar")), tar: true },
        Output::Oci { to: Destination::Path(path("layout")), tar: false },
    ];
    let (built, _) = project.build();
    assert!(built.image.is_none());
    assert!(project.store().find("both").is_err(), "only what was asked for");
    assert_eq!(std::fs::read(path("folder/wasi_wasm/app.wasm")).unwrap(), module());
    let app = path("folder/linux_amd64/app");
    assert_eq!(std::fs::metadata(&app).unwrap().permissions().mode() & 0o777, 0o644);
    let mut archive = tar::Archive::new(std::fs::File::open(path("files.tar")).unwrap());
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|e| e.unwrap().path().unwrap().display().to_string())
        .collect();
    assert!(names.contains(&"linux_amd64/bin/sh".to_owned()), "{names:?}");
    let index = crate::support::tools::skopeo(&[
        "inspect",
        "--raw",
        &format!("oci:{}", path("layout").display()),
    ]);
    assert!(index.contains("\"wasi\""), "{index}");
    let loaded = knarr_packager::archive::load_path(project.store(), &path("oci.tar")).unwrap();
    assert_eq!(loaded.len(), 1);
    // a second time, over what is there
    project.build();
    project.options.platforms = vec!["linux/amd64".parse().unwrap()];
    project.options.outputs = vec![Output::Docker(Destination::Path(path("docker.tar")))];
    project.build();
    let inspected = crate::support::tools::skopeo(&[
        "inspect",
        &format!("docker-archive:{}", path("docker.tar").display()),
    ]);
    assert!(inspected.contains("amd64"));
}

#[test]
fn a_wasm_artifact() {
    let mut project = both();
    project.options.platforms = vec!["wasi/wasm".parse().unwrap()];
    project.options.outputs = vec![Output::WasmArtifact];
    let (built, _) = project.build();
    let top = built.image.unwrap();
    let manifest = project.store().manifest(top.digest()).unwrap();
    assert_eq!(manifest.config().media_type().to_string(), "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest.layers()[0].media_type().to_string(), "application/wasm");
    assert_eq!(
        crate::support::images::bytes(project.store(), manifest.layers()[0].digest()),
        module()
    );
    let json: serde_json::Value = serde_json::from_slice(&crate::support::images::bytes(
        project.store(),
        manifest.config().digest(),
    ))
    .unwrap();
    assert_eq!(
        (json["os"].as_str(), json["architecture"].as_str()),
        (Some("wasip1"), Some("wasm"))
    );
    let image = project.store().find("both").unwrap();
    assert!(project.store().variants(&image).unwrap()[0].platform.is_wasm());
    project.options.platforms = vec!["linux/amd64".parse().unwrap()];
    assert!(project.fails().contains("has no Wasm module as its entrypoint"));
}

#[test]
fn triggers_of_a_base_image() {
    let mut project =
        Project::new("FROM scratch\nONBUILD COPY f /from-trigger\nONBUILD ENV T=1\nCOPY f /own\n");
    project.options.tags = vec!["trigger".parse().unwrap()];
    project.file("f", "F");
    let (parent, _) = project.build();
    assert_eq!(project.config(&parent).config.on_build, ["COPY f /from-trigger", "ENV T=1"]);
    project.options.tags.clear();
    project.file("Dockerfile", "FROM trigger\nRUN env T /t\n");
    let (built, _) = project.build();
    assert!(project.files(&built).contains(&"t 644 0:0 \"1\"".to_owned()));
    assert!(project.files(&built).contains(&"from-trigger 644 0:0 \"F\"".to_owned()));
    let config = project.config(&built);
    assert!(config.config.on_build.is_empty());
    assert_eq!(config.history.len(), 4, "a trigger gets a line where it is run");
    project.file("f", "G");
    project.file("Dockerfile", "FROM trigger\nONBUILD RUN never\nCOPY nothing /\n");
    assert!(project.fails().contains("Dockerfile:3:1"));
}

#[test]
fn manifests_and_configurations_satisfy_the_specification() {
    let mut project = both();
    project.options.attestations.provenance = Some(Provenance::default());
    let (built, _) = project.build();
    let of = |digest: &Digest| crate::support::images::bytes(project.store(), digest);
    let top = built.image.unwrap();
    crate::schemas::validate("image-index-schema.json", &of(top.digest()));
    for descriptor in project.store().index(top.digest()).unwrap().manifests() {
        crate::schemas::validate("image-manifest-schema.json", &of(descriptor.digest()));
        let manifest = project.store().manifest(descriptor.digest()).unwrap();
        crate::schemas::validate("config-schema.json", &of(manifest.config().digest()));
    }
}
