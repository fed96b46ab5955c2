//! Whole runs while the wall clock is stepped and the host is suspended: there are never two tasks, nothing hangs,
//! and credentials that expired in the meantime are fetched again.
//!
//! ECS is as strict here as the real one: its clock is always right, and it refuses requests whose signature is more than
//! five minutes off, and expired credentials.

use crate::error::class::exit::REFUSED;
use crate::testing::simulation::Step::{Set, Suspend};
use crate::testing::simulation::{
    Ecs, LOG, Play, Reply, Step, at_first, credentials, epoch, failure, refusal, seconds, started, task,
};
use serde_json::json;
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

const DAY: i64 = 24 * 3600;
const NIGHT: u64 = 8 * 3600;
const HOUR: Duration = Duration::from_secs(3600);

/// A simulation, and how many tasks ECS has placed in it.
struct Strict {
    play: Rc<Play>,
    placed: Rc<Cell<u32>>,
}

/// A simulation with normal IMDS and ECS, except for the response of `ecs` to a valid request.
fn strict(ecs: Ecs, steps: &[(u64, Step)], change: impl FnOnce(&mut Play)) -> Strict {
    let mut play = Play::new();
    let ends = Rc::new(Cell::new(SystemTime::UNIX_EPOCH));
    let placed = Rc::new(Cell::new(0));
    let counted = placed.clone();
    let (issued, asleep) = (ends.clone(), play.asleep.clone());
    play.imds = Box::new(move |awake| {
        issued.set(epoch() + awake + asleep.get() + HOUR);
        credentials(issued.get())
    });
    play.ecs = Box::new(move |call, play| match (signed_in_time(play), play.true_time() < ends.get()) {
        (false, _) => Reply::Dated(403, json!({"__type": "InvalidSignatureException"}), play.true_time()),
        (true, false) => refusal(403, "ExpiredTokenException"),
        (true, true) => {
            let reply = ecs(call, play);
            let placed = matches!(&reply, Reply::Cut)
                || matches!(&reply, Reply::Json(_, body) if body["tasks"][0].is_object());
            counted.set(counted.get() + u32::from(placed));
            reply
        }
    });
    play.steps = steps.iter().rev().map(|(at, step)| (seconds(*at), *step)).collect::<Vec<_>>().into();
    change(&mut play);
    Strict { play: Rc::new(play), placed }
}

/// From the last `x-amz-date`, such as `20260101T000020Z`.
fn signed_in_time(play: &Play) -> bool {
    let signed = play.signed.borrow().last().unwrap().clone();
    let part = |range: std::ops::Range<usize>| signed[range].to_owned();
    let stamp = [part(0..4), part(4..6), part(6..8)].join("-")
        + "T"
        + &[part(9..11), part(11..13), part(13..15)].join(":");
    let signed = humantime::parse_rfc3339(&(stamp + "Z")).unwrap();
    let off = |a: SystemTime, b: SystemTime| a.duration_since(b).is_ok_and(|d| d > seconds(300));
    !off(signed, play.true_time()) && !off(play.true_time(), signed)
}

/// Everything that may happen to the clocks at a moment, and half a minute later.
fn troubles(at: u64) -> Vec<Vec<(u64, Step)>> {
    vec![
        vec![(at, Set(DAY))],
        vec![(at, Set(-DAY))],
        vec![(at, Set(DAY)), (at + 1, Set(-DAY)), (at + 30, Set(-DAY)), (at + 31, Set(DAY))],
        vec![(at, Suspend(NIGHT))],
        vec![(at, Suspend(NIGHT)), (at + 30, Suspend(NIGHT))],
        // The clock is corrected only half a minute after the host resumes.
        vec![(at, Suspend(NIGHT)), (at, Set(-(NIGHT as i64))), (at + 30, Set(NIGHT as i64))],
    ]
}

