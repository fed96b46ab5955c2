//! The settings, parsed and validated.
//!
//! Each setting is parsed by one function, wherever it came from, and an error names that place.

use crate::config::cli::{self, Cli};
use crate::config::dropins::DropIns;
use crate::config::error::ConfigError;
use crate::config::keys::{DOCUMENTS, default, name};
use crate::config::searched::Searched;
use crate::config::sources::Sources;
use crate::config::url::{parse_local_url, parse_url};
use crate::config::value::{ConfigValue, Origin, meant_reference};
use crate::system::ecs_config;
use http::Uri;
use log::LevelFilter;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// IMDS listens on a link-local address of each family.
pub(crate) const IMDS_IPV4: &str = "http://169.254.169.254";
pub(crate) const IMDS_IPV6: &str = "http://[fd00:ec2::254]";

/// All settings of a run, parsed and validated.
#[derive(Debug)]
pub(crate) struct Settings {
    /// As it is written: comma separated, and with references.
    pub(crate) definitions: Option<ConfigValue>,
    pub(crate) documents: Vec<PathBuf>,
    /// Where task definitions were searched for.
    pub(crate) searched: Searched,
    /// Files beside the documents that are ignored, and those that only `check` names.
    pub(crate) misnamed: Vec<PathBuf>,
    pub(crate) leftovers: Vec<PathBuf>,
    pub(crate) cluster: Option<String>,
    pub(crate) started_by: Option<String>,
    /// Whether it goes before a document's own, as options do in the AWS CLI.
    pub(crate) started_by_option: bool,
    pub(crate) skip_if_running: bool,
    pub(crate) wait: bool,
    pub(crate) restart: Restart,
    /// Stop our own tasks last when the instance is being drained or terminated.
    pub(crate) stop_when_draining: bool,
    pub(crate) timeout: Duration,
    pub(crate) agent_url: String,
    pub(crate) state_dir: PathBuf,
    pub(crate) log_file: PathBuf,
    pub(crate) log_level: LevelFilter,
    pub(crate) endpoint: EndpointSettings,
    pub(crate) ca_bundle: Option<PathBuf>,
    pub(crate) imds_url: String,
    imds_disabled: bool,
    pub(crate) dry_run: bool,
}

/// Which tasks are restarted after they stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Restart {
    #[default]
    No,
    OnFailure,
    Always,
}

const RESTART_RULE: &str = "no, on-failure or always";

impl Restart {
    fn parse(value: &str) -> Option<Self> {
        match value {
            "no" => Some(Restart::No),
            "on-failure" => Some(Restart::OnFailure),
            "always" => Some(Restart::Always),
            _ => None,
        }
    }
}

/// The settings that decide the address of ECS, each with its origin.
#[derive(Debug)]
pub(crate) struct EndpointSettings {
    /// An address in place of the region's.
    pub(crate) url: Option<(Uri, ConfigValue)>,
    pub(crate) fips: Option<(bool, ConfigValue)>,
    pub(crate) dualstack: Option<(bool, ConfigValue)>,
    /// Which IP family this instance uses, as the agent is told; unchecked, as the agent ignores what it does not know.
    pub(crate) ip_compatibility: Option<ConfigValue>,
}

impl Settings {
    /// The settings of this process, where they come from, and what is wrong with them.
    pub(crate) fn of_command(cli: &Cli) -> (Sources, Self, Vec<ConfigError>) {
        let text = |s: std::ffi::OsString| s.to_string_lossy().into_owned();
        let environment = std::env::vars_os().map(|(key, value)| (text(key), text(value)));
        let (sources, mut wrong) = Sources::read(cli, environment);
        let (settings, more) = Settings::read(cli, &sources);
        wrong.extend(more);
        // For the value of an option, the command line is invalid.
        for each in &wrong {
            if let ConfigError::SettingInvalid { given, expected } = each
                && let Origin::Option(option) = given.origin
            {
                cli::refuse(option, &given.redacted(), expected);
            }
        }
        (sources, settings, wrong)
    }

