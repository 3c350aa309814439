//! `-t`: terminals of containers.

use crate::harness::Knarr;
use crate::harness::proc::until;

#[test]
fn a_native_container_has_a_terminal() {
    let knarr = Knarr::new().with_busybox();
    let mut terminal = knarr.at_terminal(&["run", "--rm", "-it", "busybox", "sh"]);
    terminal.type_in("tty; stty size; echo $TERM\r");
    terminal.shows("/dev/pts/0");
    terminal.shows("24 80");
    terminal.shows("xterm");
    terminal.resize(30, 100);
    terminal
        .type_in("until [ \"$(stty size)\" = '30 100' ]; do sleep 0.05; done; echo res''ized\r");
    terminal.shows("resized");
    // the keys that make signals reach the program, not knarr
    // once it answers, it and not the shell is in the foreground
    terminal.type_in("busybox rev\r");
    terminal.type_in("egassem\r");
    terminal.shows("message");
    terminal.type_in("\u{3}");
    terminal.shows("# ");
    terminal.type_in("echo al''ive\r");
    terminal.shows("alive");
    terminal.type_in("exit 7\r");
    assert_eq!(terminal.code(), 7);
}

#[test]
fn a_wasm_container_has_a_terminal() {
    let knarr = Knarr::new().with_kit();
    let mut terminal = knarr.at_terminal(&["run", "--rm", "-it", "kit", "tty"]);
    terminal.shows("stdin=true stdout=true stderr=true");
    assert_eq!(terminal.code(), 0);
    let without = knarr.ok(&["run", "--rm", "kit", "tty"]);
    assert_eq!(without, "stdin=false stdout=false stderr=false");
}

#[test]
fn exec_has_a_terminal_of_its_own() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    let mut terminal = knarr.at_terminal(&["exec", "-it", "box", "sh"]);
    terminal.type_in("tty; stty size\r");
    terminal.shows("/dev/pts/0");
    terminal.shows("24 80");
    terminal.type_in("exit 5\r");
    assert_eq!(terminal.code(), 5);
}

#[test]
fn the_detach_keys_leave_the_container_running() {
    let knarr = Knarr::new().with_busybox();
    let mut terminal = knarr.at_terminal(&["run", "-it", "--name", "box", "busybox", "sh"]);
    terminal.type_in("echo here''I am\r");
    terminal.shows("hereI am");
    terminal.type_in("\u{10}\u{11}");
    assert_eq!(terminal.code(), 0);
    let mut terminal = knarr.at_terminal(&["attach", "box"]);
    terminal.type_in("echo once''more\r");
    terminal.shows("oncemore");
    terminal.type_in("\u{10}\u{11}");
    terminal.shows("read escape sequence");
    assert_eq!(terminal.code(), 0);
    assert_eq!(knarr.inspect("box", "{{.State.Status}}"), "running");
    let mut terminal = knarr.at_terminal(&["attach", "--detach-keys", "ctrl-a,d", "box"]);
    terminal.type_in("echo back''again\r");
    terminal.shows("backagain");
    terminal.type_in("\u{1}d");
    assert_eq!(terminal.code(), 0);
    let mut terminal = knarr.at_terminal(&["attach", "box"]);
    terminal.type_in("exit 4\r");
    terminal.shows("exit 4");
    assert_eq!(terminal.code(), 4);
    until("it has ended", || knarr.inspect("box", "{{.State.Status}}") == "exited");
    let mut terminal = knarr.at_terminal(&["start", "-ai", "box"]);
    terminal.type_in("exit 2\r");
    terminal.shows("exit 2");
    assert_eq!(terminal.code(), 2);
}

/// Input that is no terminal would never end there; output needs none.
#[test]
fn a_terminal_is_not_fed_from_a_file() {
    let knarr = Knarr::new().with_busybox().with_kit();
    for words in [&["run", "--rm", "-it", "busybox", "cat"][..], &["run", "-ti", "kit", "cat"]] {
        let ended = knarr.run_with_input(words, b"typed\n");
        assert!(ended.error(1).contains("the input device is not a TTY"), "{words:?}");
    }
    assert_eq!(knarr.ok(&["ps", "-aq"]), "", "nothing is left");
    assert_eq!(knarr.ok(&["run", "--rm", "-t", "busybox", "echo", "shown"]).trim(), "shown");
    let input = knarr.run_with_input(&["run", "--rm", "-i", "busybox", "cat"], b"typed\n");
    assert_eq!(input.ok(), "typed");
    knarr.ok(&["run", "-dit", "--name", "box", "busybox", "sh"]);
    assert_eq!(knarr.ok(&["exec", "-dit", "box", "true"]), "");
    assert_eq!(knarr.inspect("box", "{{.State.Status}}"), "running");
}

#[test]
fn a_closed_terminal_is_not_the_end_of_a_detached_container() {
    let knarr = Knarr::new().with_busybox();
    let mut terminal =
        knarr.at_terminal(&["run", "-d", "--name", "box", "busybox", "sleep", "1000"]);
    terminal.shows("\n");
    drop(terminal);
    assert_eq!(knarr.inspect("box", "{{.State.Status}}"), "running");
}

#[test]
fn a_password_is_not_shown_while_it_is_typed() {
    let knarr = Knarr::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = format!("127.0.0.1:{port}");
    let mut terminal = knarr.at_terminal(&["login", "-u", "me", &server]);
    terminal.shows("Password: ");
    terminal.type_in("secret\r");
    terminal.shows("error: ");
    assert_eq!(terminal.code(), 1);
}
