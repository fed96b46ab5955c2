//! What a run does, from the settings to the exit code, in seven steps.

mod attempt;
pub(crate) mod backoff;
pub(crate) mod command;
pub(crate) mod context;
mod in_doubt;
pub(crate) mod outcome;
mod pause;
mod phase;
mod progress;
mod ready;
pub(crate) mod record;
pub(crate) mod report;
mod session;
mod stale;
mod starter;
pub(crate) mod state;
mod watch;

use crate::aws::ecs::{Caller, Endpoint};
use crate::aws::endpoint::{self, EcsAddress, UNENCRYPTED, USE_HTTPS};
use crate::aws::instance::Instance;
use crate::config::error::ConfigError;
use crate::config::settings::Settings;
use crate::error::Error;
use crate::request::{self, Planned, Request, UNKNOWN_MEMBER};
use crate::run::context::{Context, EcsRoute, RunResult};
use crate::run::outcome::Outcome;
use crate::run::ready::Ready;
use crate::run::report::{DryRun, Report};
use crate::run::session::Session;
use crate::run::starter::{Next, Starter};
use crate::run::state::State;
use crate::system::logging;
use serde_json::Value;
use std::time::Duration;

/// Starts what is configured on this instance.
///
/// 1. It reads what is to be started.
/// 2. It fetches the credentials of the instance's role while the agent comes up, and
/// 3. waits until the agent has registered the instance.
/// 4. Each task is looked for on the agent's list and in the records; where there is none, StartTask is sent.
/// 5. The response is read whole. A refusal that may pass is retried by the retry table; a response that never came leaves it
///    in doubt whether a task was started, and nothing is sent until that is known.
/// 6. Each task is watched until it runs.
/// 7. Each has one outcome, and all together one exit code.
///
/// When the agent registers anew meanwhile, all starts over from 2.
///
/// # Errors
/// What kept all tasks from being tried; what became of each is in the report.
pub(crate) fn run(settings: &Settings, context: &Context<'_>) -> Result<RunResult, Error> {
    let deadline = context.clock.uptime() + settings.timeout;
    let planned = what_to_start(settings)?;
    if !settings.dry_run {
        open_state(settings)?;
    }
    loop {
        let ready = ready::wait(settings, context, deadline)?;
        log::info!("{}; role {}", ready.instance, ready.credentials.role);
        request::assert_cluster(&ready.instance, settings.cluster.as_deref(), "--cluster")?;
        let address = ecs_address(&ready.instance, settings, context)?;
        let route = (context.ecs)(&address.url)?;
        log::debug!("proxy: {}", route.proxy);
        if settings.dry_run {
            return Ok(RunResult::WouldStart(would_start(planned, settings, ready, address, route)));
        }
        let mut session = session(settings, context, ready, address, route);
        match start_all(&planned, &mut session, deadline) {
            Some(outcomes) => {
                let outcomes =
                    planned.into_iter().zip(outcomes).filter_map(|(p, outcome)| outcome.or_else(|| wrong(p)));
                return Ok(RunResult::Started(Report {
                    instance: session.instance,
                    outcomes: outcomes.collect(),
                }));
            }
            None => log::warn!("the ECS agent has registered this instance anew; everything starts over"),
        }
    }
}

/// Where ECS is. It is reported when not only the region decides.
fn ecs_address(
    instance: &Instance,
    settings: &Settings,
    context: &Context<'_>,
) -> Result<EcsAddress, ConfigError> {
    let routes = || context.host.default_routes();
    let address = endpoint::of(&instance.partition, &instance.region, &settings.endpoint, routes)?;
    let level = if address.is_default { log::Level::Debug } else { log::Level::Info };
    log::log!(level, "ECS endpoint: {}, {}", address.url, address.reason);
    if address.is_unencrypted() {
        log::warn!("{}: {UNENCRYPTED}; {USE_HTTPS}", address.url);
    }
    Ok(address)
}

/// Waiting does not fix a request: the invalid ones are reported first, and when there is no other, the last one is the error.
fn what_to_start(settings: &Settings) -> Result<Vec<Planned>, Error> {
    let mut planned = request::plan(settings)?;
    let all_wrong = planned.iter().all(|p| p.request.is_err());
    let last = if all_wrong { planned.pop().and_then(|p| p.request.err()) } else { None };
    for wrong in planned.iter().filter_map(|p| p.request.as_ref().err()) {
        log::error!("{}", wrong.message_with_hint());
    }
    for unknown in planned.iter().flat_map(|p| &p.request).flat_map(Request::unknown_members) {
        log::warn!("{unknown}; {UNKNOWN_MEMBER}");
    }
    last.map_or(Ok(planned), |wrong| Err(wrong.into()))
}

