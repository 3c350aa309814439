//! Plans, printed: what would be done, and what with.

use crate::support::builds::{Project, base};
use knarr_core::image::{ImageConfig, Platform};
use knarr_core::store::digest_of;
use knarr_packager::build::Error;
use knarr_packager::build::options::Options;
use knarr_packager::build::plan::{BaseImage, Images, plan};
use knarr_packager::dockerfile::parse;

/// Every image exists, with a variable that tells its name.
struct Everything;

impl Images for Everything {
    fn get(&self, reference: &str, platform: &Platform) -> Result<BaseImage, Error> {
        let mut config = ImageConfig {
            os: platform.os.clone(),
            architecture: platform.architecture.clone(),
            ..ImageConfig::default()
        };
        config.config.env = vec!["PATH=/bin".into()];
        config.config.working_dir = "/base".into();
        if reference.contains("trigger") {
            config.config.on_build = vec!["COPY x /x".into(), "RUN later".into()];
        }
        Ok(BaseImage {
            reference: reference.to_owned(),
            digest: digest_of(reference.as_bytes()),
            manifest: digest_of(format!("{reference} {platform}").as_bytes()),
            config,
            platform: platform.clone(),
        })
    }
}

fn printed(dockerfile: &str, change: impl FnOnce(&mut Options)) -> String {
    let runnable = crate::support::options().runnable;
    let mut options = Options::of_folder("/context", runnable);
    change(&mut options);
    let dockerfile = parse(dockerfile.as_bytes(), "Dockerfile").unwrap();
    match plan(&dockerfile, &options, &Everything) {
        Ok(plan) => plan.to_string(),
        Err(error) => format!("error: {}\n", crate::support::story(&error)),
    }
}

#[track_caller]
fn check(dockerfile: &str, change: impl FnOnce(&mut Options), expected: &str) {
    let printed = printed(dockerfile, change);
    assert!(printed == expected, "the plan is\n{printed}\ninstead of\n{expected}");
}

