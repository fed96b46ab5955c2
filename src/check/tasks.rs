//! What ECS and the agent say of the requests: are they signed well, may they be made, is such
//! a task here already.

use super::definition;
use super::finding::{Finding, Phase};
use super::{Brief, Checkup, REMOTE, name};
use crate::ecs::{self, Call, Caller, Endpoint};
use crate::error::Error;
use crate::instance::Instance;
use crate::request::Request;
use crate::retry::Class;
use crate::settings::Settings;
use crate::tasks::{self, Task};
use crate::transport::Http;
use serde_json::{Value, json};

/// A container instance that cannot be: a StartTask on it starts nothing, whatever the caller may do. IAM is
/// asked before ECS looks for the instance, so a refusal means "not allowed", and MISSING in
/// `failures[]` means "allowed".
const NOWHERE: &str = "00000000000000000000000000000000";

/// Where a run may fare better than that question.
const OF_INSTANCES: &str =
    "its policy names ecs:container-instances, which refuses this question and may allow a run";

/// What calls to ECS take.
pub(super) struct Ecs<'a> {
    pub(super) http: Brief<'a>,
    pub(super) endpoint: &'a Endpoint,
    pub(super) caller: Caller,
}

/// The tasks that the agent has already, one for each request.
#[derive(Default)]
pub(super) struct Here {
    tasks: Vec<Result<Option<Task>, Error>>,
    /// Whether a run leaves it at that.
    skip: bool,
}

/// Asks the agent, when the instance is registered.
pub(super) fn here(
    requests: &[Request],
    instance: Option<&Instance>,
    settings: &Settings,
    http: &dyn Http,
) -> Option<Here> {
    instance?;
    let present = |request: &Request| {
        let tasks = tasks::of_family(http, &settings.agent_url, &request.definition.family)?;
        Ok(tasks.into_iter().find(|t| t.is_of(&request.definition) && t.is_present()))
    };
    Some(Here { tasks: requests.iter().map(present).collect(), skip: settings.skip_if_running })
}

impl Here {
    /// What keeps the task from being started is no matter to a run that finds it there.
    pub(super) fn soften(here: Option<&Here>, task: usize, finding: Finding) -> Finding {
        let found = |h: &Here| h.skip && matches!(h.tasks.get(task), Some(Ok(Some(_))));
        let softened = here.is_some_and(found);
        if softened {
            finding.harmless("such a task is here now, so it matters at the next boot")
        } else {
            finding
        }
    }

    fn told(self, requests: &[Request]) -> Vec<Finding> {
        let then = if self.skip { "no other" } else { "one more" };
        let told = |(task, (result, request)): (usize, (Result<Option<Task>, Error>, &Request))| match result
        {
            Ok(None) => Finding::success(name::RUNNING, format!("no task of {} is here", request.definition)),
            Ok(Some(t)) => {
                let note = format!("{} is {}; a run starts {then}", t.arn, t.known_status);
                Finding::success(name::RUNNING, note)
            }
            Err(error) => Finding::error(name::RUNNING, Phase::Starting(task), &error),
        };
        self.tasks.into_iter().zip(requests).enumerate().map(told).collect()
    }
}

impl Ecs<'_> {
    pub(super) fn call(&self) -> Call<'_> {
        let clock = self.http.clock;
        Call { http: &self.http, clock, endpoint: self.endpoint, caller: &self.caller, left: REMOTE }
    }

    /// Asks for a definition only to see what ECS thinks of the signature; as in a run, a clock that is off
    /// is corrected once.
    fn present_signature(&mut self, definition: &str) -> Result<(), Error> {
        match definition::describe(self, definition) {
            Err(error) if error.class() == Class::Clock => {
                self.caller.skew = error.skew();
                definition::describe(self, definition).map(|_| ())
            }
            other => other.map(|_| ()),
        }
    }
}

/// Here nothing can have been done, so an answer that is missing leaves nothing open.
pub(super) fn unanswered(error: Error) -> Error {
    match error {
        Error::NoAnswer(error) => Error::Unreachable(error),
        other => other,
    }
}

