//! The story: what a run does, from the settings to the exit code.

use crate::clock::Clock;
use crate::ecs::{Caller, Endpoint};
use crate::endpoint;
use crate::error::Error;
use crate::host::Host;
use crate::instance::Instance;
use crate::job::{Job, Next};
use crate::logging;
use crate::ready::{self, Ready};
use crate::report::{DryRun, Outcome, Report};
use crate::request::{self, Planned};
use crate::session::Session;
use crate::settings::Settings;
use crate::state::State;
use crate::transport::Http;
use http::Uri;
use serde_json::Value;
use std::time::Duration;

/// All that a run touches, passed in so that a test can play it.
pub(crate) struct World<'a> {
    pub(crate) clock: &'a dyn Clock,
    pub(crate) host: &'a dyn Host,
    /// The way to the agent and to IMDS.
    pub(crate) local: &'a dyn Http,
    /// Makes the way to ECS, which depends on where it is.
    pub(crate) ecs: &'a dyn Fn(&Uri) -> Result<Way, Error>,
}

/// The way to ECS.
pub(crate) struct Way {
    pub(crate) http: Box<dyn Http>,
    /// Which certificates are trusted.
    pub(crate) roots: String,
    /// Which proxy is taken, and why.
    pub(crate) proxy: String,
}

/// What a run came to.
pub(crate) enum Told {
    Started(Report),
    WouldStart(DryRun),
}

/// Starts what is configured on this instance.
///
/// # Errors
/// What kept all tasks from being tried; what became of each is in the report.
pub(crate) fn run(settings: &Settings, world: &World<'_>) -> Result<Told, Error> {
    let deadline = world.clock.uptime() + settings.timeout;
    let mut planned = request::plan(settings)?;
    tell_what_is_wrong(&mut planned)?;
    // Before the waiting, so that a directory that cannot be used is told at once.
    let state = if settings.dry_run { None } else { Some(State::open(&settings.state_dir)?) };
    let Ready { instance, credentials, imds } = ready::wait(settings, world, deadline)?;
    log::info!("{instance}; role {}", credentials.role);
    request::assert_cluster(&instance, settings.cluster.as_deref(), "--cluster")?;
    let url = endpoint::of(&instance.partition, &instance.region, settings)?;
    let way = (world.ecs)(&url)?;
    log::debug!("ECS is at {url}; proxy: {}", way.proxy);
    let Some(state) = state else {
        let requests = planned.into_iter().map(|p| would_send(p, settings, &instance)).collect();
        return Ok(Told::WouldStart(DryRun {
            endpoint: url,
            proxy: way.proxy,
            role: credentials.role,
            instance,
            requests,
        }));
    };
    let mut session = Session {
        settings,
        world,
        endpoint: Endpoint { url, region: instance.region.clone(), roots: way.roots },
        http: way.http,
        caller: Caller { credentials, refused: false, skew: 0 },
        imds,
        state,
        lock: None,
        instance,
    };
    let outcomes = start_all(planned, &mut session, deadline)?;
    Ok(Told::Started(Report { instance: session.instance, outcomes }))
}

/// No waiting mends a request; when all are wrong there is nothing to wait for, and the last one is the error.
fn tell_what_is_wrong(planned: &mut Vec<Planned>) -> Result<(), Error> {
    let all_wrong = planned.iter().all(|p| p.request.is_err());
    let last = if all_wrong { planned.pop().and_then(|p| p.request.err()) } else { None };
    for wrong in planned.iter().filter_map(|p| p.request.as_ref().err()) {
        log::error!("{}", wrong.told());
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
        session.world.clock.sleep(due.saturating_sub(now));
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
        for job in entries.iter().filter_map(|e| e.job.as_ref()).filter(|j| !j.stage.may_hide_a_task()) {
            session.state.remove(&job.ticket.definition.family, &job.ticket.record)?;
        }
    }
    Ok(())
}

fn next_due(entries: &mut [Entry]) -> Option<(&mut Entry, Duration)> {
    let waiting = entries.iter_mut().filter(|e| e.outcome.is_none());
    waiting.filter_map(|e| e.job.as_ref().map(|j| j.due).map(|due| (e, due))).min_by_key(|(_, due)| *due)
}

/// A task that is to be started, and what became of it.
struct Entry {
    job: Option<Job>,
    outcome: Option<Outcome>,
}

impl Entry {
    fn new(planned: Planned, session: &Session<'_>, deadline: Duration) -> Self {
        let job = planned.request.map_err(Error::from).and_then(|request| {
            let body = request.body(&session.instance, session.settings).map_err(Error::from);
            let job = body.and_then(|body| Job::new(request.definition, body, session, deadline));
            job.inspect_err(|error| log::error!("{}", error.told()))
        });
        match job {
            Ok(job) => Entry { job: Some(job), outcome: None },
            Err(error) => {
                let outcome = Outcome {
                    definition: planned.name,
                    result: Err(error),
                    attempts: 0,
                    took: Duration::ZERO,
                };
                Entry { job: None, outcome: Some(outcome) }
            }
        }
    }

    fn step(&mut self, session: &mut Session<'_>) {
        let Some(job) = &mut self.job else { return };
        match job.step(session) {
            Next::At(due) => job.due = due,
            Next::End(result) => {
                match &result {
                    Ok(done) => log::info!("{}: {done}", job.ticket.name()),
                    Err(error) => log::error!("{}: {}", job.ticket.name(), error.told()),
                }
                let took = session.now().saturating_sub(job.ticket.began);
                self.outcome = Some(Outcome {
                    definition: job.ticket.name(),
                    result,
                    attempts: job.ticket.attempts,
                    took,
                });
            }
        }
    }

    fn holds_lock(&self) -> bool {
        self.outcome.is_none() && self.job.as_ref().is_some_and(|j| j.stage.may_hide_a_task())
    }
}
