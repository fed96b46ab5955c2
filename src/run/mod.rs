//! What a run does, from the settings to the exit code, in seven steps: [`run`].

mod attempt;
pub(crate) mod backoff;
pub(crate) mod command;
pub(crate) mod context;
mod dry_run;
pub(crate) mod host_values;
mod in_doubt;
pub(crate) mod keep;
pub(crate) mod outcome;
mod pause;
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
use crate::request::resolved::assert_cluster;
use crate::request::template::Template;
use crate::request::{self, Planned};
use crate::run::context::{Context, EcsRoute, RunResult};
use crate::run::dry_run::Facts;
use crate::run::host_values::{HostValues, Resolution};
use crate::run::keep::Keeper;
use crate::run::outcome::Outcome;
use crate::run::ready::Ready;
use crate::run::report::Report;
use crate::run::session::Session;
use crate::run::starter::{Next, Starter};
use crate::run::state::{State, Untried};
use crate::system::logging::{self, RESULT};
use std::time::Duration;

/// Starts what is configured on this instance.
///
/// 1. It reads what is to be started.
/// 2. It fetches the credentials of the instance's role and the values of the host while the agent comes up, and
/// 3. waits until the agent has registered the instance.
/// 4. It looks for each task on the agent's list and in the records. If there is none, it sends StartTask.
/// 5. It reads the response whole. A temporary refusal is retried by the retry table. After a missing response the outcome is
///    unknown, and nothing is sent until it is known whether a task was started.
/// 6. It watches each task until it runs.
/// 7. Each task has one outcome, and the run has one exit code. If the tasks are to be kept running, the process stays
///    instead, see [`keep`].
///
/// Steps 4 to 6 of one task are those of its [`Starter`]. If the agent registers again under another ARN meanwhile, everything
/// starts over from 2.
///
/// # Errors
/// What kept all tasks from being tried; what became of each is in the report.
pub(crate) fn run(settings: &Settings, context: &Context<'_>) -> Result<RunResult, Error> {
    let deadline = context.clock.uptime() + settings.timeout;
    // Step 1: what is to be started
    let mut planned = what_to_start(settings)?;
    if !settings.dry_run {
        open_state(settings)?;
    }
    let references = request::references(planned.iter().filter_map(|p| p.template.as_ref().ok()));
    let mut values = HostValues::default();
    let (mut keeper, kept_by) = keeper(settings, &mut planned);
    loop {
        // Steps 2 and 3: credentials and values, and the registration of the instance
        let awaited = keeper.as_ref().map_or(deadline, |keeper| keeper.deadline(deadline));
        let ready = ready::wait(settings, &references, values, context, awaited)?;
        log::info!("{}; role {}", ready.instance, ready.credentials.role);
        assert_cluster(&ready.instance, settings)?;
        let address = ecs_address(&ready.instance, settings, context)?;
        let route = (context.ecs)(&address.url)?;
        log::debug!("proxy: {}", route.proxy);
        if settings.dry_run {
            let facts = Facts { endpoint: address, proxy: route.proxy, deadline };
            let dry_run = dry_run::would_start(planned, &references, context, ready, facts);
            return Ok(RunResult::WouldStart(dry_run));
        }
        // Steps 4 to 6: look and send, read and retry, watch
        let mut session = session(settings, context, ready, address, route, kept_by.clone());
        let outcomes = match &mut keeper {
            Some(keeper) => keeper.keep(&mut session, deadline),
            None => start_all(&mut planned, &mut session, deadline),
        };
        // Step 7: the outcomes, from which the exit code follows
        if let Some(outcomes) = outcomes {
            return Ok(RunResult::Started(Report { instance: session.instance, outcomes }));
        }
        log::warn!("the ECS agent has registered this instance under another ARN; starting over");
        values = session.values;
    }
}

/// The keeper of the tasks if they are to be kept running: of this process, or the name of another process that does so.
fn keeper(settings: &Settings, planned: &mut Vec<Planned>) -> (Option<Keeper>, Option<String>) {
    if !settings.stays() || settings.dry_run {
        return (None, None);
    }
    match Keeper::new(planned, &settings.state_dir) {
        Ok(keeper) => (Some(keeper), None),
        Err(holder) => (None, Some(holder)),
    }
}

/// The address of ECS, logged at info when it is not simply the Region's.
///
/// # Errors
/// The Region has no such endpoint, or the URL is invalid.
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

/// What is to be started. Invalid requests are reported before anything is awaited; if there is no valid one, the last is the
/// error.
///
/// # Errors
/// Nothing to start, or every request is invalid.
fn what_to_start(settings: &Settings) -> Result<Vec<Planned>, Error> {
    let mut planned = request::plan(settings)?;
    let all_wrong = planned.iter().all(|p| p.template.is_err());
    let last = if all_wrong { planned.pop().and_then(|p| p.template.err()) } else { None };
    for wrong in planned.iter().filter_map(|p| p.template.as_ref().err()) {
        log::error!("{}", wrong.message_with_hint());
    }
    for (unknown, hint) in planned.iter().flat_map(|p| &p.template).flat_map(Template::unknown_members) {
        log::warn!("{unknown}; {hint}");
    }
    last.map_or(Ok(planned), |wrong| Err(wrong.into()))
}

/// Opens the state directory before anything is awaited, so that a problem that a person must fix is reported at once. A
/// temporary problem is waited for later, before something is sent.
///
/// # Errors
/// The directory belongs to someone else, or others can write to it.
fn open_state(settings: &Settings) -> Result<(), Error> {
    match State::open(&settings.state_dir) {
        Err(error @ Error::State { .. }) => log::warn!("{}", error.message_with_hint()),
        opened => drop(opened?),
    }
    Ok(())
}

