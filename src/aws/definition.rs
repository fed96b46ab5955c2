//! The name of a task definition: family, family:revision or ARN.

use crate::aws::arn::is_safe_identifier;
use std::fmt;

/// A task definition as the user named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    given: String,
    pub(crate) family: String,
    /// `None`: the latest that is ACTIVE.
    pub(crate) revision: Option<u64>,
}

impl Definition {
    /// Families have up to 255 letters, digits, hyphens and underscores (RegisterTaskDefinition).
    pub(crate) fn parse(given: &str) -> Option<Self> {
        let name = match given.split_once(":task-definition/") {
            Some((arn, name)) if arn.starts_with("arn:") => name,
            Some(_) => return None,
            None => given,
        };
        let (family, revision) = match name.split_once(':') {
            // Rust would accept a sign.
            Some((_, revision)) if !revision.chars().all(|c| c.is_ascii_digit()) => return None,
            Some((family, revision)) => (family, Some(revision.parse().ok()?)),
            None => (name, None),
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let sound = is_safe_identifier(given)
            && !family.is_empty()
            && family.len() <= 255
            && family.chars().all(allowed);
        sound.then(|| Definition { given: given.to_owned(), family: family.to_owned(), revision })
    }

    /// Whether a task of `family` and `revision` is one of this definition.
    pub(crate) fn matches(&self, family: &str, revision: Option<u64>) -> bool {
        self.family == family && (self.revision.is_none() || self.revision == revision)
    }
}

impl fmt::Display for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        let arn = "arn:aws:ecs:us-east-1:123456789012:task-definition/log_agent:7";
        for (given, family, revision) in
            [("my_task_def", "my_task_def", None), ("a-b:3", "a-b", Some(3)), (arn, "log_agent", Some(7))]
        {
            let definition = Definition::parse(given).unwrap();
            assert_eq!((definition.family.as_str(), definition.revision), (family, revision));
            assert_eq!(definition.to_string(), given);
        }
        for given in [
            "",
            "a b",
            "a:",
            "a:x",
            "a:1:2",
            "a:+1",
            "a:-1",
            "arn:\n:task-definition/a",
            ":1",
            "arn:aws:ecs:us-east-1:1:task/a",
            "x:task-definition/a",
            "a/b",
        ] {
            assert_eq!(Definition::parse(given), None, "{given}");
        }
    }

    #[test]
    fn a_family_with_the_same_beginning_is_another() {
        let definition = Definition::parse("log:3").unwrap();
        assert!(definition.matches("log", Some(3)));
        assert!(!definition.matches("log", Some(4)) && !definition.matches("log-agent", Some(3)));
        assert!(!definition.matches("log", None));
        assert!(Definition::parse("log").unwrap().matches("log", Some(99)));
    }
}
