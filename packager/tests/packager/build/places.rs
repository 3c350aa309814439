//! What stands where a `COPY`, `ADD` or `WORKDIR` puts something: links that lead to nothing, things of another kind,
//! owners. The expectations are what BuildKit does, unless a comment says otherwise.

use crate::support::builds::Project;
use crate::support::images;

/// An archive of entries: `dir/`, `link -> target`, `fifo|`, `file=content`; all of user and group 0.
fn tar(entries: &[&str]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o755);
        header.set_size(0);
        if let Some((path, target)) = entry.split_once(" -> ") {
            header.set_entry_type(tar::EntryType::Symlink);
            tar.append_link(&mut header, path, target).unwrap();
        } else if let Some((path, content)) = entry.split_once('=') {
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content.as_bytes()).unwrap();
        } else {
            let kind = match entry.ends_with('|') {
                true => tar::EntryType::Fifo,
                false => tar::EntryType::Directory,
            };
            header.set_entry_type(kind);
            tar.append_data(&mut header, entry.trim_end_matches('|'), std::io::empty()).unwrap();
        }
    }
    tar.into_inner().unwrap()
}

/// A project whose base image has these entries.
fn on(base: &[&str], instructions: &str) -> Project {
    let project = Project::new(&format!("FROM base\n{instructions}\n"));
    let image = images::manifest(project.store(), "linux/amd64", &[tar(base)]);
    project.store().tag(&"base".parse().unwrap(), image).unwrap();
    project.file("f", "F");
    project.file("s/e/x", "X");
    project
}

fn files(project: &Project) -> Vec<String> {
    project.files(&project.build().0)
}

#[test]
fn a_link_that_leads_to_nothing_leads_to_what_is_made() {
    let base = [
        "data/",
        "dl -> /data/new",
        "dl2 -> dl",
        "deep -> /no/way/x",
        "up -> ../../../esc",
        "ld -> nodir",
    ];
    let new = "data/new 644 0:0 \"F\"";
    for (instruction, made) in [
        ("COPY f /dl", vec![new]),
        ("COPY f /dl2", vec![new]),
        ("ADD f /dl", vec![new]),
        ("COPY f /deep", vec!["no/ 755 0:0", "no/way/ 755 0:0", "no/way/x 644 0:0 \"F\""]),
        ("COPY f /up", vec!["esc 644 0:0 \"F\""]),
        ("COPY f /ld/x", vec!["nodir/ 755 0:0", "nodir/x 644 0:0 \"F\""]),
        ("COPY f /ld/", vec!["nodir/ 755 0:0", "nodir/f 644 0:0 \"F\""]),
        (
            "COPY --chown=5:6 f /ld/q/r",
            vec!["nodir/ 755 5:6", "nodir/q/ 755 5:6", "nodir/q/r 644 5:6 \"F\""],
        ),
        ("COPY s /ld", vec!["nodir/ 755 0:0", "nodir/e/ 755 0:0", "nodir/e/x 644 0:0 \"X\""]),
        ("COPY <<E /dl\nq\nE", vec!["data/new 644 0:0 \"q\\n\""]),
        ("COPY <<E /dl2/\nq\nE", vec!["data/new/ 755 0:0", "data/new/E 644 0:0 \"q\\n\""]),
        ("WORKDIR /ld/a", vec!["nodir/ 755 0:0", "nodir/a/ 755 0:0"]),
        ("WORKDIR /dl", vec!["data/new/ 755 0:0"]),
    ] {
        let mut expected: Vec<String> = made.into_iter().map(str::to_owned).collect();
        expected.push("data/ 755 0:0".into());
        expected.extend(base[1..].iter().map(|link| (*link).to_owned()));
        expected.sort();
        let mut found = files(&on(&base, instruction));
        found.sort();
        assert_eq!(found, expected, "{instruction}");
    }
    for instruction in ["COPY f /loop", "COPY f /loop/x", "WORKDIR /loop"] {
        let story = on(&["loop -> /loop"], instruction).fails();
        assert!(story.contains("/loop"), "{instruction}: {story}");
    }
}

