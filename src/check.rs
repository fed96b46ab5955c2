//! `ecs-start-task check`: what a run needs, tried one by one, in the order in which a run needs it.
//!
//! Starts nothing, changes nothing and writes nothing. Each check has a short limit of its own and all
//! together have one; a check that depends on a failed one is skipped, every other is made.

mod definition;
mod finding;
mod host;
mod instance;
mod network;
mod sandbox;
mod settings;
mod tasks;

use crate::broken::{Kind, Leg, TransportError};
use crate::clock::Clock;
use crate::error::Error;
use crate::host::Host;
use crate::misconfigured::Misconfigured;
use crate::refusal::seconds_ahead;
use crate::settings::Settings;
use crate::sources::Sources;
use crate::transport::{Answer, Client, Http, Request, describe};
use finding::Phase;
pub(crate) use finding::{Finding, Style, exit_code, json, summary};
use std::cell::Cell;
use std::time::Duration;

/// All checks together. They may take 15 s; this leaves two seconds to a slow host.
const LIMIT: Duration = Duration::from_secs(13);

/// One request to the agent or to IMDS. A run has more patience, but not many who answer later are well.
const LOCAL: Duration = Duration::from_secs(3);

/// One request to the address that nobody depends on.
const ASIDE: Duration = Duration::from_secs(1);

/// One request to ECS, the name's resolution included.
const REMOTE: Duration = Duration::from_secs(3);

/// Less is no time to answer.
const LEAST: Duration = Duration::from_millis(100);

/// The names of the checks.
mod name {
    pub(super) const SETTINGS: &str = "settings";
    pub(super) const UNIT: &str = "unit";
    pub(super) const SERVICES: &str = "ecs and docker";
    pub(super) const AGENT: &str = "agent";
    pub(super) const REGISTERED: &str = "registered";
    pub(super) const IMDS: &str = "IMDS token";
    pub(super) const ROLE: &str = "role";
    pub(super) const CREDENTIALS: &str = "credentials";
    pub(super) const CLOCK: &str = "clock";
    pub(super) const PROXY: &str = "proxy";
    pub(super) const ENDPOINT: &str = "ECS endpoint";
    pub(super) const SIGNATURE: &str = "signature";
    pub(super) const MAY_START: &str = "may start";
    pub(super) const DEFINITION: &str = "task definition";
    pub(super) const RUNNING: &str = "already running";
    pub(super) const LOG: &str = "log";
    pub(super) const STATE: &str = "state directory";
}

/// Makes all checks; each finding is told as it comes.
pub(crate) fn check(
    sources: &Sources,
    settings: &Settings,
    wrong: Vec<Misconfigured>,
    clock: &dyn Clock,
    host: &dyn Host,
    tell: &dyn Fn(&Finding),
) -> Vec<Finding> {
    let mut checkup = Checkup { clock, host, tell, findings: Vec::new(), end: clock.uptime() + LIMIT };
    let client = Client::local();
    let (agent_http, imds_http) = (checkup.brief(&client, LOCAL), checkup.brief(&client, LOCAL));
    let aside = checkup.brief(&client, ASIDE);

    let requests = checkup.settings(sources, settings, wrong);
    checkup.units(sources, settings);
    let agent = checkup.agent(settings, &agent_http, &aside);
    let instance = checkup.registered(settings, agent.as_ref());
    let mut imds = checkup.imds_token(settings, &imds_http);
    let role = checkup.role(imds.as_mut(), &imds_http);
    let credentials = checkup.credentials(imds.as_mut(), role.as_deref(), &imds_http);

    let place = instance::place(instance.as_ref(), imds.as_mut(), &imds_http);
    let way = network::way(settings, sources, place.as_ref(), &checkup);
    checkup.clock(imds_http.ahead.get(), way.as_ref());
    checkup.proxy(way.as_ref());
    let ecs = checkup.endpoint(way.as_ref());
    let ecs = checkup.ecs(ecs, credentials, place.as_ref());
    let ecs = checkup.signature(ecs, &requests);
    let here = tasks::here(&requests, instance.as_ref(), settings, &agent_http);
    checkup.may_start(ecs.as_ref(), &requests, instance.as_ref(), settings, here.as_ref());
    checkup.definitions(ecs.as_ref(), &requests, here.as_ref());
    checkup.running(&requests, here);
    checkup.room(settings, &requests);
    checkup.findings
}

/// The checks so far.
struct Checkup<'a> {
    clock: &'a dyn Clock,
    host: &'a dyn Host,
    tell: &'a dyn Fn(&Finding),
    findings: Vec<Finding>,
    end: Duration,
}

impl<'a> Checkup<'a> {
    fn add(&mut self, finding: Finding) {
        (self.tell)(&finding);
        self.findings.push(finding);
    }

    /// What `check` depends on; without it the check is skipped, and the lines of `others` say why.
    fn need<T>(&mut self, check: &'static str, needed: Option<T>, others: &[&str]) -> Option<T> {
        if needed.is_none() {
            let lines = others.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" and ");
            let note = format!("needs {}", others.join(" and "));
            self.add(Finding::skipped(check, note, format!("see {lines} above")));
        }
        needed
    }

    /// Adds what became of a check, and hands on what it found.
    fn found<T>(
        &mut self,
        check: &'static str,
        result: Result<T, Error>,
        told: impl FnOnce(&T) -> Finding,
    ) -> Option<T> {
        self.add(match &result {
            Ok(value) => told(value),
            Err(error) => Finding::error(check, Phase::Waiting, error),
        });
        result.ok()
    }

    fn brief<'h>(&self, http: &'h dyn Http, limit: Duration) -> Brief<'h>
    where
        'a: 'h,
    {
        Brief { http, clock: self.clock, limit, end: self.end, ahead: Cell::default() }
    }
}

/// A way that is not waited on for long, and that notes what the other side's clock says.
struct Brief<'a> {
    http: &'a dyn Http,
    clock: &'a dyn Clock,
    limit: Duration,
    end: Duration,
    /// How far the other side's clock is ahead, in seconds.
    ahead: Cell<Option<i64>>,
}

impl Http for Brief<'_> {
    fn send(&self, request: Request, limit: Duration) -> Result<Answer, TransportError> {
        let left = || self.end.saturating_sub(self.clock.uptime());
        let late = || left() < LEAST;
        if late() {
            let (request, leg) = (describe(&request), Leg::Direct);
            return Err(TransportError { request, sent: false, leg, kind: Kind::NoTime });
        }
        let sent = self.clock.now();
        let answer = self.http.send(request, limit.min(self.limit).min(left()));
        let answer =
            answer.map_err(|e| if late() { TransportError { kind: Kind::NoTime, ..e } } else { e })?;
        self.ahead.set(seconds_ahead(answer.headers(), sent, self.clock.now()));
        Ok(answer)
    }
}
