//! What the tasks of one run share: the client for ECS, the credentials, the lock.

use crate::aws::agent;
use crate::aws::described::{DescribedTask, DescribedTasks, ListedTasks};
use crate::aws::ecs::{self, Caller, Endpoint};
use crate::aws::imds::{Credentials, Imds};
use crate::aws::instance::Instance;
use crate::config::settings::Settings;
use crate::error::Error;
use crate::error::class::Class;
use crate::net::client::Http;
use crate::request;
use crate::request::template::Template;
use crate::run::context::Context;
use crate::run::host_values::{HostValues, Resolution};
use crate::run::state::{Lock, State};
use crate::system::clock::shifted;
use crate::text::{human, utc};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

/// Credentials that end sooner than this are not used when there are others.
const NEARLY_EXPIRED: Duration = Duration::from_secs(60);

/// The agent is asked this often whether it is still the same container instance.
const CONFIRMED_FOR: Duration = Duration::from_secs(5);

/// What all tasks of a run share.
pub(crate) struct Session<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) context: &'a Context<'a>,
    pub(crate) instance: Instance,
    pub(crate) http: Box<dyn Http>,
    pub(crate) endpoint: Endpoint,
    pub(crate) caller: Caller,
    pub(crate) imds: Imds,
    pub(crate) values: HostValues,
    pub(crate) state: State,
    pub(crate) lock: Option<Lock>,
    /// Another process that keeps the tasks of this instance running: this one starts nothing.
    pub(crate) kept_by: Option<String>,
    /// Until ECS says that the role may not use DescribeTasks.
    pub(crate) may_describe: bool,
    /// When the agent last named this instance.
    pub(crate) confirmed_at: Duration,
}

