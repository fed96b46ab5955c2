//! Being the last to leave: when the instance is taken away, our own tasks are stopped after those of others.
//!
//! Managed draining waits up to 48 hours for a task of no service. Only tasks that this program started in this boot are
//! stopped, by its records, and only those that the agent lists here.

use crate::aws::tasks::Task;
use crate::error::Error;
use crate::error::class::Class;
use crate::run::backoff::Backoff;
use crate::run::keep::decide::{self, Departure};
use crate::run::keep::leaving::Leaving;
use crate::run::record::{Key, Record};
use crate::run::session::Session;
use crate::run::state::State;
use std::collections::BTreeSet;
use std::time::Duration;

/// How long one StopTask may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Leaving in order.
#[derive(Debug)]
pub(super) struct LastToLeave {
    why: String,
    since: Duration,
    /// Tasks of others that were here when last looked.
    others: BTreeSet<String>,
    last_end: Duration,
    backoff: Backoff,
    /// No StopTask before this.
    not_before: Duration,
    /// What ECS refused permanently to stop.
    refused: BTreeSet<String>,
    /// The role may not stop tasks.
    denied: bool,
}

impl LastToLeave {
    pub(super) fn new(why: String, now: Duration) -> Self {
        log::info!(
            "this instance is going out of service, {why}: the tasks that this program started are stopped last"
        );
        LastToLeave {
            why,
            since: now,
            others: BTreeSet::new(),
            last_end: now,
            backoff: Backoff::default(),
            not_before: now,
            refused: BTreeSet::new(),
            denied: false,
        }
    }

    /// Reads the state of all tasks, and sends StopTask for ours when it is their turn.
    pub(super) fn step(&mut self, tasks: &[Task], leaving: &Leaving, session: &mut Session<'_>) {
        let records = own_tasks(&session.state);
        let is_ours = |task: &Task| records.iter().any(|(_, record)| record.has_started(&task.arn));
        let now = session.now();
        let others: BTreeSet<String> =
            tasks.iter().filter(|t| !t.is_stopped() && !is_ours(t)).map(|t| t.arn.clone()).collect();
        if self.others.iter().any(|arn| !others.contains(arn)) {
            self.last_end = now;
        }
        self.others = others;
        let wall = session.context.clock.now();
        let spot = leaving.spot_deadline(wall).map(|at| now + at.duration_since(wall).unwrap_or_default());
        let departure = Departure {
            since: self.since,
            others: self.others.len(),
            last_end: self.last_end,
            spot_deadline: spot,
        };
        if self.denied || now < self.not_before || !decide::is_our_turn(&departure, now) {
            return;
        }
        for (key, record) in &records {
            let here = |task: &&Task| task.is_present() && record.has_started(&task.arn);
            if let Some(task) = tasks.iter().find(here)
                && session.instance.may_have(&task.arn)
                && !self.refused.contains(&task.arn)
                && !self.stop(key, &task.arn, session)
            {
                return;
            }
        }
    }

    /// `false`: not now.
    fn stop(&mut self, key: &Key, arn: &str, session: &mut Session<'_>) -> bool {
        let noted = session.state.change(key, session.context.clock, |record| {
            if record.has_started(arn) {
                record.task.iter_mut().for_each(|task| task.stopped_by_us = true);
            }
        });
        if let Err(error) = noted {
            log::warn!("{}", error.message_with_hint());
        }
        let (now, reason) = (session.now(), format!("ecs-start-task: {}", self.why));
        match session.stop_task(arn, &reason, now + LIMIT) {
            Ok(()) => {
                log::info!("asked ECS to stop the task {arn}");
                true
            }
            Err(error) => self.failed(arn, &error, session),
        }
    }

    /// Refusals are retried as those of StartTask. A task may be stopped twice, so a missing response leaves nothing open.
    fn failed(&mut self, arn: &str, error: &Error, session: &mut Session<'_>) -> bool {
        session.adapt(error);
        let now = session.now();
        match self.backoff.next_delay(error.class(), now, session.context.clock.random()) {
            Some(delay) => {
                log::debug!("{}", error.message_with_hint());
                self.not_before = now + delay.max(error.retry_after());
            }
            None => {
                self.refused.insert(arn.to_owned());
                self.denied = error.class() == Class::AccessDenied;
                log::warn!(
                    "the task {arn} cannot be stopped: {}; the draining of this instance waits for it for up to 48 hours: allow ecs:StopTask, or stop it by hand",
                    error.message_with_hint()
                );
            }
        }
        false
    }

    pub(super) fn status(&self) -> String {
        format!(
            "this instance is going out of service, {}; other tasks here: {}",
            self.why,
            self.others.len()
        )
    }
}

/// The records whose task was started by this program in this boot and is not known to have ended.
fn own_tasks(state: &State) -> Vec<(Key, Record)> {
    let mut records = state.all().unwrap_or_else(|error| {
        log::debug!("{}", error.message_with_hint());
        Vec::new()
    });
    records.retain(|(_, record)| record.task.as_ref().is_some_and(|task| !task.ended));
    records
}