    /// The settings and all that is wrong with them, replaced by the defaults. A run
    /// exits at any error; `check` continues.
    pub(crate) fn read(cli: &Cli, sources: &Sources) -> (Self, Vec<ConfigError>) {
        let mut reader = Reader { sources, wrong: sources.unknown().collect() };
        let started_by = sources.find(name::STARTED_BY);
        let DropIns { documents, misnamed, leftovers } = reader.or_default(documents(cli));
        let settings = Settings {
            definitions: sources.find(name::DEFINITION).cloned(),
            documents,
            searched: sources.searched(),
            misnamed,
            leftovers,
            cluster: cli.cluster.clone(),
            // What holds a reference is checked when it is resolved.
            started_by: reader.take(name::STARTED_BY, STARTED_BY_RULE, |v| {
                let refers = v.contains('{') && meant_reference(v).is_none();
                (refers || is_started_by(v)).then(|| v.to_owned())
            }),
            started_by_option: started_by.is_some_and(|g| matches!(g.origin, Origin::Option(_))),
            skip_if_running: reader.take(name::IF_RUNNING, "skip or start", |v| one_of(v, "skip", "start"))
                == Some(true),
            wait: reader.take(name::WAIT, "running or none", |v| one_of(v, "running", "none")) == Some(true),
            restart: reader.take(name::RESTART, RESTART_RULE, Restart::parse).unwrap_or_default(),
            stop_when_draining: reader
                .take(name::WHEN_DRAINING, "keep or stop", |v| one_of(v, "stop", "keep"))
                == Some(true),
            timeout: reader.take(name::TIMEOUT, TIMEOUT_RULE, parse_timeout).unwrap_or_default(),
            agent_url: reader.local_url(name::AGENT_URL).unwrap_or_default(),
            state_dir: reader.path(name::STATE_DIR).unwrap_or_default(),
            log_file: reader.path(name::LOG_FILE).unwrap_or_default(),
            log_level: reader.take(name::LOG_LEVEL, LEVELS, parse_level).unwrap_or(LevelFilter::Info),
            endpoint: reader.endpoint(),
            ca_bundle: reader.path(name::CA_BUNDLE),
            imds_url: reader.imds_url(),
            imds_disabled: reader.flag(name::IMDS_DISABLED),
            dry_run: cli.dry_run,
        };
        reader.wrong.extend(settings.conflicts());
        (settings, reader.wrong)
    }

    /// Whether the process stays after the tasks run.
    pub(crate) fn stays(&self) -> bool {
        self.restart != Restart::No || self.stop_when_draining
    }

    /// Settings that conflict with each other or with this host.
    fn conflicts(&self) -> impl Iterator<Item = ConfigError> {
        let asked = |flag: &Option<(bool, ConfigValue)>| {
            flag.as_ref().is_some_and(|(on, by)| *on && !by.is_of_agent())
        };
        let endpoint = &self.endpoint;
        let endpoint = endpoint.url.is_some() && (asked(&endpoint.fips) || asked(&endpoint.dualstack));
        let external = ecs_config::external_by().map(|path| ConfigError::External { path: path.into() });
        let disabled = self.imds_disabled.then_some(ConfigError::ImdsDisabled);
        let stay = (self.stays() && !self.wait).then_some(ConfigError::StayWithoutWaiting);
        [endpoint.then_some(ConfigError::EndpointConflict), stay, disabled, external].into_iter().flatten()
    }
}

/// Reads one setting after the other; an invalid one is replaced by its default.
struct Reader<'a> {
    sources: &'a Sources,
    wrong: Vec<ConfigError>,
}

impl Reader<'_> {
    fn take<T>(
        &mut self,
        key: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        self.given(key, expected, &parse).map(|(value, _)| value).or_else(|| parse(default(key)))
    }

    /// The value that is set and its origin, without the default.
    fn given<T>(
        &mut self,
        key: &'static str,
        expected: &'static str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<(T, ConfigValue)> {
        let given = self.sources.find(key)?;
        let value = parse(given.value.trim());
        if value.is_none() {
            self.wrong.push(ConfigError::SettingInvalid { given: given.clone(), expected });
        }
        value.map(|value| (value, given.clone()))
    }

    fn or_default<T: Default>(&mut self, result: Result<T, ConfigError>) -> T {
        result.unwrap_or_else(|wrong| {
            self.wrong.push(wrong);
            T::default()
        })
    }

    fn flag(&mut self, key: &'static str) -> bool {
        self.take(key, TRUE_OR_FALSE, parse_flag) == Some(true)
    }

    fn path(&mut self, key: &'static str) -> Option<PathBuf> {
        self.take(key, "a path", parse_path)
    }

    fn local_url(&mut self, key: &'static str) -> Option<String> {
        self.take(key, "an address such as http://host:port", parse_local_url)
    }

    fn endpoint(&mut self) -> EndpointSettings {
        let expected = "an address such as https://host:port";
        let of_ecs = self.given(name::ENDPOINT_URL_ECS, expected, parse_url);
        EndpointSettings {
            url: of_ecs.or_else(|| self.given(name::ENDPOINT_URL, expected, parse_url)),
            fips: self.given(name::USE_FIPS, TRUE_OR_FALSE, parse_flag),
            dualstack: self.given(name::USE_DUALSTACK, TRUE_OR_FALSE, parse_flag),
            ip_compatibility: self.sources.find(name::IP_COMPATIBILITY).cloned(),
        }
    }

    /// An explicit endpoint wins over the mode.
    fn imds_url(&mut self) -> String {
        let mode = |v: &str| match v.to_ascii_lowercase().as_str() {
            "ipv4" => Some(IMDS_IPV4),
            "ipv6" => Some(IMDS_IPV6),
            _ => None,
        };
        let by_mode = self.take(name::IMDS_MODE, "IPv4 or IPv6", mode).unwrap_or_default();
        self.local_url(name::IMDS_ENDPOINT).unwrap_or_else(|| by_mode.to_owned())
    }
}

const TRUE_OR_FALSE: &str = "true or false";
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);
/// A run that waits for an instance of a warm pool may take days.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(365 * 24 * 3600);
const TIMEOUT_RULE: &str = "a duration such as 90s, 15m or 1h30m, from a second to a year";
pub(crate) const STARTED_BY_RULE: &str =
    "at most 36 characters of A-Z a-z 0-9 - / _ (the limit of StartTask)";

