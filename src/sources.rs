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
    /// Options, environment and settings file; only an explicitly named file has to exist.
    pub(crate) fn read(
        cli: &Cli,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Misconfigured> {
        let usual = Path::new(SETTINGS_FILE);
        let file = cli.config().cloned().or_else(|| usual.exists().then(|| usual.into()));
        let in_file = file.as_deref().map_or(Ok(Vec::new()), read_file)?;
        let environment = environment
            .filter(|(key, _)| key.starts_with(name::OURS) || is_known(key))
            .map(|(key, value)| Given { key, value, origin: Origin::Environment })
            .collect();
        Ok(Sources { places: vec![cli.given(), environment, in_file], file })
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = &[Given]> {
        self.places.iter().map(Vec::as_slice)
    }

    /// An empty value counts as none, as it does for the AWS tools.
    pub(crate) fn find(&self, key: &str) -> Option<&Given> {
        self.places.iter().flatten().find(|g| g.key == key && !g.value.trim().is_empty())
    }

    /// The parsed value of `key`, from the default when nobody gave one.
    pub(crate) fn parse<T>(
        &self,
        key: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Misconfigured> {
        let default = KNOWN.iter().find(|(k, _)| *k == key).map_or("", |(_, d)| d);
        let Some(given) = self.find(key) else {
            return Ok(parse(default));
        };
        match parse(given.value.trim()) {
            Some(value) => Ok(Some(value)),
            None => Err(Misconfigured::SettingInvalid { given: given.clone(), expected }),
        }
    }

    /// A misspelt name of ours would be passed over without a word; so it is an error.
    pub(crate) fn refuse_unknown(&self) -> Result<(), Misconfigured> {
        match self.places.iter().flatten().find(|g| g.is_ours() && !is_known(&g.key)) {
            None => Ok(()),
            Some(given) => Err(Misconfigured::SettingUnknown {
                given: given.clone(),
                nearest: nearest(&given.key, KNOWN.iter().map(|(k, _)| *k)),
            }),
        }
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

fn read_file(path: &Path) -> Result<Vec<Given>, Misconfigured> {
    let text = files::read(path).map_err(|source| Misconfigured::File { path: path.into(), source })?;
    parse_file(&text, path)
}

fn parse_file(text: &str, path: &Path) -> Result<Vec<Given>, Misconfigured> {
    let given = |pair: Result<keyvalue::Pair<'_>, usize>| match pair {
        Ok(pair) => Ok(Given {
            key: pair.key.to_owned(),
            value: pair.value.to_owned(),
            origin: Origin::File { path: path.into(), line: pair.line },
        }),
        Err(line) => Err(Misconfigured::NotKeyValue { path: path.into(), line }),
    };
    // The last of several lines counts, as for a shell or systemd; `find` takes the first.
    let mut all = keyvalue::pairs(text).map(given).collect::<Result<Vec<_>, _>>()?;
    all.reverse();
    Ok(all)
}
