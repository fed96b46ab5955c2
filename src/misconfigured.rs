//! What is wrong with the settings, the documents or the host: exit code 78, which no restart mends.

use crate::sources::{Given, Origin};
use crate::text::{shown, shown_ends};
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Misconfigured {
    #[error("{}: unknown setting {}", given.origin, shown(&given.key))]
    SettingUnknown { given: Given, nearest: Option<&'static str> },

    #[error("{}: {}={} is not {expected}", given.origin, given.key, given.shown())]
    SettingInvalid { given: Given, expected: &'static str },

    #[error("{path} line {line} is neither a comment nor KEY=VALUE")]
    NotKeyValue { path: PathBuf, line: usize },

    #[error("cannot read {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },

    #[error("nothing to start")]
    NothingToStart,

    #[error("\"{}\" is not a task definition", shown(given))]
    Definition { given: String },

    #[error("{path}: {why}")]
    Document { path: PathBuf, why: String },

    #[error("{origin}: {given} is of the same family as {earlier}, and one task of a family is started")]
    Twice { origin: String, given: String, earlier: String },

    #[error("{by} asks for cluster {}, and this instance is in {actual}", shown(wanted))]
    Cluster { by: String, wanted: String, actual: String },

    #[error("a custom endpoint goes neither with AWS_USE_FIPS_ENDPOINT nor with AWS_USE_DUALSTACK_ENDPOINT")]
    EndpointConflict,

    #[error("AWS_EC2_METADATA_DISABLED is true, and credentials come from IMDS alone")]
    ImdsDisabled,

    #[error("partition {partition} is not known to this version")]
    Partition { partition: String },

    #[error("the certificates in {path} cannot be used: {source}")]
    CaBundle { path: PathBuf, source: std::io::Error },

    #[error("TLS cannot be set up: {why}")]
    Tls { why: String },

    #[error("{origin}: {key} is no proxy this program knows")]
    Proxy { key: String, origin: Origin },

    #[error("the request cannot be made: {0}")]
    Address(#[from] http::Error),

    #[error("called from user data, which the ECS agent waits for, so the agent would never come up")]
    UserData,

    #[error("the state directory cannot be used, {path}: {source}")]
    State { path: PathBuf, source: std::io::Error },

    #[error("{path} is no record of this program: {}", shown_ends(&source.to_string()))]
    Record { path: PathBuf, source: serde_json::Error },
}
