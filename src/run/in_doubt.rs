//! A StartTask was sent, and it is not known what became of it.
//!
//! The agent is watched for a task of that definition that was not there before, and ECS is asked if the role may do so.
//! StartTask is sent again only if neither knows of one. Time counts only while the lock is held and the agent responds.

use crate::aws::described::DescribedTask;
use crate::aws::tasks::Task;
use crate::error::Error;
use crate::run::attempt::Attempt;
use crate::run::record::Record;
use crate::run::session::Session;
use crate::run::stale::StaleTask;
use std::time::Duration;

/// How long the agent is watched, and how often it is asked.
const WATCHED: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_secs(1);

/// When ECS lists a task of the family whose revision is not known, the agent is watched for longer, and ECS is asked again at
/// this interval.
const WATCHED_LONGER: Duration = Duration::from_secs(30);
const POLL_LATER: Duration = Duration::from_secs(5);

/// The state of finding out whether a StartTask without a response started a task.
#[derive(Debug)]
pub(crate) struct InDoubt {
    /// Since when the agent has been watched.
    since: Option<Duration>,
    /// How long to wait after it is known that no task was started.
    delay: Duration,
    /// The error that caused the doubt; `None` when that was in an earlier run.
    error: Option<Error>,
}

/// What is known so far about a StartTask without a response.
#[derive(Debug)]
pub(crate) enum Finding {
    /// Nothing yet.
    Open(Duration),
    /// This task may be the one.
    Task(String),
    /// It was started, and died before it ran.
    Died { task: String, reason: String },
    /// No task was started; it may be sent again at this time.
    NotStarted(Duration),
}

impl InDoubt {
    /// `delay` is how long to wait before it is sent again.
    pub(crate) fn new(delay: Duration, error: Option<Error>) -> Self {
        InDoubt { since: None, delay, error }
    }

    /// Starts watching over: the time so far does not count.
    pub(crate) fn restart(&mut self) {
        self.since = None;
    }

    /// Reads the agent's list once. `records` are those in flight.
    ///
    /// # Errors
    /// An agent or an ECS that cannot be asked, which leaves it in doubt; the deadline, which does too.
    pub(crate) fn look(
        &mut self,
        records: &[Record],
        attempt: &mut Attempt,
        stale: &mut StaleTask,
        session: &mut Session<'_>,
    ) -> Result<Finding, Error> {
        let tasks = attempt.tasks(session).inspect_err(|_| self.restart())?;
        let now = session.now();
        self.since.get_or_insert(now);
        let until = self.until(WATCHED, attempt);
        let ruled_out = attempt.ruled_out.clone();
        let is_new = |arn: &str| {
            !ruled_out.iter().any(|other| other == arn) && records.iter().any(|record| record.may_be_new(arn))
        };
        let candidates: Vec<&Task> =
            tasks.iter().filter(|task| task.is_of(&attempt.definition) && is_new(&task.arn)).collect();
        let current = |task: &&Task| task.is_stopped() || now >= until || !stale.may_be(task, session);
        if let Some(task) = alive(&candidates.iter().copied().filter(current).collect::<Vec<_>>()) {
            return Ok(Finding::Task(task.arn.clone()));
        }
        if now < until {
            let what = format!("checking whether {} was started", attempt.definition);
            attempt.beat(session, &what, |_| String::new());
            return Ok(Finding::Open((now + POLL).min(until)));
        }
        let listed = session.listed_tasks(&attempt.definition.family, attempt.deadline)?.unwrap_or_default();
        let of_ecs =
            listed.into_iter().filter(|arn| is_new(arn) && tasks.iter().all(|task| task.arn != *arn));
        let of_ecs: Vec<String> = of_ecs.collect();
        let was_not_there = |task: &&Task| {
            records.iter().any(|record| record.preexisting.is_some() && record.may_be_new(&task.arn))
        };
        let dead: Vec<&Task> = candidates.into_iter().filter(was_not_there).collect();
        self.ask_ecs(of_ecs, &dead, attempt, session)
    }

    /// What ECS says of the tasks that only it lists, and of those that the agent lists as STOPPED.
    ///
    /// # Errors
    /// ECS or the state directory fails.
    fn ask_ecs(
        &mut self,
        of_ecs: Vec<String>,
        dead: &[&Task],
        attempt: &mut Attempt,
        session: &mut Session<'_>,
    ) -> Result<Finding, Error> {
        let arns: Vec<String> = of_ecs.iter().chain(dead.iter().map(|task| &task.arn)).cloned().collect();
        let described = match arns.as_slice() {
            [] => Some(Vec::new()),
            arns => session.described_tasks(arns, attempt.deadline)?,
        };
        match described {
            Some(tasks) => match best(&arns, &tasks, attempt) {
                Some(finding) => Ok(finding),
                None => self.not_started(attempt, session),
            },
            // ListTasks knows families only: where a revision was asked for, what it lists proves nothing.
            None => match of_ecs.into_iter().next() {
                Some(arn) if attempt.definition.revision.is_none() => Ok(Finding::Task(arn)),
                // The agent may soon show its revision.
                Some(_) if session.now() < self.until(WATCHED_LONGER, attempt) => {
                    Ok(Finding::Open((session.now() + POLL_LATER).min(attempt.deadline)))
                }
                _ => self.not_started(attempt, session),
            },
        }
    }

    /// Watched for so long, or at the deadline.
    fn until(&self, watched: Duration, attempt: &Attempt) -> Duration {
        (self.since.unwrap_or_default() + watched).min(attempt.deadline)
    }

    /// # Errors
    /// The deadline comes before the next attempt: the last error of StartTask.
    fn not_started(&mut self, attempt: &Attempt, session: &Session<'_>) -> Result<Finding, Error> {
        let again = session.now() + self.delay;
        if again < attempt.deadline {
            return Ok(Finding::NotStarted(again));
        }
        // Too late to send again. The next run finds it on record.
        let last = self.error.take().unwrap_or(Error::OpenQuestion);
        Err(attempt.gave_up(last, session))
    }
}

/// The task that runs, before one that is pending. A stopped task proves nothing yet: anyone may have started it.
fn alive<'a>(candidates: &[&'a Task]) -> Option<&'a Task> {
    let running = candidates.iter().find(|task| task.is_running());
    running.or_else(|| candidates.iter().find(|task| task.is_present())).copied()
}

/// According to ECS: a task that runs or ran, before one that is pending, before one that died and is known to be ours.
fn best(arns: &[String], tasks: &[DescribedTask], attempt: &Attempt) -> Option<Finding> {
    let own = attempt.started_by();
    let known = arns.iter().filter_map(|arn| Some((arn, tasks.iter().find(|task| task.is(arn))?)));
    let known: Vec<_> = known.filter(|(_, task)| task.is_of(&attempt.definition)).collect();
    let ours = |task: &DescribedTask| !task.is_stopped() || task.is_started_by(own);
    let ran = known.iter().find(|(_, task)| task.has_run() && ours(task));
    let pending = || known.iter().find(|(_, task)| !task.is_stopped());
    let died = || known.iter().find(|(_, task)| task.is_started_by(own) && !attempt.record.given_up);
    match (ran.or_else(pending), died()) {
        (Some((arn, _)), _) => Some(Finding::Task((*arn).clone())),
        (None, Some((arn, task))) => Some(Finding::Died { task: (*arn).clone(), reason: task.reason() }),
        (None, None) => None,
    }
}
