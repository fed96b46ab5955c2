//! Everything that can go wrong, each said once.
//!
//! A variant for each thing that can fail, with what was tried, where and what came back; its
//! sentence ends with the remedy where the user has one. What to do about it is in two functions:
//! [`Error::class`] for the retry table and [`Error::exit_code`] for the unit and for scripts.

use crate::refusal::{Refusal, failure_remedy};
use crate::retry::Class;
use crate::sources::{Given, Origin};
use crate::text::{did_you_mean, human};
use crate::transport::TransportError;
use std::path::PathBuf;
use std::time::Duration;

/// Exit codes, from sysexits.h where one fits; listed in the README and the man page.
pub(crate) mod exit {
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const UNAVAILABLE: u8 = 69;
    pub(crate) const STOPPED: u8 = 70;
    pub(crate) const NOT_YET: u8 = 75;
    pub(crate) const REFUSED: u8 = 76;
    pub(crate) const NOT_ALLOWED: u8 = 77;
    pub(crate) const CONFIGURATION: u8 = 78;
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    // ---- Configuration
    #[error("{}: unknown setting {}{}", given.origin, given.key, did_you_mean(*nearest))]
    SettingUnknown { given: Given, nearest: Option<&'static str> },

    #[error("{}: {}={} is not {expected}", given.origin, given.key, crate::text::shown(&given.value))]
    SettingInvalid { given: Given, expected: &'static str },

    #[error("{path} line {line} is neither a comment nor KEY=VALUE")]
    NotKeyValue { path: PathBuf, line: usize },

    #[error("cannot read {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },

    #[error(
        "nothing to start: set ECS_START_TASK_DEFINITION in /etc/ecs/ecs-start-task.conf, put a request document into /etc/ecs/ecs-start-task.d/, or give --task-definition"
    )]
    NothingToStart,

    #[error("{given:?} is not a task definition: give a family, family:revision or its ARN")]
    Definition { given: String },

    #[error("{path}: {why}")]
    Document { path: PathBuf, why: String },

    #[error(
        "{given}: {family} is to be started already by {earlier}, and one task of a family is started; remove one of the two"
    )]
    Twice { given: String, family: String, earlier: String },

    #[error(
        "this instance is in cluster {actual}, not in {wanted}: mend --cluster (or the document's cluster), or ECS_CLUSTER in /etc/ecs/ecs.config"
    )]
    Cluster { wanted: String, actual: String },

    #[error(
        "a custom endpoint goes neither with AWS_USE_FIPS_ENDPOINT nor with AWS_USE_DUALSTACK_ENDPOINT: unset the one or the others"
    )]
    EndpointConflict,

    #[error("AWS_EC2_METADATA_DISABLED is true, and credentials come from IMDS alone: unset it")]
    ImdsDisabled,

    #[error(
        "partition {partition} is not known to this version: give the ECS endpoint with AWS_ENDPOINT_URL_ECS"
    )]
    Partition { partition: String },

    #[error("the certificates in {path} cannot be used: {why}; mend AWS_CA_BUNDLE or --ca-bundle")]
    CaBundle { path: PathBuf, why: String },

    #[error("TLS cannot be set up: {why}")]
    Tls { why: String },

    #[error(
        "{origin}: {key} is no proxy this program knows: give http://host:port, https://host:port or host:port"
    )]
    Proxy { key: String, origin: Origin },

    #[error("the request cannot be made: {0}; mend the address in the settings")]
    Address(#[from] http::Error),

    #[error(
        "called from user data, which the ECS agent waits for, so the agent would never come up: use `systemctl enable --now --no-block ecs-start-task`"
    )]
    UserData,

    #[error(
        "the state directory cannot be used, {path}: {source}; start as root, or set ECS_START_TASK_STATE_DIR to a directory that this user may write"
    )]
    State { path: PathBuf, source: std::io::Error },

    // ---- The ECS agent on this instance
    #[error(
        "the ECS agent does not answer: {0}; look at `systemctl status ecs` and /var/log/ecs/ecs-agent.log: it answers when it has registered, which takes an instance profile and a way to ECS"
    )]
    Agent(TransportError),

    #[error("the ECS agent is not ready: GET {url} answered {status}: {body}")]
    AgentStatus { url: String, status: u16, body: String },

    #[error(
        "this is not the ECS agent's answer: GET {url}: {why}: {body}; mend ECS_START_TASK_AGENT_URL, or find out what listens there"
    )]
    AgentAnswer { url: String, why: String, body: String },

    #[error("the ECS agent has not registered this instance yet: GET {url} names no ContainerInstanceArn")]
    NotRegistered { url: String },

    #[error("the ECS agent gives an ARN that is none of a container instance: {arn}")]
    InstanceArn { arn: String },

    // ---- IMDS
    #[error(
        "IMDS does not answer: {0}; in a container raise the hop limit (aws ec2 modify-instance-metadata-options --http-put-response-hop-limit 2)"
    )]
    Imds(TransportError),

    #[error("IMDS is not ready: {request} answered {status}: {body}")]
    ImdsStatus { request: String, status: u16, body: String },

    #[error(
        "IMDS is turned off for this instance ({request} answered 403): turn it on (aws ec2 modify-instance-metadata-options --http-endpoint enabled)"
    )]
    ImdsForbidden { request: String },

    #[error(
        "this instance has no role (GET {url} answered {answer}): attach an instance profile with a role that may ecs:StartTask"
    )]
    NoRole { url: String, answer: &'static str },

    #[error(
        "IMDS has no credentials for role {role}: {code}: {message}; look at the role's trust policy (ec2.amazonaws.com must be able to assume it)"
    )]
    RoleCode { role: String, code: String, message: String },

    #[error("IMDS gives no usable answer: GET {url}: {why}")]
    ImdsAnswer { url: String, why: String },

    #[error("the credentials that IMDS gives for role {role} expired at {at}")]
    Expired { role: String, at: String },

    #[error("the request cannot be signed: {why}")]
    Sign { why: String },

    // ---- ECS
    #[error(
        "ECS is not reachable: {0}; look at the route to it (NAT, VPC endpoint com.amazonaws.REGION.ecs, security groups, HTTPS_PROXY)"
    )]
    Unreachable(TransportError),

    #[error(
        "ECS is not trusted: {error}; the certificates trusted are those of {roots}; give the issuer's with AWS_CA_BUNDLE or --ca-bundle"
    )]
    Certificate { error: TransportError, roots: String },

    #[error("ECS may or may not have done it, for its answer is missing: {0}")]
    NoAnswer(TransportError),

    #[error(
        "ECS may or may not have done it, for its answer cannot be read: {request} answered {status}: {why}: {body}"
    )]
    Unreadable { request: String, status: u16, why: String, body: String },

    #[error("whether an earlier run started {definition} is still not known")]
    OpenQuestion { definition: String },

    #[error("ECS answered {action} with {refusal}{}", refusal.remedy())]
    Refused { action: &'static str, refusal: Box<Refusal>, class: Class },

    #[error("ECS did not start {definition}: {reason}{}{}", detail.as_ref().map_or_else(String::new, |d| format!(" ({d})")), failure_remedy(reason))]
    Failure { definition: String, reason: String, detail: Option<String>, class: Class },

    #[error("{definition} was started and stopped before it ran: {task}: {reason}")]
    Stopped { definition: String, task: String, reason: String },

    #[error("{definition} was accepted by ECS and is not running yet: {task} is {status}")]
    NotRunning { definition: String, task: String, status: String },

    #[error("another run of this program is starting tasks: {holder}")]
    Locked { holder: String },

    // ---- The end of patience
    #[error("gave up after {}: {last}", human(*after))]
    GaveUp { after: Duration, last: Box<Error> },
}

