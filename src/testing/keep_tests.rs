//! Keeping tasks running, under a virtual clock: deaths, delays, draining, returning to service, and a day without events.

use crate::error::class::exit::*;
use crate::testing::keep_world::{PLACE, world};
use crate::testing::simulation::{ARN, Play, Reply, failure, refusal, seconds};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

const ALWAYS: &[&str] = &["-t", "log", "--restart", "always"];
const ON_FAILURE: &[&str] = &["-t", "log", "--restart", "on-failure"];
const LAST: &[&str] = &["-t", "log", "--restart", "always", "--when-draining", "stop"];

const ON_FAILURE_LAST: &[&str] = &["-t", "log", "--restart", "on-failure", "--when-draining", "stop"];

fn in_service_but(from: u64, to: u64, state: &'static str) -> Box<dyn Fn(Duration) -> Reply> {
    Box::new(move |t| {
        let there = (seconds(from)..seconds(to)).contains(&t);
        Reply::Json(200, json!(if there { state } else { "InService" }))
    })
}

fn starts(play: &Play) -> Vec<u64> {
    play.times("StartTask").iter().map(|at| at.as_secs() - 20).collect()
}

#[test]
fn a_day_in_which_nothing_happens_asks_nothing_of_ecs() {
    let (play, _) = world(|_, _| ());
    let day = seconds(24 * 3600);
    assert_eq!(play.stay(LAST, day, false), ["log: started"]);
    assert_eq!(play.times("StartTask").len(), 1);
    for silent in ["DescribeTasks", "DescribeContainerInstances", "StopTask", "ListTasks"] {
        assert!(play.times(silent).is_empty(), "{silent}");
    }
    let (tasks, lifecycle) = (play.times("tasks").len(), play.times("lifecycle").len());
    assert!((7_500..=8_800).contains(&tasks), "{tasks}");
    assert!((15_500..=17_300).contains(&lifecycle), "{lifecycle}");
    assert_eq!(play.times("credentials").len(), 1, "none are fetched until they are needed");
}

#[test]
fn a_task_that_dies_comes_back_at_once_and_the_reason_is_on_record() {
    let (play, world) = world(|w, _| {
        w.lives = vec![Some(700), None];
        w.exit_code = 137;
    });
    play.stay(ALWAYS, seconds(1_000), false);
    let starts = starts(&play);
    assert!(starts.len() == 2 && (700..=712).contains(&starts[1]), "{starts:?}");
    assert_eq!(world.borrow().tasks.len(), 2);
    let record: Value = serde_json::from_str(&std::fs::read_to_string(play.record()).unwrap()).unwrap();
    assert_eq!((record["restarts"].as_u64(), record["deaths"].as_u64()), (Some(1), Some(1)), "{record}");
    assert_eq!(record["last_stop"]["exit_codes"], "exit code 137");
    assert_eq!(play.times("credentials").len(), 2, "none are held in between");
    let status = play.going_on.borrow().doing.clone();
    assert!(status.starts_with("keeping 1 task running; log restarted once, last 00:1"), "{status}");
    assert!(status.ends_with("Z (exit code 137)"), "{status}");
}

#[test]
fn what_keeps_dying_is_braked_and_ecs_is_asked_ever_more_rarely() {
    let (play, _) = world(|w, _| w.lives = vec![Some(15)]);
    play.stay(ALWAYS, seconds(6 * 3600), false);
    let starts = starts(&play);
    let pauses: Vec<u64> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let longest = [0, 10, 20, 40, 80, 160, 320, 640];
    for (i, pause) in pauses.iter().enumerate() {
        let most = longest.get(i).copied().unwrap_or(900);
        assert!((15 + most / 2..=15 + most + 24).contains(pause), "{i}: {pauses:?}");
    }
    assert!(starts.len() > 25, "{}", starts.len());
    let reads = play.times("DescribeTasks").len() + play.times("DescribeContainerInstances").len();
    assert!(reads <= starts.len() * 6 / 10 + 12, "{reads} reads at {} deaths", starts.len());
}

