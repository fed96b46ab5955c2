//! An instance whose tasks start and stop, for simulations of runs that stay.

use crate::testing::simulation::{Play, Reply, credentials, epoch, refusal, seconds};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

pub(crate) const PLACE: &str = "arn:aws:ecs:us-east-1:123456789012:task/prod/";

/// A task on the instance. Times are those since the boot.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) arn: String,
    pub(crate) family: String,
    pub(crate) placed: Duration,
    /// When the agent shows STOPPED; ECS does so two seconds later.
    pub(crate) dies: Option<Duration>,
    pub(crate) exit_code: i64,
    pub(crate) stop_code: &'static str,
    started_by: &'static str,
    pub(crate) unwanted: bool,
    /// The agent no longer lists it.
    pub(crate) forgotten: bool,
}

impl Task {
    fn status(&self, now: Duration, lag: u64) -> &'static str {
        match self.dies {
            Some(dies) if now >= dies + seconds(lag) => "STOPPED",
            Some(dies) if now >= dies => "DEPROVISIONING",
            _ => "RUNNING",
        }
    }
}

/// What is on the instance, and what becomes of the tasks that are started there.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) now: Duration,
    pub(crate) tasks: Vec<Task>,
    /// How long each started task runs, in the order of the starts; the last value is for all that follow.
    pub(crate) lives: Vec<Option<u64>>,
    pub(crate) exit_code: i64,
    /// Who starts the next task.
    pub(crate) started_by: &'static str,
    /// ECS reports its tasks with another cluster.
    pub(crate) elsewhere: bool,
    pub(crate) silent: bool,
    pub(crate) may: Vec<&'static str>,
    pub(crate) status: &'static str,
    pub(crate) stops: Vec<String>,
}

pub(crate) type Shared = Rc<RefCell<World>>;

impl World {
    pub(crate) fn place(&mut self, family: &str) -> String {
        let life =
            if self.lives.len() > 1 { self.lives.remove(0) } else { self.lives.first().copied().flatten() };
        let place = if self.elsewhere { PLACE.replace("/prod/", "/test/") } else { PLACE.to_owned() };
        let arn = format!("{place}{}", self.tasks.len());
        self.tasks.push(Task {
            arn: arn.clone(),
            family: family.to_owned(),
            placed: self.now,
            dies: life.map(|life| self.now + seconds(life)),
            exit_code: self.exit_code,
            started_by: self.started_by,
            stop_code: "EssentialContainerExited",
            unwanted: false,
            forgotten: false,
        });
        arn
    }

    pub(crate) fn find(&mut self, arn: &str) -> &mut Task {
        self.tasks.iter_mut().find(|task| task.arn == arn).unwrap()
    }

    /// StopTask: DesiredStatus changes at once, KnownStatus after 30 s.
    fn stop(&mut self, arn: &str) {
        let now = self.now;
        let task = self.find(arn);
        (task.unwanted, task.dies, task.stop_code) = (true, Some(now + seconds(30)), "UserInitiated");
    }

    pub(crate) fn listed(&self) -> Value {
        let shown = self.tasks.iter().filter(|task| !task.forgotten).map(|task| {
            let status = if task.status(self.now, 0) == "STOPPED" { "STOPPED" } else { "RUNNING" };
            let desired = if task.unwanted || status == "STOPPED" { "STOPPED" } else { "RUNNING" };
            let started = humantime::format_rfc3339_seconds(epoch() + seconds(20) + task.placed).to_string();
            json!({"Arn": task.arn, "Family": task.family, "Version": "3", "KnownStatus": status, "DesiredStatus": desired,
                   "Containers": [{"Name": "a", "StartedAt": started}]})
        });
        json!({"Tasks": shown.collect::<Vec<_>>()})
    }

    fn described(&self, arns: &Value) -> Value {
        let asked =
            |task: &&Task| arns.as_array().is_some_and(|arns| arns.iter().any(|arn| *arn == task.arn));
        let described = self.tasks.iter().filter(asked).map(|task| {
            let status = task.status(self.now, 2);
            let mut described = json!({"taskArn": task.arn, "lastStatus": status, "startedAt": 1, "startedBy": task.started_by,
                "taskDefinitionArn": format!("arn:aws:ecs:us-east-1:123456789012:task-definition/{}:3", task.family)});
            if status != "RUNNING" {
                described["stopCode"] = task.stop_code.into();
                described["stoppedReason"] = "because".into();
            }
            if status == "STOPPED" {
                described["containers"] = json!([{"name": "a", "exitCode": task.exit_code}]);
            }
            described
        });
        json!({"tasks": described.collect::<Vec<_>>(), "failures": []})
    }
}

/// A simulation with such an instance.
pub(crate) fn world(change: impl FnOnce(&mut World, &mut Play)) -> (Rc<Play>, Shared) {
    let shared = Shared::default();
    shared.borrow_mut().may = vec!["DescribeTasks", "DescribeContainerInstances", "StopTask"];
    shared.borrow_mut().status = "ACTIVE";
    let mut play = Play::new();
    play.task = Box::new(|_| None);
    play.imds = Box::new(|t| credentials(epoch() + t + seconds(6 * 3600)));
    let at = |shared: &Shared, play: &Play| shared.borrow_mut().now = play.now.get() - seconds(20);
    let w = shared.clone();
    play.tasks = Box::new(move |t| {
        w.borrow_mut().now = t;
        (!w.borrow().silent).then(|| w.borrow().listed())
    });
    let w = shared.clone();
    play.ecs = Box::new(move |_, play| {
        at(&w, play);
        let body = play.body.borrow().clone();
        let arn = w.borrow_mut().place(body["taskDefinition"].as_str().unwrap());
        Reply::Json(
            200,
            json!({"tasks": [{"taskArn": arn, "lastStatus": "PENDING", "containers": [{"name": "a"}]}]}),
        )
    });
    let denied = || refusal(400, "AccessDeniedException");
    let w = shared.clone();
    play.described = Box::new(move |_, play| {
        at(&w, play);
        if !w.borrow().may.contains(&"DescribeTasks") {
            return denied();
        }
        Reply::Json(200, w.borrow().described(&play.body.borrow()["tasks"]))
    });
    let w = shared.clone();
    play.instances = Box::new(move |_, _| {
        if !w.borrow().may.contains(&"DescribeContainerInstances") {
            return denied();
        }
        Reply::Json(200, json!({"containerInstances": [{"status": w.borrow().status}]}))
    });
    let w = shared.clone();
    play.stopped = Box::new(move |_, play| {
        at(&w, play);
        if !w.borrow().may.contains(&"StopTask") {
            return denied();
        }
        let arn = play.body.borrow()["task"].as_str().unwrap().to_owned();
        w.borrow_mut().stop(&arn);
        w.borrow_mut().stops.push(arn);
        Reply::Json(200, json!({"task": {}}))
    });
    change(&mut shared.borrow_mut(), &mut play);
    (Rc::new(play), shared)
}