#[test]
fn an_archive_takes_the_place_of_what_is_there() {
    let there = ["p=old", "p/", "p -> /nowhere", "p -> t", "p|", "full"];
    let coming: [(&str, &[&str], &str); 4] = [
        ("a file", &["p=new"], "p 644 0:0 \"new\""),
        ("a link", &["p -> /link"], "p -> /link"),
        ("a directory", &["p/", "p/in=new"], "p/ 755 0:0|p/in 644 0:0 \"new\""),
        ("a pipe", &["p|"], "p fifo"),
    ];
    for (what, archive, expected) in coming {
        for before in there {
            let base: Vec<&str> = match before {
                "full" => vec!["t/", "p/", "p/old/", "p/old/file=old"],
                before => vec!["t/", before],
            };
            let project = on(&base, "ADD x.tar /");
            project.file("x.tar", tar(archive));
            let mut expected: Vec<String> = expected.split('|').map(str::to_owned).collect();
            if (what, before) == ("a directory", "full") {
                expected.extend(["p/old/ 755 0:0".into(), "p/old/file 644 0:0 \"old\"".into()]);
            }
            expected.push("t/ 755 0:0".into());
            assert_eq!(files(&project), expected, "{what} over {before}");
        }
    }
}

/// A root file system onto an image whose `lib` and `bin` are links into `usr`.
#[test]
fn an_archive_goes_through_links_where_it_names_no_directory() {
    let base = ["usr/", "usr/lib/", "lib -> usr/lib"];
    let project = on(&base, "ADD named.tar implied.tar /");
    project.file("implied.tar", tar(&["lib/x/file=1"]));
    project.file("named.tar", tar(&["etc/", "usr/lib/y=2"]));
    assert_eq!(
        files(&project),
        [
            "etc/ 755 0:0",
            "lib -> usr/lib",
            "usr/ 755 0:0",
            "usr/lib/ 755 0:0",
            "usr/lib/x/ 755 0:0",
            "usr/lib/x/file 644 0:0 \"1\"",
            "usr/lib/y 644 0:0 \"2\"",
        ]
    );
    project.file("implied.tar", tar(&["lib/", "lib/file=1"]));
    project.file("Dockerfile", "FROM base\nADD implied.tar /\n");
    assert_eq!(
        files(&project),
        ["lib/ 755 0:0", "lib/file 644 0:0 \"1\"", "usr/ 755 0:0", "usr/lib/ 755 0:0"]
    );
}

/// What an earlier archive of one `ADD` replaced does not come back with a later one.
#[test]
fn what_was_replaced_stays_away() {
    let project = on(&["d/", "d/old=1"], "ADD file.tar dir.tar /");
    project.file("file.tar", tar(&["d=f"]));
    project.file("dir.tar", tar(&["d/", "d/new=2"]));
    assert_eq!(files(&project), ["d/ 755 0:0", "d/new 644 0:0 \"2\""]);
}

#[test]
fn a_copy_replaces_nothing_of_another_kind() {
    for (base, instruction) in [
        (vec!["p/"], "COPY k /"),
        (vec!["p/", "p/x=1"], "COPY k /"),
        (vec!["e=1"], "COPY s /"),
        (vec!["e -> /nowhere"], "COPY s /"),
        (vec!["e|"], "COPY s /"),
        (vec!["q=1"], "COPY s /q"),
        (vec!["q=1"], "COPY f /q/"),
        (vec!["q=1"], "WORKDIR /q"),
    ] {
        let project = on(&base, instruction);
        project.file("k/p", "file");
        let story = project.fails();
        assert!(story.contains("directory"), "{base:?} {instruction}: {story}");
    }
}

