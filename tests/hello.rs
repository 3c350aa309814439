//! The first thing people see: the image that comes with Knarr.

use crate::harness::Knarr;

#[test]
fn hello_needs_no_registry_and_says_which_variant_it_is() {
    let knarr = Knarr::new();
    let ended = knarr.run(&["run", "--rm", "--explain", "hello"]).code(0);
    assert!(ended.stdout.contains("Hello from Knarr!"), "{}", ended.stdout);
    assert!(ended.stdout.contains("You are running the wasi/wasm variant"), "{}", ended.stdout);
    assert!(ended.stderr.contains("chosen:   wasi/wasm"), "{}", ended.stderr);
    let native = knarr.ok(&["run", "--rm", "--platform", "linux", "hello"]);
    assert!(native.contains("You are running the linux/"), "{native}");
    let greeted = knarr.ok(&["run", "--rm", "-e", "GREETING=Ahoy", "hello", "there"]);
    assert!(
        greeted.starts_with("Ahoy from Knarr!") && greeted.contains("Arguments: there"),
        "{greeted}"
    );
    assert!(knarr.ok(&["images", "hello"]).contains("wasi/wasm"));
}

#[test]
fn an_image_of_that_name_is_not_replaced() {
    let knarr = Knarr::new().with_busybox();
    knarr.ok(&["tag", "busybox", "hello"]);
    assert_eq!(knarr.ok(&["run", "--rm", "hello", "echo", "mine"]), "mine");
}

/// What `--help` promises, and that the README's commands exist.
#[test]
fn help_names_the_commands() {
    let knarr = Knarr::new();
    let help = knarr.ok(&["--help"]);
    for verb in [
        "run", "exec", "ps", "logs", "images", "pull", "push", "login", "stop", "rm", "save",
        "load", "info",
    ] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(verb)), "{verb}: {help}");
    }
    assert_eq!(knarr.ok(&[] as &[&str]), help);
    assert!(knarr.ok(&["--version"]).starts_with("knarr "));
    for shell in ["bash", "zsh", "fish"] {
        assert!(knarr.ok(&["completion", shell]).contains("knarr"));
    }
}