fn session<'a>(
    settings: &'a Settings,
    context: &'a Context<'a>,
    ready: Ready,
    address: EcsAddress,
    route: EcsRoute,
    kept_by: Option<String>,
) -> Session<'a> {
    let state = State::at(&settings.state_dir).of(&ready.instance.arn);
    if let Err(unrecorded) = state.note_untried(&Untried::new()) {
        log::debug!("{unrecorded}");
    }
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
        values: ready.values,
        state,
        lock: None,
        kept_by,
        may_describe: true,
        confirmed_at: ready.registered_at,
        instance: ready.instance,
    }
}

/// The scheduler: each task takes its next step when it is due, independently of the others. The outcomes are also those of
/// the tasks that are wrong; `None` when the agent has registered under another ARN.
fn start_all(
    planned: &mut Vec<Planned>,
    session: &mut Session<'_>,
    deadline: Duration,
) -> Option<Vec<Outcome>> {
    let mut entries: Vec<Entry> = Vec::new();
    for planned in &*planned {
        let mut entry = Entry { planned, values_due: session.now(), starter: None, outcome: None };
        entry.resolve(&families(&entries), session, deadline);
        entries.push(entry);
    }
    while let Some(due) = entries.iter().filter_map(Entry::due).min() {
        let retrying = entries.iter().find(|entry| entry.due() == Some(due)).and_then(Entry::retrying);
        progress::sleep_until(due, retrying.as_deref(), session.context.clock);
        let families = families(&entries);
        let Some(entry) = entries.iter_mut().find(|entry| entry.due() == Some(due)) else { break };
        entry.resolve(&families, session, deadline);
        if session.is_of_another_instance(false) || !entry.step(session) {
            return None;
        }
        if !entries.iter().any(Entry::may_hide_a_task) {
            session.lock = None;
        }
    }
    logging::end_progress();
    let well =
        entries.iter().all(|entry| entry.outcome.as_ref().is_some_and(|outcome| outcome.result.is_ok()));
    // What another process keeps running, it concludes.
    if well && !session.settings.stays() {
        entries.iter_mut().filter_map(|entry| entry.starter.as_mut()).for_each(|s| s.conclude(session));
    }
    let outcomes: Vec<_> = entries.into_iter().map(|entry| entry.outcome).collect();
    let wrong = |p: Planned| Some(Outcome::untried(p.name, p.template.err()?.into()));
    Some(planned.drain(..).zip(outcomes).filter_map(|(p, outcome)| outcome.or_else(|| wrong(p))).collect())
}

/// The families of the tasks that are being started or were, each with the place that asked for it.
fn families(entries: &[Entry]) -> Vec<(String, String)> {
    let family = |entry: &Entry| {
        let (starter, template) = (entry.starter.as_ref()?, entry.planned.template.as_ref().ok()?);
        Some((starter.attempt.definition.family.clone(), template.full_name()))
    };
    entries.iter().filter_map(family).collect()
}

/// One configured task, its state machine, and its outcome.
struct Entry<'p> {
    planned: &'p Planned,
    /// When to fetch the values of the host next, while some are unknown.
    values_due: Duration,
    starter: Option<Starter>,
    outcome: Option<Outcome>,
}

impl Entry<'_> {
    /// When its next step is due; `None` once it has ended, and for an invalid task, which was reported.
    fn due(&self) -> Option<Duration> {
        let unfinished = self.outcome.is_none() && self.planned.template.is_ok();
        unfinished.then(|| self.starter.as_ref().map_or(self.values_due, |starter| starter.due))
    }

    /// Makes a starter of the template as soon as its values are known.
    fn resolve(&mut self, families: &[(String, String)], session: &mut Session<'_>, deadline: Duration) {
        let (Ok(template), None) = (&self.planned.template, &self.starter) else { return };
        let name = &self.planned.name;
        let resolution = session.resolve(template, families, deadline);
        let starter = resolution.and_then(|resolution| match resolution {
            Resolution::At(due) => {
                self.values_due = due;
                Ok(None)
            }
            Resolution::Done(request) => Starter::new(&request, session, deadline).map(Some),
        });
        match starter {
            Ok(starter) => self.starter = starter,
            Err(error) => {
                log::error!("{name}: {}", error.message_with_hint());
                self.outcome = Some(Outcome::untried(name.clone(), error));
            }
        }
    }

    /// `false` when the agent has registered under another ARN.
    fn step(&mut self, session: &mut Session<'_>) -> bool {
        let Some(starter) = self.starter.as_mut().filter(|starter| starter.due <= session.now()) else {
            return true;
        };
        match starter.step(session) {
            Next::At(due) => starter.due = due,
            Next::End(result) => {
                let definition = starter.attempt.name();
                match &result {
                    Ok(done) => log::info!(target: RESULT, "{definition}: {done}"),
                    Err(error) => log::error!(target: RESULT, "{definition}: {}", error.message_with_hint()),
                }
                starter.end(&result, session);
                let took = session.now().saturating_sub(starter.attempt.began);
                self.outcome = Some(Outcome { definition, result, attempts: starter.attempt.calls, took });
            }
            Next::Reregistered => return false,
        }
        true
    }

    /// What is retried when it is due.
    fn retrying(&self) -> Option<String> {
        self.starter.as_ref().filter(|starter| starter.retrying).map(|starter| starter.attempt.name())
    }

    fn may_hide_a_task(&self) -> bool {
        self.outcome.is_none() && self.starter.as_ref().is_some_and(Starter::may_hide_a_task)
    }
}