#[test]
fn who_owns_what_is_made_on_the_way() {
    let passwd = "etc/passwd=root:x:0:0::/:\nweb:x:33:44::/:\n";
    let base = ["etc/", passwd, "etc/group=www:x:55:\n", "there/"];
    for (user, owner) in [
        ("", "0:0"),
        ("1000", "1000:1000"),
        ("1000:2000", "1000:2000"),
        ("web", "33:44"),
        ("web:www", "33:55"),
        ("web:7", "33:7"),
        ("33:www", "33:55"),
        ("nosuch", "0:0"),
        ("5:nosuch", "5:5"),
        (":www", "0:55"),
    ] {
        let set = if user.is_empty() { String::new() } else { format!("USER {user}\n") };
        let project =
            on(&base, &format!("{set}WORKDIR /a/b\nWORKDIR /there\nCOPY f /c/\nCOPY f x/y"));
        let found = files(&project);
        for expected in [
            format!("a/ 755 {owner}"),
            format!("a/b/ 755 {owner}"),
            "there/ 755 0:0".to_owned(),
            "there/x/ 755 0:0".to_owned(),
            "c/ 755 0:0".to_owned(),
        ] {
            assert!(found.contains(&expected), "USER {user}: {expected} in {found:?}");
        }
    }
    // another user makes it another step
    let project = on(&base, "USER 1\nWORKDIR /a");
    project.build();
    project.file("Dockerfile", "FROM base\nUSER 2\nWORKDIR /a\n");
    let (built, log) = project.build();
    assert_eq!(log.of("WORKDIR"), ["DONE"]);
    assert!(project.files(&built).contains(&"a/ 755 2:2".to_owned()));
}

#[test]
fn chown_is_for_all_that_an_archive_holds() {
    let project = on(&[], "ADD --chown=7:8 --chmod=700 x.tar /o/p");
    project.file("x.tar", tar(&["d/", "d/f=1", "d/l -> f"]));
    assert_eq!(
        files(&project),
        ["o/ 755 7:8", "o/p/ 755 7:8", "o/p/d/ 755 7:8", "o/p/d/f 644 7:8 \"1\"", "o/p/d/l -> f"]
    );
}