/// What takes a while in a run, as a change of the simulation, and how long it may take.
type Phase = (&'static str, fn(&[(u64, Step)]) -> Strict, u64);
const STAGES: [Phase; 6] = [
    ("the agent", |steps| strict(well(), steps, |p| p.agent_up = seconds(60)), 62),
    ("the role", |steps| strict(well(), steps, late_role), 75),
    ("resources", |steps| strict(at_first(4, || failure("RESOURCE:CPU")), steps, |_| ()), 120),
    ("the connection", |steps| strict(at_first(5, || Reply::Refused), steps, |_| ()), 110),
    // After a step the task may look like one of the previous boot, which is believed when the watching ends.
    ("the answer", |steps| strict(at_first(1, || Reply::Cut), steps, |p| p.tasks = Box::new(shown_late)), 25),
    ("the task", |steps| strict(well(), steps, |p| p.task = Box::new(running_late)), 62),
];

fn well() -> Ecs {
    Box::new(|_, _| started())
}

fn late_role(play: &mut Play) {
    let imds = std::mem::replace(&mut play.imds, Box::new(|_| Reply::Refused));
    play.imds = Box::new(move |t| if t < seconds(60) { Reply::Json(404, json!("")) } else { imds(t) });
}

fn shown_late(awake: Duration) -> Option<serde_json::Value> {
    let there = awake > seconds(12);
    Some(json!({"Tasks": if there { vec![task("RUNNING", Some("2026-01-01T00:00:30Z"))] } else { vec![] }}))
}

fn running_late(awake: Duration) -> Option<serde_json::Value> {
    let known = if awake < seconds(60) { "PENDING" } else { "RUNNING" };
    (awake > seconds(3)).then(|| task(known, Some("2026-01-01T00:00:30Z")))
}

#[test]
fn whatever_the_clocks_do_one_task_is_started_in_time() {
    for (phase, play, most) in STAGES {
        for steps in [0, 1, 5, 13, 40].into_iter().flat_map(troubles) {
            let Strict { play, placed } = play(&steps);
            let (code, took) = play.code(LOG);
            let what = format!("{phase}, {steps:?}: {code}, {took:?}, {:?}", play.asked.borrow());
            assert_eq!((code, placed.get()), (0, 1), "{what}");
            assert!(took <= seconds(most), "{what}");
        }
    }
}

#[test]
fn credentials_that_ended_while_the_host_slept_are_fetched_again() {
    type Row = (&'static str, fn() -> Reply);
    let rows: [Row; 2] = [("RESOURCE", || failure("RESOURCE:CPU")), ("AGENT", || failure("AGENT"))];
    for (name, reply) in rows {
        let night = [(1, Suspend(NIGHT)), (30, Suspend(NIGHT))];
        let Strict { play, .. } = strict(at_first(12, reply), &night, |_| ());
        assert_eq!(play.code(LOG).0, 0, "{name}");
        assert_eq!(play.times("credentials").len(), 3, "{name}");
        let refused = play.times("StartTask").len() - 13;
        assert_eq!(refused, 0, "{name}: the wall clock tells that they have ended");
    }
}

#[test]
fn credentials_end_by_the_clock_of_ecs() {
    let Strict { play, .. } = strict(Box::new(|_, _| failure("RESOURCE:CPU")), &[], |p| p.off.set(-2 * 3600));
    play.code(&["-t", "log", "--timeout", "5h"]);
    let (calls, fetched) = (play.times("StartTask").len(), play.times("credentials").len());
    assert!(calls > 200 && fetched >= 5, "{calls} {fetched}");
}

/// Credentials that were fetched before the agent was up and expire soon after are fetched again, but only once.
#[test]
fn credentials_that_end_within_five_minutes_are_fetched_again_before_they_are_used() {
    let (up, limit) = (600, 300);
    for (left, fetched) in [(100, 2), (limit - 5, 2), (limit + 5, 1), (HOUR.as_secs(), 1)] {
        let mut play = Play::new();
        play.agent_up = seconds(up);
        let ends = epoch() + play.now.get() + seconds(up + left);
        play.imds = Box::new(move |_| credentials(ends));
        let play = Rc::new(play);
        assert_eq!(play.code(LOG).0, 0, "{left}");
        assert_eq!(play.times("credentials").len(), fetched, "{left}");
    }
}

/// The time to wait for the task counts only while the host is awake: the agent could not show anything during suspend.
#[test]
fn a_task_that_was_accepted_before_the_host_slept_is_not_lost() {
    let steps = [(1, Suspend(NIGHT)), (40, Suspend(NIGHT))];
    let Strict { play, placed } = strict(well(), &steps, |p| {
        p.task = Box::new(|t| (t > seconds(70)).then(|| task("RUNNING", Some("2026-01-01T00:00:30Z"))));
    });
    assert_eq!(play.code(&["-t", "log", "--no-wait"]).0, 0);
    play.pass(seconds(10));
    assert_eq!(play.code(LOG).0, 0);
    assert_eq!(placed.get(), 1);
}

#[test]
fn a_task_from_before_the_host_slept_is_no_leftover_of_another_boot() {
    let Strict { play, placed } = strict(well(), &[(0, Suspend(NIGHT))], |p| {
        p.tasks = Box::new(|_| Some(json!({"Tasks": [task("RUNNING", Some("2026-01-01T00:00:10Z"))]})));
    });
    let (code, took) = play.code(LOG);
    assert!(code == 0 && took < seconds(1), "{code} {took:?}");
    assert_eq!(placed.get(), 0);
}

#[test]
fn a_task_of_the_previous_boot_does_not_pass_for_a_new_one_when_the_clock_is_behind() {
    for off in [0, -DAY] {
        let Strict { play, placed } = strict(well(), &[(0, Set(off)), (3, Set(-off))], |p| {
            let old = task("RUNNING", Some("2025-12-31T23:00:00Z"));
            p.tasks =
                Box::new(move |t| Some(json!({"Tasks": if t < seconds(2) { vec![&old] } else { vec![] }})));
        });
        assert_eq!((play.code(LOG).0, placed.get()), (0, 1), "{off}");
    }
}

#[test]
fn a_pause_goes_on_after_the_host_slept() {
    let Strict { play, .. } = strict(
        Box::new(|_, _| refusal(400, "ClientException")),
        &[(10, Suspend(NIGHT)), (11, Set(-DAY))],
        |p| p.unit = true,
    );
    for _ in 0..3 {
        assert_eq!(play.code(LOG).0, REFUSED);
        play.pass(seconds(30));
    }
    let (code, took) = play.code(LOG);
    assert_eq!(code, REFUSED);
    assert!(took >= seconds(30) && took <= seconds(91), "{took:?}");
}
