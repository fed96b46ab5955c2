//! Starts ECS tasks on the container instance it runs on, exactly once per boot.
//!
//! `run` tells the story; each outside thing has a module of its own: the ECS agent (`agent`, `tasks`),
//! IMDS (`imds`), ECS (`ecs`), systemd and the terminal (`host`), the state directory (`state`).

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::unchecked_time_subtraction,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        clippy::needless_for_each,
        clippy::semicolon_if_nothing_returned,
        clippy::unnecessary_wraps
    )
)]

mod agent;
#[cfg(any(test, fuzzing))]
mod answers;
mod arn;
mod broken;
mod certificate;
mod check;
mod cli;
mod clock;
#[cfg(test)]
mod clock_tests;
mod definition;
mod document;
mod ecs;
mod endpoint;
mod error;
mod files;
#[cfg(test)]
mod generators;
mod hardening;
mod heartbeat;
mod host;
mod imds;
mod instance;
#[cfg(any(test, fuzzing))]
mod invariants;
mod job;
mod keyvalue;
mod leftover;
mod logging;
#[cfg(test)]
mod messages;
mod misconfigured;
#[cfg(test)]
mod pace;
#[cfg(test)]
mod pages;
#[cfg(any(test, fuzzing))]
mod play;
#[cfg(test)]
mod property_tests;
mod proxy;
mod question;
#[cfg(test)]
mod question_tests;
mod ready;
mod refusal;
mod remedy;
mod report;
mod request;
mod resolver;
mod retry;
mod roots;
mod run;
#[cfg(test)]
mod run_tests;
mod secret;
mod session;
mod settings;
mod shapes;
mod signals;
mod signing;
mod sources;
mod stage;
mod state;
mod tasks;
mod text;
mod ticket;
mod tls;
mod transport;
mod watch;
#[cfg(any(test, fuzzing))]
mod written;

use cli::{Cli, Output};
use error::Error;
use misconfigured::Misconfigured;
use run::{Told, Way, World};
use settings::Settings;
use sources::Sources;
use std::io::Write;
use std::process::ExitCode;
use tls::Tls;
use transport::Client;

fn main() -> ExitCode {
    hardening::give_up_privileges();
    let cli = Cli::read();
    let (text, code) = if cli.is_check() { check(&cli) } else { start(&cli) };
    say(&text);
    ExitCode::from(code)
}

/// A reader that is gone (`| head`) wants no more; what was done stands in the log.
fn say(text: &str) {
    if let Err(error) = std::io::stdout().write_all(text.as_bytes()) {
        log::debug!("the result cannot be written: {error}");
    }
}

/// What is to be said in the end, and the exit code.
fn start(cli: &Cli) -> (String, u8) {
    let result = run(cli);
    signals::over();
    host::tell_systemd(&match &result {
        Ok(Told::Started(report)) => report.summary(),
        Ok(Told::WouldStart(_)) => "dry run: nothing started".to_owned(),
        Err(error) => format!("failed: {error}"),
    });
    match result {
        Ok(Told::Started(report)) => (report.render(cli.output()), report.exit_code()),
        Ok(Told::WouldStart(dry_run)) => (dry_run.render(cli.output()), dry_run.exit_code()),
        Err(error) => (failed(&error, cli.output()), error.exit_code()),
    }
}

/// For people each finding is printed as it comes.
fn check(cli: &Cli) -> (String, u8) {
    let (sources, settings, wrong) = settings(cli);
    logging::init(None, cli.level().unwrap_or(log::LevelFilter::Warn));
    let text = cli.output() == Output::Text;
    let style = check::Style { colour: logging::colours(), width: logging::columns() };
    let tell = |finding: &check::Finding| {
        if text && (finding.wants_care() || !cli.quiet()) {
            say(&finding.text(style));
        }
    };
    let findings = check::check(&sources, &settings, wrong, &clock::HostClock, &host::RealHost, &tell);
    let end = if text { check::summary(&findings) } else { check::json(&findings) };
    (end, check::exit_code(&findings))
}

/// The settings, where they come from, and what is wrong with them.
fn settings(cli: &Cli) -> (Sources, Settings, Vec<Misconfigured>) {
    let text = |s: std::ffi::OsString| s.to_string_lossy().into_owned();
    let environment = std::env::vars_os().map(|(key, value)| (text(key), text(value)));
    let (sources, mut wrong) = Sources::read(cli, environment);
    let (settings, more) = Settings::read(cli, &sources);
    wrong.extend(more);
    (sources, settings, wrong)
}

fn run(cli: &Cli) -> Result<Told, Error> {
    let (sources, settings, wrong) = settings(cli);
    logging::init(Some(&settings.log_file), settings.log_level);
    signals::watch();
    for given in sources.ignored() {
        log::warn!(
            "{}: {} is not a setting of this program and is ignored; its name may be in ecs-start-task.conf(5)",
            given.origin,
            text::shown(&given.key)
        );
    }
    if let Some(first) = wrong.into_iter().next() {
        return Err(first.into());
    }
    log::info!("ecs-start-task {} begins", env!("CARGO_PKG_VERSION"));
    let tls = tls(&settings, &sources)?;
    let way = |url: &http::Uri| -> Result<Way, Error> {
        let route = proxy::route(url, &sources)?;
        let http = Box::new(Client::remote(route.proxy, tls.clone()));
        Ok(Way { http, roots: tls.roots().to_string(), proxy: route.why })
    };
    let world = World { clock: &clock::HostClock, host: &host::RealHost, local: &Client::local(), ecs: &way };
    run::run(&settings, &world)
}

/// The certificates are read while there is time, before the waiting; the system's only where the way to
/// ECS may need them.
fn tls(settings: &Settings, sources: &Sources) -> Result<Tls, Error> {
    let plain = |url: &http::Uri| url.scheme_str() == Some("http");
    let all_plain = match &settings.endpoint_url {
        Some(url) if plain(url) => proxy::route(url, sources)?.proxy.is_none_or(|p| plain(p.uri())),
        _ => false,
    };
    match &settings.ca_bundle {
        None if all_plain => Ok(Tls::none()),
        bundle => Ok(Tls::new(bundle.as_deref())?),
    }
}

/// The one way in for the fuzz targets (`tests/fuzz`), which build this file as a library.
#[cfg(fuzzing)]
pub fn fuzz(parser: &str, input: &[u8]) {
    invariants::check(parser, input);
}

/// Says why no task could be tried.
fn failed(error: &Error, output: Output) -> String {
    logging::end_progress();
    log::error!("{}", error.told());
    report::render_error(error, output)
}
