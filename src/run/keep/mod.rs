//! Tasks that stay: the process keeps its tasks running and, if configured, stops them last when the instance leaves.
//!
//! While all is well, only the agent (about every 10 s) and IMDS (about every 5 s) are polled; ECS is not called. A task is
//! restarted by a [`Starter`](crate::run::starter::Starter), under the same rules as its first start. Nothing is started
//! while the instance is leaving.

pub(crate) mod decide;
mod departure;
mod entry;
mod inquiry;
mod leaving;

use crate::aws::tasks::{self, Task};
use crate::error::Error;
use crate::request::Planned;
use crate::run::keep::departure::LastToLeave;
use crate::run::keep::entry::Entry;
use crate::run::keep::leaving::Leaving;
use crate::run::outcome::Outcome;
use crate::run::record::Key;
use crate::run::report::Report;
use crate::run::session::Session;
use crate::run::state::{Lock, State};
use crate::system::clock::HostClock;
use crate::system::logging;
use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

/// How often the agent is polled for its tasks.
const AGENT_POLL: Duration = Duration::from_secs(10);
/// The same while the instance is leaving, so that a deadline is not missed.
const LEAVING_POLL: Duration = Duration::from_secs(5);
/// How often IMDS is polled for signs that the instance is leaving.
const IMDS_POLL: Duration = Duration::from_secs(5);

/// The deadline for the agent and IMDS once a task has run: none.
const WITHOUT_END: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Keeps the configured tasks of this instance running.
#[derive(Debug)]
pub(crate) struct Keeper {
    entries: Vec<Entry>,
    _lock: Option<Lock>,
    /// The result of the first starts has been reported, and at least one task ran.
    reported: bool,
    leaving: Leaving,
    /// Why nothing is started, as last logged.
    said: Option<String>,
    departure: Option<LastToLeave>,
    agent_due: Duration,
    imds_due: Duration,
    silent: bool,
    /// The tasks whose desired status was STOPPED in the last list.
    unwanted: BTreeSet<String>,
    /// The status text as last sent to systemd.
    status: String,
}

impl Keeper {
    /// Takes what is `planned`.
    ///
    /// # Errors
    /// The process that already keeps the tasks of this instance running.
    pub(crate) fn new(planned: &mut Vec<Planned>, state_dir: &Path) -> Result<Self, String> {
        let lock = match State::at(state_dir).keeper() {
            Ok(lock) => Some(lock),
            Err(Error::Locked { holder }) => {
                log::info!("{holder} keeps the tasks running; this run reports what is running and exits");
                return Err(holder);
            }
            Err(error) => {
                log::warn!("{}", error.message_with_hint());
                None
            }
        };
        Ok(Keeper {
            entries: planned.drain(..).map(Entry::new).collect(),
            _lock: lock,
            reported: false,
            leaving: Leaving::default(),
            said: None,
            departure: None,
            agent_due: Duration::ZERO,
            imds_due: Duration::ZERO,
            silent: false,
            unwanted: BTreeSet::new(),
            status: String::new(),
        })
    }

    /// The deadline for the agent and IMDS.
    pub(crate) fn deadline(&self, of_run: Duration) -> Duration {
        if self.reported { WITHOUT_END } else { of_run }
    }

    /// Starts the tasks and keeps them running.
    ///
    /// The timeout covers the first start of all tasks, and later each attempt. Time during which nothing is started because
    /// the instance is leaving does not count.
    ///
    /// Returns the outcomes if no task ran, or `None` if the agent has registered as another container instance.
    pub(crate) fn keep(&mut self, session: &mut Session<'_>, mut deadline: Duration) -> Option<Vec<Outcome>> {
        if self.reported {
            self.conclude_on_signal(session);
        }
        loop {
            self.look_around(session);
            if self.leaving.inactive && session.is_of_another_instance(false) {
                self.start_over(session.now());
                return None;
            }
            if self.reported || self.said.is_some() {
                deadline = session.now() + session.settings.timeout;
            }
            if !self.step(deadline, session) {
                self.start_over(session.now());
                return None;
            }
            if let Some(outcomes) = self.report(session) {
                return Some(outcomes);
            }
            self.rest(session);
            let now = session.now();
            session.context.clock.sleep(self.next_due().saturating_sub(now));
        }
    }

    /// Advances each task; `false` if the agent has registered as another container instance.
    fn step(&mut self, deadline: Duration, session: &mut Session<'_>) -> bool {
        for index in 0..self.entries.len() {
            let families: Vec<_> = self.entries.iter().filter_map(Entry::family).collect();
            let Some(entry) = self.entries.get_mut(index) else { break };
            // A failure is retried only once a task has run, as this process exits otherwise.
            let is_stepped = self.reported || !entry.has_failed();
            if is_stepped && !entry.step(&mut self.leaving, &families, deadline, session) {
                return false;
            }
        }
        true
    }

    fn next_due(&self) -> Duration {
        let entries = self.entries.iter().filter(|entry| self.is_stepped(entry)).filter_map(Entry::due);
        let polls = [self.agent_due, self.imds_due].into_iter().chain(self.leaving.again);
        entries.chain(polls).min().unwrap_or_default()
    }

    /// Whether [`Keeper::step`] can advance it now: not a failure before the report, nor a start while the instance is leaving.
    fn is_stepped(&self, entry: &Entry) -> bool {
        (self.reported || !entry.has_failed()) && (self.said.is_none() || !entry.is_waiting())
    }

