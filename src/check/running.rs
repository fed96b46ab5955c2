//! The tasks that are on this instance already, by the agent's list.

use super::checkup::{Checkup, name};
use super::finding::{Finding, Phase};
use crate::aws::definition::Definition;
use crate::aws::instance::Instance;
use crate::aws::tasks::{self, Task};
use crate::config::settings::Settings;
use crate::error::Error;
use crate::net::client::Http;
use crate::request::resolved::Request;
use crate::run::record::LastError;
use crate::run::state::State;

/// For each request, the task of its definition that the agent already lists.
#[derive(Default)]
pub(super) struct Here {
    tasks: Vec<Result<Option<Task>, Error>>,
    /// Whether a run starts no other task then.
    skip: bool,
}

/// Asks the agent, when the instance is registered.
pub(super) fn here(
    requests: &[Request],
    instance: Option<&Instance>,
    settings: &Settings,
    http: &dyn Http,
) -> Option<Here> {
    instance?;
    let present = |request: &Request| {
        let tasks = tasks::list(http, &settings.agent_url, Some(&request.definition.family))?;
        Ok(tasks.into_iter().find(|t| t.is_of(&request.definition) && t.is_present()))
    };
    Some(Here { tasks: requests.iter().map(present).collect(), skip: settings.skip_if_running })
}

impl Here {
    /// What keeps a task from being started does not matter to a run that finds it running.
    pub(super) fn soften(here: Option<&Here>, task: usize, finding: Finding) -> Finding {
        let found = |h: &Here| h.skip && matches!(h.tasks.get(task), Some(Ok(Some(_))));
        let softened = here.is_some_and(found);
        if softened {
            finding.harmless("a task of it is running now, so this matters at the next boot")
        } else {
            finding
        }
    }
}

impl Checkup<'_> {
    pub(super) fn running(
        &mut self,
        requests: &[Request],
        here: Option<Here>,
        settings: &Settings,
        instance: Option<&Instance>,
    ) {
        let Some(here) = self.need(name::RUNNING, here, &[name::REGISTERED]) else { return };
        let Some(requests) = self.some(name::RUNNING, requests) else { return };
        let then = if here.skip { "no other one" } else { "another one" };
        let state = State::at(&settings.state_dir).of(instance.map_or("", |instance| &instance.arn));
        for (task, (result, request)) in here.tasks.into_iter().zip(requests).enumerate() {
            self.add(match result {
                Ok(Some(t)) => {
                    let note = format!("{} is {}; a run would start {then}", t.arn, t.known_status);
                    Finding::success(name::RUNNING, note)
                }
                Ok(None) => self.absent(&request.definition, &state),
                Err(error) => Finding::error(name::RUNNING, Phase::Starting(task), &error),
            });
        }
    }

    /// No such task is here, which is in order while the unit is going to start one.
    fn absent(&self, definition: &Definition, state: &State) -> Finding {
        let error = last_error(definition, state);
        let why = error.as_ref().map_or_else(String::new, |error| format!("; {error}"));
        let note = format!("no task of {definition} is running here{why}");
        let found = match &error {
            Some(error) => Finding::warning(name::RUNNING, &note, error.fix()),
            None => Finding::success(name::RUNNING, &note),
        };
        let Some((unit, line)) = &self.unit else { return found };
        let (active, sub) = (unit.get("ActiveState"), unit.get("SubState"));
        if (active, sub) == ("active", "exited") {
            let record = on_record(definition, state);
            let note = format!("{note}, and the unit has exited; {record}");
            Finding::warning(name::RUNNING, note, "`systemctl restart ecs-start-task`")
        } else if matches!(active, "inactive" | "failed") && line.wants_care() {
            let note = format!("{note}, and the unit will not start one: see \"{}\" above", name::UNIT);
            Finding::warning(name::RUNNING, note, line.fix())
        } else {
            found
        }
    }
}

/// What went wrong last, when that is on record.
fn last_error(definition: &Definition, state: &State) -> Option<LastError> {
    let records = state.all_of(definition).unwrap_or_default();
    let recorded = records.into_iter().find_map(|record| record.last_error);
    recorded.or_else(|| state.untried(&definition.to_string()))
}

/// What the records of this boot know of the definition's task.
fn on_record(definition: &Definition, state: &State) -> String {
    let records = state.all_of(definition).unwrap_or_default();
    match records.iter().find_map(|record| record.task.as_ref()) {
        Some(task) if task.ran => format!("{} ran", task.arn),
        Some(task) if task.ended => format!("{} stopped before it ran", task.arn),
        Some(task) => format!("{} was accepted, and is not known to have run", task.arn),
        None if records.is_empty() => "no record of it can be read here".to_owned(),
        None => "no task of it is on record".to_owned(),
    }
}
