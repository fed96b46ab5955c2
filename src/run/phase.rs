//! The states of starting one task.

use crate::run::in_doubt::InDoubt;
use crate::run::watch::Watch;

/// The state of starting one task.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Is there such a task already? If not, send.
    Look,
    /// Sent, and it is not known what became of it.
    InDoubt(InDoubt),
    /// There is a task; it is watched until it runs.
    Watch(Watch),
}

impl Phase {
    /// Whether a task may exist that the agent does not list yet: another run must not search now.
    pub(crate) fn may_hide_a_task(&self) -> bool {
        match self {
            Phase::Look => false,
            Phase::InDoubt(_) => true,
            Phase::Watch(watch) => !watch.is_shown(),
        }
    }
}
