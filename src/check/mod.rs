//! `ecs-start-task check`: what a run needs, tried one by one, in the order in which a run needs it.
//!
//! Starts nothing, changes nothing and writes nothing. Each check has a short limit of its own and all
//! together have one; a check that depends on a failed one is skipped, every other is made.

mod checkup;
mod definition;
mod ecs;
mod finding;
mod host;
mod instance;
mod network;
mod running;
mod sandbox;
mod settings;
mod staying;
mod tasks;
mod user_data;
mod values;

use crate::config::cli::{Cli, Output};
use crate::config::error::ConfigError;
use crate::config::settings::Settings;
use crate::config::sources::Sources;
use crate::net::client::Client;
use crate::system::clock::{Clock, HostClock};
use crate::system::logging;
use crate::system::systemd::{Host, RealHost};
use checkup::{ASIDE, Checkup, LIMIT, LOCAL};
use finding::{Finding, Style, conclusion, exit_code, json};

/// `ecs-start-task check`: for people each finding is printed as it comes. The rest of the result, and the exit code.
pub(crate) fn command(cli: &Cli) -> (String, u8) {
    let (sources, settings, wrong) = Settings::of_command(cli);
    logging::init(None, cli.level().unwrap_or(log::LevelFilter::Warn));
    let text = cli.output == Output::Text;
    let style = Style { colour: logging::colours(), width: logging::columns().unwrap_or(usize::MAX) };
    let tell = |finding: &Finding| {
        if text && !finding.is_dependent() && (finding.wants_care() || !cli.quiet) {
            logging::print(&finding.text(style));
        }
    };
    let findings = check(&sources, &settings, wrong, &HostClock, &RealHost, &tell);
    let silent = cli.quiet && !findings.iter().any(Finding::wants_care);
    let end = match cli.output {
        Output::Json => json(&findings),
        Output::Text if silent => String::new(),
        Output::Text => conclusion(&findings, style),
    };
    (end, exit_code(&findings))
}

/// Makes all checks; `tell` is called with each finding as it comes.
fn check(
    sources: &Sources,
    settings: &Settings,
    wrong: Vec<ConfigError>,
    clock: &dyn Clock,
    host: &dyn Host,
    tell: &dyn Fn(&Finding),
) -> Vec<Finding> {
    let mut checkup =
        Checkup { clock, host, tell, findings: Vec::new(), unit: None, end: clock.uptime() + LIMIT };
    let client = Client::local(&settings.agent_url);
    let (agent_http, imds_http) = (checkup.brief(&client, LOCAL), checkup.brief(&client, LOCAL));
    let aside = checkup.brief(&client, ASIDE);

    let templates = checkup.settings(sources, settings, wrong);
    checkup.units(sources, settings);
    let agent = checkup.agent(settings, &agent_http, &aside);
    let instance = checkup.registered(settings, agent.as_ref());
    let mut imds = checkup.imds_token(settings, &imds_http);
    let role = checkup.role(imds.as_mut(), &imds_http);
    let credentials = checkup.credentials(imds.as_mut(), role.as_deref(), &imds_http);
    let requests = checkup.values(&templates, instance.as_ref(), imds.as_mut(), &imds_http);

    let place = instance::place(instance.as_ref(), imds.as_mut(), &imds_http);
    let path = network::path(settings, sources, place.as_ref(), &checkup);
    checkup.clock(imds_http.ahead.get(), path.as_ref());
    checkup.proxy(path.as_ref());
    let ecs = checkup.endpoint(path.as_ref());
    let ecs = checkup.ecs(ecs, credentials, place.as_ref());
    let ecs = checkup.signature(ecs, &requests);
    let here = running::here(&requests, instance.as_ref(), settings, &agent_http);
    checkup.permission(ecs.as_ref(), &requests, instance.as_ref(), here.as_ref());
    checkup.definitions(ecs.as_ref(), &requests, here.as_ref());
    checkup.staying(ecs.as_ref(), instance.as_ref(), settings);
    checkup.running(&requests, here, settings, instance.as_ref());
    checkup.room(settings, &requests);
    checkup.findings
}
