//! The ECS agent's introspection API on this instance.
//!
//! The port opens when the agent has registered, which is before it is connected to ECS. A path that
//! the agent does not know is answered with 200, so a response counts only when it has the right form.

use crate::aws::arn::is_safe_identifier;
use crate::aws::endpoint;
use crate::aws::instance::Instance;
use crate::config::settings::Settings;
use crate::error::Error;
use crate::net::client::{self, Http};
use crate::text::{json_fault, shorten, shorten_bytes};
use http::StatusCode;
use serde::Deserialize;
use std::time::Duration;

/// The limit of one request to the agent, from connecting to the last byte.
const LIMIT: Duration = Duration::from_secs(5);

/// Who this instance is.
///
/// # Errors
/// An agent that is down, broken, or has not registered. All are worth a retry.
pub(crate) fn instance(http: &dyn Http, settings: &Settings) -> Result<Instance, Error> {
    metadata(http, &settings.agent_url)?.instance(settings)
}

/// The agent's metadata.
///
/// # Errors
/// An agent that is down or broken, or something else that listens there.
pub(crate) fn metadata(http: &dyn Http, base: &str) -> Result<Metadata, Error> {
    let url = format!("{base}/v1/metadata");
    let answer = http.send(client::get(&url)?, LIMIT).map_err(Error::Agent)?;
    let answer = client::read_body(answer, &format!("GET {url}")).map_err(Error::Agent)?;
    if answer.status() != StatusCode::OK {
        return Err(Error::AgentStatus {
            url,
            status: answer.status().as_u16(),
            body: shorten_bytes(answer.body()),
        });
    }
    parse_metadata(answer.body(), &url)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    cluster: Option<String>,
    container_instance_arn: Option<String>,
    version: Option<String>,
}

/// The ECS agent's response to `/v1/metadata`. Without an instance ARN, the agent has not registered yet.
#[derive(Debug)]
pub(crate) struct Metadata {
    url: String,
    cluster: String,
    arn: String,
    /// The agent's name and version; an agent can be configured to hide it.
    pub(crate) version: Option<String>,
}

impl Metadata {
    /// # Errors
    /// [`Error::NotRegistered`], an ARN of something else, or a place whose ECS endpoint is not known.
    pub(crate) fn instance(&self, settings: &Settings) -> Result<Instance, Error> {
        if self.arn.is_empty() {
            return Err(Error::NotRegistered { url: self.url.clone() });
        }
        let instance = Instance::parse(&self.arn, &self.cluster)
            .ok_or_else(|| Error::InstanceArn { arn: shorten(&self.arn) })?;
        if endpoint::is_known(&instance.partition, &settings.endpoint) {
            Ok(instance)
        } else {
            Err(Error::UnknownPartition { partition: instance.partition })
        }
    }
}

/// Parses the agent's `/v1/metadata`.
///
/// # Errors
/// [`Error::AgentAnswer`]: it is not JSON, or its cluster is missing or invalid.
fn parse_metadata(body: &[u8], url: &str) -> Result<Metadata, Error> {
    let strange = |why: &str| Error::AgentAnswer {
        url: url.to_owned(),
        why: why.to_owned(),
        body: shorten_bytes(body),
    };
    let document: Document = serde_json::from_slice(body).map_err(|e| strange(&json_fault(&e)))?;
    let Some(cluster) = document.cluster else {
        return Err(strange("it has no Cluster"));
    };
    let arn = document.container_instance_arn.unwrap_or_default();
    if !arn.is_empty() && !is_safe_identifier(&cluster) {
        return Err(strange("its Cluster is not a valid name"));
    }
    Ok(Metadata { url: url.to_owned(), cluster, arn, version: document.version.map(|v| shorten(&v)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str =
        "arn:aws:ecs:us-east-1:123456789012:container-instance/prod/0123456789abcdef0123456789abcdef";

    #[test]
    fn an_answer_counts_only_in_the_right_form() {
        let settings = Settings::of(&["--config", "/dev/null"], &[]);
        let parse = |body: &str| parse_metadata(body.as_bytes(), "u")?.instance(&settings);
        let good = format!(r#"{{"Cluster":"prod","ContainerInstanceArn":"{ARN}","Version":"x"}}"#);
        assert_eq!(parse(&good).unwrap().cluster, "prod");
        assert!(matches!(
            parse(r#"{"Cluster":"","ContainerInstanceArn":null}"#),
            Err(Error::NotRegistered { .. })
        ));
        assert!(matches!(
            parse(r#"{"Cluster":"a","ContainerInstanceArn":"x"}"#),
            Err(Error::InstanceArn { .. })
        ));
        assert!(matches!(
            parse(&good.replace("arn:aws:", "arn:aws-moon:")),
            Err(Error::UnknownPartition { .. })
        ));
        for strange in ["", "[]", "<html>", &good[..40], r#"{"AvailableCommands":[]}"#, r#"{"Cluster":7}"#] {
            assert!(matches!(parse(strange), Err(Error::AgentAnswer { .. })), "{strange}");
        }
    }
}
