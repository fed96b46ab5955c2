//! What starting one task is made of, in every phase: the request, its record, its limits.

use crate::aws::definition::Definition;
use crate::aws::tasks::{self, Task};
use crate::error::Error;
use crate::request::resolved::Request;
use crate::run::pause::{self, Pause};
use crate::run::progress::Heartbeat;
use crate::run::record::{Key, LastError, Record, RecordedTask};
use crate::run::session::Session;
use crate::text::human;
use serde_json::Value;
use std::time::Duration;

/// The attempt to start one task: its request, its record and its limits.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) definition: Definition,
    /// The task definition as the user wrote it.
    written: String,
    /// The body of StartTask.
    pub(crate) body: Value,
    key: Key,
    /// The record as it was last read or written.
    pub(crate) record: Record,
    /// No attempt starts after this uptime.
    pub(crate) deadline: Duration,
    /// When this run began with it, after any pause.
    pub(crate) began: Duration,
    heartbeat: Heartbeat,
    /// How often this run sent StartTask.
    pub(crate) calls: u32,
    /// Tasks that turned out not to be the one in doubt.
    pub(crate) ruled_out: Vec<String>,
    /// Records whose StartTask is known to have started nothing.
    pub(crate) closed: Vec<Record>,
    /// Whether a task that is already running is enough.
    pub(crate) skip_if_running: bool,
}

impl Attempt {
    /// # Errors
    /// A request that does not fit the instance, a record that somebody must make readable.
    pub(crate) fn new(request: &Request, session: &Session<'_>, deadline: Duration) -> Result<Self, Error> {
        let body = request.body(&session.instance)?;
        let definition = request.definition.clone();
        let key = Key::new(&request.written, &definition);
        let record = match session.state.load(&key) {
            // It may be temporary; nothing is sent until it has passed.
            Err(Error::State { .. }) => Record::default(),
            record => record?,
        };
        let began = session.now();
        let heartbeat = Heartbeat::new(began);
        let attempt = Attempt {
            definition,
            written: request.written_definition.clone(),
            body,
            key,
            record,
            deadline,
            began,
            heartbeat,
            calls: 0,
            ruled_out: Vec::new(),
            closed: Vec::new(),
            skip_if_running: session.settings.skip_if_running,
        };
        attempt.announce_shutdown_notice(session);
        Ok(attempt)
    }

    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    pub(crate) fn name(&self) -> String {
        self.definition.to_string()
    }

    /// What ECS shows as the starter of its task.
    pub(crate) fn started_by(&self) -> &str {
        self.body.get("startedBy").and_then(Value::as_str).unwrap_or_default()
    }

    /// Tells what a signal would leave behind. Set before anything is sent, so that the last line of the log is never wrong.
    fn announce_shutdown_notice(&self, session: &Session<'_>) {
        let name = self.name();
        let notice = match &self.record.task {
            Some(task) if task.ended => None,
            Some(task) if task.ran => Some(format!("the task {} was started", task.arn)),
            Some(task) => Some(format!("ECS accepted the task {}, which continues", task.arn)),
            // Without the lock it may be another run's, which waits for the response.
            None => self.record.in_flight_since.filter(|_| session.lock.is_some()).map(|_| {
                let records = session.settings.state_dir.display();
                format!("StartTask for {name} was sent and its response was not read; the next run checks this by the record in {records}")
            }),
        };
        session.context.host.shutdown_notice(&name, notice);
    }

    /// Reads the record again, as another run may have changed it. One that was deleted is written again.
    ///
    /// # Errors
    /// A record that cannot be read, or written again.
    pub(crate) fn reload(&mut self, session: &Session<'_>) -> Result<(), Error> {
        let record = session.state.load(&self.key)?;
        if record == Record::default() && self.record != record {
            return self.change(session, |_| ());
        }
        self.record = record;
        self.announce_shutdown_notice(session);
        Ok(())
    }

