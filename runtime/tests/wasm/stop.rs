//! Stopping a guest, whatever it is doing.

use super::Test;
use super::container::Container;
use knarr_runtime::engine::Stdio;
use std::fs::File;
use std::io::{Read, Write};

pub const TESTS: &[Test] = &[
    ("stop::a_program_that_computes", computing),
    ("stop::a_program_that_waits", waiting),
    ("stop::a_program_that_writes_to_nobody", blocked),
    ("stop::the_image_stop_signal", own_signal),
    ("stop::a_monitor_that_blocks_signals", blocking_monitor),
    ("stop::kill", kill),
    ("stop::a_terminal", terminal),
];

const GUESTS: [&str; 2] = ["kit.p1.wasm", "kit.p2.wasm"];

fn computing() {
    for guest in GUESTS {
        for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGINT, 130)] {
            let mut running = Container::with(guest, &["spin"]).start().unwrap();
            running.expect("spinning");
            running.kill(signal);
            assert_eq!(running.wait().code(), Some(code), "{guest}");
        }
    }
}

fn waiting() {
    for guest in GUESTS {
        for command in [&["cat"][..], &["sleep", "100000"]] {
            let mut running = Container::with(guest, command).start().unwrap();
            running.kill(libc::SIGTERM);
            assert_eq!(running.wait().code(), Some(143), "{guest} {command:?}");
        }
    }
}

fn blocked() {
    for guest in GUESTS {
        let mut running = Container::with(guest, &["log", "1000000", "0"]).start().unwrap();
        running.expect("out 10\n");
        running.kill(libc::SIGTERM);
        assert_eq!(running.wait().code(), Some(143), "{guest}");
    }
}

fn own_signal() {
    let mut container = Container::with("kit.p1.wasm", &["spin"]);
    container.spec.process.stop_signal = Some("SIGQUIT".into());
    let mut running = container.start().unwrap();
    running.expect("spinning");
    running.kill(libc::SIGQUIT);
    assert_eq!(running.wait().code(), Some(131));
}

/// A monitor reads signals from a descriptor, and blocks them for that.
fn blocking_monitor() {
    let mut running;
    unsafe {
        let (mut all, mut before) = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const all, &raw mut before);
        running = Container::with("kit.p1.wasm", &["spin"]).start().unwrap();
        libc::sigprocmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
    }
    running.expect("spinning");
    running.kill(libc::SIGTERM);
    assert_eq!(running.wait().code(), Some(143));
}

fn kill() {
    use std::os::unix::process::ExitStatusExt;
    let mut running = Container::with("kit.p1.wasm", &["spin"]).start().unwrap();
    running.kill(libc::SIGKILL);
    assert_eq!(running.wait().signal(), Some(libc::SIGKILL));
}

fn terminal() {
    for guest in GUESTS {
        let container = Container::with(guest, &["tty"]);
        let started = container.launch(Stdio::Terminal { rows: 40, columns: 132 }).unwrap();
        let mut master = File::from(started.terminal.unwrap());
        let mut shown = Vec::new();
        // the end of a terminal whose other side is gone is EIO
        let _ = master.read_to_end(&mut shown);
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(shown, "stdin=true stdout=true stderr=true\r\n", "{guest}");
        unsafe { libc::waitpid(started.pid as i32, std::ptr::null_mut(), 0) };

        let container = Container::with(guest, &["lines"]);
        let started = container.launch(Stdio::Terminal { rows: 40, columns: 132 }).unwrap();
        let mut master = File::from(started.terminal.unwrap());
        writeln!(master, "typed").unwrap();
        let mut shown = String::new();
        let mut byte = [0];
        while !shown.contains("TYPED") {
            master.read_exact(&mut byte).unwrap();
            shown.push(byte[0].into());
        }
        // Ctrl-C: the terminal is the guest's own
        write!(master, "\x03").unwrap();
        let mut status = 0;
        unsafe { libc::waitpid(started.pid as i32, &raw mut status, 0) };
        assert_eq!(libc::WEXITSTATUS(status), 130, "{guest}");
    }
}
