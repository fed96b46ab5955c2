//! One task on its way: looked for, sent, watched.
//!
//! StartTask has no client token, so nobody but the caller can prevent a second task. The agent's list
//! is read before every StartTask; what is sent is on record before it is sent; an answer that is
//! missing is an open question, and only when it is closed is StartTask sent again.

use crate::definition::Definition;
use crate::error::Error;
use crate::leftover::{self, Leftover};
use crate::question::{Finding, Question};
use crate::retry::{Class, Tries};
use crate::session::Session;
use crate::stage::Stage;
use crate::tasks::Task;
use crate::text::human;
use crate::ticket::Ticket;
use crate::watch::{Done, Sight, Watch};
use serde_json::Value;
use std::time::Duration;

/// When to go on, or how it ended.
#[derive(Debug)]
pub(crate) enum Next {
    At(Duration),
    End(Result<Done, Error>),
}

#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) ticket: Ticket,
    pub(crate) stage: Stage,
    tries: Tries,
    leftover: Leftover,
    pub(crate) due: Duration,
}

impl Job {
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
        let mut ticket = Ticket::new(definition, body, session, deadline)?;
        let due = ticket.resume(session);
        let stage = Stage::after(&ticket.record, due);
        Ok(Job { ticket, stage, tries: Tries::default(), leftover: Leftover::default(), due })
    }

    /// One step; whatever fails is either retried, by the retry table, or the end.
    pub(crate) fn step(&mut self, session: &mut Session<'_>) -> Next {
        let step = match &self.stage {
            Stage::Look => self.look(session),
            Stage::Ask(_) => self.ask(session),
            Stage::Watch(_) => self.watch(session),
        };
        match step.unwrap_or_else(|error| self.failed(error, session)) {
            Next::End(result) => Next::End(self.end(result, session)),
            at @ Next::At(_) => at,
        }
    }

    /// The agent's list, and StartTask when there is no such task on it.
    fn look(&mut self, session: &mut Session<'_>) -> Result<Next, Error> {
        session.take_lock()?;
        self.ticket.reload(session)?;
        self.stage = Stage::after(&self.ticket.record, session.now());
        if !matches!(self.stage, Stage::Look) {
            return Ok(Next::At(session.now()));
        }
        let tasks = self.ticket.tasks(session)?;
        let present = tasks.iter().find(|t| t.is_of(&self.ticket.definition) && t.is_present());
        match present.filter(|_| session.settings.skip_if_running) {
            Some(task) if self.leftover.may_be(task, session) => Ok(Next::At(session.now() + leftover::POLL)),
            Some(task) => {
                self.stage = Stage::Watch(Watch::found(task, session.now()));
                self.watch(session)
            }
            None => self.send(&tasks, session),
        }
    }

    fn send(&mut self, tasks: &[Task], session: &mut Session<'_>) -> Result<Next, Error> {
        if self.ticket.attempts == 0 && session.now() > self.ticket.deadline {
            // The others took all the time; whatever is sent now may become a question that stays open. A retry
            // that is a moment late is made, for its answer tells more than that.
            return Err(Error::NoTime);
        }
        session.prepare_credentials()?;
        self.ticket.record.sent = Some(session.now());
        self.ticket.record.before = tasks.iter().map(|t| t.arn.clone()).collect();
        self.ticket.save(session)?;
        self.ticket.attempts += 1;
        let name = self.ticket.name();
        session.world.host.status(&format!("starting {name}"));
        let task = session.start_task(&self.ticket.body, self.ticket.deadline)?;
        log::info!("{name}: ECS accepted the task {}", task.task_arn);
        self.accepted(task.task_arn, task.last_status.unwrap_or_default(), session)
    }

    /// A task of ours exists: put it on record and follow it.
    fn accepted(&mut self, arn: String, status: String, session: &mut Session<'_>) -> Result<Next, Error> {
        let now = session.now();
        self.ticket.record.sent = None;
        self.ticket.record.task = Some((arn.clone(), now));
        self.stage = Stage::Watch(Watch::accepted(arn, status, now));
        self.ticket.note(session);
        self.watch(session)
    }

    fn ask(&mut self, session: &mut Session<'_>) -> Result<Next, Error> {
        session.take_lock()?;
        self.ticket.reload(session)?;
        if self.ticket.record.sent.is_none() {
            self.stage = Stage::after(&self.ticket.record, session.now());
        }
        let Stage::Ask(question) = &mut self.stage else { return Ok(Next::At(session.now())) };
        let name = &self.ticket.definition.to_string();
        match question.look(&mut self.ticket, session)? {
            Finding::Open(due) => Ok(Next::At(due)),
            Finding::Started(arn) => {
                log::info!("{name}: the task had been started after all: {arn}");
                self.accepted(arn, String::new(), session)
            }
            Finding::NotStarted(again) => {
                log::info!("{name}: no task had been started; it is sent again");
                self.ticket.record.sent = None;
                self.stage = Stage::Look;
                self.ticket.save(session)?;
                Ok(Next::At(again))
            }
        }
    }

    fn watch(&mut self, session: &mut Session<'_>) -> Result<Next, Error> {
        let Stage::Watch(watch) = &mut self.stage else { return Ok(Next::At(session.now())) };
        match watch.look(&mut self.ticket, session)? {
            Sight::Wait(due) => Ok(Next::At(due)),
            Sight::Done(done) => Ok(Next::End(Ok(done))),
            Sight::Lost => {
                session.take_lock()?;
                self.ticket.reload(session)?;
                // Another run may have found out the same and gone on.
                if matches!(&self.stage, Stage::Watch(watch) if watch.is_of(&self.ticket.record)) {
                    log::warn!(
                        "{}: the agent never showed the task that ECS accepted; one more is started unless it is here by now",
                        self.ticket.definition
                    );
                    self.ticket.record.task = None;
                    self.ticket.save(session)?;
                }
                self.stage = Stage::Look;
                Ok(Next::At(session.now()))
            }
        }
    }

    /// By the retry table: when to try again, or that it is the end.
    fn failed(&mut self, error: Error, session: &mut Session<'_>) -> Next {
        let now = session.now();
        let class = error.class();
        let pause = self.tries.after(class, now, session.world.clock.random());
        self.settle(class, session);
        let Some(pause) = pause.map(|pause| pause.max(error.retry_after())) else {
            return Next::End(Err(error));
        };
        let again = now + pause;
        if class == Class::Unanswered {
            self.say(&error, "; finding out", session);
            self.stage = Stage::Ask(Question::new(now, again, Some(error)));
            return Next::At(now);
        }
        if again > self.ticket.deadline {
            return Next::End(Err(self.gave_up(error, session)));
        }
        let when = if pause.is_zero() { "at once".to_owned() } else { format!("in {}", human(pause)) };
        self.say(&error, &format!("; trying again {when}"), session);
        match class {
            Class::Credentials => session.caller.refused = true,
            Class::Clock => session.correct_clock(error.skew()),
            _ => {}
        }
        Next::At(again)
    }

    /// A task that is there and cannot be watched is one that is not known to run yet.
    fn gave_up(&self, error: Error, session: &Session<'_>) -> Error {
        match &self.stage {
            Stage::Watch(watch) => watch.not_running(format!("not known, for {error}")),
            _ => self.ticket.gave_up(error, session),
        }
    }

    /// An answer that tells closes the record's question; one that does not leaves it open.
    fn settle(&mut self, class: Class, session: &Session<'_>) {
        let answered = class != Class::Unanswered && matches!(self.stage, Stage::Look);
        if answered && self.ticket.record.sent.take().is_some() {
            self.ticket.note(session);
        }
    }

    /// Every failure at ECS is said; what is asked many times in a second only now and then.
    fn say(&mut self, error: &Error, what_next: &str, session: &Session<'_>) {
        let class = error.class();
        let definition = &self.ticket.definition;
        let waiting = match class {
            Class::Agent => Some(format!("waiting for the ECS agent, to go on with {definition}")),
            Class::Locked => Some(format!("waiting for another run, to go on with {definition}")),
            _ => None,
        };
        match waiting {
            Some(what) if self.tries.failures(class) > 1 => {
                self.ticket.beat(session, &what, || error.told());
            }
            first => {
                // Of a clock that is off, its correction is told.
                let level = if class == Class::Clock { log::Level::Debug } else { log::Level::Warn };
                // Of an open question, this run is the next one that finds out.
                let told = if class == Class::Unanswered { error.to_string() } else { error.told() };
                if let Some(what) = first {
                    session.world.host.status(&what);
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
            self.ticket.announce_pause(error, session);
        }
        self.ticket.note(session);
        result
    }
}
