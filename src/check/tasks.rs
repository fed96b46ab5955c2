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
    settings: Option<&Settings>,
    http: &dyn Http,
) -> Option<Here> {
    let (_, settings) = instance.zip(settings)?;
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
    fn present_signature(&mut self, request: &Request) -> Result<(), Error> {
        match definition::describe(self, request) {
            Err(error) if error.class() == Class::Clock => {
                self.caller.skew = error.skew();
                definition::describe(self, request).map(|_| ())
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
        let mut ecs = self.need(name::SIGNATURE, ecs, "the credentials and the ECS endpoint")?;
        let request = self.need(name::SIGNATURE, requests.first(), name::SETTINGS)?;
        if !self.has_time(name::SIGNATURE) {
            return None;
        }
        let answer = ecs.present_signature(request);
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
                Finding::warning(name::SIGNATURE, format!("ECS does not say: {error}"), error.remedy())
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
        place: Option<(&Instance, &Settings)>,
        here: Option<&Here>,
    ) {
        let Some(ecs) = self.need(name::MAY_START, ecs, name::SIGNATURE) else { return };
        let Some((instance, settings)) = self.need(name::MAY_START, place, name::REGISTERED) else { return };
        for (task, request) in requests.iter().enumerate() {
            if !self.has_time(name::MAY_START) {
                return;
            }
            let finding = match request.body(instance, settings) {
                Ok(body) => may_start(ecs, request, body, task),
                Err(wrong) => Finding::wrong(name::MAY_START, Phase::Starting(task), &wrong),
            };
            self.add(Here::soften(here, task, finding));
        }
    }

    pub(super) fn running(&mut self, requests: &[Request], here: Option<Here>) {
        if let Some(here) = self.need(name::RUNNING, here, name::REGISTERED) {
            here.told(requests).into_iter().for_each(|finding| self.add(finding));
        }
    }
}

fn may_start(ecs: &Ecs<'_>, request: &Request, mut body: Value, task: usize) -> Finding {
    if let Some(members) = body.as_object_mut() {
        members.insert("containerInstances".to_owned(), json!([NOWHERE]));
    }
    let definition = request.definition.to_string();
    let does_not_say = |what: String, fix: String| {
        let note = format!("ECS does not say whether the role may: {what}");
        Finding::warning(name::MAY_START, note, fix).about(&definition)
    };
    match ecs::start_task(&ecs.call(), &body, &definition).map_err(unanswered) {
        Err(Error::Failure { class: Class::Missing, .. }) => {
            let role = &ecs.caller.credentials.role;
            Finding::success(name::MAY_START, format!("role {role} may ecs:StartTask {definition}"))
        }
        Err(error) if matches!(error.class(), Class::Denied | Class::Refused) => {
            Finding::error(name::MAY_START, Phase::Starting(task), &error).about(&definition)
        }
        Err(error) => does_not_say(error.to_string(), error.remedy()),
        Ok(t) => does_not_say(format!("it names a task, {}", t.task_arn), "look at that task".to_owned()),
    }
}