/// Before the waiting, so that a directory that somebody must change is reported at once. What may pass is waited for
/// before something is sent.
fn open_state(settings: &Settings) -> Result<(), Error> {
    match State::open(&settings.state_dir) {
        Err(error @ Error::State { .. }) => log::warn!("{}", error.message_with_hint()),
        opened => drop(opened?),
    }
    Ok(())
}

fn would_start(
    planned: Vec<Planned>,
    settings: &Settings,
    ready: Ready,
    address: EcsAddress,
    route: EcsRoute,
) -> DryRun {
    let body = |planned: Planned, instance: &Instance| -> (String, Result<Value, Error>) {
        let body = planned.request.and_then(|request| request.body(instance, settings));
        (planned.name, body.map_err(Error::from))
    };
    DryRun {
        endpoint: address,
        proxy: route.proxy,
        role: ready.credentials.role,
        requests: planned.into_iter().map(|planned| body(planned, &ready.instance)).collect(),
        instance: ready.instance,
    }
}

fn session<'a>(
    settings: &'a Settings,
    context: &'a Context<'a>,
    ready: Ready,
    address: EcsAddress,
    route: EcsRoute,
) -> Session<'a> {
    Session {
        settings,
        context,
        endpoint: Endpoint {
            url: address.url,
            region: ready.instance.region.clone(),
            roots: route.roots.clone(),
        },
        http: route.http,
        caller: Caller { credentials: ready.credentials, refused: false, skew: 0 },
        imds: ready.imds,
        state: State::at(&settings.state_dir).of(&ready.instance.arn),
        lock: None,
        may_describe: true,
        confirmed_at: ready.registered_at,
        instance: ready.instance,
    }
}

/// Each task takes its next step when it is due, whatever becomes of the others. A task that is wrong has no outcome here.
/// `None` when the agent has registered anew.
fn start_all(
    planned: &[Planned],
    session: &mut Session<'_>,
    deadline: Duration,
) -> Option<Vec<Option<Outcome>>> {
    let mut entries: Vec<Entry> = planned.iter().map(|p| Entry::new(p, session, deadline)).collect();
    while let Some((entry, due)) = next_due(&mut entries) {
        let now = session.now();
        session.context.clock.sleep(due.saturating_sub(now));
        if session.is_of_another_instance(false) || !entry.step(session) {
            return None;
        }
        if !entries.iter().any(Entry::may_hide_a_task) {
            session.lock = None;
        }
    }
    logging::end_progress();
    if entries.iter().all(|entry| entry.outcome.as_ref().is_some_and(|outcome| outcome.result.is_ok())) {
        entries.iter_mut().filter_map(|entry| entry.starter.as_mut()).for_each(|s| s.conclude(session));
    }
    Some(entries.into_iter().map(|entry| entry.outcome).collect())
}

fn wrong(planned: Planned) -> Option<Outcome> {
    planned.request.err().map(|wrong| Outcome::untried(planned.name, wrong.into()))
}

fn next_due(entries: &mut [Entry]) -> Option<(&mut Entry, Duration)> {
    let waiting = entries.iter_mut().filter(|entry| entry.outcome.is_none());
    let due = waiting.filter_map(|entry| entry.starter.as_ref().map(|s| s.due).map(|due| (entry, due)));
    due.min_by_key(|(_, due)| *due)
}

/// A task that is to be started, and what became of it.
struct Entry {
    starter: Option<Starter>,
    outcome: Option<Outcome>,
}

impl Entry {
    fn new(planned: &Planned, session: &Session<'_>, deadline: Duration) -> Self {
        match planned.request.as_ref().map(|request| Starter::new(request, session, deadline)) {
            Ok(Ok(starter)) => Entry { starter: Some(starter), outcome: None },
            Ok(Err(error)) => {
                log::error!("{}", error.message_with_hint());
                Entry { starter: None, outcome: Some(Outcome::untried(planned.name.clone(), error)) }
            }
            // It has been reported.
            Err(_) => Entry { starter: None, outcome: None },
        }
    }

    /// `false` when the agent has registered anew.
    fn step(&mut self, session: &mut Session<'_>) -> bool {
        let Some(starter) = &mut self.starter else { return true };
        match starter.step(session) {
            Next::At(due) => starter.due = due,
            Next::End(result) => {
                let definition = starter.attempt.name();
                match &result {
                    Ok(done) => log::info!("{definition}: {done}"),
                    Err(error) => log::error!("{definition}: {}", error.message_with_hint()),
                }
                let took = session.now().saturating_sub(starter.attempt.began);
                self.outcome = Some(Outcome { definition, result, attempts: starter.attempt.calls, took });
            }
            Next::Reregistered => return false,
        }
        true
    }

    fn may_hide_a_task(&self) -> bool {
        self.outcome.is_none() && self.starter.as_ref().is_some_and(Starter::may_hide_a_task)
    }
}
