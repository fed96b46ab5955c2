//! `ecs-start-task status`: what became of the configured tasks in this boot.
//!
//! Asks the agent and reads the records, and nothing else: it needs no credentials, and makes no call to ECS or IMDS.

use crate::aws::agent;
use crate::aws::instance::Instance;
use crate::aws::tasks::{self, Task};
use crate::config::cli::{Cli, Output};
use crate::config::error::ConfigError;
use crate::config::settings::Settings;
use crate::error::Error;
use crate::error::class::exit;
use crate::layout::{Row, pretty, table};
use crate::net::client::{Client, Http};
use crate::request::resolved::assert_cluster;
use crate::request::template::Template;
use crate::request::{self, Planned};
use crate::run::record::{Key, LastError, LastStop, Record};
use crate::run::report;
use crate::run::state::State;
use crate::system::clock::{Clock, HostClock};
use crate::system::logging;
use crate::text::utc;
use serde_json::{Value, json};

/// What is known of one configured task.
#[derive(Debug)]
struct Entry {
    /// As the user wrote it.
    definition: String,
    /// `None`: which task definition its references become is not known yet.
    state: Result<Option<TaskState>, Error>,
    /// Why there is no task.
    last_error: Option<LastError>,
}

/// The task itself and what the record says of it.
#[derive(Debug)]
struct TaskState {
    task: Option<Task>,
    record: Record,
    /// All records of the definition, whatever request they are of.
    records: Vec<Record>,
    /// When the unit makes its next attempt, in UTC.
    next_attempt: Option<String>,
}

/// The result for stdout, and the exit code: 0 when every task is RUNNING, 69 when the agent does not respond, 78 when only the
/// configuration of tasks is wrong, else 75.
pub(crate) fn command(cli: &Cli) -> (String, u8) {
    logging::init(None, cli.level().unwrap_or(log::LevelFilter::Warn));
    let (_, settings, wrong) = Settings::of_command(cli);
    let result = match wrong.into_iter().next() {
        Some(wrong) => Err(wrong.into()),
        None => status(&settings, &Client::local(&settings.agent_url), &HostClock),
    };
    match result {
        Ok((instance, entries)) => {
            (render(&instance, &entries, cli.output, logging::columns()), exit_code(&entries))
        }
        Err(error) => {
            log::error!("{}", error.message_with_hint());
            (report::render_error(&error, cli.output), error.exit_code())
        }
    }
}

/// # Errors
/// The settings are invalid, the instance is in another cluster, the agent does not respond, or the records cannot be read.
fn status(settings: &Settings, http: &dyn Http, clock: &dyn Clock) -> Result<(Instance, Vec<Entry>), Error> {
    let planned = request::plan(settings)?;
    let instance = agent::instance(http, settings)?;
    assert_cluster(&instance, settings)?;
    readable(settings)?;
    let state = State::at(&settings.state_dir).of(&instance.arn);
    let entry = |Planned { name, template }| {
        let task = template.map_err(Error::from).and_then(|t| of_task(&t, settings, &state, http, clock));
        let last_error = last_error(&task, &name, &state);
        Entry { definition: name, state: task, last_error }
    };
    Ok((instance, planned.into_iter().map(entry).collect()))
}

/// Of a task that is running, what went wrong before is of no interest.
fn last_error(task: &Result<Option<TaskState>, Error>, name: &str, state: &State) -> Option<LastError> {
    let known = task.as_ref().ok()?.as_ref();
    let running = known.is_some_and(|known| known.task.as_ref().is_some_and(Task::is_present));
    let recorded = known.and_then(|known| known.record.last_error.clone());
    if running { None } else { recorded.or_else(|| state.untried(name)) }
}

/// Checks that the records, which belong to root, can be read.
///
/// # Errors
/// [`ConfigError::State`]: the user may not read them.
fn readable(settings: &Settings) -> Result<(), ConfigError> {
    match std::fs::read_dir(&settings.state_dir) {
        Err(source) if source.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(ConfigError::State { path: settings.state_dir.clone(), source })
        }
        _ => Ok(()),
    }
}

/// # Errors
/// The agent's list or a record cannot be read.
fn of_task(
    template: &Template,
    settings: &Settings,
    state: &State,
    http: &dyn Http,
    clock: &dyn Clock,
) -> Result<Option<TaskState>, Error> {
    let written = template.written();
    let definition = match template.fixed_definition() {
        None => state.resolved(&written, template.definition())?,
        fixed => fixed,
    };
    let Some(definition) = &definition else { return Ok(None) };
    let record = state.load(&Key::new(&written, definition))?;
    let mut tasks = tasks::list(http, &settings.agent_url, Some(&definition.family))?;
    tasks.retain(|task| task.is_of(definition));
    let recorded = |task: &Task| record.task.as_ref().is_some_and(|own| own.arn == task.arn);
    // One that runs goes before one that is pending, and any of these before the one on record.
    let rank = |task: &Task| (!task.is_present(), !task.is_running(), !recorded(task));
    let task = tasks.into_iter().filter(|task| task.is_present() || recorded(task)).min_by_key(rank);
    let next_attempt = record.not_before.and_then(|at| at.checked_sub(clock.uptime()));
    let next_attempt = next_attempt.map(|left| utc(clock.now() + left));
    Ok(Some(TaskState { task, record, records: state.all_of(definition)?, next_attempt }))
}

impl TaskState {
    fn arn(&self) -> Option<&str> {
        let recorded = || self.record.task.as_ref().map(|task| task.arn.as_str());
        self.task.as_ref().map(|task| task.arn.as_str()).or_else(recorded)
    }

