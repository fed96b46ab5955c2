//! What is to be started: the configured definitions and documents, made into StartTask requests.
//!
//! A document or name that is wrong fails alone; the others are started.

pub(crate) mod document;
pub(crate) mod schema;

use crate::aws::definition::Definition;
use crate::aws::instance::Instance;
use crate::config::error::ConfigError;
use crate::config::settings::{DOCUMENTS, Settings};
use crate::files;
use serde_json::{Map, Value, json};
use std::path::Path;

/// What to do about a member that is not known.
pub(crate) const UNKNOWN_MEMBER: &str = "check its spelling, or update this program";

/// The origin of what no document asks for.
pub(crate) const SETTINGS: &str = "the settings";

/// One StartTask request, complete but for what only the instance knows.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) definition: Definition,
    /// What asked for it: a document's path, or the settings.
    pub(crate) origin: String,
    members: Map<String, Value>,
}

/// A request or why there is none, under the name that the user gave it.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) name: String,
    pub(crate) request: Result<Request, ConfigError>,
}

/// Everything that is to be started, definitions first.
///
/// # Errors
/// Nothing to start.
pub(crate) fn plan(settings: &Settings) -> Result<Vec<Planned>, ConfigError> {
    let named = settings.definitions.iter().map(|d| Planned { name: d.clone(), request: from_name(d) });
    let documents = settings.documents.iter().map(|path| match from_document(path) {
        Ok(request) => Planned { name: request.definition.to_string(), request: Ok(request) },
        Err(error) => Planned { name: path.display().to_string(), request: Err(error) },
    });
    let mut planned: Vec<Planned> = named.chain(documents).collect();
    refuse_twice(&mut planned);
    if planned.is_empty() { Err(ConfigError::NothingToStart) } else { Ok(planned) }
}

fn from_name(given: &str) -> Result<Request, ConfigError> {
    let definition =
        Definition::parse(given).ok_or_else(|| ConfigError::Definition { given: given.to_owned() })?;
    Ok(Request { definition, origin: SETTINGS.to_owned(), members: Map::new() })
}

fn from_document(path: &Path) -> Result<Request, ConfigError> {
    let read = if path.starts_with(DOCUMENTS) { files::read } else { files::read_named };
    let text = read(path).map_err(|source| ConfigError::File { path: path.into(), source })?;
    let wrong = |why: String| ConfigError::Document { path: path.into(), why };
    let mut members = document::parse(&text).map_err(wrong)?;
    if members.contains_key("containerInstances") {
        return Err(ConfigError::InstancesGiven { path: path.into() });
    }
    // The AWS CLI's skeleton has empty strings for what is not given.
    members.retain(|_, value| value.as_str() != Some(""));
    if let Some(started_by) = members.get("startedBy").and_then(Value::as_str)
        && !crate::config::settings::is_started_by(started_by)
    {
        return Err(wrong(format!("startedBy is not {}", crate::config::settings::STARTED_BY_RULE)));
    }
    let given = members.remove("taskDefinition").unwrap_or_default();
    let definition = Definition::parse(given.as_str().unwrap_or_default())
        .ok_or_else(|| wrong("taskDefinition is not a family, family:revision or ARN".to_owned()))?;
    Ok(Request { definition, origin: path.display().to_string(), members })
}

/// A second task of a family would be taken for the first one, here and by the duplicate guard.
fn refuse_twice(planned: &mut [Planned]) {
    let mut seen: Vec<(String, String)> = Vec::new();
    for entry in planned {
        let Ok(request) = &entry.request else {
            continue;
        };
        let family = request.definition.family.clone();
        match seen.iter().find(|(f, _)| *f == family) {
            Some((_, earlier)) => {
                entry.request = Err(ConfigError::Twice {
                    origin: request.origin.clone(),
                    given: entry.name.clone(),
                    earlier: earlier.clone(),
                });
            }
            None => seen.push((family, entry.name.clone())),
        }
    }
}

