//! Plans as text.

use super::*;
use crate::observe::{Container, Observed, State, Thing, label};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// `web`, `web*2` (two of it), `web:hash2`, `web -> db!healthy` (waits until it is healthy), `web -> db+` (starts anew with it),
/// `web ~ db` (shares its network).
pub(crate) fn wanted(services: &[&str]) -> Wanted {
    let services: Vec<Service> = services.iter().map(|text| service(text)).collect();
    let named = |key: &str| Named {
        key: key.into(),
        name: format!("app_{key}"),
        hash: format!("hash of {key}"),
        external: false,
    };
    Wanted {
        project: "app".into(),
        separator: '-',
        known: services.iter().map(|service| service.name.clone()).collect(),
        services,
        networks: vec![named("default")],
        volumes: vec![named("data")],
    }
}

fn service(text: &str) -> Service {
    let mut words = text.split(' ');
    let mut name = words.next().unwrap();
    let mut service = Service {
        hash: "hash".into(),
        image: "image".into(),
        scale: 1,
        networks: vec!["default".into()],
        volumes: vec!["data".into()],
        ..Service::default()
    };
    if let Some((short, hash)) = name.split_once(':') {
        (name, service.hash) = (short, hash.into());
    }
    if let Some((short, scale)) = name.split_once('*') {
        (name, service.scale) = (short, scale.parse().unwrap());
    }
    service.name = name.into();
    while let (Some(kind), Some(other)) = (words.next(), words.next()) {
        if kind == "~" {
            service.shares.push(other.into());
            continue;
        }
        let restart = other.ends_with('+');
        let (other, condition) = other.trim_end_matches('+').split_once('!').unwrap_or((other, ""));
        let condition = match condition {
            "healthy" => Condition::Healthy,
            "completed" => Condition::Completed,
            _ => Condition::Started,
        };
        let service_name = other.trim_end_matches('+').into();
        service.depends_on.push(Dependency {
            service: service_name,
            condition,
            required: true,
            restart,
        });
    }
    service
}

pub(crate) fn container(service: &str, number: u32, hash: &str, state: State) -> Container {
    let labels = [
        (label::PROJECT, "app".to_owned()),
        (label::SERVICE, service.to_owned()),
        (label::NUMBER, number.to_string()),
        (label::CONFIG_HASH, hash.to_owned()),
        (label::IMAGE, "image".to_owned()),
    ];
    Container {
        id: format!("{service}{number}id").repeat(8),
        name: format!("app-{service}-{number}"),
        labels: labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
        state,
        networks: vec!["app_default".into()],
        created: Timestamp::UNIX_EPOCH,
        started: Some(Timestamp::UNIX_EPOCH),
    }
}

pub(crate) fn running(services: &[&str]) -> Observed {
    let containers =
        services.iter().map(|name| container(name, 1, "hash", State::Running)).collect();
    Observed {
        containers,
        networks: vec![thing("default", "app")],
        volumes: vec![thing("data", "app")],
    }
}

fn thing(key: &str, project: &str) -> Thing {
    let labels =
        [(label::PROJECT, project.to_owned()), (label::CONFIG_HASH, format!("hash of {key}"))];
    let labels: BTreeMap<_, _> = labels.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
    Thing { name: format!("app_{key}"), labels }
}

pub(crate) fn start() -> Up {
    Up { start: true, ..Up::default() }
}

fn planned(wanted: &Wanted, observed: &Observed, options: &Up) -> String {
    let plan = up(wanted, observed, options).unwrap();
    for (at, step) in plan.steps.iter().enumerate() {
        assert!(step.after.iter().all(|before| *before < at), "{plan}");
    }
    plan.to_string()
}

#[test]
fn from_nothing() {
    let wanted = wanted(&["web -> db!healthy -> cache", "db", "cache"]);
    assert_eq!(
        planned(&wanted, &Observed::default(), &start()),
        "1. create network app_default\n\
         2. create volume app_data\n\
         3. create app-db-1 (after 1, 2)\n\
         4. create app-cache-1 (after 1, 2)\n\
         5. create app-web-1 (after 1, 2)\n\
         6. start app-db-1 (after 3)\n\
         7. start app-cache-1 (after 4)\n\
         8. wait until db is healthy (after 6)\n\
         9. start app-web-1 (after 5, 7, 8)\n"
    );
}