#[test]
fn on_failure_leaves_alone_what_ended_well_or_was_stopped_by_a_user() {
    let ended = |exit_code, stop_code: &'static str| {
        let (play, world) = world(|w, p| {
            w.exit_code = exit_code;
            let _ = p;
        });
        let w = world.clone();
        let inner = RefCell::new(false);
        let play = Rc::try_unwrap(play).map_err(|_| "shared").unwrap();
        let play = Rc::new(Play {
            tasks: Box::new(move |t| {
                let mut w = w.borrow_mut();
                w.now = t;
                if t > seconds(100) && !inner.replace(true) {
                    let task = w.tasks.first_mut().unwrap();
                    (task.dies, task.stop_code) = (Some(t), stop_code);
                }
                Some(w.listed())
            }),
            ..play
        });
        play.stay(ON_FAILURE, seconds(3_600), false);
        (play.times("StartTask").len(), play, world)
    };
    assert_eq!(ended(0, "EssentialContainerExited").0, 1);
    assert_eq!(ended(1, "EssentialContainerExited").0, 2);
    assert_eq!(ended(1, "UserInitiated").0, 1);
    let (count, play, _) = ended(1, "SomethingNewOfEcs");
    assert_eq!(count, 2);
    let stopped = play.times("DescribeTasks");
    assert!(play.times("StartTask")[1] >= *stopped.last().unwrap(), "nothing is started before ECS has said");
}

#[test]
fn what_ended_well_stays_ended_after_a_crash_and_comes_back_after_a_restart() {
    let (play, _) = world(|w, _| w.lives = vec![Some(60), None]);
    play.stay(ON_FAILURE, seconds(600), false);
    assert_eq!(play.times("StartTask").len(), 1);
    assert_eq!(play.stay(ON_FAILURE, seconds(600), true).len(), 1);
    assert_eq!(play.times("StartTask").len(), 1, "killed and started again");
    play.stay(ON_FAILURE, seconds(600), false);
    assert_eq!(play.times("StartTask").len(), 2, "restarted by hand");
}

#[test]
fn on_failure_without_the_permission_acts_as_always() {
    let (play, _) = world(|w, _| {
        w.lives = vec![Some(60), None];
        w.may = vec![];
    });
    play.stay(ON_FAILURE, seconds(600), false);
    assert_eq!(play.times("StartTask").len(), 2);
}

#[test]
fn a_crash_at_any_moment_makes_no_second_task_and_loses_none() {
    for after in [0, 1, 2, 5, 30, 61, 62, 70, 75, 90, 112, 115, 118, 121, 124, 127, 130] {
        let (play, world) = world(|w, _| w.lives = vec![Some(60), Some(40), None]);
        play.stay(ALWAYS, Duration::from_millis(after * 1_000 + 3), false);
        play.pass(seconds(30));
        play.stay(ALWAYS, seconds(600), false);
        let world = world.borrow();
        let alive = world.tasks.iter().filter(|task| task.dies.is_none()).count();
        assert_eq!((world.tasks.len(), alive), (3, 1), "killed after {after} s: {:?}", world.tasks);
        let record: Value = serde_json::from_str(&std::fs::read_to_string(play.record()).unwrap()).unwrap();
        assert!(record["deaths"].as_u64().unwrap() <= 2, "no death counts twice: {record}");
    }
}

#[test]
fn a_signal_concludes_and_the_next_run_adopts_what_runs() {
    let (play, world) = world(|w, _| w.lives = vec![None]);
    play.stay(ALWAYS, seconds(100), true);
    assert_eq!(play.stay(ALWAYS, seconds(100), true), ["log: already-running"]);
    world.borrow_mut().tasks[0].dies = Some(Duration::ZERO);
    assert_eq!(play.stay(ALWAYS, seconds(100), false), ["log: started"]);
    assert_eq!(world.borrow().tasks.len(), 2);
}

#[test]
fn nothing_is_started_while_the_instance_leaves_and_keeping_goes_on_when_it_is_back() {
    for state in ["Standby", "Terminated", "Warmed:Stopped"] {
        let (play, world) = world(|w, p| {
            w.lives = vec![Some(60), None];
            p.lifecycle = in_service_but(30, 1_000, state);
        });
        play.stay(ALWAYS, seconds(1_200), false);
        let starts = starts(&play);
        assert!(starts.len() == 2 && (1_000..=1_010).contains(&starts[1]), "{state}: {starts:?}");
        assert_eq!(world.borrow().stops.len(), 0);
        assert!(
            play.times("metadata").len() < 20,
            "the agent is not asked who it is while nothing can be started"
        );
    }
    let (play, _) = world(|_, p| p.lifecycle = in_service_but(0, 1_000, "Standby"));
    play.stay(ALWAYS, seconds(500), false);
    let status = play.going_on.borrow().doing.clone();
    assert_eq!(status, "keeping 0 tasks running; nothing is started: its target lifecycle state is Standby");
    play.stay(ALWAYS, seconds(700), false);
    assert!((1_000..=1_010).contains(&starts(&play)[0]), "the first start too: {:?}", starts(&play));
}

