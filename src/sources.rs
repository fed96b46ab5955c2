//! Where settings come from: option, environment variable, settings file.
//!
//! Each setting has one name in all three places, and the first hit wins. A misspelt name of ours is an
//! error, for it would be passed over without a word.

use crate::cli::Cli;
use crate::files;
use crate::keyvalue;
use crate::misconfigured::Misconfigured;
use crate::text::{nearest, shown};
use std::fmt;
use std::path::{Path, PathBuf};

/// The names of the settings: environment variables and keys of the settings file.
pub(crate) mod name {
    pub(crate) const DEFINITION: &str = "ECS_START_TASK_DEFINITION";
    pub(crate) const STARTED_BY: &str = "ECS_START_TASK_STARTED_BY";
    pub(crate) const IF_RUNNING: &str = "ECS_START_TASK_IF_RUNNING";
    pub(crate) const WAIT: &str = "ECS_START_TASK_WAIT";
    pub(crate) const TIMEOUT: &str = "ECS_START_TASK_TIMEOUT";
    pub(crate) const AGENT_URL: &str = "ECS_START_TASK_AGENT_URL";
    pub(crate) const STATE_DIR: &str = "ECS_START_TASK_STATE_DIR";
    pub(crate) const LOG_FILE: &str = "ECS_START_TASK_LOG_FILE";
    pub(crate) const LOG_LEVEL: &str = "ECS_START_TASK_LOG_LEVEL";
    pub(crate) const ENDPOINT_URL_ECS: &str = "AWS_ENDPOINT_URL_ECS";
    pub(crate) const ENDPOINT_URL: &str = "AWS_ENDPOINT_URL";
    pub(crate) const USE_FIPS: &str = "AWS_USE_FIPS_ENDPOINT";
    pub(crate) const USE_DUALSTACK: &str = "AWS_USE_DUALSTACK_ENDPOINT";
    pub(crate) const CA_BUNDLE: &str = "AWS_CA_BUNDLE";
    pub(crate) const IMDS_ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    pub(crate) const IMDS_MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";
    pub(crate) const IMDS_DISABLED: &str = "AWS_EC2_METADATA_DISABLED";

    /// What all our own settings begin with.
    pub(crate) const OURS: &str = "ECS_START_TASK_";
}

/// The value of `key` when nobody gives one.
pub(crate) fn default(key: &str) -> &'static str {
    KNOWN.iter().find(|(k, _)| *k == key).map_or("", |(_, d)| d)
}

/// Every setting: its name and its default as it is written in the settings file.
pub(crate) const KNOWN: &[(&str, &str)] = &[
    (name::DEFINITION, ""),
    (name::STARTED_BY, ""),
    (name::IF_RUNNING, "skip"),
    (name::WAIT, "running"),
    (name::TIMEOUT, "15m"),
    (name::AGENT_URL, "http://127.0.0.1:51678"),
    (name::STATE_DIR, "/run/ecs-start-task"),
    (name::LOG_FILE, "/var/log/ecs/ecs-start-task.log"),
    (name::LOG_LEVEL, "info"),
    (name::ENDPOINT_URL_ECS, ""),
    (name::ENDPOINT_URL, ""),
    (name::USE_FIPS, "false"),
    (name::USE_DUALSTACK, "false"),
    (name::CA_BUNDLE, ""),
    (name::IMDS_ENDPOINT, ""),
    (name::IMDS_MODE, "IPv4"),
    (name::IMDS_DISABLED, "false"),
    ("HTTPS_PROXY", ""),
    ("HTTP_PROXY", ""),
    ("NO_PROXY", ""),
];

const SETTINGS_FILE: &str = "/etc/ecs/ecs-start-task.conf";

/// Where a value came from, as errors name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Option(&'static str),
    Environment,
    File { path: PathBuf, line: usize },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Option(option) => write!(f, "option {option}"),
            Origin::Environment => f.write_str("environment"),
            Origin::File { path, line } => write!(f, "{} line {line}", path.display()),
        }
    }
}

/// One value with the place that gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

impl Given {
    fn is_ours(&self) -> bool {
        self.key.starts_with(name::OURS)
    }

    /// The value without the password that an address or a proxy may hold.
    pub(crate) fn shown(&self) -> String {
        let address = self.value.contains("://") || self.key.to_ascii_uppercase().ends_with("_PROXY");
        match self.value.rsplit_once('@') {
            Some((_, host)) if address => shown(&format!("...@{host}")),
            _ => shown(&self.value),
        }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={} ({})", self.key, self.shown(), self.origin)
    }
}

