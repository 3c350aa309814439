//! Where `COPY` and `ADD` put things. The expectations are what BuildKit does.

use crate::support::builds::{Project, base};
use std::os::unix::fs::{PermissionsExt, symlink};

/// The files of an image made by these instructions on an empty base, the context's being `a`, `b/c` and `b/d/e`.
fn copied(instructions: &str) -> Vec<String> {
    let project = Project::new(&format!("FROM scratch\n{instructions}\n"));
    sample(&project);
    let (built, _) = project.build();
    project.files(&built)
}

fn sample(project: &Project) {
    project.file("a", "A");
    project.file("b/c", "C");
    project.file("b/d/e", "E");
    project.file(".dockerignore", "Dockerfile\n.dockerignore\n");
}

#[test]
fn files_and_directories() {
    let c = "c 644 0:0 \"C\"";
    let e = ["d/ 755 0:0", "d/e 644 0:0 \"E\""];
    assert_eq!(copied("COPY a /x"), ["x 644 0:0 \"A\""]);
    assert_eq!(copied("COPY a /x/"), ["x/ 755 0:0", "x/a 644 0:0 \"A\""]);
    assert_eq!(copied("COPY a /x/y"), ["x/ 755 0:0", "x/y 644 0:0 \"A\""]);
    assert_eq!(copied("COPY b /"), [c, e[0], e[1]]);
    assert_eq!(copied("COPY b ."), [c, e[0], e[1]]);
    assert_eq!(copied("WORKDIR /w\nCOPY a ."), ["w/ 755 0:0", "w/a 644 0:0 \"A\""]);
    assert_eq!(copied("WORKDIR /w\nCOPY a ../z"), ["w/ 755 0:0", "z 644 0:0 \"A\""]);
    assert_eq!(copied("COPY a b/c /"), ["a 644 0:0 \"A\"", c]);
    assert_eq!(
        copied("COPY b/* /"),
        [c, "e 644 0:0 \"E\""],
        "what matches a pattern is copied one by one"
    );
    assert_eq!(
        copied("RUN mkdir /seven\nCOPY --chmod=700 b/d /n"),
        ["n/ 700 0:0", "n/e 700 0:0 \"E\"", "seven/ 755 0:0"],
        "what is made is what is copied"
    );
    assert_eq!(
        copied("RUN mkdir /n\nCOPY --chmod=700 b/d /n"),
        ["n/ 755 0:0", "n/e 700 0:0 \"E\""],
        "what is there stays as it is"
    );
    assert_eq!(copied("COPY [\"a\", \"/with blank\"]"), ["with blank 644 0:0 \"A\""]);
    assert_eq!(copied("COPY ../../a /x"), ["x 644 0:0 \"A\""], "'..' ends at the context");
}

#[test]
fn several_files_need_a_directory() {
    let project = Project::new("FROM scratch\nCOPY a b/c /x\n");
    sample(&project);
    let story = project.fails();
    assert!(story.contains("does not end in a slash"), "{story}");
    assert!(story.contains("hint: write it as /x/"), "{story}");
    project.file("Dockerfile", "FROM scratch\nCOPY nothing /\n");
    assert!(project.fails().contains("\"nothing\" is not in the context"));
    // a pattern may match nothing, and too much
    assert_eq!(copied("COPY a yarn.lock* /x/"), ["x/ 755 0:0", "x/a 644 0:0 \"A\""]);
    project.file("Dockerfile", "FROM scratch\nCOPY [a]* /x\n");
    project.file("a2", "B");
    assert_eq!(project.build().1.of("2 files are copied to /x"), ["WARNING"]);
}

#[test]
fn options() {
    assert_eq!(copied("COPY --chmod=4711 --chown=7:8 a /x/"), ["x/ 755 7:8", "x/a 4711 7:8 \"A\""]);
    assert_eq!(
        copied("COPY --chmod=u=rwX,go= b /"),
        ["c 600 0:0 \"C\"", "d/ 700 0:0", "d/e 600 0:0 \"E\""]
    );
    assert_eq!(copied("COPY --exclude=d --exclude=*.tmp b /"), ["c 644 0:0 \"C\""]);
    assert_eq!(
        copied("COPY --parents b/d/e /x/"),
        ["x/ 755 0:0", "x/b/ 755 0:0", "x/b/d/ 755 0:0", "x/b/d/e 644 0:0 \"E\""]
    );
    assert_eq!(copied("COPY --parents b/./d/e /"), ["d/ 755 0:0", "d/e 644 0:0 \"E\""]);
    assert_eq!(copied("COPY --link a /x"), ["x 644 0:0 \"A\""]);
}

#[test]
fn documents() {
    assert_eq!(
        copied("ARG n=1\nCOPY <<one <<'two' /x/\n$n\none\n$n\ntwo"),
        ["x/ 755 0:0", "x/one 644 0:0 \"1\\n\"", "x/two 644 0:0 \"$n\\n\"",]
    );
}

