//! One task that is kept: its first start, its deaths and its restarts.

use crate::aws::definition::Definition;
use crate::aws::described::DescribedTask;
use crate::aws::ecs;
use crate::aws::tasks::Task;
use crate::config::settings::Restart;
use crate::error::Error;
use crate::error::class::exit;
use crate::request::Planned;
use crate::request::template::Template;
use crate::run::attempt::Attempt;
use crate::run::host_values::Resolution;
use crate::run::keep::decide::{self, Ending, FOREIGN_PATIENCE, Listed, Presence, Verdict};
use crate::run::keep::inquiry::{self, Answer, Inquiry};
use crate::run::keep::leaving::Leaving;
use crate::run::outcome::{Done, Outcome, Success};
use crate::run::record::{Key, LastStop, Record, USER_INITIATED};
use crate::run::session::Session;
use crate::run::starter::{Next, Starter};
use crate::text::human;
use std::time::Duration;

/// The first and the longest interval between DescribeTasks calls about a task that the agent does not list.
const ASKED_AGAIN: Duration = Duration::from_secs(10);
const ASKED_RARELY: Duration = Duration::from_secs(15 * 60);

/// The state of one kept task.
#[derive(Debug)]
enum Phase {
    /// Not running; the next start is due at this uptime.
    Waiting(Duration),
    Starting(Box<Starter>),
    Running,
    /// Not restarted.
    Over,
}

/// One configured task and what this process knows about it.
#[derive(Debug)]
pub(super) struct Entry {
    name: String,
    /// `None` if the configuration of this task is invalid.
    template: Option<Template>,
    /// The resolved task definition, once host values are known.
    definition: Option<Definition>,
    phase: Phase,
    /// The outcome of the first start, until reported.
    pub(super) outcome: Option<Outcome>,
    /// The last attempt, which holds the record.
    attempt: Option<Attempt>,
    /// The running task, or the last one; empty before the first.
    arn: String,
    /// Whether this program started that task.
    ours: bool,
    /// When the task was first seen running.
    since: Duration,
    presence: Presence,
    /// When ECS may be called again about a task that the agent does not list, and the interval after that.
    ask_again: Duration,
    ask_interval: Duration,
    /// Deaths in a row.
    deaths: u32,
    inquiry: Option<Inquiry>,
    /// Whether the task is restarted depends on the inquiry.
    undecided: bool,
    /// It was logged that on-failure acts as always.
    warned: bool,
}

impl Entry {
    pub(super) fn new(planned: Planned) -> Self {
        let (template, outcome) = match planned.template {
            Ok(template) => (Some(template), None),
            Err(wrong) => (None, Some(Outcome::untried(planned.name.clone(), wrong.into()))),
        };
        Entry {
            name: planned.name,
            phase: if template.is_some() { Phase::Waiting(Duration::ZERO) } else { Phase::Over },
            template,
            definition: None,
            outcome,
            attempt: None,
            arn: String::new(),
            ours: false,
            since: Duration::ZERO,
            presence: Presence::default(),
            ask_again: Duration::ZERO,
            ask_interval: ASKED_AGAIN,
            deaths: 0,
            inquiry: None,
            undecided: false,
            warned: false,
        }
    }

    pub(super) fn has_failed(&self) -> bool {
        self.outcome.as_ref().is_some_and(|outcome| outcome.result.is_err())
    }

    /// The key of its record, once an attempt has ended.
    pub(super) fn key(&self) -> Option<&Key> {
        self.attempt.as_ref().map(Attempt::key)
    }