impl Checkup<'_> {
    /// The way to call ECS, unless it refuses the signature.
    pub(super) fn signature<'e>(&mut self, ecs: Option<Ecs<'e>>, requests: &[Request]) -> Option<Ecs<'e>> {
        let mut ecs = self.need(name::SIGNATURE, ecs, &[name::CREDENTIALS, name::ENDPOINT])?;
        // Any name will do.
        let definition = requests.first().map_or("any".to_owned(), |r| r.definition.to_string());
        let answer = ecs.present_signature(&definition);
        let by = if ecs.caller.skew == 0 { "" } else { ", made by ECS's time" };
        let finding = match &answer {
            Ok(()) => Finding::success(name::SIGNATURE, format!("accepted{by}")),
            // Whom ECS refuses for another reason, it has recognised.
            Err(error) if error.is_of_ecs() && matches!(error.class(), Class::Denied | Class::Refused) => {
                let note = format!("accepted{by}: ECS knows the caller and answers {}", error.code());
                Finding::success(name::SIGNATURE, note)
            }
            // A run does not ask this question, so it may fare better.
            Err(error)
                if matches!(error.class(), Class::Throttled | Class::Unanswered | Class::Unreachable) =>
            {
                Finding::doubt(name::SIGNATURE, "ECS does not say: ", error)
            }
            Err(error) => Finding::error(name::SIGNATURE, Phase::Starting(0), error),
        };
        let refused = finding.is_failure();
        self.add(finding);
        (!refused).then_some(ecs)
    }

    /// Asks for each task to be started where it cannot be.
    pub(super) fn may_start(
        &mut self,
        ecs: Option<&Ecs<'_>>,
        requests: &[Request],
        instance: Option<&Instance>,
        settings: &Settings,
        here: Option<&Here>,
    ) {
        let Some(ecs) = self.need(name::MAY_START, ecs, &[name::SIGNATURE]) else { return };
        let Some(instance) = self.need(name::MAY_START, instance, &[name::REGISTERED]) else { return };
        let Some(requests) = self.some(name::MAY_START, requests) else { return };
        for (task, request) in requests.iter().enumerate() {
            let finding = match request.body(instance, settings) {
                Ok(body) => Here::soften(here, task, may_start(ecs, request, body, task)),
                // A run makes the request before it looks what is here.
                Err(wrong) => Finding::wrong(name::MAY_START, Phase::Starting(task), &wrong),
            };
            self.add(finding);
        }
    }

    /// The requests, unless there are none.
    pub(super) fn some<'r>(&mut self, check: &'static str, requests: &'r [Request]) -> Option<&'r [Request]> {
        self.need(check, (!requests.is_empty()).then_some(requests), &[name::SETTINGS])
    }

    /// Whether it has been said that ECS refuses the task.
    pub(super) fn is_refused(&self, task: usize) -> bool {
        self.findings.iter().any(|finding| finding.is_refusal_of(task))
    }

    pub(super) fn running(&mut self, requests: &[Request], here: Option<Here>) {
        let Some(here) = self.need(name::RUNNING, here, &[name::REGISTERED]) else { return };
        let Some(requests) = self.some(name::RUNNING, requests) else { return };
        here.told(requests).into_iter().for_each(|finding| self.add(finding));
    }
}

fn may_start(ecs: &Ecs<'_>, request: &Request, mut body: Value, task: usize) -> Finding {
    if let Some(members) = body.as_object_mut() {
        members.insert("containerInstances".to_owned(), json!([NOWHERE]));
    }
    let definition = request.definition.to_string();
    let does_not_say = "ECS does not say whether the role may: ";
    let finding = match ecs::start_task(&ecs.call(), &body).map_err(unanswered) {
        Err(Error::Failure { class: Class::Missing, .. }) => {
            let role = &ecs.caller.credentials.role;
            return Finding::success(name::MAY_START, format!("role {role} may ecs:StartTask {definition}"));
        }
        Err(error) if matches!(error.class(), Class::Denied | Class::Refused) => {
            let finding = Finding::error(name::MAY_START, Phase::Starting(task), &error);
            // Of the roles that are passed the policy says nothing about instances.
            if error.class() == Class::Denied && !error.to_string().contains("iam:PassRole") {
                finding.unless(OF_INSTANCES)
            } else {
                finding
            }
        }
        Err(error) => Finding::doubt(name::MAY_START, does_not_say, &error),
        Ok(t) => {
            let note = format!("{does_not_say}it names a task, {}", t.task_arn);
            Finding::warning(name::MAY_START, note, "look at that task")
        }
    };
    finding.about(&definition)
}
