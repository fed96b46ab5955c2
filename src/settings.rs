//! What the user asked for.
//!
//! One name, three places, first hit wins: option, environment variable, settings file. Each
//! setting is parsed by one function, wherever it came from, and an error names that place.

use crate::cli::Cli;
use crate::error::Error;
use crate::keyvalue;
use crate::text::nearest;
use http::Uri;
use log::LevelFilter;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

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
const DOCUMENTS: &str = "/etc/ecs/ecs-start-task.d";

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

/// The places that hold settings, the first one first.
#[derive(Debug)]
pub(crate) struct Sources(Vec<Vec<Given>>);

impl Sources {
    /// Options, environment and settings file; only an explicitly named file has to exist.
    pub(crate) fn read(
        cli: &Cli,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let file = match cli.config() {
            Some(path) => read_file(path)?,
            None if Path::new(SETTINGS_FILE).exists() => read_file(Path::new(SETTINGS_FILE))?,
            None => Vec::new(),
        };
        let environment = environment
            .filter(|(key, _)| key.starts_with(name::OURS) || is_known(key))
            .map(|(key, value)| Given { key, value, origin: Origin::Environment })
            .collect();
        Ok(Sources(vec![cli.given(), environment, file]))
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = &[Given]> {
        self.0.iter().map(Vec::as_slice)
    }

    /// An empty value counts as none, as it does for the AWS tools.
    fn find(&self, key: &str) -> Option<&Given> {
        self.0.iter().flatten().find(|g| g.key == key && !g.value.trim().is_empty())
    }

    /// The parsed value of `key`, from the default when nobody gave one.
    fn parse<T>(
        &self,
        key: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        let default = KNOWN.iter().find(|(k, _)| *k == key).map_or("", |(_, d)| d);
        let Some(given) = self.find(key) else {
            return Ok(parse(default));
        };
        match parse(given.value.trim()) {
            Some(value) => Ok(Some(value)),
            None => Err(Error::SettingInvalid { given: given.clone(), expected }),
        }
    }

    /// A misspelt name of ours would be passed over without a word; so it is an error.
    fn refuse_unknown(&self) -> Result<(), Error> {
        let ours = |g: &&Given| g.key.starts_with(name::OURS) && !is_known(&g.key);
        match self.0.iter().flatten().find(ours) {
            None => Ok(()),
            Some(given) => Err(Error::SettingUnknown {
                given: given.clone(),
                nearest: nearest(&given.key, KNOWN.iter().map(|(k, _)| *k)),
            }),
        }
    }

    /// Names in the settings file that mean nothing to this program.
    pub(crate) fn ignored(&self) -> impl Iterator<Item = &Given> {
        self.0.iter().flatten().filter(|g| matches!(g.origin, Origin::File { .. }) && !is_known(&g.key))
    }
}

/// The proxy variables are known in lower case too, as curl and the AWS SDKs take them.
fn is_known(key: &str) -> bool {
    let same = |known: &str| known == key || (known.ends_with("_PROXY") && known.eq_ignore_ascii_case(key));
    KNOWN.iter().any(|(known, _)| same(known))
}

fn read_file(path: &Path) -> Result<Vec<Given>, Error> {
    let text = std::fs::read_to_string(path).map_err(|source| Error::File { path: path.into(), source })?;
    parse_file(&text, path)
}

fn parse_file(text: &str, path: &Path) -> Result<Vec<Given>, Error> {
    let given = |pair: Result<keyvalue::Pair<'_>, usize>| match pair {
        Ok(pair) => Ok(Given {
            key: pair.key.to_owned(),
            value: pair.value.to_owned(),
            origin: Origin::File { path: path.into(), line: pair.line },
        }),
        Err(line) => Err(Error::NotKeyValue { path: path.into(), line }),
    };
    // The last of several lines counts, as for a shell or systemd; `find` takes the first.
    let mut all = keyvalue::pairs(text).map(given).collect::<Result<Vec<_>, _>>()?;
    all.reverse();
    Ok(all)
}

/// The user's wishes, checked.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) definitions: Vec<String>,
    pub(crate) documents: Vec<PathBuf>,
    pub(crate) cluster: Option<String>,
    pub(crate) started_by: Option<String>,
    pub(crate) skip_if_running: bool,
    pub(crate) wait: bool,
    pub(crate) timeout: Duration,
    pub(crate) agent_url: String,
    pub(crate) state_dir: PathBuf,
    pub(crate) endpoint_url: Option<Uri>,
    pub(crate) fips: bool,
    pub(crate) dualstack: bool,
    pub(crate) ca_bundle: Option<PathBuf>,
    pub(crate) imds_url: String,
    pub(crate) imds_disabled: bool,
    pub(crate) dry_run: bool,
}

