//! The ECS agent's own settings file, of which this program uses what it shares with the agent.
//!
//! Read as the agent reads it: byte by byte, whatever the encoding; the last line of a key counts, an empty value counts as
//! absent, and a line that is no KEY=VALUE is nothing.

use crate::files;
use crate::keyvalue::{self, Pair};
use std::io;
use std::path::Path;

/// The agent's settings; its network path to ECS is ours too.
pub(crate) const ECS_CONFIG: &str = "/etc/ecs/ecs.config";

/// Where AWS's install script for external instances puts them.
const ECS_CONFIG_OF_EXTERNAL: &str = "/var/lib/ecs/ecs.config";

/// Far above any of them.
const LIMIT: usize = 1024 * 1024;

/// The ECS agent's settings file, as text.
#[derive(Debug, Default)]
pub(crate) struct EcsConfig(String);

impl EcsConfig {
    /// Reads the usual file. A missing file counts as empty.
    ///
    /// # Errors
    /// As for [`files::bytes`].
    pub(crate) fn read() -> io::Result<Self> {
        Self::at(ECS_CONFIG)
    }

    /// # Errors
    /// The file is there and cannot be read.
    fn at(path: &str) -> io::Result<Self> {
        match files::bytes(Path::new(path), LIMIT) {
            Ok(bytes) => Ok(EcsConfig(String::from_utf8_lossy(&bytes).into_owned())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(EcsConfig::default()),
            Err(e) => Err(e),
        }
    }

    pub(crate) fn find(&self, key: &str) -> Option<Pair<'_>> {
        let given = keyvalue::pairs(&self.0).flatten().filter(|pair| pair.key == key);
        given.last().filter(|pair| !pair.value.is_empty())
    }

    /// Whether `key` is true, in the words that the agent understands.
    fn is_true(&self, key: &str) -> bool {
        self.find(key).is_some_and(|p| ["1", "t", "true"].contains(&p.value.to_ascii_lowercase().as_str()))
    }
}

/// Why an agent may be silent for long.
pub(crate) fn warm_pool_hint() -> Option<String> {
    EcsConfig::read().is_ok_and(|config| config.is_true("ECS_WARM_POOLS_CHECK")).then(|| {
        "ECS_WARM_POOLS_CHECK is true, so the agent waits until the instance is InService".to_owned()
    })
}

/// The file that makes this host an external instance (ECS Anywhere), if one does.
pub(crate) fn external_by() -> Option<&'static str> {
    let is_external = |path: &&str| EcsConfig::at(path).is_ok_and(|config| config.is_true("ECS_EXTERNAL"));
    [ECS_CONFIG, ECS_CONFIG_OF_EXTERNAL].into_iter().find(is_external)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> EcsConfig {
        EcsConfig(text.to_owned())
    }

    #[test]
    fn an_empty_value_counts_as_absent_and_the_last_line_counts() {
        let value = |text: &str| config(text).find("A").map(|pair| (pair.line, pair.value.to_owned()));
        assert_eq!(value("x\nA=1\nA=2\n"), Some((3, "2".to_owned())));
        for absent in ["", "A=\n", "A=  \n", "A=\"\"\n", "A=1\nA=\n", "#A=1\n", "B=1\n"] {
            assert_eq!(value(absent), None, "{absent:?}");
        }
    }

    #[test]
    fn bytes_of_another_encoding_hide_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, b"# f\xfcr\nA=caf\xe9\nB=1\n").unwrap();
        let config = EcsConfig::at(file.path().to_str().unwrap()).unwrap();
        assert_eq!(config.find("B").map(|pair| pair.value.to_owned()).as_deref(), Some("1"));
        assert!(EcsConfig::at("/nonexistent").unwrap().find("B").is_none());
        assert!(EcsConfig::at("/").is_err());
    }

    #[test]
    fn warm_pools_are_named_only_when_they_are_set() {
        for (text, set) in [
            ("ECS_CLUSTER=a\nECS_WARM_POOLS_CHECK=true\n", true),
            ("ECS_WARM_POOLS_CHECK=T", true),
            ("ECS_WARM_POOLS_CHECK=false", false),
            ("ECS_WARM_POOLS_CHECK=yes", false),
            ("", false),
        ] {
            assert_eq!(config(text).is_true("ECS_WARM_POOLS_CHECK"), set, "{text}");
        }
    }
}
