//! `ps` and `inspect`, and what `--format` makes of them.

use crate::harness::Knarr;

#[test]
fn running_ones_by_default_all_if_asked() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["run", "-d", "--name", "up", "busybox", "sleep", "1000"]);
    knarr.ok(&["run", "--name", "done", "busybox", "sh", "-c", "exit 0"]);
    knarr.ok(&["create", "--name", "new", "busybox"]);
    let names = |arguments: &[&str]| {
        let all = [&["ps", "--format", "{{.Names}}"], arguments].concat();
        knarr.ok(&all).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names(&[]), ["up"]);
    assert_eq!(names(&["-a"]), ["new", "done", "up"]);
    assert_eq!(names(&["-l"]), ["new"]);
    assert_eq!(names(&["-n", "2"]), ["new", "done"]);
    assert_eq!(names(&["--filter", "status=exited"]), ["done"]);
    assert_eq!(names(&["-a", "--filter", "name=e"]), ["new", "done"]);
    assert_eq!(names(&["-a", "-f", "exited=0", "-f", "ancestor=busybox"]), ["done"]);
    assert_eq!(knarr.ok(&["ps", "-q"]).len(), 12);
    assert_eq!(knarr.ok(&["container", "ls", "-q", "--no-trunc"]).len(), 64);
}

#[test]
fn filters_take_what_dockers_take() {
    let knarr = Knarr::new().with_busybox();
    for name in ["svc-1", "/svc-2", "svc-11"] {
        knarr.ok(&["create", "--name", name, "--expose", "8005", "-l", "x=y", "busybox"]);
    }
    for (filter, names) in [
        ("name=svc-[0-9]$", "svc-2 svc-1"),
        ("name=^(svc-1|svc-2)$", "svc-2 svc-1"),
        ("name=s.c-11", "svc-11"),
        ("name=^/svc-2", "svc-2"),
        ("NAME = svc-2", "svc-2"),
        ("health=none", "svc-11 svc-2 svc-1"),
        ("health=healthy", ""),
        ("is-task=false", "svc-11 svc-2 svc-1"),
        ("is-task=1", ""),
        ("status=dead", ""),
        ("before=/svc-2", "svc-1"),
        ("exited=300", ""),
    ] {
        let shown = knarr.ok(&["ps", "-a", "--format", "{{.Names}}", "-f", filter]);
        assert_eq!(shown.lines().collect::<Vec<_>>().join(" "), names, "{filter}");
    }
    knarr.ok(&["rename", "/svc-11", "/other"]);
    assert_eq!(knarr.ok(&["ps", "-aq", "-f", "name=^other$"]).len(), 12);
    for (kind, arguments) in [("volume", &["a-1", "a-2", "bb"]), ("network", &["a-1", "a-2", "bb"])]
    {
        for name in arguments {
            knarr.ok(&[kind, "create", name]);
        }
        let ls = [kind, "ls", "--format", "{{.Name}}", "-f", "name=^a-[0-9]$"];
        assert_eq!(knarr.ok(&ls), "a-1\na-2");
    }
    knarr.ok(&["container", "prune", "-f", "--filter", "until=10m"]);
    knarr.ok(&["system", "prune", "-f", "--filter", "label!=x"]);
    assert_eq!(knarr.ok(&["ps", "-aq"]).lines().count(), 3);
    knarr.ok(&["image", "prune", "-af", "--filter", "until=2001-01-02"]);
    assert_eq!(knarr.ok(&["images", "-q", "--filter", "until=1m"]), "");
    knarr.ok(&["container", "prune", "-f", "--filter", "label=x=y", "--filter", "until=0s"]);
    assert_eq!(knarr.ok(&["ps", "-aq"]), "");
}

#[test]
fn the_table_is_dockers() {
    let knarr = Knarr::new().with_busybox();
    assert_eq!(
        knarr.ok(&["ps"]),
        "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES"
    );
    let id = knarr.ok(&["run", "-d", "--name", "web", "busybox", "sleep", "1000"]);
    let table = knarr.ok(&["ps"]);
    let line = table.lines().nth(1).unwrap();
    assert!(line.starts_with(&format!("{}   busybox   \"sleep 1000\"   ", &id[..12])), "{line}");
    assert!(line.contains(" ago   Up ") && line.ends_with("web"), "{line}");
    assert_eq!(
        knarr.ok(&["ps", "--format", "table {{.Names}}\\t{{.State}}"]),
        "NAMES     STATE\nweb       running"
    );
    let json = knarr.ok(&["ps", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["Names"], &json["Image"], &json["State"]),
        (&"web".into(), &"busybox".into(), &"running".into())
    );
}

