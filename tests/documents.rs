//! What Docker's documents have, ours have: the names of all their fields, as Docker 28.5 prints them (`documents.txt`), those that
//! are data (labels, variables, options) left out.

use crate::harness::Knarr;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Maps whose keys are data.
const OPEN: &[&str] = &[
    "Annotations",
    "Containers",
    "Data",
    "Details",
    "DriverOpts",
    "ExposedPorts",
    "IndexConfigs",
    "LogConfig.Config",
    "Networks",
    "Options",
    "PortBindings",
    "Ports",
    "Runtimes",
    "Sysctls",
    "Tmpfs",
    "Volumes",
];

/// What has no counterpart, or that these examples do not show.
const ABSENT: &[(&str, &str)] = &[
    ("container", "Config.Healthcheck."),
    ("container", "HostConfig.Annotations."),
    ("container", "HostConfig.Devices[]."),
    ("container", "HostConfig.Sysctls."),
    ("container", "State.Health"),
    ("network", "IPAM.Config[].AuxiliaryAddresses"),
    // there are neither plugins of the command line, nor programs that run containers
    ("info", "ClientInfo.Plugins[]."),
    ("info", "Runtimes.*.status"),
];

fn dockers() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut sections: BTreeMap<_, Vec<_>> = BTreeMap::new();
    let mut section = "";
    for line in include_str!("documents.txt").lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => section = name,
            None => sections.entry(section).or_default().push(line),
        }
    }
    for (section, absent) in ABSENT {
        sections.get_mut(section).unwrap().retain(|name| !name.starts_with(absent));
    }
    sections
}

fn collect(value: &Value, path: &str, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            let is_open =
                OPEN.iter().any(|open| path == *open || path.ends_with(&format!(".{open}")));
            for (name, inner) in fields {
                let name = if is_open { "*" } else { name };
                let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                collect(inner, &path, names);
                names.insert(path);
            }
        }
        Value::Array(items) => {
            items.iter().for_each(|item| collect(item, &format!("{path}[]"), names));
        }
        _ => {}
    }
}

#[test]
fn every_field_of_dockers_is_there() {
    let knarr = Knarr::new().with_busybox();
    let network = ["network", "create", "--ipv6", "--subnet", "172.29.94.0/24"];
    let range = ["--ip-range", "172.29.94.128/25", "--label", "a=b", "net"];
    knarr.ok(&[&network[..], &range].concat());
    knarr.ok(&["volume", "create", "--label", "a=b", "data"]);
    let dockerfile = "FROM busybox\nLABEL a=b\nENV X=y\nVOLUME /d\nEXPOSE 80\nUSER 1\nWORKDIR /tmp\n\
        ONBUILD RUN true\nSHELL [\"/bin/sh\",\"-c\"]\nSTOPSIGNAL INT\nHEALTHCHECK --interval=3s CMD true\n\
        ENTRYPOINT [\"/bin/sh\"]\nCMD [\"-c\",\"true\"]\n";
    knarr.run_with_input(&["build", "-q", "-t", "image", "-"], dockerfile.as_bytes()).ok();
    let folder = knarr.files().to_str().unwrap();
    let bind = format!("type=bind,source={folder},target=/b,readonly");
    let run = [
        ["run", "-d", "--name", "web"],
        ["--network", "name=net,alias=web,ip=172.29.94.130", "-p", "127.0.0.1:0:80"],
        ["-v", "data:/v", "-v", "/anonymous"],
        ["--mount", "type=volume,source=data,target=/vv,readonly", "--mount", &bind],
        ["--mount", "type=tmpfs,target=/m,tmpfs-size=1m,tmpfs-mode=700", "--tmpfs", "/t:size=1m"],
        ["--restart", "on-failure:3", "--ulimit", "nofile=100:200"],
        ["--log-opt", "max-size=1m", "--stop-timeout", "3"],
        ["--stop-signal", "INT", "busybox", "sleep"],
    ];
    let run = [run.concat(), vec!["1000"]].concat();
    knarr.ok(&run);
    for (section, words) in [
        ("container", &["inspect", "-s", "web"][..]),
        ("image", &["image", "inspect", "image"]),
        ("network", &["network", "inspect", "net", "host"]),
        ("volume", &["volume", "inspect", "data"]),
        ("info", &["info", "--format", "json"]),
        ("version", &["version", "--format", "json"]),
        ("ps", &["ps", "-s", "--format", "json"]),
        ("images", &["images", "--format", "json"]),
        ("network ls", &["network", "ls", "--format", "json"]),
        ("volume ls", &["volume", "ls", "--format", "json"]),
        ("system df", &["system", "df", "--format", "json"]),
        ("system df -v", &["system", "df", "-v", "--format", "json"]),
        ("history", &["history", "--format", "json", "image"]),
        ("stats", &["stats", "--no-stream", "--format", "json", "web"]),
    ] {
        let said = knarr.ok(words);
        let mut names = BTreeSet::new();
        // a document, a list of them, or one in each line
        for document in serde_json::Deserializer::from_str(&said).into_iter::<Value>() {
            match document.unwrap() {
                Value::Array(all) => all.iter().for_each(|one| collect(one, "", &mut names)),
                one => collect(&one, "", &mut names),
            }
        }
        let dockers = &dockers()[section];
        let missing: Vec<_> = dockers.iter().filter(|name| !names.contains(**name)).collect();
        assert_eq!(missing, Vec::<&&str>::new(), "{section}");
        // and templates find them
        let plain = dockers.iter().filter(|name| !name.contains(['*', '[']));
        let template: String = plain.map(|name| format!("{{{{.{name}}}}}")).collect();
        let words: Vec<_> =
            words.iter().filter(|word| !["json", "--format"].contains(word)).collect();
        let words: Vec<&str> = words.into_iter().copied().collect();
        let at = if words[0] == "stats" { 2 } else { words.len().min(2) };
        let format = [&words[..at], &["--format", &template], &words[at..]].concat();
        knarr.ok(&format);
    }
}

