//! Networks from the command line: what they are asked for, and what is shown of them. (How packets go is tested with the
//! runtime.)

use crate::harness::Knarr;
use crate::harness::proc::until;

#[test]
fn containers_find_each_other_by_name_and_alias() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["network", "create", "back"]);
    let serve =
        "mkdir /www; echo served > /www/index.html; exec nc -ll -p 80 -e cat /www/index.html";
    let mut run = vec!["run", "-d", "--name", "srv", "--network", "name=back,alias=web"];
    run.extend(["--network-alias", "site", "busybox", "sh", "-c", serve]);
    knarr.ok(&run);
    let id = knarr.inspect("srv", "{{.Id}}");
    for name in ["srv", "web", "site", &id[..12]] {
        let ask = ["run", "--rm", "--network", "back", "busybox", "nc", name, "80"];
        until("it is served", || {
            let ended = knarr.run(&ask);
            ended.code == 0 && ended.stdout == "served\n"
        });
    }
    assert_eq!(
        knarr.inspect("srv", "{{json .NetworkSettings.Networks.back.Aliases}}"),
        r#"["web","site"]"#
    );
    // who is not on the network does not find it
    knarr.run(&["run", "--rm", "busybox", "nc", "srv", "80"]).code(1);
}

/// What a command leaves that is killed while it writes a record.
#[test]
fn unfinished_records_are_swept_by_whoever_changes_the_network_next() {
    let knarr = Knarr::new().with_busybox().with_kit();
    knarr.ok(&["network", "create", "back"]);
    knarr.ok(&["network", "create", "--driver", "loopback", "near"]);
    knarr.ok(&["create", "--name", "made", "busybox", "true"]);
    for (network, words) in [
        ("back", &["network", "connect", "back", "made"][..]),
        ("back", &["rename", "made", "other"]),
        ("back", &["start", "-a", "other"]),
        ("back", &["network", "disconnect", "back", "other"]),
        ("back", &["run", "--rm", "--network", "back", "busybox", "true"]),
        ("back", &["create", "--name", "wasm", "--network", "back", "kit", "echo"]),
        ("back", &["rm", "wasm"]),
        ("near", &["run", "--rm", "--network", "near", "kit", "echo"]),
    ] {
        let folder = knarr.root().join("networks").join(network).join("endpoints");
        let planted = folder.join(".tmp-dead");
        std::fs::write(&planted, "{").unwrap();
        knarr.ok(words);
        assert!(!planted.exists(), "{words:?}");
    }
}

#[test]
fn what_is_shown_of_a_network() {
    let knarr = Knarr::new().with_busybox();
    let subnet = ["--subnet", "172.29.77.0/24", "--ip-range", "172.29.77.128/25"];
    let create =
        [&["network", "create", "--internal", "--label", "a=b"], &subnet[..], &["net"]].concat();
    let id = knarr.ok(&create);
    let said = knarr.fails(1, &create);
    assert!(said.contains("there is a network net already"), "{said}");
    let listed = knarr.ok(&["network", "ls", "--format", "{{.Name}} {{.Driver}} {{.Internal}}"]);
    let builtin = "bridge bridge false\nhost host false";
    assert_eq!(listed, format!("{builtin}\nnet bridge true\nnone null false"));
    let builtin = ["network", "ls", "-f", "type=builtin", "--format", "{{.Name}}"];
    assert_eq!(knarr.ok(&builtin), "bridge\nhost\nnone");
    assert_eq!(
        knarr.ok(&["network", "inspect", "-f", "{{.Name}} {{.Driver}}", "none"]),
        "none null"
    );
    assert_eq!(knarr.ok(&["network", "ls", "-q", "-f", "label=a", "--no-trunc"]), id);
    let field = |template: &str| knarr.ok(&["network", "inspect", "-f", template, "net"]);
    let ipam =
        r#"[{"Subnet":"172.29.77.0/24","IPRange":"172.29.77.128/25","Gateway":"172.29.77.1"}]"#;
    assert_eq!(field("{{json .IPAM.Config}}"), ipam);
    let run = [
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        "net",
        "--ip",
        "172.29.77.200",
        "busybox",
        "sleep",
        "1000",
    ];
    knarr.ok(&run);
    let template = "{{range .Containers}}{{.Name}} {{.IPv4Address}}{{end}}";
    assert_eq!(field(template), "box 172.29.77.200/24");
    let template = "{{.NetworkSettings.IPAddress}} {{.NetworkSettings.Networks.net.Gateway}} {{.NetworkSettings.MacAddress}}";
    assert_eq!(knarr.inspect("box", template), "172.29.77.200 172.29.77.1 02:42:ac:1d:4d:c8");
    assert_eq!(
        knarr.ok(&["ps", "--format", "{{.Names}} {{.Networks}}", "-f", "network=net"]),
        "box net"
    );
    assert_eq!(knarr.ok(&["ps", "-q", "-f", "network=bridge"]), "");
    let said = knarr.fails(1, &["network", "rm", "net"]);
    assert!(said.contains("network net is used by box"), "{said}");
    knarr.ok(&["rm", "-f", "box"]);
    assert_eq!(knarr.ok(&["network", "rm", "net"]), "net");
    knarr.ok(&["network", "rm", "-f", "net"]);
}

