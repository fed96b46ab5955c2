//! A whole run under a virtual clock, for what takes minutes: nothing waits in real time, and randomness has a seed.
//!
//! The agent, IMDS and ECS are closures of the time. Each request is recorded with its time, so that a test can check when
//! and how often it was made.

use crate::config::settings::Settings;
use crate::error::Error;
use crate::net::client::{Answer, Http, Request, describe};
use crate::net::error::{Hop, Kind, TransportError};
use crate::run;
use crate::run::context::{Context, EcsRoute, RunResult};
use crate::run::report::Report;
use crate::system::clock::Clock;
use crate::system::routes::DefaultRoutes;
use crate::system::signals::ShutdownNotice;
use crate::system::systemd::{Host, Unit};
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::io::Cursor;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

pub(crate) const ARN: &str =
    "arn:aws:ecs:us-east-1:123456789012:container-instance/prod/0123456789abcdef0123456789abcdef";

/// How a server responds.
pub(crate) enum Reply {
    Json(u16, Value),
    /// Like `Json`, with a `Date`.
    Dated(u16, Value, SystemTime),
    /// Like `Json`, with a `Retry-After`.
    After(u16, Value, &'static str),
    Refused,
    /// The request was read, then the connection was closed.
    Cut,
}

/// ECS: the response for the number of the call, from 1, and the simulation.
pub(crate) type Ecs = Box<dyn Fn(u32, &Play) -> Reply>;

/// IMDS: the response for a path and the uptime.
pub(crate) type Metadata = Box<dyn Fn(&str, Duration) -> Option<Reply>>;

/// What happens to the clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// The wall clock is stepped by so many seconds.
    Set(i64),
    /// The host is suspended for so many seconds.
    Suspend(u64),
}

/// The instance, its environment and its clock.
pub(crate) struct Play {
    pub(crate) now: Cell<Duration>,
    /// How far the wall clock is off, in seconds.
    pub(crate) off: Cell<i64>,
    /// How long the host was suspended in total.
    pub(crate) asleep: Rc<Cell<Duration>>,
    /// What happens to the clocks, each with the time awake after which it happens, latest first.
    pub(crate) steps: RefCell<Vec<(Duration, Step)>>,
    pub(crate) random: RefCell<fastrand::Rng>,
    pub(crate) unit: bool,
    /// This run was started by hand, not by the unit.
    pub(crate) by_hand: Cell<bool>,
    pub(crate) user_data: bool,
    /// The container instance that the agent reports.
    pub(crate) instance: Box<dyn Fn(Duration) -> String>,
    /// When the agent comes up.
    pub(crate) agent_up: Duration,
    pub(crate) imds: Box<dyn Fn(Duration) -> Reply>,
    /// Plain metadata: the value at a path at an uptime; `None` is a 404.
    pub(crate) metadata: Metadata,
    pub(crate) ecs: Ecs,
    /// ListTasks, like `ecs`.
    pub(crate) listed: Ecs,
    /// DescribeTasks, like `ecs`.
    pub(crate) described: Ecs,
    /// StopTask and DescribeContainerInstances, like `ecs`.
    pub(crate) stopped: Ecs,
    pub(crate) instances: Ecs,
    /// The target lifecycle state in the Auto Scaling group, and the Spot action.
    pub(crate) lifecycle: Box<dyn Fn(Duration) -> Reply>,
    pub(crate) spot: Box<dyn Fn(Duration) -> Reply>,
    /// The process is killed at this time.
    pub(crate) curtain: Cell<Duration>,
    /// The body of the last call to ECS.
    pub(crate) body: RefCell<Value>,
    /// The response of `/v1/tasks`; `None` is a 500.
    pub(crate) tasks: Box<dyn Fn(Duration) -> Option<Value>>,
    /// What the list also has for each task that ECS accepted; `None`: nothing yet.
    pub(crate) task: Box<dyn Fn(Duration) -> Option<Value>>,
    /// The definitions of the tasks that ECS accepted.
    pub(crate) accepted: RefCell<Vec<String>>,
    /// Time, operation and signing time of each request.
    pub(crate) asked: RefCell<Vec<(Duration, String)>>,
    pub(crate) signed: RefCell<Vec<String>>,
    /// The bodies of StartTask.
    pub(crate) bodies: RefCell<Vec<Value>>,
    pub(crate) state: tempfile::TempDir,
    pub(crate) going_on: RefCell<ShutdownNotice>,
    /// The results of runs that stay.
    pub(crate) announced: RefCell<Vec<String>>,
    /// What a signal would do before the process exits.
    pub(crate) on_signal: RefCell<Option<Box<dyn FnOnce() + Send>>>,
    /// Receives the status, and what a signal would log if something would be left behind.
    pub(crate) hear: Box<dyn Fn(String)>,
}

