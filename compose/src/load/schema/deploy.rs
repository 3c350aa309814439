//! `deploy`, `develop` and the requests for devices.

use super::service::HOOK;
use super::shapes::*;

pub(super) static DEPLOY: Object = known(&[
    ("mode", STRING),
    ("endpoint_mode", STRING),
    ("replicas", WHOLE),
    ("labels", PAIRS),
    ("rollback_config", Shape::Map(&UPDATE)),
    ("update_config", Shape::Map(&UPDATE)),
    ("resources", Shape::Map(&RESOURCES)),
    ("restart_policy", Shape::Map(&RESTART)),
    ("placement", Shape::Map(&PLACEMENT)),
]);

static UPDATE: Object = known(&[
    ("parallelism", WHOLE),
    ("delay", STRING),
    ("failure_action", STRING),
    ("monitor", STRING),
    ("max_failure_ratio", AMOUNT),
    ("order", Shape::Words(&["start-first", "stop-first"])),
]);

static RESTART: Object =
    known(&[("condition", STRING), ("delay", STRING), ("max_attempts", WHOLE), ("window", STRING)]);

static PLACEMENT: Object = known(&[
    ("constraints", STRINGS),
    ("preferences", Shape::List(&Shape::Map(&known(&[("spread", STRING)])), false)),
    ("max_replicas_per_node", WHOLE),
]);

static RESOURCES: Object = known(&[
    ("limits", Shape::Map(&known(&[("cpus", AMOUNT), ("memory", STRING), ("pids", WHOLE)]))),
    (
        "reservations",
        Shape::Map(&known(&[
            ("cpus", AMOUNT),
            ("memory", STRING),
            ("generic_resources", Shape::List(&Shape::Map(&GENERIC), false)),
            ("devices", Shape::List(&Shape::Map(&DEVICE), false)),
        ])),
    ),
]);

static GENERIC: Object = known(&[(
    "discrete_resource_spec",
    Shape::Map(&known(&[("kind", STRING), ("value", AMOUNT)])),
)]);

static DEVICE: Object = known(DEVICE_KEYS).with(&["capabilities"]);

const DEVICE_KEYS: &[(&str, Shape)] = &[
    ("capabilities", UNIQUE_STRINGS),
    ("count", WHOLE),
    ("device_ids", UNIQUE_STRINGS),
    ("driver", STRING),
    ("options", PAIRS),
];

/// `gpus`: the word `all`, or requests in which other keys are let be.
pub(super) const GPUS: Shape = Shape::Either(&[
    Shape::Words(&["all"]),
    Shape::List(
        &Shape::Map(&Object {
            keys: DEVICE_KEYS,
            others: Others::Free,
            required: &[],
            extensible: true,
        }),
        false,
    ),
]);

pub(super) static DEVELOP: Object = known(&[("watch", Shape::List(&Shape::Map(&WATCH), false))]);

static WATCH: Object = known(&[
    ("ignore", STRING_OR_LIST),
    ("include", STRING_OR_LIST),
    ("path", STRING),
    ("action", Shape::Words(&["rebuild", "sync", "restart", "sync+restart", "sync+exec"])),
    ("target", STRING),
    ("exec", Shape::Map(&HOOK)),
    ("initial_sync", Shape::Kinds(BOOL)),
])
.with(&["path", "action"]);
