//! What is wrong with the settings, the documents or the host: exit code 78, which no restart fixes.

use crate::config::keys::{nearest, without_prefix};
use crate::config::line::LineFault;
use crate::config::searched::Searched;
use crate::config::value::{ConfigValue, Origin, meant_reference};
use crate::files::{of_path, of_state_directory, part_of_state};
use crate::text::{sentence, shell_word, shorten};
use std::path::PathBuf;

/// Something wrong with the settings, a document or this host that only a person can change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{}: unknown setting {}", given.origin, shorten(&given.key))]
    SettingUnknown { given: ConfigValue },

    #[error("{}: {}={} is invalid: expected {expected}", given.origin, given.key, given.redacted())]
    SettingInvalid { given: ConfigValue, expected: &'static str },

    #[error("{path} line {line} {fault}")]
    Line { path: PathBuf, line: usize, fault: LineFault },

    #[error("cannot read {path}: {source}")]
    File { path: PathBuf, source: std::io::Error },

    #[error("nothing to start: {searched}")]
    NothingToStart { searched: Searched },

    #[error("{place}: \"{}\" is not a task definition", shorten(given))]
    Definition { place: String, given: String },

    #[error("{place}: {why}")]
    Reference { place: String, why: String },

    #[error("{place}: {why}")]
    Unresolved { place: String, why: String, hint: &'static str },

    #[error("{place} is invalid: expected {rule}")]
    Member { place: String, rule: &'static str },

    #[error("{path} {why}")]
    Document { path: PathBuf, why: String, hint: String },

    #[error("{path}: containerInstances is not allowed, as the task is started on this instance")]
    InstancesGiven { path: PathBuf },

    #[error("{origin}: {given} is of the same family as {earlier}; only one task of a family is started")]
    Twice { origin: String, given: String, earlier: String },

    #[error("--cluster requires cluster {}, but this instance is in {actual}", shorten(wanted))]
    Cluster { wanted: String, actual: String },

    #[error("{origin}: the task definition is in {what} {wanted}, but this instance is in {actual}")]
    Elsewhere { origin: String, what: &'static str, wanted: String, actual: String },

    #[error("{path}: cluster is not this instance's cluster, which is {actual}")]
    DocumentCluster { path: PathBuf, actual: String },

    #[error("a custom endpoint cannot be combined with AWS_USE_FIPS_ENDPOINT or AWS_USE_DUALSTACK_ENDPOINT")]
    EndpointConflict,

    #[error(
        "this is an external instance (ECS_EXTERNAL in {path}), which has no IMDS to provide credentials"
    )]
    External { path: PathBuf },

    #[error(
        "ECS_START_TASK_WAIT=none (option --no-wait) cannot be combined with ECS_START_TASK_RESTART or ECS_START_TASK_WHEN_DRAINING=stop"
    )]
    StayWithoutWaiting,

    #[error("AWS_EC2_METADATA_DISABLED is true, but credentials come only from IMDS")]
    ImdsDisabled,

    #[error("partition {partition} is not supported by this version")]
    Partition { partition: String },

    #[error("cannot use the certificates in {path}: {source}")]
    CaBundle { path: PathBuf, source: std::io::Error },

    #[error("{path} contains a certificate in OpenSSL's own format (BEGIN TRUSTED CERTIFICATE)")]
    TrustedCertificate { path: PathBuf },

    #[error("TLS cannot be set up: {why}")]
    Tls { why: String },

    #[error("{origin}: {key} is not a valid proxy")]
    Proxy { key: String, origin: Origin },

    #[error("invalid address: {0}")]
    Address(#[from] http::Error),

    #[error(
        "called from user data: the ECS agent starts only after user data has finished, so this would wait forever"
    )]
    UserData,

    #[error("cannot use {}: {source}", part_of_state(path))]
    State { path: PathBuf, source: std::io::Error },
}

impl ConfigError {
    /// What is wrong and how to fix it, as one sentence.
    pub(crate) fn message_with_hint(&self) -> String {
        sentence(&self.to_string(), &self.hint())
    }

