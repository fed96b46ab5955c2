//! Tasks that stay: after the tasks run, the process goes on, brings back what stops, and leaves last.
//!
//! Nothing is asked of ECS while all is well: the agent is asked about every 10 s, IMDS about every 5 s. A task comes back
//! through a [`Starter`](crate::run::starter::Starter) of its own, by the same rules as its first start. While the instance
//! leaves, nothing is started.

pub(crate) mod decide;
mod departure;
mod entry;
mod inquiry;
mod leaving;

use crate::aws::tasks;
use crate::aws::tasks::Task;
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

/// About how often the agent is asked for its tasks, and IMDS whether the instance is leaving.
const AGENT_POLL: Duration = Duration::from_secs(10);
const IMDS_POLL: Duration = Duration::from_secs(5);

/// While it leaves, what must be in time is not missed by a poll.
const LEAVING_POLL: Duration = Duration::from_secs(5);

/// After its tasks ran once, nothing that is awaited is given up.
const WITHOUT_END: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Who stays to keep the tasks of this instance running.
#[derive(Debug)]
pub(crate) struct Keeper {
    entries: Vec<Entry>,
    _lock: Option<Lock>,
    /// The tasks ran, and the result was reported.
    reported: bool,
    leaving: Leaving,
    /// Why nothing is started, as it was last said.
    said: Option<String>,
    departure: Option<LastToLeave>,
    agent_due: Duration,
    imds_due: Duration,
    silent: bool,
    /// Tasks of others that were about to end when last looked.
    unwanted: BTreeSet<String>,
    status: String,
}

impl Keeper {
    /// `None` when another process keeps the tasks: then `planned` is left as it is.
    pub(crate) fn new(planned: &mut Vec<Planned>, state_dir: &Path) -> Option<Self> {
        let lock = match State::at(state_dir).keeper() {
            Ok(lock) => Some(lock),
            Err(Error::Locked { holder }) => {
                log::info!("{holder} keeps the tasks running; this run reports what is running and exits");
                return None;
            }
            Err(error) => {
                log::warn!("{}", error.message_with_hint());
                None
            }
        };
        Some(Keeper {
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

    /// Until when the agent and IMDS are awaited.
    pub(crate) fn deadline(&self, of_run: Duration) -> Duration {
        if self.reported { WITHOUT_END } else { of_run }
    }

    /// Starts and keeps the tasks. The timeout is for the first start of all, and then for each try; what is held back while
    /// the instance leaves has not been tried.
    /// The outcomes, when none of them ran; `None` when the agent has registered anew.
    pub(crate) fn keep(&mut self, session: &mut Session<'_>, mut deadline: Duration) -> Option<Vec<Outcome>> {
        if self.reported {
            self.conclude_on_signal(session);
        }
        loop {
            self.look_around(session);
            if self.leaving.is_inactive() && session.is_of_another_instance(false) {
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

    /// Each task takes the step that is due; `false` when the agent has registered anew.
    fn step(&mut self, deadline: Duration, session: &mut Session<'_>) -> bool {
        for index in 0..self.entries.len() {
            let families: Vec<_> = self.entries.iter().filter_map(Entry::family).collect();
            let Some(entry) = self.entries.get_mut(index) else { break };
            let failed = entry.outcome().is_some_and(|outcome| outcome.result.is_err());
            // A failure is retried only when it is known that this process stays.
            let next = self.reported || !failed;
            if next && !entry.step(&mut self.leaving, &families, deadline, session) {
                return false;
            }
        }
        true
    }

    fn next_due(&self) -> Duration {
        let entries = self.entries.iter().filter(|entry| self.is_stepped(entry)).filter_map(Entry::due);
        let polls = [self.agent_due, self.imds_due].into_iter().chain(self.leaving.due());
        entries.chain(polls).min().unwrap_or_default()
    }

    /// What waits for its next try before the others have ended, or while the instance leaves, is not awaited.
    fn is_stepped(&self, entry: &Entry) -> bool {
        let failed = entry.outcome().is_some_and(|outcome| outcome.result.is_err());
        (self.reported || !failed) && (self.said.is_none() || !entry.is_waiting())
    }

    /// IMDS, the agent's list and ECS's status of the instance, each when it is due.
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
        let tasks = match tasks::all(session.context.local, &session.settings.agent_url) {
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

    /// A task that somebody ends may be the first sign of draining.
    fn watch_others(&mut self, tasks: &[Task], now: Duration) {
        let unwanted: BTreeSet<String> =
            tasks.iter().filter(|task| task.is_unwanted()).map(|task| task.arn.clone()).collect();
        if !unwanted.is_subset(&self.unwanted) {
            self.leaving.wants_status(now);
        }
        self.unwanted = unwanted;
    }

    /// Says once that the instance leaves, and that it does not any more.
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

    /// Once each task has an outcome, the result is reported. It is the end when none runs; its outcomes then.
    fn report(&mut self, session: &Session<'_>) -> Option<Vec<Outcome>> {
        if self.reported || !self.entries.iter().all(|entry| entry.outcome().is_some()) {
            return None;
        }
        let runs = |entry: &Entry| entry.outcome().is_some_and(|outcome| outcome.result.is_ok());
        let any = self.entries.iter().any(runs);
        let outcomes = self.entries.iter_mut().filter_map(Entry::take_outcome).collect();
        logging::end_progress();
        if !any {
            return Some(outcomes);
        }
        let report = Report { instance: session.instance.clone(), outcomes };
        (session.context.announce)(&report);
        self.reported = true;
        self.entries.iter_mut().for_each(|entry| entry.announce_next_try(session));
        self.conclude_on_signal(session);
        None
    }

    /// A signal ends the watching well: the next run starts anew what is gone by then.
    fn conclude_on_signal(&self, session: &Session<'_>) {
        let keys: Vec<Key> = self.entries.iter().filter_map(Entry::key).cloned().collect();
        let (directory, instance) = (session.settings.state_dir.clone(), session.instance.arn.clone());
        session.context.host.on_signal(Box::new(move || {
            conclude(&State::at(&directory).of(&instance), &keys);
        }));
    }

    /// What is done when nothing is due: others may send, nothing secret is held, and the status is what is being kept.
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

/// A pause that is waited out ends with a restart by hand.
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
