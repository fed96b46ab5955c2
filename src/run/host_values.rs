//! The values of the host that the requests refer to, fetched from IMDS while the agent is awaited.
//!
//! Each path is requested once, in the session that fetches the credentials and with their retry rules. A path that IMDS
//! does not have is requested again until the host has been up for a while, as tags may come late. A value is never logged,
//! as that of a tag may be a secret.

use crate::aws::imds::Imds;
use crate::aws::instance::Instance;
use crate::error::Error;
use crate::net::client::Http;
use crate::request::references::{Reference, Source};
use crate::request::resolved::Request;
use crate::request::template::Template;
use crate::run::backoff::Backoff;
use crate::run::report::ResolvedValue;
use crate::system::clock::Clock;
use std::collections::BTreeMap;
use std::time::Duration;

/// What IMDS does not have is requested again at this interval ...
const ABSENT_RETRY: Duration = Duration::from_secs(5);
/// ... until the host has been up for so long.
const SETTLED: Duration = Duration::from_secs(180);

/// The path of the primary network interface's MAC address.
const MAC: &str = "mac";

/// The values of this host that have been fetched so far, by path.
#[derive(Debug, Default)]
pub(crate) struct HostValues(BTreeMap<String, Lookup>);

/// What is known of one value.
#[derive(Debug)]
enum Lookup {
    /// Requested again at `due`; `why` is what failed, or nothing when IMDS does not have it yet.
    Pending {
        due: Duration,
        failures: Backoff,
        why: Option<String>,
    },
    Known(Option<String>),
}

/// The request that a template became, or when to continue with it.
#[derive(Debug)]
pub(crate) enum Resolution {
    /// A value is requested again at this uptime.
    At(Duration),
    Done(Request),
}

impl HostValues {
    /// Requests what is due of these values; what fails is requested again later.
    ///
    /// # Errors
    /// What no waiting will fix.
    pub(crate) fn fetch(
        &mut self,
        references: &[Reference],
        imds: &mut Imds,
        http: &dyn Http,
        clock: &dyn Clock,
    ) -> Result<(), Error> {
        for Reference { source, .. } in references {
            // The path of an interface's item is known only when its MAC address is.
            for _ in 0..2 {
                let due = self.path(source).filter(|path| self.is_due(path, clock.uptime()));
                due.map_or(Ok(()), |path| self.ask(path, imds, http, clock))?;
            }
        }
        Ok(())
    }

    /// The request, once its values are known or can no longer be.
    ///
    /// # Errors
    /// A value is missing or cannot be used, or IMDS did not give it before `deadline`.
    pub(crate) fn resolve(
        &self,
        template: &Template,
        instance: Option<&Instance>,
        deadline: Duration,
    ) -> Result<Resolution, Error> {
        for Reference { source, .. } in template.references() {
            match self.path(source).and_then(|path| self.0.get_key_value(&path)) {
                Some((_, Lookup::Pending { due, .. })) if *due <= deadline => {
                    return Ok(Resolution::At(*due));
                }
                Some((path, Lookup::Pending { why: Some(why), .. })) => {
                    return Err(Error::NoValue { path: path.clone(), why: why.clone() });
                }
                _ => {}
            }
        }
        Ok(Resolution::Done(template.resolve(&|source| self.value(source, instance))?))
    }

    /// The value, unless the host does not have it or it is not known yet.
    pub(crate) fn value(&self, source: &Source, instance: Option<&Instance>) -> Option<String> {
        if let Source::Ecs(fact) = source {
            return instance.map(|instance| fact.of(instance));
        }
        match self.0.get(&self.path(source)?)? {
            Lookup::Known(value) => value.clone(),
            Lookup::Pending { .. } => None,
        }
    }

    /// The path that is asked for next on the way to this value.
    pub(crate) fn path(&self, source: &Source) -> Option<String> {
        match source {
            Source::Imds(path) => Some(path.clone()),
            Source::Tag(key) => Some(format!("tags/instance/{key}")),
            Source::PrimaryInterface(item) => match self.0.get(MAC) {
                Some(Lookup::Known(mac)) => {
                    let mac = mac.as_deref().filter(|mac| is_mac(mac))?;
                    Some(format!("network/interfaces/macs/{mac}/{item}"))
                }
                _ => Some(MAC.to_owned()),
            },
            Source::Ecs(_) => None,
        }
    }

    /// What takes a reference's place, and where it comes from; `None` without a value that can be used.
    pub(crate) fn explain(
        &self,
        reference: &Reference,
        instance: Option<&Instance>,
    ) -> Option<ResolvedValue> {
        let value = self.value(&reference.source, instance);
        let default = value.as_deref().unwrap_or_default().is_empty() && reference.default.is_some();
        let from = match self.path(&reference.source) {
            _ if default => "its default".to_owned(),
            Some(path) => format!("IMDS {path}"),
            None => "the ECS agent".to_owned(),
        };
        let value = reference.resolve(value.as_deref()).ok()?;
        Some(ResolvedValue { reference: reference.to_string(), value, from })
    }

    fn is_due(&self, path: &str, now: Duration) -> bool {
        match self.0.get(path) {
            None => true,
            Some(Lookup::Pending { due, .. }) => *due <= now,
            Some(Lookup::Known(_)) => false,
        }
    }

    /// # Errors
    /// IMDS fails in a way that is not an answer about the path.
    fn ask(
        &mut self,
        path: String,
        imds: &mut Imds,
        http: &dyn Http,
        clock: &dyn Clock,
    ) -> Result<(), Error> {
        let answer = imds.metadata(&path, http);
        let now = clock.uptime();
        let mut failures = match self.0.remove(&path) {
            Some(Lookup::Pending { failures, .. }) => failures,
            _ => Backoff::default(),
        };
        let lookup = match answer {
            Ok(None) if now < SETTLED => {
                Lookup::Pending { due: (now + ABSENT_RETRY).min(SETTLED), failures, why: None }
            }
            Ok(value) => Lookup::Known(value),
            Err(error) => {
                let Some(delay) = failures.next_delay(error.class(), now, clock.random()) else {
                    return Err(error);
                };
                log::debug!("{}", error.message_with_hint());
                Lookup::Pending { due: now + delay, failures, why: Some(error.to_string()) }
            }
        };
        self.0.insert(path, lookup);
        Ok(())
    }
}

/// It becomes part of a path.
fn is_mac(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit() || c == ':')
}
