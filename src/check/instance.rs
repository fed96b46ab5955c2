//! The identity of the instance: the agent, IMDS, the role.

use super::checkup::{Checkup, name};
use super::finding::{Finding, Phase};
use crate::aws::agent::{self, Metadata};
use crate::aws::imds::{Credentials, Imds};
use crate::aws::instance::Instance;
use crate::config::error::ConfigError;
use crate::config::settings::Settings;
use crate::error::Error;
use crate::net::client::Http;
use crate::request::resolved;
use crate::system::{ecs_config, systemd};
use crate::text::{human, utc};
use std::time::SystemTime;

/// The agent listens on both families; a run asks one of them.
const V4: &str = "://127.0.0.1:";
const V6: &str = "://[::1]:";

/// The partition and Region of this instance, and who reported them.
pub(super) struct Place {
    pub(super) partition: String,
    pub(super) region: String,
    /// Who reported it.
    pub(super) by: &'static str,
}

/// By the agent, or by IMDS while the agent is silent: to fix an agent that does not come up, it helps to know whether
/// ECS can be reached.
pub(super) fn place(instance: Option<&Instance>, imds: Option<&mut Imds>, http: &dyn Http) -> Option<Place> {
    match instance {
        Some(i) => Some(Place { partition: i.partition.clone(), region: i.region.clone(), by: "the agent" }),
        None => {
            let (partition, region) = imds?.place(http)?;
            Some(Place { partition, region, by: "IMDS" })
        }
    }
}

impl Checkup<'_> {
    pub(super) fn agent(
        &mut self,
        settings: &Settings,
        http: &dyn Http,
        aside: &dyn Http,
    ) -> Option<Metadata> {
        let url = &settings.agent_url;
        let other = url.contains(V4).then(|| url.replacen(V4, V6, 1));
        let there = other.as_ref().map(|url| agent::metadata(aside, url));
        let result = agent::metadata(http, url);
        if let (Err(error), Some(Ok(_)), Some(other)) = (&result, &there, &other) {
            let fix = format!("set ECS_START_TASK_AGENT_URL={other}");
            let note = format!("{error}; it responds at [::1]");
            self.add(Finding::failed(name::AGENT, Phase::Waiting, error.exit_code(), note, fix));
            return None;
        }
        if matches!(result, Err(Error::Agent(_))) && systemd::is_in_user_data(self.host) {
            self.add(Finding::error(name::AGENT, Phase::Waiting, &ConfigError::UserData.into()));
            return None;
        }
        if let (Err(error), Some(hint)) = (&result, ecs_config::warm_pool_hint()) {
            let finding = Finding::error(name::AGENT, Phase::Waiting, error);
            self.add(finding.about(&hint));
            return None;
        }
        self.found(name::AGENT, result, |metadata| {
            let version = metadata.version.as_deref().unwrap_or("it does not report its version");
            let too = match there {
                Some(Ok(_)) => ", and at [::1]",
                Some(Err(_)) => ", IPv4 only, which is normal",
                None => "",
            };
            Finding::success(name::AGENT, format!("{version} at {url}{too}"))
        })
    }

    pub(super) fn registered(&mut self, settings: &Settings, agent: Option<&Metadata>) -> Option<Instance> {
        let result = self.need(name::REGISTERED, agent, &[name::AGENT])?.instance(settings);
        if let Ok(instance) = &result
            && let Err(wrong) = resolved::assert_cluster(instance, settings)
        {
            self.add(Finding::error(name::REGISTERED, Phase::Placing, &wrong.into()));
            return None;
        }
        self.found(name::REGISTERED, result, |i| Finding::success(name::REGISTERED, i.to_string()))
    }

    pub(super) fn imds_token(&mut self, settings: &Settings, http: &dyn Http) -> Option<Imds> {
        let mut imds = Imds::new(&settings.imds_url);
        let result = imds.token(http);
        let note = format!("version 2 at {}", imds.base);
        self.found(name::IMDS, result, |_| Finding::success(name::IMDS, note))?;
        Some(imds)
    }

    pub(super) fn role(&mut self, imds: Option<&mut Imds>, http: &dyn Http) -> Option<String> {
        let result = self.need(name::ROLE, imds, &[name::IMDS])?.role(http);
        self.found(name::ROLE, result, |role| Finding::success(name::ROLE, role.clone()))
    }

    pub(super) fn credentials(
        &mut self,
        imds: Option<&mut Imds>,
        role: Option<&str>,
        http: &dyn Http,
    ) -> Option<Credentials> {
        let both = imds.zip(role);
        let (imds, role) = self.need(name::CREDENTIALS, both, &[name::ROLE])?;
        let now = self.clock.now();
        self.found(name::CREDENTIALS, imds.credentials_of(role, http), |c| lifetime(c, now))
    }
}

fn lifetime(credentials: &Credentials, now: SystemTime) -> Finding {
    let role = &credentials.role;
    let Some(expires) = credentials.expires else {
        return Finding::success(name::CREDENTIALS, format!("of role {role}; IMDS gives no expiry time"));
    };
    let at = utc(expires);
    match expires.duration_since(now) {
        Ok(left) => {
            Finding::success(name::CREDENTIALS, format!("of role {role}, until {at} (in {})", human(left)))
        }
        // A run tries them all the same.
        Err(_) => {
            let expired = Error::Expired { role: role.clone(), at };
            Finding::warning(name::CREDENTIALS, expired.to_string(), expired.hint())
        }
    }
}