impl Settings {
    /// # Errors
    /// A value that does not parse, an unknown name, a combination that cannot be: all exit code 78.
    pub(crate) fn new(cli: &Cli, sources: &Sources) -> Result<Self, Error> {
        sources.refuse_unknown()?;
        let flag = |key| sources.parse(key, "true or false", parse_flag).map(|f| f == Some(true));
        let path = |key| sources.parse(key, "a path", parse_path);
        let settings = Settings {
            definitions: definitions(cli, sources),
            documents: documents(cli)?,
            cluster: cli.cluster().map(str::to_owned),
            started_by: sources
                .parse(name::STARTED_BY, STARTED_BY_RULE, |v| is_started_by(v).then(|| v.to_owned()))?,
            skip_if_running: sources
                .parse(name::IF_RUNNING, "skip or start", |v| one_of(v, "skip", "start"))?
                == Some(true),
            wait: sources.parse(name::WAIT, "running or none", |v| one_of(v, "running", "none"))?
                == Some(true),
            timeout: sources
                .parse(
                    name::TIMEOUT,
                    "a duration such as 90s, 15m or 1h30m, of a second or more",
                    parse_timeout,
                )?
                .unwrap_or(DEFAULT_TIMEOUT),
            agent_url: base_url(sources, name::AGENT_URL)?.unwrap_or_default(),
            state_dir: path(name::STATE_DIR)?.unwrap_or_default(),
            endpoint_url: endpoint_url(sources)?,
            fips: flag(name::USE_FIPS)?,
            dualstack: flag(name::USE_DUALSTACK)?,
            ca_bundle: path(name::CA_BUNDLE)?,
            imds_url: imds_url(sources)?,
            imds_disabled: flag(name::IMDS_DISABLED)?,
            dry_run: cli.dry_run(),
        };
        settings.checked()
    }

    fn checked(self) -> Result<Self, Error> {
        if self.endpoint_url.is_some() && (self.fips || self.dualstack) {
            return Err(Error::EndpointConflict);
        }
        if self.imds_disabled {
            return Err(Error::ImdsDisabled);
        }
        Ok(self)
    }
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(15 * 60);
pub(crate) const STARTED_BY_RULE: &str = "at most 36 of A-Z a-z 0-9 - / _ (StartTask takes no more)";

/// How the log is kept; read before all else, so that what goes wrong later is in the log.
///
/// # Errors
/// A level that is none.
pub(crate) fn logging(sources: &Sources) -> Result<(PathBuf, LevelFilter), Error> {
    let levels = "error, warn, info, debug or trace";
    let level = sources.parse(name::LOG_LEVEL, levels, |v| LevelFilter::from_str(v).ok())?;
    let file = sources.parse(name::LOG_FILE, "a path", parse_path)?;
    Ok((file.unwrap_or_default(), level.unwrap_or(LevelFilter::Info)))
}

/// What the command line names to be started replaces what is configured, definitions and documents alike.
fn definitions(cli: &Cli, sources: &Sources) -> Vec<String> {
    let given = match sources.find(name::DEFINITION) {
        Some(given) if cli.documents().is_empty() || matches!(given.origin, Origin::Option(_)) => {
            &given.value
        }
        _ => "",
    };
    given.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

/// The documents of the drop-in directory, in name order, unless the command line says what to start.
fn documents(cli: &Cli) -> Result<Vec<PathBuf>, Error> {
    if cli.names_tasks() {
        return Ok(cli.documents());
    }
    let directory = Path::new(DOCUMENTS);
    let unreadable = |source| Error::File { path: directory.into(), source };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(unreadable(e)),
    };
    let mut paths =
        entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    paths.retain(|p| p.extension().is_some_and(|e| e == "json"));
    paths.sort();
    Ok(paths)
}

fn parse_flag(value: &str) -> Option<bool> {
    one_of(&value.to_ascii_lowercase(), "true", "false")
}

fn one_of(value: &str, yes: &str, no: &str) -> Option<bool> {
    (value == yes || value == no).then(|| value == yes)
}

fn parse_path(value: &str) -> Option<PathBuf> {
    (!value.is_empty()).then(|| PathBuf::from(value))
}

fn parse_timeout(value: &str) -> Option<Duration> {
    let timeout = humantime::parse_duration(value).ok()?;
    (timeout >= Duration::from_secs(1)).then_some(timeout)
}

/// Whether StartTask takes it, by [`STARTED_BY_RULE`].
pub(crate) fn is_started_by(value: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '_');
    !value.is_empty() && value.len() <= 36 && value.chars().all(allowed)
}

/// An http or https address with a host and no query, without a slash at its end.
fn parse_url(value: &str) -> Option<String> {
    let uri: Uri = value.parse().ok()?;
    let sound = matches!(uri.scheme_str(), Some("http" | "https"))
        && uri.host().is_some_and(|h| !h.is_empty())
        && uri.query().is_none();
    sound.then(|| value.trim_end_matches('/').to_owned())
}

fn base_url(sources: &Sources, key: &'static str) -> Result<Option<String>, Error> {
    sources.parse(key, "an address such as http://host:port", parse_url)
}

fn endpoint_url(sources: &Sources) -> Result<Option<Uri>, Error> {
    let url = match base_url(sources, name::ENDPOINT_URL_ECS)? {
        Some(url) => Some(url),
        None => base_url(sources, name::ENDPOINT_URL)?,
    };
    Ok(url.and_then(|u| format!("{u}/").parse().ok()))
}

/// IMDS listens on a link-local address of each family; an explicit endpoint wins over the mode.
fn imds_url(sources: &Sources) -> Result<String, Error> {
    let mode = |v: &str| match v.to_ascii_lowercase().as_str() {
        "ipv4" => Some("http://169.254.169.254"),
        "ipv6" => Some("http://[fd00:ec2::254]"),
        _ => None,
    };
    let by_mode = sources.parse(name::IMDS_MODE, "IPv4 or IPv6", mode)?.unwrap_or_default();
    Ok(base_url(sources, name::IMDS_ENDPOINT)?.unwrap_or_else(|| by_mode.to_owned()))
}
