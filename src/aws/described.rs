//! Tasks as ECS itself sees them: DescribeTasks and ListTasks, which a role may or may not be allowed.

use crate::aws::definition::Definition;
use crate::text::sanitize;
use serde::Deserialize;

/// The response to ListTasks: ARNs of tasks.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ListedTasks {
    #[serde(deserialize_with = "crate::aws::arn::list")]
    pub(crate) task_arns: Vec<String>,
}

/// The response to DescribeTasks. A task that ECS does not know is left out.
#[derive(Debug, Deserialize)]
pub(crate) struct DescribedTasks {
    #[serde(default)]
    pub(crate) tasks: Vec<DescribedTask>,
}

/// One task as DescribeTasks reports it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DescribedTask {
    task_arn: Option<String>,
    task_definition_arn: Option<String>,
    last_status: Option<String>,
    started_by: Option<String>,
    /// Seconds since 1970; set when the task reached RUNNING.
    started_at: Option<serde_json::Value>,
    stopped_reason: Option<String>,
    containers: Vec<DescribedContainer>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DescribedContainer {
    name: Option<String>,
    reason: Option<String>,
    exit_code: Option<i64>,
}

impl DescribedTask {
    /// ECS answers about `arn`; where one task was asked about, the response need not name it.
    pub(crate) fn is(&self, arn: &str) -> bool {
        self.task_arn.as_deref().is_none_or(|own| own == arn)
    }

    /// Whether it reached RUNNING.
    pub(crate) fn has_run(&self) -> bool {
        self.started_at.as_ref().is_some_and(|at| !at.is_null()) || self.last_status() == "RUNNING"
    }

    /// Whether it has stopped completely. DEACTIVATING, STOPPING and DEPROVISIONING come before.
    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.last_status(), "STOPPED" | "DELETED")
    }

    pub(crate) fn last_status(&self) -> &str {
        self.last_status.as_deref().unwrap_or_default()
    }

    /// Whether it is of the definition, revision included where that names one. `false` when ECS does not report it.
    pub(crate) fn is_of(&self, definition: &Definition) -> bool {
        let own = self.task_definition_arn.as_deref().and_then(Definition::parse);
        own.is_some_and(|own| {
            own.family == definition.family
                && definition.revision.is_none_or(|wanted| own.revision == Some(wanted))
        })
    }

    pub(crate) fn is_started_by(&self, started_by: &str) -> bool {
        self.started_by.as_deref() == Some(started_by)
    }

    /// Why it stopped, in ECS's words.
    pub(crate) fn reason(&self) -> String {
        let task = self.stopped_reason.as_deref().unwrap_or("no reason given");
        let containers = self.containers.iter().filter_map(DescribedContainer::reason);
        sanitize(&[task.to_owned()].into_iter().chain(containers).collect::<Vec<_>>().join("; "))
    }
}

impl DescribedContainer {
    fn reason(&self) -> Option<String> {
        let exit = self.exit_code.map(|code| format!("exit code {code}"));
        let words: Vec<String> = exit.into_iter().chain(self.reason.clone()).collect();
        let name = self.name.as_deref().unwrap_or("a container");
        (!words.is_empty()).then(|| format!("container {name}: {}", words.join(", ")))
    }
}
