//! One task on its way: looked for, sent, watched.
//!
//! StartTask has no client token, so nobody but the caller can prevent a second task. The agent's list
//! is read before every StartTask; what was sent is on record before it is sent; an answer that is
//! missing is an open question, and only when it is closed is StartTask sent again.

use crate::definition::Definition;
use crate::error::{Error, exit};
use crate::ready::Heartbeat;
use crate::retry::{Class, PAUSE, Tries};
use crate::session::Session;
use crate::state::Record;
use crate::tasks::{self, Task};
use crate::text::human;
use serde_json::Value;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Duration;

/// How long a task of the previous boot is given to be corrected by the agent, and how often it is read.
const LEFTOVER: Duration = Duration::from_secs(5);
const LEFTOVER_POLL: Duration = Duration::from_secs(1);

/// How long the agent is watched for a task that may have been started.
const OPEN: Duration = Duration::from_secs(15);

/// How often the agent is asked about a task: often at first, as most start within seconds.
const WATCH_POLL: Duration = Duration::from_millis(250);
const WATCH_OFTEN: Duration = Duration::from_secs(10);
const WATCH_POLL_LATER: Duration = Duration::from_secs(1);

/// An accepted task that the agent has not shown for so long is taken for lost.
const LOST: Duration = Duration::from_secs(30 * 60);

/// Where a task is on its way.
#[derive(Debug)]
enum Stage {
    /// Is there one already? If not, send.
    Look,
    /// Sent, and nobody knows what became of it. Not sent again before `again`.
    Open {
        until: Duration,
        again: Duration,
        error: Option<Error>,
    },
    /// There is a task; follow it until it runs.
    Watch {
        arn: String,
        since: Duration,
        seen: bool,
        status: String,
        outcome: Success,
    },
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

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let success = match self.success {
            Success::Started => "started",
            Success::AlreadyRunning => "is there already",
        };
        write!(f, "{success}: {}", self.task)?;
        if self.status.is_empty() {
            Ok(())
        } else {
            write!(f, " ({})", self.status)
        }
    }
}

/// When to go on, or how it ended.
#[derive(Debug)]
pub(crate) enum Next {
    At(Duration),
    End(Result<Done, Error>),
}

#[derive(Debug)]
pub(crate) struct Job {
    definition: Definition,
    body: Value,
    record: Record,
    stage: Stage,
    tries: Tries,
    deadline: Duration,
    leftover_until: Option<Duration>,
    heartbeat: Heartbeat,
    pub(crate) attempts: u32,
    pub(crate) began: Duration,
    pub(crate) due: Duration,
}

impl Job {
    /// Goes on where an earlier run of this boot left off. Under a unit, the pause that was announced
    /// is kept, and does not count against `timeout`.
    ///
    /// # Errors
    /// A record that cannot be read.
    pub(crate) fn new(
        definition: Definition,
        body: Value,
        session: &Session<'_>,
        deadline: Duration,
    ) -> Result<Self, Error> {
        let now = session.now();
        let record = session.state.load(&definition.family, digest(&body))?;
        let resume = record
            .resume
            .filter(|_| session.world.host.under_unit())
            .map_or(now, |r| r.max(now));
        if resume > now {
            log::info!(
                "{definition}: attempt {} is made in {}, as the last one failed",
                record.failures + 1,
                human(resume - now)
            );
        }
        let stage = Stage::after(&record, now);
        Ok(Job {
            definition,
            body,
            record,
            stage,
            tries: Tries::default(),
            deadline: deadline + (resume - now),
            leftover_until: None,
            heartbeat: Heartbeat::new(now),
            attempts: 0,
            began: now,
            due: resume,
        })
    }

    pub(crate) fn name(&self) -> String {
        self.definition.to_string()
    }

    /// Whether a task may exist that the agent does not show yet, so that another run must not look.
    pub(crate) fn holds_lock(&self) -> bool {
        matches!(
            self.stage,
            Stage::Open { .. } | Stage::Watch { seen: false, .. }
        )
    }

    /// One step; whatever fails is either retried, by the retry table, or the end.
    pub(crate) fn step(&mut self, session: &mut Session<'_>) -> Next {
        let step = match &self.stage {
            Stage::Look => self.look(session),
            Stage::Open { .. } => self.find_out(session),
            Stage::Watch { .. } => self.watch(session),
        };
        let next = step.unwrap_or_else(|error| self.failed(error, session));
        match next {
            Next::End(result) => Next::End(self.end(result, session)),
            at => at,
        }
    }

