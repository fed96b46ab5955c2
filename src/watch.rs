//! Following a task until it runs.
//!
//! The agent has not heard of a task in the first moments after ECS accepted it. A task that ran and
//! ended before anybody looked has run; one that stopped before all its containers were started has not.

use crate::error::Error;
use crate::session::Session;
use crate::state::Record;
use crate::tasks::{self, Task};
use crate::text::shown;
use crate::ticket::Ticket;
use std::fmt;
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

/// What became well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Success {
    Started,
    AlreadyRunning,
}

/// A task that is there, with its state as last seen.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) success: Success,
    pub(crate) task: String,
    pub(crate) status: String,
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
        Watch { arn, since: now, seen: false, status: shown(&status), success: Success::Started }
    }

    /// A task that an earlier run started at `since`.
    pub(crate) fn recorded(arn: String, since: Duration) -> Self {
        Watch { arn, since, seen: false, status: String::new(), success: Success::AlreadyRunning }
    }

    /// A task that the agent has.
    pub(crate) fn found(task: &Task, now: Duration) -> Self {
        let (arn, status) = (task.arn.clone(), shown(&task.known_status));
        Watch { arn, since: now, seen: true, status, success: Success::AlreadyRunning }
    }

    /// # Errors
    /// A task that stopped before it ran, the deadline, an agent that cannot be asked.
    pub(crate) fn look(&mut self, ticket: &mut Ticket, session: &mut Session<'_>) -> Result<Sight, Error> {
        // Whoever does not wait takes ECS's word: of what it has just accepted the agent knows nothing yet ...
        if !session.settings.wait && self.success == Success::Started {
            return Ok(Sight::Done(self.done()));
        }
        let now = session.now();
        let task = tasks::one(session.world.local, &session.settings.agent_url, &self.arn);
        // ... and of an earlier run's task it may not be able to tell.
        let task = if session.settings.wait { task? } else { task.unwrap_or_default() };
        if let Some(task) = &task {
            self.seen = true;
            self.status = shown(&task.known_status);
        }
        match task {
            Some(task) if task.is_stopped() && !task.has_run() => Err(self.stopped(ticket, session)),
            Some(task) if task.is_running() || task.is_stopped() => {
                ticket.record.ran = true;
                Ok(Sight::Done(self.done()))
            }
            None if ticket.record.ran => Ok(Sight::Done(self.done())),
            None if !self.seen && now.saturating_sub(self.since) > LOST => Ok(Sight::Lost),
            _ if !session.settings.wait => Ok(Sight::Done(self.done())),
            _ if now >= ticket.deadline => Err(self.not_running(self.state().to_owned())),
            _ => Ok(Sight::Wait(self.wait(ticket, session))),
        }
    }

    fn done(&self) -> Done {
        Done { success: self.success, task: self.arn.clone(), status: self.status.clone() }
    }

    fn stopped(&self, ticket: &mut Ticket, session: &mut Session<'_>) -> Error {
        ticket.record.task = None;
        let reason = session.stopped_reason(&self.arn, ticket.deadline);
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

    fn wait(&self, ticket: &mut Ticket, session: &Session<'_>) -> Duration {
        let now = session.now();
        let what = format!("waiting for {} to run: {}", ticket.definition, self.state());
        ticket.beat(session, &what, String::new);
        let poll = if now.saturating_sub(self.since) < OFTEN { POLL } else { POLL_LATER };
        (now + poll).min(ticket.deadline)
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let success = match self.success {
            Success::Started => "started",
            Success::AlreadyRunning => "is there already",
        };
        write!(f, "{success}: {}", self.task)?;
        if self.status.is_empty() { Ok(()) } else { write!(f, " ({})", self.status) }
    }
}
