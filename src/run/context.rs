//! What a run touches and what it comes to, so that a test can play the one and read the other.

use crate::error::Error;
use crate::net::client::Http;
use crate::run::report::{DryRun, Report};
use crate::system::clock::Clock;
use crate::system::systemd::Host;
use http::Uri;

/// All that a run touches, passed in so that a test can play it.
pub(crate) struct Context<'a> {
    pub(crate) clock: &'a dyn Clock,
    pub(crate) host: &'a dyn Host,
    /// The way to the agent and to IMDS.
    pub(crate) local: &'a dyn Http,
    /// Makes the way to ECS, which depends on where it is.
    pub(crate) ecs: &'a dyn Fn(&Uri) -> Result<EcsRoute, Error>,
    /// Hears the result of a run that stays, once its tasks run.
    pub(crate) announce: &'a dyn Fn(&Report),
}

/// The way to ECS.
pub(crate) struct EcsRoute {
    pub(crate) http: Box<dyn Http>,
    /// Which certificates are trusted.
    pub(crate) roots: String,
    /// Which proxy is taken, and why.
    pub(crate) proxy: String,
}

/// What a run came to.
pub(crate) enum RunResult {
    Started(Report),
    WouldStart(DryRun),
}