#[test]
fn a_spot_action_holds_starts_back_until_it_is_long_past() {
    let (play, _) = world(|w, p| {
        w.lives = vec![Some(60), None];
        p.spot = Box::new(|t| match t {
            t if t < seconds(30) => Reply::Json(404, json!("")),
            _ => Reply::Json(200, json!({"action": "hibernate", "time": "2026-01-01T00:03:00Z"})),
        });
    });
    play.stay(ALWAYS, seconds(1_000), false);
    let starts = starts(&play);
    assert!(starts.len() == 2 && (460..=475).contains(&starts[1]), "{starts:?}");
}

#[test]
fn a_draining_instance_is_found_at_a_death_and_asked_for_its_end() {
    let (play, world) = world(|w, p| {
        w.lives = vec![Some(60), None];
        w.status = "DRAINING";
        let _ = p;
    });
    play.stay(ALWAYS, seconds(1_000), false);
    assert_eq!(play.times("StartTask").len(), 1);
    let asked = play.times("DescribeContainerInstances").len();
    assert!((3..=5).contains(&asked), "{asked}");
    world.borrow_mut().status = "ACTIVE";
    play.stay(ALWAYS, seconds(1_000), false);
    assert_eq!(play.times("StartTask").len(), 2);
}

#[test]
fn our_tasks_leave_after_the_others_and_come_back_when_it_was_cancelled() {
    for options in [LAST, ON_FAILURE_LAST] {
        let (play, world) = world(|w, p| {
            let app = w.place("app");
            w.find(&app).dies = Some(seconds(200));
            p.lifecycle = in_service_but(60, 900, "Terminated");
        });
        play.stay(options, seconds(1_200), false);
        let stopped = play.times("StopTask").iter().map(|at| at.as_secs() - 20).collect::<Vec<_>>();
        assert!(stopped.len() == 1 && (200..=206).contains(&stopped[0]), "{stopped:?}");
        assert_eq!(world.borrow().stops, [format!("{PLACE}1")]);
        let starts = starts(&play);
        assert!(starts.len() == 2 && (900..=906).contains(&starts[1]), "{starts:?}");
        let record: Value = serde_json::from_str(&std::fs::read_to_string(play.record()).unwrap()).unwrap();
        assert_eq!(record["deaths"], 0, "what this program stopped has not died: {record}");
    }
}

#[test]
fn a_daemon_task_is_not_awaited_forever_and_is_never_stopped() {
    let (play, world) = world(|w, p| {
        w.place("daemon");
        let app = w.place("app");
        w.find(&app).dies = Some(seconds(200));
        p.lifecycle = in_service_but(60, 9_000, "Terminated");
    });
    play.stay(LAST, seconds(2_000), false);
    let stopped = play.times("StopTask").iter().map(|at| at.as_secs() - 20).collect::<Vec<_>>();
    assert!(stopped.len() == 1 && (560..=572).contains(&stopped[0]), "{stopped:?}");
    assert_eq!(world.borrow().stops, [format!("{PLACE}2")]);
}

#[test]
fn before_a_spot_deadline_our_tasks_get_a_minute() {
    let (play, _) = world(|w, p| {
        w.place("app");
        p.spot = Box::new(|t| match t {
            t if t < seconds(40) => Reply::Json(404, json!("")),
            _ => Reply::Json(200, json!({"action": "terminate", "time": "2026-01-01T00:03:00Z"})),
        });
    });
    play.stay(LAST, seconds(300), false);
    let stopped = play.times("StopTask").iter().map(Duration::as_secs).collect::<Vec<_>>();
    assert!(stopped.len() == 1 && (120..=126).contains(&stopped[0]), "{stopped:?}");
}

#[test]
fn draining_by_an_operator_is_found_when_another_task_is_told_to_stop() {
    let (play, world) = world(|w, p| {
        let app = w.place("app");
        w.status = "DRAINING";
        (w.find(&app).unwanted, w.find(&app).dies) = (true, Some(seconds(100)));
        let _ = p;
    });
    play.stay(LAST, seconds(600), false);
    assert_eq!(world.borrow().stops, [format!("{PLACE}1")]);
    assert_eq!(play.times("StartTask").len(), 1);
}

