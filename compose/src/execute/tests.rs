//! Plans carried out on something that only notes what it was asked for.

mod faults;

use super::*;
use crate::plan::Step;
use std::sync::Barrier;

fn pause(name: &str) -> Action {
    Action::Pause { container: name.into() }
}

fn plan(steps: &[(&str, &[usize])], on_failure: OnFailure) -> Plan {
    let step =
        |(name, after): &(&str, &[usize])| Step { action: pause(name), after: after.to_vec() };
    Plan { steps: steps.iter().map(step).collect(), on_failure, warnings: Vec::new() }
}

fn is_done<E>(report: &Report<E>) -> bool {
    report.failed.is_empty() && report.left.is_empty()
}

/// Notes the names, and fails at one of them.
struct Notes {
    seen: Mutex<Vec<String>>,
    fails_at: &'static str,
}

impl Ops for Notes {
    type Error = String;

    fn perform(&self, action: &Action) -> Result<(), String> {
        let Action::Pause { container } = action else { return Err("what is that".into()) };
        self.seen.lock().unwrap().push(container.clone());
        if container == self.fails_at { Err(format!("{container} fails")) } else { Ok(()) }
    }
}

fn run(plan: &Plan, fails_at: &'static str) -> (Vec<String>, Report<String>) {
    let notes = Notes { seen: Mutex::default(), fails_at };
    let report = execute(plan, &notes, &(), None, &AtomicBool::new(false));
    (notes.seen.into_inner().unwrap(), report)
}

const DIAMOND: &[(&str, &[usize])] = &[("a", &[]), ("b", &[0]), ("c", &[0]), ("d", &[1, 2])];

#[test]
fn each_step_comes_after_those_before_it() {
    for _ in 0..50 {
        let (seen, report) = run(&plan(DIAMOND, OnFailure::Stop), "");
        assert!(is_done(&report));
        assert_eq!((&*seen[0], &*seen[3], seen.len()), ("a", "d", 4));
    }
}

#[test]
fn after_a_failure_nothing_is_begun_or_the_rest_is_done() {
    let (_, report) = run(&plan(DIAMOND, OnFailure::Stop), "a");
    assert_eq!(report.failed, [(0, "a fails".to_owned())]);
    assert_eq!(report.left, [1, 2, 3]);
    let (seen, report) = run(&plan(DIAMOND, OnFailure::GoOn), "b");
    assert_eq!((seen.len(), report.failed.len(), report.left.len()), (4, 1, 0));
}

#[test]
fn what_is_cancelled_is_left() {
    let notes = Notes { seen: Mutex::default(), fails_at: "" };
    let plan = plan(DIAMOND, OnFailure::Stop);
    let report = execute(&plan, &notes, &(), None, &AtomicBool::new(true));
    assert_eq!((report.left.len(), notes.seen.into_inner().unwrap().len()), (4, 0));
}

/// Returns only when three are there at once.
struct Meeting(Barrier);

impl Ops for Meeting {
    type Error = String;

    fn perform(&self, _: &Action) -> Result<(), String> {
        self.0.wait();
        Ok(())
    }
}

#[test]
fn what_does_not_depend_on_each_other_is_done_at_once() {
    let three = plan(&[("a", &[]), ("b", &[]), ("c", &[])], OnFailure::Stop);
    let meeting = Meeting(Barrier::new(3));
    assert!(is_done(&execute(&three, &meeting, &(), None, &AtomicBool::new(false))));
    let alone = Meeting(Barrier::new(1));
    assert!(is_done(&execute(&three, &alone, &(), Some(1), &AtomicBool::new(false))));
}
