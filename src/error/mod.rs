//! The errors of this program.
//!
//! A variant for each thing that can fail, with what was tried, where and what came back. How to fix it
//! is in `hint`; what the program does about it is in two functions: [`Error::class`] for the retry table
//! and [`Error::exit_code`] for the unit and for scripts.

pub(crate) mod class;
mod hint;
pub(crate) mod refusal;

use crate::config::error::ConfigError;
use crate::error::class::{Class, exit};
use crate::error::refusal::Refusal;
use crate::files::part_of_state;
use crate::net::error::{Kind, TransportError};
use crate::text::human;
use std::path::PathBuf;
use std::time::Duration;

/// Anything that a run can fail with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Configuration(#[from] ConfigError),

    // ---- The ECS agent on this instance
    #[error("{who}: {0}", who = .0.of("the ECS agent"))]
    Agent(TransportError),

    #[error("the ECS agent is not ready: GET {url} returned {status}: {body}")]
    AgentStatus { url: String, status: u16, body: String },

    #[error("not a response from the ECS agent: GET {url}: {why}: {body}")]
    AgentAnswer { url: String, why: String, body: String },

    #[error("the ECS agent's task list is too large to read: GET {url}: {why}")]
    AgentListTooLarge { url: String, why: String },

    #[error("the ECS agent has not registered this instance yet: GET {url} returned no ContainerInstanceArn")]
    NotRegistered { url: String },

    #[error("the ECS agent reports an ARN that is not a container instance's: {arn}")]
    InstanceArn { arn: String },

    #[error("the ECS agent reports partition {partition}, which this version does not support")]
    UnknownPartition { partition: String },

    // ---- IMDS
    #[error("{who}: {0}", who = .0.of("IMDS"))]
    Imds(TransportError),

    #[error("IMDS is not ready: {request} returned {status}: {body}")]
    ImdsStatus { request: String, status: u16, body: String },

    #[error("IMDS is disabled for this instance: {request} returned 403")]
    ImdsForbidden { request: String },

    #[error("this instance has no IAM role: GET {url} returned {answer}")]
    NoRole { url: String, answer: &'static str },

    #[error("IMDS has no credentials for role {role}: {code}: {message}")]
    RoleCode { role: String, code: String, message: String },

    #[error("unusable response from IMDS: GET {url}: {why}")]
    ImdsAnswer { url: String, why: String },

    #[error("no value from IMDS for {path}: {why}")]
    NoValue { path: String, why: String },

    #[error("the credentials from IMDS for role {role} expired at {at}")]
    Expired { role: String, at: String },

    #[error("the request cannot be signed: {why}")]
    Sign { why: String },

    // ---- ECS
    #[error("ECS is not reachable: {0}")]
    Unreachable(TransportError),

    #[error("the TLS connection to ECS is not trusted: {error}; trusted certificates: {roots}")]
    Certificate { error: Box<TransportError>, roots: String },

    #[error("no usable response from ECS, and the request may or may not have taken effect: {0}")]
    NoAnswer(TransportError),

    #[error(
        "unreadable response from ECS, and the request may or may not have taken effect: {request} returned {status}: {why}: {body}"
    )]
    Unreadable { request: String, status: u16, why: String, body: String },

    #[error("ECS responded to {action} with {refusal}")]
    Refused { action: &'static str, refusal: Box<Refusal>, class: Class },

    // ---- A task. The caller puts its name before the message
    #[error("it is still unknown whether an earlier run started the task")]
    OpenQuestion,

    #[error("ECS did not start the task: {reason}{}{}", detail.as_ref().map_or_else(String::new, |d| format!(" ({d})")), refusal::meaning(reason))]
    Failure { reason: String, detail: Option<String>, class: Class },

    #[error("the task stopped before it ran: {task}: {reason}")]
    Stopped { task: String, reason: String },

    #[error("ECS accepted the task, but it is not running yet: {task} is {status}")]
    NotRunning { task: String, status: String },

    #[error("another run of this program is starting tasks: {holder}")]
    Locked { holder: String },

    #[error("it is not running, and {holder} keeps the tasks of this instance running")]
    Kept { holder: String },

    #[error("cannot use {} now: {source}", part_of_state(path))]
    State { path: PathBuf, source: std::io::Error },

    #[error("{action} failed: {error}")]
    NotAsked { action: &'static str, error: Box<Error> },

    // ---- The deadline
    #[error("no time was left to start the task")]
    NoTime,

    #[error("gave up{}: {last}", when(*after))]
    GaveUp { after: Duration, last: Box<Error> },
}

/// Whatever gives up in less than a second was refused once, and would be retried too late.
fn when(after: Duration) -> String {
    if after.as_secs() > 0 {
        format!(" after {}", human(after))
    } else {
        ", as no time is left to retry".to_owned()
    }
}

/// An invalid address can only come from a wrong setting.
impl From<http::Error> for Error {
    fn from(source: http::Error) -> Self {
        ConfigError::Address(source).into()
    }
}

impl Error {
    /// Its row in the retry table.
    pub(crate) fn class(&self) -> Class {
        use Error::*;
        match self {
            Refused { class, .. } | Failure { class, .. } => *class,
            Unreachable(_) => Class::Unreachable,
            NoAnswer(_) | Unreadable { .. } | OpenQuestion => Class::Unanswered,
            Agent(_)
            | AgentStatus { .. }
            | AgentAnswer { .. }
            | AgentListTooLarge { .. }
            | NotRegistered { .. }
            | InstanceArn { .. }
            | UnknownPartition { .. } => Class::Agent,
            Imds(_)
            | ImdsStatus { .. }
            | NoRole { .. }
            | RoleCode { .. }
            | ImdsAnswer { .. }
            | NoValue { .. } => Class::Imds,
            NotAsked { error, .. } => match error.class() {
                // Asking changes nothing, so it does not matter whether it arrived.
                Class::Unanswered => Class::Unreachable,
                class => class,
            },
            Expired { .. } => Class::CredentialsExpired,
            Locked { .. } => Class::Locked,
            State { .. } => Class::State,
            Configuration(_)
            | GaveUp { .. }
            | NoTime
            | Stopped { .. }
            | NotRunning { .. }
            | Kept { .. }
            | ImdsForbidden { .. }
            | Certificate { .. }
            | Sign { .. } => Class::Permanent,
        }
    }

    /// The exit code when a run gives up on this error: that of its class, unless the error says more.
    pub(crate) fn exit_code(&self) -> u8 {
        use Error::*;
        match self {
            Certificate { .. } => exit::UNAVAILABLE,
            Stopped { .. } => exit::STOPPED,
            NotRunning { .. } | Kept { .. } | NoTime => exit::NOT_YET,
            ImdsForbidden { .. } | NoRole { .. } | RoleCode { .. } | Sign { .. } => exit::NOT_ALLOWED,
            Configuration(_) => exit::CONFIGURATION,
            NotAsked { error: last, .. } | GaveUp { last, .. } => last.exit_code(),
            other => other.class().exit_code(),
        }
    }

    /// What failed, so that the beginning says what is missing: without request, status and who asked.
    pub(crate) fn brief(&self) -> String {
        match self {
            Error::Refused { action, refusal, .. } => {
                format!("ECS responded to {action} with {}", refusal.brief())
            }
            Error::NotAsked { action, error } => format!("{action} failed: {}", error.brief()),
            Error::GaveUp { after, last } => format!("gave up{}: {}", when(*after), last.brief()),
            other => other.to_string(),
        }
    }

    /// Whether ECS itself refused, and not another server in its place.
    pub(crate) fn is_of_ecs(&self) -> bool {
        matches!(self, Error::Refused { refusal, .. } if refusal.request_id.is_some() || refusal.code.ends_with("Exception"))
    }

    /// Whether there was no time left for a response.
    pub(crate) fn is_late(&self) -> bool {
        use Error::*;
        matches!(self, Agent(e) | Imds(e) | Unreachable(e) | NoAnswer(e) if matches!(e.kind, Kind::NoTime))
    }

    /// Whether it was up to another run.
    pub(crate) fn is_up_to_another(&self) -> bool {
        match self {
            Error::GaveUp { last, .. } => last.is_up_to_another(),
            other => matches!(other, Error::Locked { .. } | Error::Kept { .. }),
        }
    }

    /// The task that ECS accepted although the run failed, and its state.
    pub(crate) fn task(&self) -> Option<(&str, &str)> {
        match self {
            Error::Stopped { task, .. } => Some((task, "STOPPED")),
            Error::NotRunning { task, status, .. } => Some((task, status)),
            _ => None,
        }
    }

    /// How long ECS asked to wait.
    pub(crate) fn retry_after(&self) -> Duration {
        match self {
            Error::Refused { refusal, .. } => refusal.retry_after.unwrap_or_default(),
            Error::NotAsked { error: inner, .. } | Error::GaveUp { last: inner, .. } => inner.retry_after(),
            _ => Duration::ZERO,
        }
    }

    /// How far ECS's clock is ahead of this host's, in seconds.
    pub(crate) fn skew(&self) -> i64 {
        match self {
            Error::Refused { refusal, .. } => refusal.skew.unwrap_or_default(),
            Error::NotAsked { error, .. } => error.skew(),
            _ => 0,
        }
    }

    /// The code that ECS gave, or the name of what went wrong: for the JSON result.
    pub(crate) fn code(&self) -> &str {
        match self {
            Error::Refused { refusal, .. } => &refusal.code,
            Error::Failure { reason, .. } => reason,
            Error::NotAsked { error: last, .. } | Error::GaveUp { last, .. } => last.code(),
            other => match other.exit_code() {
                exit::UNAVAILABLE => "Unavailable",
                exit::STOPPED => "Stopped",
                exit::NOT_YET => "NotYet",
                exit::NOT_ALLOWED => "NotAllowed",
                _ => "Configuration",
            },
        }
    }
}
