//! Where settings come from: option, environment variable, settings file, and some from the ECS agent's own settings.
//!
//! Each setting has one name in all places, and the first hit wins. A misspelt name of ours is an
//! error, as it would otherwise be ignored.

use crate::config::cli::Cli;
use crate::config::error::ConfigError;
use crate::config::keys::{KNOWN, SETTINGS_FILE, SHARED_WITH_AGENT, is_ours, name};
use crate::config::line;
use crate::config::searched::Searched;
use crate::config::value::{ConfigValue, Origin};
use crate::files;
use crate::system::ecs_config::{ECS_CONFIG, EcsConfig};
use std::io;
use std::path::{Path, PathBuf};

/// All places that settings come from, in the order of precedence.
#[derive(Debug)]
pub(crate) struct Sources {
    places: Vec<Vec<ConfigValue>>,
    /// The settings file, when there is one.
    pub(crate) file: Option<PathBuf>,
    /// Why the agent's settings cannot be read.
    pub(crate) agent_unreadable: Option<std::io::Error>,
}

/// Where the settings file is among the places.
const IN_FILE: usize = 2;

impl Sources {
    /// Reads options, environment and settings file, with the errors in the file. Only an explicitly named file has to
    /// exist. Tasks on the command line replace those that are configured.
    pub(crate) fn read(
        cli: &Cli,
        environment: impl Iterator<Item = (String, String)>,
    ) -> (Self, Vec<ConfigError>) {
        let usual = Path::new(SETTINGS_FILE);
        let file = cli.config.clone().or_else(|| usual.exists().then(|| usual.into()));
        let read = if cli.config.is_some() { files::read_named } else { files::read };
        let (mut in_file, wrong) =
            file.as_deref().map_or_else(Default::default, |file| read_file(file, read));
        let mut environment: Vec<ConfigValue> = environment
            .filter(|(key, _)| is_ours(key) || is_known(key))
            .map(|(key, value)| ConfigValue { key, value, origin: Origin::Environment })
            .collect();
        if cli.names_tasks() {
            environment.retain(|g| g.key != name::DEFINITION);
            in_file.retain(|g| g.key != name::DEFINITION);
        }
        let (of_agent, agent_unreadable) = match EcsConfig::read() {
            Ok(config) => (shared_with_agent(&config), None),
            Err(e) => (Vec::new(), Some(e)),
        };
        let places = vec![cli.given(), environment, in_file, of_agent];
        (Sources { places, file, agent_unreadable }, wrong)
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = &[ConfigValue]> {
        self.places.iter().map(Vec::as_slice)
    }

    /// An empty value counts as none, as it does for the AWS tools.
    pub(crate) fn find(&self, key: &str) -> Option<&ConfigValue> {
        self.places.iter().find_map(|place| in_effect(place, key))
    }

    /// What the unit reads: the usual file, and neither options nor environment.
    pub(crate) fn of_unit(&self, key: &str) -> Option<&ConfigValue> {
        let is_usual = self.file.as_deref() == Some(Path::new(SETTINGS_FILE));
        in_effect(self.in_file(), key).filter(|_| is_usual)
    }

    fn in_file(&self) -> &[ConfigValue] {
        self.places.get(IN_FILE).map_or(&[], Vec::as_slice)
    }

    /// Where a task definition was searched for.
    pub(crate) fn searched(&self) -> Searched {
        let names_nothing = |g: &&ConfigValue| {
            g.key == name::DEFINITION && g.value.chars().all(|c| c == ',' || c.is_whitespace())
        };
        let empty = self.places.iter().flatten().filter(names_nothing).map(|g| g.origin.clone()).collect();
        Searched { file: self.file.clone(), empty }
    }

    /// A misspelt name of ours is an error, as it would otherwise be ignored.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = ConfigError> {
        let unknown = self.places.iter().flatten().filter(|g| is_ours(&g.key) && !is_known(&g.key));
        unknown.map(|given| ConfigError::SettingUnknown { given: given.clone() })
    }

    /// The values in effect.
    pub(crate) fn given(&self) -> impl Iterator<Item = &ConfigValue> {
        let counts = |given: &&ConfigValue| is_known(&given.key) && self.find(&given.key) == Some(*given);
        self.places.iter().flatten().filter(counts)
    }

    /// Names of others in the settings file, which mean nothing to this program.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = &ConfigValue> {
        self.in_file().iter().filter(|line| !is_ours(&line.key) && !is_known(&line.key))
    }

    /// Lines of the settings file that another one overrides with another value, each with that one.
    pub(crate) fn overridden(&self) -> impl Iterator<Item = (&ConfigValue, &ConfigValue)> {
        let known = self.in_file().iter().filter(|line| is_known(&line.key));
        let by = known.filter_map(|line| Some((line, in_effect(self.in_file(), &line.key)?)));
        by.filter(|(line, by)| line.value != by.value)
    }
}

/// The agent's own settings that this program shares.
fn shared_with_agent(config: &EcsConfig) -> Vec<ConfigValue> {
    let value = |key: &str| {
        let pair = config.find(key)?;
        let origin = Origin::File { path: ECS_CONFIG.into(), line: pair.line };
        Some(ConfigValue { key: key.to_owned(), value: pair.value.to_owned(), origin })
    };
    SHARED_WITH_AGENT.into_iter().filter_map(value).collect()
}

/// The proxy variables are known in lower case too, as curl and the AWS SDKs take them.
fn is_known(key: &str) -> bool {
    let same = |known: &str| known == key || (known.ends_with("_PROXY") && known.eq_ignore_ascii_case(key));
    KNOWN.iter().any(|(known, _)| same(known))
}

/// The last value of `key` in one place that is not empty.
fn in_effect<'a>(place: &'a [ConfigValue], key: &str) -> Option<&'a ConfigValue> {
    last(place, |given| given.key == key && !given.value.trim().is_empty())
}

/// The value in effect of one place: the last of several lines, as for a shell or systemd.
pub(crate) fn last(place: &[ConfigValue], wanted: impl Fn(&ConfigValue) -> bool) -> Option<&ConfigValue> {
    place.iter().rev().find(|g| wanted(g))
}

/// The settings in the file, and the errors in it.
fn read_file(
    path: &Path,
    read: impl Fn(&Path) -> io::Result<String>,
) -> (Vec<ConfigValue>, Vec<ConfigError>) {
    let (mut given, mut wrong) = (Vec::new(), Vec::new());
    let text = read(path).unwrap_or_else(|source| {
        wrong.push(ConfigError::File { path: path.into(), source });
        String::new()
    });
    for pair in line::pairs(&text) {
        match pair {
            Ok(pair) => given.push(ConfigValue {
                key: pair.key.to_owned(),
                value: pair.value.to_owned(),
                origin: Origin::File { path: path.into(), line: pair.line },
            }),
            Err((line, fault)) => wrong.push(ConfigError::Line { path: path.into(), line, fault }),
        }
    }
    (given, wrong)
}
