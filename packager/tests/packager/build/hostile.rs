//! Contexts that somebody prepared: nothing outside is read, and what is ignored is not even opened.

use crate::support::builds::{Project, base};
use std::os::unix::fs::symlink;

#[test]
fn links_lead_nowhere_outside() {
    let project = Project::new("");
    let outside = project.place.directory.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("key"), "private").unwrap();
    let context = project.context();
    symlink(outside.join("key"), context.join("absolute")).unwrap();
    symlink("../outside/key", context.join("relative")).unwrap();
    symlink("../outside", context.join("folder")).unwrap();
    symlink("/", context.join("root")).unwrap();
    symlink("loop", context.join("loop")).unwrap();
    project.file("ok", "ok");
    for source in
        ["absolute", "relative", "folder/key", "loop", "root/etc/passwd", "../outside/key"]
    {
        project.file("Dockerfile", format!("FROM scratch\nCOPY {source} /x\n"));
        let story = project.fails();
        assert!(!story.contains("private"), "{story}");
    }
    project.file("Dockerfile", "FROM scratch\nCOPY folder/* /x/\n");
    let (built, _) = project.build();
    assert!(project.files(&built).is_empty());
    // as links they are copied, and mean something else in the image
    project.file("Dockerfile", "FROM scratch\nCOPY . /\n");
    project.file(".dockerignore", "Dockerfile\n.dockerignore\n");
    let (built, _) = project.build();
    let files = project.files(&built);
    assert_eq!(
        files,
        [
            format!("absolute -> {}", outside.join("key").display()),
            "folder -> ../outside".into(),
            "loop -> loop".into(),
            "ok 644 0:0 \"ok\"".into(),
            "relative -> ../outside/key".into(),
            "root -> /".into(),
        ]
    );
}

#[test]
fn links_of_an_image_lead_nowhere_outside_it() {
    let project = Project::new(
        "FROM base\nCOPY ok /escape/planted\nCOPY --from=base /escape/hostname /host\n",
    );
    project.file("ok", "ok");
    let outside = project.place.directory.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("hostname"), "of the host").unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    tar.append_link(&mut header, "escape", &outside).unwrap();
    let layer = tar.into_inner().unwrap();
    let image = crate::support::images::manifest(project.store(), "linux/amd64", &[layer]);
    project.store().tag(&"base".parse().unwrap(), image).unwrap();
    let story = project.fails();
    assert!(story.contains("hostname\" is not in the image"), "{story}");
    assert!(!outside.join("planted").exists());
    project.file("Dockerfile", "FROM base\nCOPY ok /escape/planted\n");
    let (built, _) = project.build();
    let inside = outside.strip_prefix("/").unwrap().join("planted");
    assert!(project.files(&built).contains(&format!("{} 644 0:0 \"ok\"", inside.display())));
    assert!(!outside.join("planted").exists());
}

#[test]
fn special_files_are_refused_or_left_out() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let project = Project::new("FROM scratch\nCOPY . /\n");
    let _socket = std::os::unix::net::UnixListener::bind(project.context().join("socket")).unwrap();
    project.build();
    // in a layer it would remove a file
    let path = project.context().join("whiteout");
    mknodat(CWD, &path, FileType::CharacterDevice, Mode::RUSR, 0).unwrap();
    let story = project.fails();
    assert!(story.contains("\"whiteout\" is a device 0:0"), "{story}");
    std::fs::remove_file(path).unwrap();
    // a Dockerfile that is a pipe must not make us wait
    std::fs::remove_file(project.context().join("Dockerfile")).unwrap();
    mknodat(CWD, project.context().join("Dockerfile"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    project.fails();
}

#[test]
fn what_is_ignored_is_not_opened() {
    let project =
        Project::new("FROM scratch\nCOPY . /\nRUN --mount=target=/ctx cat /ctx/kept /k\n");
    project.file(".dockerignore", "*\n!kept\n!some/deep/one\n");
    project.file("kept", "K");
    project.file("some/deep/one", "1");
    project.file("some/deep/two", "2");
    // a file that cannot be copied at all stands for one that must not be read
    let path = project.context().join("some/whiteout");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let (built, _) = project.build();
    assert_eq!(
        project.files(&built),
        [
            "k 644 0:0 \"K\"",
            "kept 644 0:0 \"K\"",
            "some/ 755 0:0",
            "some/deep/ 755 0:0",
            "some/deep/one 644 0:0 \"1\"",
        ]
    );
    for source in ["some/deep/two", "Dockerfile"] {
        project.file("Dockerfile", format!("FROM scratch\nCOPY {source} /\n"));
        project.fails();
    }
}

#[test]
fn patterns_do_not_match_what_is_ignored() {
    let project = Project::new("FROM scratch\nCOPY * d/* /\n");
    project.file(".dockerignore", "*\n!kept\n");
    for name in ["kept", "two", "d/three"] {
        project.file(name, name);
    }
    let (built, _) = project.build();
    assert_eq!(project.files(&built), ["kept 644 0:0 \"kept\""]);
}

#[test]
fn archives_cannot_escape() {
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    let name = b"../../escaped";
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_cksum();
    tar.append(&header, &b"evil"[..]).unwrap();
    let project = Project::new("FROM scratch\nADD x.tar /\n");
    project.file("x.tar", tar.into_inner().unwrap());
    let story = project.fails();
    assert!(story.contains("leads outside"), "{story}");
}

#[test]
fn a_git_address_is_no_option_and_no_local_path() {
    for address in ["https://h/x.git#--upload-pack=touch", "ssh://-oProxyCommand=touch/x"] {
        let project = Project::new(&format!("FROM scratch\nADD {address} /x\n"));
        project.fails();
    }
    let project = Project::new("FROM base\nADD file:///etc/hostname /x\n");
    base(project.store(), "base", "linux/amd64", &[("a", b"")]);
    assert!(project.fails().contains("is not in the context"));
}