    /// The resolved family, once known, and the name as configured.
    pub(super) fn family(&self) -> Option<(String, String)> {
        self.definition.as_ref().map(|definition| (definition.family.clone(), self.name.clone()))
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting(_))
    }

    pub(super) fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Starting(_))
    }

    /// Whether neither a start nor an inquiry is pending.
    pub(super) fn is_quiet(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Over) && self.inquiry.is_none()
    }

    pub(super) fn may_hide_a_task(&self) -> bool {
        matches!(&self.phase, Phase::Starting(starter) if starter.may_hide_a_task())
    }

    /// Forgets what was known about the previous container instance.
    pub(super) fn start_over(&mut self, now: Duration) {
        if self.template.is_some() {
            (self.phase, self.presence) = (Phase::Waiting(now), Presence::default());
            (self.inquiry, self.undecided) = (None, false);
        }
    }

    /// When the next step is due.
    pub(super) fn due(&self) -> Option<Duration> {
        let step = match &self.phase {
            Phase::Waiting(due) if !self.undecided => Some(*due),
            Phase::Starting(starter) => Some(starter.due),
            _ => None,
        };
        [step, self.inquiry.as_ref().map(|inquiry| inquiry.due)].into_iter().flatten().min()
    }

    /// Does what is due; `false` if the agent has registered as another container instance.
    pub(super) fn step(
        &mut self,
        leaving: &mut Leaving,
        families: &[(String, String)],
        deadline: Duration,
        session: &mut Session<'_>,
    ) -> bool {
        let now = session.now();
        let leaves = leaving.reason(session.context.clock.now()).is_some();
        if self.inquiry.as_ref().is_some_and(|inquiry| inquiry.due <= now) {
            self.inquire(session);
        }
        match &self.phase {
            Phase::Waiting(due) if *due <= now && !self.undecided && !leaves => {
                if session.is_of_another_instance(true) {
                    return false;
                }
                self.begin(families, deadline, session);
                true
            }
            Phase::Starting(starter) if leaves && starter.is_looking() => {
                self.phase = Phase::Waiting(now);
                true
            }
            Phase::Starting(starter) if starter.due <= now => self.start(leaving, session),
            _ => true,
        }
    }

    /// Makes a starter, which never starts a second task where there was one before.
    fn begin(&mut self, families: &[(String, String)], deadline: Duration, session: &mut Session<'_>) {
        match self.starter(families, deadline, session) {
            Ok(Some(mut starter)) => {
                let again = !self.arn.is_empty();
                starter.attempt.skip_if_running |= again;
                if again && starter.attempt.record.task.as_ref().is_some_and(|task| task.arn == self.arn) {
                    starter.attempt.note(session, |record| record.concluded = true);
                }
                self.phase = Phase::Starting(Box::new(starter));
            }
            Ok(None) => {}
            Err(error) => {
                self.failed(&error, session);
                self.outcome = Some(Outcome::untried(self.name.clone(), error));
            }
        }
    }

    /// `None` while host values are still awaited.
    ///
    /// # Errors
    /// An invalid reference, a host value that does not exist, or a family that another entry has.
    fn starter(
        &mut self,
        families: &[(String, String)],
        deadline: Duration,
        session: &mut Session<'_>,
    ) -> Result<Option<Starter>, Error> {
        let Some(template) = &self.template else { return Ok(None) };
        let others = if self.definition.is_some() { &[] } else { families };
        match session.resolve(template, others, deadline)? {
            Resolution::At(due) => {
                self.phase = Phase::Waiting(due);
                Ok(None)
            }
            Resolution::Done(request) => {
                self.definition.get_or_insert_with(|| request.definition.clone());
                Starter::new(&request, session, deadline).map(Some)
            }
        }
    }

    /// Advances the starter; `false` if the agent has registered as another container instance.
    fn start(&mut self, leaving: &mut Leaving, session: &mut Session<'_>) -> bool {
        let Phase::Starting(starter) = &mut self.phase else { return true };
        if session.is_of_another_instance(false) {
            return false;
        }
        let result = match starter.step(session) {
            Next::At(due) => {
                starter.due = due;
                return true;
            }
            Next::Reregistered => return false,
            Next::End(result) => result,
        };
        starter.end(&result, session);
        let took = session.now().saturating_sub(starter.attempt.began);
        let outcome =
            Outcome { definition: self.name.clone(), result, attempts: starter.attempt.calls, took };
        if let Phase::Starting(starter) = std::mem::replace(&mut self.phase, Phase::Over) {
            self.attempt = Some(starter.attempt);
        }
        match &outcome.result {
            Ok(done) => self.runs(done, session),
            Err(error) => {
                if matches!(error, Error::Failure { reason, .. } if reason == "INACTIVE") {
                    leaving.inactive = true;
                }
                self.failed(error, session);
            }
        }
        self.outcome = Some(outcome);
        true
    }

    /// Takes over a task that its starter saw running.
    fn runs(&mut self, done: &Done, session: &Session<'_>) {
        log::info!("{}: {done}", self.name);
        let again = !self.arn.is_empty() && self.arn != done.task;
        self.arn.clone_from(&done.task);
        (self.since, self.presence) = (session.now(), Presence::default());
        let record = self.attempt.as_ref().map(|attempt| attempt.record.clone()).unwrap_or_default();
        self.deaths = self.deaths.max(record.deaths);
        let task = record.task.as_ref().filter(|task| task.arn == self.arn);
        self.ours = record.has_started(&self.arn);
        if task.is_some_and(|task| task.ended) {
            self.resume(&record, session);
        } else {
            self.phase = Phase::Running;
            let started = again && done.success == Success::Started;
            self.note(session, |record| {
                record.restarts += u32::from(started);
                record.not_before = None;
            });
            self.warn_of_a_task_that_is_not_stopped(&record, session);
            let behind = format!("the task {} keeps running, and is not restarted if it stops", self.arn);
            session.context.host.shutdown_notice(&self.name, Some(behind));
        }
    }

    /// The task was found after a StartTask without a response, so it may be somebody else's.
    fn warn_of_a_task_that_is_not_stopped(&self, record: &Record, session: &Session<'_>) {
        if session.settings.stop_when_draining && !self.ours && record.in_flight_since.is_some() {
            log::warn!(
                "{}: it is not known whether this program started the task {}, so it is not stopped when this instance is drained; stop it by hand then, or allow ecs:DescribeTasks",
                self.name,
                self.arn
            );
        }
    }

    /// Continues after a death that an earlier process recorded before it was killed.
    fn resume(&mut self, record: &Record, session: &Session<'_>) {
        let now = session.now();
        let restart = session.settings.restart;
        let finished = record.task.as_ref().is_some_and(|task| task.finished);
        if finished || restart == Restart::No {
            self.phase = Phase::Over;
            return;
        }
        let known = record.last_stop.as_ref().is_some_and(|stop| !stop.code.is_empty());
        let may_end = restart == Restart::OnFailure && !self.was_stopped_by_us();
        self.undecided = may_end && !known && decide::is_asked_about(self.deaths);
        self.inquiry = self.undecided.then(|| Inquiry::new(&self.arn, now, Duration::ZERO));
        self.phase = Phase::Waiting(record.not_before.unwrap_or_default().max(now));
    }

    /// Logs the error, and schedules the next attempt unless the configuration is wrong.
    fn failed(&mut self, error: &Error, session: &Session<'_>) {
        log::error!("{}: {}", self.name, error.message_with_hint());
        let now = session.now();
        self.deaths = self.deaths.saturating_add(1);
        let not_before = self.attempt.as_ref().and_then(|attempt| attempt.record.not_before);
        let brake = decide::brake(self.deaths.max(2), session.context.clock.random());
        let due = (now + brake.max(error.retry_after())).max(not_before.unwrap_or_default());
        let is_permanent = error.exit_code() == exit::CONFIGURATION;
        self.phase = if is_permanent { Phase::Over } else { Phase::Waiting(due) };
    }

    /// Logs the next attempt of a task whose first start failed.
    pub(super) fn announce_next_try(&mut self, session: &Session<'_>) {
        if let Phase::Waiting(due) = self.phase {
            let when = self.announce(due, session);
            log::info!("{}: the next start is {when}", self.name);
        }
    }

    /// Records when the next start is due, and returns the text for the log.
    fn announce(&mut self, due: Duration, session: &Session<'_>) -> String {
        let wait = due.saturating_sub(session.now());
        let deaths = self.deaths;
        self.note(session, |record| {
            record.deaths = deaths;
            record.not_before = (!wait.is_zero()).then_some(due);
        });
        if wait.is_zero() {
            "at once".to_owned()
        } else {
            format!("at {}, in {}", session.wall_time_in(wait), human(wait))
        }
    }

    fn note(&mut self, session: &Session<'_>, change: impl FnOnce(&mut Record)) {
        if let Some(attempt) = &mut self.attempt {
            attempt.note(session, change);
        }
    }

    /// Evaluates the agent's list of tasks.
    pub(super) fn see(&mut self, tasks: &[Task], leaving: &mut Leaving, session: &mut Session<'_>) {
        if let Phase::Waiting(due) = &mut self.phase {
            let definition = self.definition.as_ref();
            let another = |task: &Task| task.is_present() && definition.is_some_and(|d| task.is_of(d));
            if tasks.iter().any(another) && !self.undecided {
                *due = session.now().min(*due);
            }
        }
        if !self.is_running() {
            return;
        }
        let listed = match tasks.iter().find(|task| task.arn == self.arn) {
            Some(task) if task.is_stopped() => Listed::Stopped,
            Some(_) => Listed::Present,
            None => Listed::Missing,
        };
        let gone = match self.presence.judge(listed, session.now()) {
            Verdict::Here => {
                self.ask_interval = ASKED_AGAIN;
                false
            }
            Verdict::PerhapsMissing => false,
            Verdict::Stopped => true,
            Verdict::Missing => !self.ecs_stands_by_it(session),
        };
        if gone {
            self.died(listed, leaving, session);
        }
    }

    /// Whether ECS says that the task is not STOPPED, or has not responded yet. Without permission, the agent's list decides.
    fn ecs_stands_by_it(&mut self, session: &mut Session<'_>) -> bool {
        let now = session.now();
        if now < self.ask_again {
            return true;
        }
        self.ask_again = now + self.ask_interval;
        self.ask_interval = (self.ask_interval * 2).min(ASKED_RARELY);
        match session.described_task(&self.arn, now + ecs::LIMIT) {
            Ok(None) => false,
            Ok(Some(task)) => !task.is_stopped(),
            Err(error) => {
                log::debug!("{}", error.message_with_hint());
                session.adapt(&error);
                self.ask_again = self.ask_again.max(now + error.retry_after());
                true
            }
        }
    }

    /// Records the death and schedules the restart, if there is one.
    fn died(&mut self, listed: Listed, leaving: &mut Leaving, session: &mut Session<'_>) {
        let how = if listed == Listed::Stopped { "has stopped" } else { "is gone" };
        let at = session.wall_time_in(Duration::ZERO);
        let arn = self.arn.clone();
        self.note(session, |record| {
            record.last_stop = Some(LastStop { at, ..LastStop::default() });
            record.task.iter_mut().filter(|task| task.arn == arn).for_each(|task| task.ended = true);
        });
        session.context.host.shutdown_notice(&self.name, None);
        let level = if self.was_stopped_by_us() { log::Level::Info } else { log::Level::Warn };
        let next = self.what_next(leaving, session);
        log::log!(level, "{}: the task {arn} {how}; {next}", self.name);
    }

    fn what_next(&mut self, leaving: &mut Leaving, session: &mut Session<'_>) -> String {
        let (now, restart) = (session.now(), session.settings.restart);
        if self.was_stopped_by_us() {
            self.phase = if restart == Restart::No { Phase::Over } else { Phase::Waiting(now) };
            return "this program stopped it".to_owned();
        }
        self.deaths = decide::deaths_in_a_row(self.deaths, now.saturating_sub(self.since));
        let patience = if self.ours { Duration::ZERO } else { FOREIGN_PATIENCE };
        let brake = decide::brake(self.deaths, session.context.clock.random()).max(patience);
        let asked = decide::is_asked_about(self.deaths);
        self.inquiry = asked.then(|| Inquiry::new(&self.arn, now, brake / 2));
        if restart == Restart::No {
            self.phase = Phase::Over;
            return "it is not restarted (ECS_START_TASK_RESTART=no)".to_owned();
        }
        if asked {
            leaving.ask_ecs(session);
        }
        self.undecided = asked && restart == Restart::OnFailure;
        self.phase = Phase::Waiting(now + brake);
        let when = self.announce(now + brake, session);
        if self.undecided {
            format!("unless it ended well, it is restarted {when}")
        } else {
            format!("it is restarted {when}")
        }
    }

    fn was_stopped_by_us(&self) -> bool {
        let task = self.attempt.as_ref().and_then(|attempt| attempt.record.task.as_ref());
        task.is_some_and(|task| task.arn == self.arn && task.stopped_by_us)
    }

    fn inquire(&mut self, session: &mut Session<'_>) {
        let Some(inquiry) = &mut self.inquiry else { return };
        match inquiry.ask(session) {
            Answer::Later => return,
            Answer::Stopped(task) => self.tell_why(&task, session),
            Answer::Unknown { denied } if self.undecided && !std::mem::replace(&mut self.warned, true) => {
                let why = if denied {
                    "the role lacks permission (ecs:DescribeTasks)"
                } else {
                    "ECS did not say within two minutes"
                };
                log::warn!(
                    "{}: it is unknown whether the task failed, as {why}; it is restarted as with ECS_START_TASK_RESTART=always",
                    self.name
                );
            }
            Answer::Unknown { .. } => {}
        }
        (self.inquiry, self.undecided) = (None, false);
    }

    fn tell_why(&mut self, task: &DescribedTask, session: &mut Session<'_>) {
        let (code, reason, exit_codes) = (task.stop_code(), task.reason(), task.exit_codes());
        log::info!("{}: why the task {} stopped: {code}: {reason}", self.name, self.arn);
        let by_user = code == USER_INITIATED && !self.was_stopped_by_us();
        let ending = self.undecided.then(|| Ending { by_user, well: inquiry::ended_well(task, session) });
        let over = ending.is_some() && !decide::comes_back(session.settings.restart, ending);
        let arn = self.arn.clone();
        self.note(session, |record| {
            if let Some(stop) = &mut record.last_stop {
                (stop.code, stop.reason, stop.exit_codes) = (code, reason, exit_codes);
            }
            if over {
                record.not_before = None;
                record.task.iter_mut().filter(|task| task.arn == arn).for_each(|task| task.finished = true);
            }
        });
        if over {
            self.phase = Phase::Over;
            let why = if by_user { "somebody stopped it" } else { "it ended well" };
            log::info!("{}: not restarted, as {why}", self.name);
        }
    }

    /// The part of the status text about this task; `None` if it runs and was never restarted.
    pub(super) fn status(&self, session: &Session<'_>) -> Option<String> {
        let record = self.attempt.as_ref().map(|attempt| &attempt.record)?;
        let last = record.last_stop.as_ref().map(LastStop::short);
        let stopped =
            last.as_ref().map_or_else(|| "is not running".to_owned(), |last| format!("stopped {last}"));
        let (name, now) = (&self.name, session.now());
        match &self.phase {
            Phase::Running => last.filter(|_| record.restarts > 0).map(|last| {
                let once = record.restarts == 1;
                let times = if once { "once".to_owned() } else { format!("{} times", record.restarts) };
                format!("{name} restarted {times}, last {last}")
            }),
            Phase::Waiting(due) if *due > now => Some(format!(
                "{name} {stopped}, next start {}",
                session.wall_time_in(due.saturating_sub(now))
            )),
            Phase::Waiting(_) => Some(format!("{name} {stopped}")),
            Phase::Over => last.map(|_| format!("{name} {stopped} and is not restarted")),
            Phase::Starting(_) => None,
        }
    }
}