#[test]
fn only_needed_stages_in_their_order() {
    check(
        "FROM a AS one\nRUN 1\nFROM b AS unused\nRUN 2\nFROM one AS three\nRUN 3\nFROM scratch\nCOPY --from=three /o /\n",
        |_| {},
        "variant linux/amd64
  stage one (linux/amd64) from image docker.io/library/a:latest
    2: RUN 1
      args [\"/bin/sh\", \"-c\", \"1\"]
      env [\"PATH=/bin\"]
      in /base as \"\", network Default
    + RUN /bin/sh -c 1 # buildkit
  stage three (linux/amd64) from stage one
    6: RUN 3
      args [\"/bin/sh\", \"-c\", \"3\"]
      env [\"PATH=/bin\"]
      in /base as \"\", network Default
    + RUN /bin/sh -c 3 # buildkit
  stage stage-3 (linux/amd64) from scratch
    8: COPY --from=three /o /
      /o of the stage three to /
    + COPY /o / # buildkit
",
    );
}

#[test]
fn a_target_by_name_and_by_number() {
    let dockerfile = "FROM a AS One\nFROM b AS two\n";
    let one =
        "variant linux/amd64\n  stage one (linux/amd64) from image docker.io/library/a:latest\n";
    check(dockerfile, |o| o.target = Some("ONE".into()), one);
    check(dockerfile, |o| o.target = Some("0".into()), one);
    check(
        dockerfile,
        |o| o.target = Some("three".into()),
        "error: there is no stage \"three\" in the Dockerfile\nhint: the stages are one, two\n",
    );
    check(
        dockerfile,
        |o| o.target = Some("tow".into()),
        "error: there is no stage \"tow\" in the Dockerfile\nhint: did you mean two? the stages are one, two\n",
    );
}

#[test]
fn arguments_have_scopes() {
    check(
        "ARG tag=1\nARG other=x$tag\nFROM a:$tag AS b\nARG tag\nARG own=o-$tag\nENV v=$own w=$other\nRUN x\n\
         FROM b\nLABEL l=$own-$tag-$TARGETOS\nARG TARGETOS\nLABEL m=$TARGETOS\n",
        |o| {
            o.args.insert("tag".into(), "2".into());
            o.args.insert("nobody".into(), "wants".into());
        },
        "variant linux/amd64
  stage b (linux/amd64) from image docker.io/library/a:2
    7: RUN x
      args [\"/bin/sh\", \"-c\", \"x\"]
      env [\"PATH=/bin\", \"own=o-2\", \"tag=2\", \"v=o-2\", \"w=\"]
      in /base as \"\", network Default
    - ARG tag=2
    - ARG own=o-2
    - ENV v=o-2 w=
    + RUN |2 tag=2 own=o-2 /bin/sh -c x # buildkit
  stage stage-1 (linux/amd64) from stage b
    - LABEL l=o-2-2-
    - ARG TARGETOS=linux
    - LABEL m=linux
warning: one or more build-args [\"nobody\"] were not consumed
",
    );
}

#[test]
fn each_platform_has_its_own_stages() {
    check(
        "FROM --platform=$BUILDPLATFORM rust AS build\nARG TARGETARCH\nRUN make $TARGETARCH\n\
         FROM scratch AS wasi\nCOPY --from=build /app /app.wasm\nFROM debian AS linux\nCOPY --from=build /app /app\nFROM ${TARGETOS}\n",
        |o| o.platforms = vec!["wasi/wasm".parse().unwrap(), "linux/arm64".parse().unwrap()],
        "variant wasi/wasm
  stage build (linux/amd64) from image docker.io/library/rust:latest
    3: RUN make $TARGETARCH
      args [\"/bin/sh\", \"-c\", \"make $TARGETARCH\"]
      env [\"PATH=/bin\", \"TARGETARCH=wasm\"]
      in /base as \"\", network Default
    - ARG TARGETARCH=wasm
    + RUN |1 TARGETARCH=wasm /bin/sh -c make $TARGETARCH # buildkit
  stage wasi (wasi/wasm) from scratch
    5: COPY --from=build /app /app.wasm
      /app of the stage build to /app.wasm
    + COPY /app /app.wasm # buildkit
  stage stage-3 (wasi/wasm) from stage wasi
variant linux/arm64
  stage build (linux/amd64) from image docker.io/library/rust:latest
    3: RUN make $TARGETARCH
      args [\"/bin/sh\", \"-c\", \"make $TARGETARCH\"]
      env [\"PATH=/bin\", \"TARGETARCH=arm64\"]
      in /base as \"\", network Default
    - ARG TARGETARCH=arm64
    + RUN |1 TARGETARCH=arm64 /bin/sh -c make $TARGETARCH # buildkit
  stage linux (linux/arm64) from image docker.io/library/debian:latest
    7: COPY --from=build /app /app
      /app of the stage build to /app
    + COPY /app /app # buildkit
  stage stage-3 (linux/arm64) from stage linux
",
    );
}

#[test]
fn metadata_as_buildkit_tells_it() {
    check(
        "FROM scratch\nSHELL [\"/bin/bash\", \"-c\"]\nENTRYPOINT [\"a\", \"b c\"]\nCMD x y\nHEALTHCHECK --interval=90s --retries=3 CMD curl x\n\
         STOPSIGNAL SIGINT\nUSER 1:2\nVOLUME /v /w\nEXPOSE 80 53/udp\nMAINTAINER me\nONBUILD RUN x\nWORKDIR sub\nWORKDIR deep\n",
        |_| {},
        "variant linux/amd64
  stage stage-0 (linux/amd64) from scratch
    12: WORKDIR /sub
      make /sub for 1:2
    13: WORKDIR /sub/deep
      make /sub/deep for 1:2
    - SHELL [/bin/bash -c]
    - ENTRYPOINT [\"a\" \"b c\"]
    - CMD [\"/bin/bash\" \"-c\" \"x y\"]
    - HEALTHCHECK &{[\"CMD-SHELL\" \"curl x\"] \"1m30s\" \"0s\" \"0s\" \"0s\" '\\x03'}
    - STOPSIGNAL SIGINT
    - USER 1:2
    - VOLUME [/v /w]
    - EXPOSE [53/udp 80/tcp]
    - MAINTAINER me
    + WORKDIR /sub
    + WORKDIR /sub/deep
",
    );
}

#[test]
fn triggers_come_first() {
    check(
        "FROM trigger AS t\nFROM t\nRUN last\n",
        |o| o.target = Some("t".into()),
        "variant linux/amd64
  stage t (linux/amd64) from image docker.io/library/trigger:latest
    1: COPY x /x
      x of the context to /x
    1: RUN later
      args [\"/bin/sh\", \"-c\", \"later\"]
      env [\"PATH=/bin\"]
      in /base as \"\", network Default
    + COPY x /x # buildkit
    + RUN /bin/sh -c later # buildkit
",
    );
}

#[test]
fn mounts() {
    check(
        "FROM a AS b\nFROM a\nARG where=/w\nRUN --mount=type=bind,from=b,source=/s,target=rel --mount=type=cache,target=$where,sharing=locked \
         --mount=type=tmpfs,target=/t --mount=type=secret,id=k --mount=type=ssh --network=none x\n",
        |_| {},
        "variant linux/amd64
  stage b (linux/amd64) from image docker.io/library/a:latest
  stage stage-1 (linux/amd64) from image docker.io/library/a:latest
    4: RUN x
      args [\"/bin/sh\", \"-c\", \"x\"]
      env [\"PATH=/bin\", \"where=/w\"]
      in /base as \"\", network None
      mount /s of the stage b at /base/rel, read-only
      mount cache /w at /w, Locked
      mount tmpfs at /t
      secret k at Some(\"/run/secrets/k\") as None
      agent default at /run/buildkit/ssh_agent.4
    - ARG where=/w
    + RUN |1 where=/w /bin/sh -c x # buildkit
",
    );
}

#[test]
fn mistakes() {
    let error = |dockerfile: &str| printed(dockerfile, |_| {});
    let circle =
        error("FROM scratch AS a\nCOPY --from=b / /\nFROM scratch AS b\nCOPY --from=a / /\n");
    assert!(circle.contains("needs itself"), "{circle}");
    let empty = error("ARG base\nFROM $base\n");
    assert!(
        empty.starts_with(
            "error: FROM \"$base\" gives no name at all\nhint: give the ARG a default"
        ),
        "{empty}"
    );
    let upper = error("FROM Not/An/Image\n");
    assert!(upper.contains("hint: try \"not/an/image\""), "{upper}");
    let platform = error("FROM --platform=a/b/c/d x\n");
    assert!(platform.contains("a/b/c/d"), "{platform}");
}

/// The planner asks only for what it needs: an image of a stage that nobody wants is not even looked for.
#[test]
fn images_of_unused_stages_are_not_asked_for() {
    let project = Project::new("FROM registry.invalid/nothing AS unused\nFROM base\n");
    base(project.store(), "base", "linux/amd64", &[("a", b"")]);
    project.build();
}
