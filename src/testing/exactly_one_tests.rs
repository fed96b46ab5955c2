//! Exactly one task, and no success without one: records, evidence and the second run, under a virtual clock.

use crate::error::class::exit::*;
use crate::testing::simulation::{
    ARN, LOG, Play, Reply, failure, play, refusal, seconds, sent, started, task,
};
use serde_json::{Value, json};
use std::cell::Cell;
use std::rc::Rc;

const START: Option<&str> = Some("2026-01-01T00:00:30Z");

/// A response to StartTask that names these containers.
fn accepted(containers: &[&str]) -> Reply {
    let containers: Vec<Value> = containers.iter().map(|name| json!({"name": name})).collect();
    Reply::Json(200, json!({"tasks": [{"taskArn": "arn:task", "containers": containers}], "failures": []}))
}

fn described(task: Value) -> Reply {
    Reply::Json(200, json!({"tasks": [task]}))
}

#[test]
fn a_task_that_never_ran_is_not_a_success() {
    // An init container has failed, so the agent never tried to create the main one.
    type Row = (&'static str, fn() -> Reply, u8);
    let rows: [Row; 4] = [
        ("ECS may not be asked", || refusal(400, "AccessDeniedException"), STOPPED),
        ("ECS does not know it", || Reply::Json(200, json!({"tasks": []})), STOPPED),
        (
            "ECS says that it never started",
            || described(json!({"lastStatus": "STOPPED", "startedAt": null})),
            STOPPED,
        ),
        ("ECS says that it started", || described(json!({"lastStatus": "STOPPED", "startedAt": 1.7e9})), 0),
    ];
    for (name, reply, code) in rows {
        let play = play(|p| {
            p.ecs = Box::new(|_, _| accepted(&["init", "a"]));
            p.described = Box::new(move |_, _| reply());
            p.task = Box::new(|_| {
                let mut task = task("STOPPED", START);
                task["Containers"][0]["Name"] = "init".into();
                Some(task)
            });
        });
        assert_eq!(play.code(LOG).0, code, "{name}");
    }
}

#[test]
fn a_job_ran_when_ecs_says_so_or_all_its_containers_were_started() {
    let by_ecs = play(|p| {
        p.task = Box::new(|_| Some(task("STOPPED", None)));
        p.described = Box::new(|_, _| described(json!({"lastStatus": "DEPROVISIONING", "startedAt": 1.7e9})));
    });
    assert_eq!(by_ecs.code(LOG).0, 0);
    let by_agent = play(|p| p.task = Box::new(|_| Some(task("STOPPED", START))));
    assert_eq!(by_agent.code(LOG).0, 0);
}

#[test]
fn ecs_shows_stopped_later_than_the_agent() {
    let calls = Rc::new(Cell::new(0));
    let counted = calls.clone();
    let play = play(|p| {
        p.task = Box::new(|_| Some(task("STOPPED", None)));
        p.described = Box::new(move |_, _| {
            counted.set(counted.get() + 1);
            match counted.get() {
                1..=3 => described(json!({"lastStatus": "PENDING"})),
                _ => described(json!({"lastStatus": "STOPPED", "stoppedReason": "no image"})),
            }
        });
    });
    let (code, took) = play.code(LOG);
    assert_eq!((code, calls.get()), (STOPPED, 4));
    assert!(took < seconds(20), "{took:?}");
}

#[test]
fn another_revision_is_not_ours() {
    for may_describe in [true, false] {
        let play = play(|p| {
            let mut other = task("PENDING", None);
            (other["Arn"], other["Version"]) = ("arn:five".into(), "5".into());
            p.ecs = Box::new(|call, _| if call == 1 { Reply::Cut } else { started() });
            p.tasks = Box::new(move |t| {
                Some(json!({"Tasks": if t < seconds(20) { vec![] } else { vec![&other] }}))
            });
            p.listed = Box::new(|_, _| Reply::Json(200, json!({"taskArns": ["arn:five"]})));
            if may_describe {
                p.described = Box::new(|_, _| {
                    described(
                        json!({"taskArn": "arn:five", "taskDefinitionArn": "arn:aws:ecs:us-east-1:1:task-definition/log:5", "lastStatus": "PENDING"}),
                    )
                });
            }
        });
        let report = play.run(&["-t", "log:3"]).unwrap();
        let done = report.outcomes[0].result.as_ref().unwrap();
        assert_eq!((done.task.as_str(), sent(&play)), ("arn:task", 2), "may describe: {may_describe}");
    }
}

#[test]
fn at_the_deadline_nothing_is_awaited_any_longer() {
    let play = play(|p| {
        p.ecs = Box::new(|_, play| {
            play.pass(seconds(10));
            Reply::Cut
        });
        p.listed = Box::new(|_, _| Reply::Json(200, json!({"taskArns": ["arn:five"]})));
    });
    let (code, took) = play.code(&["-t", "log:3", "--timeout", "8s"]);
    assert!(code == UNAVAILABLE && took < seconds(12), "{code} {took:?}");
}

#[test]
fn a_task_that_was_seen_running_ran_even_if_it_stops_at_once() {
    let asked = Cell::new(0);
    let play = play(|p| {
        p.tasks = Box::new(move |_| {
            asked.set(asked.get() + 1);
            Some(json!({"Tasks": [task(if asked.get() == 1 { "RUNNING" } else { "STOPPED" }, None)]}))
        });
    });
    assert_eq!((play.code(LOG).0, sent(&play)), (0, 0));
}

#[test]
fn another_run_knows_that_the_task_ran() {
    let ended = Rc::new(Cell::new(false));
    let now_ended = ended.clone();
    let play = play(|p| {
        p.task = Box::new(move |t| {
            Some(task(if now_ended.get() || t > seconds(40) { "STOPPED" } else { "PENDING" }, START))
        });
    });
    assert_eq!(play.code(&["-t", "log", "--timeout", "1s"]).0, NOT_YET);
    let by_another = play.code(&["-t", "log", "--started-by", "another"]);
    assert_eq!((by_another.0, sent(&play)), (0, 1), "its containers are on record, and were all started");
}

#[test]
fn a_dead_foreign_task_is_not_taken_for_ours() {
    let dead = || {
        let mut dead = task("STOPPED", START);
        dead["Arn"] = "arn:service".into();
        dead
    };
    let play = play(|p| {
        p.ecs = Box::new(|call, _| if call == 1 { Reply::Cut } else { started() });
        p.tasks = Box::new(move |t| {
            let mut tasks = if t < seconds(1) { vec![] } else { vec![dead()] };
            tasks.extend((t > seconds(9)).then(|| task("RUNNING", START)));
            Some(json!({"Tasks": tasks}))
        });
    });
    let report = play.run(LOG).unwrap();
    assert_eq!((report.outcomes[0].result.as_ref().unwrap().task.as_str(), sent(&play)), ("arn:task", 1));
}

#[test]
fn the_death_of_an_adopted_task_reopens_the_question() {
    let foreign = |known: &str| {
        let mut task = task(known, None);
        task["Arn"] = "arn:service".into();
        task
    };
    let play = play(|p| {
        p.ecs = Box::new(|call, _| if call == 1 { Reply::Cut } else { started() });
        p.tasks = Box::new(move |t| {
            Some(json!({"Tasks": match t.as_secs() {
                0 => vec![],
                1..=4 => vec![foreign("PENDING")],
                5..=12 => vec![foreign("STOPPED")],
                _ => vec![foreign("STOPPED"), task("RUNNING", START)],
            }}))
        });
    });
    let report = play.run(LOG).unwrap();
    assert_eq!((report.outcomes[0].result.as_ref().unwrap().task.as_str(), sent(&play)), ("arn:task", 1));
}

#[test]
fn a_dead_task_of_an_earlier_request_is_not_taken_for_that_of_a_later_one() {
    let own = ARN.rsplit_once('/').unwrap().1;
    let play = play(|p| {
        p.ecs = Box::new(|call, _| if call <= 2 { Reply::Cut } else { started() });
        p.tasks = Box::new(|t| {
            let mut first = task("STOPPED", None);
            first["Arn"] = "arn:first".into();
            Some(json!({"Tasks": match t.as_secs() {
                0..17 => vec![],
                17..28 => vec![first],
                _ => vec![first, task("RUNNING", Some("2026-01-01T00:00:40Z"))],
            }}))
        });
        p.described = Box::new(move |_, _| {
            described(json!({"taskArn": "arn:first", "lastStatus": "STOPPED", "startedBy": own,
                "taskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/log:3"}))
        });
    });
    assert_eq!((play.code(&["-t", "log", "--timeout", "20s"]).0, sent(&play)), (UNAVAILABLE, 2));
    assert_eq!((play.code(LOG).0, sent(&play)), (0, 2));
}

#[test]
fn an_agent_that_fails_while_the_question_is_open_closes_nothing() {
    let dead = Cell::new(0);
    let play = play(|p| {
        p.ecs = Box::new(|call, _| if call == 1 { Reply::Cut } else { started() });
        p.tasks = Box::new(move |t| {
            let foreign = |known: &str| {
                let mut task = task(known, None);
                task["Arn"] = "arn:service".into();
                task
            };
            match t.as_secs() {
                0 => Some(json!({"Tasks": []})),
                1..=4 => Some(json!({"Tasks": [foreign("PENDING")]})),
                5..=16 => {
                    dead.set(dead.get() + 1);
                    // The first list reopens the question; then there is none for a moment.
                    (!(2..5).contains(&dead.get())).then(|| json!({"Tasks": [foreign("STOPPED")]}))
                }
                _ => Some(json!({"Tasks": [foreign("STOPPED"), task("RUNNING", START)]})),
            }
        });
    });
    let report = play.run(LOG).unwrap();
    assert_eq!((report.outcomes[0].result.as_ref().unwrap().task.as_str(), sent(&play)), ("arn:task", 1));
}

/// Whose response is lost: the task is shown from 20 s on. Somebody else's runs from 1 s to 10 s.
fn answered_by_another(change: impl FnOnce(&mut Play)) -> Rc<Play> {
    let foreign = |known: &str| {
        let mut task = task(known, Some("2026-01-01T00:00:20Z"));
        task["Arn"] = "arn:service".into();
        task
    };
    play(|p| {
        p.ecs = Box::new(|call, _| if call == 1 { Reply::Cut } else { started() });
        p.tasks = Box::new(move |t| {
            Some(json!({"Tasks": match t.as_secs() {
                0 => vec![],
                1..=9 => vec![foreign("RUNNING")],
                10..=19 => vec![foreign("STOPPED")],
                _ => vec![foreign("STOPPED"), task("RUNNING", START)],
            }}))
        });
        change(p);
    })
}

#[test]
fn the_death_of_an_adopted_task_that_ran_reopens_the_question_for_the_next_run() {
    for unit in [true, false] {
        let play = answered_by_another(|p| p.unit = unit);
        assert_eq!((play.code(LOG).0, sent(&play)), (0, 1));
        play.now.set(seconds(20 + 12));
        let report = play.run(LOG).unwrap();
        let task = report.outcomes[0].result.as_ref().unwrap().task.as_str();
        assert_eq!((task, sent(&play)), ("arn:task", 1), "unit: {unit}");
        assert_eq!(play.code(LOG).0, 0);
    }
}

#[test]
fn an_adopted_task_that_ecs_says_is_ours_closes_the_question() {
    let own = ARN.rsplit_once('/').unwrap().1;
    let play = answered_by_another(|p| {
        p.described = Box::new(move |_, _| {
            described(json!({"taskArn": "arn:service", "lastStatus": "RUNNING", "startedBy": own}))
        });
    });
    assert_eq!((play.code(LOG).0, sent(&play)), (0, 1));
    play.now.set(seconds(20 + 12));
    assert_eq!((play.code(LOG).0, sent(&play)), (0, 2), "it is concluded, and gone");
}

#[test]
fn an_accepted_task_that_stopped_unseen_is_70_within_seconds() {
    let play = play(|p| {
        p.task = Box::new(|_| None);
        p.described =
            Box::new(|_, _| described(json!({"lastStatus": "STOPPED", "stoppedReason": "no room"})));
    });
    let (code, took) = play.code(LOG);
    assert!(code == STOPPED && took < seconds(15), "{code} {took:?}");
}

#[test]
fn an_accepted_task_is_not_lost_while_ecs_has_it() {
    let play = play(|p| {
        p.task = Box::new(|_| None);
        p.described = Box::new(|_, _| described(json!({"lastStatus": "PENDING"})));
    });
    for _ in 0..5 {
        assert_eq!(play.code(LOG).0, NOT_YET);
    }
    assert_eq!(sent(&play), 1);
    let asked = play.times("DescribeTasks").len();
    assert!(asked <= 5 * 15, "{asked} questions in 75 minutes");
}

/// A job that ran and has stopped, and a service that ECS refuses.
fn job_and_service(service: fn() -> Reply) -> Rc<Play> {
    play(|p| {
        p.unit = true;
        p.ecs = Box::new(move |_, play| {
            let last = play.bodies.borrow().last().unwrap()["taskDefinition"].clone();
            if last == "job" { accepted(&["a"]) } else { service() }
        });
        p.task = Box::new(|_| Some(task("STOPPED", START)));
    })
}

fn by_hand(play: &Play, run: impl FnOnce() -> u8) -> u8 {
    play.by_hand.set(true);
    let code = run();
    play.by_hand.set(false);
    code
}

const BOTH: &[&str] = &["-t", "job", "-t", "svc"];

#[test]
fn a_job_that_ran_is_done_until_a_run_of_the_unit_ends_well() {
    let play = job_and_service(|| refusal(400, "ClientException"));
    let jobs = || play.bodies.borrow().iter().filter(|body| body["taskDefinition"] == "job").count();
    assert_eq!((play.code(BOTH).0, jobs()), (REFUSED, 1));
    assert_eq!(by_hand(&play, || play.code(&["-t", "job"]).0), 0, "a look by hand");
    for by_another in [&["-t", "job", "--started-by", "other"][..], &["-t", "svc", "--started-by", "other"]] {
        by_hand(&play, || play.code(by_another).0);
    }
    let before = jobs();
    play.pass(seconds(60));
    assert_eq!((play.code(BOTH).0, jobs()), (REFUSED, before), "the job is done, whichever run checks it");
}

#[test]
fn a_concluded_task_that_is_gone_is_started_anew() {
    for unit in [true, false] {
        let gone = Rc::new(Cell::new(false));
        let now_gone = gone.clone();
        let play = play(|p| {
            p.unit = unit;
            p.task = Box::new(move |_| (!now_gone.get()).then(|| task("RUNNING", START)));
        });
        assert_eq!((play.code(LOG).0, sent(&play)), (0, 1));
        assert_eq!((play.code(LOG).0, sent(&play)), (0, 1), "it is here");
        gone.set(true);
        play.accepted.borrow_mut().clear();
        gone.set(false);
        assert_eq!((play.code(LOG).0, sent(&play)), (0, 2), "systemctl restart brings it back");
    }
}

#[test]
fn a_run_by_hand_concludes_only_what_it_started() {
    let play = job_and_service(|| accepted(&["a"]));
    assert_eq!(by_hand(&play, || play.code(&["-t", "job"]).0), 0);
    assert_eq!((play.code(&["-t", "job"]).0, sent(&play)), (0, 2), "it was concluded, and is gone");
}

#[test]
fn what_was_accepted_and_never_shown_is_open_whatever_the_exit_code_was() {
    let play = play(|p| p.task = Box::new(|_| None));
    assert_eq!(play.code(&["-t", "log", "--no-wait"]).0, 0);
    for options in [LOG, &["-t", "log:3"], &["-t", "log", "--started-by", "x"]] {
        assert_eq!(
            (play.code(&[options, &["--timeout", "20s"]].concat()).0, sent(&play)),
            (NOT_YET, 1),
            "{options:?}"
        );
    }
}

#[test]
fn without_the_duplicate_guard_each_run_starts_one() {
    let play = play(|p| p.task = Box::new(|_| None));
    let options = ["-t", "log", "--no-wait", "--if-running", "start"];
    for run in 1..=3 {
        let report = play.run(&options).unwrap();
        assert_eq!((report.exit_code(), sent(&play)), (0, run));
    }
}

#[test]
fn without_the_duplicate_guard_a_lost_response_is_still_in_doubt() {
    let play = play(|p| p.ecs = Box::new(|call, _| if call == 1 { Reply::Cut } else { started() }));
    let options = ["-t", "log", "--if-running", "start"];
    assert_eq!(play.code(&[&options[..], &["--timeout", "5s"]].concat()).0, UNAVAILABLE);
    assert_eq!((play.code(&options).0, sent(&play)), (0, 2));
    assert!(play.times("StartTask")[1] - play.times("StartTask")[0] >= seconds(15));
}

#[test]
fn a_new_registration_starts_all_over() {
    for (up, shown) in [(20, 25), (0, 3)] {
        let play = play(|p| {
            p.instance =
                Box::new(
                    move |t| if t < seconds(up) { ARN.to_owned() } else { ARN.replace("prod/0", "prod/9") },
                );
            p.task = Box::new(move |t| (t > seconds(shown)).then(|| task("RUNNING", START)));
        });
        let report = play.run(LOG).unwrap();
        assert_eq!(report.exit_code(), 0);
        assert!(report.instance.id.starts_with('9'));
        let last = play.bodies.borrow().last().unwrap()["containerInstances"][0].clone();
        assert_eq!(last, report.instance.id.as_str());
    }
}

#[test]
fn a_run_that_knows_the_old_instance_overwrites_no_record_of_the_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let clock = crate::system::clock::HostClock;
    let definition = crate::aws::definition::Definition::parse("log").unwrap();
    let key = crate::run::record::Key::new("{}", &definition);
    let of = |instance: &str| crate::run::state::State::open(directory.path()).unwrap().of(instance);
    of("arn:new").change(&key, &clock, |record| record.sent(seconds(1), Vec::new())).unwrap();
    of("arn:old").change(&key, &clock, |record| record.concluded = true).unwrap();
    assert!(of("arn:new").load(&key).unwrap().in_flight_since.is_some());
}

