//! What errors say: the place, the problem, and what to do.

use std::fmt::Write;

use knarr_core::hint::Hint;

use super::cases::{Case, folders};

/// One line (or several) for each case that is an error.
fn messages() -> String {
    let mut all = String::new();
    for folder in folders() {
        let name = folder.display().to_string();
        let name = name.split("cases/").nth(1).unwrap();
        if !name.ends_with("-error") {
            continue;
        }
        let case = Case::new(&folder);
        let Err(error) = case.actual() else { panic!("{name} is no error") };
        let text = error.to_string().replace(&case.folder.display().to_string(), "@DIR@");
        writeln!(all, "{name}\n  {text}").unwrap();
        if let Some(hint) = error.hint() {
            writeln!(all, "  hint: {hint}").unwrap();
        }
    }
    all
}

/// To renew the file after looking at what has changed, run the test with `KNARR_RENEW=1`.
#[test]
fn errors_say_where_what_and_what_to_do() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/compose/messages.txt");
    let actual = messages();
    if std::env::var_os("KNARR_RENEW").is_some() {
        knarr_core::fsx::write(path.as_ref(), &actual).unwrap();
    }
    let expected = knarr_core::fsx::read_to_string(path.as_ref()).unwrap();
    let missing: Vec<&str> = actual.lines().filter(|line| !expected.contains(line)).collect();
    assert!(actual == expected, "new or different:\n{}", missing.join("\n"));
}
