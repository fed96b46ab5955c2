//! The command itself: settings, log and signals are set up, the run is made on the real host, and its result becomes text
//! and an exit code.

use crate::config::cli::{Cli, Output};
use crate::config::ignored::ignored;
use crate::config::settings::Settings;
use crate::config::sources::Sources;
use crate::error::Error;
use crate::files;
use crate::net::client::Client;
use crate::net::proxy;
use crate::net::tls::Tls;
use crate::run;
use crate::run::context::{Context, EcsRoute, RunResult};
use crate::run::outcome::Outcome;
use crate::run::record::LastError;
use crate::run::report::{self, Report};
use crate::run::state::{State, Untried};
use crate::system::clock::Clock;
use crate::system::ecs_config::ECS_CONFIG;
use crate::system::{clock, cloud_init, logging, signals, systemd};

/// The result for stdout, and the exit code.
pub(crate) fn start(cli: &Cli) -> (String, u8) {
    let result = run(cli, &|report| logging::print(&report.render(cli.output, logging::columns())));
    signals::over();
    systemd::tell_systemd(&match &result {
        Ok(RunResult::Started(report)) => report.summary(),
        Ok(RunResult::WouldStart(_)) => "dry run: nothing started".to_owned(),
        Err(error) => format!("failed: {error}"),
    });
    match result {
        Ok(RunResult::Started(report)) => (report.render(cli.output, logging::columns()), report.exit_code()),
        Ok(RunResult::WouldStart(dry_run)) => (dry_run.render(cli.output), dry_run.exit_code()),
        Err(error) => (failed(&error, cli.output), error.exit_code()),
    }
}

/// Makes the run on the real host; `announce` is called with the result of a run that stays.
///
/// # Errors
/// The run's error, from which the exit code follows.
fn run(cli: &Cli, announce: &dyn Fn(&Report)) -> Result<RunResult, Error> {
    let (sources, settings, wrong) = Settings::of_command(cli);
    logging::init(Some(&settings.log_file), settings.log_level);
    signals::watch();
    if let Some(e) = &sources.agent_unreadable {
        log::warn!(
            "cannot read {ECS_CONFIG}, so the proxy and the endpoint set there are ignored: {e}; {}",
            files::of_path(e)
        );
    }
    for ignored in ignored(&sources, &settings) {
        log::warn!("{}", ignored.message_with_hint());
    }
    if let Some(first) = wrong.into_iter().next() {
        return Err(first.into());
    }
    let on = cloud_init::instance_id().map_or_else(String::new, |id| format!(" on EC2 instance {id}"));
    log::info!("ecs-start-task {} begins{on}", env!("CARGO_PKG_VERSION"));
    let tls = tls(&settings, &sources)?;
    let ecs = |url: &http::Uri| -> Result<EcsRoute, Error> {
        let route = proxy::route(url, &sources)?;
        let http = Box::new(Client::remote(route.proxy, tls.clone()));
        Ok(EcsRoute { http, roots: tls.roots.to_string(), proxy: route.why })
    };
    let local = Client::local(&settings.agent_url);
    let context =
        Context { clock: &clock::HostClock, host: &systemd::RealHost, local: &local, ecs: &ecs, announce };
    let result = run::run(&settings, &context);
    let untried = untried(&result, context.clock);
    if !untried.is_empty()
        && !settings.dry_run
        && let Err(unrecorded) = State::at(&settings.state_dir).note_untried(&untried)
    {
        log::debug!("{unrecorded}");
    }
    result
}

/// What kept tasks from being tried. No record has it, as a record is of a request to ECS.
fn untried(result: &Result<RunResult, Error>, clock: &dyn Clock) -> Untried {
    let last = |error: &Error| LastError::new(error, clock.now());
    let of_task = |outcome: &Outcome| {
        let error = outcome
            .result
            .as_ref()
            .err()
            .filter(|error| outcome.attempts == 0 && !error.is_up_to_another())?;
        Some((outcome.definition.clone(), last(error)))
    };
    match result {
        Err(error) => Untried::from([(String::new(), last(error))]),
        Ok(RunResult::Started(report)) => report.outcomes.iter().filter_map(of_task).collect(),
        Ok(RunResult::WouldStart(_)) => Untried::new(),
    }
}

/// The certificates are read before the run waits for anything, and those of the system only if the connection to ECS may
/// need them.
///
/// # Errors
/// The bundle or the proxy is invalid.
fn tls(settings: &Settings, sources: &Sources) -> Result<Tls, Error> {
    let plain = |url: &http::Uri| url.scheme_str() == Some("http");
    let all_plain = match &settings.endpoint.url {
        Some((url, _)) if plain(url) => proxy::route(url, sources)?.proxy.is_none_or(|p| plain(p.uri())),
        _ => false,
    };
    match &settings.ca_bundle {
        None if all_plain => Ok(Tls::default()),
        bundle => Ok(Tls::new(bundle.as_deref())?),
    }
}

/// Says why no task could be tried.
fn failed(error: &Error, output: Output) -> String {
    logging::end_progress();
    log::error!("{}", error.message_with_hint());
    report::render_error(error, output)
}
