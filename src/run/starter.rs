//! Starting one task: look, send, resolve the doubt about an unknown outcome, watch, retry.
//!
//! StartTask has no client token, so nobody but the caller can prevent a second task. The agent's list is read before every
//! StartTask; what is sent is on record before it is sent; and while it is in doubt whether a task was started, nothing is
//! sent.

use crate::aws::tasks::Task;
use crate::error::Error;
use crate::error::class::Class;
use crate::request::resolved::Request;
use crate::run::attempt::Attempt;
use crate::run::backoff::Backoff;
use crate::run::in_doubt::{Finding, InDoubt};
use crate::run::outcome::{Done, Success};
use crate::run::pause;
use crate::run::record::{LastError, Record, RecordedTask};
use crate::run::session::Session;
use crate::run::stale::{self, StaleTask};
use crate::run::watch::{Sight, Watch};
use crate::text::human;
use std::time::Duration;

/// The result of a step: when to take the next one, or the end.
#[derive(Debug)]
pub(crate) enum Next {
    At(Duration),
    End(Result<Done, Error>),
    /// The agent has registered under another ARN, so everything starts over.
    Reregistered,
}

/// What is being done about one task.
#[derive(Debug)]
enum Phase {
    /// Is there such a task already? If not, StartTask is sent.
    Look,
    /// StartTask was sent, and it is not known what became of it.
    InDoubt(InDoubt),
    /// There is a task; it is watched until it runs.
    Watch(Watch),
}

/// The state machine that starts one task.
#[derive(Debug)]
pub(crate) struct Starter {
    pub(crate) attempt: Attempt,
    phase: Phase,
    backoff: Backoff,
    stale: StaleTask,
    /// When the next step is to be made.
    pub(crate) due: Duration,
    /// The last step failed, and the next one is a retry.
    pub(crate) retrying: bool,
}

impl Starter {
    /// Continues where an earlier run of this boot stopped.
    ///
    /// # Errors
    /// As for [`Attempt::new`].
    pub(crate) fn new(request: &Request, session: &Session<'_>, deadline: Duration) -> Result<Self, Error> {
        let mut attempt = Attempt::new(request, session, deadline)?;
        let due = attempt.first_step(session);
        let (backoff, stale) = (Backoff::default(), StaleTask::default());
        Ok(Starter { attempt, phase: Phase::Look, backoff, stale, due, retrying: false })
    }

    /// Whether nothing was sent for it that is still open, so that it may be given up.
    pub(crate) fn is_looking(&self) -> bool {
        matches!(self.phase, Phase::Look)
    }

    /// Whether a task may exist that the agent does not list yet: another run must not search now.
    pub(crate) fn may_hide_a_task(&self) -> bool {
        match &self.phase {
            Phase::Look => false,
            Phase::InDoubt(_) => true,
            Phase::Watch(watch) => !watch.is_shown(),
        }
    }

    /// Takes one step: looks for the task and sends StartTask, finds out about an unknown outcome, or watches the task. A
    /// failure is retried by the retry table, or is the end.
    pub(crate) fn step(&mut self, session: &mut Session<'_>) -> Next {
        self.retrying = false;
        let step = match &self.phase {
            Phase::Look => self.look(session),
            Phase::InDoubt(_) => self.resolve_doubt(session),
            Phase::Watch(_) => self.watch(session),
        };
        step.unwrap_or_else(|error| self.failed(error, session))
    }

    /// Searches the agent's list and the records, and sends StartTask when neither has such a task.
    ///
    /// # Errors
    /// The agent, the lock or the state directory fails.
    fn look(&mut self, session: &mut Session<'_>) -> Result<Next, Error> {
        self.take_lock(session)?;
        if self.attempt.record.pausing {
            self.attempt.note(session, |record| record.pausing = false);
        }
        let tasks = self.attempt.tasks(session)?;
        if let Some(task) = self.present(&tasks).cloned() {
            drop(tasks);
            return self.follow_present(&task, session);
        }
        if let Some(done) = self.done(&tasks) {
            return Ok(Next::End(Ok(done)));
        }
        let before = tasks.iter().map(|task| task.arn.clone()).collect();
        drop(tasks); // There may be thousands, and the list is read again before long.
        let records = self.records(session)?;
        if records.iter().any(|record| record.in_flight_since.is_some()) {
            self.phase = Phase::InDoubt(InDoubt::new(Duration::ZERO, None));
            return Ok(Next::At(session.now()));
        }
        let ruled_out = |task: &&RecordedTask| self.attempt.ruled_out.contains(&task.arn);
        match records.iter().filter_map(Record::open_task).find(|task| !ruled_out(task)) {
            Some(task) => {
                let own = self.attempt.record.open_task().is_some_and(|own| own.arn == task.arn);
                self.phase = Phase::Watch(Watch::recorded(task, own));
                self.watch(session)
            }
            None => self.send(before, session),
        }
    }

