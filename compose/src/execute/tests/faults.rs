//! Whatever goes wrong at whichever step: it is named, nothing good is lost, and the same command again gets to the same end.

use super::*;
use crate::observe::{Container, Observed, State, Thing, label};
use crate::plan::tests::{container, running, start, wanted};
use crate::plan::{Down, Recreate, Up, Wanted, down, up};
use std::collections::BTreeMap;

/// What happens at one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It fails, and has done nothing.
    Before,
    /// It fails, and what it was to do is done all the same.
    After,
    /// The command is killed: nothing of the rest is done.
    Killed,
}

const FAULTS: [Fault; 3] = [Fault::Before, Fault::After, Fault::Killed];

/// A machine that is only a record of what there is, and as strict as a true one.
struct World<'a> {
    wanted: &'a Wanted,
    there: Mutex<Observed>,
    fault: Option<(usize, Fault)>,
    taken: Mutex<usize>,
    killed: AtomicBool,
}

impl Ops for World<'_> {
    type Error = String;

    fn perform(&self, action: &Action) -> Result<(), String> {
        let mut taken = self.taken.lock().unwrap();
        let fault = self.fault.filter(|(at, _)| *at == *taken).map(|(_, fault)| fault);
        *taken += 1;
        if fault == Some(Fault::Before) {
            return Err("it does not work".into());
        }
        let mut there = self.there.lock().unwrap();
        match act(self.wanted, &mut there, action) {
            // what comes after what has failed may need it
            Err(why) if self.fault.is_some_and(|(_, fault)| fault == Fault::Before) => {
                return Err(why);
            }
            done => done.unwrap_or_else(|why| panic!("{action}: {why}")),
        }
        match fault {
            Some(Fault::After) => Err("it does not work".into()),
            Some(Fault::Killed) => {
                self.killed.store(true, Ordering::Relaxed);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn act(wanted: &Wanted, there: &mut Observed, action: &Action) -> Result<(), String> {
    let find = |there: &Observed, name: &str| {
        let mut all = there.containers.iter();
        all.position(|one| one.name == name).ok_or_else(|| format!("there is no {name}"))
    };
    let free = |there: &Observed, name: &str| match find(there, name) {
        Ok(_) => Err(format!("{name} is taken")),
        Err(_) => Ok(()),
    };
    match action {
        Action::CreateNetwork { key, name } => {
            let hash = wanted.networks.iter().find(|network| network.key == *key).unwrap();
            if there.network(name).is_none() {
                there.networks.push(thing(name, &hash.hash));
            }
        }
        Action::RemoveNetwork { name } => {
            if there.containers.iter().any(|one| one.networks.contains(name)) {
                return Err("somebody is on it".into());
            }
            there.networks.retain(|network| network.name != *name);
        }
        Action::CreateVolume { name, .. } => {
            if there.volume(name).is_none() {
                there.volumes.push(thing(name, "hash of data"));
            }
        }
        Action::RemoveVolume { name } => there.volumes.retain(|volume| volume.name != *name),
        Action::RemoveImage { .. } => {}
        Action::Create { service, number, name, replaces, .. } => {
            free(there, name)?;
            let service = wanted.service(service).unwrap();
            let mut new = container(&service.name, *number, &service.hash, State::Created);
            for network in &new.networks {
                there.network(network).ok_or_else(|| format!("there is no network {network}"))?;
            }
            new.id = format!("new {} {number}", service.name);
            new.name.clone_from(name);
            if let Some(old) = replaces {
                new.labels.insert(label::REPLACE.into(), old.clone());
            }
            there.containers.push(new);
        }
        Action::Rename { from, to } => {
            free(there, to)?;
            let at = find(there, from)?;
            there.containers[at].name.clone_from(to);
        }
        Action::Start { service, container } | Action::Restart { service, container, .. } => {
            for needed in wanted.service(service).unwrap().needs() {
                let mut all = there.containers.iter().filter(|one| one.service() == needed);
                if !all.any(Container::is_running) {
                    return Err(format!("{needed} does not run yet"));
                }
            }
            let at = find(there, container)?;
            there.containers[at].state = State::Running;
        }
        Action::Stop { container, .. } | Action::Kill { container, .. } => {
            let at = find(there, container)?;
            there.containers[at].state = State::Exited(0);
        }
        Action::Pause { .. } | Action::Unpause { .. } => return Err("nobody asks for it".into()),
        Action::Disconnect { container, network } => {
            let at = find(there, container)?;
            there.containers[at].networks.retain(|name| name != network);
        }
        Action::Remove { container, .. } => there.containers.retain(|one| one.name != *container),
        Action::Wait { containers, .. } => {
            for name in containers {
                let at = find(there, name)?;
                if !there.containers[at].is_running() {
                    return Err(format!("{name} does not run"));
                }
            }
        }
    }
    Ok(())
}

fn thing(name: &str, hash: &str) -> Thing {
    let labels = [(label::PROJECT, "app"), (label::CONFIG_HASH, hash)];
    let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    Thing { name: name.into(), labels: labels.collect() }
}

type Outcome = (Observed, Report<String>);

fn carry_out(
    wanted: &Wanted,
    plan: &Plan,
    there: &Observed,
    fault: Option<(usize, Fault)>,
) -> Outcome {
    let (there, taken, killed) = (Mutex::new(there.clone()), Mutex::new(0), AtomicBool::new(false));
    let world = World { wanted, there, fault, taken, killed };
    let report = execute(plan, &world, &(), Some(1), &world.killed);
    (world.there.into_inner().unwrap(), report)
}

/// What matters in the end: names, configurations, networks, and what runs.
fn seen(there: &Observed) -> String {
    let container = |one: &Container| {
        let hash = one.config_hash().unwrap().to_owned();
        format!("{} {hash} {:?} {:?}", one.name, one.state, one.networks)
    };
    let network = |one: &Thing| format!("{} {:?}", one.name, one.config_hash());
    let mut all: Vec<String> = there.containers.iter().map(container).collect();
    all.extend(there.networks.iter().chain(&there.volumes).map(network));
    all.sort();
    all.join("\n")
}

/// Projects as they are and as they are to be.
fn changes() -> Vec<(&'static str, Wanted, Observed, Up)> {
    let mut other_network = wanted(&["web -> db", "db", "side"]);
    other_network.networks[0].hash = "other".into();
    let half = |name: &str| {
        let mut there = running(&["web", "db"]);
        there.containers.retain(|one| one.service() != name);
        there
    };
    let mut many = running(&["web"]);
    many.containers.extend((2..=4).map(|n| container("web", n, "hash", State::Running)));
    let chain = ["web -> api!healthy -> db+", "api -> db", "db", "side ~ api"];
    vec![
        ("from nothing", wanted(&chain), Observed::default(), start()),
        (
            "from nothing, until all are ready",
            wanted(&chain),
            Observed::default(),
            Up { wait: true, ..start() },
        ),
        ("one is missing", wanted(&["web -> db", "db"]), half("db"), start()),
        (
            "a new configuration",
            wanted(&["web:new -> db", "db:new"]),
            running(&["web", "db"]),
            start(),
        ),
        ("another network", other_network, running(&["web", "db", "side"]), start()),
        (
            "one that others share",
            wanted(&["web ~ db", "db:new"]),
            running(&["web", "db"]),
            start(),
        ),
        (
            "one that others start with",
            wanted(&["web -> db+", "db:new"]),
            running(&["web", "db"]),
            start(),
        ),
        ("more of it", wanted(&["web*3"]), running(&["web"]), start()),
        ("fewer of it, and new ones", wanted(&["web*2:new"]), many, start()),
        (
            "orphans",
            wanted(&["web"]),
            running(&["web", "gone"]),
            Up { remove_orphans: true, ..start() },
        ),
        (
            "anew in any case",
            wanted(&["web -> db", "db"]),
            running(&["web", "db"]),
            Up { recreate: Recreate::Always, ..start() },
        ),
    ]
}

/// The steps of a plan in the order in which one thread takes them, for the place of a fault.
fn taken(plan: &Plan) -> Vec<usize> {
    let steps = Mutex::new(Vec::new());
    struct Order<'a>(&'a Mutex<Vec<usize>>);
    impl Watch<String> for Order<'_> {
        fn begun(&self, step: usize, _: &Action) {
            self.0.lock().unwrap().push(step);
        }
        fn ended(&self, _: usize, _: &Action, _: Result<(), &String>, _: Duration) {}
    }
    struct Nothing;
    impl Ops for Nothing {
        type Error = String;
        fn perform(&self, _: &Action) -> Result<(), String> {
            Ok(())
        }
    }
    execute(plan, &Nothing, &Order(&steps), Some(1), &AtomicBool::new(false));
    steps.into_inner().unwrap()
}

#[test]
fn up_goes_on_from_wherever_it_ended() {
    for (name, wanted, before, options) in changes() {
        let plan = up(&wanted, &before, &options).unwrap();
        let (end, report) = carry_out(&wanted, &plan, &before, None);
        assert!(is_done(&report), "{name}");
        let order = taken(&plan);
        assert_eq!(order.len(), plan.steps.len(), "{name}");
        for (at, fault) in (0..order.len()).flat_map(|at| FAULTS.map(|fault| (at, fault))) {
            let place = format!("{name}, {fault:?} at {}\n{plan}", plan.steps[order[at]].action);
            let (there, report) = carry_out(&wanted, &plan, &before, Some((at, fault)));
            match fault {
                Fault::Killed => assert!(report.failed.is_empty(), "{place}"),
                _ => assert_eq!(report.failed, [(order[at], "it does not work".into())], "{place}"),
            }
            assert_eq!(report.left.len(), order.len() - at - 1, "{place}");
            // no service that had a container is without one, and what stays is the same
            let mut left: BTreeMap<&str, usize> = BTreeMap::new();
            there.containers.iter().for_each(|one| *left.entry(one.service()).or_default() += 1);
            for old in
                before.containers.iter().filter(|old| wanted.service(old.service()).is_some())
            {
                assert!(left.contains_key(old.service()), "{place}");
                if end.containers.iter().any(|one| one.id == old.id) {
                    assert!(there.containers.iter().any(|one| one.id == old.id), "{place}");
                }
            }
            // what was asked for once need not be asked for again
            let again = Up { recreate: Recreate::Diverged, ..options.clone() };
            let plan = up(&wanted, &there, &again).unwrap();
            let (there, report) = carry_out(&wanted, &plan, &there, None);
            assert!(is_done(&report), "{place}");
            assert_eq!(seen(&there), seen(&end), "{place}");
            let rest = up(&wanted, &there, &Up { wait: false, ..again }).unwrap();
            assert_eq!(rest.to_string(), "", "{place}");
        }
    }
}

#[test]
fn down_goes_on_from_wherever_it_or_up_ended() {
    let options = Down { volumes: true, remove_orphans: true, ..Down::default() };
    for (name, wanted, before, up_options) in changes() {
        let plan = up(&wanted, &before, &up_options).unwrap();
        for at in 0..plan.steps.len() {
            let (halfway, _) = carry_out(&wanted, &plan, &before, Some((at, Fault::Killed)));
            let down_plan = down(Some(&wanted), &halfway, &options).unwrap();
            let order = taken(&down_plan);
            for (step, fault) in (0..order.len()).flat_map(|step| FAULTS.map(|fault| (step, fault)))
            {
                let place =
                    format!("{name}, up ended after {at}, {fault:?} at {step}\n{down_plan}");
                let (there, _) = carry_out(&wanted, &down_plan, &halfway, Some((step, fault)));
                let rest = down(Some(&wanted), &there, &options).unwrap();
                let (there, report) = carry_out(&wanted, &rest, &there, None);
                assert!(is_done(&report), "{place}");
                assert_eq!(there, Observed::default(), "{place}");
            }
        }
    }
}
