//! A service and its build.

use super::deploy::{DEPLOY, DEVELOP, GPUS};
use super::own::OWN;
use super::shapes::*;

pub(super) static SERVICE: Object = known(&[
    ("annotations", PAIRS),
    ("attach", SWITCH),
    ("build", Shape::Either(&[STRING, Shape::Map(&BUILD)])),
    ("blkio_config", Shape::Map(&BLKIO)),
    ("cap_add", UNIQUE_STRINGS),
    ("cap_drop", UNIQUE_STRINGS),
    ("cgroup", Shape::Words(&["host", "private"])),
    ("cgroup_parent", STRING),
    ("command", COMMAND),
    ("configs", FILES),
    ("container_name", Shape::Form(is_container_name, "name for a container")),
    ("cpu_count", Shape::Range(INT.or(TEXT), 0, None)),
    ("cpu_percent", Shape::Range(INT.or(TEXT), 0, Some(100))),
    ("cpu_shares", AMOUNT),
    ("cpu_quota", AMOUNT),
    ("cpu_period", AMOUNT),
    ("cpu_rt_period", AMOUNT),
    ("cpu_rt_runtime", AMOUNT),
    ("cpus", AMOUNT),
    ("cpuset", STRING),
    (
        "credential_spec",
        Shape::Map(&known(&[("config", STRING), ("file", STRING), ("registry", STRING)])),
    ),
    ("depends_on", Shape::Either(&[UNIQUE_STRINGS, Shape::Map(&DEPENDS_ON)])),
    ("deploy", Shape::Either(&[Shape::Kinds(NULL), Shape::Map(&DEPLOY)])),
    ("develop", Shape::Either(&[Shape::Kinds(NULL), Shape::Map(&DEVELOP)])),
    ("device_cgroup_rules", UNIQUE_STRINGS),
    ("devices", Shape::List(&Shape::Either(&[STRING, Shape::Map(&DEVICE)]), false)),
    ("dns", STRING_OR_LIST),
    ("dns_opt", UNIQUE_STRINGS),
    ("dns_search", STRING_OR_LIST),
    ("domainname", STRING),
    ("entrypoint", COMMAND),
    ("env_file", Shape::Either(&[STRING, Shape::List(&ENV_FILE, false)])),
    ("environment", PAIRS),
    ("expose", Shape::List(&AMOUNT, true)),
    ("extends", Shape::Either(&[STRING, Shape::Map(&EXTENDS)])),
    ("external_links", UNIQUE_STRINGS),
    ("extra_hosts", HOSTS),
    ("gpus", GPUS),
    ("group_add", Shape::List(&AMOUNT, true)),
    ("healthcheck", Shape::Map(&HEALTHCHECK)),
    ("hostname", STRING),
    ("image", STRING),
    ("init", SWITCH),
    ("ipc", STRING),
    ("isolation", STRING),
    ("label_file", Shape::Either(&[STRING, STRINGS])),
    ("labels", PAIRS),
    ("links", UNIQUE_STRINGS),
    ("logging", Shape::Map(&LOGGING)),
    ("mac_address", STRING),
    ("mem_limit", AMOUNT),
    ("mem_reservation", WHOLE),
    ("mem_swappiness", WHOLE),
    ("memswap_limit", AMOUNT),
    ("models", Shape::Either(&[UNIQUE_STRINGS, Shape::Map(&MODELS)])),
    ("network_mode", STRING),
    ("networks", Shape::Either(&[UNIQUE_STRINGS, Shape::Map(&NETWORKS)])),
    ("oom_kill_disable", SWITCH),
    ("oom_score_adj", Shape::Range(INT.or(TEXT), -1000, Some(1000))),
    ("pid", Shape::Kinds(TEXT.or(NULL))),
    ("pids_limit", AMOUNT),
    ("platform", STRING),
    (
        "ports",
        Shape::List(&Shape::Either(&[Shape::Kinds(NUMBER.or(TEXT)), Shape::Map(&PORT)]), true),
    ),
    ("post_start", Shape::List(&Shape::Map(&HOOK), false)),
    ("pre_start", Shape::List(&Shape::Map(&PRE_START), false)),
    ("pre_stop", Shape::List(&Shape::Map(&HOOK), false)),
    ("privileged", SWITCH),
    ("profiles", UNIQUE_STRINGS),
    ("provider", Shape::Map(&PROVIDER)),
    (
        "pull_policy",
        Shape::Form(
            is_pull_policy,
            "policy: always, never, build, missing, if_not_present, refresh, daily, weekly, every_12h",
        ),
    ),
    ("pull_refresh_after", STRING),
    ("read_only", SWITCH),
    ("restart", STRING),
    ("runtime", STRING),
    ("scale", WHOLE),
    ("secrets", FILES),
    ("security_opt", UNIQUE_STRINGS),
    ("shm_size", AMOUNT),
    ("stdin_open", SWITCH),
    ("stop_grace_period", STRING),
    ("stop_signal", STRING),
    ("storage_opt", Shape::Map(&chosen(Others::Free))),
    ("sysctls", PAIRS),
    ("tmpfs", STRING_OR_LIST),
    ("tty", SWITCH),
    ("ulimits", Shape::Map(&ULIMITS)),
    ("use_api_socket", Shape::Kinds(BOOL)),
    ("user", STRING),
    ("userns_mode", STRING),
    ("uts", STRING),
    ("volumes", Shape::List(&Shape::Either(&[STRING, Shape::Map(&VOLUME)]), true)),
    ("volumes_from", UNIQUE_STRINGS),
    ("working_dir", STRING),
    ("x-knarr", Shape::Map(&OWN)),
]);