/// Stops a simulation that would otherwise never finish.
struct Curtain;

/// How long the host has been up when a simulation starts.
const BOOTED: Duration = Duration::from_secs(20);

pub(crate) fn credentials(expires: SystemTime) -> Reply {
    let expiration = humantime::format_rfc3339_seconds(expires).to_string();
    let keys = json!({"Code": "Success", "AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "a-secret-key", "Token": "a-session-token", "Expiration": expiration});
    Reply::Json(200, keys)
}

pub(crate) fn started() -> Reply {
    Reply::Json(
        200,
        json!({"tasks": [{"taskArn": "arn:task", "lastStatus": "PENDING", "containers": [{"name": "a"}]}], "failures": []}),
    )
}

pub(crate) fn failure(reason: &str) -> Reply {
    Reply::Json(200, json!({"tasks": [], "failures": [{"reason": reason}]}))
}

pub(crate) fn refusal(status: u16, code: &str) -> Reply {
    Reply::Json(status, json!({"__type": code, "message": "no"}))
}

pub(crate) fn task(known: &str, started: Option<&str>) -> Value {
    json!({"Arn": "arn:task", "Family": "log", "Version": "3", "KnownStatus": known, "DesiredStatus": "RUNNING",
           "Containers": [{"Name": "a", "StartedAt": started}]})
}

pub(crate) const LOG: &[&str] = &["-t", "log"];

pub(crate) fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

pub(crate) fn play(change: impl FnOnce(&mut Play)) -> Rc<Play> {
    let mut play = Play::new();
    change(&mut play);
    Rc::new(play)
}

/// How many tasks ECS was asked for.
pub(crate) fn sent(play: &Play) -> usize {
    play.times("StartTask").len()
}

/// A scripted ECS: the response `first` to the first `times` calls, then success.
pub(crate) fn at_first(times: u32, first: fn() -> Reply) -> Ecs {
    let left = Cell::new(times);
    Box::new(move |_, _| match left.get() {
        0 => started(),
        n => {
            left.set(n - 1);
            first()
        }
    })
}

pub(crate) fn always(reply: fn() -> Reply) -> Ecs {
    Box::new(move |_, _| reply())
}

impl Play {
    /// Everything works: one StartTask, and the task runs.
    pub(crate) fn new() -> Self {
        Play {
            now: Cell::new(BOOTED),
            off: Cell::new(0),
            asleep: Rc::default(),
            steps: RefCell::default(),
            random: RefCell::new(fastrand::Rng::with_seed(7)),
            unit: false,
            by_hand: Cell::new(false),
            user_data: false,
            instance: Box::new(|_| ARN.to_owned()),
            agent_up: Duration::ZERO,
            imds: Box::new(|_| credentials(epoch() + Duration::from_secs(6 * 3600))),
            metadata: Box::new(|path, _| panic!("nobody expects {path}")),
            ecs: Box::new(|_, _| started()),
            listed: Box::new(|_, _| refusal(400, "AccessDeniedException")),
            described: Box::new(|_, _| refusal(400, "AccessDeniedException")),
            stopped: Box::new(|_, _| refusal(400, "AccessDeniedException")),
            instances: Box::new(|_, _| refusal(400, "AccessDeniedException")),
            lifecycle: Box::new(|_| Reply::Json(404, json!(""))),
            spot: Box::new(|_| Reply::Json(404, json!(""))),
            curtain: Cell::new(Duration::MAX),
            body: RefCell::default(),
            tasks: Box::new(|_| Some(json!({"Tasks": []}))),
            task: Box::new(|_| Some(task("RUNNING", Some("2026-01-01T00:00:30Z")))),
            accepted: RefCell::default(),
            asked: RefCell::default(),
            signed: RefCell::default(),
            bodies: RefCell::default(),
            state: tempfile::tempdir().unwrap(),
            going_on: RefCell::default(),
            announced: RefCell::default(),
            on_signal: RefCell::default(),
            hear: Box::new(|_| ()),
        }
    }

    /// Runs the program with these options, on a new instance or after an earlier run.
    pub(crate) fn run(self: &Rc<Self>, options: &[&str]) -> Result<Report, Error> {
        let settings = self.settings(options);
        let way = |_: &http::Uri| {
            Ok(EcsRoute { http: Box::new(Wire(self.clone())), roots: "r".to_owned(), proxy: "p".to_owned() })
        };
        let wire = Wire(self.clone());
        let announce = |report: &Report| self.announced.borrow_mut().push(report.summary());
        let context = Context {
            clock: self.as_ref(),
            host: self.as_ref(),
            local: &wire,
            ecs: &way,
            announce: &announce,
        };
        run::run(&settings, &context).map(|told| match told {
            RunResult::Started(report) => report,
            RunResult::WouldStart(_) => panic!("nobody asked for a dry run"),
        })
    }

    /// Stays for so long and is then killed; with `signal`, what is done on a signal is done first. Returns the result that
    /// was reported.
    pub(crate) fn stay(self: &Rc<Self>, options: &[&str], time: Duration, signal: bool) -> Vec<String> {
        self.announced.borrow_mut().clear();
        self.curtain.set(self.now.get() + time);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.run(options)));
        self.curtain.set(Duration::MAX);
        match ended {
            Ok(result) => panic!("it ended: {:?}", result.map(|report| report.summary())),
            Err(panic) if panic.is::<Curtain>() => {}
            Err(panic) => std::panic::resume_unwind(panic),
        }
        let action = self.on_signal.borrow_mut().take();
        if let Some(action) = action.filter(|_| signal) {
            action();
        }
        self.announced.borrow().clone()
    }

    /// The exit code, and how long it took.
    pub(crate) fn code(self: &Rc<Self>, options: &[&str]) -> (u8, Duration) {
        let began = self.now.get();
        let result = self.run(options);
        let code = match &result {
            Ok(report) => report.exit_code(),
            Err(error) => error.exit_code(),
        };
        (code, self.now.get() - began)
    }

    fn settings(&self, options: &[&str]) -> Settings {
        let state = self.state.path().to_str().unwrap();
        Settings::of(&[&["--config", "/dev/null"], options].concat(), &[("ECS_START_TASK_STATE_DIR", state)])
    }

    /// The one record in the state directory.
    pub(crate) fn record(&self) -> PathBuf {
        let paths = std::fs::read_dir(self.state.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut records: Vec<_> =
            paths.filter(|path| path.extension().is_some_and(|e| e == "json")).collect();
        assert_eq!(records.len(), 1, "{records:?}");
        records.remove(0)
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.now.set(self.now.get() + time);
        if self.now.get() > self.curtain.get() {
            std::panic::resume_unwind(Box::new(Curtain));
        }
        let due = |steps: &mut Vec<_>| steps.pop_if(|(at, _)| BOOTED + *at <= self.now.get());
        while let Some((_, step)) = due(&mut self.steps.borrow_mut()) {
            match step {
                Step::Set(seconds) => self.off.set(self.off.get() + seconds),
                Step::Suspend(seconds) => self.asleep.set(self.asleep.get() + Duration::from_secs(seconds)),
            }
        }
    }

    /// The time of a clock that is always right.
    pub(crate) fn true_time(&self) -> SystemTime {
        epoch() + self.now.get() + self.asleep.get()
    }

    /// When `operation` was called.
    pub(crate) fn times(&self, operation: &str) -> Vec<Duration> {
        self.asked.borrow().iter().filter(|(_, o)| o == operation).map(|(at, _)| *at).collect()
    }

    /// The agent's list with the tasks that ECS accepted.
    fn with_accepted(&self, mut list: Value, since_boot: Duration) -> Value {
        let Some(tasks) = list.get_mut("Tasks").and_then(Value::as_array_mut) else { return list };
        for definition in self.accepted.borrow().iter() {
            let Some(mut task) = (self.task)(since_boot) else { continue };
            if let Some(task) = task.as_object_mut() {
                let (family, revision) = family_and_revision(definition);
                task.insert("Family".to_owned(), family.into());
                task.insert("Version".to_owned(), revision.into());
            }
            let same = |other: &Value| other["Arn"] == task["Arn"] && other["Family"] == task["Family"];
            if !tasks.iter().any(same) {
                tasks.push(task);
            }
        }
        list
    }

    fn reply(&self, request: &Request) -> Reply {
        let operation = operation(request);
        self.asked.borrow_mut().push((self.now.get(), operation.clone()));
        *self.body.borrow_mut() = serde_json::from_slice(request.body()).unwrap_or_default();
        let since_boot = self.now.get() - BOOTED;
        match operation.as_str() {
            "metadata" | "tasks" if since_boot < self.agent_up => Reply::Refused,
            "metadata" => Reply::Json(
                200,
                json!({"Cluster": "prod", "ContainerInstanceArn": (self.instance)(since_boot)}),
            ),
            "tasks" => (self.tasks)(since_boot)
                .map_or(Reply::Json(500, json!("Internal Server Error")), |list| {
                    Reply::Json(200, self.with_accepted(list, since_boot))
                }),
            "token" => Reply::Json(200, json!("a-metadata-token")),
            "role" => Reply::Json(200, json!("role")),
            "credentials" => (self.imds)(since_boot),
            "lifecycle" => (self.lifecycle)(since_boot),
            "spot" => (self.spot)(since_boot),
            "StopTask" => (self.stopped)(1, self),
            "DescribeTaskDefinition" => refusal(400, "AccessDeniedException"),
            "DescribeContainerInstances" => (self.instances)(1, self),
            "StartTask" => {
                let date = request.headers()["x-amz-date"].to_str().unwrap();
                self.signed.borrow_mut().push(date.to_owned());
                self.bodies.borrow_mut().push(serde_json::from_slice(request.body()).unwrap());
                let reply = (self.ecs)(u32::try_from(self.times("StartTask").len()).unwrap(), self);
                let is_task = |body: &Value| body["tasks"].as_array().is_some_and(|tasks| !tasks.is_empty());
                if matches!(&reply, Reply::Json(200, body) if is_task(body)) {
                    let body: Value = serde_json::from_slice(request.body()).unwrap();
                    self.accepted.borrow_mut().push(body["taskDefinition"].as_str().unwrap().to_owned());
                }
                reply
            }
            "ListTasks" => (self.listed)(u32::try_from(self.times("ListTasks").len()).unwrap(), self),
            "DescribeTasks" => (self.described)(1, self),
            other => {
                let path = other.strip_prefix("/latest/meta-data/").unwrap();
                (self.metadata)(path, self.now.get()).unwrap_or(Reply::Json(404, json!("Not Found")))
            }
        }
    }
}

/// The family and the revision that a definition names. If it names none, the latest is 3.
fn family_and_revision(definition: &str) -> (&str, &str) {
    definition.split_once(':').unwrap_or((definition, "3"))
}

fn operation(request: &Request) -> String {
    if let Some(target) = request.headers().get("x-amz-target") {
        return target.to_str().unwrap().rsplit('.').next().unwrap().to_owned();
    }
    let name = match (request.uri().path(), request.uri().query()) {
        ("/v1/metadata", None) => "metadata",
        ("/v1/tasks", None) => "tasks",
        ("/latest/api/token", None) => "token",
        ("/latest/meta-data/autoscaling/target-lifecycle-state", None) => "lifecycle",
        ("/latest/meta-data/spot/instance-action", None) => "spot",
        ("/latest/meta-data/iam/security-credentials/", None) => "role",
        ("/latest/meta-data/iam/security-credentials/role", None) => "credentials",
        (other, _) => other,
    };
    name.to_owned()
}

/// The virtual start time.
pub(crate) fn epoch() -> SystemTime {
    humantime::parse_rfc3339("2026-01-01T00:00:00Z").unwrap()
}

impl Clock for Play {
    fn now(&self) -> SystemTime {
        crate::system::clock::shifted(self.true_time(), self.off.get())
    }

    fn uptime(&self) -> Duration {
        self.now.get()
    }

    fn booted(&self) -> Option<SystemTime> {
        self.now().checked_sub(self.now.get() + self.asleep.get())
    }

    fn sleep(&self, time: Duration) {
        self.pass(time);
    }

    fn random(&self) -> f64 {
        self.random.borrow_mut().f64()
    }
}

impl Host for Play {
    fn units(&self, _names: &[&str]) -> Vec<Unit> {
        Vec::new()
    }

    fn default_routes(&self) -> DefaultRoutes {
        DefaultRoutes { ipv4: true, ipv6: false }
    }

    fn restart_sec(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn in_user_data(&self) -> bool {
        self.user_data
    }

    fn under_unit(&self) -> bool {
        self.unit && !self.by_hand.get()
    }

    fn status(&self, text: &str) {
        text.clone_into(&mut self.going_on.borrow_mut().doing);
        (self.hear)(format!("STATUS={text}"));
    }

    fn progress(&self, text: &str) {
        text.clone_into(&mut self.going_on.borrow_mut().doing);
        (self.hear)(format!("on the terminal: {text}"));
    }

    fn shutdown_notice(&self, definition: &str, behind: Option<String>) {
        let mut now = self.going_on.borrow_mut();
        match behind {
            Some(behind) => now.behind.insert(definition.to_owned(), behind),
            None => now.behind.remove(definition),
        };
        (self.hear)(now.message_with_hint("SIGTERM"));
    }

    fn on_signal(&self, action: Box<dyn FnOnce() + Send>) {
        *self.on_signal.borrow_mut() = Some(action);
    }
}

/// The network of a simulation. A call takes a moment.
struct Wire(Rc<Play>);

impl Http for Wire {
    fn send(&self, request: Request, _limit: Duration) -> Result<Answer, TransportError> {
        self.0.pass(Duration::from_millis(2));
        let error = |sent, why: &str| TransportError {
            request: describe(&request),
            sent,
            hop: Hop::Direct,
            kind: Kind::Other(why.to_owned()),
        };
        let answer = |status, body: Value, header: Option<(&str, String)>| {
            let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
            let mut answer = http::Response::builder().status(status);
            if let Some((name, value)) = header {
                answer = answer.header(name, value);
            }
            Ok(answer.body(Box::new(Cursor::new(text.into_bytes())) as Box<_>).unwrap())
        };
        match self.0.reply(&request) {
            Reply::Json(status, body) => answer(status, body, None),
            Reply::Dated(status, body, date) => {
                answer(status, body, Some(("date", httpdate::fmt_http_date(date))))
            }
            Reply::After(status, body, seconds) => {
                answer(status, body, Some(("retry-after", seconds.to_owned())))
            }
            Reply::Refused => Err(error(false, "Connection refused (os error 111)")),
            Reply::Cut => Err(error(true, "Connection reset by peer (os error 104)")),
        }
    }
}