#[test]
fn connect_and_disconnect_while_it_runs() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["network", "create", "one"]);
    knarr.ok(&["network", "create", "two"]);
    knarr.ok(&["run", "-d", "--name", "box", "--network", "one", "busybox", "sleep", "1000"]);
    let interfaces = || knarr.ok(&["exec", "box", "ls", "/sys/class/net"]);
    assert_eq!(interfaces(), "eth0\nlo");
    knarr.ok(&["network", "connect", "--alias", "other", "two", "box"]);
    assert_eq!(interfaces(), "eth0\neth1\nlo");
    assert_eq!(knarr.ok(&["ps", "--format", "{{.Networks}}"]), "one,two");
    knarr.ok(&["network", "disconnect", "one", "box"]);
    assert_eq!(interfaces(), "eth1\nlo");
    let said = knarr.fails(1, &["network", "disconnect", "one", "box"]);
    assert!(said.contains("is not on network one"), "{said}");
    knarr.ok(&["network", "disconnect", "-f", "one", "box"]);
    // both remembered over a restart
    knarr.ok(&["network", "connect", "one", "box"]);
    knarr.ok(&["restart", "-t", "0", "box"]);
    assert_eq!(interfaces(), "eth0\neth1\nlo");
}

#[test]
fn the_network_of_another_container() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&[
        "run", "-d", "--name", "first", "busybox", "nc", "-ll", "-p", "80", "-e", "echo", "hello",
    ]);
    let ask = ["run", "--rm", "--network", "container:first", "busybox", "nc", "127.0.0.1", "80"];
    until("it answers", || knarr.run(&ask).stdout == "hello\n");
    knarr.ok(&["stop", "-t", "0", "first"]);
    let said = knarr.fails(125, &ask);
    assert!(said.contains("first") || said.contains("not running"), "{said}");
}

/// It is called as that one, whose name is in the file that they share.
#[test]
fn who_shares_a_network_shares_its_names() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["network", "create", "more"]);
    knarr.ok(&["run", "-d", "--name", "first", "-h", "ship", "busybox", "sleep", "1000"]);
    let share = ["run", "-d", "--name", "other", "--network", "container:first"];
    knarr.ok(&[&share[..], &["busybox", "sleep", "1000"]].concat());
    let script = "hostname; echo $HOSTNAME; ping -c 1 -w 5 $(hostname) >/dev/null && echo found";
    assert_eq!(knarr.ok(&["exec", "other", "sh", "-c", script]), "ship\nship\nfound");
    let hosts = |name: &str| knarr.ok(&["exec", name, "cat", "/etc/hosts"]);
    knarr.ok(&["network", "connect", "more", "first"]);
    assert_eq!(hosts("first").matches("\tship").count(), 2);
    assert_eq!(hosts("other"), hosts("first"));
}

