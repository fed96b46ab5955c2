//! Requests in doubt, under a virtual clock: a lost response leads neither to two tasks nor to a false success.

use crate::error::class::exit::*;
use crate::testing::simulation::{
    LOG, Play, Reply, credentials, epoch, refusal, seconds, sent, started, task,
};
use serde_json::{Value, json};
use std::rc::Rc;
use std::time::Duration;

/// The first response is lost although the task was placed, and the agent shows it only after `shown`.
fn lost(shown: u64, change: impl FnOnce(&mut Play)) -> Rc<Play> {
    let mut play = Play::new();
    play.ecs = Box::new(|call, _| if call == 1 { Reply::Cut } else { started() });
    play.tasks = Box::new(move |t| Some(tasks_from(t, shown)));
    change(&mut play);
    Rc::new(play)
}

fn tasks_from(now: Duration, shown: u64) -> Value {
    let there = now >= seconds(shown);
    json!({"Tasks": if there { vec![task("RUNNING", Some("2026-01-01T00:00:30Z"))] } else { vec![] }})
}

#[test]
fn a_task_that_appears_before_the_next_start_task_is_found_without_the_guard_too() {
    let mut found = 0;
    for tenths in 140..200 {
        let shown = Duration::from_millis(100 * tenths);
        let play = lost(0, |p| {
            p.tasks = Box::new(move |t| Some(tasks_from(t, if t >= shown { 0 } else { u64::MAX })));
        });
        assert_eq!(play.code(&["-t", "log", "--if-running", "start"]).0, 0);
        let again = play.times("StartTask").get(1).copied();
        assert!(
            again.is_none_or(|again| again < seconds(20) + shown),
            "sent again at {again:?}, shown at {shown:?}"
        );
        found += usize::from(again.is_none());
    }
    assert!(found < 60);
}