    /// Takes the lock and reads the record again. Time spent waiting for the lock does not count as watching.
    ///
    /// # Errors
    /// Another run holds it, or the state directory fails.
    fn take_lock(&mut self, session: &mut Session<'_>) -> Result<(), Error> {
        if let Err(error) = session.take_lock() {
            if let Phase::InDoubt(in_doubt) = &mut self.phase {
                in_doubt.restart();
            }
            return Err(error);
        }
        self.attempt.reload(session)
    }

    /// The duplicate guard: the task of this definition that is PENDING or RUNNING here. Without the guard, one that a StartTask
    /// without a response may have started, and that shows only now.
    fn present<'t>(&self, tasks: &'t [Task]) -> Option<&'t Task> {
        let of_definition = |task: &&Task| task.is_of(&self.attempt.definition) && task.is_present();
        let closed = |task: &Task| self.attempt.closed.iter().any(|record| record.may_be_new(&task.arn));
        tasks.iter().filter(|task| self.attempt.skip_if_running || closed(task)).find(of_definition)
    }

    /// # Errors
    /// Those of [`Starter::watch`].
    fn follow_present(&mut self, task: &Task, session: &mut Session<'_>) -> Result<Next, Error> {
        if self.stale.may_be(task, session) {
            return Ok(Next::At(session.now() + stale::POLL));
        }
        let record = &self.attempt.record;
        let mut watch = match &record.task {
            Some(recorded) if recorded.arn == task.arn => Watch::recorded(recorded, true),
            _ if record.in_flight_since.is_some() && record.may_be_new(&task.arn) => {
                Watch::adopted(&task.arn, true, session.now())
            }
            _ => Watch::found(task, session.now()),
        };
        // That it runs has been seen, whatever the next list says.
        let seen =
            if task.is_running() { Some(watch.listed(task, &mut self.attempt, session)?) } else { None };
        self.phase = Phase::Watch(watch);
        match seen {
            Some(Sight::Done(done)) => Ok(Next::End(Ok(done))),
            _ => self.watch(session),
        }
    }

    /// A task on record as run counts as done while no run has concluded it, even if it has ended since. One that was
    /// concluded counts until it is gone: shown once in this boot, and now STOPPED or not listed.
    fn done(&self, tasks: &[Task]) -> Option<Done> {
        let record = &self.attempt.record;
        let task = record.task.as_ref().filter(|task| task.ran)?;
        let listed = tasks.iter().find(|listed| listed.arn == task.arn);
        let gone = task.shown || task.ended || listed.is_some();
        let status = listed.map_or_else(String::new, |listed| listed.known_status.to_string());
        let done = Done { success: Success::AlreadyRunning, task: task.arn.clone(), status };
        (record.done().is_some() || !gone).then_some(done)
    }

    /// Every record of the definition, whatever request it is of: what is open there is open for this one too. Without
    /// the duplicate guard only an unfinished run of this request counts.
    ///
    /// # Errors
    /// The state directory fails.
    fn records(&self, session: &Session<'_>) -> Result<Vec<Record>, Error> {
        let mut records = if session.settings.skip_if_running {
            session.state.all_of(&self.attempt.definition)?
        } else {
            vec![self.attempt.record.clone()]
        };
        records.retain(|record| self.attempt.skip_if_running || !record.concluded);
        records.retain(|record| !self.attempt.closed.contains(record));
        Ok(records)
    }

    /// Sends StartTask; `before` is what the agent has just listed.
    ///
    /// # Errors
    /// What StartTask failed with, when nothing is in doubt; no time left; the state directory fails.
    fn send(&mut self, before: Vec<String>, session: &mut Session<'_>) -> Result<Next, Error> {
        if let Some(holder) = session.kept_by.clone() {
            return Err(Error::Kept { holder });
        }
        if self.attempt.calls == 0 && session.now() > self.attempt.deadline {
            // The other tasks took all the time, and what is sent now may stay in doubt. A retry that is slightly late is
            // still made, as its response settles more than giving up does.
            return Err(Error::NoTime);
        }
        session.prepare_credentials()?;
        let now = session.now();
        self.attempt.change(session, |record| record.sent(now, before))?;
        session.state.set_aside(&self.attempt.definition.family);
        self.attempt.calls += 1;
        let name = self.attempt.name();
        session.context.host.status(&format!("starting {name}"));
        let response = session.start_task(&self.attempt.body, self.attempt.deadline);
        if let Err(error) = &response
            && error.class() != Class::Unanswered
        {
            let last = LastError::new(error, session.context.clock.now());
            self.attempt.note(session, |record| {
                record.settled();
                record.last_error = Some(last);
            });
        }
        let task = response?;
        log::info!("{name}: ECS accepted the task {}", task.task_arn);
        let recorded = RecordedTask {
            arn: task.task_arn.clone(),
            accepted_at: session.now(),
            containers: task.containers(),
            revision: task.revision(),
            ..RecordedTask::default()
        };
        self.phase =
            Phase::Watch(Watch::accepted(&recorded, task.last_status.as_deref().unwrap_or_default()));
        self.attempt.note(session, |record| record.accepted(recorded));
        self.watch(session)
    }

    /// Finds out what became of a StartTask.
    ///
    /// # Errors
    /// Those of [`Starter::look`], and of the questions to ECS.
    fn resolve_doubt(&mut self, session: &mut Session<'_>) -> Result<Next, Error> {
        self.take_lock(session)?;
        let mut records = self.records(session)?;
        records.retain(|record| record.in_flight_since.is_some());
        let Phase::InDoubt(in_doubt) = &mut self.phase else { return Ok(Next::At(session.now())) };
        if records.is_empty() {
            self.phase = Phase::Look;
            return Ok(Next::At(session.now()));
        }
        match in_doubt.look(&records, &mut self.attempt, &mut self.stale, session)? {
            Finding::Open(due) => Ok(Next::At(due)),
            Finding::Task(arn) => {
                let own = self.attempt.record.in_flight_since.is_some();
                log::info!(
                    "{}: the unanswered request may have started this task: {arn}",
                    self.attempt.definition
                );
                self.phase = Phase::Watch(Watch::adopted(&arn, own, session.now()));
                self.watch(session)
            }
            Finding::Died { task, reason } if self.attempt.record.in_flight_since.is_some() => {
                self.attempt.note(session, Record::settled);
                Ok(Next::End(Err(Error::Stopped { task, reason })))
            }
            Finding::Died { .. } => self.not_started(records, session.now(), session),
            Finding::NotStarted(again) => self.not_started(records, again, session),
        }
    }

    /// # Errors
    /// The last error of StartTask, when there is no time to send it again.
    fn not_started(
        &mut self,
        records: Vec<Record>,
        again: Duration,
        session: &Session<'_>,
    ) -> Result<Next, Error> {
        if self.attempt.record.in_flight_since.is_some() {
            self.attempt.change(session, |record| {
                record.settled();
                record.given_up = true;
            })?;
        }
        log::info!("{}: no task had been started; sending StartTask again", self.attempt.definition);
        self.attempt.closed.extend(records);
        self.phase = Phase::Look;
        Ok(Next::At(again))
    }

    /// # Errors
    /// The task stopped before it ran, or cannot be followed until the deadline.
    fn watch(&mut self, session: &mut Session<'_>) -> Result<Next, Error> {
        let Phase::Watch(watch) = &mut self.phase else { return Ok(Next::At(session.now())) };
        match watch.look(&mut self.attempt, session)? {
            Sight::Wait(due) => return Ok(Next::At(due)),
            Sight::Done(done) => return Ok(Next::End(Ok(done))),
            Sight::Reopened => {}
            Sight::Lost => log::warn!(
                "{}: neither the agent nor ECS shows the task that ECS accepted; starting another one unless it has appeared by now",
                self.attempt.definition
            ),
        }
        // Recorded as well, in case another run searches next.
        let arn = watch.arn().to_owned();
        self.attempt.note_task(session, &arn, |task| task.ended = true);
        self.attempt.ruled_out.push(arn);
        self.phase = Phase::Look;
        Ok(Next::At(session.now()))
    }

    /// By the retry table: when to retry, or the end.
    fn failed(&mut self, error: Error, session: &mut Session<'_>) -> Next {
        let now = session.now();
        let class = error.class();
        let delay = self.backoff.next_delay(class, now, session.context.clock.random());
        if matches!(class, Class::Refused | Class::Missing) {
            match session.has_registered_anew() {
                Ok(true) => return Next::Reregistered,
                Ok(false) => {}
                // Nothing is refused permanently before it is known to be about this instance.
                Err(agent) => return self.failed(agent, session),
            }
        }
        let Some(delay) = delay.map(|delay| delay.max(error.retry_after())) else {
            return Next::End(Err(error));
        };
        if class == Class::Unanswered {
            self.say(&error, "; checking whether the task was started", session);
            // Each garbled record looks like the other.
            self.attempt.closed.clear();
            self.phase = Phase::InDoubt(InDoubt::new(delay, Some(error)));
            return Next::At(now);
        }
        let again = now + delay;
        if again > self.attempt.deadline {
            return Next::End(Err(self.gave_up(error, session)));
        }
        let when = if delay.is_zero() { "immediately".to_owned() } else { format!("in {}", human(delay)) };
        self.say(&error, &format!("; retrying {when}"), session);
        session.adapt(&error);
        self.retrying = true;
        Next::At(again)
    }

    /// A task that exists but cannot be watched counts as not running yet.
    fn gave_up(&self, error: Error, session: &Session<'_>) -> Error {
        match &self.phase {
            Phase::Watch(watch) => watch.not_running(format!("in an unknown state: {error}")),
            _ => self.attempt.gave_up(error, session),
        }
    }

    /// Logs every failure of a call to ECS; of what is polled many times a second, only some.
    fn say(&mut self, error: &Error, what_next: &str, session: &Session<'_>) {
        let class = error.class();
        let waited = session.now().saturating_sub(self.attempt.began);
        let definition = &self.attempt.definition;
        let waiting = match class {
            Class::Agent => Some(format!("waiting for the ECS agent before continuing with {definition}")),
            Class::Locked => Some(format!("waiting for another run before continuing with {definition}")),
            Class::State => {
                Some(format!("waiting for the state directory before continuing with {definition}"))
            }
            _ => None,
        };
        match waiting {
            Some(what) if self.backoff.failures(class) > 1 => {
                self.attempt.beat(session, &what, |waited| error.message_after(waited));
            }
            first => {
                // For a wrong clock, the correction is logged instead.
                let level = if class == Class::Clock { log::Level::Debug } else { log::Level::Warn };
                // The hint speaks of the next run, but in doubt this run itself checks.
                let message =
                    if class == Class::Unanswered { error.to_string() } else { error.message_after(waited) };
                if let Some(what) = first {
                    session.context.host.status(&what);
                }
                log::log!(level, "{definition}: {message}{what_next}");
            }
        }
    }

    /// Records the end, if it is this run's to record, and announces when the unit makes its next attempt.
    pub(crate) fn end(&mut self, result: &Result<Done, Error>, session: &Session<'_>) {
        match result {
            Ok(_) => {
                let record = &self.attempt.record;
                let failed = session.context.host.under_unit() && record.failures > 0;
                if failed || record.last_error.is_some() {
                    self.attempt.note(session, |record| {
                        record.last_error = None;
                        if failed {
                            pause::reset(record);
                        }
                    });
                }
            }
            Err(error) if error.is_up_to_another() => {}
            Err(error) => {
                self.attempt.note_error(error, session);
                self.attempt.pause_after(error, session);
            }
        }
    }

    /// Records that a run ended well with it: once its task is gone, the next run starts another one.
    pub(crate) fn conclude(&mut self, session: &Session<'_>) {
        let ours = session.context.host.under_unit() || self.attempt.calls > 0;
        if ours && self.attempt.record.task.is_some() {
            self.attempt.note(session, |record| record.concluded = record.task.is_some());
        }
    }
}
