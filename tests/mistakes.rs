//! Wrong input to every verb: what is said, and how the command ends.

use crate::harness::Knarr;

/// Command line, exit code, what the error says, what the hint says.
type Mistake = (&'static str, i32, &'static str, &'static str);

const MISTAKES: &[Mistake] = &[
    ("frobnicate", 1, "unrecognized subcommand 'frobnicate'", "see 'knarr --help'"),
    ("rmm box", 1, "unrecognized subcommand 'rmm'", "did you mean 'rm'?"),
    ("run", 1, "required arguments were not provided", "see 'knarr run --help'"),
    ("rnu busybox", 1, "unrecognized subcommand 'rnu'", "did you mean 'run'?"),
    ("container lst", 1, "unrecognized subcommand 'lst'", "did you mean 'ls'?"),
    ("compose confg", 1, "unrecognized subcommand 'confg'", "did you mean 'config'?"),
    ("search redis", 1, "Knarr has no command search", "the registry's own website"),
    ("swarm init", 1, "Knarr has no command swarm", "there is no cluster"),
    ("update made", 1, "Knarr has no command update", "with the new limits"),
    ("run --pod x busybox", 125, "Knarr has no option --pod", "container:NAME"),
    ("run --cpu-quota=1 busybox", 125, "--cpu-quota 1 is not between 1000", ""),
    ("create --kernel-memory x busybox", 125, "Knarr has no option --kernel-memory", "--memory"),
    (
        "exec --rm made true",
        125,
        "'--rm' found",
        "--rm is an option of 'knarr run', 'knarr create'",
    ),
    ("ps --banana", 125, "unexpected argument '--banana' found", "see 'knarr ps --help'"),
    ("volume create --banana", 125, "'--banana' found", "see 'knarr volume create --help'"),
    ("rename a b c", 1, "unexpected argument 'c' found", "see 'knarr rename --help'"),
    ("run --rm busybox --name foo", 127, "no such file", "options go before the image"),
    ("run --rm -it busybox true", 1, "the input device is not a TTY", "leave -t out"),
    ("start -ai typed", 1, "the input device is not a TTY", "leave -t out"),
    ("attach typed", 1, "the input device is not a TTY", "leave -t out"),
    ("exec -it typed sh", 1, "the input device is not a TTY", "leave -t out"),
    ("-H tcp://x ps", 125, "Knarr has no option -H", "there is no daemon"),
    ("tag busybox sha256", 1, "cannot be named sha256", "a digest"),
    ("images [", 1, "is not a valid pattern", "close each"),
    ("kill -s -1 made", 1, "-1", ""),
    ("exec nothere true", 1, "no container \"nothere\"", "'knarr ps -a'"),
    ("exec -w relative made true", 126, "is not an absolute path", "write /relative"),
    ("ps --filter name=[", 1, "\"[\" is not a regular expression", "'^web-[0-9]+$'"),
    ("ps --filter health=banana", 1, "\"banana\" is not a value", "starting, healthy"),
    ("volume ls --filter name=(", 1, "is not a regular expression", "'^web-[0-9]+$'"),
    ("network ls --filter id=*", 1, "is not a regular expression", "'^web-[0-9]+$'"),
    ("image prune -f --filter until=banana", 1, "the filter until has", "how long ago"),
    ("run --nmae a busybox", 125, "unexpected argument '--nmae' found", "'--name'"),
    ("run Busybox", 125, "the repository name must be lower case", "try \"busybox\""),
    ("run --pull never nothere", 125, "nothere", "knarr pull nothere"),
    ("run --platform banana/ busybox", 125, "--platform", "see 'knarr run --help'"),
    ("run --memory banana busybox", 125, "\"banana\" is not a size", "see 'knarr run --help'"),
    ("run --cpus x busybox", 125, "\"x\" is not a number of processors", "see 'knarr run --help'"),
    (
        "run --memory 1g --memory-swap 1m busybox",
        125,
        "--memory-swap is less than --memory",
        "memory plus swap",
    ),
    (
        "run --ulimit nofiles=1 busybox",
        125,
        "\"nofiles=1\" is not a ulimit",
        "see 'knarr run --help'",
    ),
    ("run --network wonderland busybox", 125, "no network \"wonderland\"", "'knarr network ls'"),
    (
        "run --network host --network none busybox",
        125,
        "cannot be combined with none",
        "networks of its own",
    ),
    (
        "run --network host --ip 1.2.3.4 busybox",
        125,
        "--ip has no meaning with the network host",
        "network create",
    ),
    (
        "run --network name=a,color=red busybox",
        125,
        "\"color\" is not a field",
        "alias, ip, ip6, mac-address",
    ),
    (
        "run --network container:made -p 80:80 busybox",
        125,
        "--publish conflicts",
        "give --publish to made",
    ),
    ("run --network container:made -P busybox", 125, "--publish-all conflicts", "made"),
    ("run --network container:made --expose 80 busybox", 125, "--expose conflicts", "made"),
    ("run --network container:made -h box busybox", 125, "--hostname conflicts", "made"),
    (
        "run --network container:made --domainname a.b busybox",
        125,
        "--domainname conflicts",
        "made",
    ),
    ("run --network container:made --dns 192.0.2.1 busybox", 125, "--dns conflicts", "made"),
    (
        "run --network container:made --dns-search a.b busybox",
        125,
        "--dns-search conflicts",
        "made",
    ),
    ("run --network container:made --dns-option a busybox", 125, "--dns-option conflicts", "made"),
    (
        "run --network container:made --add-host a:192.0.2.1 busybox",
        125,
        "--add-host conflicts",
        "made",
    ),
    ("run --network container:made --ip 192.0.2.1 busybox", 125, "--ip has no meaning", "own"),
    (
        "run --network container:made --network-alias a busybox",
        125,
        "--network-alias has no",
        "own",
    ),
    ("run --network none --network-alias a busybox", 125, "--network-alias has no meaning", "own"),
    ("run -p 8000-8002:80-81 busybox", 125, "differ in length", "one port of the container"),
    ("run --expose 80:80 busybox", 125, "is not a port to expose", "-p publishes"),
    ("run --domainname a_.-b busybox", 125, "\"a_.-b\" is not a valid host name", "letters"),
    ("network connect host made", 1, "neither join nor leave the network host", "--network host"),
    (
        "network create --nope net",
        125,
        "unexpected argument '--nope'",
        "see 'knarr network create --help'",
    ),
    ("run --link store:database busybox", 125, "no container \"store\"", "'knarr ps -a'"),
    ("run --allow-outbound http://x busybox", 125, "not a place to connect to", "HOST[:PORT]"),
    ("run --restart never busybox", 125, "not a restart policy", "unless-stopped"),
    (
        "run --rm --restart always busybox",
        125,
        "both removed (--rm) and started again",
        "leave one",
    ),
    ("network rm host", 1, "cannot be removed", "remove the containers"),
    ("network create --subnet 10.0.0.0 net", 125, "an address and a length", "see"),
    ("network create --ipv6 --subnet 100::/64 net", 1, "loopback of Wasm guests", "--subnet"),
    ("network connect nowhere nobody", 1, "no container", "ps -a"),
    ("volume create -o type=nfs vol", 1, "cannot be of type \"nfs\"", "write type=tmpfs"),
    (
        "run --runtime banana busybox",
        125,
        "the runtimes are wasm and native",
        "see 'knarr run --help'",
    ),
    ("run -p 99999:1 busybox", 125, "\"99999\" is not a port", "8080:80"),
    ("run -v a:b busybox", 125, "not a", "[SOURCE:]TARGET[:ro]"),
    (
        "run --mount type=nfs,target=/a busybox",
        125,
        "is not a kind of mount",
        "bind, volume and tmpfs",
    ),
    (
        "run --mount target=a busybox",
        125,
        "is not an absolute path in the container",
        "begins with '/'",
    ),
    ("run -w tmp busybox", 125, "is not an absolute path", "write /tmp"),
    (
        "run --name _ busybox",
        125,
        "is not a valid container name",
        "begin with a letter or a digit",
    ),
    (
        "run --security-opt banana busybox",
        125,
        "\"banana\" is not a security option",
        "seccomp=FILE",
    ),
    ("run --security-opt seccomp=/not/there busybox", 125, "cannot read /not/there", ""),
    ("run --env-file /not/there busybox", 125, "cannot read /not/there", ""),
    ("run --add-host db busybox", 125, "\"db\" is not a host entry", "db:10.0.0.7"),
    ("run --stop-signal BANANA busybox", 125, "BANANA", "hint"),
    ("run --log-opt banana=1 busybox", 125, "is not an option of the log", "max-size=20m"),
    ("run --cap-add BANANA busybox true", 125, "BANANA", ""),
    ("run --detach-keys banana busybox", 125, "is not a sequence of keys", "ctrl-"),
    ("run --rm --user nobodyhere busybox true", 125, "nobodyhere", ""),
    ("start nothere", 1, "no container \"nothere\"", "'knarr ps -a'"),
    ("stop nothere", 1, "no container \"nothere\"", "'knarr ps -a'"),
    ("restart nothere", 1, "no container \"nothere\"", "'knarr ps -a'"),
    ("kill nothere", 1, "no container \"nothere\"", "'knarr ps -a'"),
    ("kill -s BANANA made", 1, "BANANA", "hint"),
    ("wait nothere", 1, "no container \"nothere\"", "'knarr ps -a'"),
    ("pause made", 1, "is not running", "knarr start made"),
    ("unpause made", 1, "is not running", "knarr start made"),
    ("attach made", 1, "is not running", "knarr start made"),
    ("exec made true", 1, "is not running", "knarr start made"),
    ("exec made", 1, "the command is missing", "see 'knarr exec --help'"),
    ("logs nothere", 1, "no container \"nothere\"", "'knarr ps -a'"),
    ("logs --tail banana made", 125, "banana", "see 'knarr logs --help'"),
    ("logs --since banana made", 125, "banana", "see 'knarr logs --help'"),
    ("rm nothere", 1, "no container \"nothere\"", "'knarr ps -a'"),
    ("rename made made!", 1, "is not a valid container name", "begin with a letter or a digit"),
    ("rename made", 1, "required arguments were not provided", "see 'knarr rename --help'"),
    ("cp made:/etc", 1, "required arguments were not provided", "see 'knarr cp --help'"),
    ("cp a b", 1, "container", ""),
    ("export nothere", 1, "no container \"nothere\"", "'knarr ps -a'"),
    ("port nothere", 1, "no container \"nothere\"", "'knarr ps -a'"),
    ("ps --filter banana=1", 1, "cannot be filtered by \"banana\"", "the filters are ancestor"),
    ("ps --filter status=banana", 1, "\"banana\" is not a value", "the states are created"),
    ("ps -a --format {{.Nme}}", 1, "there is no field .Nme", "the fields here are"),
    ("ps --format {{", 1, "unclosed action", "templates are Go's"),
    ("ps --format {{banana}}", 1, "function \"banana\" is not defined", "the functions are and"),
    ("inspect nothere", 1, "no container, image, network or volume \"nothere\"", "'knarr ps -a'"),
    ("images --filter banana=1", 1, "there is no filter \"banana\"", "the filters are reference"),
    ("pull Busy", 1, "must be lower case", "try \"busy\""),
    ("pull a:b:c", 1, "is not a valid", "[registry/]name[:tag]"),
    ("push nothere", 1, "no image \"nothere\"", ""),
    ("tag nothere a", 1, "no image \"nothere\"", "knarr pull nothere"),
    ("tag busybox A", 1, "must be lower case", "try \"a\""),
    ("rmi nothere", 1, "no image \"nothere\"", ""),
    ("history nothere", 1, "no image \"nothere\"", ""),
    ("save nothere -o /dev/null", 1, "no image \"nothere\"", ""),
    ("save --format banana busybox", 1, "banana", ""),
    ("load -i /not/there", 1, "/not/there", ""),
    ("load -i /etc/passwd", 1, "", ""),
    ("import /not/there", 1, "/not/there", ""),
    ("import http://example.com/x.tar", 1, "is not a file", "curl -L"),
    ("login --password-stdin", 1, "--password-stdin needs --username", ""),
    ("login -u me", 1, "no terminal to ask for the password", "--password-stdin"),
    ("volume rm nothere", 1, "no volume \"nothere\"", ""),
    (
        "volume create --driver banana",
        1,
        "there is no volume driver \"banana\"",
        "leave --driver out",
    ),
    ("volume inspect nothere", 1, "no volume \"nothere\"", ""),
    ("image inspect nothere", 1, "no image \"nothere\"", ""),
    ("container inspect nothere", 1, "no container \"nothere\"", ""),
    ("completion banana", 1, "banana", "see 'knarr completion --help'"),
    ("version --format {{.Banana}}", 1, "there is no field .Banana", ".Client"),
];

#[test]
fn every_mistake_is_explained() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["create", "--name", "made", "busybox"]);
    knarr.ok(&["create", "-it", "--name", "typed", "busybox"]);
    let mut wrong = Vec::new();
    for (line, code, error, hint) in MISTAKES {
        let words: Vec<&str> = line.split(' ').collect();
        let ended = knarr.run(&words);
        let said = &ended.stderr;
        let explained = said.starts_with("error: ")
            && said.contains(error)
            && said.contains(hint)
            && (hint.is_empty() || said.contains("\nhint: "));
        if ended.code != *code || !explained || said.contains("panicked") {
            wrong.push(format!("$ knarr {line}\n(wanted {code}, got {})\n{said}", ended.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(knarr.containers().len(), 2, "a mistake left a container");
}

#[test]
fn an_id_is_no_name() {
    let knarr = Knarr::new().with_busybox();
    let id = "a".repeat(64);
    assert!(knarr.fails(1, &["tag", "busybox", &id]).contains("64 hexadecimal digits are an id"));
    // by its id an image is found all the same
    let own = knarr.ok(&["images", "-q", "--no-trunc"]);
    assert_eq!(knarr.ok(&["run", "--rm", own.trim_start_matches("sha256:"), "echo", "x"]), "x");
}

#[test]
fn empty_values_and_switches_mean_what_docker_takes_them_for() {
    let knarr = Knarr::new().with_busybox();
    assert_eq!(knarr.ok(&["run", "-d=false", "-it=false", "--rm", "busybox", "echo", "a"]), "a");
    let id = knarr.ok(&["run", "-d=true", "busybox", "sh", "-c", "echo x; exec sleep 1000"]);
    assert_eq!(knarr.ok(&["ps", "-q=true", "-a=1", "--no-trunc"]), id);
    assert_eq!(knarr.ok(&["exec", "-t=0", &id, "echo", "in"]), "in");
    crate::harness::proc::until("it has said it", || knarr.ok(&["logs", &id]) == "x");
    assert_eq!(knarr.ok(&["logs", "--since", "", "--until", "", "-n", "-5", &id]), "x");
    assert_eq!(knarr.ok(&["logs", "--since", "-5m", &id]), "");
    knarr.ok(&["kill", "-s", "", &id]);
    assert_eq!(knarr.ok(&["wait", &id]), "137");
    assert_eq!(knarr.ok(&["run", "--detach-keys", "", "--rm", "busybox", "echo", "b"]), "b");
    assert_eq!(knarr.ok(&["run", "--detach-keys", "DEL", "--rm", "busybox", "echo", "b"]), "b");
    for option in [
        "-w",
        "-h",
        "--name",
        "--platform",
        "--pull",
        "--stop-signal",
        "--cidfile",
        "--ip",
        "--log-driver",
        "--runtime",
    ] {
        assert_eq!(knarr.ok(&["run", "--rm", option, "", "busybox", "echo", "c"]), "c", "{option}");
    }
    assert!(knarr.fails(127, &["run", "--rm", "busybox", ""]).contains("no such file"));
}