#[test]
fn an_inactive_instance_may_have_registered_anew() {
    let play = play(|p| {
        // At first the agent does not say so.
        p.instance = Box::new(|t| match t.as_secs() {
            0 => ARN.to_owned(),
            1..=5 => String::new(),
            _ => ARN.replace("prod/0", "prod/9"),
        });
        p.ecs = Box::new(|_, play| {
            if play.bodies.borrow().last().unwrap()["containerInstances"][0]
                .as_str()
                .unwrap()
                .starts_with('0')
            {
                play.pass(seconds(2));
                failure("INACTIVE")
            } else {
                started()
            }
        });
    });
    assert_eq!(play.code(LOG).0, 0);
    assert!(play.bodies.borrow().last().unwrap()["containerInstances"][0].as_str().unwrap().starts_with('9'));
}

#[test]
fn a_person_who_restarts_the_unit_is_obeyed_at_once() {
    let dying = || {
        play(|p| {
            p.unit = true;
            p.ecs = Box::new(|_, _| refusal(400, "ClientException"));
        })
    };
    let early = dying();
    for _ in 0..5 {
        assert_eq!(early.code(LOG).0, REFUSED);
        early.pass(seconds(5));
    }
    assert!(sent(&early) == 5 && early.times("StartTask")[4] < seconds(50), "{:?}", early.times("StartTask"));
    let interrupted = dying();
    for _ in 0..4 {
        assert_eq!(interrupted.code(LOG).0, REFUSED);
        interrupted.pass(seconds(30));
    }
    // The record that a SIGTERM during the pause leaves.
    let mut record: Value = serde_json::from_slice(&std::fs::read(interrupted.record()).unwrap()).unwrap();
    record["pausing"] = true.into();
    std::fs::write(interrupted.record(), record.to_string()).unwrap();
    let (code, took) = interrupted.code(LOG);
    assert!(code == REFUSED && took < seconds(1), "{took:?}");
    let by_hand_first = dying();
    by_hand(&by_hand_first, || by_hand_first.code(LOG).0);
    by_hand_first.pass(seconds(30));
    assert!(by_hand_first.code(LOG).1 < seconds(1), "failures by hand do not count");
}