fn is_container_name(text: &str) -> bool {
    let tail = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    text.chars().zip(text.chars().skip(1)).any(|(a, b)| a.is_ascii_alphanumeric() && tail(b))
}

fn is_pull_policy(text: &str) -> bool {
    const WORDS: [&str; 8] =
        ["always", "never", "build", "if_not_present", "missing", "refresh", "daily", "weekly"];
    let is_interval = |text: &str| {
        text.ends_with(|c| "wdhms".contains(c))
            && text.split_inclusive(|c| "wdhms".contains(c)).all(|part| {
                part.len() > 1 && part[..part.len() - 1].bytes().all(|b| b.is_ascii_digit())
            })
    };
    WORDS.contains(&text) || text.strip_prefix("every_").is_some_and(is_interval)
}

const FILES: Shape = Shape::List(&Shape::Either(&[STRING, Shape::Map(&FILE)]), false);

static FILE: Object = known(&[
    ("source", STRING),
    ("target", STRING),
    ("uid", STRING),
    ("gid", STRING),
    ("mode", AMOUNT),
]);

static DEPENDS_ON: Object = chosen(Others::Named(
    is_name,
    &Shape::Map(
        &known(&[
            ("restart", SWITCH),
            ("required", Shape::Kinds(BOOL)),
            (
                "condition",
                Shape::Words(&[
                    "service_started",
                    "service_healthy",
                    "service_completed_successfully",
                ]),
            ),
        ])
        .with(&["condition"]),
    ),
));

static DEVICE: Object =
    known(&[("source", STRING), ("target", STRING), ("permissions", STRING)]).with(&["source"]);

static ENV_FILE: Shape = Shape::Either(&[
    STRING,
    Shape::Map(
        &closed(&[("path", STRING), ("format", STRING), ("required", SWITCH)]).with(&["path"]),
    ),
]);

static EXTENDS: Object = closed(&[("service", STRING), ("file", STRING)]).with(&["service"]);

static PROVIDER: Object =
    known(&[("type", STRING), ("options", Shape::Map(&PROVIDER_OPTIONS))]).with(&["type"]);
const PROVIDER_OPTION: Shape = Shape::Kinds(TEXT.or(NUMBER).or(BOOL));
static PROVIDER_OPTIONS: Object = chosen(Others::Loose(
    is_something,
    &Shape::Either(&[PROVIDER_OPTION, Shape::List(&PROVIDER_OPTION, false)]),
));

static HEALTHCHECK: Object = known(&[
    ("disable", SWITCH),
    ("interval", STRING),
    ("retries", AMOUNT),
    ("test", Shape::Either(&[STRING, STRINGS])),
    ("timeout", STRING),
    ("start_period", STRING),
    ("start_interval", STRING),
]);

static LOGGING: Object = known(&[
    ("driver", STRING),
    (
        "options",
        Shape::Map(&chosen(Others::Loose(is_something, &Shape::Kinds(TEXT.or(NUMBER).or(NULL))))),
    ),
]);

