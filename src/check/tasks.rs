//! What ECS and the agent say of the requests: are they signed well, may they be made, is there such a task
//! definition, is such a task here already.

use super::finding::{Finding, Phase};
use super::{Brief, Checkup, REMOTE, name};
use crate::ecs::{self, Call, Caller, Endpoint};
use crate::error::{Error, exit};
use crate::instance::Instance;
use crate::request::Request;
use crate::retry::Class;
use crate::settings::Settings;
use crate::tasks::{self, Task};
use crate::transport::Http;
use serde::Deserialize;
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

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Described {
    task_definition: Definition,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Definition {
    #[serde(default)]
    revision: u64,
    #[serde(default)]
    status: String,
    #[serde(default)]
    network_mode: String,
    task_role_arn: Option<String>,
    execution_role_arn: Option<String>,
}

impl Ecs<'_> {
    fn call(&self) -> Call<'_> {
        let clock = self.http.clock;
        Call { http: &self.http, clock, endpoint: self.endpoint, caller: &self.caller, left: REMOTE }
    }

    fn describe(&self, request: &Request) -> Result<Definition, Error> {
        let body = json!({"taskDefinition": request.definition.to_string()});
        self.call().read("DescribeTaskDefinition", &body).map(|d: Described| d.task_definition)
    }
}

impl Ecs<'_> {
    /// Asks for a definition only to see what ECS thinks of the signature; as in a run, a clock that is off
    /// is corrected once.
    fn present_signature(&mut self, request: &Request) -> Result<(), Error> {
        let first = self.describe(request);
        match first {
            Err(error) if error.class() == Class::Clock => {
                self.caller.skew = error.skew();
                self.describe(request).map(|_| ())
            }
            other => other.map(|_| ()),
        }
    }
}

impl Checkup<'_> {
    /// The way to call ECS, when it accepts the signature.
    pub(super) fn signature<'e>(&mut self, ecs: Option<Ecs<'e>>, requests: &[Request]) -> Option<Ecs<'e>> {
        let mut ecs = self.need(name::SIGNATURE, ecs, "the credentials and the ECS endpoint")?;
        let request = self.need(name::SIGNATURE, requests.first(), name::SETTINGS)?;
        let answer = ecs.present_signature(request);
        let by = if ecs.caller.skew == 0 { "" } else { ", made by ECS's time" };
        match answer {
            Ok(()) => self.add(Finding::success(name::SIGNATURE, format!("accepted{by}"))),
            // Whom ECS refuses for another reason, it has recognised.
            Err(error) if matches!(error.class(), Class::Denied | Class::Refused) => {
                let note = format!("accepted{by}: ECS knows the caller and answers {}", error.code());
                self.add(Finding::success(name::SIGNATURE, note));
            }
            Err(error) => {
                self.add(Finding::error(name::SIGNATURE, Phase::Starting, &error));
                return None;
            }
        }
        Some(ecs)
    }

    /// Asks for each task to be started where it cannot be.
    pub(super) fn may_start(
        &mut self,
        ecs: Option<&Ecs<'_>>,
        requests: &[Request],
        instance: Option<&Instance>,
        settings: Option<&Settings>,
    ) {
        let Some(ecs) = self.need(name::MAY_START, ecs, name::SIGNATURE) else { return };
        let place = instance.zip(settings);
        for request in requests {
            let Some((instance, settings)) = self.need(name::MAY_START, place, name::REGISTERED) else {
                return;
            };
            let finding = match request.body(instance, settings) {
                Ok(body) => may_start(ecs, request, body),
                Err(wrong) => Finding::wrong(name::MAY_START, Phase::Starting, &wrong),
            };
            self.add(finding);
        }
    }

    pub(super) fn definitions(&mut self, ecs: Option<&Ecs<'_>>, requests: &[Request]) {
        let Some(ecs) = self.need(name::DEFINITION, ecs, name::SIGNATURE) else { return };
        for request in requests {
            let Some(ecs) = self.need(name::DEFINITION, Some(ecs), "time") else { return };
            self.add(match ecs.describe(request) {
                Ok(definition) => judge(&definition, request),
                Err(error) if error.class() == Class::Denied => {
                    let role = &ecs.caller.credentials.role;
                    let note = format!("{}: role {role} may not ask for it", request.definition);
                    Finding::skipped(name::DEFINITION, note, format!("{} (optional)", error.remedy()))
                }
                Err(error) => Finding::error(name::DEFINITION, Phase::Starting, &error),
            });
        }
    }

    pub(super) fn running(
        &mut self,
        requests: &[Request],
        instance: Option<&Instance>,
        settings: Option<&Settings>,
        http: &dyn Http,
    ) {
        let Some((_, settings)) = self.need(name::RUNNING, instance.zip(settings), name::REGISTERED) else {
            return;
        };
        for request in requests {
            let family = &request.definition.family;
            let Some(tasks) = self.need(name::RUNNING, Some(tasks::of_family), "time") else { return };
            self.add(match tasks(http, &settings.agent_url, family) {
                Ok(tasks) => Finding::success(name::RUNNING, present(&tasks, request, settings)),
                Err(error) => Finding::error(name::RUNNING, Phase::Starting, &error),
            });
        }
    }
}