#[test]
fn a_longer_retry_after_than_the_run_is_kept_for_the_next_one() {
    let play = play(|p| {
        p.unit = true;
        p.ecs = Box::new(|call, _| {
            if call == 1 {
                Reply::After(400, json!({"__type": "ThrottlingException"}), "300")
            } else {
                started()
            }
        });
    });
    assert_eq!(play.code(&["-t", "log", "--timeout", "1m"]).0, NOT_YET);
    play.pass(seconds(30));
    let (code, took) = play.code(LOG);
    assert!(code == 0 && took > seconds(200) && took < seconds(300), "{code} {took:?}");
}

#[test]
fn a_garbled_record_is_an_open_question_and_is_set_aside() {
    for name in ["log.json", "log.0123456789abcdef.json"] {
        for text in ["", "{", "[]", "{\"boot\": 7}"] {
            let play = play(|_| ());
            std::fs::write(play.state.path().join(name), text).unwrap();
            let (code, took) = play.code(LOG);
            assert!(code == 0 && took >= seconds(15) && took < seconds(20), "{name} {text}: {code} {took:?}");
            assert_eq!(sent(&play), 1);
            assert!(play.state.path().join(name).with_extension("garbled").exists(), "{name} {text}");
            play.record();
        }
    }
}

#[test]
fn only_a_task_that_lives_answers_for_a_garbled_record() {
    let own = ARN.rsplit_once('/').unwrap().1;
    let play = play(|p| {
        p.tasks = Box::new(|_| {
            let mut old = task("STOPPED", START);
            old["Arn"] = "arn:old".into();
            Some(json!({"Tasks": [old]}))
        });
        p.described = Box::new(move |_, _| {
            described(json!({"taskArn": "arn:old", "lastStatus": "STOPPED", "startedAt": 1, "startedBy": own,
                "taskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/log:3"}))
        });
    });
    std::fs::write(play.state.path().join("log.json"), "{").unwrap();
    let report = play.run(LOG).unwrap();
    let task = report.outcomes[0].result.as_ref().unwrap().task.as_str();
    assert_eq!((task, sent(&play)), ("arn:task", 1), "it may have been there before");
}

