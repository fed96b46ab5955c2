//! Tasks of the previous boot.
//!
//! Just after a boot the agent may report one as RUNNING for a moment. If it continues to do so, the task counts as running: the
//! clock may have been stepped since the task started.

use crate::aws::tasks::Task;
use crate::run::session::Session;
use std::time::Duration;

/// How long the agent is given to correct itself, and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(15);
pub(crate) const POLL: Duration = Duration::from_secs(1);

/// Waits a while for the agent to correct itself about a task of the previous boot.
#[derive(Debug, Default)]
pub(crate) struct StaleTask {
    until: Option<Duration>,
}

impl StaleTask {
    /// Whether `task`, which the agent lists, may in fact be gone.
    pub(crate) fn may_be(&mut self, task: &Task, session: &Session<'_>) -> bool {
        let clock = session.context.clock;
        // A start in the future means that the clock was set back, which says nothing about the boot.
        if !clock.booted().is_some_and(|boot| task.is_outside(&(boot..=clock.now()))) {
            return false;
        }
        let now = clock.uptime();
        let until = *self.until.get_or_insert_with(|| {
            log::info!(
                "by this host's clock, {} was started before this boot; waiting for the agent to confirm that it is running",
                task.arn
            );
            now + PATIENCE
        });
        now < until
    }
}
