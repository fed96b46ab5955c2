//! What the tasks of one run share: the way to ECS, the credentials, the lock.

use crate::aws::ecs;
use crate::aws::ecs::{Caller, Endpoint};
use crate::aws::imds::{Credentials, Imds};
use crate::aws::instance::Instance;
use crate::config::settings::Settings;
use crate::error::Error;
use crate::error::class::Class;
use crate::net::client::Http;
use crate::run::context::Context;
use crate::run::record::{Lock, State};
use crate::system::clock::shifted;
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;

/// Credentials that end sooner than this are not used when there are others.
const NEARLY_EXPIRED: Duration = Duration::from_secs(60);

/// The shared part of a run.
pub(crate) struct Session<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) context: &'a Context<'a>,
    pub(crate) instance: Instance,
    pub(crate) http: Box<dyn Http>,
    pub(crate) endpoint: Endpoint,
    pub(crate) caller: Caller,
    pub(crate) imds: Imds,
    pub(crate) state: State,
    pub(crate) lock: Option<Lock>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    #[serde(deserialize_with = "crate::aws::arn::list")]
    task_arns: Vec<String>,
}

#[derive(Deserialize)]
struct Described {
    tasks: Vec<DescribedTask>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribedTask {
    stopped_reason: Option<String>,
    #[serde(default)]
    containers: Vec<DescribedContainer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DescribedContainer {
    name: Option<String>,
    reason: Option<String>,
    exit_code: Option<i64>,
}

impl Session<'_> {
    pub(crate) fn now(&self) -> Duration {
        self.context.clock.uptime()
    }

    /// Another run may hold it; then [`Error::Locked`].
    pub(crate) fn take_lock(&mut self) -> Result<(), Error> {
        if self.lock.is_none() {
            self.lock = Some(self.state.lock()?);
        }
        Ok(())
    }

    fn call(&self, deadline: Duration) -> ecs::Call<'_> {
        ecs::Call {
            http: self.http.as_ref(),
            clock: self.context.clock,
            endpoint: &self.endpoint,
            caller: &self.caller,
            left: deadline.saturating_sub(self.now()),
        }
    }

    pub(crate) fn start_task(&self, body: &Value, deadline: Duration) -> Result<ecs::Task, Error> {
        ecs::start_task(&self.call(deadline), body)
    }

    /// New credentials from IMDS, in place of those that ECS does not accept.
    fn renew_credentials(&mut self) -> Result<(), Error> {
        let fresh: Credentials = self.imds.credentials(self.context.local)?;
        log::info!("new credentials of role {} were fetched", fresh.role);
        self.caller.credentials = fresh;
        self.caller.refused = false;
        Ok(())
    }

    /// Makes sure that there are credentials worth trying. In a long run they may end; those that are
    /// there are used when there are no others, but not those that ECS has refused.
    ///
    /// # Errors
    /// IMDS's, when new credentials are needed.
    pub(crate) fn prepare_credentials(&mut self) -> Result<(), Error> {
        if self.caller.refused {
            return self.renew_credentials();
        }
        let soon = shifted(self.context.clock.now(), self.caller.skew) + NEARLY_EXPIRED;
        if self.caller.credentials.expire_before(soon)
            && let Err(error) = self.renew_credentials()
        {
            log::warn!(
                "the credentials are about to expire, and there are no new ones: {}",
                error.message_with_hint()
            );
        }
        Ok(())
    }

    /// From now on requests are signed by ECS's clock.
    pub(crate) fn correct_clock(&mut self, skew: i64) {
        let off = crate::text::human(Duration::from_secs(skew.unsigned_abs()));
        let way = if skew > 0 { "behind" } else { "ahead of" };
        log::warn!(
            "this host's clock is {off} {way} that of ECS: requests are signed with the corrected time; mend the clock (`chronyc tracking`)"
        );
        self.caller.skew = skew;
    }

    /// The tasks of `family` that ECS has on this instance. None where the role may not ask, for then the
    /// agent's word must do.
    ///
    /// # Errors
    /// ECS could not be asked for another reason; that is no answer.
    pub(crate) fn listed_tasks(&mut self, family: &str, deadline: Duration) -> Result<Vec<String>, Error> {
        self.prepare_credentials()?;
        let body = json!({"cluster": self.instance.cluster, "containerInstance": self.instance.id, "family": family});
        match self.call(deadline).read::<Listed>("ListTasks", &body) {
            Ok(listed) => Ok(listed.task_arns),
            Err(error)
                if matches!(
                    error.class(),
                    Class::AccessDenied | Class::SignatureRejected | Class::Refused
                ) =>
            {
                log::info!(
                    "ECS does not tell whether a task of {family} exists, so the agent's word counts (ECS tells it to roles with ecs:ListTasks, which is optional)"
                );
                log::debug!("{}", error.message_with_hint());
                Ok(Vec::new())
            }
            Err(error) => Err(Error::NotAsked { action: "ListTasks", error: Box::new(error) }),
        }
    }

    /// Why the task stopped, in ECS's words, where the role may ask.
    pub(crate) fn stopped_reason(&mut self, arn: &str, deadline: Duration) -> String {
        let body = json!({"cluster": self.instance.cluster, "tasks": [arn]});
        let prepared = self.prepare_credentials();
        match prepared.and_then(|()| self.call(deadline).read::<Described>("DescribeTasks", &body)) {
            Ok(described) => described
                .tasks
                .first()
                .map_or_else(|| "ECS gives no reason".to_owned(), DescribedTask::reason),
            Err(error) => {
                log::debug!("{}", error.message_with_hint());
                "the reason is not known (ECS tells it to roles with ecs:DescribeTasks, which is optional)"
                    .to_owned()
            }
        }
    }
}

impl DescribedTask {
    fn reason(&self) -> String {
        let task = self.stopped_reason.as_deref().unwrap_or("no reason given");
        let containers = self.containers.iter().filter_map(DescribedContainer::reason);
        crate::text::sanitize(&[task.to_owned()].into_iter().chain(containers).collect::<Vec<_>>().join("; "))
    }
}

impl DescribedContainer {
    fn reason(&self) -> Option<String> {
        let exit = self.exit_code.map(|code| format!("exit code {code}"));
        let words: Vec<String> = exit.into_iter().chain(self.reason.clone()).collect();
        let name = self.name.as_deref().unwrap_or("a container");
        (!words.is_empty()).then(|| format!("container {name}: {}", words.join(", ")))
    }
}
