//! Whether ECS accepts the signature, and whether the role has the permission to start each task.

use super::checkup::{Checkup, name};
use super::definition;
use super::ecs::{Ecs, unanswered};
use super::finding::{Finding, Phase};
use super::running::Here;
use crate::aws::ecs;
use crate::aws::instance::Instance;
use crate::error::Error;
use crate::error::class::Class;
use crate::request::resolved::Request;
use serde_json::{Value, json};

/// A container instance that cannot exist: a StartTask on it starts nothing, whatever the caller may do. IAM is
/// asked before ECS looks for the instance, so a refusal means "not allowed", and MISSING in
/// `failures[]`, or an invalid parameter that is this ID, means "allowed".
const NOWHERE: &str = "00000000000000000000000000000000";

/// The case in which a run may succeed although this question is denied.
const OF_INSTANCES: &str =
    "its policy has a condition on ecs:container-instances, which denies this test call but may allow a run";

impl Checkup<'_> {
    /// What calls to ECS need, unless ECS refuses the signature.
    pub(super) fn signature<'e>(&mut self, ecs: Option<Ecs<'e>>, requests: &[Request]) -> Option<Ecs<'e>> {
        let mut ecs = self.need(name::SIGNATURE, ecs, &[name::CREDENTIALS, name::ENDPOINT])?;
        // Any name will do.
        let definition = requests.first().map_or("any".to_owned(), |r| r.definition.to_string());
        let answer = present_signature(&mut ecs, &definition);
        let by = if ecs.caller.skew == 0 { "" } else { ", made with the time of ECS" };
        let is = |error: &Error, classes: &[Class]| classes.contains(&error.class());
        // A refusal for another reason means that ECS has accepted the signature.
        let accepts = |error: &Error| error.is_of_ecs() && is(error, &[Class::AccessDenied, Class::Refused]);
        let finding = match answer.err().filter(|error| !accepts(error)) {
            None => Finding::success(name::SIGNATURE, format!("accepted{by}")),
            // A run does not ask this question, so it may succeed.
            Some(error) if is(&error, &[Class::Throttled, Class::Unanswered, Class::Unreachable]) => {
                Finding::doubt(name::SIGNATURE, "the signature could not be tested: ", &error)
            }
            Some(error) => Finding::error(name::SIGNATURE, Phase::Starting(0), &error),
        };
        let refused = finding.is_failure();
        self.add(finding);
        (!refused).then_some(ecs)
    }

    /// Asks for each task to be started where it cannot be.
    pub(super) fn permission(
        &mut self,
        ecs: Option<&Ecs<'_>>,
        requests: &[Request],
        instance: Option<&Instance>,
        here: Option<&Here>,
    ) {
        let Some(ecs) = self.need(name::PERMISSION, ecs, &[name::SIGNATURE]) else { return };
        let Some(instance) = self.need(name::PERMISSION, instance, &[name::REGISTERED]) else { return };
        let Some(requests) = self.some(name::PERMISSION, requests) else { return };
        for (task, request) in requests.iter().enumerate() {
            let finding = match request.body(instance) {
                Ok(body) => Here::soften(here, task, permission(ecs, request, body, task)),
                // A run makes the request before it looks what is here.
                Err(wrong) => Finding::error(name::PERMISSION, Phase::Starting(task), &wrong.into()),
            };
            self.add(finding);
        }
    }
}

/// Asks for a definition only to see what ECS thinks of the signature; as in a run, a clock that is off
/// is corrected once.
///
/// # Errors
/// What ECS responded, a refusal of the permission included.
fn present_signature(ecs: &mut Ecs<'_>, definition: &str) -> Result<(), Error> {
    let mut described = definition::describe(ecs, definition);
    if let Err(error) = &described
        && error.class() == Class::Clock
    {
        ecs.caller.skew = error.skew();
        described = definition::describe(ecs, definition);
    }
    described.map(drop)
}

fn permission(ecs: &Ecs<'_>, request: &Request, mut body: Value, task: usize) -> Finding {
    if let Some(members) = body.as_object_mut() {
        members.insert("containerInstances".to_owned(), json!([NOWHERE]));
    }
    let definition = request.definition.to_string();
    let does_not_say = "the permission could not be tested: ";
    let finding = match ecs::start_task(&ecs.call(), &body).map_err(unanswered) {
        Err(error) if knows_no_such_instance(&error) => {
            let role = &ecs.caller.credentials.role;
            return Finding::success(
                name::PERMISSION,
                format!("role {role} has ecs:StartTask on {definition}"),
            );
        }
        Err(error) if matches!(error.class(), Class::AccessDenied | Class::Refused) => {
            let finding = Finding::error(name::PERMISSION, Phase::Starting(task), &error);
            // Of the roles that are passed the policy says nothing about instances.
            match &error {
                Error::Refused { refusal, class: Class::AccessDenied, .. }
                    if !refusal.is_about_passed_roles() =>
                {
                    finding.unless(OF_INSTANCES)
                }
                _ => finding,
            }
        }
        Err(error) => Finding::doubt(name::PERMISSION, does_not_say, &error),
        Ok(t) => {
            let note = format!("{does_not_say}its response names a task, {}", t.task_arn);
            Finding::warning(name::PERMISSION, note, "check that task")
        }
    };
    finding.about(&definition)
}

/// ECS went on to the instance, so the role has the permission.
fn knows_no_such_instance(error: &Error) -> bool {
    match error {
        Error::Failure { class, .. } => *class == Class::Missing,
        Error::Refused { refusal, .. } => {
            refusal.code == "InvalidParameterException" && refusal.message.contains(NOWHERE)
        }
        _ => false,
    }
}
