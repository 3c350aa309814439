//! `RUN --mount`: what is seen at its target, and whose it is.

use crate::harness::Knarr;

#[test]
fn the_root_is_a_place_as_any_other() {
    let knarr = Knarr::new().with_busybox();
    knarr.context(&[("f", "of the context\n")]);
    let named = knarr.files().join("named");
    std::fs::create_dir(&named).unwrap();
    std::fs::write(named.join("n"), "of a named one\n").unwrap();
    let said = knarr.built(
        "FROM busybox AS s
RUN echo of a stage >/f
FROM scratch AS nothing
FROM busybox
RUN --mount=from=s,target=/m cat /m/f | sed s/^/1/
RUN --mount=from=s,source=/,target=/m cat /m/f | sed s/^/2/
RUN --mount=from=s,source=.,target=/m cat /m/f | sed s/^/3/
RUN --mount=from=s,source=/..,target=/m,rw cat /m/f | sed s/^/4/; echo x >/m/new
RUN --mount=from=busybox,target=/m test -x /m/bin/busybox
RUN --mount=target=/m cat /m/f | sed s/^/5/
RUN --mount=source=/,target=/m cat /m/f | sed s/^/6/
RUN --mount=from=named,target=/m cat /m/n | sed s/^/7/
RUN --mount=from=nothing,target=/m ls -a /m | wc -l | sed s/^/8/
RUN --mount=type=cache,from=s,target=/m cat /m/f | sed s/^/9/
RUN --mount=type=cache,from=s,source=/,id=other,target=/m cat /m/f | sed s/^/10/
COPY --from=s / /all/
COPY --from=named . /all/
RUN cat /all/f /all/n
",
        &["--no-cache", "--build-context", &format!("named={}", named.display())],
    );
    let stage = [1, 2, 3, 4, 9, 10].map(|n| format!("{n}of a stage"));
    let others = ["5of the context", "6of the context", "7of a named one", "82"];
    for expected in stage.iter().map(String::as_str).chain(others) {
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
}

#[test]
fn nothing_of_a_context_is_mounted_as_nothing() {
    let knarr = Knarr::new().with_busybox();
    let dockerfile = b"FROM busybox\nRUN --mount=target=/m ls -a /m | wc -l >/n\nCMD cat /n\n";
    knarr.run_with_input(&["build", "-t", "app", "-"], dockerfile).code(0);
    assert_eq!(knarr.ok(&["run", "--rm", "app"]), "2");
}

#[test]
fn a_cache_belongs_to_whom_it_is_made_for() {
    let knarr = Knarr::new().with_busybox();
    let said = knarr.built(
        "FROM busybox AS s
RUN mkdir -m 750 /seed && chown 5:6 /seed && echo seed >/seed/f
FROM busybox
RUN --mount=type=cache,target=/c echo root >/c/x; stat -c a%u:%g:%a /c
RUN --mount=type=cache,target=/c,uid=0 test ! -e /c/x
RUN --mount=type=cache,target=/c,mode=0700 test ! -e /c/x; stat -c b%u:%g:%a /c
RUN --mount=type=cache,target=/c,gid=7 stat -c c%u:%g:%a /c
RUN --mount=type=cache,target=/c,from=s,source=/seed cat /c/f; stat -c d%u:%g:%a /c
RUN --mount=type=cache,target=/c,from=s,source=/seed,uid=9 stat -c e%u:%g:%a /c
RUN --mount=type=cache,target=/d,id=/c,sharing=locked sed s/^/f/ /d/x
USER 1000
RUN --mount=type=cache,target=/c,uid=1000,mode=0o755 stat -c g%u:%g:%a /c; touch /c/x
RUN --mount=type=cache,target=/c,uid=1000,mode=755 ls /c | sed s/^/h/
",
        &["--no-cache"],
    );
    for expected in [
        "a0:0:755",
        "b0:0:700",
        "c0:7:755",
        "seed",
        "d5:6:750",
        "e9:6:750",
        "froot",
        "g1000:0:755",
        "hx",
    ] {
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
}

#[test]
fn a_user_may_write_where_it_works() {
    let knarr = Knarr::new().with_busybox();
    knarr.built(
        "FROM busybox
USER 1000:1000
WORKDIR /app/deep
RUN touch here ../there
CMD [\"stat\", \"-c\", \"%u:%g:%a\", \"/app\", \".\", \"here\"]
",
        &[],
    );
    assert_eq!(knarr.ok(&["run", "--rm", "app"]), "1000:1000:755\n1000:1000:755\n1000:1000:644");
}