#[test]
fn a_record_that_is_garbled_once_more_is_an_open_question_once_more() {
    let play = play(|p| {
        p.ecs = Box::new(|call, _| if call == 1 { Reply::Cut } else { started() });
        let state = p.state.path().to_owned();
        p.tasks = Box::new(move |t| {
            if t >= seconds(17) {
                let paths = std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path());
                let is_record = |path: &std::path::PathBuf| path.extension().is_some_and(|e| e == "json");
                paths.filter(is_record).for_each(|path| std::fs::write(path, "{").unwrap());
            }
            Some(json!({"Tasks": if t < seconds(27) { vec![] } else { vec![task("RUNNING", START)] }}))
        });
    });
    std::fs::write(play.state.path().join("log.json"), "{").unwrap();
    assert_eq!((play.code(LOG).0, sent(&play)), (0, 1));
}

#[test]
fn a_record_of_0_1_is_an_open_question() {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let play = play(|_| ());
    let old = json!({"boot": boot, "request": 7, "sent": {"secs": 10, "nanos": 0}, "before": [], "task": null, "ran": false});
    std::fs::write(play.state.path().join("log.json"), old.to_string()).unwrap();
    let (code, took) = play.code(LOG);
    assert!(code == 0 && took >= seconds(15) && sent(&play) == 1, "{code} {took:?}");
    let play = self::play(|p| p.task = Box::new(|t| (t > seconds(8)).then(|| task("RUNNING", START))));
    let old = json!({"boot": boot, "request": 7, "sent": null, "before": [], "task": ["arn:task", {"secs": 10, "nanos": 0}], "ran": false});
    std::fs::write(play.state.path().join("log.json"), old.to_string()).unwrap();
    play.accepted.borrow_mut().push("log".to_owned());
    assert_eq!((play.code(LOG).0, sent(&play)), (0, 0));
}

#[test]
fn a_state_directory_that_is_missing_for_a_while_is_waited_for() {
    let play = play(|p| {
        let path = p.state.path().to_owned();
        std::fs::remove_dir(&path).unwrap();
        // A link to a place where nothing can be created, until a directory replaces it.
        std::os::unix::fs::symlink("/proc/nowhere", &path).unwrap();
        p.tasks = Box::new(move |t| {
            if t > seconds(10) && path.is_symlink() {
                std::fs::remove_file(&path).unwrap();
                crate::files::Directory::create(&path).unwrap();
            }
            Some(json!({"Tasks": []}))
        });
    });
    let code = play.code(&["-t", "log", "--timeout", "10s"]).0;
    assert_eq!((code, sent(&play)), (NOT_YET, 0));
}