#[test]
fn hosts_says_where_the_container_is() {
    let knarr = Knarr::new().with_busybox();
    for name in ["one", "two"] {
        knarr.ok(&["network", "create", name]);
    }
    let run = [
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        "one",
        "-h",
        "ha",
        "--domainname",
        "example.com",
    ];
    knarr.ok(&[&run[..], &["busybox", "sleep", "1000"]].concat());
    let address = |network: &str| {
        let field = format!("{{{{.NetworkSettings.Networks.{network}.IPAddress}}}}");
        knarr.inspect("box", &field)
    };
    let own = || {
        let hosts = knarr.ok(&["exec", "box", "cat", "/etc/hosts"]);
        let lines = hosts.lines().filter(|line| line.ends_with("\tha.example.com ha"));
        lines.map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let finds = || knarr.ok(&["exec", "box", "sh", "-c", "ping -c 1 -w 5 ha"]);
    assert_eq!(own(), [address("one")]);
    // what the container has written stays
    knarr.ok(&["exec", "box", "sh", "-c", "echo 192.0.2.1 mine >> /etc/hosts"]);
    knarr.ok(&["network", "connect", "two", "box"]);
    assert_eq!(own(), [address("one"), address("two")]);
    knarr.ok(&["network", "disconnect", "one", "box"]);
    assert_eq!(own(), [address("two")]);
    finds();
    assert!(knarr.ok(&["exec", "box", "cat", "/etc/hosts"]).contains("192.0.2.1 mine\n"));
    knarr.ok(&["network", "disconnect", "two", "box"]);
    assert_eq!(own(), ["127.0.0.1"]);
    finds();
    knarr.ok(&["network", "connect", "two", "box"]);
    knarr.ok(&["restart", "-t", "0", "box"]);
    assert_eq!(own(), [address("two")]);
    assert_eq!(knarr.ok(&["exec", "box", "cat", "/proc/sys/kernel/domainname"]), "example.com");
    let ping = "ping -c 1 -w 5 foo";
    let run = ["run", "--rm", "-h", "foo.example.com", "busybox", "sh", "-c", ping];
    assert!(knarr.ok(&run).starts_with("PING foo ("));
}

/// Container names go before what some search domain has; the user has the last word.
#[test]
fn names_are_looked_up_as_they_are_first() {
    let knarr = Knarr::new().with_busybox();
    let options = |more: &[&str]| {
        let run = [&["run", "--rm"], more, &["busybox", "grep", "^options", "/etc/resolv.conf"]];
        knarr.ok(&run.concat())
    };
    assert!(options(&[]).ends_with(" ndots:0"));
    assert_eq!(options(&["--dns-option", "timeout:1"]), "options timeout:1 ndots:0");
    assert_eq!(options(&["--dns-option", "ndots:2"]), "options ndots:2");
}

#[test]
fn options_without_effect_are_told_of() {
    let knarr = Knarr::new().with_busybox().with_kit();
    knarr.ok(&["network", "create", "--internal", "inner"]);
    for (options, said) in [
        (
            "--network host -p 18700:80",
            "Published ports are discarded when using host network mode",
        ),
        ("--network none -p 18700:80", "published ports are without effect with the network none"),
        ("--network none --dns 192.0.2.1", "--dns is without effect with the network none"),
        ("--network inner -P --expose 80", "do not lead into an internal network"),
    ] {
        let words: Vec<&str> = options.split(' ').collect();
        let ended =
            knarr.run(&[&["run", "--rm"], &words[..], &["busybox", "true"]].concat()).code(0);
        let warns = ended.stderr.starts_with("warning: ") && ended.stderr.contains(said);
        assert!(warns, "{options}: {}", ended.stderr);
    }
    let none = ["run", "--rm", "--network", "none", "-p", "18700:80", "kit", "true"];
    assert!(knarr.run(&none).stderr.contains("published ports are without effect"));
    knarr.ok(&[
        "run",
        "-d",
        "--name",
        "box",
        "--network",
        "host",
        "-p",
        "80",
        "busybox",
        "sleep",
        "1000",
    ]);
    assert_eq!(knarr.ok(&["port", "box"]), "");
}

#[test]
fn a_network_that_is_gone() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["network", "create", "back"]);
    for name in ["one", "two", "stopped"] {
        knarr.ok(&["create", "--name", name, "--network", "back", "busybox", "sleep", "1000"]);
    }
    knarr.ok(&["start", "one", "two"]);
    let said = knarr.fails(1, &["network", "rm", "back"]);
    assert!(said.contains("is used by one, two") || said.contains("is used by two, one"), "{said}");
    assert!(said.contains("knarr stop one two") || said.contains("knarr stop two one"), "{said}");
    knarr.ok(&["rm", "-f", "one", "two"]);
    let ended = knarr.run(&["network", "rm", "back"]).code(0);
    assert!(ended.stderr.contains("warning: stopped belonged to it"), "{}", ended.stderr);
    let said = knarr.fails(1, &["start", "stopped"]);
    assert!(said.contains("network back, which has been removed"), "{said}");
    assert!(said.contains("knarr network create back"), "{said}");
    assert_eq!(knarr.inspect("stopped", "{{.State.ExitCode}}"), "128");
    knarr.ok(&["network", "create", "back"]);
    knarr.ok(&["start", "stopped"]);
}

