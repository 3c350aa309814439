//! Programs: what they see, what they say, how they end.

use super::Test;
use super::container::Container;

pub const TESTS: &[Test] = &[("programs::arguments", arguments)];

fn kit(args: &[&str]) -> Container {
    Container::with("kit.p1.wasm", args)
}

fn arguments() {
    for guest in ["kit.p1.wasm", "kit.p2.wasm"] {
        let out = Container::with(guest, &["args", "one", "two words", ""]).run().stdout();
        print!("{out}");
    }
}
