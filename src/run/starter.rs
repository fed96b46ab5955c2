//! One task on its way: looked for, sent, watched.
//!
//! StartTask has no client token, so nobody but the caller can prevent a second task. The agent's list
//! is read before every StartTask; what is sent is on record before it is sent; an answer that is
//! missing is an open question, and only when it is closed is StartTask sent again.

use crate::aws::definition::Definition;
use crate::aws::tasks::Task;
use crate::error::Error;
use crate::error::class::Class;
use crate::run::attempt::Attempt;
use crate::run::backoff::Backoff;
use crate::run::in_doubt::{Finding, InDoubt};
use crate::run::outcome::Done;
use crate::run::phase::Phase;
use crate::run::session::Session;
use crate::run::stale;
use crate::run::stale::StaleTask;
use crate::run::watch::{Sight, Watch};
use crate::text::human;
use serde_json::Value;
use std::time::Duration;

/// When to go on, or how it ended.
#[derive(Debug)]
pub(crate) enum Next {
    At(Duration),
    End(Result<Done, Error>),
}

#[derive(Debug)]
pub(crate) struct Starter {
    pub(crate) attempt: Attempt,
    pub(crate) phase: Phase,
    tries: Backoff,
    stale: StaleTask,
    pub(crate) due: Duration,
}

