//! Whole runs under a virtual clock: the long rows of the retry table, the pauses, the clocks.

use crate::config::error::ConfigError;
use crate::error::Error;
use crate::error::class::exit::*;
use crate::testing::simulation::{
    LOG, Reply, always, at_first, credentials, epoch, failure, play, refusal, seconds, started, task,
};
use serde_json::json;
use std::cell::Cell;
use std::rc::Rc;

#[test]
fn all_is_well_at_once() {
    let play = play(|_| ());
    assert_eq!(play.code(LOG).0, 0);
    assert_eq!(play.times("StartTask").len(), 1);
}

#[test]
fn the_agent_is_asked_often_at_first_and_every_second_later() {
    let play = play(|p| p.agent_up = seconds(100));
    let (code, took) = play.code(LOG);
    assert_eq!(code, 0);
    assert!(took >= seconds(100) && took < seconds(102), "{took:?}");
    let polls = play.times("metadata").len();
    assert!((30 * 9..30 * 10 + 75).contains(&polls), "{polls} polls");
    assert!(play.times("StartTask")[0] > play.times("metadata")[polls - 1], "nothing before registration");
}

/// Every row that finishes only at the deadline or after minutes: what ECS does, the exit code, how long it takes
/// (at least, at most) and how many calls it takes (at least, at most).
#[test]
fn the_long_rows_of_the_retry_table() {
    type Row = (&'static str, fn() -> Reply, u8, (u64, u64), (usize, usize));
    let rows: [Row; 13] = [
        ("throttled", || refusal(400, "ThrottlingException"), NOT_YET, (500, 900), (8, 16)),
        ("429", || refusal(429, ""), NOT_YET, (500, 900), (8, 16)),
        ("no connection", || Reply::Refused, UNAVAILABLE, (880, 900), (60, 130)),
        ("no answer", || Reply::Cut, UNAVAILABLE, (850, 900), (20, 35)),
        ("5xx", || refusal(500, "ServerException"), UNAVAILABLE, (850, 900), (20, 35)),
        ("AGENT", || failure("AGENT"), NOT_YET, (880, 900), (90, 190)),
        ("RESOURCE", || failure("RESOURCE:CPU"), NOT_YET, (830, 900), (15, 40)),
        ("MISSING", || failure("MISSING"), REFUSED, (15, 60), (6, 6)),
        ("ATTRIBUTE", || failure("ATTRIBUTE"), REFUSED, (100, 180), (5, 12)),
        ("unknown reason", || failure("REGISTERING"), REFUSED, (100, 180), (5, 12)),
        ("denied", || refusal(400, "AccessDeniedException"), NOT_ALLOWED, (70, 140), (4, 4)),
        ("token", || refusal(403, "ExpiredTokenException"), NOT_ALLOWED, (0, 1), (2, 2)),
        ("refused", || refusal(400, "ClientException"), REFUSED, (0, 1), (1, 1)),
    ];
    for (name, reply, code, (least, most), (fewest, mostly)) in rows {
        let play = play(|p| p.ecs = always(reply));
        let (got, took) = play.code(LOG);
        let calls = play.times("StartTask").len();
        assert_eq!(got, code, "{name}");
        assert!(took >= seconds(least) && took <= seconds(most), "{name}: {took:?}");
        assert!((fewest..=mostly).contains(&calls), "{name}: {calls} calls");
    }
}

#[test]
fn what_passes_is_waited_out() {
    type Row = (&'static str, u32, fn() -> Reply);
    let rows: [Row; 7] = [
        ("throttled 12 times", 12, || refusal(400, "ThrottlingException")),
        ("5xx", 3, || refusal(503, "ServiceUnavailable")),
        ("AGENT", 20, || failure("AGENT")),
        ("RESOURCE", 10, || failure("RESOURCE:MEMORY")),
        ("MISSING", 5, || failure("MISSING")),
        ("denied", 3, || refusal(400, "AccessDeniedException")),
        ("token", 1, || refusal(403, "UnrecognizedClientException")),
    ];
    for (name, times, reply) in rows {
        let play = play(|p| p.ecs = at_first(times, reply));
        assert_eq!(play.code(&["-t", "log", "--timeout", "1h"]).0, 0, "{name}");
        assert_eq!(play.times("StartTask").len() as u32, times + 1, "{name}");
    }
}

#[test]
fn the_agent_is_given_up_at_the_deadline() {
    let play = play(|p| p.agent_up = seconds(10_000));
    let (code, took) = play.code(LOG);
    assert_eq!((code, took.as_secs()), (UNAVAILABLE, 900));
    assert!(play.times("StartTask").is_empty());
}

#[test]
fn a_role_that_comes_late_is_waited_for_and_one_that_never_comes_is_77() {
    let late = play(|p| {
        p.imds = Box::new(|t| {
            if t < seconds(540) { Reply::Json(404, json!("")) } else { credentials(epoch() + seconds(9_000)) }
        });
    });
    let (code, took) = late.code(LOG);
    assert!(code == 0 && took < seconds(552), "{code} {took:?}");
    let never = play(|p| p.imds = Box::new(|_| Reply::Json(404, json!(""))));
    assert_eq!(never.code(LOG), (NOT_ALLOWED, seconds(900)));
    let unreachable = play(|p| p.imds = Box::new(|_| Reply::Refused));
    assert_eq!(unreachable.code(LOG).0, UNAVAILABLE);
    let off = play(|p| p.imds = Box::new(|_| Reply::Json(403, json!(""))));
    let (code, took) = off.code(LOG);
    assert!(code == NOT_ALLOWED && took < seconds(1));
}

#[test]
fn a_missing_role_explains_an_agent_that_does_not_come_up() {
    let play = play(|p| {
        p.agent_up = seconds(10_000);
        p.imds = Box::new(|_| Reply::Json(404, json!("")));
    });
    assert_eq!(play.code(LOG).0, NOT_ALLOWED);
}

#[test]
fn credentials_that_end_while_the_agent_is_waited_for_are_fetched_again() {
    let play = play(|p| {
        p.agent_up = seconds(3_600);
        p.imds = Box::new(|t| credentials(epoch() + t + seconds(1_800)));
    });
    assert_eq!(play.code(&["-t", "log", "--timeout", "2h"]).0, 0);
    assert_eq!(play.times("credentials").len(), 2);
}

#[test]
fn expired_credentials_are_used_when_there_are_no_others() {
    let play = play(|p| p.imds = Box::new(|_| credentials(epoch())));
    let (code, took) = play.code(LOG);
    assert!(code == 0 && took > seconds(4) && took < seconds(20), "{code} {took:?}");
}

#[test]
fn a_clock_that_is_off_is_corrected_for_all_later_calls() {
    for off in [-600, 3 * 3600] {
        let play = play(|p| {
            p.off.set(off);
            p.ecs = Box::new(|call, play| {
                let now =
                    crate::system::clock::shifted(crate::system::clock::Clock::now(play), -play.off.get());
                let refused = json!({"__type": "InvalidSignatureException", "message": "Signature expired"});
                if call == 1 { Reply::Dated(403, refused, now) } else { failure("RESOURCE:CPU") }
            });
        });
        assert_eq!(play.code(&["-t", "log", "--timeout", "5m"]).0, NOT_YET, "{off}");
        let signed = play.signed.borrow();
        assert!(signed.len() > 3);
        assert!(!signed[0].starts_with("20260101T0000"), "{off}: {}", signed[0]);
        assert!(signed[1..].iter().all(|date| date.starts_with("20260101T000")), "{off}: {signed:?}");
    }
}

#[test]
fn a_signature_that_is_refused_with_the_right_clock_is_77_at_once() {
    let play = play(|p| {
        p.ecs = always(|| {
            Reply::Dated(403, json!({"__type": "InvalidSignatureException"}), epoch() + seconds(20))
        })
    });
    let (code, took) = play.code(LOG);
    assert!(code == NOT_ALLOWED && took < seconds(1));
}

#[test]
fn a_date_that_no_clock_has_is_not_signed_by() {
    let last = humantime::parse_rfc3339("9999-12-31T23:59:59Z").unwrap();
    let play = play(|p| {
        p.ecs = Box::new(move |call, _| match call {
            1 => Reply::Dated(403, json!({"__type": "InvalidSignatureException"}), last),
            _ => failure("RESOURCE:CPU"),
        });
    });
    assert_eq!(play.code(LOG).0, NOT_ALLOWED);
}

#[test]
fn nothing_is_sent_after_the_deadline_that_the_others_used_up() {
    let play = play(|p| {
        p.ecs = Box::new(|_, play| {
            play.pass(seconds(10));
            Reply::Cut
        });
    });
    let report = play.run(&["-t", "log", "-t", "metrics", "--timeout", "5s"]).unwrap();
    let codes: Vec<u8> = report.outcomes.iter().map(|o| o.result.as_ref().unwrap_err().exit_code()).collect();
    assert_eq!(codes, [UNAVAILABLE, NOT_YET]);
    assert_eq!(play.times("StartTask").len(), 1);
}

#[test]
fn clocks_that_step_while_waiting_move_no_deadline() {
    let stepped = Rc::new(Cell::new(0));
    let play = play(|p| {
        p.agent_up = seconds(10_000);
        let stepped = stepped.clone();
        p.imds = Box::new(move |_| {
            stepped.set(stepped.get() + 1);
            credentials(epoch() + seconds(1))
        });
    });
    for off in [-86_400, 86_400] {
        play.off.set(off);
        let (code, took) = play.code(LOG);
        assert_eq!((code, took.as_secs()), (UNAVAILABLE, 900));
    }
    assert!(stepped.get() > 0);
}

#[test]
fn accepted_and_not_running_at_the_deadline_is_75() {
    let play = play(|p| p.task = Box::new(|_| Some(task("PENDING", None))));
    let (code, took) = play.code(LOG);
    assert_eq!((code, took.as_secs()), (NOT_YET, 900));
    assert_eq!(play.times("StartTask").len(), 1);
    assert_eq!(play.code(LOG).0, NOT_YET, "the next run watches the same task");
    assert_eq!(play.times("StartTask").len(), 1);
}

#[test]
fn a_task_that_the_agent_never_shows_is_lost_after_half_an_hour() {
    let play = play(|p| p.task = Box::new(|_| None));
    for _ in 0..3 {
        assert_eq!(play.code(LOG).0, NOT_YET);
    }
    assert_eq!(play.times("StartTask").len(), 2, "{:?}", play.times("StartTask"));
    assert!(play.times("StartTask")[1] - play.times("StartTask")[0] > seconds(1_800));
}

#[test]
fn the_open_question_that_is_open_at_the_deadline_is_on_record() {
    let play = play(|p| p.ecs = at_first(1, || Reply::Cut));
    assert_eq!(play.code(&["-t", "log", "--timeout", "5s"]).0, UNAVAILABLE);
    assert_eq!(play.code(LOG).0, 0);
    let times = play.times("StartTask");
    assert_eq!(times.len(), 2);
    assert!(times[1] - times[0] >= seconds(15), "{times:?}");
}

#[test]
fn under_the_unit_what_dies_pauses_ever_longer_and_by_hand_nothing_waits() {
    let dying = |unit| {
        play(|p| {
            p.unit = unit;
            p.task = Box::new(|_| Some(task("STOPPED", None)));
        })
    };
    let restarted = dying(true);
    for _ in 0..9 {
        assert_eq!(restarted.code(LOG).0, STOPPED);
        restarted.pass(seconds(30));
    }
    let times = restarted.times("StartTask");
    let pauses: Vec<u64> = times.windows(2).map(|w| (w[1] - w[0]).as_secs()).collect();
    for (i, pause) in pauses.iter().enumerate() {
        let longest = (30 << i).min(900);
        assert!((longest / 2).max(30) - 1 <= *pause && *pause <= longest.max(30) + 1, "{pauses:?}");
    }
    let by_hand = dying(false);
    for _ in 0..3 {
        assert!(by_hand.code(LOG).1 < seconds(1));
    }
}

#[test]
fn a_pause_does_not_count_against_the_timeout_and_ends_with_the_request() {
    let play = play(|p| {
        p.unit = true;
        p.ecs = always(|| refusal(400, "ClientException"));
    });
    for _ in 0..8 {
        assert_eq!(play.code(&["-t", "log", "--timeout", "1m"]).0, REFUSED);
    }
    let (code, took) = play.code(&["-t", "log:4", "--timeout", "1m"]);
    assert!(code == REFUSED && took < seconds(1), "{took:?}");
}

#[test]
fn each_task_is_tried_whatever_became_of_the_others() {
    let play = play(|p| {
        p.ecs = Box::new(|call, _| match call {
            1 => failure("RESOURCE:CPU"),
            2 => refusal(400, "ClientException"),
            _ => started(),
        });
    });
    let report = play.run(&["-t", "log", "-t", "bad", "-t", "metrics"]).unwrap();
    let ok: Vec<bool> = report.outcomes.iter().map(|o| o.result.is_ok()).collect();
    assert_eq!((ok, report.exit_code()), (vec![true, false, true], REFUSED));
    assert_eq!(play.times("role").len(), 1, "credentials are fetched once");
}

#[test]
fn called_from_user_data_it_ends_at_once() {
    let play = play(|p| {
        p.user_data = true;
        p.agent_up = seconds(100);
    });
    let error = play.run(LOG).unwrap_err();
    assert!(matches!(error, Error::Configuration(ConfigError::UserData)), "{error}");
    assert!(play.times("metadata").len() == 1 && error.message_with_hint().contains("--no-block"));
}

#[test]
fn a_task_of_the_previous_boot_is_read_again_until_the_agent_stands_by_it() {
    let running = || task("RUNNING", Some("2025-12-31T23:00:00Z"));
    let corrected = play(|p| {
        p.tasks =
            Box::new(move |t| Some(json!({"Tasks": if t < seconds(8) { vec![running()] } else { vec![] }})));
    });
    assert_eq!(corrected.code(LOG).0, 0);
    assert_eq!(corrected.times("StartTask").len(), 1);
    let insisted = play(|p| p.tasks = Box::new(move |_| Some(json!({"Tasks": [running()]}))));
    let (code, took) = insisted.code(LOG);
    assert!(code == 0 && took >= seconds(15) && took < seconds(17), "{took:?}");
    assert!(insisted.times("StartTask").is_empty());
    // Nor does it resolve a request in doubt without the duplicate guard.
    let unguarded = &["-t", "log", "--if-running", "start"];
    let in_doubt = play(|p| {
        p.tasks = Box::new(move |_| {
            let mut old = running();
            old["Arn"] = "arn:old".into();
            Some(json!({"Tasks": [old]}))
        });
    });
    assert_eq!(in_doubt.code(unguarded).0, 0);
    std::fs::write(in_doubt.record(), "{").unwrap();
    let report = in_doubt.run(unguarded).unwrap();
    assert_eq!(report.outcomes[0].result.as_ref().unwrap().task, "arn:task");
}
