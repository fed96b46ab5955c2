//! The result on stdout: what became of each task, as text or as one JSON document.

use crate::aws::endpoint::EcsAddress;
use crate::aws::instance::Instance;
use crate::config::cli::Output;
use crate::error::Error;
use crate::error::class::exit;
use crate::layout::{Row, line, pretty, table};
use crate::run::outcome::{Outcome, Success};
use crate::text::shorten;
use serde::Serialize;
use serde_json::{Value, json};

/// The outcomes of all tasks of a run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) instance: Instance,
    pub(crate) outcomes: Vec<Outcome>,
}

/// The requests that a run would send.
#[derive(Debug)]
pub(crate) struct DryRun {
    pub(crate) endpoint: EcsAddress,
    pub(crate) proxy: String,
    pub(crate) role: String,
    pub(crate) instance: Instance,
    /// What the references in the requests became.
    pub(crate) values: Vec<ResolvedValue>,
    pub(crate) requests: Vec<(String, Result<Value, Error>)>,
}

/// A reference, its value, and where the value came from.
#[derive(Debug, Serialize)]
pub(crate) struct ResolvedValue {
    pub(crate) reference: String,
    pub(crate) value: String,
    pub(crate) from: String,
}

impl Report {
    pub(crate) fn exit_code(&self) -> u8 {
        exit_code(self.outcomes.iter().filter_map(|o| o.result.as_ref().err()))
    }

    /// One line for `systemctl status`.
    pub(crate) fn summary(&self) -> String {
        let became = |outcome: &Outcome| match &outcome.result {
            Ok(done) => format!("{}: {}", outcome.definition, word(done.success)),
            Err(error) => format!("{}: failed: {error}", outcome.definition),
        };
        self.outcomes.iter().map(became).collect::<Vec<_>>().join(", ")
    }

    /// The text is laid out for a terminal of this `width`; `None`: for programs.
    pub(crate) fn render(&self, output: Output, width: Option<usize>) -> String {
        match output {
            Output::Text => table(&self.outcomes.iter().map(Outcome::row).collect::<Vec<_>>(), width),
            Output::Json => pretty(&json!({
                "instance": self.instance.arn,
                "cluster": self.instance.cluster,
                "region": self.instance.region,
                "tasks": self.outcomes.iter().map(Outcome::json).collect::<Vec<_>>(),
            })),
        }
    }
}

/// That of the first failure that a restart may fix, else of the first failure.
fn exit_code<'a>(failures: impl Iterator<Item = &'a Error>) -> u8 {
    let codes: Vec<u8> = failures.map(Error::exit_code).collect();
    let fixable = codes.iter().find(|code| !matches!(**code, exit::USAGE | exit::CONFIGURATION));
    fixable.or(codes.first()).copied().unwrap_or(0)
}

impl Outcome {
    fn row(&self) -> Row {
        match &self.result {
            Ok(done) => Row::of(&[&self.definition, word(done.success), &done.task, &done.status]),
            Err(error) => {
                let message = error.message_with_hint();
                Row::of(&[&self.definition, "failed", without_name(&self.definition, &message)])
            }
        }
    }

    fn json(&self) -> Value {
        let done = self.result.as_ref().ok();
        let task = match &self.result {
            Ok(done) => Some((done.task.as_str(), done.status.as_str())),
            Err(error) => error.task(),
        };
        json!({
            "definition": self.definition,
            "outcome": done.map_or("failed", |d| word(d.success)),
            "taskArn": task.map(|(arn, _)| arn),
            "status": task.map(|(_, status)| status),
            "attempts": self.attempts,
            "seconds": (self.took.as_secs_f64() * 1000.0).round() / 1000.0,
            "error": self.result.as_ref().err().map(error_json),
        })
    }
}

fn word(success: Success) -> &'static str {
    match success {
        Success::Started => "started",
        Success::AlreadyRunning => "already-running",
    }
}

pub(crate) fn error_json(error: &Error) -> Value {
    json!({ "code": error.code(), "message": error.message_with_hint(), "exitCode": error.exit_code() })
}

/// The document of a run in which no task could be tried.
pub(crate) fn render_error(error: &Error, output: Output) -> String {
    match output {
        // The log has it already, and there is no result.
        Output::Text => String::new(),
        Output::Json => pretty(&json!({
            "instance": null, "cluster": null, "region": null, "tasks": [], "error": error_json(error),
        })),
    }
}

impl DryRun {
    pub(crate) fn exit_code(&self) -> u8 {
        exit_code(self.requests.iter().filter_map(|(_, request)| request.as_ref().err()))
    }

    pub(crate) fn render(&self, output: Output) -> String {
        match output {
            Output::Text => self.text(),
            Output::Json => pretty(&json!({
                "endpoint": self.endpoint.url.to_string(),
                "endpointReason": self.endpoint.reason,
                "proxy": self.proxy,
                "region": self.instance.region,
                "cluster": self.instance.cluster,
                "instance": self.instance.arn,
                "role": self.role,
                "values": self.values,
                "requests": self.requests.iter().filter_map(|(_, r)| r.as_ref().ok()).collect::<Vec<_>>(),
                "errors": self.requests.iter().filter_map(|(_, r)| r.as_ref().err()).map(error_json).collect::<Vec<_>>(),
            })),
        }
    }

    fn text(&self) -> String {
        let facts = [
            ("endpoint", format!("{}, {}", self.endpoint.url, self.endpoint.reason)),
            ("proxy", self.proxy.clone()),
            ("region", self.instance.region.clone()),
            ("cluster", self.instance.cluster.clone()),
            ("instance", self.instance.arn.clone()),
            ("role", self.role.clone()),
        ];
        let mut text: String = facts.iter().map(|(name, value)| line(name, value)).collect();
        text += &self.values.iter().map(|value| line("value", &value.to_string())).collect::<String>();
        for (name, request) in &self.requests {
            text += &match request {
                Ok(body) => format!("request   StartTask\n{}", pretty(body)),
                Err(error) => {
                    let message = error.message_with_hint();
                    line("error", &format!("{name}: {}", without_name(name, &message)))
                }
            };
        }
        text
    }
}

impl std::fmt::Display for ResolvedValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} = {} ({})", shorten(&self.reference), shorten(&self.value), self.from)
    }
}

/// A message about `name` without its beginning, where that is the name again, as for a document.
pub(crate) fn without_name<'m>(name: &str, message: &'m str) -> &'m str {
    let rest = message.strip_prefix(name).unwrap_or(message);
    if rest.starts_with([':', ' ']) { rest.trim_start_matches([':', ' ']) } else { message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::error::ConfigError;

    #[test]
    fn the_exit_code_is_that_of_what_a_restart_may_fix() {
        let code = |errors: &[Error]| exit_code(errors.iter());
        let fixable = || Error::NoRole { url: String::new(), answer: "404" };
        assert_eq!(code(&[]), 0);
        assert_eq!(code(&[ConfigError::UserData.into()]), exit::CONFIGURATION);
        assert_eq!(code(&[ConfigError::UserData.into(), fixable()]), exit::NOT_ALLOWED);
    }
}
