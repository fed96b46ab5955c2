//! Every setting: its name in the environment and in the settings file, and its default.

use crate::text;

/// The names of the settings: environment variables and keys of the settings file.
pub(crate) mod name {
    pub(crate) const DEFINITION: &str = "ECS_START_TASK_DEFINITION";
    pub(crate) const STARTED_BY: &str = "ECS_START_TASK_STARTED_BY";
    pub(crate) const IF_RUNNING: &str = "ECS_START_TASK_IF_RUNNING";
    pub(crate) const WAIT: &str = "ECS_START_TASK_WAIT";
    pub(crate) const RESTART: &str = "ECS_START_TASK_RESTART";
    pub(crate) const WHEN_DRAINING: &str = "ECS_START_TASK_WHEN_DRAINING";
    pub(crate) const TIMEOUT: &str = "ECS_START_TASK_TIMEOUT";
    pub(crate) const AGENT_URL: &str = "ECS_START_TASK_AGENT_URL";
    pub(crate) const STATE_DIR: &str = "ECS_START_TASK_STATE_DIR";
    pub(crate) const LOG_FILE: &str = "ECS_START_TASK_LOG_FILE";
    pub(crate) const LOG_LEVEL: &str = "ECS_START_TASK_LOG_LEVEL";
    pub(crate) const ENDPOINT_URL_ECS: &str = "AWS_ENDPOINT_URL_ECS";
    pub(crate) const ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";
    pub(crate) const USE_FIPS: &str = "AWS_USE_FIPS_ENDPOINT";
    pub(crate) const USE_DUALSTACK: &str = "AWS_USE_DUALSTACK_ENDPOINT";
    pub(crate) const IP_COMPATIBILITY: &str = "ECS_INSTANCE_IP_COMPATIBILITY";
    pub(crate) const CA_BUNDLE: &str = "AWS_CA_BUNDLE";
    pub(crate) const IMDS_ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    pub(crate) const IMDS_MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";
    pub(crate) const IMDS_DISABLED: &str = "AWS_EC2_METADATA_DISABLED";

    /// The prefix of our own settings.
    pub(crate) const OURS: &str = "ECS_START_TASK_";
    /// The prefix of those of the AWS SDKs.
    pub(super) const AWS: &str = "AWS_";
}

/// Where the settings and the request documents usually are.
pub(crate) const SETTINGS_FILE: &str = "/etc/ecs/ecs-start-task.conf";
pub(crate) const DOCUMENTS: &str = "/etc/ecs/ecs-start-task.d";

/// Whether the name begins as our own settings do, in any case.
pub(crate) fn is_ours(key: &str) -> bool {
    starts_with(key, name::OURS)
}

fn starts_with(key: &str, prefix: &str) -> bool {
    key.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Our prefix, what may be meant by it, and AWS's.
const PREFIXES: [&str; 5] = [name::OURS, "ECS_START_TASK", "ECS_STARTTASK_", "ECS_START_", name::AWS];

/// The key without the prefix that ours have, or AWS's.
pub(crate) fn without_prefix(key: &str) -> &str {
    let rest = |prefix: &&str| key.get(prefix.len()..).filter(|_| starts_with(key, prefix));
    PREFIXES.iter().find_map(rest).unwrap_or(key)
}

/// The setting whose name is nearest to `key`, or whose option's is. Prefixes do not count, as all share them.
pub(crate) fn nearest(key: &str) -> Option<&'static str> {
    let known = || KNOWN.iter().map(|(key, _)| (without_prefix(key), *key)).chain(OPTIONS);
    let near = text::nearest(without_prefix(key), known().map(|(name, _)| name))?;
    known().find(|(name, _)| *name == near).map(|(_, key)| key)
}

/// The options whose names are not those of their settings.
const OPTIONS: [(&str, &str); 2] = [("TASK_DEFINITION", name::DEFINITION), ("NO_WAIT", name::WAIT)];

/// The default of `key`.
pub(crate) fn default(key: &str) -> &'static str {
    KNOWN.iter().find(|(k, _)| *k == key).map_or("", |(_, d)| d)
}

/// Every setting: its name and its default as it is written in the settings file.
pub(crate) const KNOWN: &[(&str, &str)] = &[
    (name::DEFINITION, ""),
    (name::STARTED_BY, ""),
    (name::IF_RUNNING, "skip"),
    (name::WAIT, "running"),
    (name::RESTART, "no"),
    (name::WHEN_DRAINING, "keep"),
    (name::TIMEOUT, "15m"),
    (name::AGENT_URL, "http://127.0.0.1:51678"),
    (name::STATE_DIR, "/run/ecs-start-task"),
    (name::LOG_FILE, "/var/log/ecs/ecs-start-task.log"),
    (name::LOG_LEVEL, "info"),
    (name::ENDPOINT_URL_ECS, ""),
    (name::ENDPOINT_URL, ""),
    (name::USE_FIPS, "false"),
    (name::USE_DUALSTACK, "false"),
    (name::IP_COMPATIBILITY, ""),
    (name::CA_BUNDLE, ""),
    (name::IMDS_ENDPOINT, ""),
    (name::IMDS_MODE, "IPv4"),
    (name::IMDS_DISABLED, "false"),
    ("HTTPS_PROXY", ""),
    ("HTTP_PROXY", ""),
    ("NO_PROXY", ""),
];

/// What is taken from the agent's own settings when no nearer place has it. Not the CA bundle: the agent's path is one
/// inside its container.
pub(crate) const SHARED_WITH_AGENT: [&str; 9] = [
    name::USE_FIPS,
    name::USE_DUALSTACK,
    name::IP_COMPATIBILITY,
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "NO_PROXY",
    "no_proxy",
];
