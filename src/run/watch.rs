//! Watching a task until it runs.
//!
//! A task ran when the agent showed it RUNNING, or when ECS says so. Where ECS cannot be asked, all containers that it named
//! in its response to StartTask must be listed with a start time: the agent lists a container only once it tries to create
//! it, so its list alone proves nothing. In doubt the task did not run.

use crate::aws::tasks::Task;
use crate::error::Error;
use crate::run::attempt::Attempt;
use crate::run::outcome::{Done, Success};
use crate::run::record::RecordedTask;
use crate::run::session::Session;
use crate::text::shorten;
use std::time::Duration;

/// How often the agent is asked: often at first, as most tasks start within seconds.
const POLL: Duration = Duration::from_millis(250);
const OFTEN: Duration = Duration::from_secs(10);
const POLL_LATER: Duration = Duration::from_secs(1);

/// ECS is asked about a task that the agent does not list after this long, then after twice as long, and so on ...
const FIRST_QUESTION: Duration = Duration::from_secs(10);
/// ... up to once in this time.
const RAREST_QUESTION: Duration = Duration::from_secs(120);

/// An accepted task that neither the agent nor ECS knows is given up as lost after this long.
const LOST: Duration = Duration::from_secs(30 * 60);

/// The agent shows STOPPED before ECS does: for so long ECS is asked again, after 1 s, 2 s and so on.
const ECS_LAGS: Duration = Duration::from_secs(120);
const FIRST_LAG: Duration = Duration::from_secs(1);
const LONGEST_LAG: Duration = Duration::from_secs(30);

/// How the task came to be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// ECS named it in its response to StartTask, now or in an earlier run.
    Own,
    /// It appeared while a StartTask was in doubt. If it dies, it may not have been the one that was started.
    Adopted,
    /// It was on the agent's list before anything was sent.
    Found,
}

/// Watches a task until it runs or stops.
#[derive(Debug)]
pub(crate) struct Watch {
    arn: String,
    origin: Origin,
    success: Success,
    /// When ECS accepted it, or when it was found.
    since: Duration,
    /// All its containers, where ECS named them.
    containers: Vec<String>,
    shown: bool,
    status: String,
    /// Since when the agent does not list it.
    unlisted_since: Duration,
    /// When ECS is asked about it next, and how long after that.
    question: Duration,
    interval: Duration,
    /// Since when it is known to have stopped.
    stopped_since: Option<Duration>,
}

/// What watching a task has shown so far.
#[derive(Debug)]
pub(crate) enum Sight {
    Wait(Duration),
    Done(Done),
    /// ECS accepted it, and nobody has shown it since.
    Lost,
    /// It is not the one that was in doubt, or has died before it ran.
    Reopened,
}

impl Watch {
    fn new(arn: &str, origin: Origin, success: Success, since: Duration) -> Self {
        Watch {
            arn: arn.to_owned(),
            origin,
            success,
            since,
            containers: Vec::new(),
            shown: false,
            status: String::new(),
            unlisted_since: since,
            question: since + FIRST_QUESTION,
            interval: FIRST_QUESTION,
            stopped_since: None,
        }
    }

    /// A task that ECS has just accepted.
    pub(crate) fn accepted(task: &RecordedTask, status: &str) -> Self {
        let watch = Watch::new(&task.arn, Origin::Own, Success::Started, task.accepted_at);
        Watch { containers: task.containers.clone(), status: shorten(status), ..watch }
    }

    /// A task that ECS accepted in an earlier run, for this request or for another one.
    pub(crate) fn recorded(task: &RecordedTask, own: bool) -> Self {
        let origin = if own { Origin::Own } else { Origin::Adopted };
        let watch = Watch::new(&task.arn, origin, Success::AlreadyRunning, task.accepted_at);
        Watch { containers: task.containers.clone(), ..watch }
    }

    /// A task that may be what was sent.
    pub(crate) fn adopted(arn: &str, own: bool, now: Duration) -> Self {
        let success = if own { Success::Started } else { Success::AlreadyRunning };
        Watch::new(arn, Origin::Adopted, success, now)
    }

