//! Where a task is on its way, and where an earlier run left it.

use crate::question::Question;
use crate::state::Record;
use crate::watch::Watch;
use std::time::Duration;

/// Where a task is on its way.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Is there one already? If not, send.
    Look,
    /// Sent, and nobody knows what became of it.
    Ask(Question),
    /// There is a task; follow it until it runs.
    Watch(Watch),
}

impl Stage {
    /// Where the record says that an earlier run stopped.
    pub(crate) fn after(record: &Record, now: Duration) -> Stage {
        match &record.task {
            Some((arn, since)) => Stage::Watch(Watch::recorded(arn.clone(), *since)),
            None if record.sent.is_some() => Stage::Ask(Question::new(now, now, None)),
            None => Stage::Look,
        }
    }

    /// Whether a task may exist that the agent does not show yet: another run must not look now, and the
    /// next one needs the record.
    pub(crate) fn may_hide_a_task(&self) -> bool {
        match self {
            Stage::Look => false,
            Stage::Ask(_) => true,
            Stage::Watch(watch) => !watch.seen,
        }
    }
}