    /// Reads the record, changes it and writes it. If it was deleted, this run still knows what it has sent.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub(crate) fn change(
        &mut self,
        session: &Session<'_>,
        change: impl FnOnce(&mut Record),
    ) -> Result<(), Error> {
        let (name, written, known) = (self.name(), self.written.clone(), self.record.clone());
        self.record = session.state.change(&self.key, session.context.clock, |record| {
            if *record == Record::default() {
                *record = known;
            }
            (record.definition, record.written) = (name, written);
            change(record);
        })?;
        self.announce_shutdown_notice(session);
        Ok(())
    }

    /// As [`Attempt::change`], for what has already happened: if it cannot be written, that is only a warning.
    pub(crate) fn note(&mut self, session: &Session<'_>, change: impl FnOnce(&mut Record)) {
        if let Err(error) = self.change(session, change) {
            log::warn!(
                "{}: the state cannot be recorded, so the next run has to check again: {}",
                self.definition,
                error.message_with_hint()
            );
        }
    }

    /// Records what went wrong. Only people read it, so nothing is warned of when that fails.
    pub(crate) fn note_error(&mut self, error: &Error, session: &Session<'_>) {
        let last = LastError::new(error, session.context.clock.now());
        if let Err(unrecorded) = self.change(session, |record| record.last_error = Some(last)) {
            log::debug!("{}: {unrecorded}", self.definition);
        }
    }

    /// Records something about the task `arn`, unless the record is of another task by now or has it already.
    pub(crate) fn note_task(&mut self, session: &Session<'_>, arn: &str, change: impl Fn(&mut RecordedTask)) {
        let Some(task) = self.record.task.as_ref().filter(|task| task.arn == arn) else { return };
        let mut changed = task.clone();
        change(&mut changed);
        if changed != *task {
            self.note(session, |record| {
                record.task.as_mut().filter(|task| task.arn == arn).map(change);
            });
        }
    }

    /// The tasks of the definition's family that the agent lists.
    ///
    /// # Errors
    /// The agent does not respond as it should.
    pub(crate) fn tasks(&self, session: &Session<'_>) -> Result<Vec<Task>, Error> {
        tasks::list(session.context.local, &session.settings.agent_url, Some(&self.definition.family))
    }

    /// Reports from time to time what is being waited for.
    pub(crate) fn beat(&mut self, session: &Session<'_>, what: &str, why: impl FnOnce(Duration) -> String) {
        self.heartbeat.beat(session.context.host, session.now(), what, why);
    }

    pub(crate) fn gave_up(&self, last: Error, session: &Session<'_>) -> Error {
        Error::GaveUp { after: session.now().saturating_sub(self.began), last: Box::new(last) }
    }

    /// When the first step may be made: a run of the unit waits out the pause that was announced, which does not count
    /// against the timeout.
    pub(crate) fn first_step(&mut self, session: &Session<'_>) -> Duration {
        if !session.context.host.under_unit() {
            return self.began;
        }
        match pause::before(&self.record, self.began, session.context.host.restart_sec()) {
            Pause::None => {}
            Pause::Cancelled => self.note(session, pause::reset),
            Pause::For(pause) => {
                let (definition, failures) = (&self.definition, self.record.failures);
                let at = session.wall_time_in(pause);
                session
                    .context
                    .host
                    .status(&format!("pausing until {at} before the next attempt at {definition}"));
                log::info!(
                    "{definition}: failures in this boot: {failures}; the next attempt is at {at}, in {}",
                    human(pause)
                );
                self.note(session, |record| record.pausing = true);
                self.deadline += pause;
                self.began += pause;
            }
        }
        self.began
    }

    /// Under the unit, announces when the next attempt is made after `error`.
    pub(crate) fn pause_after(&mut self, error: &Error, session: &Session<'_>) {
        if !session.context.host.under_unit() {
            return;
        }
        let (now, random) = (session.now(), session.context.clock.random());
        let mut pause = None;
        self.note(session, |record| pause = pause::after(record, error, now, random));
        if let Some(pause) = pause {
            log::info!(
                "{}: no new attempt before {}, in {}",
                self.definition,
                session.wall_time_in(pause),
                human(pause)
            );
        }
    }
}
