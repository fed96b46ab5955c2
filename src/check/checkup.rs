//! The state of a run of `check`: what was found so far, and how long each check may take.

use super::finding::{Finding, Phase};
use crate::error::Error;
use crate::error::refusal::seconds_ahead;
use crate::net::client::{Answer, Http, Request, describe};
use crate::net::error::{Hop, Kind, TransportError};
use crate::request::resolved::Request as Planned;
use crate::system::clock::Clock;
use crate::system::systemd::{Host, Unit};
use std::cell::Cell;
use std::time::Duration;

/// All checks together. They may take 15 s; this leaves two seconds to a slow host.
pub(super) const LIMIT: Duration = Duration::from_secs(13);

/// One request to the agent or to IMDS. A run waits longer, but a slower response usually means a problem.
pub(super) const LOCAL: Duration = Duration::from_secs(3);

/// One request to the agent's other address, which no run uses.
pub(super) const ASIDE: Duration = Duration::from_secs(1);

/// One request to ECS, the name's resolution included.
pub(super) const REMOTE: Duration = Duration::from_secs(3);

/// The shortest useful limit.
const LEAST: Duration = Duration::from_millis(100);

/// The names of the checks.
pub(super) mod name {
    pub(crate) const SETTINGS: &str = "settings";
    pub(crate) const UNIT: &str = "unit";
    pub(crate) const SERVICES: &str = "ecs and docker";
    pub(crate) const AGENT: &str = "agent";
    pub(crate) const REGISTERED: &str = "registered";
    pub(crate) const IMDS: &str = "IMDS token";
    pub(crate) const ROLE: &str = "role";
    pub(crate) const CREDENTIALS: &str = "credentials";
    pub(crate) const VALUES: &str = "values";
    pub(crate) const CLOCK: &str = "clock";
    pub(crate) const PROXY: &str = "proxy";
    pub(crate) const ENDPOINT: &str = "ECS endpoint";
    pub(crate) const SIGNATURE: &str = "signature";
    pub(crate) const PERMISSION: &str = "permission";
    pub(crate) const DEFINITION: &str = "task definition";
    pub(crate) const DRAINING: &str = "draining";
    pub(crate) const RESTART: &str = "restart";
    pub(crate) const RUNNING: &str = "already running";
    pub(crate) const LOG: &str = "log";
    pub(crate) const STATE: &str = "state directory";
}

/// A run of `check`: what was found so far, and what the checks need.
pub(super) struct Checkup<'a> {
    pub(super) clock: &'a dyn Clock,
    pub(super) host: &'a dyn Host,
    pub(super) tell: &'a dyn Fn(&Finding),
    pub(super) findings: Vec<Finding>,
    /// The unit of the package, and what its line says.
    pub(super) unit: Option<(Unit, Finding)>,
    pub(super) end: Duration,
}

impl<'a> Checkup<'a> {
    pub(super) fn add(&mut self, finding: Finding) {
        (self.tell)(&finding);
        self.findings.push(finding);
    }

    /// What `check` depends on; without it the check is skipped, and the lines of `others` say why.
    pub(super) fn need<T>(
        &mut self,
        check: &'static str,
        needed: Option<T>,
        others: &[&'static str],
    ) -> Option<T> {
        if needed.is_none() {
            self.add(Finding::dependent(check, others, &self.findings));
        }
        needed
    }

    /// Adds the finding of a check, and returns what it found.
    pub(super) fn found<T>(
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

    /// The requests, unless there are none.
    pub(super) fn some<'r>(&mut self, check: &'static str, requests: &'r [Planned]) -> Option<&'r [Planned]> {
        self.need(check, (!requests.is_empty()).then_some(requests), &[name::SETTINGS])
    }

    /// Whether it has been said that ECS refuses the task.
    pub(super) fn is_refused(&self, task: usize) -> bool {
        self.findings.iter().any(|finding| finding.is_refusal_of(task))
    }

    pub(super) fn brief<'h>(&self, http: &'h dyn Http, limit: Duration) -> Brief<'h>
    where
        'a: 'h,
    {
        Brief { http, clock: self.clock, limit, end: self.end, ahead: Cell::default() }
    }
}

/// A client with short limits, which also notes how far the clock of the server is ahead.
pub(super) struct Brief<'a> {
    http: &'a dyn Http,
    pub(super) clock: &'a dyn Clock,
    limit: Duration,
    pub(super) end: Duration,
    /// How far the other side's clock is ahead, in seconds.
    pub(super) ahead: Cell<Option<i64>>,
}

impl Http for Brief<'_> {
    fn send(&self, request: Request, limit: Duration) -> Result<Answer, TransportError> {
        let left = || self.end.saturating_sub(self.clock.uptime());
        let late = || left() < LEAST;
        if late() {
            let (request, hop) = (describe(&request), Hop::Direct);
            return Err(TransportError { request, sent: false, hop, kind: Kind::NoTime });
        }
        let sent = self.clock.now();
        let answer = self.http.send(request, limit.min(self.limit).min(left()));
        let answer =
            answer.map_err(|e| if late() { TransportError { kind: Kind::NoTime, ..e } } else { e })?;
        self.ahead.set(seconds_ahead(answer.headers(), sent, self.clock.now()));
        Ok(answer)
    }
}
