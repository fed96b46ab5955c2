//! One value of a setting, and the place that it came from, which every error about it names.

use crate::system::ecs_config::ECS_CONFIG;
use crate::text::{nearest, shorten};
use std::fmt;
use std::path::{Path, PathBuf};

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

/// The value of a setting and its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigValue {
    pub(crate) key: String,
    pub(crate) value: String,
    pub(crate) origin: Origin,
}

impl ConfigValue {
    /// Whether the user gave it to the ECS agent, and not to this program.
    pub(crate) fn is_of_agent(&self) -> bool {
        matches!(&self.origin, Origin::File { path, .. } if path == Path::new(ECS_CONFIG))
    }

    /// The value without the password that an address may hold, with a scheme or without.
    pub(crate) fn redacted(&self) -> String {
        match self.value.rsplit_once('@') {
            Some((_, host)) => shorten(&format!("...@{host}")),
            None => shorten(&self.value),
        }
    }
}

/// The kinds of references to values of the host, as `request::references` reads them.
const REFERENCES: [&str; 3] = ["imds", "tag", "ecs"];

/// The reference that is meant where a text has one such as `{tags:Name}`, which is ordinary text.
pub(crate) fn meant_reference(text: &str) -> Option<String> {
    let inside = text.split('{').nth(1)?.split('}').next()?;
    let (word, name) = inside.split_once(|c: char| !c.is_ascii_alphanumeric())?;
    let kind = nearest(word, REFERENCES).filter(|kind| !inside.starts_with(&format!("{kind}:")))?;
    Some(format!("{{{kind}:{}}}", shorten(name)))
}

impl fmt::Display for ConfigValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={} ({})", self.key, self.redacted(), self.origin)
    }
}