#[test]
fn nothing_changed_is_nothing_done() {
    let wanted = wanted(&["web -> db!healthy ~ db", "db"]);
    assert_eq!(planned(&wanted, &running(&["web", "db"]), &start()), "");
    let observed = running(&["web", "db"]);
    assert_eq!(planned(&wanted, &observed, &Up { recreate: Recreate::Never, ..start() }), "");
}

#[test]
fn what_changed_is_made_anew_before_the_old_one_goes() {
    let wanted = wanted(&["web:other -> db", "db"]);
    assert_eq!(
        planned(&wanted, &running(&["web", "db"]), &start()),
        "1. create web1idweb1id_app-web-1 for app-web-1\n\
         2. stop app-web-1 (after 1)\n\
         3. remove app-web-1 (after 2)\n\
         4. rename web1idweb1id_app-web-1 to app-web-1 (after 3)\n\
         5. start app-web-1 (after 4)\n"
    );
    let never = Up { recreate: Recreate::Never, ..start() };
    assert_eq!(planned(&wanted, &running(&["web", "db"]), &never), "");
}

#[test]
fn what_shares_a_network_follows_and_what_asks_for_it_restarts() {
    let sharing = wanted(&["web ~ db", "db:other"]);
    let plan = planned(&sharing, &running(&["web", "db"]), &start());
    assert!(plan.contains("for app-web-1") && plan.contains("for app-db-1"), "{plan}");
    let restarting = wanted(&["web -> db+", "db:other"]);
    let plan = planned(&restarting, &running(&["web", "db"]), &start());
    assert!(
        plan.ends_with("5. start app-db-1 (after 4)\n6. restart app-web-1 (after 5)\n"),
        "{plan}"
    );
}

#[test]
fn what_was_made_anew_by_another_command_is_followed_as_well() {
    let plans = [
        ("web ~ db", ["1. create web1id", "5. start app-web-1 (after 4)\n"]),
        ("web -> db+", ["1. restart app-web-1\n", ""]),
        ("web -> db", ["", ""]),
    ];
    let mut observed = running(&["web", "db"]);
    observed.containers[1].created = Timestamp::MAX;
    for (web, [first, last]) in plans {
        let plan = planned(&wanted(&[web, "db"]), &observed, &start());
        assert!(plan.starts_with(first) && plan.ends_with(last), "{web}: {plan}");
        assert_eq!(plan.is_empty(), first.is_empty(), "{web}: {plan}");
    }
    // one that was added is no other one
    let mut more = running(&["web", "db"]);
    more.containers.push(container("db", 2, "hash", State::Running));
    more.containers[2].created = Timestamp::MAX;
    for (web, _) in plans {
        assert_eq!(planned(&wanted(&[web, "db*2"]), &more, &start()), "", "{web}");
    }
}

#[test]
fn a_replacement_that_was_interrupted_is_finished() {
    let wanted = wanted(&["web"]);
    let mut half = container("web", 1, "hash", State::Created);
    half.name = "x_app-web-1".into();
    half.labels.insert(label::REPLACE.into(), "app-web-1".into());
    let mut observed = running(&[]);
    observed.containers = vec![half.clone()];
    // the old one is gone
    let plan = planned(&wanted, &observed, &start());
    assert!(plan.starts_with("1. rename x_app-web-1 to app-web-1\n"), "{plan}");
    assert!(plan.ends_with("start app-web-1 (after 1)\n"), "{plan}");
    // it is not
    observed.containers.push(container("web", 1, "old", State::Running));
    let plan = planned(&wanted, &observed, &start());
    assert!(plan.starts_with("1. remove x_app-web-1\n2. create web1idweb1id_app-web-1"), "{plan}");
}