#[test]
fn names_of_owners_come_from_the_image() {
    let project = Project::new("FROM base\nCOPY --chown=web:www a /x\n");
    let passwd = &b"web:x:33:44::/:\n"[..];
    let files = [("etc/passwd", passwd), ("etc/group", &b"www:x:55:\n"[..])];
    base(project.store(), "base", "linux/amd64", &files);
    project.file("a", "A");
    let (built, _) = project.build();
    assert!(project.files(&built).contains(&"x 644 33:55 \"A\"".to_owned()));
    project.file("Dockerfile", "FROM base\nCOPY --chown=nobody a /x\n");
    assert!(project.fails().contains("there is no user \"nobody\" in /etc/passwd"));
}

#[test]
fn links_inside_are_kept_and_the_named_one_is_followed() {
    let project = Project::new("FROM scratch\nCOPY named /x\nCOPY dir /d/\n");
    project.file("a", "A");
    project.file("dir/f", "F");
    symlink("a", project.context().join("named")).unwrap();
    symlink("../a", project.context().join("dir/link")).unwrap();
    let (built, _) = project.build();
    assert_eq!(
        project.files(&built),
        ["d/ 755 0:0", "d/f 644 0:0 \"F\"", "d/link -> ../a", "x 644 0:0 \"A\""]
    );
}

#[test]
fn what_is_below_is_seen() {
    let dockerfile = "FROM base\nCOPY a /lib/new\nCOPY b /usr\nCOPY a /file\nCOPY a /dir\n";
    let project = Project::new(dockerfile);
    sample(&project);
    let mut tar = tar::Builder::new(Vec::new());
    let mut add = |kind, path: &str, link: &str, mode| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(5);
        header.set_size(0);
        if kind == tar::EntryType::Symlink {
            tar.append_link(&mut header, path, link).unwrap();
        } else {
            tar.append_data(&mut header, path, std::io::empty()).unwrap();
        }
    };
    add(tar::EntryType::Directory, "usr/", "", 0o711);
    add(tar::EntryType::Directory, "usr/lib/", "", 0o700);
    add(tar::EntryType::Directory, "dir/", "", 0o750);
    add(tar::EntryType::Regular, "file", "", 0o600);
    add(tar::EntryType::Symlink, "lib", "usr/lib", 0o777);
    let layer = tar.into_inner().unwrap();
    let image = crate::support::images::manifest(project.store(), "linux/amd64", &[layer]);
    project.store().tag(&"base".parse().unwrap(), image).unwrap();
    let (built, _) = project.build();
    assert_eq!(
        project.files(&built),
        [
            "dir/ 750 5:0",
            "dir/a 644 0:0 \"A\"",
            "file 644 0:0 \"A\"",
            "lib -> usr/lib",
            "usr/ 711 5:0",
            "usr/c 644 0:0 \"C\"",
            "usr/d/ 755 0:0",
            "usr/d/e 644 0:0 \"E\"",
            "usr/lib/ 700 5:0",
            "usr/lib/new 644 0:0 \"A\"",
        ],
        "a directory that is there keeps its attributes, and a link to one leads to it"
    );
}

#[test]
fn archives_are_unpacked_by_add_alone() {
    let tar = crate::support::images::tar(&[("deep/file", b"F")]);
    let gzip = crate::support::images::gzip(&tar);
    let build = |instruction: &str| {
        let project = Project::new(&format!("FROM scratch\n{instruction}\n"));
        project.file("x.tar", &tar);
        project.file("x.tgz", &gzip);
        project.file("no.tar", "text");
        let (built, _) = project.build();
        project.files(&built)
    };
    let unpacked = ["o/ 755 0:0", "o/deep/ 755 0:0", "o/deep/file 755 0:0 \"F\""];
    assert_eq!(build("ADD x.tar /o"), unpacked);
    assert_eq!(build("ADD x.tgz /o/"), unpacked);
    assert_eq!(build("ADD no.tar /o/"), ["o/ 755 0:0", "o/no.tar 644 0:0 \"text\""]);
    assert_eq!(build("COPY x.tgz /o/")[1].split(' ').next().unwrap(), "o/x.tgz");
    assert_eq!(build("ADD --unpack=false x.tgz /o/")[1].split(' ').next().unwrap(), "o/x.tgz");
}

#[test]
fn from_another_stage_owners_and_links_come_along() {
    let dockerfile = "FROM base AS one\nRUN write /made text && remove /gone\n\
                      FROM scratch\nCOPY --from=one / /\nCOPY --from=0 /made /again\nCOPY --from=base /gone /back\n";
    let project = Project::new(dockerfile);
    base(project.store(), "base", "linux/amd64", &[("gone", b"G"), ("kept", b"K")]);
    let (built, _) = project.build();
    assert_eq!(
        project.files(&built),
        [
            "again 644 0:0 \"text\"",
            "back 755 0:0 \"G\"",
            "kept 755 0:0 \"K\"",
            "made 644 0:0 \"text\"",
        ]
    );
}

#[test]
fn modes_count_and_times_do_not() {
    let project = Project::new("FROM scratch\nCOPY a /a\n");
    let path = project.file("a", "A");
    let (first, _) = project.build();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(std::time::UNIX_EPOCH).unwrap();
    let (second, log) = project.build();
    assert_eq!(log.of("COPY a"), ["CACHED"]);
    assert_eq!(first.image, second.image);
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    let (third, log) = project.build();
    assert_eq!(log.of("COPY a"), ["DONE"]);
    assert_ne!(second.image, third.image);
}
