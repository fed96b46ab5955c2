//! What a run uses from outside and what it returns, so that tests can replace the one and check the other.

use crate::error::Error;
use crate::net::client::Http;
use crate::run::report::{DryRun, Report};
use crate::system::clock::Clock;
use crate::system::systemd::Host;
use http::Uri;

/// Everything outside the program that a run uses, passed in so that tests can simulate it.
pub(crate) struct Context<'a> {
    pub(crate) clock: &'a dyn Clock,
    pub(crate) host: &'a dyn Host,
    /// The client for the agent and IMDS.
    pub(crate) local: &'a dyn Http,
    /// Makes the client for ECS, which depends on the endpoint.
    pub(crate) ecs: &'a dyn Fn(&Uri) -> Result<EcsRoute, Error>,
    /// Is called with the result of a run that stays, once its tasks run.
    pub(crate) announce: &'a dyn Fn(&Report),
}

/// The client for ECS, and how it reaches it.
pub(crate) struct EcsRoute {
    pub(crate) http: Box<dyn Http>,
    /// Which certificates are trusted.
    pub(crate) roots: String,
    /// Which proxy is taken, and why.
    pub(crate) proxy: String,
}

/// The result of a run: a report, or what a dry run would send.
pub(crate) enum RunResult {
    Started(Report),
    WouldStart(DryRun),
}