#[test]
fn scale() {
    let three = wanted(&["web*3"]);
    let plan = planned(&three, &running(&["web"]), &start());
    assert_eq!(
        plan,
        "1. create app-web-2\n2. create app-web-3\n\
         3. start app-web-2 (after 1, 2)\n4. start app-web-3 (after 1, 2)\n"
    );
    let mut observed = running(&["web"]);
    observed.containers.push(container("web", 2, "hash", State::Running));
    let plan = planned(&wanted(&["web"]), &observed, &start());
    assert_eq!(plan, "1. stop app-web-2\n2. remove app-web-2 (after 1)\n");
    assert_eq!(planned(&wanted(&["web*0"]), &running(&["web"]), &start()).lines().count(), 2);
    let mut named = wanted(&["web*2"]);
    named.services[0].container_name = Some("mine".into());
    assert!(matches!(
        up(&named, &Observed::default(), &start()),
        Err(Error::NamedAndScaled { .. })
    ));
}

#[test]
fn networks_and_volumes() {
    let mut wanted = wanted(&["web"]);
    wanted.networks[0].hash = "other".into();
    assert_eq!(
        planned(&wanted, &running(&["web"]), &start()),
        "1. stop app-web-1\n\
         2. disconnect app-web-1 from app_default (after 1)\n\
         3. remove network app_default (after 2)\n\
         4. create network app_default (after 3)\n\
         5. create web1idweb1id_app-web-1 for app-web-1 (after 1, 4)\n\
         6. remove app-web-1 (after 5)\n\
         7. rename web1idweb1id_app-web-1 to app-web-1 (after 6)\n\
         8. start app-web-1 (after 7)\n"
    );
    let mut foreign = running(&["web"]);
    foreign.networks = vec![thing("default", "other")];
    assert!(matches!(up(&wanted, &foreign, &start()), Err(Error::ForeignNetwork { .. })));
    wanted.networks[0].external = true;
    assert_eq!(planned(&wanted, &foreign, &start()), "");
    foreign.networks.clear();
    assert!(matches!(up(&wanted, &foreign, &start()), Err(Error::ExternalNetwork { .. })));
    wanted.volumes[0].hash = "other".into();
    let plan = up(&wanted, &running(&["web"]), &start()).unwrap();
    assert!(plan.steps.is_empty() && plan.warnings[0].contains("stays as it is"), "{plan:?}");
}

#[test]
fn what_is_off_its_network_is_made_anew() {
    let wanted = wanted(&["web"]);
    let mut observed = running(&["web"]);
    observed.containers[0].networks.clear();
    assert!(planned(&wanted, &observed, &start()).contains("for app-web-1"));
    assert_eq!(planned(&wanted, &observed, &Up { recreate: Recreate::Never, ..start() }), "");
}

#[test]
fn orphans() {
    let wanted = wanted(&["web"]);
    let observed = running(&["web", "gone"]);
    let plan = up(&wanted, &observed, &start()).unwrap();
    assert!(plan.steps.is_empty() && plan.warnings[0].contains("app-gone-1"), "{plan:?}");
    let remove = Up { remove_orphans: true, ..start() };
    assert_eq!(
        planned(&wanted, &observed, &remove),
        "1. stop app-gone-1\n2. remove app-gone-1 (after 1)\n"
    );
}

#[test]
fn chains_may_be_long() {
    let names: Vec<String> = (0..20_000).map(|n| format!("s{n} -> s{}", n + 1)).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let chain = wanted(&names);
    assert_eq!(order::in_order(&chain).unwrap()[0].name, "s19999");
}

#[test]
fn an_optional_wait_is_not_a_needed_one() {
    let mut wanted = wanted(&["a -> db!healthy", "b -> db!healthy", "db"]);
    wanted.services[0].depends_on[0].required = false;
    let plan = up(&wanted, &Observed::default(), &start()).unwrap();
    let waits = plan.steps.iter().filter_map(|step| match step.action {
        Action::Wait { required, .. } => Some(required),
        _ => None,
    });
    assert_eq!(waits.collect::<Vec<_>>(), [false, true]);
}