/// The places that hold settings, the first one first.
#[derive(Debug)]
pub(crate) struct Sources {
    places: Vec<Vec<Given>>,
    /// The settings file, when there is one.
    pub(crate) file: Option<PathBuf>,
}

impl Sources {
    /// Options, environment and settings file, and what of the file cannot be used. Only an explicitly named
    /// file has to exist. What the command line names to be started replaces what is configured.
    pub(crate) fn read(
        cli: &Cli,
        environment: impl Iterator<Item = (String, String)>,
    ) -> (Self, Vec<Misconfigured>) {
        let usual = Path::new(SETTINGS_FILE);
        let file = cli.config().cloned().or_else(|| usual.exists().then(|| usual.into()));
        let (mut in_file, wrong) = file.as_deref().map_or_else(Default::default, read_file);
        let mut environment: Vec<Given> = environment
            .filter(|(key, _)| key.starts_with(name::OURS) || is_known(key))
            .map(|(key, value)| Given { key, value, origin: Origin::Environment })
            .collect();
        if cli.names_tasks() {
            environment.retain(|g| g.key != name::DEFINITION);
            in_file.retain(|g| g.key != name::DEFINITION);
        }
        (Sources { places: vec![cli.given(), environment, in_file], file }, wrong)
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = &[Given]> {
        self.places.iter().map(Vec::as_slice)
    }

    /// An empty value counts as none, as it does for the AWS tools.
    pub(crate) fn find(&self, key: &str) -> Option<&Given> {
        self.places.iter().find_map(|place| last(place, |g| g.key == key && !g.value.trim().is_empty()))
    }

    /// What the unit reads: the usual file, and neither options nor environment.
    pub(crate) fn of_unit(&self, key: &str) -> Option<&Given> {
        let file = self.file.as_deref().filter(|file| *file == Path::new(SETTINGS_FILE));
        last(file.and_then(|_| self.places.last())?, |g| g.key == key && !g.value.trim().is_empty())
    }

    /// A misspelt name of ours would be passed over without a word; so it is an error.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = Misconfigured> {
        let unknown = self.places.iter().flatten().filter(|g| g.is_ours() && !is_known(&g.key));
        unknown.map(|given| Misconfigured::SettingUnknown {
            given: given.clone(),
            nearest: nearest(&given.key, KNOWN.iter().map(|(k, _)| *k)),
        })
    }

    /// The values that count.
    pub(crate) fn given(&self) -> impl Iterator<Item = &Given> {
        let counts = |given: &&Given| is_known(&given.key) && self.find(&given.key) == Some(*given);
        self.places.iter().flatten().filter(counts)
    }

    /// Names of others in the settings file, which mean nothing to this program.
    pub(crate) fn ignored(&self) -> impl Iterator<Item = &Given> {
        let foreign =
            |g: &&Given| matches!(g.origin, Origin::File { .. }) && !g.is_ours() && !is_known(&g.key);
        self.places.iter().flatten().filter(foreign)
    }
}

/// The proxy variables are known in lower case too, as curl and the AWS SDKs take them.
fn is_known(key: &str) -> bool {
    let same = |known: &str| known == key || (known.ends_with("_PROXY") && known.eq_ignore_ascii_case(key));
    KNOWN.iter().any(|(known, _)| same(known))
}

/// The one of a place that counts: the last of several lines, as for a shell or systemd.
pub(crate) fn last(place: &[Given], wanted: impl Fn(&Given) -> bool) -> Option<&Given> {
    place.iter().rev().find(|g| wanted(g))
}

/// What the file gives, and what of it cannot be used.
fn read_file(path: &Path) -> (Vec<Given>, Vec<Misconfigured>) {
    match files::read(path) {
        Ok(text) => parse_file(&text, path),
        Err(source) => (Vec::new(), vec![Misconfigured::File { path: path.into(), source }]),
    }
}

fn parse_file(text: &str, path: &Path) -> (Vec<Given>, Vec<Misconfigured>) {
    let (mut given, mut wrong) = (Vec::new(), Vec::new());
    for pair in keyvalue::pairs(text) {
        match pair {
            Ok(pair) => given.push(Given {
                key: pair.key.to_owned(),
                value: pair.value.to_owned(),
                origin: Origin::File { path: path.into(), line: pair.line },
            }),
            Err(line) => wrong.push(Misconfigured::NotKeyValue { path: path.into(), line }),
        }
    }
    (given, wrong)
}
