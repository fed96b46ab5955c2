//! The open question: StartTask was sent, and nobody knows what became of it.
//!
//! The agent is watched for a task that was not there before, and ECS is asked too where the role may.
//! Only when both know of none is StartTask sent again; not being able to ask is no answer.

use crate::error::Error;
use crate::run::attempt::Attempt;
use crate::run::session::Session;
use std::time::Duration;

/// How long the agent is watched, and how often it is asked.
const OPEN: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct InDoubt {
    until: Duration,
    /// Not sent again before this.
    again: Duration,
    /// What made it a question; `None` when that was in an earlier run.
    error: Option<Error>,
}

/// What has been found out.
#[derive(Debug)]
pub(crate) enum Finding {
    /// Nothing yet.
    Open(Duration),
    /// The task was started.
    Started(String),
    /// No task was started; it may be sent again at this time.
    NotStarted(Duration),
}

impl InDoubt {
    pub(crate) fn new(now: Duration, again: Duration, error: Option<Error>) -> Self {
        InDoubt { until: now + OPEN, again, error }
    }

    /// One look.
    ///
    /// # Errors
    /// An agent or an ECS that cannot be asked, which leaves the question open; the deadline, which does too.
    pub(crate) fn look(
        &mut self,
        attempt: &mut Attempt,
        session: &mut Session<'_>,
    ) -> Result<Finding, Error> {
        // Only what the agent says counts as watching it.
        let tasks = attempt.tasks(session).inspect_err(|_| self.until = session.now() + OPEN)?;
        let now = session.now();
        let over = now >= self.until || now >= attempt.deadline;
        if let Some(task) =
            tasks.into_iter().find(|t| t.is_of(&attempt.definition) && is_new(&t.arn, attempt))
        {
            return Ok(Finding::Started(task.arn));
        }
        if !over {
            attempt.beat(
                session,
                &format!("finding out whether {} was started", attempt.definition),
                String::new,
            );
            return Ok(Finding::Open((now + POLL).min(self.until).min(attempt.deadline)));
        }
        let listed = session.listed_tasks(&attempt.definition.family, attempt.deadline)?;
        match listed.into_iter().find(|arn| is_new(arn, attempt)) {
            Some(task) => Ok(Finding::Started(task)),
            None if now.max(self.again) < attempt.deadline => Ok(Finding::NotStarted(self.again.max(now))),
            None => Err(self.give_up(attempt, session)),
        }
    }

    /// Too late to send again. The next run finds the question on record, unless it is answered.
    fn give_up(&mut self, attempt: &mut Attempt, session: &Session<'_>) -> Error {
        let last = self.error.take().unwrap_or(Error::OpenQuestion);
        attempt.gave_up(last, session)
    }
}

fn is_new(arn: &str, attempt: &Attempt) -> bool {
    !attempt.record.before.iter().any(|before| before == arn)
}