#[test]
fn a_task_that_was_running_already_is_never_stopped() {
    let (play, world) = world(|w, p| {
        w.place("log");
        p.lifecycle = in_service_but(60, 9_000, "Terminated");
    });
    assert_eq!(play.stay(LAST, seconds(4_000), false), ["log: already-running"]);
    assert!(world.borrow().stops.is_empty());
}

#[test]
fn a_task_that_answers_the_open_question_is_stopped_only_when_ecs_says_that_it_is_ours() {
    let own = ARN.rsplit_once('/').unwrap().1;
    for (may_describe, started_by, stops) in [(true, "ecs-svc/1", 0), (false, own, 0), (true, own, 1)] {
        let (play, world) = world(|w, p| {
            w.may.retain(|action| may_describe || *action != "DescribeTasks");
            p.lifecycle = in_service_but(60, 9_000, "Terminated");
        });
        let placed = world.clone();
        let play = Rc::new(Play {
            ecs: Box::new(move |_, play| {
                placed.borrow_mut().now = play.now.get() - seconds(20);
                placed.borrow_mut().started_by = started_by;
                placed.borrow_mut().place("log");
                Reply::Cut
            }),
            ..Rc::into_inner(play).unwrap()
        });
        assert_eq!(play.stay(LAST, seconds(4_000), false), ["log: started"]);
        assert_eq!(world.borrow().stops.len(), stops, "{may_describe} {started_by}");
    }
}

#[test]
fn no_task_of_another_place_is_stopped_whatever_the_record_says() {
    let (play, world) = world(|w, p| {
        w.elsewhere = true;
        p.lifecycle = in_service_but(60, 9_000, "Terminated");
    });
    play.stay(LAST, seconds(2_000), false);
    assert!(play.times("StopTask").is_empty() && world.borrow().tasks.len() == 1);
}

#[test]
fn one_more_is_started_only_at_first() {
    let (play, _) = world(|w, _| {
        w.place("log");
        w.lives = vec![Some(60), None];
    });
    play.stay(&[ALWAYS, &["--if-running", "start"]].concat(), seconds(600), false);
    assert_eq!(play.times("StartTask").len(), 1, "the other one is enough");
}

#[test]
fn an_agent_that_registers_anew_is_awaited_without_end() {
    let (play, _) = world(|w, p| {
        w.lives = vec![Some(100), None];
        let asked = Cell::new(0);
        p.instance = Box::new(move |t| {
            asked.set(asked.get() + u32::from(t >= seconds(100)));
            match asked.get() {
                0 => ARN.to_owned(),
                2.. if t < seconds(5_000) => String::new(),
                _ => ARN.replace("0123", "3210"),
            }
        });
    });
    play.stay(ALWAYS, seconds(6_000), false);
    let starts = starts(&play);
    assert!(starts.len() == 2 && (5_000..=5_002).contains(&starts[1]), "{starts:?}");
}

#[test]
fn an_inactive_instance_is_left_alone_until_the_agent_has_another_arn() {
    let (play, _) = world(|w, p| {
        w.lives = vec![Some(100), None];
        p.instance =
            Box::new(|t| if t < seconds(3_000) { ARN.to_owned() } else { ARN.replace("0123", "3210") });
        let inner = std::mem::replace(&mut p.ecs, Box::new(|_, _| Reply::Cut));
        p.ecs = Box::new(move |call, play| if call == 2 { failure("INACTIVE") } else { inner(call, play) });
    });
    play.stay(ALWAYS, seconds(4_000), false);
    let starts = starts(&play);
    assert!(starts.len() == 3 && (100..=112).contains(&starts[1]), "{starts:?}");
    assert!((3_000..=3_012).contains(&starts[2]), "{starts:?}");
}

#[test]
fn a_leaving_state_stands_while_imds_says_nothing() {
    let (play, _) = world(|w, p| {
        w.lives = vec![Some(60), None];
        p.lifecycle = Box::new(|t| match t.as_secs() {
            30..40 => Reply::Json(200, json!("Terminated")),
            40..500 => Reply::Json(404, json!("")),
            500..900 => Reply::Json(503, json!("")),
            _ => Reply::Json(200, json!("InService")),
        });
    });
    play.stay(ALWAYS, seconds(1_000), false);
    let starts = starts(&play);
    assert!(starts.len() == 2 && (900..=906).contains(&starts[1]), "{starts:?}");
}