impl Request {
    /// What its document has that this version does not know.
    pub(crate) fn unknown_members(&self) -> impl Iterator<Item = String> {
        let members = document::unknown_members(&self.members).into_iter();
        members.map(|place| {
            format!("{}: {place} is not known to this version, and is sent as it is", self.origin)
        })
    }

    /// The member that the document gives at this path.
    pub(crate) fn given(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.members.get(*first)?, |value, name| value.get(name))
    }

    /// The request as the user wrote it, which tells requests apart: nothing in it is of this instance.
    pub(crate) fn written(&self, settings: &Settings) -> String {
        let mut members = self.members.clone();
        if let Some(started_by) = &settings.started_by
            && (settings.started_by_option || !members.contains_key("startedBy"))
        {
            members.insert("startedBy".to_owned(), started_by.clone().into());
        }
        Value::from(members).to_string()
    }

    /// The body of the call on `instance`.
    ///
    /// # Errors
    /// A document that asserts another cluster.
    pub(crate) fn body(&self, instance: &Instance, settings: &Settings) -> Result<Value, ConfigError> {
        let mut body = self.members.clone();
        if let Some(wanted) = body.get("cluster").and_then(Value::as_str) {
            // What a document says is not shown.
            let other = || ConfigError::DocumentCluster {
                path: self.origin.clone().into(),
                actual: instance.cluster.clone(),
            };
            instance.is_in(wanted).then_some(()).ok_or_else(other)?;
        }
        let started_by = settings.started_by.as_deref().unwrap_or(&instance.id);
        if settings.started_by_option || !body.contains_key("startedBy") {
            body.insert("startedBy".to_owned(), started_by.into());
        }
        body.insert("cluster".to_owned(), instance.cluster.clone().into());
        body.insert("containerInstances".to_owned(), json!([instance.id]));
        body.insert("taskDefinition".to_owned(), self.definition.to_string().into());
        Ok(body.into())
    }
}

/// # Errors
/// `wanted` is not the agent's cluster.
pub(crate) fn assert_cluster(instance: &Instance, wanted: Option<&str>, by: &str) -> Result<(), ConfigError> {
    match wanted {
        Some(wanted) if !instance.is_in(wanted) => Err(ConfigError::Cluster {
            by: by.to_owned(),
            wanted: wanted.to_owned(),
            actual: instance.cluster_like(wanted),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn a_family_that_comes_twice_fails_the_later_one() {
        let entry = |name: &str| Planned { name: name.to_owned(), request: from_name(name) };
        let mut planned = [entry("a"), entry("b:1"), entry("b:2"), entry("c d")];
        refuse_twice(&mut planned);
        let failed: Vec<bool> = planned.iter().map(|p| p.request.is_err()).collect();
        assert_eq!(failed, [false, false, true, true]);
    }

    #[test]
    fn the_body_is_filled_in() {
        let arn = "arn:aws:ecs:us-east-1:1:container-instance/prod/0123456789abcdef0123456789abcdef";
        let instance = Instance::parse(arn, "prod").unwrap();
        let body = from_name("log:3")
            .unwrap()
            .body(&instance, &Settings::of(&["--config", "/dev/null"], &[]))
            .unwrap();
        let expected = json!({"cluster": "prod", "containerInstances": [ID], "startedBy": ID, "taskDefinition": "log:3"});
        assert_eq!(body, expected);
    }

    #[test]
    fn an_option_goes_before_a_document_and_a_document_before_the_settings() {
        let instance = Instance::parse(
            "arn:aws:ecs:us-east-1:1:container-instance/prod/0123456789abcdef0123456789abcdef",
            "prod",
        )
        .unwrap();
        let mut request = from_name("log").unwrap();
        request.members.insert("startedBy".to_owned(), "document".into());
        let started_by = |options: &[&str]| {
            let options = [&["--config", "/dev/null"], options].concat();
            let settings = Settings::of(&options, &[("ECS_START_TASK_STARTED_BY", "environment")]);
            request.body(&instance, &settings).unwrap()["startedBy"].clone()
        };
        assert_eq!(
            (started_by(&[]), started_by(&["--started-by", "option"])),
            ("document".into(), "option".into())
        );
    }
}
