//! Waiting until the instance is ready: the agent registered, the role's credentials there.
//!
//! Both are waited for in one loop, so that the credentials are there when the agent responds, and the log names what is
//! missing.

use crate::aws::agent;
use crate::aws::imds::{Credentials, Imds};
use crate::aws::instance::Instance;
use crate::config::error::ConfigError;
use crate::config::settings::Settings;
use crate::error::Error;
use crate::error::class::{Class, exit};
use crate::request::references::Reference;
use crate::run::backoff::Backoff;
use crate::run::context::Context;
use crate::run::host_values::HostValues;
use crate::run::progress::Heartbeat;
use crate::system::ecs_config::warm_pool_hint;
use crate::system::systemd::{Unit, ecs_service, is_in_user_data};
use crate::text::utc;
use std::time::Duration;

/// The agent is polled often at first, as everything waits for its first response ...
const POLL_AT_FIRST: Duration = Duration::from_millis(100);
/// ... until this long after the start ...
const AT_FIRST: Duration = Duration::from_secs(30);
/// ... and less often from then on.
const POLL_LATER: Duration = Duration::from_secs(1);

/// Credentials that end sooner than this are fetched again before they are used.
const FRESH: Duration = Duration::from_secs(5 * 60);

/// Everything that is needed before tasks can be started.
#[derive(Debug)]
pub(crate) struct Ready {
    pub(crate) instance: Instance,
    /// When the agent named it.
    pub(crate) registered_at: Duration,
    pub(crate) credentials: Credentials,
    pub(crate) imds: Imds,
    pub(crate) values: HostValues,
}

/// Waits until everything is there that is needed before tasks can be started.
///
/// # Errors
/// What was missing at `deadline`, or what no waiting fixes.
pub(crate) fn wait(
    settings: &Settings,
    references: &[Reference],
    values: HostValues,
    context: &Context<'_>,
    deadline: Duration,
) -> Result<Ready, Error> {
    let mut waiting = Waiting::new(settings, values, context);
    loop {
        waiting.ask_agent()?;
        waiting.ask_imds()?;
        waiting.fetch_values(references)?;
        if let (Some(instance), Some(credentials)) = (&waiting.instance, &waiting.credentials) {
            let (instance, credentials) = (instance.clone(), credentials.clone());
            return Ok(Ready {
                instance,
                registered_at: waiting.registered_at,
                credentials,
                imds: waiting.imds,
                values: waiting.values,
            });
        }
        let now = context.clock.uptime();
        if now >= deadline {
            return Err(waiting.give_up(now));
        }
        context.clock.sleep(waiting.next_due(now).min(deadline).saturating_sub(now));
    }
}

/// The state of waiting for the agent and IMDS.
struct Waiting<'a> {
    settings: &'a Settings,
    context: &'a Context<'a>,
    started: Duration,
    imds: Imds,
    values: HostValues,
    instance: Option<Instance>,
    registered_at: Duration,
    credentials: Option<Credentials>,
    agent_error: Option<Error>,
    imds_error: Option<Error>,
    imds_due: Duration,
    backoff: Backoff,
    heartbeat: Heartbeat,
}

impl<'a> Waiting<'a> {
    fn new(settings: &'a Settings, values: HostValues, context: &'a Context<'a>) -> Self {
        let started = context.clock.uptime();
        Waiting {
            settings,
            context,
            started,
            imds: Imds::new(&settings.imds_url),
            values,
            instance: None,
            registered_at: started,
            credentials: None,
            agent_error: None,
            imds_error: None,
            imds_due: started,
            backoff: Backoff::default(),
            heartbeat: Heartbeat::new(started),
        }
    }

    /// # Errors
    /// It cannot come up ([`ConfigError::UserData`]), or contradicts the settings.
    fn ask_agent(&mut self) -> Result<(), Error> {
        if self.instance.is_some() {
            return Ok(());
        }
        self.say();
        match agent::instance(self.context.local, self.settings) {
            Ok(instance) => {
                self.registered_at = self.context.clock.uptime();
                self.instance = Some(instance);
            }
            Err(error) if error.class() == Class::Permanent => return Err(error),
            Err(error) => {
                self.refuse_user_data(&error)?;
                self.tell_if_new(&error);
                self.agent_error = Some(error);
            }
        }
        Ok(())
    }

    /// The agent is polled too often to log every response.
    fn tell_if_new(&self, error: &Error) {
        let message = error.message_with_hint();
        if self.agent_error.as_ref().map(Error::message_with_hint).as_ref() != Some(&message) {
            log::debug!("{message}");
        }
    }