#[test]
fn rare_kinds_of_file_are_copied() {
    for instruction in ["COPY rare /r/", "ADD rare /r/", "COPY rare/* /r/"] {
        let project = on(&[], instruction);
        let folder = project.context().join("rare");
        std::fs::create_dir(&folder).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        for (name, kind, device) in [
            ("pipe", FileType::Fifo, 0),
            ("null", FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
        ] {
            mknodat(CWD, folder.join(name), kind, Mode::from_raw_mode(0o644), device).unwrap();
        }
        // a socket is left out, as Docker's older builder does
        assert_eq!(
            files(&project),
            ["r/ 755 0:0", "r/null device", "r/pipe fifo"],
            "{instruction}"
        );
    }
}

#[test]
fn a_destination_that_ends_with_a_dot_is_a_directory() {
    for destination in ["q/.", "/q/.", "/q/./", "q/"] {
        for instruction in ["COPY f", "ADD f", "COPY s/.. q/../f"] {
            let found = files(&on(&[], &format!("{instruction} {destination}")));
            assert!(
                found.contains(&"q/f 644 0:0 \"F\"".to_owned()),
                "{instruction} {destination}: {found:?}"
            );
        }
    }
}

#[test]
fn two_stars_are_a_star_without_parents() {
    let copied = |instruction: &str| {
        let project = on(&[], instruction);
        for path in ["src/top", "src/a/x", "src/a/b/y"] {
            project.file(path, "1");
        }
        let all = files(&project);
        all.into_iter().map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for instruction in ["COPY src/** /w/", "ADD src/** /w/", "COPY src/* /w/"] {
        assert_eq!(copied(instruction), ["w/", "w/b/", "w/b/y", "w/top", "w/x"], "{instruction}");
    }
    assert_eq!(copied("COPY src/**/x /w/"), ["w/", "w/x"]);
    assert_eq!(copied("COPY src/a/**/y /w/"), ["w/", "w/y"]);
    assert_eq!(copied("COPY **/y /w/"), [""; 0]);
    assert_eq!(
        copied("COPY --parents src/**/y /w/"),
        ["w/", "w/src/", "w/src/a/", "w/src/a/b/", "w/src/a/b/y"]
    );
    assert_eq!(copied("COPY --parents ./src/./**/x /w/"), ["w/", "w/a/", "w/a/x"]);
}

/// The reference's own examples, and what follows from them; BuildKit does not exclude what a pattern names itself.
#[test]
fn exclusions_hold_for_what_a_pattern_names() {
    let excluded = |copy: &str| {
        let project = on(&[], copy);
        for path in ["hom.txt", "hom.md", "d/a.txt", "d/b.md", "d/e/c.txt", "d/e/k.md"] {
            project.file(path, "1");
        }
        let (built, _) = project.build();
        let files = project.files(&built);
        let names = files.iter().map(|line| line.split(' ').next().unwrap());
        names.filter(|name| !name.ends_with('/')).map(str::to_owned).collect::<Vec<_>>()
    };
    for (instruction, expected) in [
        ("COPY --exclude=*.txt hom* /c/", vec!["c/hom.md"]),
        ("ADD --exclude=*.txt hom* /c/", vec!["c/hom.md"]),
        ("COPY --exclude=*.txt --exclude=*.md hom* /c/", vec![]),
        ("COPY --exclude=hom.txt hom.txt hom.md /c/", vec!["c/hom.md"]),
        ("COPY --exclude=*.txt d /c/", vec!["c/b.md", "c/e/c.txt", "c/e/k.md"]),
        ("COPY --exclude=**/*.txt d /c/", vec!["c/b.md", "c/e/k.md"]),
        ("COPY --exclude=d d /c/", vec!["c/a.txt", "c/b.md", "c/e/c.txt", "c/e/k.md"]),
        ("COPY --exclude=e d/* /c/", vec!["c/a.txt", "c/b.md"]),
        ("COPY --exclude=*.txt d/* /c/", vec!["c/b.md", "c/k.md"]),
        ("COPY --exclude=*.txt d/*/* /c/", vec!["c/k.md"]),
        ("COPY --exclude=e/*.txt d/*/* /c/", vec!["c/k.md"]),
        ("COPY --exclude=* --exclude=!hom.md hom* /c/", vec!["c/hom.md"]),
        ("COPY --parents --exclude=*.txt hom* /c/", vec!["c/hom.md"]),
        (
            "COPY --parents --exclude=**/*.txt d hom* /c/",
            vec!["c/d/b.md", "c/d/e/k.md", "c/hom.md"],
        ),
        ("COPY --parents --exclude=d/e d /c/", vec!["c/d/a.txt", "c/d/b.md"]),
        ("COPY --parents --exclude=e d/./* /c/", vec!["c/a.txt", "c/b.md"]),
        (
            "COPY . /all/\nFROM scratch\nCOPY --from=0 --exclude=*.txt /all/hom* /c/",
            vec!["c/hom.md"],
        ),
    ] {
        assert_eq!(excluded(instruction), expected, "{instruction}");
    }
}

#[test]
fn modes_in_each_notation() {
    for mode in ["755", "0755", "0o755", "0O755"] {
        let found = files(&on(&[], &format!("COPY --chmod={mode} f /f")));
        assert_eq!(found, ["f 755 0:0 \"F\""], "{mode}");
    }
    for mode in ["0x1ed", "+755", "7_5_5", "0o", "10000", "0b1"] {
        let story = on(&[], &format!("COPY --chmod={mode} f /f")).fails();
        assert!(story.contains("is not a mode") && story.contains("hint: "), "{mode}: {story}");
    }
}