/// What was asked for is shown as such, and what is in force.
#[test]
fn the_record_of_what_was_asked_for() {
    let knarr = Knarr::new().with_busybox();
    let folder = knarr.files().to_str().unwrap();
    let id_file = knarr.files().join("id");
    let bind = format!("type=bind,source={folder},target=/b,readonly");
    knarr.ok(&["create", "--name", "first", "-v", "/kept", "busybox", "true"]);
    let create = ["create", "--name", "web", "-P", "--expose", "80", "--runtime", "runc"];
    let mounts =
        ["--volumes-from", "first:ro", "-v", "data:/v:ro", "--mount", &bind, "--tmpfs", "/t"];
    let memory = ["-m", "50m", "--cidfile", id_file.to_str().unwrap(), "busybox", "true"];
    knarr.ok(&[&create[..], &mounts, &memory].concat());
    knarr.ok(&["create", "--name", "privileged", "--privileged", "busybox", "true"]);
    for (container, template, shown) in [
        ("web", "{{json .HostConfig.VolumesFrom}}", r#"["first:ro"]"#.to_owned()),
        ("web", "{{.HostConfig.PublishAllPorts}} {{.HostConfig.Runtime}}", "true runc".to_owned()),
        ("web", "{{.HostConfig.ContainerIDFile}}", id_file.display().to_string()),
        ("web", "{{json .HostConfig.Binds}}", r#"["data:/v:ro"]"#.to_owned()),
        ("web", "{{json .HostConfig.Tmpfs}}", r#"{"/t":""}"#.to_owned()),
        (
            "web",
            "{{range .HostConfig.Mounts}}{{.Type}} {{.Source}} {{.Target}} {{.ReadOnly}}{{end}}",
            format!("bind {folder} /b true"),
        ),
        ("web", "{{range .Mounts}}{{.Destination}}{{.RW}} {{end}}", "/v".to_owned()),
        ("web", "{{json .Config.Volumes}}", "null".to_owned()),
        (
            "web",
            "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}",
            "52428800 104857600".to_owned(),
        ),
        (
            "web",
            "{{len .HostConfig.MaskedPaths}} {{index .HostConfig.ReadonlyPaths 0}}",
            "12 /proc/bus".to_owned(),
        ),
        (
            "privileged",
            "{{json .HostConfig.MaskedPaths}}{{json .HostConfig.ReadonlyPaths}}",
            "nullnull".to_owned(),
        ),
        (
            "first",
            "{{json .Config.Volumes}} {{.HostConfig.Runtime}}",
            r#"{"/kept":{}} native"#.to_owned(),
        ),
        (
            "first",
            "{{json .HostConfig.Mounts}} {{.HostConfig.PublishAllPorts}}",
            "null false".to_owned(),
        ),
    ] {
        let found = knarr.inspect(container, template);
        let fits = if shown == "/v" {
            found.contains("/vfalse") && found.contains("/keptfalse")
        } else {
            found == shown
        };
        assert!(fits, "{template}: {found}, not {shown}");
    }
}
