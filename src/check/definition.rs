//! Whether the task definitions exist, and whether the requests give them what they need.

use super::checkup::{Checkup, name};
use super::ecs::{Ecs, unanswered};
use super::finding::{Finding, Phase};
use super::running::Here;
use crate::aws::described::{DescribedDefinition, TaskDefinition};
use crate::error::Error;
use crate::error::class::{Class, exit};
use crate::request::resolved::Request;
use crate::text::shorten;
use serde_json::{Value, json};

/// What ECS has under this name.
///
/// # Errors
/// As for any call; nothing can have been done.
pub(super) fn describe(ecs: &Ecs<'_>, definition: &str) -> Result<TaskDefinition, Error> {
    let body = json!({"taskDefinition": definition});
    let described = ecs.call().read("DescribeTaskDefinition", &body);
    described.map(|described: DescribedDefinition| described.task_definition).map_err(unanswered)
}

impl Checkup<'_> {
    pub(super) fn definitions(&mut self, ecs: Option<&Ecs<'_>>, requests: &[Request], here: Option<&Here>) {
        let Some(ecs) = self.need(name::DEFINITION, ecs, &[name::SIGNATURE]) else { return };
        let Some(requests) = self.some(name::DEFINITION, requests) else { return };
        for (task, request) in requests.iter().enumerate() {
            let finding = match describe(ecs, &request.definition.to_string()) {
                Ok(definition) => judge(&definition, request, task),
                Err(error) if error.class() == Class::Refused && self.is_refused(task) => {
                    let fix = format!("see \"{}\" above", name::PERMISSION);
                    Finding::skipped(name::DEFINITION, "ECS refuses it", fix).about(&request.definition)
                }
                Err(error) => not_described(&error, ecs, request, task),
            };
            self.add(Here::soften(here, task, finding));
        }
    }
}

/// A run does not ask, so only what ECS would tell a run as well is a failure.
fn not_described(error: &Error, ecs: &Ecs<'_>, request: &Request, task: usize) -> Finding {
    let finding = match error.class() {
        Class::AccessDenied => {
            let note = format!("role {} lacks the permission to read it", ecs.caller.credentials.role);
            Finding::skipped(name::DEFINITION, note, format!("{} (optional)", error.hint()))
        }
        Class::Refused => Finding::error(name::DEFINITION, Phase::Starting(task), error),
        _ => Finding::doubt(name::DEFINITION, "", error),
    };
    finding.about(&request.definition)
}

/// Whether it can be started, and whether it gets what it needs.
fn judge(definition: &TaskDefinition, request: &Request, task: usize) -> Finding {
    let named = format!("{}:{}", request.definition.family, definition.revision);
    let refused = |note: String, fix: &str| {
        let note = format!("{named} {note}");
        Finding::failed(name::DEFINITION, Phase::Starting(task), exit::REFUSED, note, fix)
    };
    // What ECS leaves out is the default of Linux.
    let mode = if definition.network_mode.is_empty() { "bridge" } else { &shorten(&definition.network_mode) };
    let given = request.given(&["networkConfiguration", "awsvpcConfiguration"]).is_some();
    if definition.status != "ACTIVE" {
        return refused(
            format!("is {}", shorten(&definition.status)),
            "use an ACTIVE revision, or register a new one",
        );
    }
    match (mode == "awsvpc", given) {
        (true, false) => {
            let fix = "add networkConfiguration to a request document in /etc/ecs/ecs-start-task.d/, as in /usr/share/doc/ecs-start-task/examples/awsvpc.json";
            refused("has network mode awsvpc, but the request has no networkConfiguration".to_owned(), fix)
        }
        (false, true) => {
            let note = format!("has network mode {mode}, but the request has a networkConfiguration");
            refused(note, "remove networkConfiguration, or use a task definition with network mode awsvpc")
        }
        _ => {
            let note = format!("{named} is ACTIVE{}", roles(definition, request));
            Finding::success(name::DEFINITION, note)
        }
    }
}

/// The roles that are passed to the task, the request's before its own.
fn roles(definition: &TaskDefinition, request: &Request) -> String {
    let own =
        [("taskRoleArn", &definition.task_role_arn), ("executionRoleArn", &definition.execution_role_arn)];
    let role = |(member, own): (&'static str, &'_ Option<String>)| {
        let given = request.given(&["overrides", member]).and_then(Value::as_str);
        given.or(own.as_deref()).map(shorten)
    };
    let roles: Vec<String> = own.into_iter().filter_map(role).collect();
    if roles.is_empty() { String::new() } else { format!("; needs iam:PassRole on {}", roles.join(" and ")) }
}