    /// In user data the agent cannot come up: `ecs.service` is ordered after it.
    ///
    /// # Errors
    /// [`ConfigError::UserData`].
    fn refuse_user_data(&self, error: &Error) -> Result<(), Error> {
        let silent = self.agent_error.is_none() && matches!(error, Error::Agent(_));
        if silent && is_in_user_data(self.context.host) { Err(ConfigError::UserData.into()) } else { Ok(()) }
    }

    /// # Errors
    /// An error for which there is no retry.
    fn ask_imds(&mut self) -> Result<(), Error> {
        let now = self.context.clock.uptime();
        let wall = self.context.clock.now();
        let stale = self
            .credentials
            .as_ref()
            .is_none_or(|c| self.instance.is_some() && c.expire_before(wall + FRESH));
        if !stale || now < self.imds_due {
            return Ok(());
        }
        self.say();
        match self.imds.credentials(self.context.local) {
            Ok(credentials) if credentials.expire_before(wall) => self.expired(credentials),
            Ok(credentials) => self.accept(credentials),
            Err(error) => return self.imds_failed(error),
        }
        Ok(())
    }

    /// IMDS is asked for values only once it has given credentials.
    ///
    /// # Errors
    /// IMDS fails.
    fn fetch_values(&mut self, references: &[Reference]) -> Result<(), Error> {
        if self.credentials.is_some() {
            self.values.fetch(references, &mut self.imds, self.context.local, self.context.clock)?;
        }
        Ok(())
    }

    /// The service may still accept what has expired by this host's clock, so it is used in the end.
    fn expired(&mut self, credentials: Credentials) {
        let at = credentials.expires.map(utc).unwrap_or_default();
        if let Err(error) = self.imds_failed(Error::Expired { role: credentials.role.clone(), at }) {
            log::warn!("{error}, and IMDS has no newer ones; using them anyway");
            self.accept(credentials);
        }
    }

    /// What IMDS gives now is the freshest there is.
    fn accept(&mut self, credentials: Credentials) {
        self.credentials = Some(credentials);
        self.imds_due = self.context.clock.uptime() + FRESH;
    }

    /// # Errors
    /// The same error, when it is not retried.
    fn imds_failed(&mut self, error: Error) -> Result<(), Error> {
        let now = self.context.clock.uptime();
        let Some(delay) = self.backoff.next_delay(error.class(), now, self.context.clock.random()) else {
            return Err(error);
        };
        log::debug!("{}", error.message_with_hint());
        self.imds_due = now + delay;
        self.imds_error = Some(error);
        Ok(())
    }

    fn next_due(&self, now: Duration) -> Duration {
        let poll = if now.saturating_sub(self.started) < AT_FIRST { POLL_AT_FIRST } else { POLL_LATER };
        if self.instance.is_none() { now + poll } else { self.imds_due }
    }

    /// A role that is missing explains an agent that does not come up, so it goes first.
    fn give_up(self, now: Duration) -> Error {
        let agent = self.agent_error.filter(|_| self.instance.is_none());
        let last = match (agent, self.imds_error.filter(|_| self.credentials.is_none())) {
            (_, Some(imds)) if imds.exit_code() == exit::NOT_ALLOWED => imds,
            (Some(error), _) | (None, Some(error)) => error,
            // The deadline passed while the last response was under way.
            (None, None) => Error::NotRegistered { url: self.settings.agent_url.clone() },
        };
        Error::GaveUp { after: now.saturating_sub(self.started), last: Box::new(last) }
    }

    /// Reports what is waited for, before each request, as that may take long.
    fn say(&mut self) {
        let now = self.context.clock.uptime();
        let what = if self.instance.is_none() { "the ECS agent" } else { "the role's credentials" };
        self.heartbeat.beat(self.context.host, now, &format!("waiting for {what}"), |waited| {
            let mut why = Vec::new();
            let imds_error = self.imds_error.as_ref().filter(|_| self.credentials.is_none());
            if self.instance.is_none() {
                why.extend(self.agent_error.as_ref().map(|error| error.message_after(waited)));
                // The unit's sandbox keeps systemctl out.
                let unit = if self.context.host.under_unit() { None } else { ecs_service(self.context.host) };
                why.extend(unit.map(|unit| of_service(&unit)));
                why.extend(warm_pool_hint());
            }
            why.extend(imds_error.map(|error| error.message_after(waited)));
            why.join("; ")
        });
    }
}

/// How the agent's service is, for an agent that does not respond.
fn of_service(unit: &Unit) -> String {
    let hint = if unit.is_missing() { ": use an ECS-optimized AMI, or install ecs-init" } else { "" };
    format!("ecs.service is {}{hint}", unit.state())
}