#[test]
fn labels_ports_and_more_can_be_shown() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&[
        "create",
        "--name",
        "box",
        "-l",
        "tier=front",
        "-l",
        "a.b",
        "-v",
        "data:/d",
        "busybox",
    ]);
    let format = r#"{{.Names}}|{{.Label "tier"}}|{{.Labels}}|{{.Mounts}}|{{.LocalVolumes}}|{{.Networks}}|{{.Engine}}"#;
    assert_eq!(
        knarr.ok(&["ps", "-a", "--filter", "label=tier=front", "--format", format]),
        "box|front|a.b=,tier=front|data|1|bridge|native"
    );
}

#[test]
fn inspect_has_dockers_fields() {
    let knarr = Knarr::new().with_busybox();
    let arguments = [
        "run",
        "-d",
        "--name",
        "web",
        "-e",
        "A=1",
        "-l",
        "x=y",
        "-m",
        "64m",
        "-v",
        "data:/data:ro",
        "-w",
        "/tmp",
        "--cap-drop",
        "NET_RAW",
        "busybox",
        "sleep",
        "1000",
    ];
    let id = knarr.ok(&arguments);
    for (template, shown) in [
        ("{{.Id}}", id.as_str()),
        ("{{.ID}}", &id),
        ("{{.Name}}", "/web"),
        ("{{.State.Status}} {{.State.Running}}", "running true"),
        ("{{.Path}} {{join .Args \",\"}}", "sleep 1000"),
        ("{{.Config.Image}} {{.Config.WorkingDir}}", "busybox /tmp"),
        ("{{range .Config.Env}}{{println .}}{{end}}", "A=1\n"),
        ("{{index .Config.Labels \"x\"}}", "y"),
        ("{{json .Config.Cmd}}", "[\"sleep\",\"1000\"]"),
        ("{{.HostConfig.Memory}} {{.HostConfig.CapDrop}}", "67108864 [CAP_NET_RAW]"),
        ("{{.HostConfig.MemorySwap}} {{index .HostConfig.ReadonlyPaths 0}}", "134217728 /proc/bus"),
        ("{{index .Config.Env 0}}", "A=1"),
        ("{{.Config.StopTimeout}} {{.Config.Shell}} {{.HostConfig.Sysctls}}", "<nil> [] map[]"),
        (
            "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.RW}}{{end}}",
            "volume data /data false",
        ),
        ("{{.HostConfig.NetworkMode}}", "bridge"),
        ("{{.Knarr.Engine}}", "native"),
        ("{{if .State.Running}}up{{else}}down{{end}}", "up"),
        ("{{len .Id}}", "64"),
        ("{{len .NetworkSettings.Networks.bridge.MacAddress}}", "17"),
        ("{{if .Config.Healthcheck}}checked{{end}}", ""),
    ] {
        assert_eq!(knarr.inspect("web", template), shown, "{template}");
    }
    let pid: i32 = knarr.inspect("web", "{{.State.Pid}}").parse().unwrap();
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    let whole: serde_json::Value = serde_json::from_str(&knarr.ok(&["inspect", "web"])).unwrap();
    assert_eq!(whole[0]["Name"], "/web");
    // templates have them, JSON does not where they are empty
    for (of, field) in [
        ("Config", "Healthcheck"),
        ("Config", "Shell"),
        ("Config", "StopTimeout"),
        ("Config", "ExposedPorts"),
        ("HostConfig", "Sysctls"),
        ("HostConfig", "Tmpfs"),
        ("State", "Health"),
    ] {
        assert!(whole[0][of].get(field).is_none(), "{field}: {}", whole[0][of]);
        assert!(
            !knarr.ok(&["inspect", "-f", "{{json .}}", "web"]).contains(&format!("\"{field}\""))
        );
    }
    knarr.fails(64, &["inspect", "-f", "{{nope .}}", "web"]);
    let said = knarr.fails(1, &["inspect", "-f", "{{.Nme}}", "web"]);
    assert!(
        said.contains("there is no field .Nme") && said.contains("hint: the fields here are .Id"),
        "{said}"
    );
}