    pub(crate) fn hint(&self) -> String {
        use ConfigError::*;
        let hint = match self {
            SettingUnknown { given } => return of_unknown(&given.key),
            SettingInvalid { given, .. } => return of_value(&given.value, "fix or remove it"),
            Line { fault, .. } => return fault.hint(),
            File { source, .. } => of_path(source),
            NothingToStart { searched } => return searched.hint(),
            Definition { given, .. } => return of_value(given, of_definition(given)),
            Reference { .. } => {
                "a reference is {imds:PATH}, {tag:KEY} or {ecs:NAME}, with a default {tag:KEY:-DEFAULT}; for ordinary text double the braces: {{tag:KEY}}"
            }
            Document { hint, .. } => return hint.clone(),
            Unresolved { hint, .. } => hint,
            Member { .. } => "fix the value, or the references in it",
            InstancesGiven { .. } => {
                "remove containerInstances; from a CLI skeleton, delete everything that is empty as well"
            }
            Twice { .. } => "remove one of the two",
            Cluster { .. } => return of_cluster("--cluster"),
            DocumentCluster { .. } => return of_cluster("cluster in the document"),
            Elsewhere { what, .. } => {
                return format!("use a task definition of this {what}, named by family or family:revision");
            }
            EndpointConflict => "unset one of them",
            External { .. } => "external instances (ECS Anywhere) are not supported",
            StayWithoutWaiting => "unset ECS_START_TASK_WAIT: a task is kept from the moment it runs",
            ImdsDisabled => "unset it",
            Partition { .. } => "set the ECS endpoint with AWS_ENDPOINT_URL_ECS",
            CaBundle { .. } | TrustedCertificate { .. } | Tls { .. } => return self.hint_for_tls(),
            Proxy { .. } => "use http://host:port, https://host:port or host:port",
            Address(_) => "fix the address in the settings",
            UserData => "use `systemctl enable --now --no-block ecs-start-task`",
            State { path, source } => return of_state_directory(path, source),
        };
        hint.to_owned()
    }

    /// Whether that there is nothing to start may follow from it.
    pub(crate) fn may_hide_a_task(&self) -> bool {
        use ConfigError::*;
        matches!(self, SettingUnknown { .. } | Line { .. } | File { .. })
    }

    fn hint_for_tls(&self) -> String {
        match self {
            ConfigError::CaBundle { source, .. } => {
                format!("{}, or change AWS_CA_BUNDLE or --ca-bundle", of_path(source))
            }
            ConfigError::TrustedCertificate { path } => {
                let path = shell_word(&path.to_string_lossy());
                format!("convert it to plain PEM: `openssl x509 -in {path} -out plain.pem`")
            }
            _ => "report this as a bug".to_owned(),
        }
    }
}

/// For a setting that this program does not have.
pub(crate) fn of_unknown(key: &str) -> String {
    match (from_elsewhere(without_prefix(key)), nearest(key)) {
        (Some(hint), _) => hint.to_owned(),
        (None, Some(name)) => format!("did you mean {name}?"),
        (None, None) => "the names are in ecs-start-task.conf(5)".to_owned(),
    }
}

fn of_cluster(what: &str) -> String {
    format!(
        "change or remove {what}, or launch an instance into that cluster: ECS_CLUSTER in /etc/ecs/ecs.config has no effect after the agent has registered"
    )
}

/// What to do about a value, where no reference is meant.
fn of_value(value: &str, hint: &str) -> String {
    meant_reference(value).map_or_else(|| hint.to_owned(), |meant| format!("did you mean {meant}?"))
}

/// What to do about a text that is not a task definition.
fn of_definition(given: &str) -> &'static str {
    if given.contains(char::is_whitespace) {
        "separate task definitions with commas"
    } else {
        "use a family, family:revision or a task definition ARN"
    }
}

/// For an option or a setting that this program does not have, as its value comes from somewhere else.
pub(crate) fn from_elsewhere(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().replace('-', "_").as_str() {
        "region" | "default_region" => Some("remove it: the Region comes from the ECS agent"),
        "profile" => Some("remove it: the credentials come from the role of this instance"),
        "json" => Some("use '-o json'"),
        "container_instances" => Some("remove it: the tasks are started on this instance"),
        _ => None,
    }
}
