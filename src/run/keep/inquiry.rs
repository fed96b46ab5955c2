//! Asks ECS why a task stopped.
//!
//! The agent shows STOPPED before ECS does. So DescribeTasks is called until ECS does too, at intervals of 1 s doubling to
//! 30 s, for at most two minutes. Only AccessDenied means that the role lacks the permission.

use crate::aws::described::{DescribedDefinition, DescribedTask, DescribedTasks};
use crate::aws::ecs;
use crate::error::class::Class;
use crate::run::backoff::Backoff;
use crate::run::session::Session;
use serde_json::json;
use std::time::Duration;

/// The first and the longest interval between calls, and how long they are repeated: ECS needs some seconds, rarely minutes.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_secs(120);

/// The repeated question why one task stopped.
#[derive(Debug)]
pub(super) struct Inquiry {
    arn: String,
    since: Duration,
    pub(super) due: Duration,
    interval: Duration,
    backoff: Backoff,
}

/// The result of one call.
#[derive(Debug)]
pub(super) enum Answer {
    /// ECS does not show STOPPED yet, or did not respond.
    Later,
    Stopped(DescribedTask),
    /// The role lacks the permission, or two minutes have passed.
    Unknown {
        denied: bool,
    },
}

impl Inquiry {
    /// The first call is made `after` this long, at most 30 s: during a long pause, ECS has time to show STOPPED.
    pub(super) fn new(arn: &str, now: Duration, after: Duration) -> Self {
        let due = now + after.min(LONGEST);
        Inquiry { arn: arn.to_owned(), since: due, due, interval: FIRST, backoff: Backoff::default() }
    }

    pub(super) fn ask(&mut self, session: &mut Session<'_>) -> Answer {
        let now = session.now();
        let body = json!({"cluster": session.instance.cluster, "tasks": [self.arn]});
        let described = session.read::<DescribedTasks>("DescribeTasks", &body, now + ecs::LIMIT);
        let mut delay = self.interval;
        match described {
            Ok(described) => {
                let task = described.tasks.into_iter().find(|task| task.is(&self.arn));
                if let Some(task) = task.filter(DescribedTask::is_stopped) {
                    return Answer::Stopped(task);
                }
            }
            Err(error) if error.class() == Class::AccessDenied => return Answer::Unknown { denied: true },
            Err(error) => {
                log::debug!("{}", error.message_with_hint());
                session.adapt(&error);
                let random = session.context.clock.random();
                let backoff = self.backoff.next_delay(error.class(), now, random);
                delay = delay.max(backoff.unwrap_or_default()).max(error.retry_after());
            }
        }
        self.interval = (self.interval * 2).min(LONGEST);
        self.due = now + delay;
        if self.due > self.since + PATIENCE { Answer::Unknown { denied: false } } else { Answer::Later }
    }
}

/// Whether all essential containers exited with 0. DescribeTaskDefinition is called only if the result depends on it.
pub(super) fn ended_well(task: &DescribedTask, session: &mut Session<'_>) -> bool {
    if task.ended_well(None) || !task.has_exited_with_0() {
        return task.ended_well(None);
    }
    let Some(arn) = task.definition_arn() else { return false };
    let deadline = session.now() + ecs::LIMIT;
    let definition: Result<DescribedDefinition, _> =
        session.read("DescribeTaskDefinition", &json!({"taskDefinition": arn}), deadline);
    match definition {
        Ok(definition) => task.ended_well(Some(&definition.task_definition.essential())),
        Err(error) => {
            log::debug!("{}", error.message_with_hint());
            false
        }
    }
}
