//! Where a task is on its way, and where an earlier run left it.

use crate::run::in_doubt::InDoubt;
use crate::run::record::Record;
use crate::run::watch::Watch;
use std::time::Duration;

/// Where a task is on its way.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Is there one already? If not, send.
    Look,
    /// Sent, and nobody knows what became of it.
    Ask(InDoubt),
    /// There is a task; follow it until it runs.
    Watch(Watch),
}

impl Phase {
    /// Where the record says that an earlier run stopped.
    pub(crate) fn after(record: &Record, now: Duration) -> Phase {
        match &record.task {
            Some((arn, since)) => Phase::Watch(Watch::recorded(arn.clone(), *since)),
            None if record.sent.is_some() => Phase::Ask(InDoubt::new(now, now, None)),
            None => Phase::Look,
        }
    }

    /// Whether a task may exist that the agent does not show yet: another run must not look now, and the
    /// next one needs the record.
    pub(crate) fn may_hide_a_task(&self) -> bool {
        match self {
            Phase::Look => false,
            Phase::Ask(_) => true,
            Phase::Watch(watch) => !watch.seen,
        }
    }
}