    /// The agent's list, and StartTask when there is no such task on it.
    fn look(&mut self, session: &mut Session<'_>) -> Result<Next, Error> {
        self.lock(session)?;
        if !matches!(self.stage, Stage::Look) {
            return Ok(Next::At(session.now()));
        }
        let tasks = tasks::of_definition(
            session.world.local,
            &session.settings.agent_url,
            &self.definition,
        )?;
        let present = tasks.iter().find(|t| t.is_present());
        match present.filter(|_| session.settings.skip_if_running) {
            Some(task) if self.may_be_leftover(task, session) => {
                Ok(Next::At(session.now() + LEFTOVER_POLL))
            }
            Some(task) => {
                self.stage = Stage::found(task, session.now());
                self.watch(session)
            }
            None => self.send(&tasks, session),
        }
    }

    /// Under the lock the record is what the last run left, whoever that was.
    fn lock(&mut self, session: &mut Session<'_>) -> Result<(), Error> {
        session.take_lock()?;
        self.record = session
            .state
            .load(&self.definition.family, self.record.request)?;
        if self.record.sent.is_none() || matches!(self.stage, Stage::Look) {
            self.stage = Stage::after(&self.record, session.now());
        }
        Ok(())
    }

    /// Just after a boot the agent may still call a task of the previous boot RUNNING. If it stands by
    /// that, it is believed: the clock may have been stepped since the task started.
    fn may_be_leftover(&mut self, task: &Task, session: &Session<'_>) -> bool {
        let clock = session.world.clock;
        let now = clock.uptime();
        let boot = clock.now().checked_sub(now);
        if !boot.is_some_and(|boot| task.is_older_than(boot)) {
            return false;
        }
        let until = *self.leftover_until.get_or_insert_with(|| {
            log::info!(
                "{}: {} was started before this boot; the agent is given {} to correct itself",
                self.definition,
                task.arn,
                human(LEFTOVER)
            );
            now + LEFTOVER
        });
        now < until
    }

    fn send(&mut self, tasks: &[Task], session: &mut Session<'_>) -> Result<Next, Error> {
        let now = session.now();
        self.record.sent = Some(now);
        self.record.before = tasks.iter().map(|t| t.arn.clone()).collect();
        session.state.save(&self.definition.family, &self.record)?;
        self.attempts += 1;
        session.refresh_credentials();
        session
            .world
            .host
            .status(&format!("starting {}", self.definition));
        let task = session.start_task(&self.body, &self.definition.to_string(), self.deadline)?;
        log::info!(
            "{}: ECS accepted the task {}",
            self.definition,
            task.task_arn
        );
        self.accepted(task.task_arn, task.last_status.unwrap_or_default(), session)
    }

    /// A task of ours exists: put it on record and follow it.
    fn accepted(
        &mut self,
        arn: String,
        status: String,
        session: &mut Session<'_>,
    ) -> Result<Next, Error> {
        let now = session.now();
        self.record.sent = None;
        self.record.task = Some((arn.clone(), now));
        session.state.save(&self.definition.family, &self.record)?;
        self.stage = Stage::Watch {
            arn,
            since: now,
            seen: false,
            status,
            outcome: Success::Started,
        };
        self.watch(session)
    }

    /// The open question: was the task started?
    fn find_out(&mut self, session: &mut Session<'_>) -> Result<Next, Error> {
        self.lock(session)?;
        let Stage::Open { until, again, .. } = self.stage else {
            return Ok(Next::At(session.now()));
        };
        let tasks = tasks::of_definition(
            session.world.local,
            &session.settings.agent_url,
            &self.definition,
        )?;
        let is_new = |arn: &str| !self.record.before.iter().any(|b| b == arn);
        let mut found = tasks.iter().map(|t| t.arn.clone()).find(|arn| is_new(arn));
        let now = session.now();
        if found.is_none() && now < until {
            self.heartbeat.beat(
                session.world.host,
                now,
                &format!("finding out whether {} was started", self.definition),
                String::new,
            );
            return Ok(Next::At((now + WATCH_POLL_LATER).min(until)));
        }
        if found.is_none() {
            found = session
                .listed_tasks(&self.definition.family, self.deadline)
                .into_iter()
                .find(|arn| is_new(arn));
        }
        match found {
            Some(arn) => {
                log::info!(
                    "{}: the task had been started after all: {arn}",
                    self.definition
                );
                self.accepted(arn, String::new(), session)
            }
            None => self.ask_again(again, session),
        }
    }

