//! The tasks that are on this instance already, by the agent's list.

use super::checkup::{Checkup, name};
use super::finding::{Finding, Phase};
use crate::aws::instance::Instance;
use crate::aws::tasks::{self, Task};
use crate::config::settings::Settings;
use crate::error::Error;
use crate::net::client::Http;
use crate::request::resolved::Request;

/// For each request, the task of its definition that the agent already lists.
#[derive(Default)]
pub(super) struct Here {
    tasks: Vec<Result<Option<Task>, Error>>,
    /// Whether a run leaves it at that.
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
        let tasks = tasks::of_family(http, &settings.agent_url, &request.definition.family)?;
        Ok(tasks.into_iter().find(|t| t.is_of(&request.definition) && t.is_present()))
    };
    Some(Here { tasks: requests.iter().map(present).collect(), skip: settings.skip_if_running })
}

impl Here {
    /// What keeps the task from being started is no matter to a run that finds it there.
    pub(super) fn soften(here: Option<&Here>, task: usize, finding: Finding) -> Finding {
        let found = |h: &Here| h.skip && matches!(h.tasks.get(task), Some(Ok(Some(_))));
        let softened = here.is_some_and(found);
        if softened {
            finding.harmless("a task of it is running now, so this matters at the next boot")
        } else {
            finding
        }
    }

    fn message_with_hint(self, requests: &[Request]) -> Vec<Finding> {
        let then = if self.skip { "no other one" } else { "another one" };
        let told = |(task, (result, request)): (usize, (Result<Option<Task>, Error>, &Request))| match result
        {
            Ok(None) => {
                Finding::success(name::RUNNING, format!("no task of {} is running here", request.definition))
            }
            Ok(Some(t)) => {
                let note = format!("{} is {}; a run would start {then}", t.arn, t.known_status);
                Finding::success(name::RUNNING, note)
            }
            Err(error) => Finding::error(name::RUNNING, Phase::Starting(task), &error),
        };
        self.tasks.into_iter().zip(requests).enumerate().map(told).collect()
    }
}

impl Checkup<'_> {
    pub(super) fn running(&mut self, requests: &[Request], here: Option<Here>) {
        let Some(here) = self.need(name::RUNNING, here, &[name::REGISTERED]) else { return };
        let Some(requests) = self.some(name::RUNNING, requests) else { return };
        here.message_with_hint(requests).into_iter().for_each(|finding| self.add(finding));
    }
}
