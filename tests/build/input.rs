//! Contexts and Dockerfiles from elsewhere than a folder.

use crate::harness::Knarr;
use crate::harness::image::Tar;
use std::process::Command;

#[test]
fn a_dockerfile_on_standard_input() {
    let knarr = Knarr::new().with_busybox();
    let dockerfile = b"FROM busybox\nRUN echo from stdin >/made\nCMD [\"cat\",\"/made\"]\n";
    knarr.run_with_input(&["build", "-t", "app", "-"], dockerfile).code(0);
    assert_eq!(knarr.ok(&["run", "--rm", "app"]), "from stdin");
    let context = knarr.context(&[("file", "of the context")]);
    let dockerfile = b"FROM busybox\nCOPY file /\nCMD [\"cat\",\"/file\"]\n";
    let words = ["build", "-t", "app", "-f", "-", context.to_str().unwrap()];
    knarr.run_with_input(&words, dockerfile).code(0);
    assert_eq!(knarr.ok(&["run", "--rm", "app"]), "of the context");
    let error = knarr.run_with_input(&["build", "-f", "-", "-"], b"FROM busybox").code(1);
    assert!(error.stderr.contains("cannot be both"), "{}", error.stderr);
}

#[test]
fn an_archive_on_standard_input() {
    let knarr = Knarr::new().with_busybox();
    let mut tar = Tar::new();
    tar.file("Dockerfile.other", 0o644, b"FROM busybox\nCOPY a b/\nCMD [\"cat\",\"/b/a\"]\n");
    tar.file("a", 0o644, b"from an archive");
    let tar = tar.finish();
    let words = ["build", "-t", "app", "-f", "Dockerfile.other", "-"];
    knarr.run_with_input(&words, &tar).code(0);
    assert_eq!(knarr.ok(&["run", "--rm", "app"]), "from an archive");
}

#[test]
fn a_git_repository() {
    let knarr = Knarr::new().with_busybox();
    let context = knarr.context(&[
        ("sub/Dockerfile", "FROM busybox\nCOPY a /\nCMD [\"cat\",\"/a\"]\n"),
        ("sub/a", "committed"),
    ]);
    let git = |words: &[&str]| {
        let identity =
            ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"];
        let status =
            Command::new("git").arg("-C").arg(&context).args(identity).args(words).output();
        assert!(status.unwrap().status.success(), "{words:?}");
    };
    git(&["init", "-q"]);
    git(&["add", "."]);
    git(&["commit", "-qm", "one"]);
    std::fs::write(context.join("sub/a"), "not committed").unwrap();
    // over a connection that leads to this machine, so that no server is needed
    let ssh = knarr.file("ssh", "#!/bin/sh\nfor last; do :; done\nexec sh -c \"$last\"\n");
    std::fs::set_permissions(&ssh, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let url = format!("ssh://here{}#main:sub", context.display());
    knarr
        .run_with(&["build", "-t", "app", &url], |command| {
            let path = std::env::var("PATH").unwrap();
            command.env("PATH", format!("{}:{path}", knarr.files().display()));
        })
        .code(0);
    assert_eq!(knarr.ok(&["run", "--rm", "app"]), "committed");
}

/// The repository that a build is started in may be anybody's.
#[test]
fn a_connection_is_not_made_as_the_folder_around_says() {
    let knarr = Knarr::new();
    let context =
        knarr.context(&[("Dockerfile", "FROM scratch\nADD git://127.0.0.1:1/x.git /x\n")]);
    let marker = knarr.files().join("marker");
    let proxy = knarr.file("proxy", format!("#!/bin/sh\ntouch {}\n", marker.display()));
    std::fs::set_permissions(&proxy, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for words in [vec!["init", "-q"], vec!["config", "core.gitProxy", proxy.to_str().unwrap()]] {
        let ended = Command::new("git").arg("-C").arg(&context).args(&words).output().unwrap();
        assert!(ended.status.success(), "{words:?}");
    }
    let ended = knarr.run_with(&["build", "."], |command| {
        command.current_dir(&context);
    });
    assert!(ended.error(1).contains("git ls-remote"));
    assert!(!marker.exists());
}

#[test]
fn files_outside_the_context_cannot_be_had() {
    let knarr = Knarr::new().with_busybox();
    knarr.file("outside", "not yours");
    let context = knarr.context(&[("Dockerfile", "FROM busybox\nCOPY link /\n")]);
    std::os::unix::fs::symlink("../outside", context.join("link")).unwrap();
    std::os::unix::fs::symlink("..", context.join("up")).unwrap();
    for copy in ["../outside", "up/outside", "link"] {
        let dockerfile = format!("FROM busybox\nCOPY {copy} /copied\n");
        let ended = knarr.build(&dockerfile, &["-o", knarr.files().join("out").to_str().unwrap()]);
        let copied = std::fs::read_to_string(knarr.files().join("out/copied"));
        assert!(!copied.is_ok_and(|text| text.contains("not yours")), "{copy}: {ended:?}");
    }
}