impl Session<'_> {
    pub(crate) fn now(&self) -> Duration {
        self.context.clock.uptime()
    }

    /// The wall-clock time after `time` has passed, in UTC.
    pub(crate) fn wall_time_in(&self, time: Duration) -> String {
        utc(self.context.clock.now() + time)
    }

    /// From `time` to a tenth more, so that a fleet spreads out.
    pub(crate) fn jittered(&self, time: Duration) -> Duration {
        time.mul_f64(1.0 + self.context.clock.random() / 10.0)
    }

    /// Takes the lock, unless this run has it already.
    ///
    /// # Errors
    /// [`Error::Locked`] while another run has it; a state directory that cannot be used.
    pub(crate) fn take_lock(&mut self) -> Result<(), Error> {
        if self.lock.is_none() {
            self.lock = Some(self.state.lock()?);
        }
        Ok(())
    }

    /// The request of a template, once its values are known. `families` are those of the other tasks.
    ///
    /// # Errors
    /// As for [`HostValues::resolve`] and [`request::taken`].
    pub(crate) fn resolve(
        &mut self,
        template: &Template,
        families: &[(String, String)],
        deadline: Duration,
    ) -> Result<Resolution, Error> {
        self.values.fetch(template.references(), &mut self.imds, self.context.local, self.context.clock)?;
        let resolution = self.values.resolve(template, Some(&self.instance), deadline)?;
        match &resolution {
            Resolution::At(_) => {
                self.context.host.status(&format!("waiting for values of {}", template.definition()));
            }
            Resolution::Done(request) => request::taken(&request.definition, &request.origin, families)?,
        }
        Ok(resolution)
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

    /// Sends StartTask once.
    ///
    /// # Errors
    /// As for [`ecs::start_task`].
    pub(crate) fn start_task(&self, body: &Value, deadline: Duration) -> Result<ecs::Task, Error> {
        ecs::start_task(&self.call(deadline), body)
    }

    /// # Errors
    /// As for [`Session::read`].
    pub(crate) fn stop_task(&mut self, task: &str, reason: &str, deadline: Duration) -> Result<(), Error> {
        let body = json!({"cluster": self.instance.cluster, "task": task, "reason": reason});
        self.prepare_credentials()?;
        ecs::stop_task(&self.call(deadline), &body)
    }

    /// Nothing secret is held until ECS is needed again.
    pub(crate) fn forget_credentials(&mut self) {
        if !self.caller.refused {
            self.caller.credentials = self.caller.credentials.forgotten();
            self.caller.refused = true;
        }
    }

    /// New credentials from IMDS, in place of those that ECS does not accept.
    ///
    /// # Errors
    /// IMDS fails.
    fn renew_credentials(&mut self) -> Result<(), Error> {
        let fresh: Credentials = self.imds.credentials(self.context.local)?;
        log::info!("fetched new credentials of role {}", fresh.role);
        self.caller.credentials = fresh;
        self.caller.refused = false;
        Ok(())
    }

    /// Renews the credentials if they are about to expire. If that fails, the old ones are used, unless ECS has refused
    /// them.
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
                "the credentials are about to expire, and new ones cannot be fetched: {}",
                error.message_with_hint()
            );
        }
        Ok(())
    }

    /// Prepares the next call after a refusal by ECS: it needs new credentials, or the corrected time.
    pub(crate) fn adapt(&mut self, error: &Error) {
        match error.class() {
            Class::CredentialsRejected => self.caller.refused = true,
            Class::Clock => self.correct_clock(error.skew()),
            _ => {}
        }
    }

    /// Signs all further requests with the time of ECS.
    fn correct_clock(&mut self, skew: i64) {
        let off = human(Duration::from_secs(skew.unsigned_abs()));
        let side = if skew > 0 { "behind" } else { "ahead of" };
        log::warn!(
            "this host's clock is {off} {side} that of ECS: requests are signed with the corrected time; fix the clock (`chronyc tracking`)"
        );
        self.caller.skew = skew;
    }

    /// ARNs of the tasks of `family` that ECS lists on this instance, of any revision. `None` where the role may
    /// not ask; then only the agent's list counts.
    ///
    /// # Errors
    /// ECS could not be asked, for another reason.
    pub(crate) fn listed_tasks(
        &mut self,
        family: &str,
        deadline: Duration,
    ) -> Result<Option<Vec<String>>, Error> {
        let body = json!({"cluster": self.instance.cluster, "containerInstance": self.instance.id, "family": family});
        let listed = self.ask::<ListedTasks>("ListTasks", &body, deadline)?;
        if listed.is_none() {
            log::info!(
                "ECS refused ListTasks, so only the agent's list shows whether a task of {family} exists (the permission ecs:ListTasks is optional)"
            );
        }
        Ok(listed.map(|listed| listed.task_arns))
    }

    /// What ECS knows of these tasks. `None` where the role may not ask.
    ///
    /// # Errors
    /// ECS could not be asked, for another reason.
    pub(crate) fn described_tasks(
        &mut self,
        arns: &[String],
        deadline: Duration,
    ) -> Result<Option<Vec<DescribedTask>>, Error> {
        if !self.may_describe {
            return Ok(None);
        }
        let body = json!({"cluster": self.instance.cluster, "tasks": arns});
        let described = self.ask::<DescribedTasks>("DescribeTasks", &body, deadline)?;
        self.may_describe = described.is_some();
        Ok(described.map(|described| described.tasks))
    }

    /// One task of the same.
    ///
    /// # Errors
    /// As for [`Session::described_tasks`].
    pub(crate) fn described_task(
        &mut self,
        arn: &str,
        deadline: Duration,
    ) -> Result<Option<DescribedTask>, Error> {
        let described = self.described_tasks(&[arn.to_owned()], deadline)?;
        Ok(described.and_then(|tasks| tasks.into_iter().find(|task| task.is(arn))))
    }

    /// Asks ECS a question that changes nothing. `None` where the role may not ask it.
    ///
    /// # Errors
    /// ECS cannot be reached, or refuses for another reason.
    fn ask<T: DeserializeOwned>(
        &mut self,
        action: &'static str,
        body: &Value,
        deadline: Duration,
    ) -> Result<Option<T>, Error> {
        match self.read(action, body, deadline) {
            Ok(response) => Ok(Some(response)),
            Err(error)
                if matches!(
                    error.class(),
                    Class::AccessDenied | Class::SignatureRejected | Class::Refused
                ) =>
            {
                log::debug!("{}", error.message_with_hint());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Asks ECS a question that changes nothing.
    ///
    /// # Errors
    /// ECS could not be asked, or refused to tell.
    pub(crate) fn read<T: DeserializeOwned>(
        &mut self,
        action: &'static str,
        body: &Value,
        deadline: Duration,
    ) -> Result<T, Error> {
        self.prepare_credentials()?;
        let response = self.call(deadline).read(action, body);
        response.map_err(|error| Error::NotAsked { action, error: Box::new(error) })
    }

    /// Whether the agent has registered under another ARN, which makes this session invalid. The agent is asked from time to
    /// time, and `at_once` when ECS has given a reason to.
    pub(crate) fn is_of_another_instance(&mut self, at_once: bool) -> bool {
        let now = self.now();
        if !at_once && now < self.confirmed_at + CONFIRMED_FOR {
            return false;
        }
        self.has_registered_anew().unwrap_or_else(|error| {
            log::debug!("{}", error.message_with_hint());
            false
        })
    }

    /// Whether the agent names another ARN now.
    ///
    /// # Errors
    /// The agent does not respond as it should.
    pub(crate) fn has_registered_anew(&mut self) -> Result<bool, Error> {
        let instance = agent::instance(self.context.local, self.settings)?;
        self.confirmed_at = self.now();
        Ok(instance.arn != self.instance.arn)
    }
}
