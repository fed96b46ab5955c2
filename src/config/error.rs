//! What is wrong with the settings, the documents or the host: exit code 78, which no restart mends.

use crate::config::value::{ConfigValue, Origin};
use crate::files::{of_path, of_state_directory};
use crate::text::{sanitize, sentence, shell_word};
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{}: unknown setting {}", given.origin, sanitize(&given.key))]
    SettingUnknown { given: ConfigValue, nearest: Option<&'static str> },

    #[error("{}: {}={} is not {expected}", given.origin, given.key, given.sanitized())]
    SettingInvalid { given: ConfigValue, expected: &'static str },

    #[error("{path} line {line} is neither a comment nor KEY=VALUE")]
    NotKeyValue { path: PathBuf, line: usize },

    #[error("cannot read {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },

    #[error("nothing to start")]
    NothingToStart,

    #[error("{place}: \"{}\" is not a task definition", sanitize(given))]
    Definition { place: String, given: String },

    #[error("{place}: {why}")]
    Reference { place: String, why: String },

    #[error("{place}: {why}")]
    Unresolved { place: String, why: String, hint: &'static str },

    #[error("{place} is not {rule}")]
    Member { place: String, rule: &'static str },

    #[error("{path}: {why}")]
    Document { path: PathBuf, why: String },

    #[error("{path}: containerInstances may not be given, as the task is started on this instance")]
    InstancesGiven { path: PathBuf },

    #[error("{origin}: {given} is of the same family as {earlier}, and one task of a family is started")]
    Twice { origin: String, given: String, earlier: String },

    #[error("{by} asks for cluster {}, and this instance is in {actual}", sanitize(wanted))]
    Cluster { by: String, wanted: String, actual: String },

    #[error("{path}: cluster is not that of this instance, which is in {actual}")]
    DocumentCluster { path: PathBuf, actual: String },

    #[error("a custom endpoint goes neither with AWS_USE_FIPS_ENDPOINT nor with AWS_USE_DUALSTACK_ENDPOINT")]
    EndpointConflict,

    #[error(
        "this is an external instance by {path} (ECS_EXTERNAL), which has no IMDS to take credentials from"
    )]
    External { path: PathBuf },

    #[error(
        "ECS_START_TASK_WAIT=none cannot be combined with ECS_START_TASK_RESTART or ECS_START_TASK_WHEN_DRAINING=stop"
    )]
    StayWithoutWaiting,

    #[error("AWS_EC2_METADATA_DISABLED is true, and credentials come from IMDS alone")]
    ImdsDisabled,

    #[error("partition {partition} is not known to this version")]
    Partition { partition: String },

    #[error("the certificates in {path} cannot be used: {source}")]
    CaBundle { path: PathBuf, source: std::io::Error },

    #[error("{path} holds a certificate in a form of OpenSSL's own (BEGIN TRUSTED CERTIFICATE)")]
    TrustedCertificate { path: PathBuf },

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
}

impl ConfigError {
    /// What is wrong and how to mend it, as one sentence.
    pub(crate) fn message_with_hint(&self) -> String {
        sentence(&self.to_string(), &self.hint())
    }

    pub(crate) fn hint(&self) -> String {
        use ConfigError::*;
        let remedy = match self {
            SettingUnknown { nearest: Some(name), .. } => return format!("did you mean {name}?"),
            SettingUnknown { nearest: None, .. } => "the names are in ecs-start-task.conf(5)",
            SettingInvalid { .. } => "mend or remove it",
            NotKeyValue { .. } => "mend the line, or begin it with #",
            File { source, .. } => of_path(source),
            NothingToStart => {
                "set ECS_START_TASK_DEFINITION in /etc/ecs/ecs-start-task.conf, put a request document into /etc/ecs/ecs-start-task.d/, or give --task-definition"
            }
            Definition { .. } => "give a family, family:revision or its ARN",
            Reference { .. } => {
                "a reference is {imds:PATH}, {tag:KEY} or {ecs:NAME}, with a default {tag:KEY:-DEFAULT}; for ordinary text double the braces: {{tag:KEY}}"
            }
            Unresolved { hint, .. } => hint,
            Member { .. } => "fix the value, or the references in it",
            Document { .. } => {
                "mend the document: it has the members that `aws ecs start-task --generate-cli-skeleton` prints"
            }
            InstancesGiven { .. } => "remove containerInstances from the document",
            Twice { .. } => "remove one of the two",
            Cluster { .. } | DocumentCluster { .. } => {
                "ask for the other, or launch an instance into that cluster: ECS_CLUSTER in /etc/ecs/ecs.config counts until the agent has registered"
            }
            EndpointConflict => "unset the one or the others",
            External { .. } => "external instances (ECS Anywhere) are not supported",
            StayWithoutWaiting => "unset ECS_START_TASK_WAIT: a task is kept from the moment it runs",
            ImdsDisabled => "unset it",
            Partition { .. } => "give the ECS endpoint with AWS_ENDPOINT_URL_ECS",
            CaBundle { .. } | TrustedCertificate { .. } | Tls { .. } => return self.hint_for_tls(),
            Proxy { .. } => "give http://host:port, https://host:port or host:port",
            Address(_) => "mend the address in the settings",
            UserData => "use `systemctl enable --now --no-block ecs-start-task`",
            State { path, source } => return of_state_directory(path, source),
        };
        remedy.to_owned()
    }

    fn hint_for_tls(&self) -> String {
        match self {
            ConfigError::CaBundle { source, .. } => {
                format!("{}, or mend AWS_CA_BUNDLE or --ca-bundle", of_path(source))
            }
            ConfigError::TrustedCertificate { path } => {
                let path = shell_word(&path.to_string_lossy());
                format!("give the usual form: `openssl x509 -in {path} -out plain.pem`")
            }
            _ => "report it as a bug".to_owned(),
        }
    }
}
