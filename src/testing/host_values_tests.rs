//! Whole runs with references under a virtual clock: values that are late, absent or hard to get.

use crate::error::class::exit::*;
use crate::testing::simulation::{Play, Reply, refusal, seconds, task};
use serde_json::json;
use std::rc::Rc;
use std::time::Duration;

const ROLE: &str = "/latest/meta-data/tags/instance/Role";
const BY_ROLE: &[&str] = &["-t", "agent-{tag:Role}", "-t", "log"];

/// A host whose tag Role has this value at an uptime.
fn play(role: impl Fn(Duration) -> Option<Reply> + 'static, change: impl FnOnce(&mut Play)) -> Rc<Play> {
    let mut play = Play::new();
    play.metadata = Box::new(move |path, now| role(now).filter(|_| path == "tags/instance/Role"));
    change(&mut play);
    Rc::new(play)
}

fn web() -> Reply {
    Reply::Json(200, json!("web"))
}

/// The definitions in the StartTask calls, each with the uptime.
fn started(play: &Play) -> Vec<(String, Duration)> {
    let bodies = play.bodies.borrow();
    let names = bodies.iter().map(|body| body["taskDefinition"].as_str().unwrap().to_owned());
    names.zip(play.times("StartTask")).collect()
}

fn names(play: &Play) -> Vec<String> {
    started(play).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn a_tag_that_comes_late_is_waited_for_by_its_task_alone() {
    let play = play(|now| (now >= seconds(100)).then(web), |_| ());
    assert_eq!(play.code(BY_ROLE).0, 0);
    let started = started(&play);
    assert_eq!((started[0].0.as_str(), started[1].0.as_str()), ("log", "agent-web"));
    assert!(
        started[0].1 < seconds(21) && started[1].1 >= seconds(100) && started[1].1 < seconds(106),
        "{started:?}"
    );
    let asked = play.times(ROLE);
    assert!(asked.windows(2).all(|pair| pair[1] - pair[0] >= seconds(5)), "{asked:?}");
    assert!((16..=18).contains(&asked.len()), "{asked:?}");
}

#[test]
fn a_tag_that_never_comes_is_absent_three_minutes_after_the_boot() {
    let missing = play(|_| None, |_| ());
    assert_eq!(missing.code(BY_ROLE).0, CONFIGURATION);
    assert_eq!(names(&missing), ["log"]);
    let last = *missing.times(ROLE).last().unwrap();
    assert!(last >= seconds(180) && last < seconds(186), "{last:?}");

    let default = play(|_| None, |_| ());
    assert_eq!(default.code(&["-t", "agent-{tag:Role:-default}"]).0, 0);
    let started = started(&default);
    assert!(started[0].0 == "agent-default" && started[0].1 >= seconds(180), "{started:?}");
}

#[test]
fn on_a_host_that_has_been_up_for_long_absent_is_final() {
    let play = play(|_| None, |p| p.now.set(seconds(180)));
    let (code, took) = play.code(BY_ROLE);
    assert_eq!((code, play.times(ROLE).len()), (CONFIGURATION, 1));
    assert!(took < seconds(5), "{took:?}");
}

#[test]
fn a_fault_of_imds_is_retried_with_backoff_until_the_deadline() {
    let play = play(|_| Some(Reply::Json(500, json!("busy"))), |_| ());
    let with_default = &["-t", "agent-{tag:Role:-default}", "-t", "log", "--timeout", "5m"];
    let (code, took) = play.code(with_default);
    assert_eq!((code, names(&play)), (UNAVAILABLE, vec!["log".to_owned()]));
    assert!(took > seconds(280) && took <= seconds(300), "{took:?}");
    let asked = play.times(ROLE).len();
    assert!((30..70).contains(&asked), "{asked}");
}

#[test]
fn imds_that_forbids_a_value_is_given_up_at_once() {
    let play = play(|_| Some(Reply::Json(403, json!("no"))), |_| ());
    let (code, took) = play.code(BY_ROLE);
    assert_eq!(code, NOT_ALLOWED);
    assert!(took < seconds(1), "{took:?}");
}

#[test]
fn an_absent_tag_ends_at_the_deadline_too() {
    let play = play(|_| None, |_| ());
    let (code, took) = play.code(&["-t", "agent-{tag:Role}", "--timeout", "30s"]);
    assert_eq!(code, CONFIGURATION);
    assert!(took <= seconds(30), "{took:?}");
}

/// From the agent's first valid response to StartTask.
#[test]
fn references_do_not_make_the_start_later() {
    let reaction = |options: &[&str]| {
        let play = play(|_| Some(web()), |p| p.agent_up = seconds(40));
        assert_eq!(play.code(options).0, 0);
        play.times("StartTask")[0] - *play.times("metadata").last().unwrap()
    };
    assert_eq!(reaction(&["-t", "agent-{tag:Role}"]), reaction(&["-t", "log"]));
}

#[test]
fn a_family_that_is_there_by_then_fails_the_one_that_was_late() {
    let play = play(|now| (now >= seconds(60)).then(web), |_| ());
    assert_eq!(play.code(&["-t", "agent-{tag:Role}", "-t", "agent-web"]).0, CONFIGURATION);
    assert_eq!(names(&play), ["agent-web"]);
}

/// A job that ran and has stopped stays done while another task fails, even if a tag in its request has changed.
#[test]
fn a_value_that_changes_makes_no_second_task() {
    let play = play(
        |now| Some(Reply::Json(200, if now < seconds(200) { json!("web") } else { json!("db") })),
        |p| {
            p.unit = true;
            p.ecs = Box::new(|_, play| {
                let last = play.bodies.borrow().last().unwrap()["taskDefinition"].clone();
                if last == "job" {
                    crate::testing::simulation::started()
                } else {
                    refusal(400, "ClientException")
                }
            });
            p.task = Box::new(|_| Some(task("STOPPED", Some("2026-01-01T00:00:30Z"))));
        },
    );
    let both = &["-t", "job", "-t", "svc", "--started-by", "{tag:Role}"];
    assert_eq!(play.code(both).0, REFUSED);
    play.pass(seconds(300));
    assert_eq!(play.code(both).0, REFUSED);
    let bodies = play.bodies.borrow();
    let of = |name: &str| bodies.iter().filter(|body| body["taskDefinition"] == name).count();
    assert_eq!((of("job"), of("svc")), (1, 2));
    assert_eq!(
        (&bodies[0]["startedBy"], &bodies.last().unwrap()["startedBy"]),
        (&json!("web"), &json!("db"))
    );
}