#[test]
fn circles_and_unknown_services_are_named() {
    let circle = wanted(&["a -> b", "b -> c", "c -> a"]);
    let error = up(&circle, &Observed::default(), &start()).unwrap_err();
    assert_eq!(error.to_string(), "the services a → b → c → a wait for each other");
    let options = Up { services: vec!["nope".into()], ..start() };
    let error = up(&wanted(&["a"]), &Observed::default(), &options).unwrap_err();
    assert_eq!(error, Error::NoSuchService { service: "nope".into() });
}

#[test]
fn down_goes_the_other_way_round() {
    let wanted = wanted(&["web -> db", "db"]);
    let observed = running(&["web", "db"]);
    let plan = down(Some(&wanted), &observed, &Down { volumes: true, ..Down::default() }).unwrap();
    let text = "1. stop app-web-1\n\
         2. remove app-web-1 (after 1)\n\
         3. stop app-db-1 (after 2)\n\
         4. remove app-db-1 (after 3)\n\
         5. remove network app_default (after 2, 4)\n\
         6. remove volume app_data (after 2, 4)\n";
    assert_eq!(plan.to_string(), text);
    // another project's volume under a name that this one wants, and one of its own that no file declares any more
    let mut shared = observed.clone();
    shared.volumes = vec![thing("data", "other"), thing("gone", "app")];
    let plan = down(Some(&wanted), &shared, &Down { volumes: true, ..Down::default() }).unwrap();
    assert!(!plan.to_string().contains("volume"), "{plan}");
    // without files the labels tell
    let mut observed = observed;
    observed.containers[0]
        .labels
        .insert(label::DEPENDS_ON.into(), "db:service_started:false".into());
    let plan = down(None, &observed, &Down { volumes: true, ..Down::default() }).unwrap();
    assert_eq!(plan.to_string(), text);
    let some = Down { services: vec!["web".into()], ..Down::default() };
    let plan = down(Some(&wanted), &observed, &some).unwrap();
    assert_eq!(plan.to_string(), "1. stop app-web-1\n2. remove app-web-1 (after 1)\n");
}

#[test]
fn verbs() {
    let wanted = wanted(&["web -> db!healthy -> cache+", "db", "cache"]);
    let observed = running(&["web", "db", "cache"]);
    let text = stop(&wanted, &observed, &[], Some(3)).unwrap().to_string();
    assert_eq!(
        text,
        "1. stop app-web-1\n2. stop app-cache-1 (after 1)\n3. stop app-db-1 (after 1)\n"
    );
    let text = restart(&wanted, &observed, &["cache".into()], None, false).unwrap().to_string();
    assert_eq!(text, "1. restart app-cache-1\n2. restart app-web-1 (after 1)\n");
    let text = restart(&wanted, &observed, &["cache".into()], None, true).unwrap().to_string();
    assert_eq!(text, "1. restart app-cache-1\n");
    let mut ended = observed.clone();
    for container in &mut ended.containers {
        container.state = State::Exited(0);
    }
    assert_eq!(
        start_verb(&wanted, &ended),
        "1. start app-db-1\n2. start app-cache-1\n3. wait until db is healthy (after 1)\n4. start app-web-1 (after 2, 3)\n"
    );
    assert_eq!(kill(&wanted, &observed, &[], Some("HUP")).unwrap().steps.len(), 3);
    assert_eq!(pause(&wanted, &ended, &[]).unwrap().steps.len(), 0);
    let removal = Remove { stop: true, volumes: false };
    let text = remove(&wanted, &observed, &["web".into()], removal).unwrap().to_string();
    assert_eq!(text, "1. stop app-web-1\n2. remove app-web-1 (after 1)\n");
    assert!(remove(&wanted, &observed, &[], Remove::default()).unwrap().steps.is_empty());
}

fn start_verb(wanted: &Wanted, observed: &Observed) -> String {
    super::start(wanted, observed, &[], false).unwrap().to_string()
}