    /// Polls IMDS, the agent and the status of the instance in ECS, each when due.
    fn look_around(&mut self, session: &mut Session<'_>) {
        let now = session.now();
        if now >= self.imds_due {
            self.leaving.ask_imds(session);
            self.imds_due = now + session.jittered(IMDS_POLL);
        }
        if now >= self.agent_due {
            let interval = if self.said.is_some() { LEAVING_POLL } else { AGENT_POLL };
            self.ask_agent(session);
            self.agent_due = now + session.jittered(interval);
        }
        self.leaving.ask_when_due(session);
        self.tell_leaving(session);
    }

    fn ask_agent(&mut self, session: &mut Session<'_>) {
        let tasks = match tasks::list(session.context.local, &session.settings.agent_url, None) {
            Ok(tasks) => tasks,
            Err(error) => {
                if !self.silent {
                    log::warn!("{}; waiting for it", error.message_with_hint());
                }
                self.silent = true;
                return;
            }
        };
        if std::mem::take(&mut self.silent) {
            log::info!("the ECS agent responds again");
        }
        for entry in &mut self.entries {
            entry.see(&tasks, &mut self.leaving, session);
        }
        if session.settings.stop_when_draining && self.reported {
            self.watch_others(&tasks, session.now());
            self.tell_leaving(session);
        }
        if let Some(departure) = &mut self.departure {
            departure.step(&tasks, &self.leaving, session);
        }
    }

    /// A task that is being stopped may be the first sign of draining.
    fn watch_others(&mut self, tasks: &[Task], now: Duration) {
        let unwanted: BTreeSet<String> =
            tasks.iter().filter(|task| task.unwanted).map(|task| task.arn.clone()).collect();
        if !unwanted.is_subset(&self.unwanted) {
            self.leaving.wants_status(now);
        }
        self.unwanted = unwanted;
    }

    /// Logs once that the instance is leaving, and that it is back in service.
    fn tell_leaving(&mut self, session: &Session<'_>) {
        let wall = session.context.clock.now();
        let reason = self.leaving.reason(wall);
        if reason != self.said {
            match &reason {
                Some(reason) => {
                    log::info!("no task is started while this instance is out of service: {reason}");
                }
                None => log::info!("this instance is in service"),
            }
        }
        let takes_tasks = session.settings.stop_when_draining && self.leaving.takes_tasks(wall);
        match (&self.departure, &reason) {
            (None, Some(reason)) if takes_tasks => {
                self.departure = Some(LastToLeave::new(reason.clone(), session.now()));
            }
            (Some(_), _) if !takes_tasks => self.departure = None,
            _ => {}
        }
        self.said = reason;
    }

    /// Reports the result once each task has an outcome. Returns the outcomes if none of them ran.
    fn report(&mut self, session: &Session<'_>) -> Option<Vec<Outcome>> {
        if self.reported || self.entries.iter().any(|entry| entry.outcome.is_none()) {
            return None;
        }
        let outcomes: Vec<Outcome> =
            self.entries.iter_mut().filter_map(|entry| entry.outcome.take()).collect();
        logging::end_progress();
        if outcomes.iter().all(|outcome| outcome.result.is_err()) {
            return Some(outcomes);
        }
        let report = Report { instance: session.instance.clone(), outcomes };
        (session.context.announce)(&report);
        self.reported = true;
        self.entries.iter_mut().for_each(|entry| entry.announce_next_try(session));
        self.conclude_on_signal(session);
        None
    }

    /// On a signal the records are concluded, so that the next run restarts tasks that are gone by then.
    fn conclude_on_signal(&self, session: &Session<'_>) {
        let keys: Vec<Key> = self.entries.iter().filter_map(Entry::key).cloned().collect();
        let (directory, instance) = (session.settings.state_dir.clone(), session.instance.arn.clone());
        session.context.host.on_signal(Box::new(move || {
            conclude(&State::at(&directory).of(&instance), &keys);
        }));
    }

    /// Before sleeping: releases the lock, forgets the credentials, and updates the status text.
    fn rest(&mut self, session: &mut Session<'_>) {
        if !self.entries.iter().any(Entry::may_hide_a_task) {
            session.lock = None;
        }
        if !self.reported && self.said.is_none() {
            return;
        }
        if self.entries.iter().all(Entry::is_quiet) && self.departure.is_none() {
            session.forget_credentials();
        }
        if self.entries.iter().any(Entry::is_starting) {
            self.status.clear();
            return;
        }
        let status = self.describe(session);
        if status != self.status {
            self.conclude_on_signal(session);
            session.context.host.status(&status);
            self.status = status;
        }
    }

    fn describe(&self, session: &Session<'_>) -> String {
        let running = self.entries.iter().filter(|entry| entry.is_running()).count();
        let kept = format!("keeping {running} task{} running", if running == 1 { "" } else { "s" });
        let leaving = match (&self.departure, &self.said) {
            (Some(departure), _) => Some(departure.status()),
            (None, Some(reason)) => Some(format!("nothing is started: {reason}")),
            (None, None) => None,
        };
        let entries = self.entries.iter().filter_map(|entry| entry.status(session));
        std::iter::once(kept).chain(leaving).chain(entries).collect::<Vec<_>>().join("; ")
    }

    fn start_over(&mut self, now: Duration) {
        self.entries.iter_mut().for_each(|entry| entry.start_over(now));
        self.leaving.registered_anew();
    }
}

/// Concludes the records, and notes which were waiting: a restart by hand ends that pause.
fn conclude(state: &State, keys: &[Key]) {
    for key in keys {
        let known = state.load(key).is_ok_and(|record| record.task.is_some() || record.not_before.is_some());
        let concluded = known.then(|| {
            state.change(key, &HostClock, |record| {
                record.concluded = record.task.is_some();
                record.pausing = record.not_before.is_some();
            })
        });
        if let Some(Err(error)) = concluded {
            log::warn!("{}", error.message_with_hint());
        }
    }
}
