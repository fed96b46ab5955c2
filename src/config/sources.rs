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
        self.places.iter().find_map(|place| last(place, |g| g.key == key && !g.value.trim().is_empty()))
    }

    /// What the unit reads: the usual file, and neither options nor environment.
    pub(crate) fn of_unit(&self, key: &str) -> Option<&ConfigValue> {
        let file = self.file.as_deref().filter(|file| *file == Path::new(SETTINGS_FILE));
        last(file.and_then(|_| self.places.get(IN_FILE))?, |g| g.key == key && !g.value.trim().is_empty())
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
        let unknown = self.places.iter().flatten().filter(|g| g.is_ours() && !is_known(&g.key));
        unknown.map(|given| ConfigError::SettingUnknown { given: given.clone() })
    }

    /// The values in effect.
    pub(crate) fn given(&self) -> impl Iterator<Item = &ConfigValue> {
        let counts = |given: &&ConfigValue| is_known(&given.key) && self.find(&given.key) == Some(*given);
        self.places.iter().flatten().filter(counts)
    }

    /// Names of others in the settings file, which mean nothing to this program.
    pub(crate) fn foreign(&self) -> impl Iterator<Item = &ConfigValue> {
        let foreign =
            |g: &&ConfigValue| matches!(g.origin, Origin::File { .. }) && !g.is_ours() && !is_known(&g.key);
        self.places.iter().flatten().filter(foreign)
    }

    /// Lines of the settings file that another one overrides with another value, each with that one.
    pub(crate) fn overridden(&self) -> impl Iterator<Item = (&ConfigValue, &ConfigValue)> {
        let in_file = self.places.iter().flatten().filter(|g| matches!(g.origin, Origin::File { .. }));
        let counting = in_file.filter_map(|line| Some((line, self.counting(line)?)));
        counting.filter(|(line, counting)| line.value != counting.value)
    }

    /// The value of the same place and key that is in effect.
    fn counting(&self, given: &ConfigValue) -> Option<&ConfigValue> {
        let same = |g: &ConfigValue| g.key == given.key && !g.value.trim().is_empty();
        let place = self.places.iter().find(|place| place.contains(given))?;
        last(place, same).filter(|_| is_known(&given.key))
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

/// The value in effect of one place: the last of several lines, as for a shell or systemd.
pub(crate) fn last(place: &[ConfigValue], wanted: impl Fn(&ConfigValue) -> bool) -> Option<&ConfigValue> {
    place.iter().rev().find(|g| wanted(g))
}

/// The settings in the file, and the errors in it.
fn read_file(
    path: &Path,
    read: impl Fn(&Path) -> io::Result<String>,
) -> (Vec<ConfigValue>, Vec<ConfigError>) {
    match read(path) {
        Ok(text) => parse_file(&text, path),
        Err(source) => (Vec::new(), vec![ConfigError::File { path: path.into(), source }]),
    }
}

fn parse_file(text: &str, path: &Path) -> (Vec<ConfigValue>, Vec<ConfigError>) {
    let (mut given, mut wrong) = (Vec::new(), Vec::new());
    for pair in line::pairs(text) {
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
