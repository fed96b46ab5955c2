//! What a user wrote that has no effect: it is named in a warning, never ignored silently.

use crate::config::error::of_unknown;
use crate::config::keys::name;
use crate::config::settings::Settings;
use crate::config::sources::Sources;
use crate::config::value::ConfigValue;
use crate::text::{sentence, shorten};
use std::fmt;
use std::path::Path;

/// Something that the user wrote and that has no effect.
#[derive(Debug)]
pub(crate) enum Ignored<'a> {
    /// A name in the settings file that is not a setting of this program.
    Foreign(&'a ConfigValue),
    /// A line of the settings file, and the later one that overrides it.
    Overridden { line: &'a ConfigValue, by: &'a ConfigValue },
    /// A file among the request documents whose name does not end in `.json`.
    Misnamed(&'a Path),
}

/// All of it, in the order in which it was read.
pub(crate) fn ignored<'a>(
    sources: &'a Sources,
    settings: &'a Settings,
) -> impl Iterator<Item = Ignored<'a>> + 'a {
    let overridden = sources.overridden().map(|(line, by)| Ignored::Overridden { line, by });
    let misnamed = settings.misnamed.iter().map(|path| Ignored::Misnamed(path));
    sources.foreign().map(Ignored::Foreign).chain(overridden).chain(misnamed)
}

impl Ignored<'_> {
    /// What is ignored and what to do about it, as one sentence.
    pub(crate) fn message_with_hint(&self) -> String {
        sentence(&self.to_string(), &self.hint())
    }

    pub(crate) fn hint(&self) -> String {
        let hint = match self {
            Ignored::Foreign(line) => return of_unknown(&line.key),
            Ignored::Overridden { line, .. } if line.key == name::DEFINITION => {
                "remove one of the lines; several task definitions go on one line, separated by commas"
            }
            Ignored::Overridden { .. } => "remove one of the lines",
            Ignored::Misnamed(_) => "rename it, or move it to another directory",
        };
        hint.to_owned()
    }
}

impl fmt::Display for Ignored<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ignored::Foreign(line) => {
                write!(
                    f,
                    "{}: {} is ignored: it is not a setting of this program",
                    line.origin,
                    shorten(&line.key)
                )
            }
            Ignored::Overridden { line, by } => {
                write!(f, "{}: {} is ignored: {} gives another value", line.origin, line.key, by.origin)
            }
            Ignored::Misnamed(path) => {
                write!(f, "{} is ignored: request documents are named *.json", path.display())
            }
        }
    }
}
