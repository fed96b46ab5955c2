//! A request with the host's values in place: what is sent, and what makes it the same request within a boot.

use crate::aws::definition::Definition;
use crate::aws::instance::Instance;
use crate::config::error::ConfigError;
use crate::config::settings::Settings;
use serde_json::{Map, Value, json};

/// A StartTask request with all references replaced; only the container instance is still to be filled in.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) definition: Definition,
    /// What asked for it: a document's path, or the place of the setting.
    pub(crate) origin: String,
    /// The request as the user wrote it, with its references, as [`super::template::Template::written`] has it.
    pub(crate) written: String,
    /// The task definition as the user wrote it.
    pub(crate) written_definition: String,
    pub(super) members: Map<String, Value>,
}

impl Request {
    /// The member that the document gives at this path.
    pub(crate) fn given(&self, path: &[&str]) -> Option<&Value> {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(self.members.get(*first)?, |value, name| value.get(name))
    }

    /// The body of the call on `instance`.
    ///
    /// # Errors
    /// A document that asserts another cluster, a task definition of another Region or account.
    pub(crate) fn body(&self, instance: &Instance) -> Result<Value, ConfigError> {
        if let Some((what, wanted, actual)) = instance.elsewhere(&self.definition.to_string()) {
            let origin = self.origin.clone();
            return Err(ConfigError::Elsewhere { origin, what, wanted, actual });
        }
        let mut body = self.members.clone();
        let wanted = body.get("cluster").and_then(Value::as_str);
        if wanted.is_some_and(|wanted| !instance.is_in(wanted)) {
            // What a document says is not shown.
            let (path, actual) = (self.origin.clone().into(), instance.cluster.clone());
            return Err(ConfigError::DocumentCluster { path, actual });
        }
        body.entry("startedBy").or_insert_with(|| instance.id.clone().into());
        body.insert("cluster".to_owned(), instance.cluster.clone().into());
        body.insert("containerInstances".to_owned(), json!([instance.id]));
        body.insert("taskDefinition".to_owned(), self.definition.to_string().into());
        Ok(body.into())
    }
}

/// # Errors
/// The agent's cluster is not the one that the option `--cluster` requires.
pub(crate) fn assert_cluster(instance: &Instance, settings: &Settings) -> Result<(), ConfigError> {
    match &settings.cluster {
        Some(wanted) if !instance.is_in(wanted) => {
            Err(ConfigError::Cluster { wanted: wanted.clone(), actual: instance.cluster_like(wanted) })
        }
        _ => Ok(()),
    }
}
