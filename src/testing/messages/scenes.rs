//! Runs under a virtual clock, and everything that they print: log, status, what a signal would leave behind, outcome.

use crate::config::cli::Output;
use crate::run::state::State;
use crate::system::clock::Clock;
use crate::testing::keep_world::{World, world};
use crate::testing::simulation::{
    ARN, Ecs, Play, Reply, always, at_first, credentials, epoch, failure, refusal, seconds, started, task,
};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Once;
use std::time::Duration;

thread_local! {
    /// What is logged on this thread while it is captured.
    static SAID: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

fn say(line: String) {
    SAID.with_borrow_mut(|said| said.iter_mut().for_each(|lines| lines.push(line.clone())));
}

/// The log of the tests.
struct Ear;

impl log::Log for Ear {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        say(format!("[{:<5}] {}", record.level(), record.args()));
    }

    fn flush(&self) {}
}

fn listen() {
    static START: Once = Once::new();
    START.call_once(|| {
        log::set_logger(&Ear).unwrap();
        log::set_max_level(log::LevelFilter::Info);
    });
    SAID.set(Some(Vec::new()));
}

/// The output of the runs of one simulation, each with its options.
fn scene(runs: &[&[&str]], change: impl FnOnce(&mut Play)) -> Vec<String> {
    let mut play = Play::new();
    play.hear = Box::new(say);
    change(&mut play);
    let play = Rc::new(play);
    listen();
    for (run, options) in runs.iter().enumerate() {
        if run > 0 {
            // Like systemd before it restarts the unit.
            play.pass(seconds(30));
        }
        match play.run(&[&["-t", "log"], *options].concat()) {
            Ok(report) => {
                report.render(Output::Text, None).lines().for_each(|line| say(line.replace('\t', " | ")))
            }
            // Like `main`.
            Err(error) => log::error!("{}", error.message_with_hint()),
        }
    }
    told_once()
}

/// The output of a run that stays for so long.
fn stay(options: &[&str], time: u64, change: impl FnOnce(&mut World, &mut Play)) -> Vec<String> {
    let (play, _) = world(|w, p| {
        p.hear = Box::new(say);
        change(w, p);
    });
    listen();
    play.stay(&[&["-t", "log"], options].concat(), seconds(time), true);
    told_once()
}

fn told_once() -> Vec<String> {
    let mut said = SAID.take().unwrap_or_default();
    // Lines that differ only in their numbers are listed once.
    let mut forms = BTreeSet::new();
    said.retain(|line| {
        forms.insert(line.split_inclusive(' ').filter(|w| !w.contains(char::is_numeric)).collect::<String>())
    });
    said
}

const ONCE: &[&[&str]] = &[&[]];
const TWICE: &[&[&str]] = &[&[], &[]];
const OFTEN: &[&[&str]] = &[&[], &[], &[]];

fn denied() -> Reply {
    refusal(400, "AccessDeniedException")
}

fn listing(task: Value) -> impl Fn(Duration) -> Option<Value> {
    move |_| Some(json!({"Tasks": [task]}))
}

fn dead() -> Value {
    task("STOPPED", None)
}

/// ECS's clock is ten minutes ahead.
fn ahead(call: u32, play: &Play) -> Reply {
    let refused = json!({"__type": "InvalidSignatureException", "message": "Signature expired."});
    if call == 1 {
        Reply::Dated(403, refused, crate::system::clock::shifted(play.now(), 600))
    } else {
        started()
    }
}

/// A file has replaced the state directory when the response comes.
fn without_records(_: u32, play: &Play) -> Reply {
    std::fs::remove_dir_all(play.state.path()).unwrap();
    std::fs::write(play.state.path(), "").unwrap();
    started()
}

