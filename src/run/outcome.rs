//! What became of one task.

use crate::error::Error;
use std::fmt;
use std::time::Duration;

/// How a task came to be running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Success {
    Started,
    AlreadyRunning,
}

/// A successful outcome: the task, and its state as last seen.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) success: Success,
    pub(crate) task: String,
    pub(crate) status: String,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let success = match self.success {
            Success::Started => "started",
            Success::AlreadyRunning if self.status == "STOPPED" => "already ran in this boot",
            Success::AlreadyRunning => "already running",
        };
        write!(f, "{success}: {}", self.task)?;
        if self.status.is_empty() { Ok(()) } else { write!(f, " ({})", self.status) }
    }
}

/// The outcome of one configured task.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// As the user named it.
    pub(crate) definition: String,
    pub(crate) result: Result<Done, Error>,
    /// How often StartTask was sent.
    pub(crate) attempts: u32,
    pub(crate) took: Duration,
}

impl Outcome {
    /// Of a task that could not even be tried.
    pub(crate) fn untried(definition: String, error: Error) -> Self {
        Outcome { definition, result: Err(error), attempts: 0, took: Duration::ZERO }
    }
}