static MODELS: Object = chosen(Others::Loose(
    is_name,
    &Shape::Either(&[
        Shape::Kinds(NULL),
        Shape::Map(&known(&[("endpoint_var", STRING), ("model_var", STRING)])),
    ]),
));

static NETWORKS: Object = chosen(Others::Named(
    is_name,
    &Shape::Either(&[
        Shape::Kinds(NULL),
        Shape::Map(&known(&[
            ("aliases", UNIQUE_STRINGS),
            ("interface_name", STRING),
            ("ipv4_address", STRING),
            ("ipv6_address", STRING),
            ("link_local_ips", UNIQUE_STRINGS),
            ("mac_address", STRING),
            ("driver_opts", OPTIONS),
            ("priority", Shape::Kinds(NUMBER)),
            ("gw_priority", Shape::Kinds(NUMBER)),
        ])),
    ]),
));

static PORT: Object = known(&[
    ("name", STRING),
    ("mode", STRING),
    ("host_ip", STRING),
    ("target", WHOLE),
    ("published", WHOLE),
    ("protocol", STRING),
    ("app_protocol", STRING),
]);

pub(super) static HOOK: Object = known(&[
    ("command", COMMAND),
    ("user", STRING),
    ("privileged", SWITCH),
    ("working_dir", STRING),
    ("environment", PAIRS),
])
.with(&["command"]);

static PRE_START: Object = known(&[
    ("command", COMMAND),
    ("image", STRING),
    ("user", STRING),
    ("privileged", SWITCH),
    ("working_dir", STRING),
    ("environment", PAIRS),
    ("per_replica", SWITCH),
]);

static ULIMITS: Object = chosen(Others::Loose(
    is_lower_case,
    &Shape::Either(&[
        WHOLE,
        Shape::Map(&known(&[("hard", WHOLE), ("soft", WHOLE)]).with(&["soft", "hard"])),
    ]),
));

static BLKIO: Object = closed(&[
    ("device_read_bps", Shape::List(&BLKIO_RATE, false)),
    ("device_read_iops", Shape::List(&BLKIO_RATE, false)),
    ("device_write_bps", Shape::List(&BLKIO_RATE, false)),
    ("device_write_iops", Shape::List(&BLKIO_RATE, false)),
    ("weight", WHOLE),
    (
        "weight_device",
        Shape::List(&Shape::Map(&closed(&[("path", STRING), ("weight", WHOLE)])), false),
    ),
]);
static BLKIO_RATE: Shape = Shape::Map(&closed(&[("path", STRING), ("rate", WHOLE)]));

static VOLUME: Object = known(&[
    ("type", Shape::Words(&["bind", "volume", "tmpfs", "cluster", "npipe", "image"])),
    ("source", STRING),
    ("target", STRING),
    ("read_only", SWITCH),
    ("consistency", STRING),
    (
        "bind",
        Shape::Map(&known(&[
            ("propagation", STRING),
            ("create_host_path", SWITCH),
            ("recursive", Shape::Words(&["enabled", "disabled", "writable", "readonly"])),
            ("selinux", Shape::Words(&["z", "Z"])),
        ])),
    ),
    ("volume", Shape::Map(&known(&[("labels", PAIRS), ("nocopy", SWITCH), ("subpath", STRING)]))),
    (
        "tmpfs",
        Shape::Map(&known(&[("size", Shape::Range(INT.or(TEXT), 0, None)), ("mode", AMOUNT)])),
    ),
    ("image", Shape::Map(&known(&[("subpath", STRING)]))),
])
.with(&["type"]);

static BUILD: Object = known(&[
    ("context", STRING),
    ("dockerfile", STRING),
    ("dockerfile_inline", STRING),
    ("entitlements", STRINGS),
    ("args", PAIRS),
    ("ssh", PAIRS),
    ("labels", PAIRS),
    ("cache_from", STRINGS),
    ("cache_to", STRINGS),
    ("no_cache", SWITCH),
    ("no_cache_filter", STRING_OR_LIST),
    ("additional_contexts", PAIRS),
    ("network", STRING),
    ("provenance", SWITCH),
    ("sbom", SWITCH),
    ("pull", SWITCH),
    ("target", STRING),
    ("shm_size", WHOLE),
    ("extra_hosts", HOSTS),
    ("isolation", STRING),
    ("privileged", SWITCH),
    ("secrets", FILES),
    ("tags", STRINGS),
    ("ulimits", Shape::Map(&ULIMITS)),
    ("platforms", STRINGS),
]);
