//! The responses to the calls that only read: what ECS itself says about tasks, definitions and instances. A role may or may
//! not be allowed to make them.

use crate::aws::definition::Definition;
use crate::text::shorten;
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

/// The response to DescribeContainerInstances. An instance that ECS does not know is left out.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DescribedInstances {
    container_instances: Vec<DescribedInstance>,
}

/// One container instance.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DescribedInstance {
    status: Option<String>,
    capacity_provider_name: Option<String>,
}

impl DescribedInstances {
    /// ACTIVE, DRAINING and so on; empty when ECS does not say.
    pub(crate) fn status(&self) -> String {
        shorten(self.container_instances.first().and_then(|i| i.status.as_deref()).unwrap_or_default())
    }

    pub(crate) fn capacity_provider(&self) -> Option<String> {
        self.container_instances.first()?.capacity_provider_name.as_deref().map(shorten)
    }
}

/// The response to DescribeTaskDefinition.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DescribedDefinition {
    pub(crate) task_definition: TaskDefinition,
}

/// A task definition, as far as it tells whether a task of it can be started, and when that is over.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct TaskDefinition {
    pub(crate) revision: u64,
    pub(crate) status: String,
    pub(crate) network_mode: String,
    pub(crate) task_role_arn: Option<String>,
    pub(crate) execution_role_arn: Option<String>,
    container_definitions: Vec<ContainerDefinition>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerDefinition {
    name: String,
    essential: Option<bool>,
}

impl TaskDefinition {
    /// The names of the containers whose end is the task's. A container is essential unless it says that it is not.
    pub(crate) fn essential(&self) -> Vec<String> {
        let containers = self.container_definitions.iter();
        containers.filter(|c| c.essential != Some(false)).map(|c| c.name.clone()).collect()
    }
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
    stop_code: Option<String>,
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
        own.is_some_and(|own| definition.matches(&own.family, own.revision))
    }

    pub(crate) fn is_started_by(&self, started_by: &str) -> bool {
        self.started_by.as_deref() == Some(started_by)
    }

    /// Why it stopped, in a word; ECS gets new ones now and then. Empty when it does not say.
    pub(crate) fn stop_code(&self) -> String {
        shorten(self.stop_code.as_deref().unwrap_or_default())
    }

    pub(crate) fn definition_arn(&self) -> Option<&str> {
        self.task_definition_arn.as_deref()
    }

    /// What the containers exited with, for people; empty when ECS does not say.
    pub(crate) fn exit_codes(&self) -> String {
        let codes = self.containers.iter().filter_map(|container| container.exit_code);
        match codes.map(|code| code.to_string()).collect::<Vec<_>>().as_slice() {
            [] => String::new(),
            [code] => format!("exit code {code}"),
            codes => format!("exit codes {}", codes.join(", ")),
        }
    }

    /// Whether all containers exited with 0; of those that `essential` names, where it is known which these are.
    pub(crate) fn ended_well(&self, essential: Option<&[String]>) -> bool {
        let counts = |container: &&DescribedContainer| {
            essential.is_none_or(|names| container.name.as_ref().is_some_and(|name| names.contains(name)))
        };
        let mut counted = self.containers.iter().filter(counts).peekable();
        counted.peek().is_some() && counted.all(|container| container.exit_code == Some(0))
    }

    /// Whether any of its containers exited with 0.
    pub(crate) fn has_exited_with_0(&self) -> bool {
        self.containers.iter().any(|container| container.exit_code == Some(0))
    }

    /// Why it stopped, in ECS's words.
    pub(crate) fn reason(&self) -> String {
        let task = self.stopped_reason.as_deref().unwrap_or("no reason given");
        let containers = self.containers.iter().filter_map(DescribedContainer::reason);
        shorten(&[task.to_owned()].into_iter().chain(containers).collect::<Vec<_>>().join("; "))
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
