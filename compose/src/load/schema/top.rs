//! The top level of a file, and what is below it besides services.

use super::service::SERVICE;
use super::shapes::*;

pub(super) static FILE: Shape = Shape::Map(&known(&[
    ("version", STRING),
    ("name", STRING),
    ("include", Shape::List(&Shape::Either(&[STRING, Shape::Map(&INCLUDE)]), false)),
    ("services", Shape::Map(&chosen(Others::Named(is_name, &Shape::Map(&SERVICE))))),
    ("models", Shape::Map(&chosen(Others::Loose(is_name, &Shape::Map(&MODEL))))),
    ("networks", Shape::Map(&chosen(Others::Loose(is_name, &NETWORK)))),
    ("volumes", Shape::Map(&chosen(Others::Named(is_name, &VOLUME)))),
    ("secrets", Shape::Map(&chosen(Others::Named(is_name, &Shape::Map(&SECRET))))),
    ("configs", Shape::Map(&chosen(Others::Named(is_name, &Shape::Map(&CONFIG))))),
]));

static INCLUDE: Object = closed(&[
    ("path", STRING_OR_LIST),
    ("env_file", STRING_OR_LIST),
    ("project_directory", STRING),
]);

static MODEL: Object = known(&[
    ("name", STRING),
    ("model", STRING),
    ("context_size", Shape::Kinds(INT)),
    ("runtime_flags", STRINGS),
])
.with(&["model"]);

/// `external`: a switch, or the old form with a name.
const EXTERNAL: Shape = Shape::Either(&[SWITCH, Shape::Map(&known(&[("name", STRING)]))]);
const EXTERNAL_FILE: Shape = Shape::Either(&[
    SWITCH,
    Shape::Map(&Object {
        keys: &[("name", STRING)],
        others: Others::Free,
        required: &[],
        extensible: true,
    }),
]);

static NETWORK: Shape = Shape::Either(&[
    Shape::Kinds(NULL),
    Shape::Map(&known(&[
        ("name", STRING),
        ("driver", STRING),
        ("driver_opts", OPTIONS),
        ("ipam", Shape::Map(&IPAM)),
        ("external", EXTERNAL),
        ("internal", SWITCH),
        ("enable_ipv4", SWITCH),
        ("enable_ipv6", SWITCH),
        ("attachable", SWITCH),
        ("labels", PAIRS),
    ])),
]);

static IPAM: Object = known(&[
    ("driver", STRING),
    (
        "config",
        Shape::List(
            &Shape::Map(&known(&[
                ("subnet", STRING),
                ("ip_range", STRING),
                ("gateway", STRING),
                ("aux_addresses", Shape::Map(&TEXTS)),
            ])),
            false,
        ),
    ),
    ("options", Shape::Map(&TEXTS)),
]);

static TEXTS: Object = chosen(Others::Named(is_something, &STRING));

static VOLUME: Shape = Shape::Either(&[
    Shape::Kinds(NULL),
    Shape::Map(&known(&[
        ("name", STRING),
        ("driver", STRING),
        ("driver_opts", OPTIONS),
        ("external", EXTERNAL),
        ("labels", PAIRS),
    ])),
]);

static SECRET: Object = known(&[
    ("name", STRING),
    ("environment", STRING),
    ("file", STRING),
    ("external", EXTERNAL_FILE),
    ("labels", PAIRS),
    ("driver", STRING),
    ("driver_opts", OPTIONS),
    ("template_driver", STRING),
]);

static CONFIG: Object = known(&[
    ("name", STRING),
    ("content", STRING),
    ("environment", STRING),
    ("file", STRING),
    ("external", EXTERNAL_FILE),
    ("labels", PAIRS),
    ("template_driver", STRING),
]);