    /// The status as the agent reports it, or what is known without the agent.
    fn status(&self) -> &str {
        match (&self.task, &self.record.task) {
            (Some(task), _) => &task.known_status,
            (None, Some(task)) if task.ran => "GONE",
            (None, Some(task)) if task.ended => "STOPPED",
            (None, Some(_)) => "ACCEPTED",
            (None, None) if self.record.in_flight_since.is_some() => "IN DOUBT",
            (None, None) => "NOT STARTED",
        }
    }

    /// Whether this program started the task; `None` without a task, and when it is not known.
    fn is_ours(&self) -> Option<bool> {
        let arn = self.arn()?;
        let of_task = self.records.iter().find(|r| r.task.as_ref().is_some_and(|task| task.arn == arn));
        match of_task {
            Some(record) => record.in_flight_since.is_none().then_some(true),
            None => Some(false),
        }
    }

    fn since(&self) -> Option<String> {
        self.task.as_ref()?.started_at().map(utc)
    }

    fn details(&self) -> String {
        let by = |ours| if ours { "started by this program" } else { "not started by this program" };
        let count =
            |n: u32, what: &str| (n > 0).then(|| format!("{n} {what}{}", if n == 1 { "" } else { "s" }));
        let started = if self.task.as_ref().is_some_and(Task::is_running) { "since" } else { "started" };
        let details = [
            self.since().map(|at| format!("{started} {at}")),
            self.is_ours().map(|ours| by(ours).to_owned()),
            count(self.record.attempts, "StartTask call"),
            count(self.record.failures, "failed run"),
            count(self.record.restarts, "restart"),
            self.record.last_stop.as_ref().map(last_stop),
            self.next_attempt.as_ref().map(|at| format!("next attempt at {at}")),
        ];
        details.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// The reason names the exit codes, and says more than the code.
fn last_stop(stop: &LastStop) -> String {
    let why = [&stop.reason, &stop.exit_codes, &stop.code].into_iter().find(|text| !text.is_empty());
    let why = why.map_or_else(String::new, |why| format!(" ({why})"));
    format!("last stopped at {}{why}", stop.at)
}

fn last_stop_json(stop: &LastStop) -> Value {
    let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({"at": stop.at, "code": known(&stop.code), "reason": known(&stop.reason), "exitCodes": known(&stop.exit_codes)})
}

impl Entry {
    fn known(&self) -> Option<&TaskState> {
        self.state.as_ref().ok()?.as_ref()
    }

    fn is_running(&self) -> bool {
        self.known().is_some_and(|state| state.task.as_ref().is_some_and(Task::is_running))
    }

    /// It is not to be brought back, as it has done its work.
    fn ended_well(&self) -> bool {
        self.known().is_some_and(|state| state.record.ended_well())
    }

    /// `None`: nothing is wrong with it.
    fn exit_code(&self) -> Option<u8> {
        match &self.state {
            Err(error) => Some(error.exit_code()),
            Ok(_) if self.is_running() || self.ended_well() => None,
            Ok(_) => Some(exit::NOT_YET),
        }
    }

    fn row(&self) -> Row {
        match &self.state {
            Ok(state) => {
                let status = state.as_ref().map_or("NOT RESOLVED YET", TaskState::status);
                let arn = state.as_ref().and_then(TaskState::arn);
                Row::of(&[&self.definition, status, arn.unwrap_or("-"), &self.details()])
            }
            Err(error) => {
                let message = error.message_with_hint();
                let why = report::without_name(&self.definition, &message);
                Row::of(&[&self.definition, "UNKNOWN", "-", why])
            }
        }
    }

    fn details(&self) -> String {
        let known = self.known().map(TaskState::details);
        let last_error = self.last_error.as_ref().map(ToString::to_string);
        let details: Vec<String> =
            known.into_iter().chain(last_error).filter(|text| !text.is_empty()).collect();
        if details.is_empty() { "see `ecs-start-task check`".to_owned() } else { details.join(", ") }
    }

    fn json(&self) -> Value {
        let state = self.known();
        json!({
            "definition": self.definition,
            "taskArn": state.and_then(TaskState::arn),
            "status": state.map(TaskState::status),
            "since": state.and_then(TaskState::since),
            "startedByThisProgram": state.and_then(TaskState::is_ours),
            "attempts": state.map(|state| state.record.attempts),
            "failures": state.map(|state| state.record.failures),
            "restarts": state.map(|state| state.record.restarts),
            "lastStop": state.and_then(|state| state.record.last_stop.as_ref()).map(last_stop_json),
            "nextAttempt": state.and_then(|state| state.next_attempt.as_deref()),
            "lastError": self.last_error.as_ref().map(|error| json!({"at": error.at, "message": error.message})),
            "error": self.state.as_ref().err().map(report::error_json),
        })
    }
}

fn exit_code(entries: &[Entry]) -> u8 {
    let codes: Vec<u8> = entries.iter().filter_map(Entry::exit_code).collect();
    if codes.is_empty() {
        0
    } else if codes.contains(&exit::UNAVAILABLE) {
        exit::UNAVAILABLE
    } else if codes.iter().all(|code| *code == exit::CONFIGURATION) {
        exit::CONFIGURATION
    } else {
        exit::NOT_YET
    }
}

fn render(instance: &Instance, entries: &[Entry], output: Output, width: Option<usize>) -> String {
    match output {
        Output::Text => table(&entries.iter().map(Entry::row).collect::<Vec<_>>(), width),
        Output::Json => pretty(&json!({
            "instance": instance.arn,
            "cluster": instance.cluster,
            "region": instance.region,
            "tasks": entries.iter().map(Entry::json).collect::<Vec<_>>(),
        })),
    }
}