#[test]
fn inspect_finds_containers_images_and_volumes() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["volume", "create", "data"]);
    knarr.ok(&["create", "--name", "web", "busybox"]);
    assert_eq!(knarr.ok(&["inspect", "-f", "{{.Name}}", "web", "data"]), "/web\ndata");
    assert!(knarr.ok(&["inspect", "-f", "{{index .RepoTags 0}}", "busybox"]) == "busybox:latest");
    let ended = knarr.run(&["inspect", "-f", "{{.Name}}", "web", "nothere"]).code(1);
    assert_eq!(ended.stdout, "/web\n");
    assert!(
        ended.stderr.contains("no container, image, network or volume \"nothere\""),
        "{}",
        ended.stderr
    );
}

/// Fields that scripts ask for, with what Docker says of a container that nobody gave anything.
#[test]
fn documents_are_as_rich_as_dockers() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["create", "--name", "box", "-v", "/data", "busybox", "sleep", "60"]);
    for (template, shown) in [
        ("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "none"),
        (
            "{{.GraphDriver.Name}} {{len .GraphDriver.Data}} {{.HostConfig.Runtime}}",
            "overlay 5 native",
        ),
        ("{{json .Config.Volumes}}", r#"{"/data":{}}"#),
        (r#"{{define "x"}}{{.}}{{end}}{{template "x" .Name}}"#, "/box"),
        ("{{json .HostConfig.CapAdd}} {{.HostConfig.CapAdd}}", "null []"),
        ("{{.HostConfig.PidMode}}{{.HostConfig.UTSMode}}{{.HostConfig.UsernsMode}}", ""),
        ("{{.HostConfig.IpcMode}} {{.HostConfig.CgroupnsMode}}", "private private"),
        (
            "{{.HostConfig.Sysctls}} {{.HostConfig.VolumesFrom}} {{.HostConfig.Mounts}}",
            "map[] [] []",
        ),
        ("{{.HostConfig.OomScoreAdj}} {{.HostConfig.OomKillDisable}}", "0 false"),
        ("{{.HostConfig.CpuQuota}} {{.HostConfig.PublishAllPorts}}", "0 false"),
        ("{{.HostConfig.ConsoleSize}} {{.HostConfig.Isolation}}", "[0 0] "),
        ("{{.HostConfig.CgroupParent}}{{.HostConfig.VolumeDriver}}", ""),
        ("{{.Config.Domainname}}{{.Config.OnBuild}}{{.Config.Shell}}", "[][]"),
        ("{{.Config.StdinOnce}} {{.Config.ArgsEscaped}}", "false false"),
        ("{{.AppArmorProfile}}{{.MountLabel}}{{.ProcessLabel}}{{.ExecIDs}}", "[]"),
        ("{{.NetworkSettings.Bridge}}{{.NetworkSettings.HairpinMode}}", "false"),
    ] {
        assert_eq!(knarr.inspect("box", template), shown, "{template}");
    }
    knarr.ok(&["volume", "create", "vol"]);
    knarr.ok(&["network", "create", "net"]);
    for (words, template, shown) in [
        (
            &["image", "inspect", "busybox"][..],
            "{{.Parent}}{{.DockerVersion}}{{.GraphDriver.Name}}",
            "overlay",
        ),
        (
            &["image", "inspect", "busybox"],
            "{{.Metadata.LastTagTime}} {{.Config.ArgsEscaped}}",
            "0001-01-01T00:00:00Z false",
        ),
        (
            &["volume", "inspect", "vol"],
            "{{.Labels}} {{json .Labels}} {{json .Options}}",
            "map[] null null",
        ),
        (
            &["network", "inspect", "net"],
            "{{.ConfigFrom.Network}}{{.IPAM.Options}} {{.Ingress}}",
            "map[] false",
        ),
        (
            &["version"],
            "{{.Server.Platform.Name}} {{.Client.Context}} {{len .Server.Components}}",
            "Knarr default 2",
        ),
    ] {
        let shown_here = knarr.ok(&[words, &["-f", template]].concat());
        assert_eq!(shown_here, shown, "{template}");
    }
}
