//! The story: what a run does, from the settings to the exit code.

mod attempt;
pub(crate) mod backoff;
pub(crate) mod command;
pub(crate) mod context;
mod in_doubt;
pub(crate) mod outcome;
mod phase;
mod progress;
mod ready;
pub(crate) mod record;
pub(crate) mod report;
mod session;
mod stale;
mod starter;
mod watch;

use crate::aws::ecs::{Caller, Endpoint};
use crate::aws::endpoint;
use crate::aws::instance::Instance;
use crate::config::settings::Settings;
use crate::error::Error;
use crate::request;
use crate::request::Planned;
use crate::run::context::{Context, RunResult};
use crate::run::outcome::Outcome;
use crate::run::ready::Ready;
use crate::run::record::State;
use crate::run::report::{DryRun, Report};
use crate::run::session::Session;
use crate::run::starter::{Next, Starter};
use crate::system::logging;
use serde_json::Value;
use std::time::Duration;

/// Starts what is configured on this instance.
///
/// # Errors
/// What kept all tasks from being tried; what became of each is in the report.
pub(crate) fn run(settings: &Settings, context: &Context<'_>) -> Result<RunResult, Error> {
    let deadline = context.clock.uptime() + settings.timeout;
    let mut planned = request::plan(settings)?;
    tell_what_is_wrong(&mut planned)?;
    // Before the waiting, so that a directory that cannot be used is told at once.
    let state = if settings.dry_run { None } else { Some(State::open(&settings.state_dir)?) };
    let Ready { instance, credentials, imds } = ready::wait(settings, context, deadline)?;
    log::info!("{instance}; role {}", credentials.role);
    request::assert_cluster(&instance, settings.cluster.as_deref(), "--cluster")?;
    let url = endpoint::of(&instance.partition, &instance.region, settings)?;
    let way = (context.ecs)(&url)?;
    log::debug!("ECS is at {url}; proxy: {}", way.proxy);
    let Some(state) = state else {
        let requests = planned.into_iter().map(|p| would_send(p, settings, &instance)).collect();
        return Ok(RunResult::WouldStart(DryRun {
            endpoint: url,
            proxy: way.proxy,
            role: credentials.role,
            instance,
            requests,
        }));
    };
    let mut session = Session {
        settings,
        context,
        endpoint: Endpoint { url, region: instance.region.clone(), roots: way.roots },
        http: way.http,
        caller: Caller { credentials, refused: false, skew: 0 },
        imds,
        state,
        lock: None,
        instance,
    };
    let outcomes = start_all(planned, &mut session, deadline)?;
    Ok(RunResult::Started(Report { instance: session.instance, outcomes }))
}

/// No waiting mends a request; when all are wrong there is nothing to wait for, and the last one is the error.
fn tell_what_is_wrong(planned: &mut Vec<Planned>) -> Result<(), Error> {
    let all_wrong = planned.iter().all(|p| p.request.is_err());
    let last = if all_wrong { planned.pop().and_then(|p| p.request.err()) } else { None };
    for wrong in planned.iter().filter_map(|p| p.request.as_ref().err()) {
        log::error!("{}", wrong.message_with_hint());
    }
    last.map_or(Ok(()), |wrong| Err(wrong.into()))
}

fn would_send(planned: Planned, settings: &Settings, instance: &Instance) -> (String, Result<Value, Error>) {
    let body = planned.request.and_then(|r| r.body(instance, settings));
    (planned.name, body.map_err(Error::from))
}

/// Each task takes its next step when it is due, whatever becomes of the others.
fn start_all(
    planned: Vec<Planned>,
    session: &mut Session<'_>,
    deadline: Duration,
) -> Result<Vec<Outcome>, Error> {
    let mut entries: Vec<Entry> = planned.into_iter().map(|p| Entry::new(p, session, deadline)).collect();
    while let Some((entry, due)) = next_due(&mut entries) {
        let now = session.now();
        session.context.clock.sleep(due.saturating_sub(now));
        entry.step(session);
        if !entries.iter().any(Entry::holds_lock) {
            session.lock = None;
        }
    }
    logging::end_progress();
    forget_if_all_went_well(&entries, session)?;
    Ok(entries.into_iter().filter_map(|entry| entry.outcome).collect())
}

/// Records are for the next run of a unit that failed; after a success there is none.
fn forget_if_all_went_well(entries: &[Entry], session: &Session<'_>) -> Result<(), Error> {
    if entries.iter().all(|e| e.outcome.as_ref().is_some_and(|o| o.result.is_ok())) {
        for starter in
            entries.iter().filter_map(|e| e.starter.as_ref()).filter(|j| !j.phase.may_hide_a_task())
        {
            session.state.remove(&starter.attempt.definition.family, &starter.attempt.record)?;
        }
    }
    Ok(())
}

fn next_due(entries: &mut [Entry]) -> Option<(&mut Entry, Duration)> {
    let waiting = entries.iter_mut().filter(|e| e.outcome.is_none());
    waiting.filter_map(|e| e.starter.as_ref().map(|j| j.due).map(|due| (e, due))).min_by_key(|(_, due)| *due)
}

/// A task that is to be started, and what became of it.
struct Entry {
    starter: Option<Starter>,
    outcome: Option<Outcome>,
}

impl Entry {
    fn new(planned: Planned, session: &Session<'_>, deadline: Duration) -> Self {
        let starter = planned.request.map_err(Error::from).and_then(|request| {
            let body = request.body(&session.instance, session.settings).map_err(Error::from);
            let starter = body.and_then(|body| Starter::new(request.definition, body, session, deadline));
            starter.inspect_err(|error| log::error!("{}", error.message_with_hint()))
        });
        match starter {
            Ok(starter) => Entry { starter: Some(starter), outcome: None },
            Err(error) => {
                let outcome = Outcome {
                    definition: planned.name,
                    result: Err(error),
                    attempts: 0,
                    took: Duration::ZERO,
                };
                Entry { starter: None, outcome: Some(outcome) }
            }
        }
    }

    fn step(&mut self, session: &mut Session<'_>) {
        let Some(starter) = &mut self.starter else { return };
        match starter.step(session) {
            Next::At(due) => starter.due = due,
            Next::End(result) => {
                match &result {
                    Ok(done) => log::info!("{}: {done}", starter.attempt.name()),
                    Err(error) => log::error!("{}: {}", starter.attempt.name(), error.message_with_hint()),
                }
                let took = session.now().saturating_sub(starter.attempt.began);
                self.outcome = Some(Outcome {
                    definition: starter.attempt.name(),
                    result,
                    attempts: starter.attempt.attempts,
                    took,
                });
            }
        }
    }

    fn holds_lock(&self) -> bool {
        self.outcome.is_none() && self.starter.as_ref().is_some_and(|j| j.phase.may_hide_a_task())
    }
}