    /// A task that the agent lists.
    pub(crate) fn found(task: &Task, now: Duration) -> Self {
        Watch::new(&task.arn, Origin::Found, Success::AlreadyRunning, now)
    }

    pub(crate) fn arn(&self) -> &str {
        &self.arn
    }

    /// Whether the agent has listed it.
    pub(crate) fn is_shown(&self) -> bool {
        self.shown
    }

    /// Reads the agent's list once, and asks ECS where the list is not enough.
    ///
    /// # Errors
    /// A task that stopped before it ran, the deadline, an agent or an ECS that cannot be asked.
    pub(crate) fn look(&mut self, attempt: &mut Attempt, session: &mut Session<'_>) -> Result<Sight, Error> {
        // The agent cannot know yet what ECS has just accepted.
        if !session.settings.wait && self.origin == Origin::Own && self.success == Success::Started {
            return Ok(Sight::Done(self.done()));
        }
        let tasks = attempt.tasks(session);
        // ... and it may not know an earlier run's task.
        let tasks = if session.settings.wait { tasks? } else { tasks.unwrap_or_default() };
        let sight = match tasks.into_iter().find(|task| task.arn == self.arn) {
            Some(task) if self.origin == Origin::Adopted && !task.is_of(&attempt.definition) => {
                Sight::Reopened
            }
            Some(task) => self.listed(&task, attempt, session)?,
            None => self.unlisted(attempt, session)?,
        };
        match sight {
            Sight::Wait(_) if !session.settings.wait && (self.shown || self.origin == Origin::Own) => {
                Ok(Sight::Done(self.done()))
            }
            Sight::Wait(_) if session.now() >= attempt.deadline => {
                Err(self.not_running(self.state().to_owned()))
            }
            Sight::Wait(due) => Ok(Sight::Wait(self.wait(due, attempt, session))),
            sight => Ok(sight),
        }
    }

    /// What the agent shows of it.
    ///
    /// # Errors
    /// It stopped before it ran.
    pub(crate) fn listed(
        &mut self,
        task: &Task,
        attempt: &mut Attempt,
        session: &mut Session<'_>,
    ) -> Result<Sight, Error> {
        let now = session.now();
        (self.shown, self.unlisted_since) = (true, now);
        self.status = shorten(&task.known_status);
        let revision = task.revision();
        attempt.note_task(session, &self.arn, |recorded| {
            recorded.shown = true;
            recorded.revision = revision.or(recorded.revision);
        });
        if task.is_running() {
            Ok(self.ran(attempt, session))
        } else if task.is_stopped() {
            self.stopped(task, attempt, session)
        } else {
            Ok(Sight::Wait(now + self.poll(now)))
        }
    }

    fn ran(&self, attempt: &mut Attempt, session: &mut Session<'_>) -> Sight {
        let shown = self.shown;
        if self.origin == Origin::Adopted && attempt.record.in_flight_since.is_some() {
            let (arn, accepted_at) = (self.arn.clone(), self.since);
            let task = RecordedTask { arn, accepted_at, shown, ran: true, ..RecordedTask::default() };
            let described = session.described_task(&self.arn, attempt.deadline).ok().flatten();
            let ours = described.is_some_and(|task| task.is_started_by(attempt.started_by()));
            // One that may be somebody else's leaves StartTask in flight: once it is gone, the question is open again.
            attempt
                .note(session, |record| if ours { record.accepted(task) } else { record.task = Some(task) });
        }
        attempt.note_task(session, &self.arn, |task| (task.ran, task.shown) = (true, shown || task.shown));
        Sight::Done(self.done())
    }

