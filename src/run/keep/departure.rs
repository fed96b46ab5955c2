//! Stops our own tasks on an instance that is leaving, after all others.
//!
//! Managed draining waits up to 48 hours for a task that belongs to no service. Only tasks that this program started in this
//! boot, according to its records, and that the agent lists on this instance are stopped.

use crate::aws::ecs;
use crate::aws::tasks::Task;
use crate::error::Error;
use crate::error::class::Class;
use crate::run::backoff::Backoff;
use crate::run::keep::decide::{self, Departure};
use crate::run::keep::leaving::Leaving;
use crate::run::record::Record;
use crate::run::session::Session;
use crate::run::state::State;
use crate::text::human;
use std::collections::BTreeSet;
use std::time::Duration;

/// Waits for the other tasks, then stops ours.
#[derive(Debug)]
pub(super) struct LastToLeave {
    /// Why the instance is leaving.
    why: String,
    since: Duration,
    /// The other tasks in the last list, and when one of them last ended.
    others: BTreeSet<String>,
    last_end: Duration,
    backoff: Backoff,
    /// When StopTask may be called again.
    not_before: Duration,
    /// Tasks that ECS permanently refused to stop.
    refused: BTreeSet<String>,
    /// The role lacks ecs:StopTask.
    denied: bool,
    /// Why the last StopTask failed.
    failure: Option<String>,
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
            failure: None,
        }
    }

    /// Evaluates the agent's list of tasks, and stops ours when it is their turn.
    pub(super) fn step(&mut self, tasks: &[Task], leaving: &Leaving, session: &mut Session<'_>) {
        let records = own_records(&session.state);
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
        for (file, record) in &records {
            let here = |task: &&Task| task.is_present() && record.has_started(&task.arn);
            if let Some(task) = tasks.iter().find(here)
                && session.instance.may_have(&task.arn)
                && !self.refused.contains(&task.arn)
                && !self.stop(file, record, &task.arn, session)
            {
                return;
            }
        }
    }

    /// `false` if nothing more is stopped in this step.
    fn stop(&mut self, file: &str, record: &Record, arn: &str, session: &mut Session<'_>) -> bool {
        let noted = session.state.change_file(file, &record.definition, session.context.clock, |record| {
            if record.has_started(arn) {
                record.task.iter_mut().for_each(|task| task.stopped_by_us = true);
            }
        });
        if let Err(error) = noted {
            log::warn!("{}", error.message_with_hint());
        }
        let (now, reason) = (session.now(), format!("ecs-start-task: {}", self.why));
        match session.stop_task(arn, &reason, now + ecs::LIMIT) {
            Ok(()) => {
                log::info!("{}: ECS is stopping the task {arn}", record.written);
                self.failure = None;
                true
            }
            Err(error) => self.failed(&record.written, arn, &error, session),
        }
    }

    /// Schedules a retry by the rules of StartTask. StopTask can be repeated, so a lost response needs no special care.
    fn failed(&mut self, name: &str, arn: &str, error: &Error, session: &mut Session<'_>) -> bool {
        session.adapt(error);
        let now = session.now();
        let message = error.message_with_hint();
        match self.backoff.next_delay(error.class(), now, session.context.clock.random()) {
            Some(delay) => {
                let delay = delay.max(error.retry_after());
                let first =
                    error.class() == Class::AccessDenied && self.backoff.failures(Class::AccessDenied) == 1;
                let level = if first { log::Level::Warn } else { log::Level::Debug };
                log::log!(
                    level,
                    "{name}: the task {arn} is not stopped yet: {message}; retrying in {}",
                    human(delay)
                );
                self.not_before = now + delay;
            }
            None => {
                self.refused.insert(arn.to_owned());
                self.denied = error.class() == Class::AccessDenied;
                log::warn!(
                    "{name}: the task {arn} cannot be stopped: {message}; the draining of this instance waits for it for up to 48 hours: allow ecs:StopTask, or stop it by hand"
                );
            }
        }
        self.failure = Some(format!("{name} cannot be stopped: {message}"));
        false
    }

    pub(super) fn status(&self) -> String {
        let failure = self.failure.as_ref().map_or_else(String::new, |failure| format!("; {failure}"));
        format!(
            "this instance is going out of service, {}; other tasks here: {}{failure}",
            self.why,
            self.others.len()
        )
    }
}

/// What this program started in this boot.
fn own_records(state: &State) -> Vec<(String, Record)> {
    state.all().unwrap_or_else(|error| {
        log::debug!("{}", error.message_with_hint());
        Vec::new()
    })
}
