//! What one task's way is made of, whatever stage it is in: the request, its record, its limits.

use crate::aws::definition::Definition;
use crate::aws::tasks;
use crate::aws::tasks::Task;
use crate::error::Error;
use crate::error::class::exit;
use crate::run::backoff::{LONGEST_RESTART_DELAY, RESTART_BACKOFF};
use crate::run::progress::Heartbeat;
use crate::run::record::Record;
use crate::run::session::Session;
use crate::text::human;
use serde_json::Value;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) definition: Definition,
    pub(crate) body: Value,
    pub(crate) record: Record,
    /// No try later than this uptime.
    pub(crate) deadline: Duration,
    /// When this run turned to it, any pause being over.
    pub(crate) began: Duration,
    pub(crate) heartbeat: Heartbeat,
    /// How often StartTask was sent by this run.
    pub(crate) attempts: u32,
}

impl Attempt {
    /// # Errors
    /// A record that cannot be read.
    pub(crate) fn new(
        definition: Definition,
        body: Value,
        session: &Session<'_>,
        deadline: Duration,
    ) -> Result<Self, Error> {
        let began = session.now();
        let record = session.state.load(&definition.family, digest(&body))?;
        let heartbeat = Heartbeat::new(began);
        let attempt = Attempt { definition, body, record, deadline, began, heartbeat, attempts: 0 };
        attempt.tell_what_stays(session);
        Ok(attempt)
    }

    /// Told before it is so: nothing is sent that would not be told.
    fn tell_what_stays(&self, session: &Session<'_>) {
        let name = self.name();
        let behind = match &self.record.task {
            Some((arn, _)) if self.record.ran => Some(format!("the task {arn} was started")),
            Some((arn, _)) => Some(format!("the task {arn} goes on without this program")),
            // Without the lock it may be another run's, which waits for the answer.
            None => self.record.sent.filter(|_| session.lock.is_some()).map(|_| {
                let records = session.settings.state_dir.display();
                format!("StartTask for {name} was on its way and its answer was not read; the record in {records} lets the next run find out")
            }),
        };
        session.context.host.shutdown_notice(&name, behind);
    }

    /// When the first step may be made: under a unit the pause that was announced is kept, and it does
    /// not count against the timeout.
    pub(crate) fn resume(&mut self, session: &Session<'_>) -> Duration {
        let announced = self.record.resume.filter(|_| session.context.host.under_unit());
        // No pause is longer, whatever the record says.
        let pause = announced.unwrap_or_default().saturating_sub(self.began).min(LONGEST_RESTART_DELAY);
        if !pause.is_zero() {
            let (definition, failures) = (&self.definition, self.record.failures);
            session
                .context
                .host
                .status(&format!("pausing before the next attempt at {definition}, in {}", human(pause)));
            log::info!(
                "{definition}: failures in this boot: {failures}; the next attempt is in {}",
                human(pause)
            );
        }
        self.deadline += pause;
        self.began += pause;
        self.began
    }

    pub(crate) fn name(&self) -> String {
        self.definition.to_string()
    }

    /// Under the lock the record is what the last run left, whoever that was.
    pub(crate) fn reload(&mut self, session: &Session<'_>) -> Result<(), Error> {
        self.record = session.state.load(&self.definition.family, self.record.request)?;
        self.tell_what_stays(session);
        Ok(())
    }

    pub(crate) fn save(&self, session: &Session<'_>) -> Result<(), Error> {
        self.tell_what_stays(session);
        session.state.save(&self.definition.family, &self.record)
    }

    /// As [`Attempt::save`], for what has happened already and is told whether it can be saved or not. The record that
    /// stays lets the next run ask again.
    pub(crate) fn note(&self, session: &Session<'_>) {
        if let Err(error) = self.save(session) {
            log::warn!(
                "{}: the next run will have to find out again: {}",
                self.definition,
                error.message_with_hint()
            );
        }
    }

    /// The tasks of the definition's family that the agent has.
    pub(crate) fn tasks(&self, session: &Session<'_>) -> Result<Vec<Task>, Error> {
        tasks::of_family(session.context.local, &session.settings.agent_url, &self.definition.family)
    }

    /// Says now and then what is being waited for.
    pub(crate) fn beat(&mut self, session: &Session<'_>, what: &str, why: impl FnOnce() -> String) {
        self.heartbeat.beat(session.context.host, session.now(), what, why);
    }

    pub(crate) fn gave_up(&self, last: Error, session: &Session<'_>) -> Error {
        Error::GaveUp { after: session.now().saturating_sub(self.began), last: Box::new(last) }
    }

    /// What dies or is refused for good is not tried again at once by a restarted unit: thousands of
    /// instances would do it together.
    pub(crate) fn announce_pause(&mut self, error: &Error, session: &Session<'_>) {
        if !matches!(error.exit_code(), exit::STOPPED | exit::REFUSED | exit::NOT_ALLOWED) {
            return;
        }
        self.record.failures = self.record.failures.saturating_add(1);
        let clock = session.context.clock;
        let pause = RESTART_BACKOFF.delay(self.record.failures, Duration::ZERO, clock.random());
        self.record.resume = Some(session.now() + pause);
        if session.context.host.under_unit() {
            let at = humantime::format_rfc3339_seconds(clock.now() + pause);
            log::info!("{}: the next attempt is not made before {at}, in {}", self.definition, human(pause));
        }
    }
}

/// Tells requests apart; good for one boot and one version of this program.
fn digest(body: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.to_string().hash(&mut hasher);
    hasher.finish()
}
