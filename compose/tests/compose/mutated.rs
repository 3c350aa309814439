//! The cases' files with something wrong in them: loading neither panics nor takes its time.

use std::time::{Duration, Instant};

use knarr_compose::load::{self, Options};
use knarr_compose::render::{self, Format};

use super::cases::folders;

/// Pseudo-random numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

const PIECES: [&str; 32] = [
    "${",
    "}",
    "$",
    ":",
    ": ",
    "- ",
    "\n",
    "\n  ",
    "[",
    "]",
    "{",
    "}",
    "&a ",
    "*a",
    "<<: *a",
    "!reset ",
    "!override ",
    "!!int ",
    "null",
    "~",
    "-1",
    "1e400",
    "0x",
    "\"",
    "'",
    "|\n",
    "x-a: ",
    "é",
    "#",
    ",",
    "services:",
    "extends: a",
];

fn mutate(text: &str, dice: &mut Dice) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=dice.below(2) {
        let at = dice.below(chars.len() + 1);
        let end = (at + dice.below(12)).min(chars.len());
        match dice.below(3) {
            0 => drop(chars.drain(at..end)),
            1 => {
                let part = chars[at..end].to_vec();
                let to = dice.below(chars.len() + 1);
                chars.splice(to..to, part);
            }
            _ => drop(chars.splice(at..at, PIECES[dice.below(PIECES.len())].chars())),
        }
    }
    chars.into_iter().collect()
}

#[test]
fn mutated_files_are_projects_or_errors() {
    let rounds = std::env::var("KNARR_ROUNDS").map_or(1, |text| text.parse().unwrap());
    let texts: Vec<String> = folders()
        .iter()
        .filter_map(|folder| knarr_core::fsx::read_optional(&folder.join("compose.yaml")).unwrap())
        .map(|bytes| String::from_utf8(bytes).unwrap())
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let options = Options { current: folder.path().to_owned(), ..Options::default() };
    let path = folder.path().join("compose.yaml");
    let mut dice = Dice(0x2545_f491_4f6c_dd1d);
    let mut good = 0;
    for text in texts.iter().cycle().take(rounds * texts.len()) {
        let text = mutate(text, &mut dice);
        knarr_core::fsx::write(&path, &text).unwrap();
        let start = Instant::now();
        if let Ok(loaded) = load::load(&options) {
            good += 1;
            // what was written can be loaded again, and says the same
            let first = render::project(&loaded.project, Format::Yaml);
            // in keys nothing is replaced, and yet a '$' is doubled
            if first.contains('$') {
                continue;
            }
            knarr_core::fsx::write(&path, &first).unwrap();
            let skip = load::Skip { consistency: true, ..load::Skip::default() };
            let again = load::load(&Options { skip, ..options.clone() });
            let again = again.unwrap_or_else(|e| panic!("{e}\n{text}\n-- became --\n{first}"));
            let second = render::project(&again.project, Format::Yaml);
            assert!(first == second, "{text}\n-- became --\n{first}\n-- and then --\n{second}");
        }
        assert!(start.elapsed() < Duration::from_secs(10), "{text}");
    }
    assert!(good > 0);
}