fn may_start(ecs: &Ecs<'_>, request: &Request, mut body: Value) -> Finding {
    if let Some(members) = body.as_object_mut() {
        members.insert("containerInstances".to_owned(), json!([NOWHERE]));
    }
    let definition = request.definition.to_string();
    match ecs::start_task(&ecs.call(), &body, &definition) {
        Err(Error::Failure { class: Class::Missing, .. }) => {
            let role = &ecs.caller.credentials.role;
            Finding::success(name::MAY_START, format!("role {role} may start {definition}"))
        }
        Err(error) if error.class() == Class::Denied => {
            Finding::error(name::MAY_START, Phase::Starting, &error)
        }
        Err(error) => {
            let note = format!("{definition}: ECS does not say whether the role may: {error}");
            Finding::warning(name::MAY_START, note, error.remedy())
        }
        Ok(task) => {
            let note = format!(
                "{definition}: ECS does not say whether the role may, and names a task: {}",
                task.task_arn
            );
            Finding::warning(name::MAY_START, note, "look with `aws ecs describe-tasks` what that is")
        }
    }
}

/// Whether it can be started, and whether it gets what it needs.
fn judge(definition: &Definition, request: &Request) -> Finding {
    let named = format!("{}:{}", request.definition.family, definition.revision);
    let refused = |note: String, fix: &str| {
        Finding::failed(name::DEFINITION, Phase::Starting, exit::REFUSED, format!("{named} {note}"), fix)
    };
    let awsvpc = definition.network_mode == "awsvpc";
    if definition.status != "ACTIVE" {
        return refused(format!("is {}", definition.status), "name an ACTIVE revision, or register one");
    }
    match (awsvpc, request.has("networkConfiguration")) {
        (true, false) => {
            let fix = "give networkConfiguration in a request document in /etc/ecs/ecs-start-task.d/";
            refused("has network mode awsvpc, and the request gives no networkConfiguration".to_owned(), fix)
        }
        (false, true) => {
            let note = format!(
                "has network mode {}, and the request gives a networkConfiguration",
                definition.network_mode
            );
            refused(note, "leave networkConfiguration out, or name a definition with awsvpc")
        }
        _ => Finding::success(name::DEFINITION, format!("{named} is ACTIVE{}", definition.roles())),
    }
}

impl Definition {
    fn roles(&self) -> String {
        let roles: Vec<String> =
            [&self.task_role_arn, &self.execution_role_arn].into_iter().flatten().cloned().collect();
        if roles.is_empty() {
            String::new()
        } else {
            format!("; needs iam:PassRole on {}", roles.join(" and "))
        }
    }
}

fn present(tasks: &[Task], request: &Request, settings: &Settings) -> String {
    let definition = &request.definition;
    match tasks.iter().find(|t| t.is_of(definition) && t.is_present()) {
        None => format!("no task of {definition} is here"),
        Some(task) => {
            let then = if settings.skip_if_running { "no other" } else { "one more" };
            format!("{} is {}; a run starts {then}", task.arn, task.known_status)
        }
    }
}