    /// Whether a task that has stopped ran before.
    ///
    /// # Errors
    /// [`Error::Stopped`]: it did not run.
    fn stopped(
        &mut self,
        task: &Task,
        attempt: &mut Attempt,
        session: &mut Session<'_>,
    ) -> Result<Sight, Error> {
        let now = session.now();
        let first = *self.stopped_since.get_or_insert(now);
        let patience = (first + ECS_LAGS).min(attempt.deadline);
        let ask_again = now + now.saturating_sub(first).clamp(FIRST_LAG, LONGEST_LAG);
        match session.described_task(&self.arn, attempt.deadline) {
            Ok(Some(described)) if described.has_run() => Ok(self.ran(attempt, session)),
            Ok(Some(described)) if !described.is_stopped() && now < patience => Ok(Sight::Wait(ask_again)),
            Ok(Some(described)) => self.died(described.reason(), attempt, session),
            Err(error) if now < patience => {
                log::debug!("{}", error.message_with_hint());
                Ok(Sight::Wait(ask_again))
            }
            Ok(None) | Err(_) if self.is_known_to_have_run(task, attempt, session) => {
                Ok(self.ran(attempt, session))
            }
            Ok(None) | Err(_) => self.died(UNKNOWN_REASON.to_owned(), attempt, session),
        }
    }

    /// Without ECS: all containers that it named were started, or the run that started the task has seen it run.
    fn is_known_to_have_run(&self, task: &Task, attempt: &Attempt, session: &Session<'_>) -> bool {
        let records = session.state.all_of(&attempt.definition).unwrap_or_default();
        let recorded =
            records.iter().filter_map(|record| record.task.as_ref()).find(|own| own.arn == self.arn);
        task.has_started_all(&self.containers)
            || recorded.is_some_and(|own| own.ran || task.has_started_all(&own.containers))
    }

    /// The task never ran. One that was adopted reopens the question.
    ///
    /// # Errors
    /// [`Error::Stopped`], unless it was adopted.
    fn died(&self, reason: String, attempt: &mut Attempt, session: &Session<'_>) -> Result<Sight, Error> {
        attempt.note_task(session, &self.arn, |task| task.ended = true);
        match self.origin {
            Origin::Adopted => Ok(Sight::Reopened),
            Origin::Own | Origin::Found => Err(Error::Stopped { task: self.arn.clone(), reason }),
        }
    }

    /// Asks ECS from time to time about a task that the agent does not list, or no longer lists.
    ///
    /// # Errors
    /// ECS says that it stopped before it ran, or cannot be asked.
    fn unlisted(&mut self, attempt: &mut Attempt, session: &mut Session<'_>) -> Result<Sight, Error> {
        let now = session.now();
        let wait = Ok(Sight::Wait(now + self.poll(now)));
        if now < self.question.max(self.unlisted_since + FIRST_QUESTION) {
            return wait;
        }
        let described = session.described_task(&self.arn, attempt.deadline);
        self.question = now + self.interval;
        self.interval = (self.interval * 2).min(RAREST_QUESTION);
        let lost = now.saturating_sub(self.unlisted_since) > LOST;
        match described {
            Ok(Some(task)) if task.has_run() => {
                self.status = shorten(task.last_status());
                Ok(self.ran(attempt, session))
            }
            Ok(Some(task)) if task.is_stopped() => self.died(task.reason(), attempt, session),
            // While ECS means to run it, it is not lost.
            Ok(Some(_)) => {
                self.unlisted_since = now;
                wait
            }
            Ok(None) if self.shown => self.died("no longer listed by the agent".to_owned(), attempt, session),
            Ok(None) if lost => Ok(Sight::Lost),
            Ok(None) => wait,
            Err(error) => {
                log::debug!("{}", error.message_with_hint());
                wait
            }
        }
    }

    fn done(&self) -> Done {
        Done { success: self.success, task: self.arn.clone(), status: self.status.clone() }
    }

    /// The error at the deadline, with what is known by then.
    pub(crate) fn not_running(&self, status: String) -> Error {
        Error::NotRunning { task: self.arn.clone(), status }
    }

    fn state(&self) -> &str {
        if self.shown { &self.status } else { "not yet known to the agent" }
    }

    fn poll(&self, now: Duration) -> Duration {
        if now.saturating_sub(self.since) < OFTEN { POLL } else { POLL_LATER }
    }

    fn wait(&self, due: Duration, attempt: &mut Attempt, session: &Session<'_>) -> Duration {
        let what = format!("waiting for {} to run: {}", attempt.definition, self.state());
        attempt.beat(session, &what, |_| String::new());
        due.min(attempt.deadline)
    }
}

const UNKNOWN_REASON: &str =
    "the reason is unknown (the optional permission ecs:DescribeTasks makes it known)";
