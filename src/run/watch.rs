//! Following a task until it runs.
//!
//! The agent has not heard of a task in the first moments after ECS accepted it. A task that ran and
//! ended before anybody looked has run; one that stopped before all its containers were started has not.

use crate::aws::tasks;
use crate::aws::tasks::Task;
use crate::error::Error;
use crate::run::attempt::Attempt;
use crate::run::outcome::{Done, Success};
use crate::run::record::Record;
use crate::run::session::Session;
use crate::text::sanitize;
use std::time::Duration;

/// How often the agent is asked: often at first, as most tasks start within seconds.
const POLL: Duration = Duration::from_millis(250);
const OFTEN: Duration = Duration::from_secs(10);
const POLL_LATER: Duration = Duration::from_secs(1);

/// An accepted task that the agent has not shown for so long is taken for lost.
const LOST: Duration = Duration::from_secs(30 * 60);

#[derive(Debug)]
pub(crate) struct Watch {
    arn: String,
    /// When ECS accepted it, or when it was found.
    since: Duration,
    /// Whether the agent has shown it.
    pub(crate) seen: bool,
    status: String,
    success: Success,
}

/// What a look came to.
#[derive(Debug)]
pub(crate) enum Sight {
    Wait(Duration),
    Done(Done),
    /// ECS accepted it, and the agent never showed it.
    Lost,
}

impl Watch {
    /// A task that ECS has just accepted, or that was sent and found.
    pub(crate) fn accepted(arn: String, status: String, now: Duration) -> Self {
        Watch { arn, since: now, seen: false, status: sanitize(&status), success: Success::Started }
    }

    /// A task that an earlier run started at `since`.
    pub(crate) fn recorded(arn: String, since: Duration) -> Self {
        Watch { arn, since, seen: false, status: String::new(), success: Success::AlreadyRunning }
    }

    /// A task that the agent has.
    pub(crate) fn found(task: &Task, now: Duration) -> Self {
        let (arn, status) = (task.arn.clone(), sanitize(&task.known_status));
        Watch { arn, since: now, seen: true, status, success: Success::AlreadyRunning }
    }

    /// # Errors
    /// A task that stopped before it ran, the deadline, an agent that cannot be asked.
    pub(crate) fn look(&mut self, attempt: &mut Attempt, session: &mut Session<'_>) -> Result<Sight, Error> {
        // Whoever does not wait takes ECS's word: of what it has just accepted the agent knows nothing yet ...
        if !session.settings.wait && self.success == Success::Started {
            return Ok(Sight::Done(self.done()));
        }
        let now = session.now();
        let task = tasks::one(session.context.local, &session.settings.agent_url, &self.arn);
        // ... and of an earlier run's task it may not be able to tell.
        let task = if session.settings.wait { task? } else { task.unwrap_or_default() };
        if let Some(task) = &task {
            self.seen = true;
            self.status = sanitize(&task.known_status);
        }
        match task {
            Some(task) if task.is_stopped() && !task.has_run() => Err(self.stopped(attempt, session)),
            Some(task) if task.is_running() || task.is_stopped() => {
                attempt.record.ran = true;
                Ok(Sight::Done(self.done()))
            }
            None if attempt.record.ran => Ok(Sight::Done(self.done())),
            None if !self.seen && now.saturating_sub(self.since) > LOST => Ok(Sight::Lost),
            _ if !session.settings.wait => Ok(Sight::Done(self.done())),
            _ if now >= attempt.deadline => Err(self.not_running(self.state().to_owned())),
            _ => Ok(Sight::Wait(self.wait(attempt, session))),
        }
    }

    fn done(&self) -> Done {
        Done { success: self.success, task: self.arn.clone(), status: self.status.clone() }
    }

    fn stopped(&self, attempt: &mut Attempt, session: &mut Session<'_>) -> Error {
        attempt.record.task = None;
        let reason = session.stopped_reason(&self.arn, attempt.deadline);
        Error::Stopped { task: self.arn.clone(), reason }
    }

    /// The deadline has come, and this is what is known.
    pub(crate) fn not_running(&self, status: String) -> Error {
        Error::NotRunning { task: self.arn.clone(), status }
    }

    /// Whether it is the task that is on record.
    pub(crate) fn is_of(&self, record: &Record) -> bool {
        record.task.as_ref().is_some_and(|(arn, _)| *arn == self.arn)
    }

    fn state(&self) -> &str {
        if self.seen { &self.status } else { "not known to the agent yet" }
    }

    fn wait(&self, attempt: &mut Attempt, session: &Session<'_>) -> Duration {
        let now = session.now();
        let what = format!("waiting for {} to run: {}", attempt.definition, self.state());
        attempt.beat(session, &what, String::new);
        let poll = if now.saturating_sub(self.since) < OFTEN { POLL } else { POLL_LATER };
        (now + poll).min(attempt.deadline)
    }
}