impl Starter {
    /// Goes on where an earlier run of this boot left off.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub(crate) fn new(
        definition: Definition,
        body: Value,
        session: &Session<'_>,
        deadline: Duration,
    ) -> Result<Self, Error> {
        let mut attempt = Attempt::new(definition, body, session, deadline)?;
        let due = attempt.resume(session);
        let phase = Phase::after(&attempt.record, due);
        Ok(Starter { attempt, phase, tries: Backoff::default(), stale: StaleTask::default(), due })
    }

    /// One step; whatever fails is either retried, by the retry table, or the end.
    pub(crate) fn step(&mut self, session: &mut Session<'_>) -> Next {
        let step = match &self.phase {
            Phase::Look => self.look(session),
            Phase::Ask(_) => self.ask(session),
            Phase::Watch(_) => self.watch(session),
        };
        match step.unwrap_or_else(|error| self.failed(error, session)) {
            Next::End(result) => Next::End(self.end(result, session)),
            at @ Next::At(_) => at,
        }
    }

    /// The agent's list, and StartTask when there is no such task on it.
    fn look(&mut self, session: &mut Session<'_>) -> Result<Next, Error> {
        session.take_lock()?;
        self.attempt.reload(session)?;
        self.phase = Phase::after(&self.attempt.record, session.now());
        if !matches!(self.phase, Phase::Look) {
            return Ok(Next::At(session.now()));
        }
        let tasks = self.attempt.tasks(session)?;
        let present = tasks.iter().find(|t| t.is_of(&self.attempt.definition) && t.is_present());
        match present.filter(|_| session.settings.skip_if_running) {
            Some(task) if self.stale.may_be(task, session) => Ok(Next::At(session.now() + stale::POLL)),
            Some(task) => {
                self.phase = Phase::Watch(Watch::found(task, session.now()));
                self.watch(session)
            }
            None => self.send(&tasks, session),
        }
    }

    fn send(&mut self, tasks: &[Task], session: &mut Session<'_>) -> Result<Next, Error> {
        if self.attempt.attempts == 0 && session.now() > self.attempt.deadline {
            // The others took all the time; whatever is sent now may become a question that stays open. A retry
            // that is a moment late is made, for its answer tells more than that.
            return Err(Error::NoTime);
        }
        session.prepare_credentials()?;
        self.attempt.record.sent = Some(session.now());
        self.attempt.record.before = tasks.iter().map(|t| t.arn.clone()).collect();
        self.attempt.save(session)?;
        self.attempt.attempts += 1;
        let name = self.attempt.name();
        session.context.host.status(&format!("starting {name}"));
        let task = session.start_task(&self.attempt.body, self.attempt.deadline)?;
        log::info!("{name}: ECS accepted the task {}", task.task_arn);
        self.accepted(task.task_arn, task.last_status.unwrap_or_default(), session)
    }

    /// A task of ours exists: put it on record and follow it.
    fn accepted(&mut self, arn: String, status: String, session: &mut Session<'_>) -> Result<Next, Error> {
        let now = session.now();
        self.attempt.record.sent = None;
        self.attempt.record.task = Some((arn.clone(), now));
        self.phase = Phase::Watch(Watch::accepted(arn, status, now));
        self.attempt.note(session);
        self.watch(session)
    }

    fn ask(&mut self, session: &mut Session<'_>) -> Result<Next, Error> {
        session.take_lock()?;
        self.attempt.reload(session)?;
        if self.attempt.record.sent.is_none() {
            self.phase = Phase::after(&self.attempt.record, session.now());
        }
        let Phase::Ask(question) = &mut self.phase else { return Ok(Next::At(session.now())) };
        let name = &self.attempt.definition.to_string();
        match question.look(&mut self.attempt, session)? {
            Finding::Open(due) => Ok(Next::At(due)),
            Finding::Started(arn) => {
                log::info!("{name}: the task had been started after all: {arn}");
                self.accepted(arn, String::new(), session)
            }
            Finding::NotStarted(again) => {
                log::info!("{name}: no task had been started; it is sent again");
                self.attempt.record.sent = None;
                self.phase = Phase::Look;
                self.attempt.save(session)?;
                Ok(Next::At(again))
            }
        }
    }

    fn watch(&mut self, session: &mut Session<'_>) -> Result<Next, Error> {
        let Phase::Watch(watch) = &mut self.phase else { return Ok(Next::At(session.now())) };
        match watch.look(&mut self.attempt, session)? {
            Sight::Wait(due) => Ok(Next::At(due)),
            Sight::Done(done) => Ok(Next::End(Ok(done))),
            Sight::Lost => {
                session.take_lock()?;
                self.attempt.reload(session)?;
                // Another run may have found out the same and gone on.
                if matches!(&self.phase, Phase::Watch(watch) if watch.is_of(&self.attempt.record)) {
                    log::warn!(
                        "{}: the agent never showed the task that ECS accepted; one more is started unless it is here by now",
                        self.attempt.definition
                    );
                    self.attempt.record.task = None;
                    self.attempt.save(session)?;
                }
                self.phase = Phase::Look;
                Ok(Next::At(session.now()))
            }
        }
    }

    /// By the retry table: when to try again, or that it is the end.
    fn failed(&mut self, error: Error, session: &mut Session<'_>) -> Next {
        let now = session.now();
        let class = error.class();
        let pause = self.tries.next_delay(class, now, session.context.clock.random());
        self.settle(class, session);
        let Some(pause) = pause.map(|pause| pause.max(error.retry_after())) else {
            return Next::End(Err(error));
        };
        let again = now + pause;
        if class == Class::Unanswered {
            self.say(&error, "; finding out", session);
            self.phase = Phase::Ask(InDoubt::new(now, again, Some(error)));
            return Next::At(now);
        }
        if again > self.attempt.deadline {
            return Next::End(Err(self.gave_up(error, session)));
        }
        let when = if pause.is_zero() { "at once".to_owned() } else { format!("in {}", human(pause)) };
        self.say(&error, &format!("; trying again {when}"), session);
        match class {
            Class::CredentialsRejected => session.caller.refused = true,
            Class::Clock => session.correct_clock(error.skew()),
            _ => {}
        }
        Next::At(again)
    }

    /// A task that is there and cannot be watched is one that is not known to run yet.
    fn gave_up(&self, error: Error, session: &Session<'_>) -> Error {
        match &self.phase {
            Phase::Watch(watch) => watch.not_running(format!("not known, for {error}")),
            _ => self.attempt.gave_up(error, session),
        }
    }

    /// An answer that tells closes the record's question; one that does not leaves it open.
    fn settle(&mut self, class: Class, session: &Session<'_>) {
        let answered = class != Class::Unanswered && matches!(self.phase, Phase::Look);
        if answered && self.attempt.record.sent.take().is_some() {
            self.attempt.note(session);
        }
    }

    /// Every failure at ECS is said; what is asked many times in a second only now and then.
    fn say(&mut self, error: &Error, what_next: &str, session: &Session<'_>) {
        let class = error.class();
        let definition = &self.attempt.definition;
        let waiting = match class {
            Class::Agent => Some(format!("waiting for the ECS agent, to go on with {definition}")),
            Class::Locked => Some(format!("waiting for another run, to go on with {definition}")),
            _ => None,
        };
        match waiting {
            Some(what) if self.tries.failures(class) > 1 => {
                self.attempt.beat(session, &what, || error.message_with_hint());
            }
            first => {
                // Of a clock that is off, its correction is told.
                let level = if class == Class::Clock { log::Level::Debug } else { log::Level::Warn };
                // Of an open question, this run is the next one that finds out.
                let told =
                    if class == Class::Unanswered { error.to_string() } else { error.message_with_hint() };
                if let Some(what) = first {
                    session.context.host.status(&what);
                }
                log::log!(level, "{definition}: {told}{what_next}");
            }
        }
    }

    /// Puts the end on record.
    fn end(&mut self, result: Result<Done, Error>, session: &Session<'_>) -> Result<Done, Error> {
        if let Err(error) = &result {
            if error.is_locked() {
                // The record is the other run's.
                return result;
            }
            self.attempt.announce_pause(error, session);
        }
        self.attempt.note(session);
        result
    }
}
