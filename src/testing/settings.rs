//! Settings from a given command line and environment.

use crate::config::cli::Cli;
use crate::config::error::ConfigError;
use crate::config::settings::Settings;
use crate::config::sources::Sources;

impl Settings {
    /// The settings from a command line and an environment.
    pub(crate) fn of(options: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::try_of(options, environment).unwrap()
    }

    pub(crate) fn try_of(options: &[&str], environment: &[(&str, &str)]) -> Result<Self, ConfigError> {
        let cli = <Cli as clap::Parser>::parse_from([&["ecs-start-task"], options].concat());
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        let (sources, unreadable) = Sources::read(&cli, environment);
        let (settings, wrong) = Settings::read(&cli, &sources);
        unreadable.into_iter().chain(wrong).next().map_or(Ok(settings), Err)
    }
}