    /// The question is closed: nothing was started.
    fn ask_again(&mut self, again: Duration, session: &mut Session<'_>) -> Result<Next, Error> {
        self.record.sent = None;
        session.state.save(&self.definition.family, &self.record)?;
        let error = match std::mem::replace(&mut self.stage, Stage::Look) {
            Stage::Open { error, .. } => error,
            _ => None,
        };
        match error {
            Some(error) if again > self.deadline => {
                Ok(Next::End(Err(self.gave_up(error, session))))
            }
            _ => {
                log::info!("{}: no task was started; it is sent again", self.definition);
                Ok(Next::At(again.max(session.now())))
            }
        }
    }

    fn watch(&mut self, session: &mut Session<'_>) -> Result<Next, Error> {
        let Stage::Watch {
            arn,
            since,
            seen,
            status,
            outcome,
        } = &mut self.stage
        else {
            return Ok(Next::At(session.now()));
        };
        let wait = session.settings.wait;
        let now = session.world.clock.uptime();
        let task = tasks::one(session.world.local, &session.settings.agent_url, arn);
        // Whoever does not wait takes ECS's word, even while the agent cannot be asked.
        let task = if wait {
            task?
        } else {
            task.unwrap_or_default()
        };
        if let Some(task) = &task {
            *seen = true;
            status.clone_from(&task.known_status);
        }
        let done = || Done {
            success: *outcome,
            task: arn.clone(),
            status: status.clone(),
        };
        let lost = task.is_none() && !*seen && now.saturating_sub(*since) > LOST;
        match task {
            Some(task) if task.is_stopped() && !task.ever_started() => {
                let reason = session.stopped_reason(arn, self.deadline);
                Err(Error::Stopped {
                    definition: self.definition.to_string(),
                    task: arn.clone(),
                    reason,
                })
            }
            Some(task) if task.is_running() || task.is_stopped() => {
                self.record.ran = true;
                Ok(Next::End(Ok(done())))
            }
            None if self.record.ran || !wait && !lost => Ok(Next::End(Ok(done()))),
            _ if lost => self.lost(session),
            _ if !wait => Ok(Next::End(Ok(done()))),
            _ if now >= self.deadline => {
                let status = if *seen {
                    status.clone()
                } else {
                    "not known to the agent yet".to_owned()
                };
                Err(Error::NotRunning {
                    definition: self.definition.to_string(),
                    task: arn.clone(),
                    status,
                })
            }
            _ => Ok(self.keep_watching(now, session)),
        }
    }

    fn keep_watching(&mut self, now: Duration, session: &Session<'_>) -> Next {
        let Stage::Watch {
            since,
            seen,
            status,
            ..
        } = &self.stage
        else {
            return Next::At(now);
        };
        let waited = now.saturating_sub(*since);
        let state = if *seen {
            status
        } else {
            "not known to the agent yet"
        };
        let what = format!(
            "waiting for {} to run ({state}, {})",
            self.definition,
            human(Duration::from_secs(waited.as_secs()))
        );
        let poll = if waited < WATCH_OFTEN {
            WATCH_POLL
        } else {
            WATCH_POLL_LATER
        };
        self.heartbeat
            .beat(session.world.host, now, &what, String::new);
        Next::At((now + poll).min(self.deadline.max(now)))
    }

    fn lost(&mut self, session: &mut Session<'_>) -> Result<Next, Error> {
        log::warn!(
            "{}: the agent has never shown the task that ECS accepted; it is taken for lost",
            self.definition
        );
        self.record.task = None;
        self.stage = Stage::Look;
        session.state.save(&self.definition.family, &self.record)?;
        Ok(Next::At(session.now()))
    }