#[test]
fn an_ecs_that_cannot_be_asked_is_no_answer() {
    type Row = (&'static str, fn() -> Reply);
    let rows: [Row; 4] = [
        ("unreachable", || Reply::Refused),
        ("cut", || Reply::Cut),
        ("throttled", || refusal(400, "ThrottlingException")),
        ("5xx", || refusal(503, "ServiceUnavailable")),
    ];
    for (name, reply) in rows {
        let play = lost(60, |p| p.listed = Box::new(move |_, _| reply()));
        assert_eq!((play.code(LOG).0, sent(&play)), (0, 1), "{name}");
    }
}

#[test]
fn an_ecs_that_does_not_accept_the_clock_or_the_credentials_is_asked_again() {
    let off = lost(60, |p| {
        p.off.set(-600);
        p.listed = Box::new(|call, play| {
            let now = crate::system::clock::shifted(crate::system::clock::Clock::now(play), 600);
            let refused = json!({"__type": "InvalidSignatureException"});
            if call == 1 {
                Reply::Dated(403, refused, now)
            } else {
                Reply::Json(200, json!({"taskArns": ["arn:task"]}))
            }
        });
    });
    assert_eq!((off.code(LOG).0, sent(&off), off.times("ListTasks").len()), (0, 1, 2));
    let expired = lost(60, |p| {
        p.listed = Box::new(|call, _| match call {
            1 => refusal(403, "ExpiredTokenException"),
            _ => Reply::Json(200, json!({"taskArns": ["arn:task"]})),
        });
    });
    assert_eq!((expired.code(LOG).0, sent(&expired), expired.times("credentials").len()), (0, 1, 2));
}

#[test]
fn ecs_may_know_of_a_task_that_the_agent_does_not_show() {
    let play = lost(600, |p| p.listed = Box::new(|_, _| Reply::Json(200, json!({"taskArns": ["arn:task"]}))));
    assert_eq!((play.code(LOG).0, sent(&play)), (0, 1));
}

#[test]
fn a_task_of_another_revision_that_was_there_before_is_not_ours() {
    let mut other = task("RUNNING", Some("2026-01-01T00:00:30Z"));
    other["Arn"] = "arn:other".into();
    let play = lost(0, |p| {
        p.tasks = Box::new(move |_| Some(json!({"Tasks": [other]})));
        p.listed = Box::new(|_, _| Reply::Json(200, json!({"taskArns": ["arn:other"]})));
    });
    assert_eq!((play.code(&["-t", "log:4"]).0, sent(&play)), (0, 2), "the first one was not placed");
}

#[test]
fn an_agent_that_is_silent_has_not_been_watched() {
    let play = lost(0, |p| {
        p.tasks = Box::new(|t| match t.as_secs() {
            0 => Some(json!({"Tasks": []})),
            1..=20 => None,
            _ => Some(tasks_from(t, 25)),
        });
    });
    assert_eq!((play.code(LOG).0, sent(&play)), (0, 1));
}

#[test]
fn what_is_in_flight_is_in_flight_for_another_request_of_the_family_too() {
    for options in [&["-t", "log:3"][..], &["-t", "log", "--started-by", "operator"]] {
        let killed = lost(8, |_| ());
        assert_eq!(killed.code(&["-t", "log", "--timeout", "2s"]).0, UNAVAILABLE);
        assert_eq!((killed.code(options).0, sent(&killed)), (0, 1), "{options:?}");
        let no_wait = lost(8, |p| {
            p.ecs = Box::new(|_, _| started());
            p.task = Box::new(|t| (t > seconds(8)).then(|| task("RUNNING", Some("2026-01-01T00:00:30Z"))));
        });
        assert_eq!(no_wait.code(&["-t", "log", "--no-wait"]).0, 0);
        assert_eq!((no_wait.code(options).0, sent(&no_wait)), (0, 1), "{options:?}");
    }
}

#[test]
fn a_task_of_which_one_container_never_started_has_not_run() {
    let two = json!({"taskArn": "arn:task", "containers": [{"name": "a"}, {"name": "main"}]});
    let play = Rc::new(Play {
        ecs: Box::new(move |_, _| Reply::Json(200, json!({"tasks": [two], "failures": []}))),
        task: Box::new(|_| {
            let mut task = task("STOPPED", Some("2026-01-01T00:00:30Z"));
            task["Containers"] = json!([task["Containers"][0], {"Name": "main"}]);
            Some(task)
        }),
        ..Play::new()
    });
    let report = play.run(LOG).unwrap();
    let error = report.outcomes[0].result.as_ref().unwrap_err();
    assert_eq!((error.exit_code(), error.task()), (STOPPED, Some(("arn:task", "STOPPED"))));
    assert!(error.to_string().contains("the optional permission ecs:DescribeTasks"), "{error}");
}

#[test]
fn a_fault_of_imds_while_credentials_are_renewed_is_waited_out() {
    let fetched = std::cell::Cell::new(0);
    let play = Rc::new(Play {
        ecs: Box::new(|call, _| if call == 1 { refusal(403, "ExpiredTokenException") } else { started() }),
        imds: Box::new(move |_| {
            fetched.set(fetched.get() + 1);
            if (2..5).contains(&fetched.get()) {
                Reply::Json(500, json!(""))
            } else {
                credentials(epoch() + seconds(9_000))
            }
        }),
        ..Play::new()
    });
    assert_eq!((play.code(LOG).0, sent(&play)), (0, 2));
}

#[test]
fn an_accepted_task_that_cannot_be_watched_is_75_and_named() {
    let play = Rc::new(Play { task: Box::new(|_| Some(json!("no task"))), ..Play::new() });
    let report = play.run(LOG).unwrap();
    let error = report.outcomes[0].result.as_ref().unwrap_err();
    assert_eq!((error.exit_code(), error.task().map(|(arn, _)| arn)), (NOT_YET, Some("arn:task")));
}

#[test]
fn a_run_that_does_not_get_the_lock_leaves_the_record_alone() {
    let play = Rc::new(Play { task: Box::new(|_| None), ..Play::new() });
    assert_eq!(play.code(&["-t", "log", "--no-wait"]).0, 0);
    let record = play.record();
    let before = std::fs::read(&record).unwrap();
    let held = crate::run::state::State::open(play.state.path()).unwrap();
    let lock = held.lock().unwrap();
    assert_eq!(play.code(&["-t", "log:3", "--timeout", "5s"]).0, NOT_YET);
    drop(lock);
    assert_eq!(std::fs::read(&record).unwrap(), before);
}