#[test]
fn names_that_the_user_gives() {
    let knarr = Knarr::new().with_busybox();
    let mut run = vec!["run", "--rm", "--dns", "192.0.2.1", "--dns-search", "example.com"];
    run.extend([
        "--dns-option",
        "ndots:2",
        "--add-host",
        "db:10.0.0.7",
        "--add-host",
        "box:host-gateway",
    ]);
    run.extend(["--hostname", "ship", "busybox", "sh", "-c", "cat /etc/resolv.conf /etc/hosts"]);
    let said = knarr.ok(&run);
    for line in ["search example.com", "options ndots:2", "10.0.0.7\tdb"] {
        assert!(said.lines().any(|l| l == line), "{line}: {said}");
    }
    let gateway =
        knarr.ok(&["network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", "bridge"]);
    assert!(said.contains(&format!("{gateway}\tbox")), "{said}");
}

/// Nobody has made it: so nobody's pruning takes it away.
#[test]
fn built_in_networks_stay() {
    let knarr = Knarr::new().with_kit();
    knarr.ok(&["run", "--rm", "--network-backend", "loopback", "kit", "echo", "x"]);
    let listed = || knarr.ok(&["network", "ls", "-f", "type=builtin", "--format", "{{.Name}}"]);
    assert_eq!(listed(), "bridge\nhost\nloopback\nnone");
    for prune in ["network", "system"] {
        knarr.ok(&[prune, "prune", "-f"]);
    }
    assert_eq!(listed(), "bridge\nhost\nloopback\nnone");
    for fixed in ["host", "none"] {
        knarr.fails(1, &["network", "rm", fixed]);
    }
}

#[test]
fn prune_lists_what_goes_before_it_asks() {
    let knarr = Knarr::new().with_busybox();
    for name in ["used", "idle"] {
        knarr.ok(&["network", "create", name]);
    }
    knarr.ok(&["create", "--network", "used", "busybox"]);
    let ended = knarr.run_with_input(&["network", "prune"], b"n\n").code(0);
    assert!(ended.stderr.contains("These networks will be removed:\n  idle"), "{}", ended.stderr);
    assert_eq!(knarr.ok(&["network", "prune", "-f"]).lines().nth(1), Some("idle"));
    assert_eq!(knarr.ok(&["network", "ls", "-f", "type=custom", "--format", "{{.Name}}"]), "used");
    knarr.ok(&["system", "prune", "-f"]);
    assert_eq!(knarr.ok(&["network", "ls", "-f", "type=custom", "-q"]), "");
}