impl Error {
    /// Its row in the retry table.
    pub(crate) fn class(&self) -> Class {
        use Error::*;
        match self {
            Refused { class, .. } | Failure { class, .. } => *class,
            Unreachable(_) => Class::Unreachable,
            NoAnswer(_) | Unreadable { .. } | OpenQuestion { .. } => Class::Unanswered,
            Agent(_)
            | AgentStatus { .. }
            | AgentAnswer { .. }
            | NotRegistered { .. }
            | InstanceArn { .. } => Class::Agent,
            Imds(_) | ImdsStatus { .. } | NoRole { .. } | RoleCode { .. } | ImdsAnswer { .. } => Class::Imds,
            Expired { .. } => Class::Expired,
            Locked { .. } => Class::Locked,
            GaveUp { .. }
            | Stopped { .. }
            | NotRunning { .. }
            | ImdsForbidden { .. }
            | Certificate { .. }
            | Sign { .. } => Class::Final,
            SettingUnknown { .. }
            | SettingInvalid { .. }
            | NotKeyValue { .. }
            | File { .. }
            | NothingToStart
            | Definition { .. }
            | Document { .. }
            | Twice { .. }
            | Cluster { .. }
            | EndpointConflict
            | Partition { .. }
            | ImdsDisabled
            | CaBundle { .. }
            | Tls { .. }
            | Proxy { .. }
            | Address(_)
            | UserData
            | State { .. } => Class::Final,
        }
    }

    /// What the process exits with when this is what it gave up on.
    pub(crate) fn exit_code(&self) -> u8 {
        use Error::*;
        match self {
            Refused { class, .. } | Failure { class, .. } => class.exit_code(),
            Agent(_)
            | AgentStatus { .. }
            | AgentAnswer { .. }
            | NotRegistered { .. }
            | InstanceArn { .. }
            | Imds(_)
            | ImdsStatus { .. }
            | ImdsAnswer { .. }
            | Unreachable(_)
            | Certificate { .. }
            | NoAnswer(_)
            | Unreadable { .. }
            | OpenQuestion { .. } => exit::UNAVAILABLE,
            Stopped { .. } => exit::STOPPED,
            NotRunning { .. } | Locked { .. } => exit::NOT_YET,
            ImdsForbidden { .. } | NoRole { .. } | RoleCode { .. } | Expired { .. } | Sign { .. } => {
                exit::NOT_ALLOWED
            }
            SettingUnknown { .. }
            | SettingInvalid { .. }
            | NotKeyValue { .. }
            | File { .. }
            | NothingToStart
            | Definition { .. }
            | Document { .. }
            | Twice { .. }
            | Cluster { .. }
            | EndpointConflict
            | Partition { .. }
            | ImdsDisabled
            | CaBundle { .. }
            | Tls { .. }
            | Proxy { .. }
            | Address(_)
            | UserData
            | State { .. } => exit::CONFIGURATION,
            GaveUp { last, .. } => last.exit_code(),
        }
    }

    /// How long ECS asked to wait.
    pub(crate) fn retry_after(&self) -> Duration {
        match self {
            Error::Refused { refusal, .. } => refusal.retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }

    /// How far ECS's clock is ahead of this host's, in seconds.
    pub(crate) fn skew(&self) -> i64 {
        match self {
            Error::Refused { refusal, .. } => refusal.skew.unwrap_or_default(),
            _ => 0,
        }
    }

    /// The code that ECS gave, or the name of what went wrong: for the JSON result.
    pub(crate) fn code(&self) -> &str {
        match self {
            Error::Refused { refusal, .. } => &refusal.code,
            Error::Failure { reason, .. } => reason,
            Error::GaveUp { last, .. } => last.code(),
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
