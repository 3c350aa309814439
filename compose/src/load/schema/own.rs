//! What only Knarr has, under `x-knarr` in a service. Other programs pass it over, so nobody else finds a mistake in it.

use super::shapes::*;
use knarr_core::spec::InstanceRequests;

pub(super) static OWN: Object = closed(&[
    (
        "instance_requests",
        Shape::Either(&[
            Shape::Range(INT, 1, Some(u32::MAX as i64)),
            Shape::Form(is_number_of_requests, "number of requests, from 1 on, or 'unlimited'"),
        ]),
    ),
    ("on_unhealthy", Shape::Form(is_action, "action: none, kill, restart, stop")),
    ("outbound", STRINGS),
    ("variant", Shape::Form(is_variant, "variant: wasm, native")),
]);

/// A variable may stand for any value, where it is not replaced (`config --no-interpolate`, `--variables`).
fn is_variable(text: &str) -> bool {
    text.contains('$')
}

fn is_number_of_requests(text: &str) -> bool {
    is_variable(text) || text.parse::<InstanceRequests>().is_ok()
}

fn is_action(text: &str) -> bool {
    is_variable(text) || ["none", "kill", "restart", "stop"].contains(&text)
}

fn is_variant(text: &str) -> bool {
    is_variable(text) || ["wasm", "native"].contains(&text)
}