const LEVELS: &str = "error, warn, info, debug or trace";

/// The documents that the command line names; without any names there, what is in the directory.
///
/// # Errors
/// The directory cannot be read.
fn documents(cli: &Cli) -> Result<DropIns, ConfigError> {
    if cli.names_tasks() {
        return Ok(DropIns { documents: cli.documents(), ..DropIns::default() });
    }
    DropIns::read(Path::new(DOCUMENTS))
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

fn parse_level(value: &str) -> Option<LevelFilter> {
    LevelFilter::from_str(value).ok().filter(|level| *level != LevelFilter::Off)
}

fn parse_timeout(value: &str) -> Option<Duration> {
    let timeout = humantime::parse_duration(value).ok()?;
    (SHORTEST_TIMEOUT..=LONGEST_TIMEOUT).contains(&timeout).then_some(timeout)
}

/// Whether StartTask takes it, by [`STARTED_BY_RULE`].
pub(crate) fn is_started_by(value: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '/' | '_');
    !value.is_empty() && value.len() <= 36 && value.chars().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_FILE: &[&str] = &["--config", "/dev/null"];

    fn error(environment: &[(&str, &str)]) -> String {
        Settings::try_of(NO_FILE, environment).unwrap_err().message_with_hint()
    }

    #[test]
    fn defaults() {
        let settings = Settings::of(NO_FILE, &[]);
        assert_eq!(settings.timeout, Duration::from_secs(900));
        assert_eq!(settings.agent_url, "http://127.0.0.1:51678");
        assert_eq!(settings.imds_url, "http://169.254.169.254");
        assert!(
            settings.skip_if_running
                && settings.wait
                && settings.endpoint.fips.is_none()
                && settings.started_by.is_none()
        );
    }

    #[test]
    fn options_go_before_the_environment() {
        let environment = [("ECS_START_TASK_DEFINITION", "a, b:2,,"), ("ECS_START_TASK_TIMEOUT", "90s")];
        let value = |settings: &Settings| settings.definitions.as_ref().unwrap().value.clone();
        let both = Settings::of(&["--config", "/dev/null", "--timeout", "1h30m"], &environment);
        assert_eq!((both.timeout.as_secs(), value(&both)), (5_400, "a, b:2,,".to_owned()));
        let named = Settings::of(&["--config", "/dev/null", "-t", "c"], &environment);
        assert_eq!((named.timeout.as_secs(), value(&named)), (90, "c".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_and_what_was_expected() {
        for (key, value, told) in [
            (
                "ECS_START_TASK_TIMEOUT",
                "soon",
                "environment: ECS_START_TASK_TIMEOUT=soon is invalid: expected a duration",
            ),
            ("ECS_START_TASK_TIMEOUT", "0s", "from a second to a year"),
            ("ECS_START_TASK_TIMEOUT", "500000000000y", "from a second to a year"),
            ("ECS_START_TASK_TIMEUOT", "1m", "did you mean ECS_START_TASK_TIMEOUT?"),
            ("ECS_START_TASK_STARTED_BY", "a b", "at most 36"),
            ("ECS_START_TASK_STARTED_BY", "0123456789012345678901234567890123456", "at most 36"),
            ("ECS_START_TASK_IF_RUNNING", "restart", "skip or start"),
            ("ECS_START_TASK_AGENT_URL", "127.0.0.1:51678", "an address such as"),
            ("ECS_START_TASK_AGENT_URL", "http://127.0.0.1:5l678", "an address such as"),
            ("ECS_START_TASK_AGENT_URL", "http://127.0.0.1[::1]", "an address such as"),
            ("ECS_START_TASK_AGENT_URL", "http://[::1:80", "an address such as"),
            ("ECS_START_TASK_AGENT_URL", "https://127.0.0.1:51678", "an address such as http://"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "https://169.254.169.254", "an address such as http://"),
            ("AWS_USE_FIPS_ENDPOINT", "yes", "true or false"),
            ("AWS_EC2_METADATA_DISABLED", "True", "unset it"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv5", "IPv4 or IPv6"),
        ] {
            let error = error(&[(key, value)]);
            assert!(error.contains(told), "{error}");
        }
        let conflict =
            [("AWS_ENDPOINT_URL", "http://localhost:4566"), ("AWS_USE_DUALSTACK_ENDPOINT", "TRUE")];
        assert!(error(&conflict).contains("custom endpoint"));
    }

    #[test]
    fn endpoints() {
        let both = [("AWS_ENDPOINT_URL", "http://a:1/"), ("AWS_ENDPOINT_URL_ECS", "http://b:1/x/")];
        let (url, by) = Settings::of(NO_FILE, &both).endpoint.url.unwrap();
        assert_eq!((url.to_string().as_str(), by.key.as_str()), ("http://b:1/x/", "AWS_ENDPOINT_URL_ECS"));
        let v6 = [("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv6")];
        assert_eq!(Settings::of(NO_FILE, &v6).imds_url, "http://[fd00:ec2::254]");
    }
}