type Scene = (&'static str, Vec<String>);

/// Before the first StartTask.
fn waiting() -> Vec<Scene> {
    let long_ago = || credentials(epoch() - seconds(60));
    vec![
        ("all is well", scene(ONCE, |_| ())),
        ("the agent is late", scene(ONCE, |p| p.agent_up = seconds(70))),
        ("the agent never comes", scene(ONCE, |p| p.agent_up = seconds(3600))),
        (
            "the role is late",
            scene(ONCE, |p| {
                p.imds = Box::new(|t| {
                    if t < seconds(20) {
                        Reply::Json(404, json!(""))
                    } else {
                        credentials(epoch() + seconds(9999))
                    }
                })
            }),
        ),
        ("the role never comes", scene(ONCE, |p| p.imds = Box::new(|_| Reply::Json(404, json!(""))))),
        ("the credentials have expired", scene(ONCE, |p| p.imds = Box::new(move |_| long_ago()))),
        (
            "the credentials end while the task is waited for",
            scene(&[&["--timeout", "2h"]], |p| {
                p.imds = Box::new(|t| {
                    if t < seconds(1) { credentials(epoch() + seconds(400)) } else { Reply::Refused }
                });
                p.ecs = Box::new(|call, _| if call < 80 { failure("RESOURCE:MEMORY") } else { started() });
            }),
        ),
        ("called from user data", scene(ONCE, |p| (p.user_data, p.agent_up) = (true, seconds(3600)))),
        ("of two names one is none", scene(&[&["-t", "a b"]], |_| ())),
    ]
}

/// The responses of ECS.
fn answers() -> Vec<Scene> {
    vec![
        ("the agent is not connected yet", scene(ONCE, |p| p.ecs = at_first(1, || failure("AGENT")))),
        ("a plain http endpoint", scene(&[&["--endpoint-url", "http://ecs.internal:4566"]], |_| ())),
        ("throttled", scene(ONCE, |p| p.ecs = at_first(1, || refusal(400, "ThrottlingException")))),
        ("no connection to ECS", scene(&[&["--timeout", "30s"]], |p| p.ecs = always(|| Reply::Refused))),
        ("not allowed", scene(TWICE, |p| (p.ecs, p.unit) = (always(denied), true))),
        (
            "the credentials are refused at first",
            scene(ONCE, |p| p.ecs = at_first(1, || refusal(400, "ExpiredTokenException"))),
        ),
        ("the clock is off", scene(ONCE, |p| p.ecs = Box::new(ahead))),
        (
            "the answer is lost, and the task was started",
            scene(ONCE, |p| {
                p.ecs = at_first(1, || Reply::Cut);
                p.tasks = Box::new(|t| {
                    Some(json!({"Tasks": if t < seconds(9) { vec![] } else { vec![task("RUNNING", None)] }}))
                });
            }),
        ),
        ("the answer is lost, and no task was started", scene(ONCE, |p| p.ecs = at_first(1, || Reply::Cut))),
        (
            "the answer is lost at the end",
            scene(&[&["--timeout", "8s"], &["--timeout", "8s"]], |p| p.ecs = always(|| Reply::Cut)),
        ),
        ("the record cannot be written", scene(ONCE, |p| p.ecs = Box::new(without_records))),
    ]
}

/// What happens to the task.
fn tasks() -> Vec<Scene> {
    let old = || task("RUNNING", Some("2025-12-31T00:00:00Z"));
    vec![
        ("a task runs before the start", scene(ONCE, |p| p.tasks = Box::new(listing(task("RUNNING", None))))),
        ("a task of the previous boot is shown", scene(ONCE, |p| p.tasks = Box::new(listing(old())))),
        (
            "the task dies",
            scene(OFTEN, |p| {
                p.unit = true;
                p.task = Box::new(|_| Some(dead()));
            }),
        ),
        (
            "the task dies, and ECS says why",
            scene(ONCE, |p| {
                p.task = Box::new(|_| Some(dead()));
                let reason = json!({"stoppedReason": "Essential container in task exited", "containers": [{"name": "a", "exitCode": 1}]});
                p.described = Box::new(move |_, _| Reply::Json(200, json!({"tasks": [reason]})));
            }),
        ),
        ("the task does not run", scene(ONCE, |p| p.task = Box::new(|_| Some(task("PENDING", None))))),
        ("the agent never shows the task", scene(&[&["--timeout", "40m"]], |p| p.task = Box::new(|_| None))),
        (
            "the agent cannot be asked for tasks",
            scene(&[&["--timeout", "30s"]], |p| p.tasks = Box::new(|_| None)),
        ),
        (
            "the agent registers anew",
            scene(ONCE, |p| {
                p.instance =
                    Box::new(|t| ARN.replace("prod/0", if t < seconds(20) { "prod/0" } else { "prod/9" }));
                p.task = Box::new(|t| (t > seconds(25)).then(|| task("RUNNING", None)));
            }),
        ),
        (
            "the record is garbled",
            scene(ONCE, |p| std::fs::write(p.state.path().join("log.json"), "{").unwrap()),
        ),
        ("the task is not waited for", scene(&[&["--no-wait"]], |_| ())),
        ("another run is at it", {
            let mut lock = None;
            scene(&[&["--timeout", "20s"]], |p| {
                lock = Some(State::open(p.state.path()).unwrap().lock().unwrap())
            })
        }),
    ]
}

/// A tag of the instance that exists from an uptime on.
fn role(from: u64) -> impl Fn(&str, Duration) -> Option<Reply> {
    move |_, now| (now >= seconds(from)).then(|| Reply::Json(200, json!("web")))
}

/// Host values.
fn values() -> Vec<Scene> {
    const BY_ROLE: &[&[&str]] = &[&["-t", "agent-{tag:Role}"]];
    let busy = |_: &str, _| Some(Reply::Json(503, json!("Service Unavailable")));
    vec![
        ("a tag is late", scene(BY_ROLE, |p| p.metadata = Box::new(role(90)))),
        ("a tag never comes", scene(BY_ROLE, |p| p.metadata = Box::new(role(9_000)))),
        ("IMDS does not give a tag", scene(BY_ROLE, |p| p.metadata = Box::new(busy))),
    ]
}

const ALWAYS: &[&str] = &["--restart", "always"];
const ON_FAILURE: &[&str] = &["--restart", "on-failure"];
const STOP: &[&str] = &["--when-draining", "stop"];

fn leaving(state: &'static str) -> Box<dyn Fn(Duration) -> Reply> {
    Box::new(move |t| {
        Reply::Json(200, json!(if (seconds(30)..seconds(900)).contains(&t) { state } else { "InService" }))
    })
}

/// The task is placed, and the response is lost.
fn unanswered(ecs: Ecs) -> Ecs {
    Box::new(move |call, play| {
        ecs(call, play);
        Reply::Cut
    })
}

/// Runs that keep tasks running.
fn staying() -> Vec<Scene> {
    let dying = |w: &mut World, _: &mut Play| w.lives = vec![Some(15)];
    let ending = |w: &mut World, _: &mut Play| w.lives = vec![Some(15), None];
    let bad = |_: &mut World, p: &mut Play| {
        let start = std::mem::replace(&mut p.ecs, Box::new(|_, _| started()));
        p.ecs = Box::new(move |call, play| match play.body.borrow()["taskDefinition"].as_str() {
            Some("bad") => failure("LOCATION"),
            _ => start(call, play),
        });
    };
    vec![
        ("a task dies again and again", stay(ALWAYS, 600, dying)),
        ("a task ends well", stay(ON_FAILURE, 600, ending)),
        (
            "whether it ended well may not be asked",
            stay(ON_FAILURE, 600, |w, _| {
                w.lives = vec![Some(15), None];
                w.may = vec![];
            }),
        ),
        ("a task dies that is not restarted", stay(STOP, 600, ending)),
        ("one of two cannot be started", stay(&["-t", "bad", "--restart", "always"], 600, bad)),
        (
            "the agent is silent for a while",
            stay(ALWAYS, 600, |_, p| {
                let tasks = std::mem::replace(&mut p.tasks, Box::new(|_| None));
                p.tasks =
                    Box::new(move |t| if (seconds(60)..seconds(90)).contains(&t) { None } else { tasks(t) });
            }),
        ),
        (
            "the instance is in Standby",
            stay(ALWAYS, 1_000, |w, p| {
                w.lives = vec![Some(60), None];
                p.lifecycle = leaving("Standby");
            }),
        ),
        ("the instance is terminated", stay(STOP, 1_000, |_, p| p.lifecycle = leaving("Terminated"))),
        (
            "the tasks may not be stopped",
            stay(STOP, 1_000, |w, p| {
                w.may = vec![];
                p.lifecycle = leaving("Terminated");
            }),
        ),
        (
            "an unanswered request may have started a task that is to be stopped when draining",
            stay(STOP, 60, |_, p| {
                p.ecs = unanswered(std::mem::replace(&mut p.ecs, Box::new(|_, _| Reply::Cut)))
            }),
        ),
        ("another process keeps the tasks", {
            let mut lock = None;
            scene(&[ALWAYS], |p| lock = Some(State::open(p.state.path()).unwrap().keeper().unwrap()))
        }),
    ]
}

pub(super) fn all() -> Vec<Scene> {
    [waiting(), values(), answers(), tasks(), staying()].concat()
}