#[test]
fn what_others_started_is_replaced_only_when_no_other_came() {
    let (play, _) = world(|w, p| {
        w.lives = vec![Some(60), None];
        w.place("log");
        let _ = p;
    });
    play.stay(ALWAYS, seconds(600), false);
    let starts = starts(&play);
    assert!(starts.len() == 1 && (180..=192).contains(&starts[0]), "{starts:?}");
}

#[test]
fn a_stop_that_is_denied_or_throttled_is_retried_as_a_start_is() {
    let (play, world) = world(|w, p| {
        w.may = vec![];
        p.lifecycle = in_service_but(60, 9_000, "Terminated");
    });
    play.stay(&[LAST, &["-t", "other"]].concat(), seconds(2_000), false);
    assert_eq!(play.times("StopTask").len(), 4, "the other one would be denied too");
    assert!(world.borrow().stops.is_empty());
}

#[test]
fn a_stop_that_is_refused_permanently_holds_up_no_other() {
    let (play, world) = world(|_, p| {
        p.lifecycle = in_service_but(60, 9_000, "Terminated");
        let inner = std::mem::replace(&mut p.stopped, Box::new(|_, _| Reply::Cut));
        let first = RefCell::new(None);
        p.stopped = Box::new(move |call, play| {
            let task = play.body.borrow()["task"].clone();
            let refuses = first.borrow_mut().get_or_insert_with(|| task.clone()) == &task;
            if refuses { refusal(400, "ClientException") } else { inner(call, play) }
        });
    });
    play.stay(&[LAST, &["-t", "other"]].concat(), seconds(600), false);
    assert_eq!((play.times("StopTask").len(), world.borrow().stops.len()), (2, 1));
}

#[test]
fn a_crash_while_it_leaves_starts_nothing_until_it_is_back() {
    for after in [62, 70, 80, 90, 120] {
        let (play, world) = world(|w, p| {
            let app = w.place("app");
            w.find(&app).dies = Some(seconds(70));
            p.lifecycle = in_service_but(60, 900, "Terminated");
        });
        play.stay(ON_FAILURE_LAST, seconds(after), false);
        play.pass(seconds(10));
        play.stay(ON_FAILURE_LAST, seconds(600), false);
        assert_eq!(world.borrow().tasks.len(), 2, "killed after {after} s: {:?}", world.borrow().tasks);
        assert_eq!(world.borrow().stops, [format!("{PLACE}1")]);
        play.stay(ON_FAILURE_LAST, seconds(600), false);
        assert_eq!(world.borrow().tasks.len(), 3, "it ended with 0, but as this program stopped it");
    }
}

#[test]
fn a_task_that_the_agent_does_not_list_is_asked_about() {
    let (play, world) = world(|_, _| ());
    play.stay(ALWAYS, seconds(100), false);
    world.borrow_mut().tasks[0].forgotten = true;
    play.stay(ALWAYS, seconds(3_600), false);
    assert_eq!(play.times("StartTask").len(), 1, "ECS says that it runs");
    let asked = play.times("DescribeTasks").len();
    assert!((4..=12).contains(&asked), "{asked}");
    world.borrow_mut().may = vec![];
    play.stay(ALWAYS, seconds(120), false);
    assert_eq!(play.times("StartTask").len(), 2, "where ECS may not be asked the agent's word counts");
}

#[test]
fn before_any_task_ran_a_run_ends_as_without_restart_and_afterwards_a_failure_is_retried() {
    let (play, _) = world(|_, p| p.ecs = Box::new(|_, _| failure("LOCATION")));
    assert_eq!(play.code(ALWAYS).0, REFUSED);
    let (play, world) = world(|_, p| {
        let inner = std::mem::replace(&mut p.ecs, Box::new(|_, _| Reply::Cut));
        p.ecs = Box::new(move |call, play| {
            let bad = play.body.borrow()["taskDefinition"] == "bad" && play.now.get() < seconds(320);
            if bad { failure("LOCATION") } else { inner(call, play) }
        });
    });
    let both = ["-t", "log", "-t", "bad", "--restart", "always"];
    assert_eq!(
        play.stay(&both, seconds(2_000), false),
        [
            "log: started, bad: failed: ECS did not start the task: LOCATION: a subnet of the request is in another Availability Zone than the instance"
        ]
    );
    assert_eq!(world.borrow().tasks.iter().filter(|task| task.family == "bad").count(), 1);
}
