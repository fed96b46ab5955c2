//! What is wrong with the settings, the documents or the host: exit code 78, which no restart mends.

use crate::sources::{Given, Origin};
use crate::text::did_you_mean;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Misconfigured {
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
        "{origin}: {given} is of the same family as {earlier}, and one task of a family is started: remove one of the two"
    )]
    Twice { origin: String, given: String, earlier: String },

    #[error(
        "{by} asks for cluster {wanted}, and this instance is in {actual}: mend the one, or ECS_CLUSTER in /etc/ecs/ecs.config"
    )]
    Cluster { by: String, wanted: String, actual: String },

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

    #[error("{path} is no record of this program: {source}; remove it when no task is being started")]
    Record { path: PathBuf, source: serde_json::Error },
}
