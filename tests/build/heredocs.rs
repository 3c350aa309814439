//! Documents in a Dockerfile, from its text to what ran or is in the image.

use crate::harness::Knarr;

#[test]
fn a_document_with_an_interpreter_is_executed() {
    let knarr = Knarr::new().with_busybox();
    let said = knarr.built(
        "FROM busybox
RUN <<EOF
#!/bin/sh
echo \"$0 by $(id -u)\"
touch /made
EOF
RUN <<-\"X\"
\t#!/bin/cat
\tanother interpreter
\tX
USER 1000:1000
RUN --mount=type=tmpfs,target=/t <<later
#!/bin/sh
echo \"$(id -u) may: $(stat -c %a $0)\"
touch $0 2>/dev/null || echo but not write
later
USER 0
RUN <<A cat && cat <<'B' && cat <<-C
one
A
$two
B
\tthree
C
RUN ls /dev/pipes 2>/dev/null || echo nothing is left
ONBUILD RUN <<EOF
#!/bin/sh
echo triggered as $0
EOF
ONBUILD COPY <<EOF /from-trigger
content
EOF
",
        &["--no-cache"],
    );
    for expected in [
        "/dev/pipes/EOF by 0",
        "another interpreter",
        "1000 may: 755",
        "but not write",
        "one",
        "$two",
        "three",
        "nothing is left",
        "RUN <<EOF (#!/bin/sh...)",
    ] {
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
    let said = knarr.built("FROM app\nRUN cat /from-trigger && ls /made\n", &["--no-cache"]);
    for expected in ["triggered as /dev/pipes/EOF", "content", "/made"] {
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
    let out = knarr.files().join("out");
    knarr.built("FROM app\n", &["-o", out.to_str().unwrap()]);
    assert!(!out.join("dev/pipes").exists());
}

#[test]
fn errors_of_a_script_name_what_was_written() {
    let knarr = Knarr::new().with_busybox();
    let error = knarr.build("FROM busybox\nRUN <<EOF\n#!/bin/nosuch\nx\nEOF\n", &[]).error(1);
    for expected in ["<<EOF (#!/bin/nosuch...)", "hint: the first line of a script", "Dockerfile:2"]
    {
        assert!(error.contains(expected), "{expected:?} in {error}");
    }
    let error = knarr.build("FROM busybox\nRUN <<EOF\n#!/bin/sh\nexit 7\nEOF\n", &[]).error(1);
    assert!(error.contains("<<EOF (#!/bin/sh...)") && error.contains("exit code: 7"), "{error}");
    assert!(!error.contains("/dev/pipes"), "{error}");
}

#[test]
fn documents_become_files() {
    let knarr = Knarr::new().with_busybox();
    knarr.built(
        "FROM busybox
ARG NAME=world
USER 1000
COPY --chown=5:6 --chmod=0o755 <<hello.sh <<'data' /d/
#!/bin/sh
echo hello $NAME
hello.sh
$NAME
data
ADD --chmod=600 <<-E /e
\tindented
\tE
CMD [\"sh\", \"-c\", \"/d/hello.sh; cat /d/data; stat -c '%a %u %g' /d /d/hello.sh /e\"]
",
        &[],
    );
    let out = knarr.ok(&["run", "--rm", "app"]);
    assert_eq!(out, "hello world\n$NAME\n755 5 6\n755 5 6\n600 0 0");
}

#[test]
fn what_is_no_document_is_left_to_the_shell() {
    let knarr = Knarr::new().with_busybox();
    let said = knarr.built(
        "FROM busybox
RUN echo a$((1 << 2)) b$((1<<3)) c$((1 <<4))
RUN echo 'd << E' \"f <<G\" # <<H
RUN cat << EOF
a blank before the name
EOF
",
        &["--no-cache"],
    );
    for expected in ["a4 b8 c16", "d << E f <<G", "a blank before the name"] {
        assert!(said.contains(expected), "{expected:?} in {said}");
    }
    let error = knarr.build("FROM busybox\nRUN cat <<EOF\nnever ends\n", &[]).error(1);
    assert!(error.contains("'EOF'"), "{error}");
}
