//! Whether the tasks can be kept running, and stopped when the instance is drained. A run would find out only when it needs to.

use super::checkup::{Checkup, name};
use super::ecs::Ecs;
use super::finding::Finding;
use crate::aws::described::DescribedInstances;
use crate::aws::ecs;
use crate::aws::instance::Instance;
use crate::config::settings::{Restart, Settings};
use crate::error::Error;
use crate::error::class::Class;
use serde_json::{Value, json};

/// A task that cannot exist. IAM is asked before ECS looks for the task.
const NO_TASK: &str = "00000000000000000000000000000000";

impl Checkup<'_> {
    /// Adds nothing if no setting asks for it and draining is not held up.
    pub(super) fn staying(
        &mut self,
        ecs: Option<&Ecs<'_>>,
        instance: Option<&Instance>,
        settings: &Settings,
    ) {
        let (Some(ecs), Some(instance)) = (ecs, instance) else { return };
        let may_stop = settings.stop_when_draining.then(|| may_stop(ecs, instance));
        let draining = may_stop.or_else(|| held_up(ecs, instance));
        let restart = (settings.restart == Restart::OnFailure).then(|| may_ask(ecs, instance));
        draining.into_iter().chain(restart).for_each(|finding| self.add(finding));
    }
}

/// Managed draining of a capacity provider's instance waits for tasks that belong to no service.
fn held_up(ecs: &Ecs<'_>, instance: &Instance) -> Option<Finding> {
    let body = json!({"cluster": instance.cluster, "containerInstances": [instance.id]});
    let described = ecs.call().read::<DescribedInstances>("DescribeContainerInstances", &body).ok()?;
    let provider = described.capacity_provider()?;
    let note = format!(
        "the instance belongs to capacity provider {provider}, whose managed draining waits up to 48 hours for a task that belongs to no service"
    );
    let fix = "set ECS_START_TASK_WHEN_DRAINING=stop and allow ecs:StopTask, or turn managed draining off";
    Some(Finding::warning(name::DRAINING, note, fix))
}

fn may_stop(ecs: &Ecs<'_>, instance: &Instance) -> Finding {
    let role = &ecs.caller.credentials.role;
    let body = json!({"cluster": instance.cluster, "task": NO_TASK, "reason": "ecs-start-task check"});
    match ecs::stop_task(&ecs.call(), &body) {
        Err(error) if error.class() == Class::AccessDenied => {
            let note = format!(
                "the tasks cannot be stopped when the instance drains, so draining can take up to 48 hours: {error}"
            );
            Finding::warning(name::DRAINING, note, error.hint())
        }
        Err(error) if error.class() != Class::Refused => doubt(name::DRAINING, &error),
        _ => Finding::success(name::DRAINING, format!("role {role} may ecs:StopTask")),
    }
}

fn may_ask(ecs: &Ecs<'_>, instance: &Instance) -> Finding {
    let role = &ecs.caller.credentials.role;
    let body = json!({"cluster": instance.cluster, "tasks": [NO_TASK]});
    match ecs.call().read::<Value>("DescribeTasks", &body) {
        Err(error) if error.class() == Class::AccessDenied => {
            let note = format!("ECS_START_TASK_RESTART=on-failure acts as always: {error}");
            Finding::warning(name::RESTART, note, error.hint())
        }
        Err(error) if error.class() != Class::Refused => doubt(name::RESTART, &error),
        _ => Finding::success(name::RESTART, format!("role {role} may ecs:DescribeTasks")),
    }
}

fn doubt(check: &'static str, error: &Error) -> Finding {
    Finding::doubt(check, "this could not be tested: ", error)
}