    /// By the retry table: when to try again, or that it is the end.
    fn failed(&mut self, error: Error, session: &mut Session<'_>) -> Next {
        let now = session.now();
        let class = error.class();
        if let Err(error) = self.settle(class, session) {
            return Next::End(Err(error));
        }
        let Some(pause) = self.tries.after(class, now, session.world.clock.random()) else {
            return Next::End(Err(error));
        };
        let pause = pause.max(error.retry_after());
        if class == Class::Unanswered {
            self.say(
                &error,
                &format!("; finding out for {}", human(OPEN)),
                session,
            );
            self.stage = Stage::Open {
                until: now + OPEN,
                again: now + pause,
                error: Some(error),
            };
            return Next::At(now);
        }
        if now + pause > self.deadline {
            return Next::End(Err(self.gave_up(error, session)));
        }
        if let Err(error) = self.prepare_retry(class, &error, session) {
            return Next::End(Err(error));
        }
        self.say(
            &error,
            &format!("; trying again in {}", human(pause)),
            session,
        );
        Next::At(now + pause)
    }

    /// An answer that tells closes the record's question; one that does not leaves it open.
    fn settle(&mut self, class: Class, session: &Session<'_>) -> Result<(), Error> {
        let asked = matches!(self.stage, Stage::Look) && self.record.sent.is_some();
        if !asked || class == Class::Unanswered {
            return Ok(());
        }
        self.record.sent = None;
        session.state.save(&self.definition.family, &self.record)
    }

    fn prepare_retry(
        &self,
        class: Class,
        error: &Error,
        session: &mut Session<'_>,
    ) -> Result<(), Error> {
        match class {
            Class::Credentials => session.renew_credentials(),
            Class::Clock => {
                session.correct_clock(error.skew());
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Every failure at ECS is said; what is asked many times in a second only now and then.
    fn say(&mut self, error: &Error, what_next: &str, session: &Session<'_>) {
        let often = matches!(error.class(), Class::Agent | Class::Locked)
            && self.tries.failures(error.class()) > 1;
        if often {
            let what = format!("{}: still waiting", self.definition);
            self.heartbeat
                .beat(session.world.host, session.now(), &what, || {
                    error.to_string()
                });
        } else {
            log::warn!("{}: {error}{what_next}", self.definition);
        }
    }

    fn gave_up(&self, last: Error, session: &Session<'_>) -> Error {
        Error::GaveUp {
            after: session.now() - self.began,
            last: Box::new(last),
        }
    }

    /// Puts the end on record. What dies or is refused for good is not tried again at once by a
    /// restarted unit: thousands of instances would do it together.
    fn end(
        &mut self,
        result: Result<Done, Error>,
        session: &mut Session<'_>,
    ) -> Result<Done, Error> {
        if let Err(error) = &result
            && matches!(
                error.exit_code(),
                exit::STOPPED | exit::REFUSED | exit::NOT_ALLOWED
            )
        {
            self.record.failures += 1;
            let pause = PAUSE.pause(
                self.record.failures,
                Duration::ZERO,
                session.world.clock.random(),
            );
            self.record.resume = Some(session.now() + pause);
            self.record.task = None;
            if session.world.host.under_unit() {
                let at = humantime::format_rfc3339_seconds(session.world.clock.now() + pause);
                log::info!(
                    "{}: the next attempt is made at {at}, in {}",
                    self.definition,
                    human(pause)
                );
            }
        }
        session.state.save(&self.definition.family, &self.record)?;
        result
    }

    /// Whether the record is still needed after a run in which all went well: only when the agent does
    /// not show the task yet, so that the next run could not see it.
    pub(crate) fn record_is_done(&self) -> bool {
        !matches!(self.stage, Stage::Watch { seen: false, .. })
    }

    pub(crate) fn family(&self) -> &str {
        &self.definition.family
    }
}

impl Stage {
    /// Where the record says that an earlier run stopped.
    fn after(record: &Record, now: Duration) -> Stage {
        match &record.task {
            Some((arn, since)) => Stage::Watch {
                arn: arn.clone(),
                since: *since,
                seen: false,
                status: String::new(),
                outcome: Success::AlreadyRunning,
            },
            None if record.sent.is_some() => Stage::Open {
                until: now + OPEN,
                again: now,
                error: None,
            },
            None => Stage::Look,
        }
    }

    fn found(task: &Task, now: Duration) -> Stage {
        Stage::Watch {
            arn: task.arn.clone(),
            since: now,
            seen: true,
            status: task.known_status.clone(),
            outcome: Success::AlreadyRunning,
        }
    }
}

/// Tells requests apart; good for one boot and one version of this program.
fn digest(body: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    body.to_string().hash(&mut hasher);
    hasher.finish()
}
